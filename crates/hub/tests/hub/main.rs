//! The promises of this crate, against servers on this machine that behave, or do not.

// What fails in a helper fails the test.
#![allow(clippy::unwrap_used)]

mod caching;
mod datasets;
mod downloads;
mod faults;
mod pulling;
mod redirects;
mod refusals;
mod server;
mod tls;
mod world;
