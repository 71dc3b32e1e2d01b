//! gptneo as a library: the crates behind the program, under one roof.
//!
//! - [`engine`]: prompts to text. Start here: [`engine::Engine`] and [`engine::Request`].
//! - [`model`]: ids to logits; [`model::open`] and [`model::load()`] bring a checkpoint onto a device.
//! - [`train`]: the loop that trains.
//! - [`text`]: strings to ids and back.
//! - [`kernels`]: the CPU as a [`device::Device`].
//! - [`checkpoint`]: safetensors, PyTorch and GGUF files.
//! - [`corpus`]: text to token shards.
//! - [`hub`]: the Hugging Face hub and its cache.
//! - [`runs`]: what was trained or measured, and how it went.
//!
//! The programs in `examples/` show how they meet. Nothing here prints, reads the environment, or exits: that is for
//! the program that uses it.
#![forbid(unsafe_code)]

pub use gptneo_checkpoint as checkpoint;
pub use gptneo_corpus as corpus;
pub use gptneo_device as device;
pub use gptneo_engine as engine;
pub use gptneo_hub as hub;
pub use gptneo_kernels as kernels;
pub use gptneo_model as model;
pub use gptneo_runs as runs;
pub use gptneo_text as text;
pub use gptneo_train as train;
