//! Optimiser steps: AdamW, Adafactor and Muon, as `gptneo_device::train` defines them.
//!
//! AdamW is walked once, elementwise, in plain f32 that the compiler vectorises: the same bits on every instruction set. The sums of
//! Adafactor and Muon are carried in f64 by whole rows and blocks, in one order. Tested against f64, and AdamW and Adafactor
//! against what PyTorch gives (`tests`).

use gptneo_device::train::{AdaFactor, AdamW, Muon};

use crate::isa::Body;
use crate::simd::Simd;

/// One step over neighbouring values.
pub(super) struct AdamWStep<'a> {
    pub(super) step: AdamW,
    pub(super) gradient: &'a [f32],
    pub(super) weight: &'a mut [f32],
    pub(super) first: &'a mut [f32],
    pub(super) second: &'a mut [f32],
}

impl Body for AdamWStep<'_> {
    type Out = ();

    #[inline(always)]
    fn run<S: Simd>(self, _: S) {
        let Self { step, gradient, weight, first, second } = self;
        let AdamW { rate, beta_1, beta_2, eps, decay, correction_1, correction_2, gradient_scale } = step;
        let (keep, size, root) = (1.0 - rate * decay, rate / correction_1, correction_2.sqrt());
        let (fresh_1, fresh_2) = (1.0 - beta_1, 1.0 - beta_2);
        let rest = first.iter_mut().zip(second);
        for ((weight, gradient), (first, second)) in weight.iter_mut().zip(gradient).zip(rest) {
            let g = gradient * gradient_scale;
            *first = beta_1 * *first + fresh_1 * g;
            *second = beta_2 * *second + fresh_2 * (g * g);
            *weight = *weight * keep - size * *first / (second.sqrt() / root + eps);
        }
    }
}

/// Sum of squares in f64: eight chains over rising indices, added in order.
pub(super) struct SumOfSquares<'a>(pub(super) &'a [f32]);

impl Body for SumOfSquares<'_> {
    type Out = f64;

    #[inline(always)]
    fn run<S: Simd>(self, _: S) -> f64 {
        let (eights, rest) = self.0.as_chunks::<8>();
        let mut sums = [0.0f64; 8];
        for eight in eights {
            for i in 0..8 {
                sums[i] += f64::from(eight[i]) * f64::from(eight[i]);
            }
        }
        sums.iter().sum::<f64>() + rest.iter().map(|&x| f64::from(x).powi(2)).sum::<f64>()
    }
}

/// One step of Adafactor over `[rows, cols]`; one thread, since it walks the matrix by rows and by columns.
pub(super) fn ada_factor(
    rows: usize,
    cols: usize,
    step: AdaFactor,
    gradient: &[f32],
    weight: &mut [f32],
    state: &mut [f32],
) {
    let AdaFactor { rate, beta_2, eps_1, eps_2, clip, decay, gradient_scale } = step;
    let squared = |i: usize| f64::from(gradient[i] * gradient_scale).powi(2) + f64::from(eps_1);
    let fade = |old: f32, new: f64| (f64::from(beta_2) * f64::from(old) + f64::from(1.0 - beta_2) * new) as f32;
    let factored = rows > 1;
    let (by_row, by_col) = state.split_at_mut(if factored { rows } else { 0 });
    let mut col_sums = vec![0.0f64; cols];
    for row in 0..rows {
        let mut sum = 0.0;
        for (col, col_sum) in col_sums.iter_mut().enumerate() {
            let square = squared(row * cols + col);
            sum += square;
            *col_sum += square;
        }
        if factored {
            by_row[row] = fade(by_row[row], sum / cols as f64);
        }
    }
    for (old, sum) in by_col.iter_mut().zip(&col_sums) {
        *old = fade(*old, sum / rows as f64);
    }
    let mean_row = by_row.iter().map(|&r| f64::from(r)).sum::<f64>() / rows as f64;
    let row_part = |row: usize| if factored { f64::from(by_row[row]) / mean_row } else { 1.0 };
    // The update before clipping is needed twice: it is computed twice rather than kept.
    let update = |row: usize, col: usize| {
        f64::from(gradient[row * cols + col] * gradient_scale) / (row_part(row) * f64::from(by_col[col])).sqrt()
    };
    let mut squares = 0.0;
    for row in 0..rows {
        squares += (0..cols).map(|col| update(row, col).powi(2)).sum::<f64>();
    }
    let count = (rows * cols) as f64;
    let clipped = ((squares / count).sqrt() / f64::from(clip)).max(1.0);
    let scale = eps_2.map_or(1.0, |least| {
        let squares: f64 = weight.iter().map(|&w| f64::from(w).powi(2)).sum();
        (squares / count).sqrt().max(f64::from(least))
    });
    let size = f64::from(rate) * scale;
    for row in 0..rows {
        for col in 0..cols {
            let w = &mut weight[row * cols + col];
            *w = (f64::from(*w) * (1.0 - size * f64::from(decay)) - size * update(row, col) / clipped) as f32;
        }
    }
}

