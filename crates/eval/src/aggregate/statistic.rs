//! A score as a function of what is drawn, for whoever draws the same documents of two models.
//!
//! Units are documents, or questions where several documents are the parts of one, or terms that several are about: what belongs
//! together is drawn together.

use super::correlation::{pearson, ranks};
use super::labels::{Confusion, f1, macro_f1, matthews};
use super::{
    Aggregation, Measure, bleu, brier_distances, chrf, deviation, drawn, mean_at, numbers, pairs, terms, texts, values,
    weights, whole_questions,
};
use crate::similarity::{ChrfVariant, CorpusMetric, Ter};

/// A score of drawn units.
type Value = Box<dyn Fn(&[u32]) -> f64 + Send + Sync>;

/// A score that can be taken of any draw of its units.
pub(crate) struct Statistic {
    value: Value,
    /// How good each unit is by itself, the larger the better.
    pub(crate) goodness: Vec<f64>,
    /// Whether each is right, where the score is the share of right ones.
    pub(crate) right: Option<Vec<bool>>,
}

impl Statistic {
    /// How much can be drawn.
    pub(crate) fn units(&self) -> usize {
        self.goodness.len()
    }

    /// The score of these places, which may come more than once.
    pub(crate) fn of(&self, places: &[u32]) -> f64 {
        (self.value)(places)
    }

    /// The score of everything, once.
    pub(crate) fn whole(&self) -> f64 {
        let places: Vec<u32> = (0..self.units() as u32).collect();
        self.of(&places)
    }
}

