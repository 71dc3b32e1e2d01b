//! What to make of a published score and ours.
//!
//! The published error is not known: of a share it is estimated by `sqrt(p (1 - p) / n)`, of a perplexity ours stands for both. The same
//! model on the same documents should come much closer than two such errors; agreement to every printed digit is said too.

use serde::Serialize;

use super::{Figure, Unit, measures};
use crate::aggregate::{deviation, resampled};
use crate::results::About;
use crate::run::{Score, TaskOutcome};

/// Standard errors within which two scores agree.
const AGREEING: f64 = 2.0;
/// Resamples behind an error of ours that the harness gives none for.
const RESAMPLES: usize = 10_000;

/// What to make of a difference.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "verdict", rename_all = "snake_case")]
pub enum Verdict {
    /// Within two standard errors of the difference.
    Agrees {
        /// Whether it is the same number, as far as it was printed.
        to_every_digit: bool,
    },
    /// Not within.
    Differs {
        /// By so many of them.
        standard_errors: f64,
    },
    /// Ours was not made as the published one was, or nothing says how sure it is.
    NotComparable {
        /// Why.
        reasons: Vec<String>,
    },
}

impl Verdict {
    /// In words.
    pub fn words(&self) -> String {
        match self {
            Self::Agrees { to_every_digit: true } => "agrees, to every printed digit".to_owned(),
            Self::Agrees { to_every_digit: false } => "agrees".to_owned(),
            Self::Differs { standard_errors } => format!("differs by {standard_errors:.1} standard errors"),
            Self::NotComparable { reasons } => format!("not comparable: {}", reasons.join("; ")),
        }
    }
}

/// The standard error of the difference, where there is one, and what to make of it.
pub(super) fn judge(
    figure: &Figure<'_>,
    task: &TaskOutcome,
    score: &Score,
    mut reasons: Vec<String>,
) -> (Option<f64>, Verdict) {
    let difference = (score.value - figure.value()).abs();
    let error = combined(figure, task, score);
    if error.is_none() {
        reasons.push("nothing says how sure ours is".to_owned());
    }
    let verdict = match error {
        Some(error) if reasons.is_empty() => {
            // A millionth of a digit, for what is halfway between two.
            let to_every_digit = difference <= figure.half_digit() * (1.0 + 1e-6);
            if to_every_digit || difference <= AGREEING * error {
                Verdict::Agrees { to_every_digit }
            } else {
                Verdict::Differs { standard_errors: difference / error }
            }
        }
        _ => Verdict::NotComparable { reasons },
    };
    (error, verdict)
}

fn combined(figure: &Figure<'_>, task: &TaskOutcome, score: &Score) -> Option<f64> {
    let ours = score.standard_error.or_else(|| {
        let metric = task.task.metrics.iter().find(|metric| metric.name == score.metric)?;
        let measures = measures(task, &score.metric, &score.filter);
        let statistic = metric.aggregation.statistic(&measures, metric.higher_is_better).ok()?;
        (statistic.units() > 1)
            .then(|| deviation(&resampled(statistic.units(), RESAMPLES, &|places| statistic.of(places))))
    })?;
    let theirs = match figure.column.unit {
        Unit::Value => 0.0,
        Unit::Share | Unit::Percent => {
            let (share, count) = (figure.value(), figure.column.documents.unwrap_or(task.documents));
            (share * (1.0 - share) / count as f64).sqrt()
        }
    };
    Some(ours.hypot(theirs)).filter(|error| error.is_finite() && *error > 0.0)
}

/// How ours was made otherwise than the published one.
pub(super) fn reasons(figure: &Figure<'_>, task: &TaskOutcome, about: &About) -> Vec<String> {
    let mut found = Vec::new();
    let detail = |name: &str| about.model_details.get(name);
    let word = |name: &str| detail(name).and_then(serde_json::Value::as_str).unwrap_or_default();
    if task.measured < task.documents {
        found.push(format!("only the first {} of {} documents were measured", task.measured, task.documents));
    }
    if task.num_fewshot != 0 {
        found.push(format!("{} examples stand before each document, and none did", task.num_fewshot));
    }
    if let Some(split) = figure.column.split.as_deref().filter(|split| *split != task.source.split) {
        found.push(format!("the split is {}, and was {split}", task.source.split));
    } else if let Some(count) = figure.column.documents.filter(|count| *count != task.documents) {
        found.push(format!("the split has {} documents, and had {count}", task.documents));
    }
    let weights = word("model_dtype");
    if !matches!(weights, "" | "f32" | "f16" | "bf16") {
        found.push(format!("weights are {weights}, and were not quantised"));
    } else if let Some(precision) = figure.row.precision.as_deref().filter(|precision| *precision != weights) {
        found.push(format!("weights are {weights}, and were {precision}"));
    }
    for cache in ["cache_dtype_k", "cache_dtype_v"] {
        if !matches!(word(cache), "" | "f32" | "f16") {
            found.push(format!("the cache is {}, and was not quantised", word(cache)));
            break;
        }
    }
    let revision = word("model_revision");
    if !matches!(revision, "" | "main") && !figure.table.revisions.iter().any(|own| own == revision) {
        found.push(format!("the model's revision is {revision}, and was {}", revisions(figure)));
    }
    if detail("lora").is_some() {
        found.push("an adapter is on the model, and was not".to_owned());
    }
    if detail("random_weights").is_some() {
        found.push("the model's weights are random".to_owned());
    }
    found
}

fn revisions(figure: &Figure<'_>) -> String {
    if figure.table.revisions.is_empty() { "main".to_owned() } else { figure.table.revisions.join(" or ") }
}
