//! Scores of several tasks together: a mean of theirs, as the reference harness combines them, or, which is a word of ours, the score of
//! all their documents as if they were one task's.

use super::{GroupOutcome, Score, TaskOutcome};
use crate::aggregate::Measure;
use crate::contrast;
use crate::definition::{Combination, Group};
use crate::error::EvalError;

/// The scores of a group. Standard errors of pooled ones are by so many resamples, where there is no formula.
pub(super) fn combine(
    group: &Group,
    names: &[String],
    tasks: &[TaskOutcome],
    iterations: usize,
) -> Result<GroupOutcome, EvalError> {
    let members: Vec<&TaskOutcome> =
        names.iter().filter_map(|name| tasks.iter().find(|t| t.task.name == *name)).collect();
    let mut scores = Vec::new();
    for aggregate in &group.aggregates {
        for filter in &aggregate.filters {
            if let Some(contrast) = aggregate.contrast() {
                scores.extend(contrast::difference(aggregate, contrast, filter, &members));
                continue;
            }
            if matches!(aggregate.combination, Combination::Pooled) {
                let pooled = pooled(&aggregate.name, &aggregate.metrics, filter, &members, iterations);
                scores.extend(pooled.map_err(|why| EvalError::Task {
                    task: group.name.clone(),
                    why: format!("the score `{}`: {why}", aggregate.name),
                })?);
                continue;
            }
            // Of a task with several of the scores, their mean.
            let of = |task: &TaskOutcome| {
                let named = aggregate.metrics.iter().filter_map(|metric| {
                    task.scores.iter().find(|score| score.metric == *metric && score.filter == *filter).cloned()
                });
                let named: Vec<Score> = named.collect();
                let count = named.len() as f64;
                let first = named.first()?.clone();
                let value = named.iter().map(|score| score.value).sum::<f64>() / count;
                let standard_error = if named.len() == 1 { first.standard_error } else { None };
                Some(Score { value, standard_error, count: task.measured, ..first })
            };
            let found: Vec<(&str, Score)> =
                members.iter().filter_map(|task| Some((task.task.name.as_str(), of(task)?))).collect();
            let Some((_, first)) = found.first().cloned() else { continue };
            let joined = |name: &str| aggregate.as_one.iter().any(|one| one == name);
            let together = found.iter().filter(|(name, _)| joined(name)).count() as f64;
            let weight = |(name, score): &(&str, Score)| match () {
                () if aggregate.weight_by_size => score.count as f64,
                () if joined(name) => 1.0 / together,
                () => 1.0,
            };
            let weights: Vec<f64> = found.iter().map(weight).collect();
            let found: Vec<Score> = found.into_iter().map(|(_, score)| score).collect();
            let all: f64 = weights.iter().sum();
            let value = found.iter().zip(&weights).map(|(score, weight)| score.value * weight).sum::<f64>() / all;
            let errors: Option<Vec<f64>> = found.iter().map(|score| score.standard_error).collect();
            scores.push(Score {
                metric: aggregate.name.clone(),
                filter: filter.clone(),
                value,
                standard_error: errors
                    .and_then(|errors| combined_error(&errors, &found, &weights, aggregate.weight_by_size)),
                count: found.iter().map(|score| score.count).sum(),
                higher_is_better: first.higher_is_better,
            });
        }
    }
    Ok(GroupOutcome { group: group.clone(), tasks: names.to_vec(), scores })
}

/// The score of the documents of all tasks together; `None` where no task has it.
fn pooled(
    name: &str,
    metrics: &[String],
    filter: &str,
    members: &[&TaskOutcome],
    iterations: usize,
) -> Result<Option<Score>, String> {
    let known = members.iter().flat_map(|member| &member.task.metrics).find(|metric| metrics.contains(&metric.name));
    let Some(metric) = known else { return Ok(None) };
    let samples = members.iter().flat_map(|member| &member.samples).filter(|sample| sample.filter == filter);
    let of_metric = samples.flat_map(|sample| &sample.measures).filter(|(name, _)| *name == metric.name);
    let measures: Vec<Measure> = of_metric.map(|(_, measure)| measure.clone()).collect();
    if measures.is_empty() {
        return Ok(None);
    }
    Ok(Some(Score {
        metric: name.to_owned(),
        filter: filter.to_owned(),
        value: metric.aggregation.score(&measures)?,
        standard_error: metric.aggregation.standard_error(&measures, iterations),
        count: measures.len(),
        higher_is_better: metric.higher_is_better,
    }))
}