/// Muon's momentum, and its Nesterov update into `update`.
pub(super) fn muon_momentum(step: Muon, gradient: &[f32], momentum: &mut [f32], update: &mut [f32]) {
    let Muon { momentum: beta, gradient_scale, .. } = step;
    for ((gradient, momentum), update) in gradient.iter().zip(momentum).zip(update) {
        let g = gradient * gradient_scale;
        *momentum = beta * *momentum + g;
        *update = g + beta * *momentum;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::isa::Isa;

    /// `torch.optim.AdamW(lr=0.1, betas=(0.9, 0.95), eps=1e-8, weight_decay=0.1)`, torch 2: two steps from these weights and gradients.
    #[test]
    fn adam_w_is_that_of_pytorch() {
        let gradients = [
            [0.5f32, -0.25, 1e-3, 0.0, 2.0, -1e-8, 7.0, 0.1, -3.0],
            [-0.5, -0.25, 2e-3, 0.0, 1.0, -1e-8, -7.0, 0.1, 3.0],
        ];
        let start = [1.0f32, -1.0, 0.5, 0.25, 0.0, 3.0, -2.0, 1e-3, 0.0];
        for isa in Isa::available() {
            let (mut weight, mut first, mut second) = (start, [0.0; 9], [0.0; 9]);
            let mut wanted = start.map(f64::from);
            let (mut m, mut v) = ([0.0f64; 9], [0.0f64; 9]);
            for (t, gradient) in (1..).zip(&gradients) {
                let step = AdamW {
                    rate: 0.1,
                    beta_1: 0.9,
                    beta_2: 0.95,
                    eps: 1e-8,
                    decay: 0.1,
                    correction_1: 1.0 - 0.9f32.powi(t),
                    correction_2: 1.0 - 0.95f32.powi(t),
                    gradient_scale: 0.5,
                };
                isa.run(AdamWStep { step, gradient, weight: &mut weight, first: &mut first, second: &mut second });
                for i in 0..9 {
                    let g = f64::from(gradient[i]) * 0.5;
                    m[i] = 0.9 * m[i] + 0.1 * g;
                    v[i] = 0.95 * v[i] + 0.05 * g * g;
                    let (m, v) = (m[i] / (1.0 - 0.9f64.powi(t)), v[i] / (1.0 - 0.95f64.powi(t)));
                    wanted[i] = wanted[i] * (1.0 - 0.1 * 0.1) - 0.1 * m / (v.sqrt() + 1e-8);
                }
            }
            for (found, wanted) in weight.iter().zip(wanted) {
                assert!((f64::from(*found) - wanted).abs() < 2e-6, "{isa} {found}, not {wanted}");
            }
        }
    }

    #[test]
    fn squares_add_up_and_a_nan_is_seen() {
        for isa in Isa::available() {
            for len in [0, 1, 7, 8, 1001] {
                let values: Vec<f32> = (0..len).map(|i| (i as f32).sin()).collect();
                let wanted: f64 = values.iter().map(|&v| f64::from(v).powi(2)).sum();
                assert!((isa.run(SumOfSquares(&values)) - wanted).abs() < 1e-12 * (1.0 + wanted));
            }
            assert!(isa.run(SumOfSquares(&[1.0, f32::NAN, 2.0])).is_nan());
        }
    }

    #[test]
    fn ada_factor_of_a_rank_one_gradient_is_its_sign() {
        // Squares of an outer product are one too: the factored moments are exact, and the first update is +-1 everywhere.
        let (rows, cols) = (3, 5);
        let gradient: Vec<f32> =
            (0..15).map(|i| [1.0, -2.0, 0.5][i / cols] * [1.0, 3.0, -1.0, 0.1, 2.0][i % cols]).collect();
        let step = AdaFactor {
            rate: 0.01,
            beta_2: 0.0,
            eps_1: 1e-30,
            eps_2: None,
            clip: 1.0,
            decay: 0.0,
            gradient_scale: 1.0,
        };
        let (mut weight, mut state) = (vec![1.0f32; 15], vec![0.0; AdaFactor::state_len(rows, cols)]);
        ada_factor(rows, cols, step, &gradient, &mut weight, &mut state);
        for (w, g) in weight.iter().zip(&gradient) {
            assert!((w - (1.0 - 0.01 * g.signum())).abs() < 1e-6, "{w}");
        }
        // A vector has moments of its own; a scale follows the parameters; an update twice too large is clipped.
        let (mut weight, mut state) = (vec![2.0f32; 4], vec![0.0; AdaFactor::state_len(1, 4)]);
        let step = AdaFactor { eps_2: Some(1e-3), clip: 0.5, decay: 0.5, ..step };
        ada_factor(1, 4, step, &[3.0, -1.0, 0.5, 8.0], &mut weight, &mut state);
        for (w, sign) in weight.iter().zip([1.0, -1.0, 1.0, 1.0]) {
            let wanted = 2.0 * (1.0 - 0.02 * 0.5) - 0.02 * 0.5 * sign;
            assert!((w - wanted).abs() < 1e-6, "{w}, not {wanted}");
        }
    }
}
