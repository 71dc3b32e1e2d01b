//! Losses and gradients: the decoder's line of models, trained.
//!
//! A [`Network`] holds every parameter in one flat f32 vector, whose [`Layout`] is the order in which the backward pass finishes
//! gradients, last layers first; so optimiser states, clipping, shards and reductions over ranks are ranges of it.
//! [`Network::step`] takes a [`Batch`] of segments and an [`Objective`], adds gradients, and tells of every range as soon as it is
//! done. A [`Plan`] says beforehand what memory that takes.
//!
//! Gradients are derived by hand and there is no tape: a layer keeps its input, queries, keys and values, attention, middle and
//! the MLP before its activation; norms and activations are computed again, which costs a pass over memory and no
//! product. With [`Recompute::Layers`] a layer keeps its input alone.
//!
//! With [`Trainable::Adapters`] low-rank factors are trained beside frozen matrices; they are slots of the layout like any other,
//! marked by [`Slot::part`].
//!
//! A [`crate::Classifier`] is trained as a language model is, with labels for targets: [`NextToken`] is cross-entropy over whatever
//! the head has logits for, [`SquaredError`] drives the one logit of a value at a number.
//!
//! Tested in `tests/gradients.rs` and `tests/low_rank.rs` against PyTorch (all families and variants), finite differences, and the decoder's own
//! log-probabilities. The same batch gives the same bits on any number of threads.

mod adapter;
mod batch;
mod error;
mod file;
mod head;
mod initial;
mod layer;
mod layout;
mod low_rank;
mod map;
mod network;
mod objective;
mod options;
mod pass;
mod plan;
mod room;
mod snapshot;

pub use batch::Batch;
pub use error::TrainError;
pub use file::{file_bytes, file_shape};
pub use initial::Initial;
pub use layout::{Kind, Layout, Part, Slot};
pub use network::{Network, OnLogits, OnReady, Outcome, Parameters, StepKey};
pub use objective::{Derivatives, NextToken, Objective, Scope, Scored, SquaredError};
pub use options::{Adapters, Dropouts, Recompute, TrainOptions, Trainable};
pub use plan::Plan;
pub use snapshot::Snapshot;

pub use gptneo_device::train::{IGNORE, Write};
