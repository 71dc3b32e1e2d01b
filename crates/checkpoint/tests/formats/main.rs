//! The promises of the crate, one module each.
#![allow(clippy::unwrap_used, clippy::print_stderr, reason = "these are tests, helper functions included")]

mod corpus;
mod directories;
mod gguf;
mod hostile_gguf;
mod hostile_pickle;
mod hostile_safetensors;
mod hostile_zip;
mod memory;
mod real;
mod safetensors;
mod support;
mod torch;
mod writers;
