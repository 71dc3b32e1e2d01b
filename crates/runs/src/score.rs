//! Scores of an evaluation among the metrics of a run: `task/score`, and its standard error as `task/score_stderr`.
//!
//! An evaluation of a model that is trained elsewhere has one step, 0.

use serde::Serialize;

use crate::error::RunsError;
use crate::event::Evaluation;
use crate::record::{RunId, Summary};
use crate::store::Store;

/// The kind of runs that measure a model and do not train it.
pub const EVALUATION: &str = "eval";

/// What a standard error's name ends in.
const STANDARD_ERROR: &str = "_stderr";

/// A score of a run, as last recorded.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Score {
    /// What it was measured on: a task, a group.
    pub on: String,
    /// Its name.
    pub name: String,
    /// The value.
    pub value: f64,
    /// Its standard error, where it has one.
    pub standard_error: Option<f64>,
}

impl Evaluation {
    /// Scores on one task, each with its standard error where it has one, of a model that is not being trained.
    pub fn of_scores<'s>(on: &str, scores: impl IntoIterator<Item = (&'s str, f64, Option<f64>)>) -> Evaluation {
        let both = scores.into_iter().flat_map(|(name, value, error)| {
            let error = error.map(|error| (format!("{name}{STANDARD_ERROR}"), error));
            std::iter::once((name.to_owned(), value)).chain(error)
        });
        Evaluation { step: 0, on: on.to_owned(), values: both.collect() }
    }
}

impl Store {
    /// The scores of a run, by name: metrics of the form `task/score`, with their standard errors.
    ///
    /// # Errors
    /// As every read.
    pub fn scores(&self, run: RunId) -> Result<Vec<Score>, RunsError> {
        Ok(scores(&self.summaries(run)?))
    }
}

fn scores(metrics: &[Summary]) -> Vec<Score> {
    let last = |name: &str| metrics.iter().find(|metric| metric.name == name).map(|metric| metric.last);
    let own = metrics
        .iter()
        .filter(|metric| metric.name.strip_suffix(STANDARD_ERROR).is_none_or(|score| last(score).is_none()));
    let score = |metric: &Summary| {
        let (on, name) = metric.name.rsplit_once('/')?;
        let standard_error = last(&format!("{}{STANDARD_ERROR}", metric.name));
        Some(Score { on: on.to_owned(), name: name.to_owned(), value: metric.last, standard_error })
    };
    own.filter_map(score).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::Event;
    use crate::record::NewRun;

    #[test]
    fn scores_come_back_with_their_errors() {
        let folder = tempfile::tempdir().unwrap();
        let mut store = Store::open(&folder.path().join("runs.sqlite")).unwrap();
        let new = NewRun { name: "small".to_owned(), kind: EVALUATION.to_owned(), ..NewRun::default() };
        let run = store.begin(&new).unwrap();
        let told = [("acc", 0.5, Some(0.01)), ("brier", 0.7, None), ("acc,strict", 0.25, Some(0.02))];
        store.record(run.id, &Event::Evaluation(Evaluation::of_scores("a/b", told))).unwrap();
        let found = store.scores(run.id).unwrap();
        let of = |score: &Score| (score.on.clone(), score.name.clone(), score.value, score.standard_error);
        let wanted = [("acc", 0.5, Some(0.01)), ("acc,strict", 0.25, Some(0.02)), ("brier", 0.7, None)];
        let wanted = wanted.map(|(name, value, error)| ("a/b".to_owned(), name.to_owned(), value, error));
        assert_eq!(found.iter().map(of).collect::<Vec<_>>(), wanted);
        store.learned(run.id, Some("abc"), &[("data.a".to_owned(), "1".to_owned())]).unwrap();
        assert_eq!(store.run(run.id).unwrap().origin.data_hash.as_deref(), Some("abc"));
        assert_eq!(store.settings(run.id).unwrap(), [("data.a".to_owned(), "1".to_owned())]);
    }
}
