//! Evaluations, from definitions to scores.
#![allow(clippy::unwrap_used, clippy::print_stderr, reason = "helpers of tests fail as tests do")]

mod compare;
mod hashes;
mod pages;
mod shipped;
mod world;
