//! What can be wrong with a checkpoint: always the file, what was wanted and what was found.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

/// Why a checkpoint could not be read or written.
///
/// The message is complete in itself; there is no chain of sources to print.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CheckpointError {
    /// The operating system refused.
    #[error("{}: cannot {action}: {cause}", path.display())]
    Io {
        /// The file or directory.
        path: PathBuf,
        /// What was tried: `open`, `map`, `write`.
        action: &'static str,
        /// The reason it gave.
        cause: io::Error,
    },
    /// The file is not what it says it is, or is a kind that cannot be read.
    #[error("{}: {fault}", path.display())]
    Bad {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        fault: Fault,
    },
    /// Nothing in the directory, or nothing in the file, looks like a checkpoint.
    #[error("{}: no checkpoint here: wanted {wanted}, found {found}", path.display())]
    NotACheckpoint {
        /// The file or directory.
        path: PathBuf,
        /// What would have been taken.
        wanted: &'static str,
        /// What is there.
        found: String,
    },
    /// The file is not as long as it was when its header was read.
    #[error("{}: changed while in use: {then} bytes when opened, {now} now; load it again", path.display())]
    Changed {
        /// The file.
        path: PathBuf,
        /// Bytes when opened.
        then: u64,
        /// Bytes now.
        now: u64,
    },
}

impl CheckpointError {
    pub(crate) fn io(path: &Path, action: &'static str) -> impl FnOnce(io::Error) -> Self {
        move |cause| Self::Io { path: path.to_owned(), action, cause }
    }

    pub(crate) fn bad(path: &Path) -> impl FnOnce(Fault) -> Self {
        move |fault| match fault {
            Fault::Read(cause) => Self::Io { path: path.to_owned(), action: "read", cause },
            fault => Self::Bad { path: path.to_owned(), fault },
        }
    }
}

/// What is wrong inside a file. Names that come from the file are shortened and escaped, so that a message can be
/// shown on a terminal.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Fault {
    /// Reading failed.
    #[error("cannot read: {0}")]
    Read(io::Error),
    /// The file is shorter than its header promises.
    #[error("truncated: {what} needs {wanted} bytes, and the file has {found}")]
    Truncated {
        /// What did not fit.
        what: String,
        /// Where it would end, in bytes from the start of the file.
        wanted: u64,
        /// The length of the file.
        found: u64,
    },
    /// A part of the file contradicts the format.
    #[error("{what}: wanted {wanted}, found {found}")]
    Structure {
        /// The part.
        what: String,
        /// What the format demands.
        wanted: String,
        /// What the file has.
        found: String,
    },
    /// One tensor contradicts itself or the file.
    #[error("tensor `{tensor}`: wanted {wanted}, found {found}")]
    Tensor {
        /// Its name.
        tensor: String,
        /// What the format demands.
        wanted: String,
        /// What the file has.
        found: String,
    },
    /// The pickle of a PyTorch file wants something that reading weights does not need. None of it was executed.
    #[error("refused pickle: {what} (byte {offset} of data.pkl)")]
    Pickle {
        /// Position of the opcode in the pickle.
        offset: usize,
        /// What it asked for.
        what: String,
    },
    /// A kind of file that is known and not read.
    #[error("{what} cannot be read: {advice}")]
    Unsupported {
        /// The kind.
        what: String,
        /// What to do instead.
        advice: &'static str,
    },
}

impl Fault {
    pub(crate) fn structure(what: impl fmt::Display, wanted: impl fmt::Display, found: impl fmt::Display) -> Self {
        Self::Structure { what: what.to_string(), wanted: wanted.to_string(), found: found.to_string() }
    }

    pub(crate) fn tensor(tensor: &str, wanted: impl fmt::Display, found: impl fmt::Display) -> Self {
        Self::Tensor { tensor: printable(tensor), wanted: wanted.to_string(), found: found.to_string() }
    }
}

/// `text` with control characters escaped, cut after 100 characters: safe to show, whatever a file put there.
pub(crate) fn printable(text: &str) -> String {
    const SHOWN: usize = 100;
    let mut shown: String = text.chars().take(SHOWN).flat_map(char::escape_debug).collect();
    if text.chars().nth(SHOWN).is_some() {
        shown.push('…');
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shows_no_control_characters_and_no_novels() {
        assert_eq!(printable("h.0\u{1b}[2J"), "h.0\\u{1b}[2J");
        assert_eq!(printable(&"x".repeat(1 << 20)).chars().count(), 101);
    }
}
