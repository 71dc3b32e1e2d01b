//! Strings to ids and back, for the byte-level BPE tokenizers of the GPT-Neo line (GPT-2's and GPT-NeoX's).
//!
//! A [`Tokenizer`] is read from `tokenizer.json`, from `vocab.json` with `merges.txt`, or from the keys of a GGUF file; it
//! is checked once and then read-only. [`Tokenizer::encode`] gives the ids of a text, [`Tokenizer::decode`] the text of
//! ids, and a [`TextStream`] the text of ids that arrive one at a time. A [`ChatTemplate`] turns a conversation into a
//! prompt, when asked for by name and never otherwise. An [`Example`] is a prompt or conversation for fine-tuning, with the part
//! that is learned.
//!
//! [`WordCounts`] learns a vocabulary from text. Text that has become ids for training lies in [`shards`]: their format, their reading, and the order of sequences.
//!
//! Nothing here sees a float, and whatever comes from outside is hostile: sizes are bounded, recursion is bounded, every
//! fault is a [`TextError`].

mod added;
mod alphabet;
mod chat;
mod decode;
mod encode;
mod error;
mod example;
mod fingerprint;
mod learn;
mod merges;
mod normal;
mod pieces;
mod read;
pub mod shards;
mod split;
mod tokenizer;
mod vocabulary;
mod write;

pub use chat::{ChatTemplate, Message, Role};
pub use decode::{Special, TextStream};
pub use error::TextError;
pub use example::{Example, text_pair};
pub use learn::WordCounts;
pub use read::gguf::{GgufParts, GgufTokenizer};
pub use tokenizer::Tokenizer;
