//! Measures language models as the field does: tasks by the reference harness's definitions, scores with their standard errors.
//!
//! A [`Catalog`] knows the tasks, those that ship here and the user's own; [`evaluate`] puts them to a [`Subject`], a model
//! behind an engine, with documents from a [`data::Library`]; [`results()`] writes what was found in the harness's form. Of that a [`Page`]
//! is made for people; [`Saved`] reads it back, and a [`Comparison`] sets two of them beside each other.
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
mod compare;
pub mod contamination;
mod contrast;
pub mod data;
mod definition;
mod document;
mod error;
mod functions;
mod heads;
mod judges;
mod lines;
mod measure;
pub mod memorisation;
mod mersenne;
mod page;
mod prompt;
mod published;
mod python;
mod results;
pub mod review;
mod run;
mod saved;
mod sequences;
mod shards;
pub mod similarity;
pub mod stereoset;
mod template;

pub use aggregate::{Measure, Triple};
pub use asking::{Subject, Watch};
pub use catalog::{Catalog, Chosen};
pub use compare::{Basis, COMPARISON_RESAMPLES, Compared, Comparison, McNemar, Paired, Side, Unpaired};
pub use definition::{Group, Output, Task};
pub use document::Document;
pub use error::EvalError;
pub use heads::fits;
pub use judges::{CodeRunner, Judge, Judges, Ran, TextScorer, Vader, WordList};
pub use lines::training_lines;
pub use mersenne::Mersenne;
pub use page::Page;
pub use published::{Published, PublishedModel, PublishedScore, Unmeasured, Verdict};
pub use python::json_dumps;
pub use results::{About, file_name, results, samples};
pub use run::{
    Answers, Asked, GroupOutcome, Limit, Options, Outcome, Prepared, Sample, Score, Source, TaskOutcome, evaluate,
    prepare, requests,
};
pub use saved::{Saved, SavedScore};

pub use shards::{Shards, Whereabouts};

/// SHA-256 in hexadecimal.
pub(crate) fn hash(bytes: &[u8]) -> String {
    use sha2::{Digest, Sha256};
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// SHA-256 in base64, by which a page's policy names its own styles and scripts.
pub(crate) fn policy_hash(text: &str) -> String {
    use base64::Engine as _;
    use sha2::{Digest, Sha256};
    base64::engine::general_purpose::STANDARD.encode(Sha256::digest(text))
}
