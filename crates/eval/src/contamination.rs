//! Contamination: documents of a task that stand, in part, in token shards that a model was trained on.
//!
//! As GPT-3's appendix C has it (Brown et al., 2020). Texts become words: lower case, every character that is neither letter nor digit nor white
//! space deleted, split at white space. A document of a task overlaps where 13 words in a row of it stand in a document of the shards; one
//! of fewer words where all of it does; with fewer than 8 that cannot be told, and it counts as clean. A run of words that more than 10
//! documents of the shards have is common, and counts for nothing.
//!
//! [`Settings`] has the numbers. The shards are read once; memory is that of the tasks. No run of words crosses from one document into the next.

mod examine;
mod find;
mod queries;
mod verdict;
mod words;

use std::sync::Arc;

use serde_json::{Value, json};

use crate::shards::Shards;

pub use examine::{Examination, ExaminedTask, examine};
pub(crate) use find::{Found, find};
pub use verdict::{Match, Scanned, TaskContamination, Verdict};

/// What counts as an overlap.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Words in a row.
    pub words: usize,
    /// A document with fewer words than this is too short to tell.
    pub least: usize,
    /// What more documents of the shards have is common.
    pub common: u64,
}

impl Default for Settings {
    fn default() -> Self {
        Self { words: 13, least: 8, common: 10 }
    }
}

impl Settings {
    pub(crate) fn json(self) -> Value {
        json!({"ngram_words": self.words, "least_words": self.least, "common_above_documents": self.common})
    }

    /// The definition in words, as results hold it.
    pub fn protocol(self) -> String {
        let Self { words, least, common } = self;
        format!(
            "{words}-gram overlap as in GPT-3's appendix C: lower case, punctuation deleted, split at white space; of documents with \
             fewer than {words} words all of them, fewer than {least} count as clean; n-grams in more than {common} documents of the \
             shards are ignored"
        )
    }
}

/// What to look through, and how.
#[derive(Clone, Debug)]
pub struct Decontamination {
    /// The shards.
    pub shards: Arc<Shards>,
    /// What counts.
    pub settings: Settings,
}
