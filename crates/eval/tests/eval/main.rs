//! Evaluations, from definitions to scores.
#![allow(clippy::unwrap_used, clippy::print_stderr, reason = "helpers of tests fail as tests do")]

mod choices;
mod hashes;
mod shipped;