/// The standard error of a group's mean, of those of its tasks.
fn combined_error(errors: &[f64], scores: &[Score], weights: &[f64], by_size: bool) -> Option<f64> {
    if !by_size {
        let squares = errors.iter().zip(weights).map(|(error, weight)| (error * weight).powi(2));
        return Some(squares.sum::<f64>().sqrt() / weights.iter().sum::<f64>());
    }
    let sizes = scores.iter().map(|score| score.count as f64);
    let all: f64 = sizes.clone().sum();
    let variance: f64 = sizes.zip(errors).map(|(size, error)| (size - 1.0) * error * error * size).sum();
    (all > errors.len() as f64).then(|| (variance / (all - errors.len() as f64) / all).sqrt())
}

#[cfg(test)]
mod tests {
    use serde_json::Map;

    use super::*;
    use crate::catalog::{Catalog, Chosen};
    use crate::run::Source;

    /// The score of a group whose tasks have these scores, one after the other as their definitions have them.
    fn mean(group: &str, given: &[(&str, &[f64])]) -> f64 {
        let catalog = Catalog::shipped().unwrap();
        let chosen = catalog.choose(&[group.to_owned()]).unwrap();
        let found = chosen.iter().find_map(|one| match one {
            Chosen::Group(group, names) => Some((group.clone(), names.clone())),
            Chosen::Task(_) => None,
        });
        let (group, names) = found.unwrap();
        assert_eq!(names.len(), given.len(), "{names:?}");
        let source = Source { split: "test".to_owned(), files: Vec::new(), revision: None, sha256: String::new() };
        let outcome = |(name, values): &(&str, &[f64])| {
            let task = catalog.task(name).unwrap();
            assert_eq!(task.metrics.len(), values.len(), "{name}");
            let score = |(metric, value): (&crate::definition::Metric, &f64)| Score {
                metric: metric.name.clone(),
                filter: "none".to_owned(),
                value: *value,
                standard_error: Some(1.0),
                count: 10,
                higher_is_better: true,
            };
            TaskOutcome {
                scores: task.metrics.iter().zip(*values).map(score).collect(),
                task,
                num_fewshot: 0,
                documents: 10,
                measured: 10,
                source: source.clone(),
                judged: Map::new(),
                head: None,
                samples: Vec::new(),
                contamination: None,
                notes: Vec::new(),
            }
        };
        let tasks: Vec<TaskOutcome> = given.iter().map(outcome).collect();
        let combined = combine(&group, &names, &tasks, 0).unwrap();
        assert_eq!(combined.scores.len(), 1);
        combined.scores[0].value
    }

    /// BERT-large on GLUE's board: 80.5 (Devlin et al., 2019).
    #[test]
    fn glue_is_averaged_as_its_board_is() {
        let board = mean(
            "glue_head",
            &[
                ("glue_head_cola", &[60.5]),
                ("glue_head_sst2", &[94.9]),
                ("glue_head_mrpc", &[85.4, 89.3]),
                ("glue_head_qqp", &[89.3, 72.1]),
                ("glue_head_stsb", &[87.6, 86.5]),
                ("glue_head_mnli", &[86.7]),
                ("glue_head_mnli_mismatch", &[85.9]),
                ("glue_head_qnli", &[92.7]),
                ("glue_head_rte", &[70.1]),
                ("glue_head_wnli", &[65.1]),
            ],
        );
        assert!((board - 80.5).abs() < 0.05, "{board}");
    }

    /// BERT-large on SuperGLUE's board: 69.0 (Wang et al., 2019).
    #[test]
    fn superglue_is_averaged_as_its_board_is() {
        let board = mean(
            "superglue_head",
            &[
                ("superglue_head_boolq", &[77.4]),
                ("superglue_head_cb", &[83.6, 75.7]),
                ("superglue_head_copa", &[70.6]),
                ("superglue_head_multirc", &[70.0, 24.1]),
                ("superglue_head_record", &[72.0, 71.3]),
                ("superglue_head_rte", &[71.7]),
                ("superglue_head_wic", &[69.6]),
                ("superglue_head_wsc", &[64.4]),
            ],
        );
        assert!((board - 69.0).abs() < 0.05, "{board}");
    }
}
