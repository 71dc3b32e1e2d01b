//! BLEU: how many of the n-grams of a text are in its references, for 1 to 4 words (Papineni et al., 2002).
//!
//! `score = bp * exp(mean(ln p_n))`, `p_n` the percentage of n-grams that match and `bp = exp(1 - r / h)` where the text is
//! shorter than the references. Counts are whole numbers and add up; all else is f64. Definition: `sacrebleu` 2.6, held
//! against it in `tests/similarity.rs`.

use std::borrow::Cow;
use std::ops::AddAssign;

use super::error::Result;
use super::grams::Grams;
use super::tokenize::Tokenizer;
use super::words::Numbers;
use super::{CorpusMetric, SimilarityError, comparable};

/// The longest n-gram.
const ORDERS: usize = 4;

/// What a percentage of zero counts as in a mean of logarithms.
const LOG_OF_ZERO: f64 = -9_999_999_999.0;

/// What an n-gram order without a match counts (Chen and Cherry, 2014).
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Smoothing {
    /// Nothing: the score is 0.
    None,
    /// So many matches; 0.1 is usual.
    Floor(f64),
    /// So many are added to the matches and the n-grams of orders above 1; 1 is usual.
    AddK(f64),
    /// Half a match, then a quarter, and so on for each order without one.
    Exponential,
}

/// What BLEU is to be. The default is that of `sacrebleu`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct BleuOptions {
    /// What a word is.
    pub tokenizer: Tokenizer,
    /// Whether case is ignored.
    pub lowercase: bool,
    /// What an order without a match counts.
    pub smoothing: Smoothing,
    /// Whether orders for which the text is too short are left out, as is right for single sentences.
    pub effective_order: bool,
}

impl Default for BleuOptions {
    fn default() -> Self {
        Self {
            tokenizer: Tokenizer::Mteval13a,
            lowercase: false,
            smoothing: Smoothing::Exponential,
            effective_order: false,
        }
    }
}

/// The BLEU metric.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Bleu {
    options: BleuOptions,
}

/// What a document gives to BLEU.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct BleuStatistics {
    /// Words of the hypothesis.
    pub hypothesis_len: u64,
    /// Words of the reference whose length is closest, the shorter of two.
    pub reference_len: u64,
    /// N-grams of 1 to 4 words that match.
    pub matches: [u64; ORDERS],
    /// N-grams of 1 to 4 words of the hypothesis.
    pub totals: [u64; ORDERS],
}

/// BLEU with what it is made of.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct BleuScore {
    /// 0 to 100.
    pub score: f64,
    /// Smoothed percentages of matching n-grams of 1 to 4 words. All are 0 where nothing matches.
    pub precisions: [f64; ORDERS],
    /// 0 to 1: below 1 where the hypotheses are shorter than the references.
    pub brevity_penalty: f64,
    /// Words of the hypotheses.
    pub hypothesis_len: u64,
    /// Words of the references.
    pub reference_len: u64,
}

impl Bleu {
    /// BLEU with these options.
    ///
    /// # Errors
    /// [`SimilarityError::Smoothing`] for a value below 0, or none.
    pub fn new(options: BleuOptions) -> Result<Self> {
        match options.smoothing {
            Smoothing::Floor(value) | Smoothing::AddK(value) if !(value.is_finite() && value >= 0.0) => {
                Err(SimilarityError::Smoothing { value })
            }
            _ => Ok(Self { options }),
        }
    }

