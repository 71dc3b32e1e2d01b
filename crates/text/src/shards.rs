//! Token shards: tokenized documents on disk, and the order in which training reads them.
//!
//! A folder holds a `manifest.json` ([`Manifest`]) and shards of two splits, `train-00000.tokens` and
//! `held-out-00000.tokens`. A [`ShardWriter`] makes one shard, a [`Shard`] reads one, a [`Dataset`] is a whole split seen
//! as one stream of tokens, and an [`Order`] says which tokens the n-th training sequence has.
//!
//! # The format, version 1
//!
//! All numbers are little-endian.
//!
//! | bytes | what |
//! |---|---|
//! | 96 | the header, below |
//! | tokens x 2 or 4, then zeros up to a multiple of 8 | the ids: two bytes each where the vocabulary has at most 65,536, else four |
//! | documents x 24 | the index: where the document ends, in tokens from the start of the shard (u64); its record in its source, counted from 1 (u64); bytes of its text (u32); its source's place in the manifest (u32) |
//! | 8 for each 64 KiB of ids and index together | checksums of these pieces: the first 8 bytes of their SHA-256 |
//!
//! | offset | header field |
//! |---|---|
//! | 0 | `GPTNEOTK` |
//! | 8 | version, u32: 1 |
//! | 12 | u32 `0x01020304`, which a reader of the other byte order would see reversed |
//! | 16 | bytes of an id, u32: 2 or 4 |
//! | 20 | size of the vocabulary, u32; every id is below it |
//! | 24 | tokens, u64 |
//! | 32 | documents, u64 |
//! | 40 | bytes of the documents' text, u64 |
//! | 48 | SHA-256 that defines the tokenizer ([`Tokenizer::fingerprint`](crate::Tokenizer::fingerprint)) |
//! | 80 | bytes that one checksum covers, u32: 65,536 |
//! | 84 | zero, u32 |
//! | 88 | the first 8 bytes of the SHA-256 of the 88 bytes before |
//!
//! A document's last token is the end-of-text token, and belongs to it. No document spans two shards.
//!
//! A reader checks the header and the length of the file when it opens it, and every piece the first time it is touched, so
//! opening takes no longer for a large shard and damage is found before it is trained on.

mod atomic;
mod dataset;
mod header;
mod manifest;
mod order;
mod permutation;
mod reader;
mod writer;

pub use atomic::{TempFile, sha256_of, write_whole};
pub use dataset::{Dataset, DocumentSpan};
pub use manifest::{MANIFEST, Manifest, Settings, ShardEntry, Skipped, SourceEntry, Split, SplitEntry, TokenizerEntry};
pub use order::{Amount, Mixture, Order, Part, Place, Segment, Sequence, share};
pub use permutation::Permutation;
pub use reader::{Document, Shard};
pub use writer::{ShardWriter, Stamp};
