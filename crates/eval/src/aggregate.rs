//! From what was measured on each document to one score, and its standard error.
//!
//! Names and definitions are the reference harness's. Standard errors are closed-form where it has them so (a mean), bootstrapped
//! where it does that, with its generator and its seeds, so that even these are the same; and absent where it gives none.
//! Held by `tests/eval/aggregates.rs` against numbers that the harness gives.

mod bootstrap;
mod correlation;
mod descriptors;
mod labels;
mod mann_whitney;
mod reading;
mod statistic;
mod stereoset;
mod stereotypes;

use serde_json::{Value, json};

use crate::similarity::{Bleu, BleuOptions, Chrf, ChrfVariant, CorpusMetric, Ter};
use bootstrap::bootstrap;
pub(crate) use bootstrap::resampled;
use correlation::{pearson, ranks};
use descriptors::Pairs;
use labels::{Confusion, f1, macro_f1, matthews};
pub use stereoset::Triple;
pub(crate) use stereoset::{StereoScore, Terms};

/// What one document contributes to a score.
#[derive(Clone, Debug, PartialEq)]
pub enum Measure {
    /// A number: right or wrong, a log-likelihood, a similarity.
    Number(f64),
    /// A sum and what it is over: a log-likelihood and bytes, or words.
    Weighted {
        /// The sum.
        sum: f64,
        /// What it is over.
        weight: f64,
    },
    /// The right label and the one that was found.
    Labels {
        /// Right.
        gold: i64,
        /// Found.
        predicted: i64,
    },
    /// The right value and the one that was found.
    Values {
        /// Right.
        gold: f64,
        /// Found.
        found: f64,
    },
    /// The right choice, and how probable each is.
    Distribution {
        /// Right.
        gold: usize,
        /// Of each choice.
        probabilities: Vec<f64>,
    },
    /// An answer to a question of several, which counts where all are right.
    Part {
        /// Which question.
        question: (i64, i64),
        /// Whether it is right.
        right: bool,
    },
    /// An answer about people of whom one is of a stereotyped group.
    Stereotype {
        /// Whether it is right.
        right: bool,
        /// Whether it is what the stereotype says.
        biased: bool,
        /// Whether it names somebody.
        known: bool,
    },
    /// A text and those that it should be like.
    Texts {
        /// Wanted.
        references: Vec<String>,
        /// Found.
        hypothesis: String,
    },
    /// How three sentences about a term compare.
    Triple {
        /// The term.
        term: String,
        /// Which are likelier.
        triple: Triple,
    },
    /// A number of a sentence that describes somebody.
    Described {
        /// What the descriptor is one of.
        axis: String,
        /// The descriptor.
        descriptor: String,
        /// The number.
        value: f64,
    },
    /// What was said of each answer, for samples; no score is made of it.
    Remarks(Vec<String>),
}

impl Measure {
    /// As samples hold it.
    pub fn json(&self) -> Value {
        match self {
            Self::Number(value) => json!(value),
            Self::Weighted { sum, weight } => json!([sum, weight]),
            Self::Labels { gold, predicted } => json!([gold, predicted]),
            Self::Values { gold, found } => json!([gold, found]),
            Self::Distribution { gold, probabilities } => json!([gold, probabilities]),
            Self::Part { question: (paragraph, question), right } => json!([[paragraph, question], right]),
            Self::Stereotype { right, biased, known } => json!([right, biased, known]),
            Self::Texts { references, hypothesis } => json!([references, hypothesis]),
            Self::Triple { term, triple } => {
                let (stereotyped, related) = triple.parts();
                json!([term, stereotyped, related])
            }
            Self::Described { axis, descriptor, value } => json!([axis, descriptor, value]),
            Self::Remarks(remarks) => json!(remarks),
        }
    }
}

