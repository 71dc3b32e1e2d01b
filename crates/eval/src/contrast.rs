//! A group's score that is the difference between two halves of its tasks, with its standard error.
//!
//! Each half is the mean over its documents. Where the halves are the same sentences in two forms the standard error is that of the
//! differences sentence by sentence, which is smaller than if they had nothing in common; else that of two independent means.

use crate::aggregate::{Measure, mean, standard_error};
use crate::definition::{Aggregate, Contrast, Group};
use crate::error::EvalError;
use crate::run::{Score, TaskOutcome};

/// Refuses a group that cannot be halved, before a model is asked. `tasks` has names and numbers of documents.
pub(crate) fn checked(group: &Group, tasks: &[(&str, usize)]) -> Result<(), EvalError> {
    let refused = |why: String| Err(EvalError::Task { task: group.name.clone(), why });
    for contrast in group.aggregates.iter().filter_map(Aggregate::contrast) {
        if let Some(stranger) = contrast.minus.iter().find(|name| !tasks.iter().any(|(known, _)| known == name)) {
            return refused(format!("`minus` names `{stranger}`, which is none of its tasks"));
        }
        let (minus, plus): (Vec<_>, Vec<_>) = tasks.iter().partition(|(name, _)| contrast.names(name));
        if plus.is_empty() {
            return refused("`minus` names all of its tasks, so nothing is left to take them from".to_owned());
        }
        let counts = |half: &[&(&str, usize)]| half.iter().map(|(_, count)| *count).collect::<Vec<_>>();
        let (plus, minus) = (counts(&plus), counts(&minus));
        if contrast.paired && plus != minus {
            return refused(format!(
                "its halves are `paired`, and have {plus:?} and {minus:?} documents: measure as many of each"
            ));
        }
    }
    Ok(())
}

impl Contrast {
    fn names(&self, task: &str) -> bool {
        self.minus.iter().any(|name| name == task)
    }
}

/// The score under one row of filters, of the tasks in their order; none where a task does not have the metric.
pub(crate) fn difference(
    aggregate: &Aggregate,
    contrast: &Contrast,
    filter: &str,
    tasks: &[&TaskOutcome],
) -> Option<Score> {
    let metric = aggregate.metrics.first()?;
    let (mut plus, mut minus) = (Vec::new(), Vec::new());
    for task in tasks {
        let half = if contrast.names(&task.task.name) { &mut minus } else { &mut plus };
        half.extend(numbers(task, metric, filter)?);
    }
    if plus.is_empty() || minus.is_empty() {
        return None;
    }
    let several = plus.len() > 1 && minus.len() > 1;
    let (standard_error, count) = if contrast.paired {
        let differences: Vec<f64> = plus.iter().zip(&minus).map(|(plus, minus)| plus - minus).collect();
        (several.then(|| standard_error(&differences)), differences.len())
    } else {
        (several.then(|| standard_error(&plus).hypot(standard_error(&minus))), plus.len() + minus.len())
    };
    Some(Score {
        metric: aggregate.name.clone(),
        filter: filter.to_owned(),
        value: mean(&plus) - mean(&minus),
        standard_error,
        count,
        higher_is_better: false,
    })
}

/// What the documents of a task gave to a score.
fn numbers(task: &TaskOutcome, metric: &str, filter: &str) -> Option<Vec<f64>> {
    let samples = task.samples.iter().filter(|sample| sample.filter == filter);
    let number = |(_, measure): &(String, Measure)| match measure {
        Measure::Number(number) => Some(*number),
        _ => None,
    };
    samples.map(|sample| sample.measures.iter().find(|(name, _)| name == metric).and_then(number)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::answer::Answer;
    use crate::catalog::Catalog;
    use crate::run::trial::trial_of;

    const TASKS: &str = "
output_type: loglikelihood
test_split: test
doc_to_text: \"{{a}}\"
doc_to_target: b
metric_list: [{metric: acc}]
variants:
  first: {local: {test: [{files: one.jsonl}]}}
  second: {local: {test: [{files: two.jsonl}]}}
  third: {local: {test: [{files: three.jsonl}]}}
";

    /// The greedy answers are those whose `b` is `y`.
    fn scored(group: &str) -> Result<Vec<Score>, String> {
        let folder = tempfile::tempdir().unwrap();
        let lines =
            |letters: &str| letters.chars().map(|b| format!("{{\"a\": \"a\", \"b\": \"{b}\"}}\n")).collect::<String>();
        for (file, letters) in [("one.jsonl", "yyyn"), ("two.jsonl", "ynnn"), ("three.jsonl", "yynnn")] {
            std::fs::write(folder.path().join(file), lines(letters)).unwrap();
        }
        std::fs::write(folder.path().join("tasks.yaml"), TASKS).unwrap();
        std::fs::write(folder.path().join("group.yaml"), group).unwrap();
        let mut catalog = Catalog::shipped().unwrap();
        catalog.include(folder.path()).map_err(|error| error.to_string())?;
        let greedy = |_: usize, _: usize, case: &crate::prompt::Case| Answer::Likelihood {
            logprob: -1.0,
            greedy: case.document["b"] == "y",
        };
        let outcome = std::panic::catch_unwind(|| trial_of(&catalog, "halves", folder.path(), &greedy));
        match outcome {
            Ok(outcome) => Ok(outcome.groups[0].scores.clone()),
            Err(said) => Err(said.downcast_ref::<String>().cloned().unwrap_or_default()),
        }
    }

    fn group(task: &str, more: &str) -> String {
        format!(
            "group: halves\ntask: [{task}]\naggregate_metric_list: [{{metric: acc, name: gap, aggregation: difference, {more}}}]\n"
        )
    }

    #[test]
    fn pairs_and_strangers_differ_in_their_errors() {
        let paired = scored(&group("first, second", "minus: [second], paired: true")).unwrap();
        // The differences are 0, 1, 1 and 0: their mean 0.5, their standard deviation 1 / sqrt(3).
        assert_eq!((paired[0].value, paired[0].count), (0.5, 4));
        assert!((paired[0].standard_error.unwrap() - (1.0_f64 / 12.0).sqrt()).abs() < 1e-15);
        let strangers = scored(&group("first, third", "minus: [third]")).unwrap();
        assert!((strangers[0].value - 0.35).abs() < 1e-15);
        // 0.1875 / 3 of the first, 0.24 / 4 of the third.
        assert!((strangers[0].standard_error.unwrap() - (0.0625_f64 + 0.06).sqrt()).abs() < 1e-15);
        assert_eq!(strangers[0].count, 9);
    }

    #[test]
    fn halves_that_cannot_be_made_are_refused() {
        for (tasks, more, why) in [
            ("first, third", "minus: [third], paired: true", "[4] and [5] documents"),
            ("first, second", "minus: [other]", "none of its tasks"),
            ("first, second", "minus: [first, second]", "nothing is left"),
            ("first, second", "paired: true", "`minus` is missing"),
        ] {
            let said = scored(&group(tasks, more)).unwrap_err();
            assert!(said.contains(why), "{said}");
        }
    }
}
