//! What the server's page needs, over the wire.
#![allow(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

#[path = "../common/mod.rs"]
mod common;
mod feedback;
mod offered;
mod rails;
mod reviews;
mod runs;
