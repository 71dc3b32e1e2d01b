//! Evaluations, from definitions to scores.
#![allow(clippy::unwrap_used, reason = "helpers of tests may panic")]

mod hashes;
mod shipped;
