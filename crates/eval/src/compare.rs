//! Two evaluations beside each other: which differences are more than chance.
//!
//! Where samples of both are there, documents are paired: the same document, asked in the same words, of both models. The difference of
//! the scores then has an interval by a bootstrap that draws the same documents for both, whatever the score is made of; scores
//! that are shares of right answers have McNemar's exact test too. Without samples, standard errors of the two are put together as
//! if the documents were others, which is wider: the result says which it was.
//!
//! Differences are B less A. Held by `tests/eval/compare.rs` against numbers worked out by hand and by SciPy.

mod normal;
mod paired;
mod pairing;

use serde::Serialize;

use crate::error::EvalError;
use crate::saved::{Saved, SavedScore, aggregation};
use normal::two_sided;
pub(crate) use paired::Z95;
pub use paired::{McNemar, Paired};
use pairing::Samples;

/// Resamples behind an interval.
pub const COMPARISON_RESAMPLES: usize = 10_000;

/// One side.
#[derive(Clone, Debug, Serialize)]
pub struct Side {
    /// The file of results.
    pub path: String,
    /// The model, as its results name it.
    pub model: Option<String>,
}

/// A score that both have.
#[derive(Clone, Debug, Serialize)]
pub struct Compared {
    /// The task, or the group.
    pub task: String,
    /// The score.
    pub metric: String,
    /// The filters before it.
    pub filter: String,
    /// Whether more is better, where that is known.
    pub higher_is_better: Option<bool>,
    /// Of A, as its results have it.
    pub a: f64,
    /// Of B.
    pub b: f64,
    /// What the difference was found from.
    #[serde(flatten)]
    pub basis: Basis,
}

/// What a difference was found from.
#[derive(Clone, Debug, Serialize)]
#[serde(tag = "basis", rename_all = "snake_case")]
pub enum Basis {
    /// The same documents of both.
    Paired(Paired),
    /// Standard errors alone.
    Unpaired(Unpaired),
}

/// A difference of two scores as if their documents had nothing to do with each other.
#[derive(Clone, Debug, Serialize)]
pub struct Unpaired {
    /// B less A.
    pub difference: f64,
    /// Of the difference; none where one of the scores has none.
    pub standard_error: Option<f64>,
    /// Of 95 %, by the normal distribution.
    pub interval: Option<[f64; 2]>,
    /// How probable a difference so large, either way, would be if there were none.
    pub p: Option<f64>,
    /// Why documents were not paired.
    pub why: String,
}

/// Two evaluations beside each other.
#[derive(Clone, Debug, Serialize)]
pub struct Comparison {
    /// The one.
    pub a: Side,
    /// The other.
    pub b: Side,
    /// Scores that both have.
    pub scores: Vec<Compared>,
    /// Tasks that only A has.
    pub only_a: Vec<String>,
    /// Tasks that only B has.
    pub only_b: Vec<String>,
    /// Resamples behind each interval of paired documents.
    pub resamples: usize,
    /// What somebody who reads it should know.
    pub notes: Vec<String>,
}

impl Comparison {
    /// Compares all scores that both have.
    ///
    /// # Errors
    /// A file of samples that cannot be read.
    pub fn of(a: &Saved, b: &Saved, resamples: usize) -> Result<Self, EvalError> {
        let (mut found, mut notes) = (Vec::new(), Vec::new());
        for task in a.tasks().filter(|task| b.tasks().any(|other| other == *task)) {
            let both = [a, b];
            notes.extend(differing(both, task));
            let samples = if a.is_group(task) { None } else { Samples::of(both, task)? };
            if let Some(left) = samples.as_ref().and_then(Samples::left_out) {
                notes.push(format!("{task}: {left}"));
            }
            let (own, others) = (a.scores(task), b.scores(task));
            for score in own {
                let same = |other: &&SavedScore| other.metric == score.metric && other.filter == score.filter;
                let Some(other) = others.iter().find(same) else { continue };
                let pair = [&score, other];
                let basis = match basis(both, task, pair, samples.as_ref(), resamples) {
                    Ok((paired, more)) => {
                        notes.extend(more.into_iter().map(|note| format!("{task}, {}: {note}", score.metric)));
                        Basis::Paired(paired)
                    }
                    Err(why) => Basis::Unpaired(unpaired(pair, why)),
                };
                found.push(Compared {
                    task: task.to_owned(),
                    metric: score.metric.clone(),
                    filter: score.filter.clone(),
                    higher_is_better: score.higher_is_better.or(other.higher_is_better),
                    a: score.value,
                    b: other.value,
                    basis,
                });
            }
        }
        if found.len() > 1 {
            notes.push(format!(
                "{} differences are shown: of so many about {:.1} would lie outside their interval of 95 % by chance alone",
                found.len(),
                found.len() as f64 * 0.05
            ));
        }
        Ok(Self { a: side(a), b: side(b), scores: found, only_a: only(a, b), only_b: only(b, a), resamples, notes })
    }
}

