//! Measures language models as the field does: tasks by the reference harness's definitions, scores with their standard errors.
//!
//! A [`Catalog`] knows the tasks, those that ship here and the user's own; [`evaluate`] puts them to a [`Subject`], a model
//! behind an engine, with documents from a [`data::Library`]; [`results()`] writes what was found in the harness's form.
//!
//! What is measured is said: the split, its files and their digest, the precision of the model, examples, seeds, counts and standard errors
//! stand in every result. Nothing is skipped: a set that is missing, a document that does not fit, a function that is
//! not known ends the run with words.
#![forbid(unsafe_code)]

mod aggregate;
mod answer;
mod asking;
mod cache;
mod catalog;
pub mod code;
pub mod data;
mod definition;
mod document;
mod error;
mod functions;
mod judges;
mod measure;
mod mersenne;
mod prompt;
mod python;
mod results;
pub mod review;
mod run;
pub mod similarity;
mod template;

pub use aggregate::Measure;
pub use asking::{Subject, Watch};
pub use catalog::{Catalog, Chosen};
pub use definition::{Group, Output, Task};
pub use document::Document;
pub use error::EvalError;
pub use judges::{CodeRunner, Judge, Judges, Ran, TextScorer};
pub use mersenne::Mersenne;
pub use python::json_dumps;
pub use results::{About, file_name, results, samples};
pub use run::{
    Answers, Asked, GroupOutcome, Limit, Options, Outcome, Sample, Score, Source, TaskOutcome, evaluate, requests,
};

/// SHA-256 in hexadecimal.
pub(crate) fn hash(bytes: &[u8]) -> String {
    use sha2::{Digest, Sha256};
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}
