//! The model that the program carries within itself: `pocket`, a GPT-Neo of six million parameters that tells short stories.
//!
//! How it was made, on what, and what it is fit for stands in `pocket/MODEL_CARD.md`.

use std::path::Path;

use gptneo_device::Bytes;
use gptneo_model::{CheckpointSource, LoadError};

/// What `-m` calls it; also what is meant where no model is named.
pub(crate) const NAME: &str = "pocket";

/// What is to be known of it.
pub(crate) const CARD: &str = include_str!("../pocket/MODEL_CARD.md");

static FILE: &[u8] = include_bytes!("../pocket/pocket.gguf");

/// Opens it: headers are read, nothing is loaded.
pub(crate) fn open() -> Result<CheckpointSource, LoadError> {
    gptneo_model::embedded(Path::new(NAME), Bytes::new(FILE))
}
