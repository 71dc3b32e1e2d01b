//! What can go wrong between a checkpoint and a model.

use std::path::PathBuf;

use gptneo_checkpoint::CheckpointError;
use gptneo_device::{DType, DeviceError};

use crate::config::ConfigError;
use crate::family::Family;

/// A model that could not be loaded, quantised or converted.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LoadError {
    /// The configuration is no model.
    #[error("{}: {error}", file.display())]
    Config {
        /// Where it was read.
        file: PathBuf,
        /// What is wrong with it.
        error: ConfigError,
    },
    /// The configuration could not be read.
    #[error("cannot read {}: {error}", file.display())]
    Read {
        /// The file.
        file: PathBuf,
        /// Why not.
        error: std::io::Error,
    },
    /// The checkpoint is damaged.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    /// The device failed.
    #[error(transparent)]
    Device(#[from] DeviceError),
    /// A tensor the configuration implies is absent.
    #[error("tensor `{tensor}` of shape {shape:?} is missing from the checkpoint")]
    MissingTensor {
        /// Its usual name.
        tensor: String,
        /// Its shape.
        shape: Vec<usize>,
    },
    /// A name that the family does not have.
    #[error("tensor `{tensor}` is none that a {family} model has ({})", file.display())]
    UnknownTensor {
        /// The name.
        tensor: String,
        /// The file.
        file: PathBuf,
        /// The family.
        family: Family,
    },
    /// A name that the family has, but not with this configuration.
    #[error("tensor `{tensor}` has no place in the model that the configuration describes ({})", file.display())]
    ExtraTensor {
        /// The name.
        tensor: String,
        /// The file.
        file: PathBuf,
    },
    /// Two tensors for one place.
    #[error("tensors `{first}` and `{second}` are the same part of the model ({})", file.display())]
    RepeatedTensor {
        /// One.
        first: String,
        /// The other.
        second: String,
        /// The other's file.
        file: PathBuf,
    },
    /// A tensor of another shape.
    #[error("tensor `{tensor}` has shape {found:?}, but the config implies {wanted:?} ({})", file.display())]
    Shape {
        /// The name.
        tensor: String,
        /// Its shape.
        found: Vec<usize>,
        /// The shape wanted.
        wanted: Vec<usize>,
        /// The file.
        file: PathBuf,
    },
    /// A tensor of a type that holds no weights, or not in this layout.
    #[error("tensor `{tensor}` is stored as {found}, which cannot hold it ({})", file.display())]
    Type {
        /// The name.
        tensor: String,
        /// Its type.
        found: DType,
        /// The file.
        file: PathBuf,
    },
    /// A NaN or an infinity among the weights.
    #[error("tensor `{tensor}` has a value that is not finite at index {index} ({}): the checkpoint is damaged", file.display())]
    NotFinite {
        /// The name.
        tensor: String,
        /// Index of the first such value.
        index: usize,
        /// The file.
        file: PathBuf,
    },
    /// The memory was refused.
    #[error("no room for {bytes} more bytes")]
    OutOfMemory {
        /// How much was asked for.
        bytes: usize,
    },
    /// A classifier in a format that has no place for one.
    #[error("GGUF has no place for a classification head: a classifier is a directory in Hugging Face layout")]
    ClassifierInGguf,
    /// A type that cannot be written.
    #[error("cannot quantise to {0}: choose f32, f16, bf16, q8_0, q6_k, q4_k or q4_0")]
    UnsupportedTarget(DType),
}
