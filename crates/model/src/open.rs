//! From a path to a source of tensors: a directory in Hugging Face layout, or one file.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use gptneo_checkpoint::{Checkpoint, Format};
use gptneo_device::Bytes;

use crate::config::{Config, ConfigError};
use crate::error::LoadError;
use crate::family::{MAX_CONFIG_BYTES, gguf};
use crate::source::CheckpointSource;

/// Opens a model: a directory with `config.json` and weights, a weights file with `config.json` beside it, or a GGUF
/// file. Reads headers alone, and checks every name and shape.
pub fn open(path: &Path) -> Result<CheckpointSource, LoadError> {
    // The configuration is small and most often wrong: read it before the weights.
    let folder = if path.is_dir() { Some(path) } else { path.parent() };
    let is_gguf = path.extension().is_some_and(|e| e.eq_ignore_ascii_case("gguf"));
    if let (Some(folder), false) = (folder, is_gguf) {
        let config = read_config(&folder.join("config.json"))?;
        return CheckpointSource::new(Checkpoint::open(path)?, config);
    }
    let checkpoint = Checkpoint::open(path)?;
    if checkpoint.format() != Format::Gguf {
        let error = ConfigError::Unsupported("the file is named .gguf but is none".into());
        return Err(LoadError::Config { file: path.to_owned(), error });
    }
    of_gguf(path, checkpoint)
}

/// Opens a GGUF file that the program carries within itself; `name` stands for its path in errors.
pub fn embedded(name: &Path, bytes: Bytes) -> Result<CheckpointSource, LoadError> {
    of_gguf(name, Checkpoint::embedded(name, bytes)?)
}

fn of_gguf(path: &Path, checkpoint: Checkpoint) -> Result<CheckpointSource, LoadError> {
    let failed = |error| LoadError::Config { file: path.to_owned(), error };
    let config = gguf::config(&checkpoint).map_err(failed)?;
    CheckpointSource::new(checkpoint, config)
}

/// Reads a `config.json`.
pub fn read_config(file: &Path) -> Result<Config, LoadError> {
    let mut text = Vec::new();
    File::open(file)
        .and_then(|f| f.take(MAX_CONFIG_BYTES as u64 + 1).read_to_end(&mut text))
        .map_err(|error| LoadError::Read { file: file.to_owned(), error })?;
    Config::from_json(&text).map_err(|error| LoadError::Config { file: file.to_owned(), error })
}