impl Aggregation {
    /// The score of any draw of these measures. The error says why there is none.
    pub(crate) fn statistic(self, measures: &[Measure], higher_is_better: bool) -> Result<Statistic, String> {
        let none = || "it cannot be made of what was measured".to_owned();
        let turned = |goodness: Vec<f64>| -> Vec<f64> {
            if higher_is_better { goodness } else { goodness.into_iter().map(|good| -good).collect() }
        };
        let plain = |value: Value, goodness: Vec<f64>| Statistic { value, goodness, right: None };
        Ok(match self {
            Self::Mean => {
                let found = numbers(measures).ok_or_else(none)?;
                let truths = found.iter().all(|&number| number == 0.0 || number == 1.0);
                let right = truths.then(|| found.iter().map(|&number| number == 1.0).collect());
                let goodness = turned(found.clone());
                Statistic { value: Box::new(move |places| mean_at(&found, places)), goodness, right }
            }
            Self::NanMean => {
                let found = numbers(measures).ok_or_else(none)?;
                let goodness = turned(found.clone());
                let value = move |places: &[u32]| {
                    let drawn = places.iter().map(|&at| found[at as usize]).filter(|number| !number.is_nan());
                    let (sum, count) = drawn.fold((0.0, 0.0), |(sum, count), number| (sum + number, count + 1.0));
                    sum / count
                };
                plain(Box::new(value), goodness)
            }
            Self::Median => {
                let found = numbers(measures).ok_or_else(none)?;
                let goodness = turned(found.clone());
                let value = move |places: &[u32]| {
                    let mut drawn: Vec<f64> = places.iter().map(|&at| found[at as usize]).collect();
                    let middle = drawn.len() / 2;
                    *drawn.select_nth_unstable_by(middle, f64::total_cmp).1
                };
                plain(Box::new(value), goodness)
            }
            Self::Perplexity => {
                // Log-likelihoods: more is better, whatever is said of their perplexity.
                let found = numbers(measures).ok_or_else(none)?;
                let goodness = found.clone();
                plain(Box::new(move |places| (-mean_at(&found, places)).exp()), goodness)
            }
            Self::WeightedPerplexity | Self::BitsPerByte => {
                let found = weights(measures).ok_or_else(none)?;
                let goodness = found.iter().map(|(sum, weight)| sum / weight).collect();
                let ratio = move |places: &[u32]| {
                    let drawn = places.iter().map(|&at| found[at as usize]);
                    let (sum, over) = drawn.fold((0.0, 0.0), |(s, w), (sum, weight)| (s + sum, w + weight));
                    sum / over
                };
                match self {
                    Self::BitsPerByte => {
                        plain(Box::new(move |places| -ratio(places) / std::f64::consts::LN_2), goodness)
                    }
                    _ => plain(Box::new(move |places| (-ratio(places)).exp()), goodness),
                }
            }
            Self::F1 | Self::MacroF1 | Self::Matthews => {
                let found = pairs(measures).ok_or_else(none)?;
                let goodness = found.iter().map(|(gold, predicted)| f64::from(u8::from(gold == predicted))).collect();
                let all = Confusion::of(&found);
                let score: fn(&Confusion) -> f64 = match self {
                    Self::F1 => |counts| f1(counts, 1),
                    Self::MacroF1 => macro_f1,
                    _ => matthews,
                };
                plain(Box::new(move |places| score(&all.resampled(places))), goodness)
            }
            Self::Deviation => {
                let found = numbers(measures).ok_or_else(none)?;
                let goodness = turned(found.clone());
                let value = move |places: &[u32]| match places.len() {
                    1 => 0.0,
                    _ => deviation(&drawn(&found, places)),
                };
                plain(Box::new(value), goodness)
            }
            Self::Pearson | Self::Spearman => {
                let (gold, found) = values(measures).ok_or_else(none)?;
                let goodness = gold.iter().zip(&found).map(|(gold, found)| -(gold - found).abs()).collect();
                let ranked = self == Self::Spearman;
                let value = move |places: &[u32]| {
                    let (gold, found) = (drawn(&gold, places), drawn(&found, places));
                    if ranked { pearson(&ranks(&gold), &ranks(&found)) } else { pearson(&gold, &found) }
                };
                plain(Box::new(value), goodness)
            }
            Self::Stereo(wanted) => {
                let found = terms(measures).ok_or_else(none)?;
                let goodness = turned(found.each(wanted));
                plain(Box::new(move |places| found.drawn(wanted, places)), goodness)
            }
            Self::AmbiguousBias | Self::DisambiguatedBias => {
                let biased = |measure: &Measure| match measure {
                    Measure::Stereotype { biased, .. } => Some(f64::from(u8::from(*biased))),
                    _ => None,
                };
                let goodness = measures.iter().map(biased).collect::<Option<_>>().ok_or_else(none)?;
                let all = measures.to_vec();
                let value = move |places: &[u32]| {
                    let drawn: Vec<Measure> = places.iter().map(|&at| all[at as usize].clone()).collect();
                    self.of_numbers(&drawn).unwrap_or(f64::NAN)
                };
                plain(Box::new(value), turned(goodness))
            }
            // Sentences of a descriptor are no sample; its standard error leaves out descriptors.
            Self::DifferingPairs => return Err("sentences are not drawn where descriptors are compared".to_owned()),
            Self::Brier => {
                let found = brier_distances(measures).ok_or_else(none)?;
                let goodness = found.iter().map(|distance| -distance).collect();
                plain(Box::new(move |places| mean_at(&found, places)), goodness)
            }
            Self::AllParts => {
                let found = whole_questions(measures).ok_or_else(none)?;
                let right = Some(found.iter().map(|&question| question == 1.0).collect());
                let goodness = found.clone();
                Statistic { value: Box::new(move |places| mean_at(&found, places)), goodness, right }
            }
            Self::Bleu => of_texts(bleu(), measures, higher_is_better)?,
            Self::Chrf => of_texts(chrf(ChrfVariant::Characters), measures, higher_is_better)?,
            Self::ChrfPlusPlus => of_texts(chrf(ChrfVariant::PlusPlus), measures, higher_is_better)?,
            Self::Ter => of_texts(Ter::default(), measures, higher_is_better)?,
        })
    }
}

