//! Scores of several tasks together: a mean of theirs, as the reference harness combines them, or, which is a word of ours, the score of
//! all their documents as if they were one task's.

use crate::aggregate::Measure;
use crate::definition::Group;
use crate::error::EvalError;
use crate::run::{GroupOutcome, Score, TaskOutcome};

/// The scores of a group. Standard errors of pooled ones are by so many resamples, where there is no formula.
pub(crate) fn combine(
    group: Group,
    names: Vec<String>,
    tasks: &[TaskOutcome],
    iterations: usize,
) -> Result<GroupOutcome, EvalError> {
    let members: Vec<&TaskOutcome> =
        names.iter().filter_map(|name| tasks.iter().find(|t| t.task.name == *name)).collect();
    let mut scores = Vec::new();
    for aggregate in &group.aggregates {
        for filter in &aggregate.filters {
            if aggregate.pooled {
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
            let found: Vec<Score> = members.iter().filter_map(|task| of(task)).collect();
            let Some(first) = found.first() else { continue };
            let weights: Vec<f64> =
                found.iter().map(|score| if aggregate.weight_by_size { score.count as f64 } else { 1.0 }).collect();
            let all: f64 = weights.iter().sum();
            let value = found.iter().zip(&weights).map(|(score, weight)| score.value * weight).sum::<f64>() / all;
            let errors: Option<Vec<f64>> = found.iter().map(|score| score.standard_error).collect();
            scores.push(Score {
                metric: aggregate.name.clone(),
                filter: filter.clone(),
                value,
                standard_error: errors.and_then(|errors| combined_error(&errors, &found, aggregate.weight_by_size)),
                count: found.iter().map(|score| score.count).sum(),
                higher_is_better: first.higher_is_better,
            });
        }
    }
    Ok(GroupOutcome { group, tasks: names, scores })
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
fn combined_error(errors: &[f64], scores: &[Score], weighted: bool) -> Option<f64> {
    if !weighted {
        return Some(errors.iter().map(|error| error * error).sum::<f64>().sqrt() / errors.len() as f64);
    }
    let sizes = scores.iter().map(|score| score.count as f64);
    let all: f64 = sizes.clone().sum();
    let variance: f64 = sizes.zip(errors).map(|(size, error)| (size - 1.0) * error * error * size).sum();
    (all > errors.len() as f64).then(|| (variance / (all - errors.len() as f64) / all).sqrt())
}