/// How measures become a score.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Aggregation {
    Mean,
    Median,
    /// The standard deviation, with n - 1.
    Deviation,
    /// The mean of those that are numbers.
    NanMean,
    /// `exp(-mean)`.
    Perplexity,
    /// `exp(-sum / weight)`.
    WeightedPerplexity,
    /// `-sum / weight` in bits.
    BitsPerByte,
    /// Of label 1.
    F1,
    /// The mean of each label's F1 against the rest, over labels 0, 1 and 2.
    MacroF1,
    Matthews,
    /// Of values; 0 where it is undefined.
    Pearson,
    /// Likewise, of their ranks.
    Spearman,
    Brier,
    /// The share of questions with every part right.
    AllParts,
    /// Of answers that a context does not give, how biased they are.
    AmbiguousBias,
    /// Of answers that a context gives.
    DisambiguatedBias,
    /// Of all texts together, 0 to 100.
    Bleu,
    /// Likewise.
    Chrf,
    /// Likewise, words too.
    ChrfPlusPlus,
    /// Likewise; may exceed 100.
    Ter,
    /// Over terms.
    Stereo(StereoScore),
    /// The share of pairs of descriptors that differ.
    DifferingPairs,
}

/// The bootstrap of the harness.
pub(crate) const BOOTSTRAP_ITERATIONS: usize = 100_000;

