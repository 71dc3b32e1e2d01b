//! What definitions name as functions.
//!
//! The reference harness lets a definition call Python of its own. Here a definition may name one of these instead.

mod bbq;
mod code;
mod crows;
mod descriptors;
mod documents;
mod fields;
mod gendered;
mod harm;
mod results;
mod stereoset;
mod truthfulqa;
mod winobias;
mod winogender;

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

/// Makes documents that stand in no file.
#[derive(Clone, Copy, Debug)]
pub(crate) struct MadeFunction {
    pub(crate) call: fn() -> Vec<Document>,
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
    let choices = [bbq::DOCUMENTS, truthfulqa::DOCUMENTS, winobias::NAMES, winogender::NAMES];
    let all = [&[documents::NAMES, crows::DOCUMENTS, stereoset::DOCUMENTS, harm::DOCUMENTS][..], &choices].concat();
    named(&all, name).map(|call| DocumentsFunction { call })
}

/// A function that makes documents.
pub(crate) fn made(name: &str) -> Option<MadeFunction> {
    named(&[descriptors::MADE], name).map(|call| MadeFunction { call })
}

/// A function of one document.
pub(crate) fn field(name: &str) -> Option<FieldFunction> {
    let all = [fields::NAMES, bbq::FIELDS, stereoset::FIELDS, truthfulqa::FIELDS];
    named(&all, name).map(|call| FieldFunction { call })
}

/// A function that scores.
pub(crate) fn results(name: &str) -> Option<ResultsFunction> {
    let bias = [bbq::RESULTS, crows::RESULTS, descriptors::RESULTS, harm::RESULTS, stereoset::RESULTS];
    named(&[&[results::NAMES, code::NAMES, truthfulqa::RESULTS][..], &bias].concat(), name)
}

fn named<F: Copy>(tables: &[&[(&'static str, F)]], name: &str) -> Option<F> {
    tables.iter().copied().flatten().find(|(known, _)| *known == name).map(|(_, function)| *function)
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
