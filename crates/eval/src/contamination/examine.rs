//! Contamination alone, without a model: counts, and the documents.

use serde_json::{Value, json};

use super::verdict::{Scanned, TaskContamination, Verdict};
use super::{Decontamination, Found, find};
use crate::asking::Watch;
use crate::catalog::Chosen;
use crate::data::Library;
use crate::error::EvalError;
use crate::run::{Options, Source, prepare_task};

/// What was found of a task.
#[derive(Clone, Debug)]
pub struct ExaminedTask {
    /// Its name.
    pub name: String,
    /// Where its documents came from.
    pub source: Source,
    /// What was found.
    pub found: TaskContamination,
}

/// What was found of all.
#[derive(Clone, Debug)]
pub struct Examination {
    /// Of each task.
    pub tasks: Vec<ExaminedTask>,
    /// What was looked through.
    pub scanned: Scanned,
}

/// Looks for the documents of tasks in token shards.
///
/// # Errors
/// Whatever is wrong with data, definitions or shards.
pub fn examine(
    chosen: Vec<Chosen>,
    library: &Library<'_>,
    options: &Options,
    plan: &Decontamination,
    watch: &mut dyn Watch,
) -> Result<Examination, EvalError> {
    // Examples are no part of what is looked for.
    let options = Options { num_fewshot: Some(0), ..options.clone() };
    let mut prepared = Vec::new();
    for chosen in chosen {
        if let Chosen::Task(task) = chosen {
            prepared.push(prepare_task(*task, library, &options)?);
        }
    }
    let asked: Vec<_> = prepared.iter().map(|prepared| prepared.asked()).collect();
    let Found { tasks, scanned } = find(&asked, plan, watch)?;
    let tasks = prepared.iter().zip(tasks).map(|(prepared, found)| ExaminedTask {
        name: prepared.task.name().to_owned(),
        source: prepared.source.clone(),
        found,
    });
    Ok(Examination { tasks: tasks.collect(), scanned })
}

impl Examination {
    /// All of it, with every document that overlaps.
    pub fn json(&self) -> Value {
        let task = |task: &ExaminedTask| {
            let mut shown = task.found.json();
            let listed = task.found.documents.iter().enumerate().filter_map(|(doc_id, verdict)| match verdict {
                Verdict::Contaminated(found) => {
                    let mut shown = found.json();
                    shown["doc_id"] = json!(doc_id);
                    Some(shown)
                }
                _ => None,
            });
            shown["contaminated_documents"] = listed.collect();
            shown["dataset"] = task.source.json();
            (task.name.clone(), shown)
        };
        json!({"contamination": self.scanned.json(), "tasks": self.tasks.iter().map(task).collect::<serde_json::Map<_, _>>()})
    }
}