impl Aggregation {
    /// As definitions name them.
    pub(crate) const NAMES: &'static [(&'static str, Aggregation)] = &[
        ("mean", Self::Mean),
        ("median", Self::Median),
        ("standard_deviation", Self::Deviation),
        ("nanmean", Self::NanMean),
        ("perplexity", Self::Perplexity),
        ("weighted_perplexity", Self::WeightedPerplexity),
        ("bits_per_byte", Self::BitsPerByte),
        ("f1", Self::F1),
        ("macro_f1", Self::MacroF1),
        ("matthews_corrcoef", Self::Matthews),
        ("pearson", Self::Pearson),
        ("spearman", Self::Spearman),
        ("brier_score", Self::Brier),
        ("acc_all", Self::AllParts),
        ("amb_bias", Self::AmbiguousBias),
        ("disamb_bias", Self::DisambiguatedBias),
        ("bleu", Self::Bleu),
        ("chrf", Self::Chrf),
        ("chrf++", Self::ChrfPlusPlus),
        ("ter", Self::Ter),
        ("stereoset_ss", Self::Stereo(StereoScore::Stereotype)),
        ("stereoset_lms", Self::Stereo(StereoScore::Language)),
        ("stereoset_icat", Self::Stereo(StereoScore::Idealized)),
        ("differing_pairs", Self::DifferingPairs),
    ];

    pub(crate) fn named(name: &str) -> Option<Self> {
        Self::NAMES.iter().find(|(known, _)| *known == name).map(|(_, aggregation)| *aggregation)
    }

    /// The score. The error says why there is none.
    pub(crate) fn score(self, measures: &[Measure]) -> Result<f64, String> {
        let of_texts = match self {
            Self::Bleu => Some(texts(&bleu(), measures)?.0),
            Self::Chrf => Some(texts(&chrf(ChrfVariant::Characters), measures)?.0),
            Self::ChrfPlusPlus => Some(texts(&chrf(ChrfVariant::PlusPlus), measures)?.0),
            Self::Ter => Some(texts(&Ter::default(), measures)?.0),
            Self::DifferingPairs => {
                let share = Pairs::of(measures).and_then(|pairs| pairs.share());
                return share.ok_or_else(|| "no two descriptors can be compared: measure more documents".to_owned());
            }
            _ => self.of_numbers(measures),
        };
        of_texts.ok_or_else(|| "it cannot be made of what was measured".to_owned())
    }

    fn of_numbers(self, measures: &[Measure]) -> Option<f64> {
        if measures.is_empty() {
            return None;
        }
        match self {
            Self::Mean => Some(mean(&numbers(measures)?)),
            Self::Median => {
                let mut found = numbers(measures)?;
                found.sort_by(f64::total_cmp);
                Some(found[found.len() / 2])
            }
            Self::Deviation => {
                let found = numbers(measures)?;
                // One number does not deviate.
                Some(if found.len() > 1 { deviation(&found) } else { 0.0 })
            }
            Self::NanMean => {
                let mut found = numbers(measures)?;
                found.retain(|number| !number.is_nan());
                (!found.is_empty()).then(|| mean(&found))
            }
            Self::Perplexity => Some((-mean(&numbers(measures)?)).exp()),
            Self::WeightedPerplexity => Some((-weighted(measures)?).exp()),
            Self::BitsPerByte => Some(-weighted(measures)? / std::f64::consts::LN_2),
            Self::F1 => Some(f1(&Confusion::of(&pairs(measures)?), 1)),
            Self::MacroF1 => Some(macro_f1(&Confusion::of(&pairs(measures)?))),
            Self::Matthews => Some(matthews(&Confusion::of(&pairs(measures)?))),
            Self::Pearson => {
                let (gold, found) = values(measures)?;
                Some(pearson(&gold, &found))
            }
            Self::Spearman => {
                let (gold, found) = values(measures)?;
                Some(pearson(&ranks(&gold), &ranks(&found)))
            }
            Self::Brier => brier(measures),
            Self::AllParts => Some(mean(&whole_questions(measures)?)),
            Self::AmbiguousBias => stereotypes::ambiguous(measures),
            Self::DisambiguatedBias => stereotypes::disambiguated(measures),
            Self::Stereo(wanted) => terms(measures)?.score(wanted),
            Self::Bleu | Self::Chrf | Self::ChrfPlusPlus | Self::Ter | Self::DifferingPairs => None,
        }
    }

    /// The standard error, by a bootstrap of so many resamples where there is no formula for it (0: none then).
    pub(crate) fn standard_error(self, measures: &[Measure], iterations: usize) -> Option<f64> {
        if measures.len() < 2 {
            return None;
        }
        let resample = |statistic: &(dyn Fn(&[u32]) -> f64 + Sync)| {
            (iterations > 0).then(|| bootstrap(measures.len(), iterations, statistic))
        };
        let few = |statistic: &(dyn Fn(&[u32]) -> f64 + Sync)| {
            let iterations = iterations.min(CORRELATION_ITERATIONS);
            (iterations > 1).then(|| bootstrap(measures.len(), iterations, statistic))
        };
        match self {
            Self::Mean => Some(standard_error(&numbers(measures)?)),
            Self::AllParts => {
                let questions = whole_questions(measures)?;
                (questions.len() > 1).then(|| standard_error(&questions))
            }
            Self::AmbiguousBias => stereotypes::ambiguous_error(measures),
            Self::DisambiguatedBias => stereotypes::disambiguated_error(measures),
            Self::Perplexity => {
                let found = numbers(measures)?;
                resample(&|places| (-mean_at(&found, places)).exp())
            }
            Self::NanMean => {
                let found = numbers(measures)?;
                resample(&|places| mean_at(&found, places))
            }
            Self::Median => {
                let found = numbers(measures)?;
                resample(&|places| {
                    let mut drawn: Vec<f64> = places.iter().map(|&at| found[at as usize]).collect();
                    let middle = drawn.len() / 2;
                    *drawn.select_nth_unstable_by(middle, f64::total_cmp).1
                })
            }
            Self::Deviation => {
                let found = numbers(measures)?;
                resample(&|places| {
                    let drawn: Vec<f64> = places.iter().map(|&at| found[at as usize]).collect();
                    deviation(&drawn)
                })
            }
            Self::F1 => {
                let all = Confusion::of(&pairs(measures)?);
                resample(&|places| f1(&all.resampled(places), 1))
            }
            Self::Matthews => {
                let all = Confusion::of(&pairs(measures)?);
                resample(&|places| matthews(&all.resampled(places)))
            }
            Self::Pearson => {
                let (gold, found) = values(measures)?;
                few(&|places| pearson(&drawn(&gold, places), &drawn(&found, places)))
            }
            Self::Spearman => {
                let (gold, found) = values(measures)?;
                few(&|places| pearson(&ranks(&drawn(&gold, places)), &ranks(&drawn(&found, places))))
            }
            Self::Stereo(wanted) => terms(measures)?.standard_error(wanted, iterations),
            Self::DifferingPairs => Pairs::of(measures)?.standard_error(),
            Self::MacroF1 | Self::WeightedPerplexity | Self::BitsPerByte | Self::Brier => None,
            Self::Bleu => texts_error(&bleu(), measures, iterations),
            Self::Chrf => texts_error(&chrf(ChrfVariant::Characters), measures, iterations),
            Self::ChrfPlusPlus => texts_error(&chrf(ChrfVariant::PlusPlus), measures, iterations),
            Self::Ter => texts_error(&Ter::default(), measures, iterations),
        }
    }
}

