//! How a network is trained: what it must have room for, what it drops, what it keeps, what it learns.

use std::collections::BTreeSet;

use crate::family::Role;

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

/// Low-rank adapters (LoRA: Hu et al., 2021) to train beside frozen matrices: `y = W x + scale B (A drop(x))`.
#[derive(Clone, Debug, PartialEq)]
pub struct Adapters {
    /// r.
    pub rank: usize,
    /// The scale's numerator.
    pub alpha: f32,
    /// Scale by `alpha / sqrt(r)` (Kalajdzievski, 2023) in place of `alpha / r`.
    pub rank_stabilised: bool,
    /// Probability with which inputs of A are dropped.
    pub dropout: f32,
    /// The matrices of every layer: [`Role::Query`], [`Role::Key`], [`Role::Value`] or [`Role::Qkv`], whichever the family has,
    /// [`Role::AttentionOutput`], [`Role::Inner`], [`Role::Outer`].
    pub targets: Vec<Role>,
}

impl Adapters {
    /// What multiplies `B (A x)`.
    pub fn scale(&self) -> f32 {
        let rank = self.rank as f32;
        self.alpha / if self.rank_stabilised { rank.sqrt() } else { rank }
    }
}

/// Which parameters are trained.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Trainable {
    /// Every one.
    #[default]
    All,
    /// Those of these names (as in the Hugging Face checkpoint). The others have no gradient, and nothing is computed for them.
    Named(BTreeSet<String>),
    /// Adapters beside matrices, and none of the model's own but a classifier's head, which no base model has.
    Adapters(Adapters),
}

impl Trainable {
    pub(super) fn includes(&self, role: Role, name: &str) -> bool {
        match self {
            Trainable::All => true,
            Trainable::Named(names) => names.contains(name),
            Trainable::Adapters(_) => role == Role::Score,
        }
    }

    pub(super) fn adapters(&self) -> Option<&Adapters> {
        match self {
            Trainable::Adapters(adapters) => Some(adapters),
            Trainable::All | Trainable::Named(_) => None,
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
        let adapters = self.trainable.adapters();
        if let Some(Adapters { rank, .. }) = adapters
            && !(1..=1 << 12).contains(rank)
        {
            return Err(TrainError::Option {
                what: "the rank of adapters",
                value: *rank as f64,
                range: "from 1 to 4096",
            });
        }
        let adapter_inputs = adapters.map_or(0.0, |adapters| adapters.dropout);
        for (what, value) in [
            ("dropout of adapters", adapter_inputs),
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
