//! The loop: from token shards to a model, never losing a step.
//!
//! A [`Recipe`] says what is trained, on what and how; [`Data`] reads its shards, [`Responses`] has examples to fine-tune on; a
//! [`Trainer`] makes the network, goes on
//! from the newest whole checkpoint, and steps. It is generic over the device and the ranks; an observer (see
//! `gptneo_runs`) is told what happens. A [`MemoryPlan`] says beforehand what a run takes.
//!
//! What a run computes follows from its recipe and its data: interrupted anywhere, it ends with the same bits.
#![forbid(unsafe_code)]

pub mod batch;
mod data;
mod error;
pub mod files;
pub mod guard;
pub mod log;
mod measure;
mod optimizer;
mod plan;
pub mod recipe;
mod responses;
mod sample;
mod saver;
pub mod schedule;
mod state;
pub mod store;
mod trainer;
mod work;

pub use data::{Data, Examples, Rows};
pub use error::TrainError;
pub use measure::{Measured, measure};
pub use plan::{MemoryPlan, TASK_POSITIONS, options, plan, what_fits};
pub use recipe::{Recipe, RecipeError};
pub use responses::{Cut, Named, Responses};
pub use state::State;
pub use trainer::{Ended, First, Parts, Resume, Scored, Scores, Trainer, checkpoints, log_file};
pub use work::operations_per_token;
