//! What the plain kernels share: loops over fixed arrays, which any compiler turns into vector code.

use half::f16;

use super::TILE;

/// `sum + a * b`, in one rounding where the target always can.
#[inline(always)]
pub(crate) fn add_scaled(sum: f32, a: f32, b: f32) -> f32 {
    if cfg!(any(target_arch = "aarch64", target_feature = "fma")) { a.mul_add(b, sum) } else { sum + a * b }
}

/// `a * b - offset`, as [`add_scaled`].
#[inline(always)]
pub(crate) fn subtract_scaled(offset: f32, a: f32, b: f32) -> f32 {
    add_scaled(-offset, a, b)
}

/// The f32 at `offset`.
#[inline(always)]
pub(crate) fn read_f32(bytes: &[u8], offset: usize) -> f32 {
    let bytes = &bytes[offset..][..4];
    f32::from_ne_bytes([bytes[0], bytes[1], bytes[2], bytes[3]])
}

/// The sixteen f16 at the start of `bytes`.
#[inline(always)]
pub(crate) fn scales(bytes: &[u8]) -> [f32; TILE] {
    std::array::from_fn(|lane| f16::from_le_bytes([bytes[2 * lane], bytes[2 * lane + 1]]).to_f32())
}

/// For each row the sum over 32 columns of nibble times activation; `values` as in [`super::q4_0`].
#[inline(always)]
pub(crate) fn nibble_sums(values: &[u8], token: &[u8]) -> [i32; TILE] {
    let mut sums = [0; TILE];
    let (quads, _) = values.as_chunks::<32>();
    let (x, _) = token[..32].as_chunks::<4>();
    // Sixteen columns at a time: their sums fit i16.
    for (quads, x) in quads.chunks_exact(4).zip(x.chunks_exact(4)) {
        let mut low = [0_i16; 8];
        let mut high = [0_i16; 8];
        for (quad, x) in quads.iter().zip(x) {
            let (bytes, _) = quad.as_chunks::<4>();
            for j in 0..4 {
                let x = i16::from(x[j] as i8);
                for lane in 0..8 {
                    low[lane] += i16::from(bytes[lane][j] & 15) * x;
                    high[lane] += i16::from(bytes[lane][j] >> 4) * x;
                }
            }
        }
        for lane in 0..8 {
            sums[lane] += i32::from(low[lane]);
            sums[lane + 8] += i32::from(high[lane]);
        }
    }
    sums
}
