//! What definitions name as functions.
//!
//! The reference harness lets a definition call Python of its own. Here a definition may name one of these instead.

mod code;
mod documents;
mod fields;
mod results;

use serde_json::Value;

pub(crate) use code::answers_wanted;

use crate::aggregate::Measure;
use crate::answer::Answer;
use crate::document::Document;
use crate::judges::{Judge, Judges};

/// Turns the rows of a split into documents.
#[derive(Clone, Copy, Debug)]
pub(crate) struct DocumentsFunction {
    pub(crate) call: fn(Vec<Document>) -> Result<Vec<Document>, String>,
}

/// Makes a value of a document.
#[derive(Clone, Copy, Debug)]
pub(crate) struct FieldFunction {
    pub(crate) call: fn(&Document) -> Result<Value, String>,
}

/// What a document gives to scores, by their names.
pub(crate) type Scores = Result<Vec<(&'static str, Measure)>, String>;

/// Scores of a document and what the model answered.
#[derive(Clone, Copy, Debug)]
pub(crate) enum ResultsFunction {
    /// Of these alone.
    Alone(fn(&Document, &[Answer]) -> Scores),
    /// By judges that the run must have.
    Judged(&'static [Judge], fn(&Document, &[Answer], &mut Judges<'_>) -> Scores),
}

impl ResultsFunction {
    /// Who must be there.
    pub(crate) fn judges(self) -> &'static [Judge] {
        match self {
            Self::Alone(_) => &[],
            Self::Judged(judges, _) => judges,
        }
    }

    pub(crate) fn call(self, document: &Document, answers: &[Answer], judges: &mut Judges<'_>) -> Scores {
        match self {
            Self::Alone(call) => call(document, answers),
            Self::Judged(_, call) => call(document, answers, judges),
        }
    }
}

/// A function over the rows of a split.
pub(crate) fn documents(name: &str) -> Option<DocumentsFunction> {
    documents::NAMES.iter().find(|(known, _)| *known == name).map(|(_, call)| DocumentsFunction { call: *call })
}

/// A function of one document.
pub(crate) fn field(name: &str) -> Option<FieldFunction> {
    fields::NAMES.iter().find(|(known, _)| *known == name).map(|(_, call)| FieldFunction { call: *call })
}

/// A function that scores.
pub(crate) fn results(name: &str) -> Option<ResultsFunction> {
    results::NAMES.iter().chain(code::NAMES).find(|(known, _)| *known == name).map(|(_, function)| *function)
}

/// The text in a column.
pub(crate) fn text<'a>(document: &'a Document, column: &str) -> Result<&'a str, String> {
    match document.get(column) {
        Some(Value::String(text)) => Ok(text),
        Some(other) => Err(format!("the column `{column}` is no text but {}", crate::python::repr(other))),
        None => {
            let names: Vec<&str> = document.keys().map(String::as_str).collect();
            Err(format!("there is no column `{column}`; there are {}", names.join(", ")))
        }
    }
}
