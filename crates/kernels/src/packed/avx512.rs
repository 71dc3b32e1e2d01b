//! What the AVX-512 kernels share: the sixteen rows of a tile are the lanes of one vector.

use std::arch::x86_64::*;

use super::TILE;

/// Sixteen copies of the four bytes at `at`.
///
/// # Safety
/// Four bytes are readable.
#[inline]
#[target_feature(enable = "avx512f")]
pub(crate) unsafe fn broadcast_i32(at: *const u8) -> __m512i {
    // SAFETY: promised by the caller.
    _mm512_set1_epi32(unsafe { at.cast::<i32>().read_unaligned() })
}

/// Sixteen copies of the f32 at `at`.
///
/// # Safety
/// Four bytes are readable.
#[inline]
#[target_feature(enable = "avx512f")]
pub(crate) unsafe fn broadcast_f32(at: *const u8) -> __m512 {
    // SAFETY: promised by the caller.
    _mm512_set1_ps(unsafe { at.cast::<f32>().read_unaligned() })
}

/// The sixteen f16 at `at`.
///
/// # Safety
/// 32 bytes are readable.
#[inline]
#[target_feature(enable = "avx512f")]
pub(crate) unsafe fn half_to_f32(at: *const u8) -> __m512 {
    // SAFETY: promised by the caller.
    _mm512_cvtph_ps(unsafe { _mm256_loadu_si256(at.cast()) })
}

/// The sixteen bytes at `at`.
///
/// # Safety
/// Sixteen bytes are readable.
#[inline]
#[target_feature(enable = "avx512f")]
pub(crate) unsafe fn bytes_to_f32(at: *const u8) -> __m512 {
    // SAFETY: promised by the caller.
    _mm512_cvtepi32_ps(_mm512_cvtepu8_epi32(unsafe { _mm_loadu_si128(at.cast()) }))
}

/// The 32 bytes at `at`, twice, the second time shifted right by four bits: the low halves of the bytes are then the
/// nibbles of sixteen rows at four columns; `values` as in [`super::q4_0`]. What lies above them is arbitrary.
///
/// # Safety
/// 32 bytes are readable.
#[inline]
#[target_feature(enable = "avx512f")]
pub(crate) unsafe fn nibbles(at: *const u8) -> __m512i {
    let shift = _mm512_setr_epi32(0, 0, 0, 0, 0, 0, 0, 0, 4, 4, 4, 4, 4, 4, 4, 4);
    // SAFETY: promised by the caller.
    _mm512_srlv_epi32(_mm512_broadcast_i64x4(unsafe { _mm256_loadu_si256(at.cast()) }), shift)
}

/// For `T` tokens and sixteen rows, the sum over 32 columns of nibble times activation; `values` as in [`super::q4_0`].
///
/// # Safety
/// 256 bytes are readable at `values`, 32 at each of `records`.
#[inline]
#[target_feature(enable = "avx512f,avx512vnni")]
pub(crate) unsafe fn nibble_sums<const T: usize>(values: *const u8, records: [*const u8; T]) -> [__m512i; T] {
    let mask = _mm512_set1_epi32(0x0f0f_0f0f);
    let mut acc = [_mm512_setzero_si512(); T];
    for quad in 0..8 {
        // SAFETY: promised by the caller.
        let w = _mm512_and_si512(unsafe { nibbles(values.add(32 * quad)) }, mask);
        for t in 0..T {
            // SAFETY: promised by the caller.
            acc[t] = _mm512_dpbusd_epi32(acc[t], w, unsafe { broadcast_i32(records[t].add(4 * quad)) });
        }
    }
    acc
}

/// Writes the sums of each token.
#[inline]
#[target_feature(enable = "avx512f")]
pub(crate) fn store<const T: usize>(sum: [__m512; T], out: &mut [[f32; TILE]; T]) {
    for (sum, out) in sum.into_iter().zip(out) {
        // SAFETY: the sixteen rows are one vector.
        unsafe { _mm512_storeu_ps(out.as_mut_ptr(), sum) };
    }
}
