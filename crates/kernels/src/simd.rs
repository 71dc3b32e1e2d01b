//! Eight f32 lanes: the vocabulary every float kernel is written in.
//!
//! [`Plain`] is arrays that the compiler vectorises for any target; [`Avx2`] is intrinsics. They differ in one thing
//! only: [`Simd::fma`] rounds once on AVX2 and twice in plain. [`Simd::sum`] takes the fixed tree
//! `((0+1) + (2+3)) + ((4+5) + (6+7))` on both.

use half::{bf16, f16};

/// Lanes of one vector.
pub(crate) const LANES: usize = 8;

/// A token that proves the instruction set, and its operations. All methods must be inlined into the body that uses
/// them.
pub(crate) trait Simd: Copy {
    /// Eight f32.
    type F: Copy;

    fn splat(self, x: f32) -> Self::F;
    fn add(self, a: Self::F, b: Self::F) -> Self::F;
    fn sub(self, a: Self::F, b: Self::F) -> Self::F;
    fn mul(self, a: Self::F, b: Self::F) -> Self::F;
    fn div(self, a: Self::F, b: Self::F) -> Self::F;
    /// `a * b + c`.
    fn fma(self, a: Self::F, b: Self::F, c: Self::F) -> Self::F;
    /// `a > b ? a : b`: `b` where either is NaN.
    fn max(self, a: Self::F, b: Self::F) -> Self::F;
    /// `a < b ? a : b`: `b` where either is NaN.
    fn min(self, a: Self::F, b: Self::F) -> Self::F;
    /// `x < y ? a : b` in every lane.
    fn select_less(self, x: Self::F, y: Self::F, a: Self::F, b: Self::F) -> Self::F;
    /// `x * 2^n`, where `magic` holds `n + 1.5 * 2^23`, `n` and the result in the normal range.
    fn scale_by_power(self, x: Self::F, magic: Self::F) -> Self::F;
    /// The eight lanes.
    fn to_array(self, a: Self::F) -> [f32; LANES];
    fn vector(self, a: [f32; LANES]) -> Self::F;
    /// Row `i` of lanes becomes lane `i` of all.
    fn transpose(self, a: [Self::F; LANES]) -> [Self::F; LANES];

    /// # Safety
    /// Eight f32 may be read at `p`, of any alignment.
    unsafe fn load(self, p: *const f32) -> Self::F;
    /// # Safety
    /// Eight f32 may be written at `p`, of any alignment.
    unsafe fn store(self, p: *mut f32, a: Self::F);
    /// # Safety
    /// Eight f16 may be read at `p`, of any alignment.
    unsafe fn load_f16(self, p: *const f16) -> Self::F;
    /// # Safety
    /// Eight bf16 may be read at `p`, of any alignment.
    unsafe fn load_bf16(self, p: *const bf16) -> Self::F;
    /// # Safety
    /// Eight i8 may be read at `p`.
    unsafe fn load_i8(self, p: *const i8) -> Self::F;
    /// Asks for the line at `p` (any address).
    fn prefetch<T>(self, p: *const T);

    /// Sum of the lanes by the fixed tree.
    #[inline(always)]
    fn sum(self, a: Self::F) -> f32 {
        let a = self.to_array(a);
        ((a[0] + a[1]) + (a[2] + a[3])) + ((a[4] + a[5]) + (a[6] + a[7]))
    }

    /// Largest lane.
    #[inline(always)]
    fn max_lane(self, a: Self::F) -> f32 {
        let a = self.to_array(a);
        let m = |x: f32, y: f32| if x > y { x } else { y };
        m(m(m(a[0], a[1]), m(a[2], a[3])), m(m(a[4], a[5]), m(a[6], a[7])))
    }

    /// The first `len < 8` lanes from `p`, the others zero.
    ///
    /// # Safety
    /// `len` f32 may be read at `p`, of any alignment.
    #[inline(always)]
    unsafe fn load_part(self, p: *const f32, len: usize) -> Self::F {
        let mut lanes = [0.0; LANES];
        for (i, lane) in lanes.iter_mut().enumerate().take(len) {
            // SAFETY: i < len.
            *lane = unsafe { p.add(i).read_unaligned() };
        }
        self.vector(lanes)
    }

