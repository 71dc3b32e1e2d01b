//! Blocks of 256 values in sub-blocks whose own scales are small integers, times f16 (`d`, and `e` for minimums).
//!
//! | type | bytes, in order | sub-block | value |
//! |---|---|---|---|
//! | Q2_K | 16 bytes (`s` low, `m` high half), 64 bytes of 2 bits, `d`, `e` | 16 | `d s u - e m` |
//! | Q3_K | 32 bytes of third bits, 64 bytes of 2 bits, 12 bytes of 6-bit `s`, `d` | 16 | `d (s - 32) (u - 4)` |
//! | Q4_K | `d`, `e`, 12 bytes of 6-bit `s` and `m`, 128 bytes of 4 bits | 32 | `d s u - e m` |
//! | Q5_K | `d`, `e`, 12 bytes as Q4_K, 32 bytes of fifth bits, 128 bytes of 4 bits | 32 | `d s u - e m` |
//! | Q6_K | 128 bytes of 4 bits, 64 bytes of 2 bits, 16 x i8 `s`, `d` | 16 | `d s (u - 32)` |
//! | Q8_K | f32 `d`, 256 x i8 `q`, 16 x i16 sums | 256 | `d q` |
//!
//! Fields of a byte hold values that lie a run apart: with runs of `r` bytes, the lowest fields of a run are `r` values
//! in order, the next fields the following `r`. Runs are 32 bytes, but 64 for the four bits of Q6_K.

use super::half_at;

/// Values in a block.
const LEN: usize = 256;

/// The field of value `i` among `bits`-wide fields in runs of `run` bytes.
#[inline(always)]
fn field(bytes: &[u8], i: usize, bits: usize, run: usize) -> u8 {
    let in_run = run * 8 / bits;
    let byte = bytes[i / in_run * run + i % run];
    let mask = ((1_u16 << bits) - 1) as u8;
    byte >> (i % in_run / run * bits) & mask
}

/// The eight 6-bit pairs (scale, minimum) of Q4_K and Q5_K in their 12 bytes: four scales in the low six bits of bytes
/// 0 to 3, four minimums in those of bytes 4 to 7; of the other four the low halves in bytes 8 to 11 (scale low,
/// minimum high) and the upper two bits atop the first eight bytes.
pub(crate) fn six_bit_pairs(bytes: &[u8]) -> [(u8, u8); 8] {
    std::array::from_fn(|i| {
        if i < 4 {
            (bytes[i] & 63, bytes[i + 4] & 63)
        } else {
            let low = bytes[i + 4];
            (low & 15 | bytes[i - 4] >> 6 << 4, low >> 4 | bytes[i] >> 6 << 4)
        }
    })
}

/// The inverse of [`six_bit_pairs`]; values are below 64.
pub(super) fn put_six_bit_pairs(pairs: &[(u8, u8); 8], bytes: &mut [u8; 12]) {
    for i in 0..4 {
        let ((s, m), (s4, m4)) = (pairs[i], pairs[i + 4]);
        bytes[i] = s | s4 >> 4 << 6;
        bytes[i + 4] = m | m4 >> 4 << 6;
        bytes[i + 8] = s4 & 15 | m4 << 4;
    }
}

pub(super) fn q2_k(block: &[u8; 84], out: &mut [f32; LEN]) {
    let (d, e) = (half_at(block, 80), half_at(block, 82));
    for (i, out) in out.iter_mut().enumerate() {
        let scale = block[i / 16];
        *out = d * f32::from(scale & 15) * f32::from(field(&block[16..80], i, 2, 32)) - e * f32::from(scale >> 4);
    }
}

pub(super) fn q3_k(block: &[u8; 110], out: &mut [f32; LEN]) {
    let (third, two, scales) = (&block[..32], &block[32..96], &block[96..108]);
    let d = half_at(block, 108);
    for (i, out) in out.iter_mut().enumerate() {
        // Sixteen scales: low halves in 8 bytes, eight to each half; upper two bits in 4 bytes, four to each field.
        let s = i / 16;
        let scale = (scales[s % 8] >> (s / 8 * 4) & 15) | (scales[8 + s % 4] >> (s / 4 * 2) & 3) << 4;
        let u = field(two, i, 2, 32) | field(third, i, 1, 32) << 2;
        *out = d * (f32::from(scale) - 32.0) * (f32::from(u) - 4.0);
    }
}

pub(super) fn q4_k(block: &[u8; 144], out: &mut [f32; LEN]) {
    let (d, e) = (half_at(block, 0), half_at(block, 2));
    let pairs = six_bit_pairs(&block[4..16]);
    for (s, out) in out.as_chunks_mut::<32>().0.iter_mut().enumerate() {
        let (scale, min) = (d * f32::from(pairs[s].0), e * f32::from(pairs[s].1));
        let bytes = &block[16 + s / 2 * 32..][..32];
        for (out, byte) in out.iter_mut().zip(bytes) {
            *out = scale * f32::from(byte >> (s % 2 * 4) & 15) - min;
        }
    }
}

pub(super) fn q5_k(block: &[u8; 176], out: &mut [f32; LEN]) {
    let (d, e) = (half_at(block, 0), half_at(block, 2));
    let pairs = six_bit_pairs(&block[4..16]);
    for (i, out) in out.iter_mut().enumerate() {
        let (scale, min) = (d * f32::from(pairs[i / 32].0), e * f32::from(pairs[i / 32].1));
        let u = field(&block[48..], i, 4, 32) | field(&block[16..48], i, 1, 32) << 4;
        *out = scale * f32::from(u) - min;
    }
}

pub(super) fn q6_k(block: &[u8; 210], out: &mut [f32; LEN]) {
    let d = half_at(block, 208);
    for (i, out) in out.iter_mut().enumerate() {
        let scale = d * f32::from(block[192 + i / 16] as i8);
        let u = field(&block[..128], i, 4, 64) | field(&block[128..192], i, 2, 32) << 4;
        *out = scale * (f32::from(u) - 32.0);
    }
}

pub(super) fn q8_k(block: &[u8; 292], out: &mut [f32; LEN]) {
    let d = f32::from_le_bytes([block[0], block[1], block[2], block[3]]);
    for (out, q) in out.iter_mut().zip(&block[4..260]) {
        *out = d * f32::from(*q as i8);
    }
}
