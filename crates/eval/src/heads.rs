//! Models with classification heads: whether one fits a task, and which of its logits is which label.
//!
//! A task has its labels in the order of its data's numbers. A model's labels stand in the order in which it was trained; where both have
//! names, names tell which is which. Labels without names of their own (transformers' `LABEL_0`, or numbers) are taken in the
//! data's order.

use crate::answer::Answer;
use crate::definition::{Output, Task};
use crate::error::EvalError;

/// Of each label of a task its place among a model's logits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct LabelOrder {
    places: Vec<usize>,
    /// What to know of it.
    pub(crate) note: Option<String>,
}

impl LabelOrder {
    /// The answers with their logits in the task's order.
    pub(crate) fn ordered(&self, answers: &[Answer]) -> Vec<Answer> {
        let order = |answer: &Answer| match answer {
            Answer::Logits(logits) => Answer::Logits(self.places.iter().map(|&place| logits[place]).collect()),
            other => other.clone(),
        };
        answers.iter().map(order).collect()
    }
}

/// Whether a model can be put to a task. `labels` are those of its classification head, in the order of its logits; a language model has
/// none.
///
/// # Errors
/// A language model where labels are asked for, or the other way; another number of labels, other names.
pub fn fits(task: &Task, labels: Option<&[String]>) -> Result<(), EvalError> {
    order(task, labels).map(|_| ())
}

/// [`fits`], with the order of labels where labels are asked for.
pub(crate) fn order(task: &Task, labels: Option<&[String]>) -> Result<Option<LabelOrder>, EvalError> {
    let wrong = |why: String| EvalError::Task { task: task.name.clone(), why };
    let labels = match (task.output, labels) {
        (Output::Classification, Some(labels)) => labels,
        (Output::Classification, None) => {
            return Err(wrong(
                "it asks for labels, and the model is a language model: name one with a classification head, as `gptneo \
                 finetune` makes it of lines with a `label`"
                    .to_owned(),
            ));
        }
        (_, None) => return Ok(None),
        (other, Some(_)) => {
            return Err(wrong(format!(
                "it asks for {}, and the model is a classifier, which tells labels alone: name a language model",
                other.name()
            )));
        }
    };
    let wanted = task.labels();
    let shown = |names: &[String]| names.iter().take(20).cloned().collect::<Vec<_>>().join(", ");
    match (wanted.len(), labels.len()) {
        (0, 1) => return Ok(Some(LabelOrder { places: vec![0], note: None })),
        (0, count) => {
            return Err(wrong(format!(
                "it asks for a value, and the model tells {count} labels ({}): name a model with one, of regression",
                shown(labels)
            )));
        }
        (count, found) if count != found => {
            return Err(wrong(format!(
                "it has {count} labels ({}), and the model tells {found} ({})",
                shown(wanted),
                shown(labels)
            )));
        }
        _ => {}
    }
    let in_order: Vec<usize> = (0..labels.len()).collect();
    if labels.iter().enumerate().all(|(at, label)| *label == format!("LABEL_{at}")) {
        let note = format!("the model's labels have no names: they are taken as {}", shown(wanted));
        return Ok(Some(LabelOrder { places: in_order, note: Some(note) }));
    }
    if let Some(places) = by_number(labels) {
        let note = format!("the model's labels are numbers, those of {}", shown(wanted));
        return Ok(Some(LabelOrder { places, note: Some(note) }));
    }
    let plain: Vec<String> = labels.iter().map(|label| plain(label)).collect();
    let place = |name: &String| plain.iter().position(|label| *label == self::plain(name));
    let found: Option<Vec<usize>> = wanted.iter().map(place).collect();
    let places = found.filter(|places| in_order.iter().all(|at| places.contains(at))).ok_or_else(|| {
        wrong(format!(
            "its labels are {}, and the model's {}: give the model the task's names in its config.json (`id2label`, \
             `label2id`), or LABEL_0 and so on for the task's own order",
            shown(wanted),
            shown(labels)
        ))
    })?;
    let note = (places != in_order).then(|| {
        format!("the model has its labels as {}, the data as {}: matched by name", shown(labels), shown(wanted))
    });
    Ok(Some(LabelOrder { places, note }))
}

/// Places of labels that are called by their numbers in the data.
fn by_number(labels: &[String]) -> Option<Vec<usize>> {
    (0..labels.len()).map(|number| labels.iter().position(|label| *label == number.to_string())).collect()
}

/// A name without what people write differently: the size of letters, and what stands between words.
fn plain(name: &str) -> String {
    name.chars().filter(|c| !matches!(c, ' ' | '_' | '-')).flat_map(char::to_lowercase).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::Catalog;

    fn found(task: &str, labels: Option<&[&str]>) -> Result<Option<LabelOrder>, String> {
        let task = Catalog::shipped().unwrap().task(task).unwrap();
        let labels: Option<Vec<String>> = labels.map(|labels| labels.iter().map(|&l| l.to_owned()).collect());
        order(&task, labels.as_deref()).map_err(|error| error.to_string())
    }

    #[test]
    fn labels_are_matched_by_name_where_there_are_names() {
        let places = |task, labels: &[&str]| {
            let order = found(task, Some(labels)).unwrap().unwrap();
            (order.places, order.note.is_some())
        };
        assert_eq!(places("glue_head_sst2", &["negative", "positive"]), (vec![0, 1], false));
        assert_eq!(places("glue_head_sst2", &["POSITIVE", "NEGATIVE"]), (vec![1, 0], true));
        assert_eq!(places("glue_head_rte", &["not entailment", "Entailment"]), (vec![1, 0], true));
        assert_eq!(places("glue_head_mnli", &["contradiction", "entailment", "neutral"]), (vec![1, 2, 0], true));
        assert_eq!(places("glue_head_sst2", &["LABEL_0", "LABEL_1"]), (vec![0, 1], true));
        assert_eq!(places("glue_head_mnli", &["2", "0", "1"]), (vec![1, 2, 0], true));
        assert_eq!(places("glue_head_stsb", &["similarity"]), (vec![0], false));
        let order = found("glue_head_mnli", Some(&["contradiction", "entailment", "neutral"])).unwrap().unwrap();
        assert_eq!(order.ordered(&[Answer::Logits(vec![0.5, 1.5, 2.5])]), [Answer::Logits(vec![1.5, 2.5, 0.5])]);
        assert_eq!(found("sst2", None), Ok(None));
    }

    #[test]
    fn what_does_not_fit_is_said() {
        for (task, labels, says) in [
            ("glue_head_sst2", None, "is a language model"),
            ("sst2", Some(&["negative", "positive"][..]), "asks for multiple_choice, and the model is a classifier"),
            (
                "glue_head_mnli",
                Some(&["negative", "positive"]),
                "it has 3 labels (entailment, neutral, contradiction), and the model tells 2",
            ),
            ("glue_head_stsb", Some(&["a", "b"]), "it asks for a value"),
            ("glue_head_sst2", Some(&["value"]), "it has 2 labels"),
            ("glue_head_sst2", Some(&["bad", "good"]), "negative, positive, and the model's bad, good"),
            ("glue_head_sst2", Some(&["positive", "Positive"]), "and the model's positive, Positive"),
        ] {
            let error = found(task, labels).unwrap_err();
            assert!(error.contains(says) && error.contains(task), "{error}");
        }
    }
}
