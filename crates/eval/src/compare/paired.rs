//! The difference of two scores over the same documents.
//!
//! The bootstrap is Efron's with percentiles, as Koehn has it for translations ("Statistical significance tests for machine translation
//! evaluation", EMNLP 2004); the other test is McNemar's, exact ("Note on the sampling error of the difference between correlated
//! proportions", Psychometrika 12, 1947).

use serde::Serialize;

use crate::aggregate::{Aggregation, Measure, resampled};
use crate::review::resample::quantile;

/// Standard errors on either side of a value that hold 95 % of a normal distribution.
pub(crate) const Z95: f64 = 1.959_963_984_540_054;

/// A difference over paired documents.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Paired {
    /// Of A, over the paired documents.
    pub paired_a: f64,
    /// Of B.
    pub paired_b: f64,
    /// B less A.
    pub difference: f64,
    /// From the 2.5th to the 97.5th percentile of the difference over resamples.
    pub interval: [f64; 2],
    /// Twice the share of resamples, the found difference counted as one of them, on the rarer side of no difference.
    pub p: f64,
    /// What was paired: documents, or questions where several documents are parts of one.
    pub count: usize,
    /// In how many B is better; more counts as better where that is not known.
    pub wins: usize,
    /// In how many neither is.
    pub ties: usize,
    /// In how many A is better.
    pub losses: usize,
    /// Where documents are right or wrong: McNemar's exact test.
    pub mcnemar: Option<McNemar>,
    /// Resamples that have no such score.
    pub left_out: usize,
}

/// What became of documents that one has right and the other wrong.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct McNemar {
    /// A has it right, B wrong.
    pub only_a: usize,
    /// B has it right, A wrong.
    pub only_b: usize,
    /// How probable a split so uneven, either way, would be if each were as likely to be the one.
    pub p: f64,
}

impl Paired {
    /// Of measures of the same documents in the same order.
    pub(crate) fn of(
        aggregation: Aggregation,
        measures: &[Vec<Measure>; 2],
        higher_is_better: bool,
        resamples: usize,
    ) -> Result<Self, String> {
        let [a, b] = [&measures[0], &measures[1]].map(|side| aggregation.statistic(side, higher_is_better));
        let (a, b) = (a?, b?);
        let count = a.units();
        if count != b.units() {
            return Err("questions have other parts on the one side than on the other".to_owned());
        }
        if count < 2 {
            return Err(format!("{count} paired documents are too few"));
        }
        let (paired_a, paired_b) = (a.whole(), b.whole());
        let difference = paired_b - paired_a;
        if !difference.is_finite() {
            return Err("the difference is no finite number".to_owned());
        }
        let mut drawn = resampled(count, resamples.max(1), &|places| b.of(places) - a.of(places));
        let all = drawn.len();
        drawn.retain(|difference| difference.is_finite());
        if drawn.len() * 2 < all {
            return Err("most resamples have no such score".to_owned());
        }
        drawn.sort_by(f64::total_cmp);
        let side = |beyond: &dyn Fn(f64) -> bool| drawn.iter().filter(|&&difference| beyond(difference)).count() + 1;
        let rarer = side(&|difference| difference <= 0.0).min(side(&|difference| difference >= 0.0));
        let better = a.goodness.iter().zip(&b.goodness);
        let wins = better.clone().filter(|(a, b)| b > a).count();
        let losses = better.filter(|(a, b)| b < a).count();
        let mcnemar = a.right.zip(b.right).map(|(a, b)| {
            let alone =
                |one: &[bool], other: &[bool]| one.iter().zip(other).filter(|(one, other)| **one && !**other).count();
            McNemar::of(alone(&a, &b), alone(&b, &a))
        });
        Ok(Self {
            paired_a,
            paired_b,
            difference,
            interval: [quantile(&drawn, 0.025), quantile(&drawn, 0.975)],
            p: (2.0 * rarer as f64 / (drawn.len() + 1) as f64).min(1.0),
            count,
            wins,
            ties: count - wins - losses,
            losses,
            mcnemar,
            left_out: all - drawn.len(),
        })
    }
}

