//! The store and its sinks as another crate uses them.
#![allow(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

mod comet;
mod crash;
mod double;
mod feedback;
mod mlflow;
mod plot;
mod recording;
mod store;
mod tensorboard;
mod world;
