//! Scores that the makers of models have published, set beside ours.
//!
//! `published/scores.json` has the tables: of each its source and how it was measured, of each column the task and score it is here, the
//! split and how many documents that has, and each figure with the digits it was printed with. A figure is judged only where ours was made
//! in the same way; where not, it is said why.

mod verdict;

use std::sync::OnceLock;

use serde::{Deserialize, Serialize};

use crate::error::EvalError;
use crate::results::About;
use crate::run::{Outcome, TaskOutcome};
use verdict::{judge, reasons};

pub use verdict::Verdict;

const SCORES: &str = include_str!("published/scores.json");

/// One publication.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Table {
    name: String,
    source: String,
    measured: String,
    /// Revisions of the models' repositories that were measured, beside the main one.
    #[serde(default)]
    revisions: Vec<String>,
    columns: Vec<Column>,
    rows: Vec<Row>,
}

/// One score, of every model of the table.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Column {
    task: String,
    metric: String,
    unit: Unit,
    split: Option<String>,
    documents: Option<usize>,
    note: Option<String>,
}

/// How a figure is printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Unit {
    /// A share, from 0 to 1.
    Share,
    /// A share in percent.
    Percent,
    /// Any other number.
    Value,
}

/// One model.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Row {
    model: String,
    /// Its names at the hub, or one of ours where it is not there.
    ids: Vec<String>,
    /// What it was measured in, where that is known.
    precision: Option<String>,
    /// As printed, one a column.
    values: Vec<Option<String>>,
}

/// A figure of a table.
#[derive(Clone, Copy, Debug)]
struct Figure<'t> {
    table: &'t Table,
    row: &'t Row,
    column: &'t Column,
    printed: &'t str,
}

impl Figure<'_> {
    /// On the scale of our scores.
    fn value(&self) -> f64 {
        // By its exponent: a division would add digits that nobody printed.
        let exponent = if self.column.unit == Unit::Percent { "e-2" } else { "" };
        format!("{}{exponent}", self.printed).parse().expect("held by a test")
    }

    /// Half of what the last printed digit counts.
    fn half_digit(&self) -> f64 {
        let digits = self.printed.split_once('.').map_or(0, |(_, digits)| digits.len());
        let percent = if self.column.unit == Unit::Percent { 2 } else { 0 };
        0.5 * 10f64.powi(-(digits as i32 + percent))
    }

    fn shown(&self) -> String {
        if self.column.unit == Unit::Percent { format!("{} %", self.printed) } else { self.printed.to_owned() }
    }
}

fn tables() -> &'static [Table] {
    static TABLES: OnceLock<Vec<Table>> = OnceLock::new();
    TABLES.get_or_init(|| serde_json::from_str(SCORES).expect("held by a test"))
}

fn figures(id: &str) -> Vec<Figure<'static>> {
    let mut found = Vec::new();
    for table in tables() {
        for row in table.rows.iter().filter(|row| row.ids.iter().any(|own| own.eq_ignore_ascii_case(id))) {
            for (column, printed) in table.columns.iter().zip(&row.values) {
                found.extend(printed.as_deref().map(|printed| Figure { table, row, column, printed }));
            }
        }
    }
    found
}

/// A published model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublishedModel(String);

impl PublishedModel {
    /// The model of that name at the hub (whatever its capitals), or by one of ours for those that are not there.
    ///
    /// # Errors
    /// A name of which nothing is published here, with those of which something is.
    pub fn named(id: &str) -> Result<Self, EvalError> {
        if figures(id).is_empty() {
            return Err(EvalError::NotPublished { id: id.to_owned(), known: Self::known() });
        }
        Ok(Self(id.to_owned()))
    }

    /// Names of which something is published here.
    pub fn known() -> Vec<&'static str> {
        let mut known: Vec<&str> = Vec::new();
        for id in tables().iter().flat_map(|table| &table.rows).flat_map(|row| &row.ids) {
            if !known.contains(&id.as_str()) {
                known.push(id);
            }
        }
        known
    }

    /// What is published of it, beside what was found.
    pub fn beside(&self, outcome: &Outcome, about: &About) -> Published {
        let (mut scores, mut not_measured) = (Vec::new(), Vec::new());
        for figure in figures(&self.0) {
            let Column { task, metric, note, .. } = figure.column;
            let ours = outcome.tasks.iter().find(|found| found.task.name() == task);
            let score = ours.and_then(|ours| ours.scores.iter().find(|score| score.metric == *metric));
            let Some((ours, score)) = ours.zip(score) else {
                not_measured.push(Unmeasured {
                    task: task.clone(),
                    metric: metric.clone(),
                    printed: figure.shown(),
                    source: figure.table.source.clone(),
                });
                continue;
            };
            let (error, verdict) = judge(&figure, ours, score, reasons(&figure, ours, about));
            scores.push(PublishedScore {
                task: task.clone(),
                metric: metric.clone(),
                filter: score.filter.clone(),
                table: figure.table.name.clone(),
                source: figure.table.source.clone(),
                row: figure.row.model.clone(),
                measured: figure.table.measured.clone(),
                note: note.clone(),
                printed: figure.shown(),
                published: figure.value(),
                ours: score.value,
                difference: score.value - figure.value(),
                standard_error: error,
                words: verdict.words(),
                verdict,
            });
        }
        Published { model: self.0.clone(), scores, not_measured }
    }
}

