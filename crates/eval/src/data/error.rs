//! Everything that can go wrong between a description and rows.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use gptneo_hub::HubError;

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
    /// More than [`Limits`](crate::data::Limits) allow.
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

/// A place in a file, counted from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Where {
    /// A line of text.
    Line(usize),
    /// A row of a table.
    Row(usize),
}

impl fmt::Display for Where {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Where::Line(number) => write!(f, "line {number}"),
            Where::Row(number) => write!(f, "row {number}"),
        }
    }
}

fn at_of(at: &Option<Where>) -> String {
    at.map_or(String::new(), |at| format!(", {at}"))
}

fn listed(items: &[String]) -> String {
    items.iter().map(|item| format!("\n  - {item}")).collect()
}

/// What is wrong with some bytes, before it is known which file they are of.
#[derive(Debug)]
pub(crate) struct Flaw {
    kind: Kind,
    at: Option<Where>,
    detail: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Damaged,
    Unsupported,
    Limit,
}

/// The result of reading bytes.
pub(crate) type Said<T> = Result<T, Flaw>;

pub(crate) fn damaged(detail: impl Into<String>) -> Flaw {
    Flaw { kind: Kind::Damaged, at: None, detail: detail.into() }
}

pub(crate) fn unsupported(detail: impl Into<String>) -> Flaw {
    Flaw { kind: Kind::Unsupported, at: None, detail: detail.into() }
}

pub(crate) fn limit(detail: impl Into<String>) -> Flaw {
    Flaw { kind: Kind::Limit, at: None, detail: detail.into() }
}

impl Flaw {
    /// Adds a place, unless a nearer one is known.
    pub(crate) fn at(mut self, at: Where) -> Flaw {
        self.at.get_or_insert(at);
        self
    }

    /// Adds the name of a column.
    pub(crate) fn of_column(mut self, name: &str) -> Flaw {
        self.detail = format!("column {:?}: {}", shown(name), self.detail);
        self
    }

    pub(crate) fn of_file(self, path: &Path) -> DataError {
        let Flaw { kind, at, detail } = self;
        let path = path.to_owned();
        match kind {
            Kind::Damaged => DataError::Damaged { path, at, detail },
            Kind::Unsupported => DataError::Unsupported { path, at, detail },
            Kind::Limit => DataError::TooLarge { path, at, detail },
        }
    }
}

/// `text` as an error shows it: what comes from a file may be megabytes long.
pub(crate) fn shown(text: &str) -> &str {
    const LONGEST: usize = 80;
    &text[..text.floor_char_boundary(LONGEST)]
}
