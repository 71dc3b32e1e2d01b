//! What is wrong with a task as a whole.

use super::read::{Fields, Read};
use super::{Output, Task, classification};
use crate::functions::answers_wanted;

/// What every task of its kind must have.
pub(super) fn complete(task: &Task, fields: &Fields<'_>) -> Read<()> {
    if task.test_split.is_none() && task.validation_split.is_none() {
        return Err(fields.fault("neither `test_split` nor `validation_split` is there"));
    }
    if task.output == Output::Sentences {
        fields.wanted("process_results")?;
        fields.wanted("doc_to_choice")?;
        return Ok(());
    }
    if task.doc_to_text.is_none() && task.output != Output::LoglikelihoodRolling {
        fields.wanted("doc_to_text")?;
    }
    if task.doc_to_target.is_none() && (task.output != Output::GenerateUntil || task.process_results.is_none()) {
        fields.wanted("doc_to_target")?;
    }
    if task.output == Output::MultipleChoice {
        fields.wanted("doc_to_choice")?;
    }
    classification::complete(task, fields)?;
    for metric in &task.metrics {
        // A score of `k` answers of which there are fewer would never be there, and nobody would be told.
        let wanted = answers_wanted(&metric.name).transpose().map_err(|why| fields.fault(why))?;
        if let Some(wanted) = wanted.filter(|wanted| *wanted > task.repeats) {
            let (name, repeats) = (&metric.name, task.repeats);
            return Err(fields.fault(format!("`{name}` needs `repeats` of at least {wanted}, found {repeats}")));
        }
    }
    Ok(())
}
