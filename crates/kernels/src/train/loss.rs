//! The loss: log-probabilities of targets, and the gradient of logits.
//!
//! `log_z = max + ln(sum of exp(logit - max))`, exponentials in f32 to 2 units in the last place, summed in 32 lanes of f32; a row of
//! 50,257 logits gives `log_z` within 1e-5 of f64. Tested below.

use crate::activation::exp;
use crate::isa::Body;
use crate::simd::{LANES, Simd};

/// Vectors in flight.
const UNROLL: usize = 4;

/// `log_z` of one row.
pub(super) struct LogZ<'a>(pub(super) &'a [f32]);

impl Body for LogZ<'_> {
    type Out = f32;

    #[inline(always)]
    fn run<S: Simd>(self, s: S) -> f32 {
        let Self(logits) = self;
        let (blocks, rest) = logits.as_chunks::<{ UNROLL * LANES }>();
        let mut highest = [s.splat(f32::NEG_INFINITY); UNROLL];
        for block in blocks {
            for i in 0..UNROLL {
                highest[i] = s.max(nth(s, block, i), highest[i]);
            }
        }
        let highest = s.max(s.max(highest[0], highest[1]), s.max(highest[2], highest[3]));
        let largest = rest.iter().fold(s.max_lane(highest), |m, &x| if x > m { x } else { m });
        let centre = s.splat(largest);
        let mut sums = [s.splat(0.0); UNROLL];
        for block in blocks {
            for i in 0..UNROLL {
                sums[i] = s.add(sums[i], exp(s, s.sub(nth(s, block, i), centre)));
            }
        }
        for (i, few) in rest.chunks(LANES).enumerate() {
            let mut lanes = [f32::NEG_INFINITY; LANES];
            lanes[..few.len()].copy_from_slice(few);
            sums[i] = s.add(sums[i], exp(s, s.sub(s.vector(lanes), centre)));
        }
        let sum = s.sum(s.add(s.add(sums[0], sums[1]), s.add(sums[2], sums[3])));
        largest + sum.ln()
    }
}

/// Vector `i` of a block.
#[inline(always)]
fn nth<S: Simd>(s: S, block: &[f32; UNROLL * LANES], i: usize) -> S::F {
    assert!(i < UNROLL);
    // SAFETY: the block has UNROLL * 8 values.
    unsafe { s.load(block.as_ptr().add(i * LANES)) }
}

/// Logits of one row become `factor softmax`.
pub(super) struct Softmax<'a> {
    pub(super) logits: &'a mut [f32],
    pub(super) log_z: f32,
    pub(super) factor: f32,
}

impl Body for Softmax<'_> {
    type Out = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let Self { logits, log_z, factor } = self;
        let (centre, scale) = (s.splat(log_z), s.splat(factor));
        let (vectors, rest) = logits.as_chunks_mut::<LANES>();
        for vector in vectors {
            *vector = s.to_array(s.mul(exp(s, s.sub(s.vector(*vector), centre)), scale));
        }
        let mut lanes = [0.0; LANES];
        lanes[..rest.len()].copy_from_slice(rest);
        let last = s.to_array(s.mul(exp(s, s.sub(s.vector(lanes), centre)), scale));
        rest.copy_from_slice(&last[..rest.len()]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::isa::Isa;

    #[test]
    fn normalisers_agree_with_f64_at_odd_widths_and_large_logits() {
        for isa in Isa::available() {
            for width in [1, 3, 7, 8, 31, 33, 97, 50_257] {
                for offset in [0.0, -200.0, 90.0] {
                    let logits: Vec<f32> = (0..width).map(|i| (i as f32 * 0.37).sin() * 8.0 + offset).collect();
                    let largest = logits.iter().copied().fold(f32::MIN, f32::max);
                    let sum: f64 = logits.iter().map(|&l| f64::from(l - largest).exp()).sum();
                    let wanted = f64::from(largest) + sum.ln();
                    let log_z = isa.run(LogZ(&logits));
                    assert!((f64::from(log_z) - wanted).abs() < 1e-5 + 1e-7 * wanted.abs(), "{isa} {width}: {log_z}");
                    let mut shares = logits.clone();
                    isa.run(Softmax { logits: &mut shares, log_z, factor: -2.0 });
                    for (share, logit) in shares.iter().zip(&logits) {
                        let wanted = -2.0 * (f64::from(*logit) - wanted).exp();
                        assert!((f64::from(*share) - wanted).abs() < 2e-5 * wanted.abs() + 1e-30);
                    }
                }
            }
        }
    }
}
