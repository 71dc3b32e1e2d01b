//! What can go wrong in training a network.

use gptneo_device::DeviceError;

use crate::error::LoadError;

/// A network that could not be made, or a batch that it cannot take.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TrainError {
    /// The device has no room.
    #[error(transparent)]
    Device(#[from] DeviceError),
    /// The weights could not be read or written.
    #[error(transparent)]
    Load(#[from] LoadError),
    /// A parameter that the model does not have.
    #[error("there is no parameter `{0}` to train; names are those of the Hugging Face checkpoint, such as `{1}`")]
    UnknownParameter(String, String),
    /// Some of query, key and value.
    #[error("layer {0} trains some of its query, key and value matrices; train all three or none")]
    SplitQkv(usize),
    /// An adapter where there is no matrix of a layer.
    #[error("an adapter cannot stand beside {0:?}: {1} has no such matrix in its layers")]
    NoTarget(crate::family::Role, crate::family::Family),
    /// Nothing to train.
    #[error("no parameter is trained: name at least one")]
    NothingTrained,
    /// An option out of range.
    #[error("{what} is {value}; it must be {range}")]
    Option {
        /// Which.
        what: &'static str,
        /// Its value.
        value: f64,
        /// What it may be.
        range: &'static str,
    },
    /// More rows than the network has room for.
    #[error("a batch of {rows} tokens does not fit a network made for {limit}")]
    TooManyRows {
        /// Rows of the batch.
        rows: usize,
        /// Rows planned for.
        limit: usize,
    },
    /// A segment longer than planned for, or than the model has positions.
    #[error("a segment of {len} tokens does not fit: the longest may have {limit}")]
    TooLong {
        /// Its length.
        len: usize,
        /// The limit.
        limit: usize,
    },
    /// Parts of a batch that do not describe one number of rows.
    #[error(
        "a batch has {ids} ids, {targets} targets and {positions} positions in segments of {rows} tokens together; all must be equal"
    )]
    Ragged {
        /// Ids.
        ids: usize,
        /// Targets.
        targets: usize,
        /// Positions.
        positions: usize,
        /// Sum of the segments.
        rows: usize,
    },
    /// An id outside the vocabulary.
    #[error("token id {id} at row {row} is outside the vocabulary of {vocab}")]
    UnknownToken {
        /// The id.
        id: u32,
        /// Where.
        row: usize,
        /// V.
        vocab: usize,
    },
    /// A label that the classifier does not have.
    #[error("label {id} at row {row} is none of the classifier's {labels}")]
    UnknownLabel {
        /// The label.
        id: u32,
        /// Where.
        row: usize,
        /// How many there are.
        labels: usize,
    },
    /// A position the model does not have.
    #[error("position {position} at row {row} is past the model's {limit} positions")]
    UnknownPosition {
        /// The position.
        position: u32,
        /// Where.
        row: usize,
        /// How many there are.
        limit: usize,
    },
    /// Weights of another model.
    #[error(
        "the weights are of another architecture than the network: make it with the configuration of the checkpoint"
    )]
    OtherArchitecture,
    /// An adapter that is not the one trained.
    #[error("the adapter has another rank, scale or other targets than those to train: give it the same settings")]
    OtherAdapter,
    /// The original initialisation of another family.
    #[error("the original initialisation is known for gpt_neo alone; use transformers' for {0}")]
    NoOriginal(crate::family::Family),
}
