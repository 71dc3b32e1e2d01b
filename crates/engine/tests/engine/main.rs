//! The engine against models with known answers.
#![allow(clippy::unwrap_used, reason = "helpers of tests may panic")]

mod adapters;
mod beams;
mod classifying;
mod embedding;
mod forms;
mod generating;
mod golden;
mod hostile_forms;
mod likelihoods;
mod rails;
mod schema;
mod scoring;
mod simulation;
mod sources;
mod speculation;
mod toy;
