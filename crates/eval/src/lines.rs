//! Documents of a classification as lines to fine-tune a head on: the same texts, put together in the same way, as are measured.

use serde_json::{Map, Value, json};

use crate::answer::Request;
use crate::data::Library;
use crate::definition::Task;
use crate::error::EvalError;
use crate::prompt::Case;
use crate::python;
use crate::run::{Options, prepare_task};

/// The lines of a task's split, each `{"text", "label"}` or `{"text", "text_pair", "label"}`, as `gptneo finetune` reads them. A label is its
/// name; of a value it is the value; of a candidate it is whether it is right.
///
/// # Errors
/// A task that is no classification; whatever is wrong with its data.
pub fn training_lines(task: Task, library: &Library<'_>, options: &Options) -> Result<Vec<Value>, EvalError> {
    let (name, split) = (task.name.clone(), task.split().unwrap_or_default().to_owned());
    if task.output != crate::definition::Output::Classification {
        let why =
            format!("it asks for {}, and only classifications have lines to fine-tune a head on", task.output.name());
        return Err(EvalError::Task { task: name, why });
    }
    let prepared = prepare_task(task, library, options)?;
    let mut found = Vec::new();
    for case in &prepared.cases {
        found.extend(lines(&prepared.task, case).map_err(|why| EvalError::Document {
            task: name.clone(),
            split: split.clone(),
            document: case.index,
            why,
        })?);
    }
    Ok(found)
}

fn lines(task: &Task, case: &Case) -> Result<Vec<Value>, String> {
    let right = case.right();
    let unknown =
        || format!("the right answer is {}, which is none of {}", python::repr(&case.target), case.choices.len());
    let mut found = Vec::with_capacity(case.requests.len());
    for (at, request) in case.requests.iter().enumerate() {
        let Request::Classify { text, pair } = request else { return Err("it asks for no label".to_owned()) };
        let label = match task.labels() {
            [] => case.target.as_f64().map(|value| json!(value)).ok_or_else(unknown)?,
            [no, yes] if case.candidates => json!(if right.contains(&at) { yes } else { no }),
            labels => json!(right.first().and_then(|&label| labels.get(label)).ok_or_else(unknown)?),
        };
        let mut line = Map::from_iter([("text".to_owned(), json!(text))]);
        line.extend(pair.as_ref().map(|pair| ("text_pair".to_owned(), json!(pair))));
        line.insert("label".to_owned(), label);
        found.push(line.into());
    }
    Ok(found)
}
