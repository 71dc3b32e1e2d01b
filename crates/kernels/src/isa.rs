//! Which instructions the kernels may use, chosen once at run time.
//!
//! Every kernel is one body, generic over [`Simd`](crate::simd::Simd); [`Isa::run`] is the only place where a body is
//! compiled with more than the target's base instructions. All instruction sets obey the same definitions within the
//! bounds that each file states; one instruction set always gives the same bits.

use std::fmt;
use std::str::FromStr;

use crate::simd::{Plain, Simd};

/// An instruction set.
///
/// They are ordered: each holds those before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Isa {
    /// What the compilation target guarantees (SSE2 on `x86_64`, NEON on `aarch64`), left to the compiler.
    Plain,
    /// AVX2 with FMA and F16C, on `x86_64`.
    Avx2,
    /// AVX-512 F, VL, BW, DQ and VNNI beside [`Isa::Avx2`], on `x86_64`. Bodies over `Simd` still have eight lanes, and
    /// twice the registers; kernels that gain by sixteen lanes have them.
    Avx512,
}

/// No such instruction set, or this machine lacks it.
#[derive(Clone, Debug, thiserror::Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum IsaError {
    /// The name is unknown.
    #[error("unknown instruction set `{0}`: this program knows plain, avx2 and avx512")]
    Unknown(String),
    /// The processor cannot run it.
    #[error("this machine cannot run the instruction set `{isa}`; it has: {names}", isa = .0, names = Isa::names())]
    Missing(Isa),
}

impl Isa {
    /// Every instruction set, narrowest first.
    pub const ALL: [Isa; 3] = [Isa::Plain, Isa::Avx2, Isa::Avx512];

    /// The widest that this machine has.
    pub fn detect() -> Isa {
        Self::available().last().unwrap_or(Isa::Plain)
    }

    /// Those that this machine has, narrowest first.
    pub fn available() -> impl Iterator<Item = Isa> {
        Self::ALL.into_iter().filter(|isa| isa.is_available())
    }

    /// Whether this machine has it.
    pub fn is_available(self) -> bool {
        match self {
            Isa::Plain => true,
            #[cfg(target_arch = "x86_64")]
            Isa::Avx2 => {
                std::arch::is_x86_feature_detected!("avx2")
                    && std::arch::is_x86_feature_detected!("fma")
                    && std::arch::is_x86_feature_detected!("f16c")
            }
            #[cfg(target_arch = "x86_64")]
            Isa::Avx512 => {
                Isa::Avx2.is_available()
                    && std::arch::is_x86_feature_detected!("avx512f")
                    && std::arch::is_x86_feature_detected!("avx512vl")
                    && std::arch::is_x86_feature_detected!("avx512bw")
                    && std::arch::is_x86_feature_detected!("avx512dq")
                    && std::arch::is_x86_feature_detected!("avx512vnni")
            }
            #[cfg(not(target_arch = "x86_64"))]
            Isa::Avx2 | Isa::Avx512 => false,
        }
    }

    /// The lower-case name.
    pub const fn name(self) -> &'static str {
        match self {
            Isa::Plain => "plain",
            Isa::Avx2 => "avx2",
            Isa::Avx512 => "avx512",
        }
    }

    fn names() -> String {
        Self::available().map(Isa::name).collect::<Vec<_>>().join(", ")
    }

    /// Runs `body` compiled for this instruction set, or as [`Isa::Plain`] where the machine lacks it.
    #[inline]
    pub(crate) fn run<B: Body>(self, body: B) -> B::Out {
        match self {
            #[cfg(target_arch = "x86_64")]
            // Detection is cached by std: an atomic load.
            Isa::Avx2 if self.is_available() => {
                // SAFETY: the machine was just seen to have avx2, fma and f16c.
                unsafe { on_avx2(body) }
            }
            #[cfg(target_arch = "x86_64")]
            Isa::Avx512 if self.is_available() => {
                // SAFETY: the machine was just seen to have all of these.
                unsafe { on_avx512(body) }
            }
            _ => body.run(Plain),
        }
    }
}

/// A kernel, compiled once for every instruction set. `run` must be `#[inline(always)]`.
pub(crate) trait Body {
    type Out;
    fn run<S: Simd>(self, simd: S) -> Self::Out;
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma,f16c")]
fn on_avx2<B: Body>(body: B) -> B::Out {
    // SAFETY: this function's own features are those the token vouches for.
    body.run(unsafe { crate::simd::Avx2::new() })
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma,f16c,avx512f,avx512vl,avx512bw,avx512dq,avx512vnni")]
fn on_avx512<B: Body>(body: B) -> B::Out {
    // SAFETY: this function's own features are more than the token vouches for.
    body.run(unsafe { crate::simd::Avx2::new() })
}

impl fmt::Display for Isa {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Isa {
    type Err = IsaError;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        let isa = Self::ALL
            .into_iter()
            .find(|isa| isa.name().eq_ignore_ascii_case(name))
            .ok_or_else(|| IsaError::Unknown(name.to_owned()))?;
        if isa.is_available() { Ok(isa) } else { Err(IsaError::Missing(isa)) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_read_back_where_the_machine_has_them() {
        for isa in Isa::ALL {
            let wanted = if isa.is_available() { Ok(isa) } else { Err(IsaError::Missing(isa)) };
            assert_eq!(isa.name().to_uppercase().parse::<Isa>(), wanted);
        }
        assert_eq!("avx9".parse::<Isa>(), Err(IsaError::Unknown("avx9".to_owned())));
    }

    #[test]
    fn plain_is_everywhere_and_the_detected_one_can_run() {
        assert_eq!(Isa::available().next(), Some(Isa::Plain));
        assert!(Isa::detect().is_available());
        // Wide kernels ask `isa >= Isa::Avx2`: each set must hold those before it.
        assert!(Isa::ALL.is_sorted() && Isa::ALL.into_iter().is_sorted_by_key(|isa| !isa.is_available()));
    }
}
