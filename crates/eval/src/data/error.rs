//! Everything that can go wrong between a description and rows.

use std::io;
use std::path::{Path, PathBuf};

use gptneo_hub::HubError;
use gptneo_tables::{Cause, Flaw, Where};

/// Why a set or a file could not be had.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DataError {
    /// The system refused to read a file or folder.
    #[error("cannot read {}: {source}", path.display())]
    Read {
        /// Which.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The bytes are not what they should be.
    #[error("{}{}: {detail}; get the file again, or name its format and options if the guess was wrong", path.display(), at_of(at))]
    Damaged {
        /// The file.
        path: PathBuf,
        /// The line or row, where one can be named.
        at: Option<Where>,
        /// What was found.
        detail: String,
    },
    /// A file in order, of a kind that is not read here.
    #[error("{}{}: {detail}; save it as jsonl, or as Parquet with plain columns", path.display(), at_of(at))]
    Unsupported {
        /// The file.
        path: PathBuf,
        /// The line or row, where one can be named.
        at: Option<Where>,
        /// What is not read.
        detail: String,
    },
    /// More than [`Limits`](gptneo_tables::Limits) allow.
    #[error("{}{}: {detail}; if the file is to be trusted, raise that limit", path.display(), at_of(at))]
    TooLarge {
        /// The file.
        path: PathBuf,
        /// The line or row, where one can be named.
        at: Option<Where>,
        /// Which limit, and its value.
        detail: String,
    },
    /// A description, or an option of it, that cannot be followed.
    #[error("{what}: {detail}")]
    Definition {
        /// The set or file it is about.
        what: String,
        /// What is wrong and what would be right.
        detail: String,
    },
    /// The files of a split are there, and have no rows.
    #[error("{what}: {} without a single row; get the files again", files.join(", "))]
    NoRows {
        /// The set and split.
        what: String,
        /// Where the rows should have been.
        files: Vec<String>,
    },
    /// Nowhere to be found.
    #[error("{what} is not here; looked in:{}\nto have it, either{}", listed(looked), listed(ways))]
    Missing {
        /// The set and split.
        what: String,
        /// Every place that was looked in, with what was found there.
        looked: Vec<String>,
        /// What would make it found.
        ways: Vec<String>,
    },
    /// The hub, for reasons that have nothing to do with what it holds.
    #[error(transparent)]
    Hub(#[from] HubError),
}

fn at_of(at: &Option<Where>) -> String {
    at.map_or(String::new(), |at| format!(", {at}"))
}

fn listed(items: &[String]) -> String {
    items.iter().map(|item| format!("\n  - {item}")).collect()
}

impl DataError {
    /// What is wrong with the bytes of a file.
    pub(crate) fn of_file(path: &Path, flaw: Flaw) -> DataError {
        let Flaw { cause, at, detail } = flaw;
        let path = path.to_owned();
        match cause {
            Cause::Damaged => DataError::Damaged { path, at, detail },
            Cause::Unsupported => DataError::Unsupported { path, at, detail },
            Cause::Limit => DataError::TooLarge { path, at, detail },
            Cause::Read => DataError::Read { path, source: io::Error::other(detail) },
        }
    }
}
