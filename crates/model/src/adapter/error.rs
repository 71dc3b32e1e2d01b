//! What can go wrong with an adapter.

use std::path::PathBuf;

use gptneo_checkpoint::CheckpointError;
use gptneo_device::{DType, DeviceError};

use crate::config::ConfigError;
use crate::family::Family;

/// An adapter that could not be read, written, or put beside a model.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AdapterError {
    /// A file could not be read.
    #[error("cannot read {}: {error}", file.display())]
    Read {
        /// The file.
        file: PathBuf,
        /// Why not.
        error: std::io::Error,
    },
    /// A file could not be written.
    #[error("cannot write {}: {error}", file.display())]
    Write {
        /// The file.
        file: PathBuf,
        /// Why not.
        error: std::io::Error,
    },
    /// The directory holds no adapter.
    #[error("{}: {found} is not there, so this is no adapter as PEFT saves one", folder.display())]
    NotAnAdapter {
        /// The directory.
        folder: PathBuf,
        /// What is missing.
        found: &'static str,
    },
    /// Settings that make no sense, or are not supported.
    #[error("{}: {why}", file.display())]
    Settings {
        /// `adapter_config.json`.
        file: PathBuf,
        /// What is wrong, and what would be right.
        why: String,
    },
    /// The factors' file is damaged.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    /// A tensor that is no factor of a matrix that may have one.
    #[error("tensor `{tensor}` {why} ({})", file.display())]
    Tensor {
        /// Its name.
        tensor: String,
        /// What is wrong with it.
        why: String,
        /// The file.
        file: PathBuf,
    },
    /// A tensor of another shape.
    #[error(
        "tensor `{tensor}` has shape {found:?}, but {wanted} belongs beside the model's matrix of shape {matrix:?} ({}): \
         the adapter was made for another model",
        file.display()
    )]
    Shape {
        /// The name.
        tensor: String,
        /// Its shape.
        found: Vec<usize>,
        /// The shape wanted.
        wanted: String,
        /// O and C of the model's.
        matrix: [usize; 2],
        /// The file.
        file: PathBuf,
    },
    /// A tensor of a type that holds no factors.
    #[error("tensor `{tensor}` is stored as {found}, which cannot hold it: wanted f32, f16 or bf16 ({})", file.display())]
    Type {
        /// The name.
        tensor: String,
        /// Its type.
        found: DType,
        /// The file.
        file: PathBuf,
    },
    /// A NaN or an infinity.
    #[error("tensor `{tensor}` has a value that is not finite at index {index} ({}): the adapter is damaged", file.display())]
    NotFinite {
        /// The name.
        tensor: String,
        /// Index of the first such value.
        index: usize,
        /// The file.
        file: PathBuf,
    },
    /// A factor that belongs to it is absent.
    #[error("tensor `{tensor}` is missing ({}): {why}", file.display())]
    Missing {
        /// The name.
        tensor: String,
        /// Why it is expected.
        why: &'static str,
        /// The file.
        file: PathBuf,
    },
    /// A name of no matrix that an adapter may stand beside.
    #[error("`{name}` is none of a {family} layer's matrices: here are {known}, or `all-linear` for all")]
    UnknownTarget {
        /// The name.
        name: String,
        /// The model's family.
        family: Family,
        /// The names there are.
        known: String,
    },
    /// A matrix that the model does not have, or that no adapter may stand beside.
    #[error("the adapter targets {matrix}, which a model like this does not have")]
    NoSuchMatrix {
        /// Which.
        matrix: String,
    },
    /// A pair that does not fit its matrix.
    #[error(
        "the adapter's pair beside `{matrix}` has {} values in B and {} in A, but at rank {rank} the model's matrix of \
         shape {wanted:?} wants {} and {}",
        found[0],
        found[1],
        wanted[0].saturating_mul(*rank),
        wanted[1].saturating_mul(*rank)
    )]
    Misfit {
        /// The module.
        matrix: String,
        /// O and C.
        wanted: [usize; 2],
        /// r.
        rank: usize,
        /// Values of B and of A.
        found: [usize; 2],
    },
    /// A classification head that does not fit the model.
    #[error(
        "the adapter's classification head has {found} values, but wanted are {} of {width} for each label",
        labels.map_or_else(|| "rows".to_owned(), |labels| format!("{labels} rows"))
    )]
    Head {
        /// Its values.
        found: usize,
        /// C.
        width: usize,
        /// Labels of the model, if it is a classifier.
        labels: Option<usize>,
    },
    /// A classification head for too many labels.
    #[error("the adapter's classification head makes no classifier: {error}")]
    Labels {
        /// What is wrong.
        error: ConfigError,
    },
    /// An adapter that turns its base into a classifier, beside a model that is loaded already.
    #[error(
        "the adapter was trained for classification and brings a head of its own (`task_type` SEQ_CLS): it must be merged into \
         its base before that is loaded"
    )]
    Classifies,
    /// The memory was refused.
    #[error("no room for {bytes} more bytes")]
    OutOfMemory {
        /// How much was asked for.
        bytes: usize,
    },
    /// The device failed.
    #[error(transparent)]
    Device(#[from] DeviceError),
}
