//! Stored elements that kernels widen to f32 as they load them.

use half::{bf16, f16};

use crate::simd::{LANES, Simd};

/// A stored element.
pub(crate) trait Element: Copy {
    /// # Safety
    /// Eight elements may be read at `p`.
    unsafe fn load<S: Simd>(s: S, p: *const Self) -> S::F;
    /// # Safety
    /// One element may be read at `p`.
    unsafe fn value(p: *const Self) -> f32;

    /// The first `len < 8` elements, the others zero.
    ///
    /// # Safety
    /// `len` elements may be read at `p`.
    #[inline(always)]
    unsafe fn load_part<S: Simd>(s: S, p: *const Self, len: usize) -> S::F {
        let mut lanes = [0.0; LANES];
        for (i, lane) in lanes.iter_mut().enumerate().take(len) {
            // SAFETY: i < len.
            *lane = unsafe { Self::value(p.add(i)) };
        }
        s.vector(lanes)
    }
}

macro_rules! element {
    ($type:ty, $load:ident, $value:expr) => {
        impl Element for $type {
            #[inline(always)]
            unsafe fn load<S: Simd>(s: S, p: *const Self) -> S::F {
                // SAFETY: the caller's promise.
                unsafe { s.$load(p) }
            }
            #[inline(always)]
            unsafe fn value(p: *const Self) -> f32 {
                // SAFETY: the caller's promise.
                $value(unsafe { p.read_unaligned() })
            }
        }
    };
}
element!(f32, load, |x: f32| x);
element!(f16, load_f16, |x: f16| x.to_f32_const());
element!(bf16, load_bf16, |x: bf16| x.to_f32_const());