    /// Writes the first `len < 8` lanes.
    ///
    /// # Safety
    /// `len` f32 may be written at `p`.
    #[inline(always)]
    unsafe fn store_part(self, p: *mut f32, a: Self::F, len: usize) {
        for (i, lane) in self.to_array(a).into_iter().enumerate().take(len) {
            // SAFETY: i < len.
            unsafe { p.add(i).write_unaligned(lane) };
        }
    }
}

/// Arrays of eight, left to the compiler.
#[derive(Clone, Copy)]
pub(crate) struct Plain;

macro_rules! lanewise {
    (|$($x:ident),*| $e:expr) => {{
        let mut out = [0.0f32; LANES];
        for i in 0..LANES {
            $(let $x = $x[i];)*
            out[i] = $e;
        }
        out
    }};
}

impl Simd for Plain {
    type F = [f32; LANES];

    #[inline(always)]
    fn splat(self, x: f32) -> Self::F {
        [x; LANES]
    }
    #[inline(always)]
    fn add(self, a: Self::F, b: Self::F) -> Self::F {
        lanewise!(|a, b| a + b)
    }
    #[inline(always)]
    fn sub(self, a: Self::F, b: Self::F) -> Self::F {
        lanewise!(|a, b| a - b)
    }
    #[inline(always)]
    fn mul(self, a: Self::F, b: Self::F) -> Self::F {
        lanewise!(|a, b| a * b)
    }
    #[inline(always)]
    fn div(self, a: Self::F, b: Self::F) -> Self::F {
        lanewise!(|a, b| a / b)
    }
    #[inline(always)]
    fn fma(self, a: Self::F, b: Self::F, c: Self::F) -> Self::F {
        lanewise!(|a, b, c| a * b + c)
    }
    #[inline(always)]
    fn max(self, a: Self::F, b: Self::F) -> Self::F {
        lanewise!(|a, b| if a > b { a } else { b })
    }
    #[inline(always)]
    fn min(self, a: Self::F, b: Self::F) -> Self::F {
        lanewise!(|a, b| if a < b { a } else { b })
    }
    #[inline(always)]
    fn select_less(self, x: Self::F, y: Self::F, a: Self::F, b: Self::F) -> Self::F {
        lanewise!(|x, y, a, b| if x < y { a } else { b })
    }
    #[inline(always)]
    fn scale_by_power(self, x: Self::F, magic: Self::F) -> Self::F {
        lanewise!(|x, magic| x * f32::from_bits((magic.to_bits() << 23).wrapping_add(127 << 23)))
    }
    #[inline(always)]
    fn to_array(self, a: Self::F) -> [f32; LANES] {
        a
    }
    #[inline(always)]
    fn vector(self, a: [f32; LANES]) -> Self::F {
        a
    }
    #[inline(always)]
    fn transpose(self, a: [Self::F; LANES]) -> [Self::F; LANES] {
        let mut out = [[0.0; LANES]; LANES];
        for i in 0..LANES {
            for j in 0..LANES {
                out[j][i] = a[i][j];
            }
        }
        out
    }
    #[inline(always)]
    unsafe fn load(self, p: *const f32) -> Self::F {
        // SAFETY: the caller's promise.
        unsafe { p.cast::<[f32; LANES]>().read_unaligned() }
    }
    #[inline(always)]
    unsafe fn store(self, p: *mut f32, a: Self::F) {
        // SAFETY: the caller's promise.
        unsafe { p.cast::<[f32; LANES]>().write_unaligned(a) }
    }
    #[inline(always)]
    unsafe fn load_f16(self, p: *const f16) -> Self::F {
        // SAFETY: the caller's promise.
        let a = unsafe { p.cast::<[u16; LANES]>().read_unaligned() };
        lanewise!(|a| f32_from_f16_bits(a))
    }
    #[inline(always)]
    unsafe fn load_bf16(self, p: *const bf16) -> Self::F {
        // SAFETY: the caller's promise.
        let a = unsafe { p.cast::<[u16; LANES]>().read_unaligned() };
        lanewise!(|a| f32::from_bits(u32::from(a) << 16))
    }
    #[inline(always)]
    unsafe fn load_i8(self, p: *const i8) -> Self::F {
        // SAFETY: the caller's promise.
        let a = unsafe { p.cast::<[i8; LANES]>().read_unaligned() };
        lanewise!(|a| f32::from(a))
    }
    #[inline(always)]
    fn prefetch<T>(self, _: *const T) {}
}

