//! Tables of data sets: Apache Parquet and Apache Arrow as rows of JSON, or of Parquet one column of texts, row after row.
//!
//! [`parquet::rows`] and [`arrow::rows`] read a file that is in memory whole; [`Strings`] reads one column from the disk, page
//! after page, so that a file may be larger than the memory.
//!
//! # What is promised
//!
//! - A file is read whole or refused: what is cut short or damaged is a [`Flaw`], which names the row where it can.
//! - Nothing in a file makes this code panic, recurse without end, or allocate more than [`Limits`] allow.
//!
//! The readers are our own: those of the crates `parquet` and `arrow-ipc` (59.3) allocate, recurse and assert as the file tells them
//! to, so that one bit turned may panic, and a schema of many groups abort.
#![forbid(unsafe_code)]

pub mod arrow;
mod flaw;
pub mod float;
mod inflate;
mod limits;
pub mod moment;
mod names;
pub mod parquet;

pub use flaw::{Cause, Flaw, Said, Where, damaged, limit, shown, unsupported};
pub use inflate::{Compression, unpack};
pub use limits::{Budget, Limits};
pub use names::twice;
pub use parquet::Strings;

/// A row: its fields by name.
pub type Row = serde_json::Map<String, serde_json::Value>;
