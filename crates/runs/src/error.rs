//! What can go wrong with the store: what, where, and what to do.

use std::path::{Path, PathBuf};

use rusqlite::ErrorCode;

use crate::feedback::{FEEDBACK_BYTES, FEEDBACK_SHARES, MOST_FEEDBACK};

/// Why the store could not do what was asked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RunsError {
    /// The file or its folder cannot be used.
    #[error("cannot use the store of runs {path}: {why}")]
    Io {
        /// The store.
        path: PathBuf,
        /// The system's or SQLite's words.
        why: String,
    },
    /// The file is a store no longer, or never was a database.
    #[error("{path} is damaged or no store of runs ({why}): move it away to begin a new one")]
    Damaged {
        /// The store.
        path: PathBuf,
        /// SQLite's words.
        why: String,
    },
    /// The file is somebody else's database.
    #[error("{path} is a database, but no store of runs: name another place")]
    Foreign {
        /// The file.
        path: PathBuf,
    },
    /// A later version of the program has written it.
    #[error("{path} has version {found}, and this program knows versions up to {known}: use a newer gptneo")]
    Newer {
        /// The store.
        path: PathBuf,
        /// The version in the file.
        found: i64,
        /// The latest version known here.
        known: i64,
    },
    /// Another process holds it for too long.
    #[error("the store of runs {path} is held by another process: try again")]
    Busy {
        /// The store.
        path: PathBuf,
    },
    /// The disk has no room.
    #[error("no room left for the store of runs {path}")]
    Full {
        /// The store.
        path: PathBuf,
    },
    /// There is no such run.
    #[error("there is no run `{wanted}`{}", near(.known))]
    UnknownRun {
        /// What was asked for.
        wanted: String,
        /// The names nearest to it.
        known: Vec<String>,
    },
    /// More than one run begins so.
    #[error("`{wanted}` may be any of {}: give more of the name", .names.join(", "))]
    ManyRuns {
        /// What was asked for.
        wanted: String,
        /// The runs it may be.
        names: Vec<String>,
    },
    /// A run has no such metric.
    #[error("run `{run}` has no metric `{wanted}`; it has {}", listed(.known))]
    UnknownMetric {
        /// The run.
        run: String,
        /// What was asked for.
        wanted: String,
        /// What there is.
        known: Vec<String>,
    },
    /// A value that the store cannot hold.
    #[error("{what} cannot be stored: {why}")]
    BadValue {
        /// Which value.
        what: String,
        /// What is wrong with it.
        why: String,
    },
    /// There is more feedback than is kept.
    #[error(
        "the store of runs {path} takes no more feedback: it has {count} entries of at most {MOST_FEEDBACK}, and at most \
         {FEEDBACK_BYTES} bytes; export and clear it with `gptneo runs feedback`"
    )]
    FeedbackFull {
        /// The store.
        path: PathBuf,
        /// Entries that it has.
        count: u64,
    },
    /// One client has given more feedback than is kept of one.
    #[error(
        "this client has given {count} entries of feedback, and no more are kept of one: at most one part in {FEEDBACK_SHARES} of the store is"
    )]
    FeedbackShare {
        /// Entries of the client.
        count: u64,
    },
    /// A drawing could not be made.
    #[error("cannot draw: {0}")]
    Drawing(String),
    /// An address, folder or key of a sink that cannot be right.
    #[error("{sink}: {why}")]
    BadSink {
        /// The kind of sink.
        sink: &'static str,
        /// What is wrong.
        why: String,
    },
}

fn near(known: &[String]) -> String {
    if known.is_empty() { String::new() } else { format!("; there is {}", listed(known)) }
}

fn listed(known: &[String]) -> String {
    if known.is_empty() { "none".to_owned() } else { known.join(", ") }
}

impl RunsError {
    /// Puts SQLite's error into our words.
    pub(crate) fn sqlite(path: &Path, error: rusqlite::Error) -> RunsError {
        let path = path.to_owned();
        let why = error.to_string();
        match error.sqlite_error_code() {
            Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => RunsError::Busy { path },
            Some(ErrorCode::DiskFull) => RunsError::Full { path },
            Some(ErrorCode::NotADatabase | ErrorCode::DatabaseCorrupt) => RunsError::Damaged { path, why },
            Some(_) => RunsError::Io { path, why },
            // The library, not SQLite: a column that is missing or of another type.
            None => RunsError::Damaged { path, why },
        }
    }

    /// Whether waiting may help.
    pub(crate) fn is_transient(&self) -> bool {
        matches!(self, RunsError::Busy { .. } | RunsError::Full { .. } | RunsError::Io { .. })
    }
}
