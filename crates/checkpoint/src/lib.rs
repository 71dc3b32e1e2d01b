//! Bytes to tensors: safetensors, PyTorch and GGUF files, read as hostile input.
//!
//! [`Checkpoint::open`] takes a directory in Hugging Face layout or one file, reads headers alone, and checks every
//! claim in them against the length of the file before any memory is asked for. [`Checkpoint::tensors`] lists what is
//! inside; [`Checkpoint::bytes`] maps the bytes of one tensor, so that dropping them gives their pages back.
//! [`gguf::Writer`] and [`safetensors::Writer`] stream tensors into a temporary file that takes its name when complete.
//!
//! Nothing here knows of models: names, shapes and types are reported as the file tells them.
//!
//! Promises, and where under `tests/formats/` they are tested:
//! - No input makes a reader panic, recurse without bound, or reserve more than twice the file and 64 MiB
//!   (`hostile_*.rs`, `memory.rs`, and the fuzz targets in `fuzz/`).
//! - A pickle runs no code: opcodes and global names are allow-listed (`hostile_pickle.rs`).
//! - What the reference safetensors reader refuses is refused here (`safetensors.rs`).
//! - A writer that is dropped before `finish` leaves nothing behind (`writers.rs`).
//!
//! `unsafe` is denied but for the one call that maps a file, in `map.rs`.
//!
//! ```
//! use gptneo_checkpoint::{Checkpoint, safetensors};
//! use gptneo_device::DType;
//!
//! # fn main() -> Result<(), gptneo_checkpoint::CheckpointError> {
//! # let folder = tempfile::tempdir().expect("a temporary folder");
//! let path = folder.path().join("model.safetensors");
//! let mut writer = safetensors::Writer::create(&path, &[], &[("ln_f.bias", DType::F32, [2])])?;
//! writer.write(&[0, 0, 128, 63, 0, 0, 0, 64])?;
//! writer.finish()?;
//!
//! let checkpoint = Checkpoint::open(folder.path())?;
//! let tensor = checkpoint.get("ln_f.bias").expect("just written");
//! assert_eq!(tensor.shape, [2]);
//! assert_eq!(checkpoint.bytes(tensor)?.len(), 8);
//! # Ok(())
//! # }
//! ```
#![deny(unsafe_code)]

mod checkpoint;
mod content;
mod error;
mod finite;
pub mod gguf;
mod index;
mod map;
pub mod safetensors;
mod sink;
mod source;
mod strided;
mod tensor;
pub mod torch;

pub use checkpoint::{Checkpoint, Format};
pub use error::{CheckpointError, Fault};
pub use finite::first_non_finite;
pub use tensor::TensorInfo;
