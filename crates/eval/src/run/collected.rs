//! What documents gave each metric, until it becomes scores.

use std::collections::BTreeMap;

use super::{Options, Score};
use crate::aggregate::Measure;
use crate::definition::Task;
use crate::error::EvalError;

/// Measures by the place of their metric in the definition; of one metric first those of all documents, then those of groups by name.
#[derive(Default)]
pub(super) struct Collected(BTreeMap<(usize, Option<String>), Vec<Measure>>);

impl Collected {
    /// Adds what a document gave, and to its group if it has one.
    pub(super) fn push(&mut self, metric: usize, group: Option<&str>, measure: &Measure) {
        for group in std::iter::once(None).chain(group.map(Some)) {
            self.0.entry((metric, group.map(str::to_owned))).or_default().push(measure.clone());
        }
    }

    /// Scores in the order of the definition.
    pub(super) fn scores(&self, task: &Task, filter: &str, options: &Options) -> Result<Vec<Score>, EvalError> {
        let score = |((at, group), measures): (&(usize, Option<String>), &Vec<Measure>)| {
            let metric = &task.metrics[*at];
            let name = group.as_ref().map_or_else(|| metric.name.clone(), |group| format!("{}[{group}]", metric.name));
            let value = metric.aggregation.score(measures).map_err(|why| EvalError::Task {
                task: task.name.clone(),
                why: format!("the score `{name}`: {why}"),
            })?;
            Ok(Score {
                metric: name,
                filter: filter.to_owned(),
                value,
                standard_error: metric.aggregation.standard_error(measures, options.bootstrap_iterations),
                count: measures.len(),
                higher_is_better: metric.higher_is_better,
            })
        };
        self.0.iter().map(score).collect()
    }
}
