//! Blocks of 32 values with one scale `d`, and for some a minimum or a sum, as f16.
//!
//! | type | bytes | value |
//! |---|---|---|
//! | Q8_0 | `d`, 32 x i8 `q` | `d q` |
//! | Q8_1 | `d`, f16 `d sum(q)`, 32 x i8 `q` | `d q` |
//! | Q4_0 | `d`, 16 bytes | `d (u - 8)` |
//! | Q4_1 | `d`, f16 `m`, 16 bytes | `d u + m` |
//! | Q5_0 | `d`, 4 bytes of fifth bits, 16 bytes | `d (u - 16)` |
//! | Q5_1 | `d`, f16 `m`, 4 bytes of fifth bits, 16 bytes | `d u + m` |
//!
//! Of 16 bytes, byte `i` holds value `i` in its low half and value `16 + i` in its high half; fifth bits stand in order.

use half::f16;

use super::{half_at, round};

/// Values in a block.
const LEN: usize = 32;

/// Four bits of value `i`.
#[inline(always)]
fn nibble(bytes: &[u8], i: usize) -> u8 {
    if i < LEN / 2 { bytes[i] & 15 } else { bytes[i - LEN / 2] >> 4 }
}

/// Five bits of value `i`: `bytes` are the fifth bits, then the other four.
#[inline(always)]
fn five(bytes: &[u8], i: usize) -> u8 {
    nibble(&bytes[4..], i) | (bytes[i / 8] >> (i % 8) & 1) << 4
}

#[inline(always)]
fn fill(out: &mut [f32; LEN], value: impl Fn(usize) -> f32) {
    for (i, out) in out.iter_mut().enumerate() {
        *out = value(i);
    }
}

pub(super) fn q8_0(block: &[u8; 34], out: &mut [f32; LEN]) {
    let d = half_at(block, 0);
    fill(out, |i| d * f32::from(block[2 + i] as i8));
}

pub(super) fn q8_1(block: &[u8; 36], out: &mut [f32; LEN]) {
    let d = half_at(block, 0);
    fill(out, |i| d * f32::from(block[4 + i] as i8));
}

pub(super) fn q4_0(block: &[u8; 18], out: &mut [f32; LEN]) {
    let d = half_at(block, 0);
    fill(out, |i| d * (f32::from(nibble(&block[2..], i)) - 8.0));
}

pub(super) fn q4_1(block: &[u8; 20], out: &mut [f32; LEN]) {
    let (d, m) = (half_at(block, 0), half_at(block, 2));
    fill(out, |i| d * f32::from(nibble(&block[4..], i)) + m);
}

pub(super) fn q5_0(block: &[u8; 22], out: &mut [f32; LEN]) {
    let d = half_at(block, 0);
    fill(out, |i| d * (f32::from(five(&block[2..], i)) - 16.0));
}

pub(super) fn q5_1(block: &[u8; 24], out: &mut [f32; LEN]) {
    let (d, m) = (half_at(block, 0), half_at(block, 2));
    fill(out, |i| d * f32::from(five(&block[4..], i)) + m);
}

/// The reciprocal, or 0 where there is none: a block below the smallest f16 is all zeros.
#[inline(always)]
fn inverse(d: f32) -> f32 {
    if d == 0.0 { 0.0 } else { 1.0 / d }
}

/// `d` is the largest magnitude over 127. Values are divided by it as stored, so that its rounding adds no error.
pub(super) fn quantize_q8_0(x: &[f32; LEN], block: &mut [u8; 34]) {
    // As integers, magnitudes order as the floats do.
    let largest = x.iter().fold(0, |max, v| max.max((v.to_bits() & 0x7fff_ffff) as i32));
    let d = f16::from_f32(f32::from_bits(largest as u32) / 127.0);
    let inverse = inverse(d.to_f32());
    block[..2].copy_from_slice(&d.to_le_bytes());
    for (byte, v) in block[2..].iter_mut().zip(x) {
        *byte = round((v * inverse).clamp(-127.0, 127.0)) as i8 as u8;
    }
}

/// `d` takes the value of largest magnitude to `u = 0`: of the two ends of the range `[-8, 7]` the wider one.
pub(super) fn quantize_q4_0(x: &[f32; LEN], block: &mut [u8; 18]) {
    // Rotated by one, bits order by magnitude, and the sign comes along.
    let largest = x.iter().fold(0, |max, v| max.max(v.to_bits().rotate_left(1)));
    let d = f16::from_f32(f32::from_bits(largest.rotate_right(1)) / -8.0);
    let inverse = inverse(d.to_f32());
    block[..2].copy_from_slice(&d.to_le_bytes());
    let u: [u8; LEN] = x.map(|v| (round((v * inverse).clamp(-8.0, 7.0)) + 8) as u8);
    for i in 0..LEN / 2 {
        block[2 + i] = u[i] | u[i + LEN / 2] << 4;
    }
}
