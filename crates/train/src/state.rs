//! Where a run stands: what a checkpoint holds beside weights and moments.

use serde::{Deserialize, Serialize};

use crate::guard::Watch;

/// The state of a run after some steps. With the recipe it decides every later step: dropout and order are drawn by
/// counting, so there is no generator to keep.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct State {
    /// Steps done.
    pub step: u64,
    /// Updates of the weights: steps less those that the guard dropped.
    pub updates: u64,
    /// The next sequence in the order of training.
    pub next_sequence: u64,
    /// Targets seen.
    pub tokens: u64,
    /// Length of the log.
    pub log_bytes: u64,
    /// Held-out bits per byte, if it was measured after this very step.
    pub bits_per_byte: Option<f64>,
    /// Whether this checkpoint was due, and not made because the run was stopped.
    pub scheduled: bool,
    /// How often the run has gone back to this checkpoint.
    pub returns: u64,
    /// What the guard remembers.
    pub watch: Watch,
    /// The recipe's essence, as TOML.
    pub recipe: String,
    /// Fingerprint of the data.
    pub data: String,
}
