//! How far a converted model is from the exact one, on real tokens.

use crate::language_model::{LanguageModel, ModelError, Run, Want};

/// Rows of logits compared at a time: bounds the memory, two vocabularies wide.
const ROWS: usize = 64;

/// What was measured, over all positions that have a next token.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Fidelity {
    /// Positions compared.
    pub positions: usize,
    /// Mean negative log-likelihood of the next token under the exact model, in nats.
    pub exact_nll: f64,
    /// The same under the other.
    pub nll: f64,
    /// Mean Kullback-Leibler divergence of the other's distribution from the exact one, in nats.
    pub kl_divergence: f64,
    /// The largest divergence at one position.
    pub worst_kl_divergence: f64,
    /// Share of positions at which both find the same token likeliest.
    pub top_1_agreement: f64,
}

impl Fidelity {
    /// Nats per token lost.
    pub fn delta_nll(&self) -> f64 {
        self.nll - self.exact_nll
    }
}

/// Compares two models over windows of tokens, each on its own. `done` is told the tokens compared so far.
///
/// # Errors
/// If one is a classifier, or fails.
pub fn fidelity(
    exact: &mut dyn LanguageModel,
    other: &mut dyn LanguageModel,
    windows: &[&[u32]],
    done: &mut dyn FnMut(usize),
) -> Result<Fidelity, ModelError> {
    if exact.spec().classifier.is_some() || other.spec().classifier.is_some() {
        return Err(ModelError::Classifier);
    }
    let vocab = exact.spec().vocab.min(other.spec().vocab);
    let (vocab_a, vocab_b) = (exact.spec().vocab, other.spec().vocab);
    let mut sum = Sums::default();
    let (mut a, mut b) = (Vec::new(), Vec::new());
    for window in windows {
        let sequences = (exact.open(), other.open());
        for (i, piece) in window.chunks(ROWS).enumerate() {
            exact.forward(&[Run::tokens(sequences.0, piece, Want::All)], &mut a)?;
            other.forward(&[Run::tokens(sequences.1, piece, Want::All)], &mut b)?;
            for (j, (a, b)) in a.chunks(vocab_a).zip(b.chunks(vocab_b)).enumerate() {
                if let Some(&next) = window.get(i * ROWS + j + 1) {
                    sum.add(&a[..vocab], &b[..vocab], next as usize);
                }
            }
            done(sum.positions);
        }
        exact.close(sequences.0);
        other.close(sequences.1);
    }
    Ok(sum.mean())
}

#[derive(Default)]
struct Sums {
    positions: usize,
    exact_nll: f64,
    nll: f64,
    divergence: f64,
    worst: f64,
    agree: usize,
}

impl Sums {
    fn add(&mut self, a: &[f32], b: &[f32], next: usize) {
        let (lse_a, lse_b) = (logsumexp(a), logsumexp(b));
        let log_p = |x: f32, lse: f64| f64::from(x) - lse;
        let divergence: f64 =
            a.iter().zip(b).map(|(&a, &b)| log_p(a, lse_a).exp() * (log_p(a, lse_a) - log_p(b, lse_b))).sum();
        self.positions += 1;
        self.exact_nll -= log_p(a[next], lse_a);
        self.nll -= log_p(b[next], lse_b);
        self.divergence += divergence;
        self.worst = self.worst.max(divergence);
        self.agree += usize::from(argmax(a) == argmax(b));
    }

    fn mean(&self) -> Fidelity {
        let n = self.positions.max(1) as f64;
        Fidelity {
            positions: self.positions,
            exact_nll: self.exact_nll / n,
            nll: self.nll / n,
            kl_divergence: self.divergence / n,
            worst_kl_divergence: self.worst,
            top_1_agreement: self.agree as f64 / n,
        }
    }
}

fn logsumexp(logits: &[f32]) -> f64 {
    let max = f64::from(logits.iter().copied().fold(f32::NEG_INFINITY, f32::max));
    max + logits.iter().map(|&x| (f64::from(x) - max).exp()).sum::<f64>().ln()
}

fn argmax(logits: &[f32]) -> usize {
    let mut best = 0;
    for (i, &x) in logits.iter().enumerate() {
        if x > logits[best] {
            best = i;
        }
    }
    best
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_model_is_no_distance_from_itself_and_a_flat_one_is_far() {
        let mut same = Sums::default();
        same.add(&[1.0, 2.0, 3.0], &[1.5, 2.5, 3.5], 2);
        let same = same.mean();
        assert!(same.kl_divergence.abs() < 1e-12 && same.delta_nll().abs() < 1e-12, "a shift of all logits is nothing");
        let mut flat = Sums::default();
        flat.add(&[9.0, 0.0, 0.0], &[0.0, 0.0, 1e-9], 0);
        let flat = flat.mean();
        assert!(flat.kl_divergence > 1.0 && flat.top_1_agreement == 0.0);
        assert!((flat.nll - 3f64.ln()).abs() < 1e-6);
    }
}
