//! Sources to shards: every document once, the same bytes however it was run, every fault told.

#![allow(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

mod content;
mod examples;
mod faults;
mod learning;
mod parquet;
mod resume;
mod world;
