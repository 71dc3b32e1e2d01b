//! The promises of the data side: tables that pyarrow wrote, broken files, the sets beside the workspace, and a hub.

// What fails in a helper fails the test.
#![allow(clippy::unwrap_used)]
// Data that is not here is said so.
#![allow(clippy::print_stderr)]

mod broken;
mod formats;
mod hub;
mod limits;
mod places;
mod server;
mod sets;
mod support;
mod tables;
