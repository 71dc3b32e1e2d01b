//! What documents gave each metric, until it becomes scores.

use std::collections::BTreeMap;

use super::{Options, Score};
use crate::aggregate::Measure;
use crate::definition::Task;
use crate::error::EvalError;

/// Measures by the place of their metric in the definition.
#[derive(Default)]
pub(super) struct Collected(BTreeMap<usize, Vec<Measure>>);

impl Collected {
    pub(super) fn push(&mut self, metric: usize, measure: Measure) {
        self.0.entry(metric).or_default().push(measure);
    }

    /// Scores in the order of the definition, then of whatever else was measured.
    pub(super) fn scores(&self, task: &Task, filter: &str, options: &Options) -> Result<Vec<Score>, EvalError> {
        let score = |(at, measures): (&usize, &Vec<Measure>)| {
            let metric = &task.metrics[*at];
            let value = metric.aggregation.score(measures).map_err(|why| EvalError::Task {
                task: task.name.clone(),
                why: format!("the score `{}`: {why}", metric.name),
            })?;
            Ok(Score {
                metric: metric.name.clone(),
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
