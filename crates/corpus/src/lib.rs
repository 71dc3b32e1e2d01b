//! Text to what training reads: token shards, and vocabularies learned from text.
//!
//! [`find`] turns what a user names (files, folders, globs, data sets of a hub) into [`Source`]s.
//! [`tokenize()`] makes token shards of them (the format is `gptneo_text::shards`), [`learn`] a vocabulary, and [`examples`] prompts
//! with responses to fine-tune on.
//!
//! Everything streams: memory holds a few batches of records, whatever the size of the sources. Workers only turn batches
//! into ids; what they give is taken in the order of the sources, so their number changes nothing in the output. A run that
//! was killed goes on from the last complete shard and ends with the same bytes.
//!
//! Sources are hostile: lines and documents have a longest length, decompressed bytes are never held all at once, and a
//! record that is no document is counted by reason and reported, never dropped in silence.
#![forbid(unsafe_code)]

mod batch;
mod document;
mod error;
mod examples;
mod fetch;
mod find;
mod learn;
mod pool;
mod read;
mod records;
mod stream;
mod table;
mod tokenize;
mod unfinished;

pub use error::CorpusError;
pub use examples::{ExampleJob, ExampleSet, Holds, Placed, examples, holds, labels};
pub use fetch::{Remote, looks_like_dataset};
pub use find::{Format, Found, Source, find};
pub use learn::{Learned, Learning, learn};
pub use tokenize::{Job, Report, Status, Watch, tokenize};
