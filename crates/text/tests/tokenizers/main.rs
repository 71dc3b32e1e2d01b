//! Tokenizers as they come: real ones, hostile ones, and everything that text can be.
#![allow(clippy::unwrap_used, clippy::print_stderr, reason = "these are tests, helper functions included")]

mod data;
mod directory;
mod golden;
mod hostile;
mod learning;
mod round_trip;
mod small;