fn of_texts<M>(metric: M, measures: &[Measure], higher_is_better: bool) -> Result<Statistic, String>
where
    M: CorpusMetric + Send + Sync + 'static,
    M::Statistics: 'static,
{
    let (_, all) = texts(&metric, measures)?;
    let sign = if higher_is_better { 1.0 } else { -1.0 };
    let goodness = all.iter().map(|one| sign * metric.score(one)).collect();
    let value = move |places: &[u32]| {
        let mut sum = M::Statistics::default();
        places.iter().for_each(|&at| sum += all[at as usize]);
        metric.score(&sum)
    };
    Ok(Statistic { value: Box::new(value), goodness, right: None })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::aggregate::{Triple, known_metric};

    /// The score of everything is the score itself, and of a draw that of the drawn.
    #[test]
    fn it_is_the_score() {
        let number = |at: usize| Measure::Number((at % 3) as f64 * 0.5 - 0.25);
        let weighted = |at: usize| Measure::Weighted { sum: -(at as f64) - 1.5, weight: (at % 4) as f64 + 1.0 };
        let labels = |at: usize| Measure::Labels { gold: (at % 3) as i64, predicted: (at % 2) as i64 };
        let chances = |at: usize| Measure::Distribution { gold: at % 2, probabilities: vec![0.3, 0.7] };
        let told = |at: usize| Measure::Texts {
            references: vec![format!("the cat number {at} sat on the mat")],
            hypothesis: format!("the cat number {} sat there", at % 4),
        };
        let valued = |at: usize| Measure::Values { gold: at as f64, found: ((at * 3) % 7) as f64 };
        // A term each, so that a document is a unit.
        let triple = |at: usize| Measure::Triple {
            term: at.to_string(),
            triple: Triple::new((at % 3) as f64, (at % 2) as f64, 0.5).unwrap(),
        };
        let biased = |at: usize| Measure::Stereotype {
            right: at.is_multiple_of(3),
            biased: at.is_multiple_of(2),
            known: !at.is_multiple_of(3) || at.is_multiple_of(2),
        };
        let places = [3, 3, 0, 6, 5, 1, 3];
        for &(name, aggregation) in Aggregation::NAMES {
            let one: &dyn Fn(usize) -> Measure = match aggregation {
                Aggregation::WeightedPerplexity | Aggregation::BitsPerByte => &weighted,
                Aggregation::F1 | Aggregation::MacroF1 | Aggregation::Matthews => &labels,
                Aggregation::Brier => &chances,
                Aggregation::Bleu | Aggregation::Chrf | Aggregation::ChrfPlusPlus | Aggregation::Ter => &told,
                Aggregation::Pearson | Aggregation::Spearman => &valued,
                Aggregation::Stereo(_) => &triple,
                Aggregation::AmbiguousBias | Aggregation::DisambiguatedBias => &biased,
                Aggregation::AllParts | Aggregation::DifferingPairs => continue,
                _ => &number,
            };
            let measures: Vec<Measure> = (0..7).map(one).collect();
            let statistic = aggregation.statistic(&measures, true).unwrap();
            assert_eq!(statistic.units(), 7, "{name}");
            let close = |a: f64, b: f64| assert!((a - b).abs() < 1e-12 * b.abs().max(1.0), "{name}: {a} {b}");
            close(statistic.whole(), aggregation.score(&measures).unwrap());
            let mut drawn: Vec<Measure> = places.iter().map(|&at| measures[at as usize].clone()).collect();
            for (at, measure) in drawn.iter_mut().enumerate() {
                // Drawn twice, a term is two.
                if let Measure::Triple { term, .. } = measure {
                    *term = format!("{term} {at}");
                }
            }
            close(statistic.of(&places), aggregation.score(&drawn).unwrap());
        }
    }

    #[test]
    fn parts_of_a_question_are_one_unit() {
        let part = |question, right| Measure::Part { question: (0, question), right };
        let measures = [part(1, true), part(2, true), part(1, false), part(3, true)];
        let statistic = Aggregation::AllParts.statistic(&measures, true).unwrap();
        assert_eq!((statistic.units(), statistic.right.clone().unwrap()), (3, vec![false, true, true]));
        assert_eq!(statistic.of(&[0, 0, 1]), 1.0 / 3.0);
    }

    #[test]
    fn better_is_larger() {
        let goodness = |metric: &str, measures: [Measure; 2]| {
            let (aggregation, better) = known_metric(metric).unwrap();
            let found = aggregation.statistic(&measures, better).unwrap().goodness;
            found[0] > found[1]
        };
        assert!(goodness("acc", [Measure::Number(1.0), Measure::Number(0.0)]));
        assert!(goodness("perplexity", [Measure::Number(-1.0), Measure::Number(-2.0)]));
        let weighted = |sum| Measure::Weighted { sum, weight: 2.0 };
        assert!(goodness("bits_per_byte", [weighted(-1.0), weighted(-3.0)]));
        let text = |hypothesis: &str| Measure::Texts {
            references: vec!["a b c d".to_owned()],
            hypothesis: hypothesis.to_owned(),
        };
        assert!(goodness("ter", [text("a b c d"), text("x y c d")]));
        assert!(goodness("bleu", [text("a b c d"), text("x y c d")]));
        let chances = |p: f64| Measure::Distribution { gold: 0, probabilities: vec![p, 1.0 - p] };
        assert!(goodness("brier_score", [chances(0.9), chances(0.2)]));
    }
}
