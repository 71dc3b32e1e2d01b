//! Everything that can go wrong between samples and statistics.

use std::io;

/// The one error of [`review`](crate::review).
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReviewError {
    /// Something could not be read.
    #[error("cannot read {name}: {source}")]
    Read {
        /// As the caller named it.
        name: String,
        /// What the system said.
        source: io::Error,
    },
    /// A line of a jsonl file is not what it should be.
    #[error("{name}, line {line}: {detail}")]
    Line {
        /// As the caller named the file.
        name: String,
        /// Counted from 1.
        line: u64,
        /// What was wrong.
        detail: String,
    },
    /// A sheet is damaged, or of another version, or lacks its key.
    #[error("sheet: {detail}")]
    Sheet {
        /// What was wrong and what to do.
        detail: String,
    },
    /// No sheet can be made of these sources in this way.
    #[error("{detail}")]
    Setting {
        /// What was wrong and what to do.
        detail: String,
    },
    /// An answer that does not fit its sheet or its session.
    #[error("{detail}")]
    Answer {
        /// What was wrong.
        detail: String,
    },
    /// The data cannot carry this number.
    #[error("{why}")]
    Refused {
        /// Why not, and what would be needed.
        why: String,
    },
}

pub(crate) type Result<T> = std::result::Result<T, ReviewError>;

pub(crate) fn setting(detail: impl Into<String>) -> ReviewError {
    ReviewError::Setting { detail: detail.into() }
}

pub(crate) fn bad_sheet(detail: impl Into<String>) -> ReviewError {
    ReviewError::Sheet { detail: detail.into() }
}

pub(crate) fn bad_answer(detail: impl Into<String>) -> ReviewError {
    ReviewError::Answer { detail: detail.into() }
}

/// `text` as an error shows it: what comes from a file may be megabytes long, or move a terminal's cursor.
pub(crate) fn shown(text: &str) -> String {
    const LONGEST: usize = 200;
    let cut = &text[..text.floor_char_boundary(LONGEST)];
    let more = if cut.len() < text.len() { "…" } else { "" };
    format!("{}{more}", super::visible::visible(cut))
}
