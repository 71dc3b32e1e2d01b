//! Layer normalisation over the last axis.
//!
//! For each row `x` of width `C`: `y = (x - mean) * rstd * gain + bias`, `rstd = 1 / sqrt(var + eps)`, `var` biased. Two
//! passes, sums in f32 over 32 lanes. Every wide version agrees with [`reference()`] to `4e-6` relative to the largest
//! output.

use crate::isa::{Body, Isa};
use crate::simd::{LANES, Simd};

/// The specification, in f64.
#[cfg(test)]
fn reference(x: &[f32], gain: &[f32], bias: &[f32], eps: f32, y: &mut [f32]) {
    let count = x.len() as f64;
    let mean = x.iter().map(|&x| f64::from(x)).sum::<f64>() / count;
    let var = x.iter().map(|&x| (f64::from(x) - mean).powi(2)).sum::<f64>() / count;
    let rstd = 1.0 / (var + f64::from(eps)).sqrt();
    for i in 0..x.len() {
        y[i] = ((f64::from(x[i]) - mean) * rstd * f64::from(gain[i]) + f64::from(bias[i])) as f32;
    }
}

/// One row.
pub(crate) struct NormRow<'a> {
    /// `[C]`.
    pub(crate) x: &'a [f32],
    /// `[C]`.
    pub(crate) gain: &'a [f32],
    /// `[C]`.
    pub(crate) bias: &'a [f32],
    /// Added to the variance.
    pub(crate) eps: f32,
    /// `[C]`.
    pub(crate) y: &'a mut [f32],
}

/// Normalises one row; its mean and `rstd`.
///
/// # Panics
/// If the lengths differ.
pub(crate) fn norm(isa: Isa, row: NormRow<'_>) -> [f32; 2] {
    let width = row.x.len();
    assert!(
        row.gain.len() == width && row.bias.len() == width && row.y.len() == width,
        "norm over {width} channels: gain {}, bias {}, output {}",
        row.gain.len(),
        row.bias.len(),
        row.y.len()
    );
    isa.run(row)
}

/// Vectors in flight in the sums.
const UNROLL: usize = 4;

impl Body for NormRow<'_> {
    type Out = [f32; 2];

    #[inline(always)]
    fn run<S: Simd>(self, s: S) -> [f32; 2] {
        let Self { x, gain, bias, eps, y } = self;
        let width = x.len();
        let count = width as f32;
        let mean = sum(s, x, |x| x) / count;
        let centre = s.splat(mean);
        let variance = centred_squares(s, x, mean) / count;
        let rstd = 1.0 / (variance + eps).sqrt();
        let scale = s.splat(rstd);
        let whole = width - width % LANES;
        for at in (0..whole).step_by(LANES) {
            // SAFETY: at + 8 <= width, the length of all four.
            unsafe {
                let centred = s.sub(s.load(x.as_ptr().add(at)), centre);
                let scaled = s.mul(centred, scale);
                let out = s.fma(scaled, s.load(gain.as_ptr().add(at)), s.load(bias.as_ptr().add(at)));
                s.store(y.as_mut_ptr().add(at), out);
            }
        }
        let rest = width - whole;
        if rest > 0 {
            // SAFETY: `rest` values remain in all four.
            unsafe {
                let centred = s.sub(s.load_part(x.as_ptr().add(whole), rest), centre);
                let gain = s.load_part(gain.as_ptr().add(whole), rest);
                let bias = s.load_part(bias.as_ptr().add(whole), rest);
                let out = s.fma(s.mul(centred, scale), gain, bias);
                s.store_part(y.as_mut_ptr().add(whole), out, rest);
            }
        }
        [mean, rstd]
    }
}

/// Sum of `f(x)` over the row; `f(0)` must be 0 where the width is ragged.
#[inline(always)]
fn sum<S: Simd>(s: S, x: &[f32], f: impl Fn(S::F) -> S::F) -> f32 {
    let mut sums = [s.splat(0.0); UNROLL];
    let (blocks, rest) = x.as_chunks::<{ UNROLL * LANES }>();
    for block in blocks {
        for i in 0..UNROLL {
            // SAFETY: the block has UNROLL * 8 values.
            sums[i] = s.add(sums[i], f(unsafe { s.load(block.as_ptr().add(i * LANES)) }));
        }
    }
    let (vectors, rest) = rest.as_chunks::<LANES>();
    for (i, vector) in vectors.iter().enumerate() {
        sums[i] = s.add(sums[i], f(s.vector(*vector)));
    }
    let mut total = s.add(s.add(sums[0], sums[1]), s.add(sums[2], sums[3]));
    if !rest.is_empty() {
        // SAFETY: `rest` is a slice of fewer than 8.
        total = s.add(total, f(unsafe { s.load_part(rest.as_ptr(), rest.len()) }));
    }
    s.sum(total)
}

/// Sum of `(x - mean)^2` over the row.
#[inline(always)]
fn centred_squares<S: Simd>(s: S, x: &[f32], mean: f32) -> f32 {
    let centre = s.splat(mean);
    let whole = x.len() - x.len() % LANES;
    let squares = sum(s, &x[..whole], |x| {
        let centred = s.sub(x, centre);
        s.mul(centred, centred)
    });
    // A padded lane would count mean^2: the ragged tail is summed by itself.
    squares + x[whole..].iter().map(|x| (x - mean) * (x - mean)).sum::<f32>()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(width: usize, scale: f32, shift: f32) {
        let x: Vec<f32> = (0..width).map(|i| (i as f32 * 1.3).sin() * scale + shift).collect();
        let gain: Vec<f32> = (0..width).map(|i| 1.0 + (i as f32).cos() * 0.3).collect();
        let bias: Vec<f32> = (0..width).map(|i| (i as f32 * 0.1).sin()).collect();
        let mut wanted = vec![0.0; width];
        reference(&x, &gain, &bias, 1e-5, &mut wanted);
        let largest = wanted.iter().fold(1.0f32, |m, y| m.max(y.abs()));
        for isa in Isa::available() {
            let mut y = vec![0.0; width];
            norm(isa, NormRow { x: &x, gain: &gain, bias: &bias, eps: 1e-5, y: &mut y });
            for (y, wanted) in y.iter().zip(&wanted) {
                assert!((y - wanted).abs() <= 4e-6 * largest, "{isa} width {width}: {y}, not {wanted}");
            }
        }
    }

    #[test]
    fn agrees_with_the_reference_at_odd_widths() {
        for width in [1, 3, 4, 7, 8, 23, 31, 33, 64, 512, 768, 1001] {
            check(width, 1.0, 0.0);
            check(width, 40.0, 3.0);
        }
    }

    #[test]
    fn a_large_mean_does_not_leak_into_the_variance() {
        check(8, 1.0, 8.0);
        check(13, 1.0, 8.0);
    }
}
