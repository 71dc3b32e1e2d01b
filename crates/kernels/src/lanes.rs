//! Whole registers of the instruction set, eight or sixteen f32, for kernels that only multiply and add.
//!
//! [`Simd`] has eight lanes everywhere and many operations. A kernel whose results do not depend on how many lanes there are
//! is written over [`Lanes`] instead, and [`Isa::run_wide`] gives it the widest registers.

use crate::isa::Isa;
use crate::simd::{LANES, Plain, Simd};

/// A token that proves the instruction set, and its operations. All methods must be inlined into the body that uses
/// them.
pub(crate) trait Lanes: Copy {
    /// One register of f32.
    type V: Copy;
    /// f32 in a register.
    const WIDTH: usize;

    fn splat(self, x: f32) -> Self::V;
    fn add(self, a: Self::V, b: Self::V) -> Self::V;
    /// `a * b + c`.
    fn fma(self, a: Self::V, b: Self::V, c: Self::V) -> Self::V;
    /// # Safety
    /// [`Lanes::WIDTH`] f32 may be read at `p`, of any alignment.
    unsafe fn load(self, p: *const f32) -> Self::V;
    /// # Safety
    /// [`Lanes::WIDTH`] f32 may be written at `p`, of any alignment.
    unsafe fn store(self, p: *mut f32, a: Self::V);
}

/// A kernel, compiled once for every width. `run` must be `#[inline(always)]`.
pub(crate) trait WideBody {
    type Out;
    fn run<L: Lanes>(self, lanes: L) -> Self::Out;
}

impl Isa {
    /// Runs `body` compiled for this instruction set in its widest registers, or as [`Isa::Plain`] where the machine lacks it.
    #[inline]
    pub(crate) fn run_wide<B: WideBody>(self, body: B) -> B::Out {
        match self {
            #[cfg(target_arch = "x86_64")]
            Isa::Avx2 if self.is_available() => {
                // SAFETY: the machine was just seen to have avx2, fma and f16c.
                unsafe { x86::on_avx2(body) }
            }
            #[cfg(target_arch = "x86_64")]
            Isa::Avx512 if self.is_available() => {
                // SAFETY: the machine was just seen to have all of these.
                unsafe { x86::on_avx512(body) }
            }
            _ => body.run(Eight(Plain)),
        }
    }
}

/// The eight lanes of [`Simd`].
#[derive(Clone, Copy)]
struct Eight<S>(S);

impl<S: Simd> Lanes for Eight<S> {
    type V = S::F;
    const WIDTH: usize = LANES;

    #[inline(always)]
    fn splat(self, x: f32) -> S::F {
        self.0.splat(x)
    }
    #[inline(always)]
    fn add(self, a: S::F, b: S::F) -> S::F {
        self.0.add(a, b)
    }
    #[inline(always)]
    fn fma(self, a: S::F, b: S::F, c: S::F) -> S::F {
        self.0.fma(a, b, c)
    }
    #[inline(always)]
    unsafe fn load(self, p: *const f32) -> S::F {
        // SAFETY: the caller's promise.
        unsafe { self.0.load(p) }
    }
    #[inline(always)]
    unsafe fn store(self, p: *mut f32, a: S::F) {
        // SAFETY: the caller's promise.
        unsafe { self.0.store(p, a) }
    }
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use std::arch::x86_64::*;

    use super::{Eight, Lanes, WideBody};
    use crate::simd::Avx2;

    #[target_feature(enable = "avx2,fma,f16c")]
    pub(super) fn on_avx2<B: WideBody>(body: B) -> B::Out {
        // SAFETY: this function's own features are those the token vouches for.
        body.run(Eight(unsafe { Avx2::new() }))
    }

    #[target_feature(enable = "avx2,fma,f16c,avx512f,avx512vl,avx512bw,avx512dq,avx512vnni")]
    pub(super) fn on_avx512<B: WideBody>(body: B) -> B::Out {
        body.run(Sixteen(()))
    }

    /// Proof that the machine has AVX-512 F.
    #[derive(Clone, Copy)]
    struct Sixteen(());

    impl Lanes for Sixteen {
        type V = __m512;
        const WIDTH: usize = 16;

        #[inline(always)]
        fn splat(self, x: f32) -> __m512 {
            // SAFETY: the token proves the feature.
            unsafe { _mm512_set1_ps(x) }
        }
        #[inline(always)]
        fn add(self, a: __m512, b: __m512) -> __m512 {
            // SAFETY: the token proves the feature.
            unsafe { _mm512_add_ps(a, b) }
        }
        #[inline(always)]
        fn fma(self, a: __m512, b: __m512, c: __m512) -> __m512 {
            // SAFETY: the token proves the feature.
            unsafe { _mm512_fmadd_ps(a, b, c) }
        }
        #[inline(always)]
        unsafe fn load(self, p: *const f32) -> __m512 {
            // SAFETY: the token proves the feature, the caller vouches for the pointer.
            unsafe { _mm512_loadu_ps(p) }
        }
        #[inline(always)]
        unsafe fn store(self, p: *mut f32, a: __m512) {
            // SAFETY: the token proves the feature, the caller vouches for the pointer.
            unsafe { _mm512_storeu_ps(p, a) }
        }
    }
}