    /// The score of a sum, with its parts.
    pub fn detail(&self, sum: &BleuStatistics) -> BleuScore {
        let BleuStatistics { hypothesis_len, reference_len, .. } = *sum;
        let brevity_penalty = match (hypothesis_len, reference_len) {
            (h, r) if h >= r => 1.0,
            (0, _) => 0.0,
            (h, r) => (1.0 - r as f64 / h as f64).exp(),
        };
        let unmatched =
            BleuScore { score: 0.0, precisions: [0.0; ORDERS], brevity_penalty, hypothesis_len, reference_len };
        if sum.matches == [0; ORDERS] {
            return unmatched;
        }
        let mut precisions = [0.0; ORDERS];
        let mut orders = ORDERS;
        let mut halved = 1.0;
        for (at, precision) in precisions.iter_mut().enumerate() {
            let added = match self.options.smoothing {
                Smoothing::AddK(k) if at > 0 => k,
                _ => 0.0,
            };
            let matches = sum.matches[at] as f64 + added;
            let total = sum.totals[at] as f64 + added;
            if total == 0.0 {
                break;
            }
            if self.options.effective_order {
                orders = at + 1;
            }
            let counted = match self.options.smoothing {
                Smoothing::Exponential if matches == 0.0 => {
                    halved *= 2.0;
                    1.0 / halved
                }
                Smoothing::Floor(value) if matches == 0.0 => value,
                _ => matches,
            };
            *precision = 100.0 * counted / total;
        }
        let log = |p: f64| if p == 0.0 { LOG_OF_ZERO } else { p.ln() };
        let mean = precisions[..orders].iter().map(|p| log(*p)).sum::<f64>() / orders as f64;
        BleuScore { score: brevity_penalty * mean.exp(), precisions, ..unmatched }
    }

    fn words<'a>(&self, text: &'a str) -> Cow<'a, str> {
        if self.options.lowercase {
            return Cow::Owned(self.options.tokenizer.spaced(&text.to_lowercase()).into_owned());
        }
        self.options.tokenizer.spaced(text)
    }
}

impl CorpusMetric for Bleu {
    type Statistics = BleuStatistics;

    fn statistics(&self, hypothesis: &str, references: &[&str]) -> Result<BleuStatistics> {
        comparable(hypothesis, references)?;
        let hypothesis = self.words(hypothesis);
        let references: Vec<Cow<str>> = references.iter().map(|reference| self.words(reference)).collect();
        let mut numbers = Numbers::default();
        let hypothesis = Grams::of_words(&numbers.of_words(&hypothesis));
        let references: Vec<Grams> =
            references.iter().map(|reference| Grams::of_words(&numbers.of_words(reference))).collect();
        let references: Vec<&Grams> = references.iter().collect();

        let hypothesis_len = hypothesis.count(1);
        let lengths = references.iter().map(|reference| reference.count(1));
        let reference_len = lengths.min_by_key(|len| (len.abs_diff(hypothesis_len), *len)).unwrap_or(0);
        Ok(BleuStatistics {
            hypothesis_len,
            reference_len,
            matches: std::array::from_fn(|at| hypothesis.clipped(&references, at + 1)),
            totals: std::array::from_fn(|at| hypothesis.count(at + 1)),
        })
    }

    fn score(&self, sum: &BleuStatistics) -> f64 {
        self.detail(sum).score
    }
}

impl AddAssign for BleuStatistics {
    fn add_assign(&mut self, other: Self) {
        self.hypothesis_len += other.hypothesis_len;
        self.reference_len += other.reference_len;
        for at in 0..ORDERS {
            self.matches[at] += other.matches[at];
            self.totals[at] += other.totals[at];
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refuses_a_value_that_smooths_nothing() {
        for value in [-0.1, f64::NAN, f64::INFINITY] {
            for smoothing in [Smoothing::Floor(value), Smoothing::AddK(value)] {
                let refused = Bleu::new(BleuOptions { smoothing, ..BleuOptions::default() });
                assert!(matches!(refused, Err(SimilarityError::Smoothing { .. })), "{smoothing:?}");
            }
        }
    }

    #[test]
    fn no_documents_score_nothing() {
        let bleu = Bleu::new(BleuOptions::default()).unwrap();
        assert_eq!(bleu.score(&BleuStatistics::default()), 0.0);
        assert_eq!(bleu.statistics("a", &[]), Err(SimilarityError::NoReference));
    }
}