/// Exact f16 to f32 without a branch on the value, so that it vectorises: the exponent is rebased by a multiplication,
/// which also makes subnormals right.
#[inline(always)]
fn f32_from_f16_bits(bits: u16) -> f32 {
    let sign = u32::from(bits & 0x8000) << 16;
    let magnitude = u32::from(bits & 0x7fff) << 13;
    let scaled = f32::from_bits(magnitude) * f32::from_bits((254 - 15) << 23);
    // Infinities and NaNs come out as 2^16 and above: give them the exponent of all ones.
    let special = if scaled >= 65536.0 { 0x7f80_0000 } else { 0 };
    f32::from_bits(scaled.to_bits() | sign | special)
}

#[cfg(target_arch = "x86_64")]
pub(crate) use avx2::Avx2;

#[cfg(target_arch = "x86_64")]
mod avx2 {
    use std::arch::x86_64::*;

    use half::{bf16, f16};

    use super::{LANES, Simd};

    /// Proof that the machine has AVX2, FMA and F16C.
    #[derive(Clone, Copy)]
    pub(crate) struct Avx2(());

    impl Avx2 {
        /// # Safety
        /// The machine has avx2, fma and f16c.
        #[inline(always)]
        pub(crate) unsafe fn new() -> Self {
            Self(())
        }
    }

    // SAFETY of every block below: `Avx2` exists only where the machine has the features; pointers are the caller's
    // promise.
    macro_rules! intrinsic {
        ($e:expr) => {{
            // SAFETY: the token proves the features, the caller vouches for pointers.
            unsafe { $e }
        }};
    }

    impl Simd for Avx2 {
        type F = __m256;

