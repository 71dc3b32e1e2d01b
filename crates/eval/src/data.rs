//! Evaluation sets as rows of JSON, from files here or from a hub.
//!
//! [`read_rows`] reads one file whole: jsonl, json, csv, tsv, lines of text, Parquet, Arrow; the first five also as gz or zst.
//! A [`Dataset`] says where a task's data are: its id at a hub, its configuration, and the places under a data folder where
//! it may lie. A [`Library`] knows the folders and the hub, and opens one [`Split`] of it.
//!
//! ```no_run
//! use gptneo_eval::data::{Dataset, Library, Place};
//!
//! let mut lambada = Dataset { path: Some("EleutherAI/lambada_openai".to_owned()), ..Dataset::default() };
//! lambada.local.insert("test".to_owned(), vec![Place::new("eval/lambada/lambada_test.jsonl")]);
//! let library = Library { folders: vec!["/data".into()], ..Library::default() };
//! let split = library.open(&lambada, "test")?;
//! assert!(split.rows[0]["text"].is_string());
//! # Ok::<(), gptneo_eval::data::DataError>(())
//! ```
//!
//! # What is promised
//!
//! - Rows keep the order of the file; fields that of the columns, where the JSON map keeps any (`preserve_order`).
//! - A file is read whole or refused: one cut short, a shard that is missing, a limit that is reached is an error which
//!   names the file, the line or row, and what to do. An empty set is an error too.
//! - Nothing in a file makes this code panic, recurse without end, or allocate more than [`Limits`] allow.
//! - A set that is nowhere is reported with every place that was looked in and both ways to get it.
//!
//! The Parquet and Arrow readers are our own: those of the crates `parquet` and `arrow-ipc` (59.3) allocate, recurse and assert
//! as the file tells them to, so that one bit turned may panic, and a schema of many groups abort. `tests/data` holds the promises: tables that pyarrow
//! wrote, files cut, flipped and lying, and a hub on this machine.

mod arrow;
mod contents;
mod dataset;
mod delimited;
mod error;
mod float;
mod inflate;
mod json;
mod layout;
mod library;
mod limits;
mod local;
pub(crate) mod moment;
mod names;
mod parquet;
mod reading;
mod remote;

pub use dataset::{Dataset, Place};
pub use error::{DataError, Where};
pub use library::{Library, Split};
pub use limits::Limits;
pub use reading::{FileRows, Format, Reading, Row, read_rows};
pub use remote::Remote;
