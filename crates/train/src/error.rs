//! What can go wrong while training, and what to do about it.

use std::io;
use std::path::{Path, PathBuf};

use gptneo_checkpoint::CheckpointError;
use gptneo_device::DeviceError;
use gptneo_device::collective::CollectiveError;
use gptneo_engine::EngineError;
use gptneo_model::{AdapterError, ConfigError, LoadError};
use gptneo_text::TextError;

use crate::guard::Alarm;
use crate::recipe::RecipeError;

/// A run that could not begin, or could not go on.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TrainError {
    /// The recipe is none.
    #[error(transparent)]
    Recipe(#[from] RecipeError),
    /// The system refused something.
    #[error("cannot {what} {}: {error}", path.display())]
    Io {
        /// What was tried.
        what: &'static str,
        /// On what.
        path: PathBuf,
        /// Why not.
        error: io::Error,
    },
    /// A checkpoint is not what it was.
    #[error("{} is damaged: {why}", path.display())]
    Damaged {
        /// Its place.
        path: PathBuf,
        /// What is wrong.
        why: String,
    },
    /// Tensors that cannot be written or read.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    /// The device failed.
    #[error(transparent)]
    Device(#[from] DeviceError),
    /// The ranks could not work together.
    #[error(transparent)]
    Collective(#[from] CollectiveError),
    /// The network could not be made, or cannot take a batch.
    #[error(transparent)]
    Network(#[from] gptneo_model::training::TrainError),
    /// An adapter could not be read or made.
    #[error(transparent)]
    Adapter(#[from] AdapterError),
    /// A model could not be read.
    #[error(transparent)]
    Load(#[from] LoadError),
    /// The architecture in the recipe is none.
    #[error("`model.config`: {0}")]
    Config(#[from] ConfigError),
    /// Shards or tokenizer.
    #[error(transparent)]
    Text(#[from] TextError),
    /// A sample could not be drawn.
    #[error("no sample could be drawn: {0}")]
    Engine(#[from] EngineError),
    /// Tasks could not be measured.
    #[error("the tasks of `eval` could not be measured: {0}")]
    Tasks(String),
    /// The run has checkpoints, and was not told to go on from them.
    #[error("{} holds a run already: `--resume auto` goes on with it, another `output` begins a new one", path.display())]
    Exists {
        /// The folder of the run.
        path: PathBuf,
    },
    /// A run cannot go on with another recipe or other data.
    #[error("{} was made with {what}: {difference}", path.display())]
    OtherRun {
        /// The checkpoint.
        path: PathBuf,
        /// `another recipe` or `other data`.
        what: &'static str,
        /// How they differ, and what to do.
        difference: String,
    },
    /// Settings that the model or the ranks cannot do.
    #[error("{0}")]
    Impossible(String),
    /// The guard has ended the run.
    #[error("stopped at step {step}: {alarm}, and {why}; the weights of step {saved} are saved")]
    Diverged {
        /// Counted from 1.
        step: u64,
        /// What was wrong.
        alarm: Alarm,
        /// Why nothing else was done.
        why: String,
        /// The last good step.
        saved: u64,
    },
    /// Shards of another tokenizer.
    #[error(
        "{} was made with another tokenizer ({found}) than the training shards ({wanted}): tokenize it again",
        path.display()
    )]
    OtherTokenizer {
        /// The folder.
        path: PathBuf,
        /// Its tokenizer's hash.
        found: String,
        /// The hash wanted.
        wanted: String,
    },
    /// A folder without held-out text.
    #[error("{} holds no held-out text: make it with `gptneo data tokenize --held-out`", path.display())]
    NothingHeldOut {
        /// The folder.
        path: PathBuf,
    },
}

impl TrainError {
    pub(crate) fn io(what: &'static str, path: &Path, error: io::Error) -> Self {
        Self::Io { what, path: path.to_owned(), error }
    }
}
