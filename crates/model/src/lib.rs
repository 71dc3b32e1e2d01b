//! Ids to logits: one decoder for the GPT-Neo line.
//!
//! A [`Config`] says what an architecture is, as choices; a [`TensorSource`] (a [`CheckpointSource`], or a
//! [`RandomSource`] for benchmarks) hands out its tensors; [`load()`] puts them on a device, converted to the
//! [`Storage`] asked for, and returns a [`Decoder`]. The engine holds it as a [`LanguageModel`]: sequences that grow
//! by runs of tokens, and logits that come back. A [`probe::Probe`] sees and changes every named activation.
//!
//! Families are data: `family/` has one table of tensor names each, and a reader of its `config.json`.
#![forbid(unsafe_code)]

pub mod adapter;
mod classifier;
mod config;
mod decoder;
mod error;
mod export;
pub mod family;
mod fidelity;
mod fresh_head;
mod language_model;
mod layout;
mod load;
mod memory;
mod open;
mod pages;
pub mod probe;
mod random;
pub mod shapes;
mod source;
mod storage;
pub mod training;
mod weights;

pub use adapter::{Adapter, AdapterError, AdapterSettings, LowRank, Merged};
pub use classifier::{Classifier, MAX_LABELS};
pub use config::{Biases, Config, ConfigError, Position, Residual, ScoreScale};
pub use decoder::{CacheOptions, Decoder, PIECE};
pub use error::LoadError;
pub use export::{Written, write_gguf, write_hf};
pub use family::Family;
pub use fidelity::{Fidelity, fidelity};
pub use fresh_head::FreshHead;
pub use language_model::{AdapterId, Input, LanguageModel, ModelError, Run, SequenceId, Spec, Want};
pub use load::{LoadOptions, Loaded, Progress, load};
pub use memory::{Memory, default_cache, memory};
pub use open::{embedded, open, read_config};
pub use source::{CheckpointSource, RandomSource, TensorSource};
pub use storage::{Fallback, Storage};
