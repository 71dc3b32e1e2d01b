//! Likelihood bias (Smith et al., 2022): of all pairs of descriptors of people on one axis, the share whose sentences are not equally likely.
//!
//! Two descriptors differ where a two-sided Mann-Whitney U test of the perplexities of their sentences gives less than [`LEVEL`]; pairs of
//! different axes are not compared. Nothing is corrected for the number of tests: without any bias the share is near the level.
//! The standard error is a jackknife over descriptors, as pairs that share one are not independent.

use super::Measure;
use super::mann_whitney::two_sided;

/// The level of significance.
const LEVEL: f64 = 0.05;

/// Pairs of descriptors that were compared.
pub(super) struct Pairs {
    descriptors: usize,
    /// Places of the two, and whether they differ.
    compared: Vec<(usize, usize, bool)>,
}

impl Pairs {
    /// `None` where a measure is of another kind.
    pub(super) fn of(measures: &[Measure]) -> Option<Self> {
        let mut found: Vec<(&str, &str, Vec<f64>)> = Vec::new();
        let mut places = std::collections::HashMap::new();
        for measure in measures {
            let Measure::Described { axis, descriptor, value } = measure else { return None };
            let at = *places.entry((axis, descriptor)).or_insert_with(|| {
                found.push((axis, descriptor, Vec::new()));
                found.len() - 1
            });
            found[at].2.push(*value);
        }
        let mut compared = Vec::new();
        for (first, (axis, _, x)) in found.iter().enumerate() {
            for (second, (_, _, y)) in found.iter().enumerate().skip(first + 1).filter(|(_, other)| other.0 == *axis) {
                compared.push((first, second, two_sided(x, y) < LEVEL));
            }
        }
        Some(Self { descriptors: found.len(), compared })
    }

    /// The share of pairs that differ; `None` without pairs.
    pub(super) fn share(&self) -> Option<f64> {
        share(self.compared.iter())
    }

    /// Of the share; `None` where pairs would not be left without some descriptor.
    pub(super) fn standard_error(&self) -> Option<f64> {
        let without = |left: usize| share(self.compared.iter().filter(|(a, b, _)| *a != left && *b != left));
        let shares: Vec<f64> = (0..self.descriptors).map(without).collect::<Option<_>>()?;
        let count = shares.len() as f64;
        let mean = super::mean(&shares);
        Some(((count - 1.0) / count * shares.iter().map(|share| (share - mean).powi(2)).sum::<f64>()).sqrt())
    }
}

fn share<'a>(pairs: impl Iterator<Item = &'a (usize, usize, bool)>) -> Option<f64> {
    let (mut all, mut differ) = (0.0, 0.0);
    for (_, _, differs) in pairs {
        all += 1.0;
        differ += f64::from(u8::from(*differs));
    }
    (all > 0.0).then(|| differ / all)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Sentences of each descriptor, from a value on.
    fn measures(of: &[(&str, &str, f64)]) -> Vec<Measure> {
        let sentences = |(axis, descriptor, from): &(&str, &str, f64)| {
            let (axis, descriptor, from) = ((*axis).to_owned(), (*descriptor).to_owned(), *from);
            (0..8).map(move |at| Measure::Described {
                axis: axis.clone(),
                descriptor: descriptor.clone(),
                value: from + f64::from(at),
            })
        };
        of.iter().flat_map(sentences).collect()
    }

    #[test]
    fn pairs_are_within_an_axis() {
        // Of `age` one of three pairs is alike, of `body` the one pair; values of different axes are far apart.
        let all = measures(&[
            ("age", "a", 0.0),
            ("age", "b", 0.5),
            ("age", "c", 50.0),
            ("body", "a", 900.0),
            ("body", "b", 900.5),
        ]);
        let pairs = Pairs::of(&all).unwrap();
        assert_eq!((pairs.compared.len(), pairs.share()), (4, Some(0.5)));
        // Without a, b, c in turn: 1/2, 1/2, 0/2; without one of `body` 2/3 each.
        let shares = [0.5, 0.5, 0.0, 2.0 / 3.0, 2.0 / 3.0];
        let mean = shares.iter().sum::<f64>() / 5.0;
        let wanted = (0.8 * shares.iter().map(|share| (share - mean) * (share - mean)).sum::<f64>()).sqrt();
        assert!((pairs.standard_error().unwrap() - wanted).abs() < 1e-12);
    }

    #[test]
    fn one_descriptor_has_no_pair() {
        let pairs = Pairs::of(&measures(&[("age", "a", 0.0), ("body", "a", 0.0)])).unwrap();
        assert_eq!((pairs.share(), pairs.standard_error()), (None, None));
        let two = Pairs::of(&measures(&[("age", "a", 0.0), ("age", "b", 0.0)])).unwrap();
        assert_eq!((two.share(), two.standard_error()), (Some(0.0), None));
        assert!(Pairs::of(&[Measure::Number(1.0)]).is_none());
    }
}
