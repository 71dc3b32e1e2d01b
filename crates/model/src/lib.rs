//! Ids to logits: one decoder for the GPT-Neo line.
#![forbid(unsafe_code)]

pub mod family;
mod language_model;
pub mod probe;

pub use family::Family;
pub use language_model::{Input, LanguageModel, ModelError, Run, SequenceId, Spec, Want};
