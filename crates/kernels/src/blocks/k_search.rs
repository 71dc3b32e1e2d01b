//! Quantisers of Q4_K and Q6_K: a search over scales for the least weighted squared error.
//!
//! The error of a value `x` weighs `rms + |x|`, with the root mean square of its sub-block: large weights matter more
//! to a dot product, but small ones are many. Each sub-block tries a ladder of scales; for each it rounds, then solves for the
//! scale (and minimum) that suit the rounded values best. The winners are rounded to the small integers of the format,
//! neighbours of which are tried once more with the values rounded anew.

use half::f16;

use super::{k, round};

/// Lanes of the sums below, so that they become vector code.
const LANES: usize = 8;

type Lanes = [f32; LANES];

#[inline(always)]
fn total(lanes: Lanes) -> f32 {
    lanes.iter().sum()
}

#[inline(always)]
fn weights<const N: usize>(x: &[f32; N]) -> [f32; N] {
    let mut squares = [0.0; LANES];
    for x in x.as_chunks::<LANES>().0 {
        for (square, x) in squares.iter_mut().zip(x) {
            *square += x * x;
        }
    }
    let rms = (total(squares) / N as f32).sqrt();
    x.map(|x| rms + x.abs())
}

/// The reciprocal, or 0 where there is none.
#[inline(always)]
fn inverse(d: f32) -> f32 {
    let inverse = 1.0 / d;
    if inverse.is_finite() { inverse } else { 0.0 }
}

/// Values as levels of a ladder: `clamp(round(x inverse + offset), low, high)`.
#[inline(always)]
fn levels<const N: usize>(x: &[f32; N], inverse: f32, offset: f32, low: f32, high: f32) -> [f32; N] {
    x.map(|x| round((x * inverse + offset).clamp(low, high)) as f32)
}

/// Sums over values `x`, weights `w` and levels `u`.
struct Moments {
    w: f32,
    x: f32,
    u: f32,
    uu: f32,
    xu: f32,
}

impl Moments {
    #[inline(always)]
    fn of<const N: usize>(x: &[f32; N], w: &[f32; N], u: &[f32; N]) -> Self {
        let mut sums = [[0.0; LANES]; 5];
        for i in (0..N).step_by(LANES) {
            for l in 0..LANES {
                let (x, w, u) = (x[i + l], w[i + l], u[i + l]);
                sums[0][l] += w;
                sums[1][l] += w * x;
                sums[2][l] += w * u;
                sums[3][l] += w * u * u;
                sums[4][l] += w * x * u;
            }
        }
        let [w, x, u, uu, xu] = sums.map(total);
        Self { w, x, u, uu, xu }
    }
}

/// The weighted squared error of `scale u - min`.
#[inline(always)]
fn error<const N: usize>(x: &[f32; N], w: &[f32; N], u: &[f32; N], scale: f32, min: f32) -> f32 {
    let mut sums = [0.0; LANES];
    for i in (0..N).step_by(LANES) {
        for l in 0..LANES {
            let off = scale * u[i + l] - min - x[i + l];
            sums[l] += w[i + l] * off * off;
        }
    }
    total(sums)
}

/// Scale and minimum, neither negative, for 32 values as `scale u - min` with `u` up to 15.
fn fit_with_minimum(x: &[f32; 32], w: &[f32; 32]) -> (f32, f32) {
    let low = x.iter().fold(0.0_f32, |low, &x| low.min(x));
    let high = x.iter().fold(low, |high, &x| high.max(x));
    let mut best = (f32::INFINITY, (0.0, -low));
    for step in -8..=8 {
        let inverse = inverse((high - low) / (15.0 + 0.125 * step as f32));
        let u = levels(x, inverse, -low * inverse, 0.0, 15.0);
        let m = Moments::of(x, w, &u);
        let determinant = m.w * m.uu - m.u * m.u;
        let mut fit = ((m.w * m.xu - m.x * m.u) / determinant, (m.u * m.xu - m.uu * m.x) / determinant);
        // Where all levels are one, a minimum and a scale cannot be told apart.
        if fit.1 < 0.0 || determinant <= 1e-6 * m.w * m.uu {
            fit = if m.uu > 0.0 { (m.xu / m.uu, 0.0) } else { (0.0, -low) };
        }
        let error = error(x, w, &u, fit.0, fit.1);
        if error < best.0 && fit.0 >= 0.0 {
            best = (error, fit);
        }
    }
    best.1
}