        #[inline(always)]
        fn splat(self, x: f32) -> __m256 {
            intrinsic!(_mm256_set1_ps(x))
        }
        #[inline(always)]
        fn add(self, a: __m256, b: __m256) -> __m256 {
            intrinsic!(_mm256_add_ps(a, b))
        }
        #[inline(always)]
        fn sub(self, a: __m256, b: __m256) -> __m256 {
            intrinsic!(_mm256_sub_ps(a, b))
        }
        #[inline(always)]
        fn mul(self, a: __m256, b: __m256) -> __m256 {
            intrinsic!(_mm256_mul_ps(a, b))
        }
        #[inline(always)]
        fn div(self, a: __m256, b: __m256) -> __m256 {
            intrinsic!(_mm256_div_ps(a, b))
        }
        #[inline(always)]
        fn fma(self, a: __m256, b: __m256, c: __m256) -> __m256 {
            intrinsic!(_mm256_fmadd_ps(a, b, c))
        }
        #[inline(always)]
        fn max(self, a: __m256, b: __m256) -> __m256 {
            intrinsic!(_mm256_max_ps(a, b))
        }
        #[inline(always)]
        fn min(self, a: __m256, b: __m256) -> __m256 {
            intrinsic!(_mm256_min_ps(a, b))
        }
        #[inline(always)]
        fn select_less(self, x: __m256, y: __m256, a: __m256, b: __m256) -> __m256 {
            intrinsic!(_mm256_blendv_ps(b, a, _mm256_cmp_ps::<_CMP_LT_OQ>(x, y)))
        }
        #[inline(always)]
        fn scale_by_power(self, x: __m256, magic: __m256) -> __m256 {
            intrinsic!({
                let n = _mm256_slli_epi32::<23>(_mm256_castps_si256(magic));
                let power = _mm256_add_epi32(n, _mm256_set1_epi32(127 << 23));
                _mm256_mul_ps(x, _mm256_castsi256_ps(power))
            })
        }
        #[inline(always)]
        fn to_array(self, a: __m256) -> [f32; LANES] {
            // SAFETY: both are 32 bytes of f32.
            unsafe { std::mem::transmute(a) }
        }
        #[inline(always)]
        fn vector(self, a: [f32; LANES]) -> __m256 {
            // SAFETY: both are 32 bytes of f32.
            unsafe { std::mem::transmute(a) }
        }
        #[inline(always)]
        fn transpose(self, a: [__m256; LANES]) -> [__m256; LANES] {
            let mut pairs = [a[0]; LANES];
            for i in 0..4 {
                pairs[2 * i] = intrinsic!(_mm256_unpacklo_ps(a[2 * i], a[2 * i + 1]));
                pairs[2 * i + 1] = intrinsic!(_mm256_unpackhi_ps(a[2 * i], a[2 * i + 1]));
            }
            let mut fours = [a[0]; LANES];
            for half in [0, 4] {
                for i in 0..2 {
                    let (x, y) = (pairs[half + i], pairs[half + i + 2]);
                    fours[half + 2 * i] = intrinsic!(_mm256_shuffle_ps::<0x44>(x, y));
                    fours[half + 2 * i + 1] = intrinsic!(_mm256_shuffle_ps::<0xee>(x, y));
                }
            }
            let mut out = [a[0]; LANES];
            for i in 0..4 {
                out[i] = intrinsic!(_mm256_permute2f128_ps::<0x20>(fours[i], fours[i + 4]));
                out[i + 4] = intrinsic!(_mm256_permute2f128_ps::<0x31>(fours[i], fours[i + 4]));
            }
            out
        }
        #[inline(always)]
        unsafe fn load(self, p: *const f32) -> __m256 {
            intrinsic!(_mm256_loadu_ps(p))
        }
        #[inline(always)]
        unsafe fn store(self, p: *mut f32, a: __m256) {
            intrinsic!(_mm256_storeu_ps(p, a))
        }
        #[inline(always)]
        unsafe fn load_f16(self, p: *const f16) -> __m256 {
            intrinsic!(_mm256_cvtph_ps(_mm_loadu_si128(p.cast())))
        }
        #[inline(always)]
        unsafe fn load_bf16(self, p: *const bf16) -> __m256 {
            intrinsic!({
                let wide = _mm256_cvtepu16_epi32(_mm_loadu_si128(p.cast()));
                _mm256_castsi256_ps(_mm256_slli_epi32::<16>(wide))
            })
        }
        #[inline(always)]
        unsafe fn load_i8(self, p: *const i8) -> __m256 {
            intrinsic!(_mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(_mm_loadl_epi64(p.cast()))))
        }
        #[inline(always)]
        fn prefetch<T>(self, p: *const T) {
            intrinsic!(_mm_prefetch::<_MM_HINT_T0>(p.cast()))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::isa::{Body, Isa};

    #[test]
    fn widens_every_f16_exactly() {
        struct Widen([f16; LANES]);
        impl Body for Widen {
            type Out = [f32; LANES];
            #[inline(always)]
            fn run<S: Simd>(self, simd: S) -> Self::Out {
                // SAFETY: the array has eight.
                simd.to_array(unsafe { simd.load_f16(self.0.as_ptr()) })
            }
        }
        for isa in Isa::available() {
            for bits in 0..=u16::MAX {
                let half = f16::from_bits(bits);
                let wide = isa.run(Widen([half; LANES]))[3];
                let same = wide.to_bits() == half.to_f32().to_bits() || (wide.is_nan() && half.is_nan());
                assert!(same, "{isa} {bits:04x}: {wide}, not {}", half.to_f32());
            }
        }
    }

    #[test]
    fn rows_become_lanes() {
        struct Transpose([[f32; LANES]; LANES]);
        impl Body for Transpose {
            type Out = [[f32; LANES]; LANES];
            #[inline(always)]
            fn run<S: Simd>(self, simd: S) -> Self::Out {
                simd.transpose(self.0.map(|row| simd.vector(row))).map(|row| simd.to_array(row))
            }
        }
        let rows = std::array::from_fn(|i| std::array::from_fn(|j| (i * LANES + j) as f32));
        for isa in Isa::available() {
            let out = isa.run(Transpose(rows));
            assert!((0..LANES).all(|i| (0..LANES).all(|j| out[j][i] == rows[i][j])), "{isa}: {out:?}");
        }
    }
}
