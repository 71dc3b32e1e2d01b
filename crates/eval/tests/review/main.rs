//! The review as a whole: sheets, sessions, answers files, statistics.
#![allow(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

mod files;
mod making;
mod reports;
mod sessions;
mod strengths;
mod world;