impl McNemar {
    /// Of so many that only one has right: the binomial distribution with one half, both tails.
    pub(crate) fn of(only_a: usize, only_b: usize) -> Self {
        let (all, fewer) = (only_a + only_b, only_a.min(only_b));
        let mut term = -(all as f64) * std::f64::consts::LN_2;
        let mut logs = vec![term];
        for k in 1..=fewer {
            term += ((all - k + 1) as f64 / k as f64).ln();
            logs.push(term);
        }
        // The last is the largest: `fewer` is at most half of all.
        let sum: f64 = logs.iter().map(|log| (log - term).exp()).sum();
        Self { only_a, only_b, p: (2.0 * (term + sum.ln()).exp()).min(1.0) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mcnemar_is_the_binomial_test() {
        // scipy.stats.binomtest(min(b, c), b + c, 0.5).pvalue
        let wanted = [
            (0, 0, 1.0),
            (1, 0, 1.0),
            (0, 5, 0.0625),
            (3, 9, 0.145_996_093_75),
            (12, 30, 0.007_915_897_334_896_727),
            (5, 5, 1.0),
            (400, 500, 0.000_956_444_136_918_937_3),
            (30_000, 30_700, 0.004_551_381_101_499_753),
        ];
        for (a, b, p) in wanted {
            let found = McNemar::of(a, b).p;
            assert!((found - p).abs() < 1e-9 * p, "{a} {b}: {found} {p}");
            assert_eq!(McNemar::of(b, a).p, found);
        }
    }

    #[test]
    fn percentiles_are_numpys() {
        let numbers = [1.0, 2.0, 4.0, 8.0];
        assert_eq!([0.0, 0.025, 0.5, 1.0].map(|share| quantile(&numbers, share)), [1.0, 1.075, 3.0, 8.0]);
    }

    #[test]
    fn a_difference_has_its_interval_and_wins() {
        let right = |one: fn(usize) -> bool| (0..40).map(|at| Measure::Number(f64::from(u8::from(one(at))))).collect();
        let measures = [right(|at| at % 2 == 0), right(|at| at % 2 == 0 || at % 5 == 1)];
        let found = Paired::of(Aggregation::Mean, &measures, true, 10_000).unwrap();
        // Of 40, 20 and 24 are right: those of 1, 11, 21, 31 are B's alone.
        assert_eq!((found.paired_a, found.paired_b, found.wins, found.ties, found.losses), (0.5, 0.6, 4, 36, 0));
        assert_eq!(found.mcnemar, Some(McNemar { only_a: 0, only_b: 4, p: 0.125 }));
        // The difference of a resample is a binomial count of 40 with 0.1, over 40: its 2.5th percentile is 1, the 97.5th 8.
        assert!((found.interval[0] - 0.025).abs() < 1e-12 && (found.interval[1] - 0.2).abs() < 1e-12, "{found:?}");
        // None of the four is drawn with probability 0.9^40 = 0.0148; twice that.
        assert!((found.p - 0.0296).abs() < 0.006, "{}", found.p);
        let same = Paired::of(Aggregation::Mean, &[measures[0].clone(), measures[0].clone()], true, 1000).unwrap();
        assert_eq!((same.difference, same.interval, same.p, same.ties), (0.0, [0.0, 0.0], 1.0, 40));
    }

    #[test]
    fn the_interval_of_a_perplexity_is_that_of_its_own_draws() {
        // One model is twice as sure of every document: the ratio of perplexities is e^0.7 in every draw.
        let measures = |more: f64| (0..25).map(|at| Measure::Number(-2.0 - more - f64::from(at % 5) / 4.0)).collect();
        let found = Paired::of(Aggregation::Perplexity, &[measures(0.7), measures(0.0)], false, 2000).unwrap();
        assert!(found.interval[0] < found.difference && found.difference < found.interval[1]);
        assert!(found.interval[1] < 0.0 && found.wins == 25, "{found:?}");
        assert!((found.paired_a / found.paired_b - 0.7_f64.exp()).abs() < 1e-12);
        assert!(
            Paired::of(Aggregation::Mean, &[measures(0.0)[..1].to_vec(), measures(0.0)[..1].to_vec()], true, 9)
                .is_err()
        );
    }
}