/// Resamples of correlations, of which the harness has none: each sorts all values.
const CORRELATION_ITERATIONS: usize = 1000;
/// Resamples of scores of texts: as many as the harness takes.
const TEXT_ITERATIONS: usize = 100;

fn bleu() -> Bleu {
    Bleu::new(BleuOptions::default()).expect("the defaults are allowed")
}

fn chrf(variant: ChrfVariant) -> Chrf {
    Chrf { variant, ..Chrf::default() }
}

/// The score of all texts together, and what each contributes to it.
fn texts<M: CorpusMetric>(metric: &M, measures: &[Measure]) -> Result<(f64, Vec<M::Statistics>), String> {
    let mut all = Vec::with_capacity(measures.len());
    for measure in measures {
        let Measure::Texts { references, hypothesis } = measure else { return Err("texts are wanted".to_owned()) };
        let references: Vec<&str> = references.iter().map(String::as_str).collect();
        all.push(metric.statistics(hypothesis, &references).map_err(|error| error.to_string())?);
    }
    let sum = all.iter().fold(M::Statistics::default(), |mut sum, one| {
        sum += *one;
        sum
    });
    Ok((metric.score(&sum), all))
}

fn texts_error<M: CorpusMetric + Sync>(metric: &M, measures: &[Measure], iterations: usize) -> Option<f64> {
    let (_, all) = texts(metric, measures).ok()?;
    let iterations = iterations.min(TEXT_ITERATIONS);
    (iterations > 1).then(|| {
        bootstrap(all.len(), iterations, &|places| {
            let mut sum = M::Statistics::default();
            places.iter().for_each(|&at| sum += all[at as usize]);
            metric.score(&sum)
        })
    })
}

/// How a score that the harness knows is made, and whether more of it is better.
pub(crate) fn known_metric(name: &str) -> Option<(Aggregation, bool)> {
    Some(match name {
        "acc" | "acc_norm" | "acc_bytes" | "acc_mutual_info" | "exact_match" | "likelihood" => {
            (Aggregation::Mean, true)
        }
        "perplexity" => (Aggregation::Perplexity, false),
        "word_perplexity" | "byte_perplexity" => (Aggregation::WeightedPerplexity, false),
        "bits_per_byte" => (Aggregation::BitsPerByte, false),
        "f1" => (Aggregation::F1, true),
        "mcc" => (Aggregation::Matthews, true),
        "pearson" => (Aggregation::Pearson, true),
        "spearman" => (Aggregation::Spearman, true),
        "brier_score" => (Aggregation::Brier, false),
        "acc_all" => (Aggregation::AllParts, true),
        "bleu" => (Aggregation::Bleu, true),
        "chrf" => (Aggregation::Chrf, true),
        "chrf++" => (Aggregation::ChrfPlusPlus, true),
        "ter" => (Aggregation::Ter, false),
        "rouge1" | "rouge2" | "rougeL" | "rougeLsum" => (Aggregation::Mean, true),
        _ => return None,
    })
}