fn side(saved: &Saved) -> Side {
    let model = saved.results.get("model_name").or_else(|| saved.results.get("config")?.get("model_args"));
    let model = model.and_then(serde_json::Value::as_str).map(str::to_owned);
    Side { path: saved.path.display().to_string(), model }
}

fn only(one: &Saved, other: &Saved) -> Vec<String> {
    one.tasks().filter(|task| !other.tasks().any(|also| also == *task)).map(str::to_owned).collect()
}

/// What is not the same of a task on both sides though its scores stand beside each other.
fn differing(both: [&Saved; 2], task: &str) -> Vec<String> {
    let found = |name: &str, path: &[&str]| {
        let [a, b] = both.map(|saved| {
            let of = saved.results.get(name)?.get(task)?;
            path.iter().try_fold(of, |value, key| value.get(key)).filter(|value| !value.is_null())
        });
        match (a, b) {
            (Some(a), Some(b)) if a != b => Some((a.to_string(), b.to_string())),
            _ => None,
        }
    };
    let facts = [
        ("versions", &[][..], "the definition's version"),
        ("n-shot", &[][..], "the number of examples"),
        ("dataset", &["split"][..], "the split"),
        ("dataset", &["sha256"][..], "the SHA-256 of the data"),
    ];
    let words = |(name, path, what): (&str, &[&str], &str)| {
        let (a, b) = found(name, path)?;
        let short = |text: String| text.trim_matches('"').chars().take(16).collect::<String>();
        Some(format!("{task}: {what} is not the same: {} and {}", short(a), short(b)))
    };
    facts.into_iter().filter_map(words).collect()
}

/// The difference from paired documents with what is to be said of it, or why there is none.
fn basis(
    both: [&Saved; 2],
    task: &str,
    pair: [&SavedScore; 2],
    samples: Option<&Samples>,
    resamples: usize,
) -> Result<(Paired, Vec<String>), String> {
    if both[0].is_group(task) {
        return Err("a group has no documents of its own".to_owned());
    }
    let samples = samples.ok_or_else(|| {
        let missing: Vec<&str> = [("A", both[0]), ("B", both[1])]
            .into_iter()
            .filter(|(_, saved)| saved.samples_file(task).is_none())
            .map(|(name, _)| name)
            .collect();
        format!("there are no samples of {}", missing.join(" and "))
    })?;
    let metric = &pair[0].metric;
    let [one, other] = both.map(|saved| aggregation(&saved.results, task, metric));
    let aggregation = one.ok_or("how the score is made of documents is not known")?;
    if Some(aggregation) != other {
        return Err("the score is made in different ways".to_owned());
    }
    let better = pair[0].higher_is_better.or(pair[1].higher_is_better).unwrap_or(true);
    let measures = samples.measures(metric, &pair[0].filter, aggregation)?;
    let mut notes = Vec::new();
    for (at, (name, score)) in ["A", "B"].into_iter().zip(pair).enumerate() {
        let found = aggregation.score(&measures.all[at])?;
        if (found - score.value).abs() > 1e-6 * score.value.abs().max(1e-6) {
            notes.push(format!("the samples of {name} make {found:.6}, and its results say {:.6}", score.value));
        }
    }
    let paired = Paired::of(aggregation, &measures.paired, better, resamples)?;
    if paired.left_out > 0 {
        notes.push(format!("{} of {resamples} resamples have no such score, and do not count", paired.left_out));
    }
    Ok((paired, notes))
}

fn unpaired([a, b]: [&SavedScore; 2], why: String) -> Unpaired {
    let difference = b.value - a.value;
    let errors = a.standard_error.zip(b.standard_error);
    let standard_error = errors.map(|(a, b)| a.hypot(b));
    Unpaired {
        difference,
        standard_error,
        interval: standard_error.map(|error| [difference - Z95 * error, difference + Z95 * error]),
        p: standard_error.filter(|error| *error > 0.0).map(|error| two_sided(difference / error)),
        why,
    }
}
