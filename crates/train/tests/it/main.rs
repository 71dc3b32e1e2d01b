//! The loop on tiny networks and a real CPU.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on says so by its panic")]

mod adapters;
mod faults;
mod learning;
mod parity;
mod ranks;
mod resuming;
mod tasks;
mod world;
