//! How far judges agree: Krippendorff's alpha.
//!
//! A unit is what several judges gave a value: an item for preferences, a text of an item for scores. Within a unit with `m`
//! values each ordered pair of values counts `1 / (m - 1)`; units with fewer than two values do not count. Of the table
//! `o[c][k]` of these counts, with row sums `n[c]` that add up to `n`:
//!
//! `alpha = 1 - (n - 1) * sum(o[c][k] * d(c, k)) / sum(n[c] * n[k] * d(c, k))`
//!
//! where `d` is the squared difference of two values: nominal 1 unless they are the same; interval `(c - k)^2`; ordinal
//! `(n[c] / 2 + n[c + 1] + ... + n[k] / 2)^2`. Missing values are simply not there. 1 is perfect agreement, 0 what chance
//! gives, less than 0 systematic disagreement.
//!
//! Krippendorff, "Computing Krippendorff's alpha-reliability", 2011; "Content analysis", chapter 12.

use serde::Serialize;

use super::error::{Result, ReviewError, setting};

/// How the difference of two values is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Metric {
    /// Values are the same or not.
    Nominal,
    /// Values have an order.
    Ordinal,
    /// Values have distances.
    Interval,
}

impl Metric {
    /// In lower case, as in reports.
    pub fn name(self) -> &'static str {
        match self {
            Self::Nominal => "nominal",
            Self::Ordinal => "ordinal",
            Self::Interval => "interval",
        }
    }
}

/// The most categories.
const MOST_CATEGORIES: usize = 100;

/// Alpha of units that hold the values given to each: numbers of categories, less than `categories`.
///
/// # Errors
/// [`ReviewError::Refused`] where no unit has two values or where all those values are the same; [`ReviewError::Setting`] for more than
/// 100 categories, or a value that is none.
pub fn alpha(units: &[Vec<usize>], categories: usize, metric: Metric) -> Result<f64> {
    if categories > MOST_CATEGORIES || units.iter().flatten().any(|&value| value >= categories) {
        return Err(setting(format!("values must be numbers of at most {MOST_CATEGORIES} categories")));
    }
    let mut table = Coincidences::new(categories);
    units.iter().for_each(|unit| table.add(unit, 1.0));
    if table.total() == 0.0 {
        let why = "no two judges have judged the same item; agreement needs at least two judges who share items";
        return Err(ReviewError::Refused { why: why.to_owned() });
    }
    table.alpha(metric).ok_or_else(|| {
        let why = "all answers that judges share are the same value; without variation agreement by chance is certain";
        ReviewError::Refused { why: why.to_owned() }
    })
}

/// How often two values met in a unit.
#[derive(Clone, Debug)]
pub(crate) struct Coincidences {
    categories: usize,
    counts: Vec<f64>,
}

impl Coincidences {
    pub(crate) fn new(categories: usize) -> Self {
        Self { categories, counts: vec![0.0; categories * categories] }
    }

    /// Adds a unit `weight` times.
    pub(crate) fn add(&mut self, unit: &[usize], weight: f64) {
        if unit.len() < 2 {
            return;
        }
        let mut of = vec![0.0; self.categories];
        unit.iter().for_each(|&value| of[value] += 1.0);
        let others = unit.len() as f64 - 1.0;
        for (c, row) in self.counts.chunks_exact_mut(self.categories).enumerate() {
            for (k, count) in row.iter_mut().enumerate() {
                let pairs = if c == k { of[c] * (of[c] - 1.0) } else { of[c] * of[k] };
                *count += weight * pairs / others;
            }
        }
    }

    /// Adds another table `weight` times.
    pub(crate) fn add_table(&mut self, other: &Self, weight: f64) {
        self.counts.iter_mut().zip(&other.counts).for_each(|(count, other)| *count += weight * other);
    }

    /// How many values are paired.
    pub(crate) fn total(&self) -> f64 {
        self.counts.iter().sum()
    }

    /// `None` where all values are the same, or there are none.
    pub(crate) fn alpha(&self, metric: Metric) -> Option<f64> {
        let n: Vec<f64> = self.counts.chunks_exact(self.categories).map(|row| row.iter().sum()).collect();
        let (mut observed, mut expected) = (0.0, 0.0);
        for c in 0..self.categories {
            for k in c + 1..self.categories {
                let d = match metric {
                    Metric::Nominal => 1.0,
                    Metric::Interval => ((k - c) as f64).powi(2),
                    Metric::Ordinal => (n[c..=k].iter().sum::<f64>() - (n[c] + n[k]) / 2.0).powi(2),
                };
                observed += self.counts[c * self.categories + k] * d;
                expected += n[c] * n[k] * d;
            }
        }
        (expected > 0.0).then(|| 1.0 - (n.iter().sum::<f64>() - 1.0) * observed / expected)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::review::draw::Draws;

    /// Straight from the definition: the mean difference within units over the mean difference of all pairs of values.
    fn by_pairs(units: &[Vec<usize>], metric: Metric) -> f64 {
        let units: Vec<&Vec<usize>> = units.iter().filter(|unit| unit.len() > 1).collect();
        let all: Vec<usize> = units.iter().flat_map(|unit| unit.iter().copied()).collect();
        let count = |value: usize| all.iter().filter(|&&v| v == value).count() as f64;
        let d = |a: usize, b: usize| match metric {
            Metric::Nominal => f64::from(a != b),
            Metric::Interval => (a as f64 - b as f64).powi(2),
            Metric::Ordinal => {
                let between: f64 = (a.min(b)..=a.max(b)).map(count).sum();
                (between - (count(a) + count(b)) / 2.0).powi(2)
            }
        };
        let within: f64 = units
            .iter()
            .map(|unit| {
                let pairs = (0..unit.len()).flat_map(|i| (0..unit.len()).map(move |j| (i, j))).filter(|(i, j)| i != j);
                pairs.map(|(i, j)| d(unit[i], unit[j])).sum::<f64>() / (unit.len() - 1) as f64
            })
            .sum();
        let n = all.len() as f64;
        let pairs = (0..all.len()).flat_map(|i| (0..all.len()).map(move |j| (i, j))).filter(|(i, j)| i != j);
        let among = pairs.map(|(i, j)| d(all[i], all[j])).sum::<f64>();
        1.0 - (within / n) / (among / (n * (n - 1.0)))
    }

    #[test]
    fn agrees_with_the_definition_on_random_values() {
        let mut draws = Draws::new(&["alpha"]);
        for _ in 0..50 {
            let units: Vec<Vec<usize>> = (0..20)
                .map(|_| {
                    let middle = draws.below(5);
                    (0..draws.below(5)).map(|_| if draws.coin() { middle } else { draws.below(5) }).collect()
                })
                .collect();
            for metric in [Metric::Nominal, Metric::Ordinal, Metric::Interval] {
                let (found, wanted) = (alpha(&units, 5, metric).unwrap(), by_pairs(&units, metric));
                assert!((found - wanted).abs() < 1e-12, "{metric:?}: {found} {wanted}");
            }
        }
    }

    #[test]
    fn refuses_in_words_where_there_is_nothing_to_compare() {
        let words = |units: &[Vec<usize>]| alpha(units, 5, Metric::Ordinal).unwrap_err().to_string();
        assert!(words(&[vec![1], vec![], vec![2]]).contains("at least two judges"));
        assert!(words(&[vec![1, 1], vec![1, 1, 1]]).contains("the same value"));
        assert!(words(&[vec![5, 1]]).contains("at most 100 categories"));
        assert_eq!(alpha(&[vec![0, 0], vec![4, 4]], 5, Metric::Interval).unwrap(), 1.0);
    }
}
