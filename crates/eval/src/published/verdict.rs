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

#[cfg(test)]
mod tests {
    use serde_json::{Map, json};

    use super::*;
    use crate::aggregate::Measure;
    use crate::catalog::{Catalog, Chosen};
    use crate::document::Document;
    use crate::published::figures;
    use crate::run::{Sample, Source};

    /// A task as it was measured, whole and without examples.
    fn measured(task: &str, metric: &str, value: f64, error: Option<f64>, documents: usize) -> (TaskOutcome, Score) {
        let mut chosen = Catalog::shipped().unwrap().choose(&[task.to_owned()]).unwrap();
        let Some(Chosen::Task(task)) = chosen.pop() else { panic!("no task") };
        let split = task.split().unwrap().to_owned();
        let score = Score {
            metric: metric.to_owned(),
            filter: "none".to_owned(),
            value,
            standard_error: error,
            count: documents,
            higher_is_better: true,
        };
        let outcome = TaskOutcome {
            task: *task,
            num_fewshot: 0,
            documents,
            measured: documents,
            source: Source { split, files: Vec::new(), revision: None, sha256: String::new() },
            judged: Map::new(),
            head: None,
            scores: vec![score.clone()],
            samples: Vec::new(),
            contamination: None,
            notes: Vec::new(),
        };
        (outcome, score)
    }

    fn figure(id: &str, task: &str, metric: &str) -> Figure<'static> {
        let wanted = |figure: &Figure<'_>| figure.column.task == task && figure.column.metric == metric;
        figures(id).into_iter().find(wanted).unwrap()
    }

    fn about(details: serde_json::Value) -> About {
        About { model_details: details.as_object().unwrap().clone(), ..About::default() }
    }

    #[test]
    fn shares_agree_within_two_errors_of_both() {
        // 63.06 % of 1838: its error is 0.011258, ours 0.0113, of the difference 0.015951.
        let piqa = figure("EleutherAI/gpt-neo-125m", "piqa", "acc");
        let check = |value: f64| {
            let (task, score) = measured("piqa", "acc", value, Some(0.0113), 1838);
            judge(&piqa, &task, &score, reasons(&piqa, &task, &about(json!({"model_dtype": "f32"}))))
        };
        let (error, verdict) = check(0.66);
        assert!((error.unwrap() - 0.015_951).abs() < 1e-5, "{error:?}");
        assert_eq!(verdict, Verdict::Agrees { to_every_digit: false });
        assert_eq!(check(1159.0 / 1838.0).1, Verdict::Agrees { to_every_digit: true });
        let Verdict::Differs { standard_errors } = check(0.57).1 else { panic!("it differs") };
        assert!((standard_errors - 0.0606 / 0.015_951).abs() < 1e-2, "{standard_errors}");
    }

    #[test]
    fn a_perplexity_without_an_error_is_resampled() {
        let wikitext = figure("EleutherAI/gpt-neo-125m", "wikitext", "word_perplexity");
        let (mut task, score) = measured("wikitext", "word_perplexity", 33.0, None, 62);
        let none = judge(&wikitext, &task, &score, Vec::new());
        assert!(none.0.is_none() && none.1.words().contains("how sure"), "{none:?}");
        let sample = |at: usize| Sample {
            doc_id: at,
            document: Document::new(),
            target: json!(""),
            arguments: Vec::new(),
            answers: Vec::new(),
            filtered: Vec::new(),
            filter: "none".to_owned(),
            contamination: None,
            measures: vec![(
                "word_perplexity".to_owned(),
                Measure::Weighted { sum: -100.0 * (3.3 + (at % 5) as f64 / 10.0), weight: 100.0 },
            )],
        };
        task.samples = (0..62).map(sample).collect();
        let (error, verdict) = judge(&wikitext, &task, &score, Vec::new());
        // By the delta method: 33 times the deviation of the mean, 0.14 / sqrt 62.
        assert!((error.unwrap() - 33.0 * 0.1414 / 62f64.sqrt()).abs() < 0.06, "{error:?}");
        assert_eq!(verdict, Verdict::Agrees { to_every_digit: false });
    }

    #[test]
    fn what_was_made_otherwise_is_not_compared() {
        let piqa = figure("EleutherAI/gpt-neo-125m", "piqa", "acc");
        let check = |change: &dyn Fn(&mut TaskOutcome), details: serde_json::Value, words: &str| {
            let (mut task, score) = measured("piqa", "acc", 0.63, Some(0.01), 1838);
            change(&mut task);
            let verdict = judge(&piqa, &task, &score, reasons(&piqa, &task, &about(details))).1.words();
            assert!(verdict.starts_with("not comparable") && verdict.contains(words), "{verdict}");
        };
        check(&|task| task.measured = 100, json!({}), "first 100 of 1838");
        check(&|task| task.num_fewshot = 5, json!({}), "5 examples");
        check(&|task| task.source.split = "train".to_owned(), json!({}), "the split is train, and was validation");
        check(&|task| (task.documents, task.measured) = (1000, 1000), json!({}), "has 1000 documents, and had 1838");
        check(&|_| {}, json!({"model_dtype": "q4_0"}), "weights are q4_0");
        check(&|_| {}, json!({"cache_dtype_k": "q8_0"}), "the cache is q8_0");
        check(&|_| {}, json!({"model_revision": "old"}), "revision is old, and was main");
        check(&|_| {}, json!({"lora": "x"}), "adapter");
        check(&|_| {}, json!({"random_weights": true}), "random");
        let one = figure("EleutherAI/pythia-1b", "piqa", "acc");
        let (task, _) = measured("piqa", "acc", 0.7, Some(0.01), 1838);
        let of = |details: serde_json::Value| reasons(&one, &task, &about(details));
        assert!(of(json!({"model_dtype": "f32"}))[0].contains("f32, and were bf16"));
        assert!(of(json!({"model_dtype": "bf16", "model_revision": "step143000"})).is_empty());
    }
}
