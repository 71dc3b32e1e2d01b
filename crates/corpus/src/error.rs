//! Everything that can go wrong between text and shards.

use std::io;
use std::path::{Path, PathBuf};

use gptneo_hub::HubError;
use gptneo_text::TextError;

/// The one error of this crate.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CorpusError {
    /// Tokenizer, shards.
    #[error(transparent)]
    Text(#[from] TextError),
    /// The hub.
    #[error(transparent)]
    Hub(#[from] HubError),
    /// A file or folder could not be read.
    #[error("cannot read {}: {source}", path.display())]
    Read {
        /// Which.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A file could not be written or removed.
    #[error("cannot write {}: {source}", path.display())]
    Write {
        /// Which.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A source is damaged, or not of its format.
    #[error("{}: {detail}", path.display())]
    Source {
        /// The file.
        path: PathBuf,
        /// What was wrong.
        detail: String,
    },
    /// A name that stands for no source.
    #[error("{name}: {detail}")]
    NotFound {
        /// As it was given.
        name: String,
        /// What was looked for.
        detail: String,
    },
    /// Settings that cannot be used.
    #[error("{detail}")]
    Setting {
        /// What was wrong and what to do.
        detail: String,
    },
    /// The output folder holds something else.
    #[error("{}: {detail}", dir.display())]
    Output {
        /// The folder.
        dir: PathBuf,
        /// What it holds and what to do.
        detail: String,
    },
    /// No record of the sources is a document.
    #[error("no documents in {sources} sources: {skipped}")]
    NoDocuments {
        /// How many sources were read.
        sources: usize,
        /// What was found instead.
        skipped: String,
    },
    /// Stopped from outside.
    #[error("stopped")]
    Cancelled,
}

pub(crate) type Result<T> = std::result::Result<T, CorpusError>;

pub(crate) fn read_failed(path: &Path) -> impl FnOnce(io::Error) -> CorpusError {
    move |source| match source.kind() {
        // What decompressors say of bytes that are not theirs, or that end early.
        io::ErrorKind::InvalidData | io::ErrorKind::InvalidInput | io::ErrorKind::UnexpectedEof => {
            CorpusError::Source { path: path.to_owned(), detail: format!("it is damaged or cut short: {source}") }
        }
        io::ErrorKind::Other => {
            CorpusError::Source { path: path.to_owned(), detail: format!("it is damaged: {source}") }
        }
        _ => CorpusError::Read { path: path.to_owned(), source },
    }
}

/// `text` as an error shows it: what comes from a file may be megabytes long.
pub(crate) fn shown(text: &str) -> String {
    const LONGEST: usize = 200;
    if text.len() <= LONGEST {
        return text.to_owned();
    }
    format!("{}…", &text[..text.floor_char_boundary(LONGEST)])
}