/// Published scores beside ours.
#[derive(Clone, Debug, Serialize)]
pub struct Published {
    /// The model, as it was looked up.
    pub model: String,
    /// Those that were measured.
    pub scores: Vec<PublishedScore>,
    /// Those that were not.
    pub not_measured: Vec<Unmeasured>,
}

/// A published score that was not measured.
#[derive(Clone, Debug, Serialize)]
pub struct Unmeasured {
    /// The task.
    pub task: String,
    /// The score.
    pub metric: String,
    /// As printed.
    pub printed: String,
    /// Where.
    pub source: String,
}

/// A published score beside ours.
#[derive(Clone, Debug, Serialize)]
pub struct PublishedScore {
    /// The task.
    pub task: String,
    /// The score.
    pub metric: String,
    /// The filters before ours.
    pub filter: String,
    /// The publication, in a word.
    pub table: String,
    /// And whole.
    pub source: String,
    /// What the publication calls the model.
    pub row: String,
    /// How it was measured.
    pub measured: String,
    /// What else is to be known of the figure.
    pub note: Option<String>,
    /// As printed.
    pub printed: String,
    /// On the scale of our scores.
    pub published: f64,
    /// Ours.
    pub ours: f64,
    /// Ours less the published.
    pub difference: f64,
    /// Of the difference.
    pub standard_error: Option<f64>,
    /// What to make of it.
    #[serde(flatten)]
    pub verdict: Verdict,
    /// The same in words.
    pub words: String,
}

/// The measures behind a score.
fn measures(task: &TaskOutcome, metric: &str, filter: &str) -> Vec<crate::aggregate::Measure> {
    let of = task.samples.iter().filter(|sample| sample.filter == filter);
    of.flat_map(|sample| &sample.measures).filter(|(name, _)| name == metric).map(|(_, m)| m.clone()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::{Catalog, Chosen};

    #[test]
    fn every_figure_is_a_number_of_a_known_column() {
        for table in tables() {
            assert!(!table.source.is_empty() && !table.measured.is_empty(), "{}", table.name);
            for row in &table.rows {
                assert_eq!(row.values.len(), table.columns.len(), "{} {}", table.name, row.model);
                assert!(!row.ids.is_empty());
                for printed in row.values.iter().flatten() {
                    assert!(printed.parse::<f64>().is_ok_and(|value| value > 0.0), "{printed}");
                }
            }
        }
        let names = PublishedModel::known();
        assert!(names.contains(&"EleutherAI/gpt-neo-125m") && names.contains(&"EleutherAI/pythia-70m"));
    }

    #[test]
    fn columns_are_scores_of_shipped_tasks() {
        let catalog = Catalog::shipped().unwrap();
        for column in tables().iter().flat_map(|table| &table.columns).filter(|column| column.task != "pile") {
            let chosen = catalog.choose(std::slice::from_ref(&column.task)).unwrap();
            let Some(Chosen::Task(task)) = chosen.first() else { panic!("{} is no task", column.task) };
            assert!(task.metrics.iter().any(|metric| metric.name == column.metric), "{}", column.metric);
            assert!(column.split.is_none() || column.split.as_deref() == task.split(), "{}", column.task);
        }
    }

    /// A share that was printed is one of the split's documents, to the digits printed: a slip of the pen would hardly be. Where the
    /// last digit is a 0 the source had rounded before it printed.
    #[test]
    fn shares_are_shares_of_their_documents() {
        let mut strange = Vec::new();
        for id in PublishedModel::known() {
            for figure in figures(id) {
                let (Some(count), false) = (figure.column.documents, figure.column.unit == Unit::Value) else {
                    continue;
                };
                let count = count as f64;
                let nearest = (figure.value() * count).round() / count;
                let padded = if figure.printed.ends_with('0') { 10.0 } else { 1.0 };
                if (nearest - figure.value()).abs() > figure.half_digit() * padded * 1.001 {
                    strange.push((figure.row.model.as_str(), figure.column.task.as_str(), figure.printed));
                }
            }
        }
        // By the two names of the model. As its source has it.
        assert_eq!(strange, [("GPT-2 1.5B", "mathqa", "23.64"); 2]);
    }

    #[test]
    fn names_are_found_whatever_their_capitals() {
        assert!(PublishedModel::named("eleutherai/GPT-NEO-125M").is_ok());
        assert!(PublishedModel::named("gpt-3-175b").is_ok());
        let error = PublishedModel::named("my/model").unwrap_err().to_string();
        assert!(error.contains("my/model") && error.contains("EleutherAI/gpt-neo-1.3B"), "{error}");
    }

    #[test]
    fn one_model_may_be_in_two_tables() {
        let found = figures("EleutherAI/gpt-neo-1.3B");
        let hellaswag: Vec<_> = found.iter().filter(|figure| figure.column.task == "hellaswag").collect();
        let of: Vec<_> = hellaswag.iter().map(|figure| (figure.column.metric.as_str(), figure.value())).collect();
        assert_eq!(of, [("acc", 0.3866), ("acc_norm", 0.489)]);
        assert!((hellaswag[0].half_digit() - 0.00005).abs() < 1e-18);
    }
}
