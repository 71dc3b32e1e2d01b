//! How a network is trained: what it must have room for, what it drops, what it keeps, what it learns.

use std::collections::BTreeSet;

use super::error::TrainError;

/// Probabilities of dropout.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Dropouts {
    /// Of the sum of the embeddings.
    pub embedding: f32,
    /// Of attention's probabilities.
    pub attention: f32,
    /// Of what each branch adds to the residual stream.
    pub residual: f32,
}

/// What is kept from the forward pass.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Recompute {
    /// All that products need; norms and activations are computed again.
    #[default]
    Nothing,
    /// A layer's input alone: each layer is computed again before its backward pass, a third more arithmetic.
    Layers,
}

/// Which parameters are trained.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Trainable {
    /// Every one.
    #[default]
    All,
    /// Those of these names (as in the Hugging Face checkpoint). The others have no gradient, and nothing is computed for them.
    Named(BTreeSet<String>),
}

impl Trainable {
    pub(super) fn includes(&self, name: &str) -> bool {
        match self {
            Trainable::All => true,
            Trainable::Named(names) => names.contains(name),
        }
    }
}

/// What a network is made for.
#[derive(Clone, Debug, PartialEq)]
pub struct TrainOptions {
    /// Most tokens of one batch.
    pub rows: usize,
    /// Most tokens of one segment of a batch.
    pub longest: usize,
    /// What is kept from the forward pass.
    pub recompute: Recompute,
    /// What is dropped.
    pub dropout: Dropouts,
    /// What is trained.
    pub trainable: Trainable,
}

impl TrainOptions {
    /// For batches of `batch` segments of `tokens` each: everything trained, nothing dropped or recomputed.
    pub fn new(batch: usize, tokens: usize) -> Self {
        Self {
            rows: batch * tokens,
            longest: tokens,
            recompute: Recompute::default(),
            dropout: Dropouts::default(),
            trainable: Trainable::default(),
        }
    }

    pub(super) fn check(&self) -> Result<(), TrainError> {
        let Dropouts { embedding, attention, residual } = self.dropout;
        for (what, value) in [
            ("dropout of embeddings", embedding),
            ("dropout of attention", attention),
            ("dropout of residuals", residual),
        ] {
            if !(0.0..1.0).contains(&value) {
                return Err(TrainError::Option { what, value: f64::from(value), range: "from 0 to below 1" });
            }
        }
        // Rows and columns are counted in 32 bits where masks are made.
        for (what, value) in [("the size of a batch", self.rows), ("the length of a segment", self.longest)] {
            if !(1..=1 << 24).contains(&value) {
                return Err(TrainError::Option { what, value: value as f64, range: "from 1 to 16777216 tokens" });
            }
        }
        Ok(())
    }
}