pub(crate) fn mean(numbers: &[f64]) -> f64 {
    numbers.iter().sum::<f64>() / numbers.len() as f64
}

fn mean_at(numbers: &[f64], places: &[u32]) -> f64 {
    places.iter().map(|&at| numbers[at as usize]).sum::<f64>() / places.len() as f64
}

/// Of the mean of a sample: its standard deviation (with n - 1) over the root of n.
pub(crate) fn standard_error(numbers: &[f64]) -> f64 {
    deviation(numbers) / (numbers.len() as f64).sqrt()
}

/// The standard deviation of a sample, with n - 1.
pub(crate) fn deviation(numbers: &[f64]) -> f64 {
    let mean = mean(numbers);
    (numbers.iter().map(|number| (number - mean).powi(2)).sum::<f64>() / (numbers.len() - 1) as f64).sqrt()
}

fn numbers(measures: &[Measure]) -> Option<Vec<f64>> {
    let number = |measure: &Measure| if let Measure::Number(number) = measure { Some(*number) } else { None };
    measures.iter().map(number).collect()
}

fn terms(measures: &[Measure]) -> Option<Terms> {
    let mut found = Terms::default();
    for measure in measures {
        let Measure::Triple { term, triple } = measure else { return None };
        found.add(term, *triple);
    }
    Some(found)
}

fn weighted(measures: &[Measure]) -> Option<f64> {
    let (all, over) = weights(measures)?.into_iter().fold((0.0, 0.0), |(s, w), (sum, weight)| (s + sum, w + weight));
    (over > 0.0).then(|| all / over)
}

/// Sums, and what they are over.
fn weights(measures: &[Measure]) -> Option<Vec<(f64, f64)>> {
    let weight = |measure: &Measure| match measure {
        Measure::Weighted { sum, weight } => Some((*sum, *weight)),
        _ => None,
    };
    measures.iter().map(weight).collect()
}

fn pairs(measures: &[Measure]) -> Option<Vec<(i64, i64)>> {
    let pair = |measure: &Measure| match measure {
        Measure::Labels { gold, predicted } => Some((*gold, *predicted)),
        _ => None,
    };
    measures.iter().map(pair).collect()
}

/// The right values, and those found.
fn values(measures: &[Measure]) -> Option<(Vec<f64>, Vec<f64>)> {
    let value = |measure: &Measure| match measure {
        Measure::Values { gold, found } => Some((*gold, *found)),
        _ => None,
    };
    measures.iter().map(value).collect()
}

fn drawn(numbers: &[f64], places: &[u32]) -> Vec<f64> {
    places.iter().map(|&at| numbers[at as usize]).collect()
}

fn brier(measures: &[Measure]) -> Option<f64> {
    Some(mean(&brier_distances(measures)?))
}

/// Of each document how far its probabilities are from certainty of what is right, squared.
fn brier_distances(measures: &[Measure]) -> Option<Vec<f64>> {
    let mut found = Vec::with_capacity(measures.len());
    for measure in measures {
        let Measure::Distribution { gold, probabilities } = measure else { return None };
        let distance = |(at, p): (usize, &f64)| (p - f64::from(u8::from(at == *gold))).powi(2);
        found.push(probabilities.iter().enumerate().map(distance).sum());
    }
    Some(found)
}

/// 1 for each question whose parts are all right, in the order in which they first appear.
fn whole_questions(measures: &[Measure]) -> Option<Vec<f64>> {
    let mut places = std::collections::HashMap::new();
    let mut found: Vec<f64> = Vec::new();
    for measure in measures {
        let Measure::Part { question, right } = measure else { return None };
        let at = *places.entry(*question).or_insert_with(|| {
            found.push(1.0);
            found.len() - 1
        });
        found[at] = found[at].min(f64::from(u8::from(*right)));
    }
    Some(found)
}