/// Scale for 16 values as `scale u` with `u` from -32 to 31.
fn fit_scale(x: &[f32; 16], w: &[f32; 16]) -> f32 {
    let widest = x.iter().fold(0.0_f32, |widest, &x| if x.abs() > widest.abs() { x } else { widest });
    let mut best = (0.0, 0.0);
    for step in -6..=6 {
        let inverse = inverse(widest / (-32.0 + 0.2 * step as f32));
        let m = Moments::of(x, w, &levels(x, inverse, 0.0, -32.0, 31.0));
        // The error falls by this, with the scale that follows.
        let gain = m.xu * m.xu / m.uu;
        if gain > best.0 {
            best = (gain, m.xu / m.uu);
        }
    }
    best.1
}

pub(super) fn quantize_q4_k(x: &[f32; 256], block: &mut [u8; 144]) {
    let parts: &[[f32; 32]] = x.as_chunks().0;
    let fits: [(f32, f32); 8] = std::array::from_fn(|s| fit_with_minimum(&parts[s], &weights(&parts[s])));
    let largest = fits.iter().fold((0.0_f32, 0.0_f32), |(a, b), fit| (a.max(fit.0), b.max(fit.1)));
    let (d, e) = (f16::from_f32(largest.0 / 63.0), f16::from_f32(largest.1 / 63.0));
    block[..2].copy_from_slice(&d.to_le_bytes());
    block[2..4].copy_from_slice(&e.to_le_bytes());
    let (d, e) = (d.to_f32(), e.to_f32());
    let nearest = |value: f32, unit: f32| round((value * inverse(unit)).clamp(0.0, 63.0));
    let mut pairs = [(0, 0); 8];
    for (s, (part, fit)) in parts.iter().zip(fits).enumerate() {
        let w = weights(part);
        let (scale, min) = (nearest(fit.0, d), nearest(fit.1, e));
        let mut best = (f32::INFINITY, [0.0; 32]);
        for scale in (scale - 1).max(0)..=(scale + 1).min(63) {
            for min in (min - 1).max(0)..=(min + 1).min(63) {
                let (step, offset) = (d * scale as f32, e * min as f32);
                let inverse = inverse(step);
                let u = levels(part, inverse, offset * inverse, 0.0, 15.0);
                let error = error(part, &w, &u, step, offset);
                if error < best.0 {
                    best = (error, u);
                    pairs[s] = (scale as u8, min as u8);
                }
            }
        }
        for (byte, u) in block[16 + s / 2 * 32..][..32].iter_mut().zip(best.1) {
            *byte = if s % 2 == 0 { u as u8 } else { *byte | (u as u8) << 4 };
        }
    }
    let (_, rest) = block.split_at_mut(4);
    k::put_six_bit_pairs(&pairs, rest.first_chunk_mut().expect("twelve of 140 bytes"));
}

pub(super) fn quantize_q6_k(x: &[f32; 256], block: &mut [u8; 210]) {
    let parts: &[[f32; 16]] = x.as_chunks().0;
    let fits: [f32; 16] = std::array::from_fn(|s| fit_scale(&parts[s], &weights(&parts[s])));
    let widest = fits.iter().fold(0.0_f32, |widest, &fit| if fit.abs() > widest.abs() { fit } else { widest });
    let d = f16::from_f32(widest / -128.0);
    block.fill(0);
    block[208..].copy_from_slice(&d.to_le_bytes());
    let d = d.to_f32();
    for (s, (part, fit)) in parts.iter().zip(fits).enumerate() {
        let w = weights(part);
        let scale = round((fit * inverse(d)).clamp(-128.0, 127.0));
        let mut best = (f32::INFINITY, 0, [0.0; 16]);
        for scale in (scale - 1).max(-128)..=(scale + 1).min(127) {
            let step = d * scale as f32;
            let u = levels(part, inverse(step), 0.0, -32.0, 31.0);
            let error = error(part, &w, &u, step, 0.0);
            if error < best.0 {
                best = (error, scale, u);
            }
        }
        block[192 + s] = best.1 as i8 as u8;
        for (i, u) in best.2.into_iter().enumerate() {
            let (u, at) = ((u as i32 + 32) as u8, 16 * s + i);
            // Of each 128 values: fields of four bits in a run of 64 bytes, of two bits in a run of 32.
            let (half, at) = (at / 128, at % 128);
            block[64 * half + at % 64] |= (u & 15) << (at / 64 * 4);
            block[128 + 32 * half + at % 32] |= (u >> 4) << (at / 32 * 2);
        }
    }
}
