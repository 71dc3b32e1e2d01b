//! Measures of what classification heads say: of labels, of a value, of candidates.

use super::{Measures, flag, missing, softmax};
use crate::aggregate::Measure;
use crate::answer::{Answer, largest};
use crate::definition::Task;
use crate::prompt::Case;
use crate::python;

/// The measures of a document. Logits stand in the order of the task's labels.
pub(super) fn classified(task: &Task, case: &Case, answers: &[Answer]) -> Result<Measures, String> {
    if task.labels().is_empty() {
        return value(task, case, answers);
    }
    // Of several candidates the one is taken that the head favours the most; of one text, its largest label.
    let strengths = if case.candidates { favours(answers)? } else { logits(answers.first().ok_or_else(missing)?)? };
    let gold = case.right();
    let one = *gold.first().ok_or_else(|| {
        format!("the right answer is {}, which is none of {}", python::repr(&case.target), case.choices.len())
    })?;
    let best = largest(&strengths);
    let measured = |name: &str| {
        Ok(match name {
            "acc" => Measure::Number(flag(gold.contains(&best))),
            "f1" | "mcc" => Measure::Labels { gold: one as i64, predicted: best as i64 },
            "brier_score" => Measure::Distribution { gold: one, probabilities: softmax(&strengths) },
            "likelihood" => Measure::Number(softmax(&strengths)[one]),
            other => return Err(format!("the metric `{other}` is not of labels")),
        })
    };
    task.metrics.iter().map(|metric| Ok((metric.name.clone(), measured(&metric.name)?))).collect()
}

fn value(task: &Task, case: &Case, answers: &[Answer]) -> Result<Measures, String> {
    let found = *logits(answers.first().ok_or_else(missing)?)?.first().ok_or_else(missing)?;
    let wanted = case.target.as_f64().filter(|wanted| wanted.is_finite());
    let gold = wanted.ok_or_else(|| format!("the right answer is a number, found {}", python::repr(&case.target)))?;
    let measured = |name: &str| match name {
        "pearson" | "spearman" => Ok(Measure::Values { gold, found }),
        other => Err(format!("the metric `{other}` is not of values")),
    };
    task.metrics.iter().map(|metric| Ok((metric.name.clone(), measured(&metric.name)?))).collect()
}

fn logits(answer: &Answer) -> Result<Vec<f64>, String> {
    match answer {
        Answer::Logits(logits) => Ok(logits.iter().map(|&logit| f64::from(logit)).collect()),
        _ => Err("logits of labels are wanted here".to_owned()),
    }
}

/// Of each answer by a head with two labels, how much it favours the second: the logarithm of the odds.
pub(crate) fn favours(answers: &[Answer]) -> Result<Vec<f64>, String> {
    let favour = |answer: &Answer| match logits(answer)?[..] {
        [no, yes] => Ok(yes - no),
        ref other => Err(format!("a head with two labels is wanted for candidates, found {}", other.len())),
    };
    answers.iter().map(favour).collect()
}
