//! What a download says while it runs. Drawing it (rate, time left) is the caller's business.

use std::time::Duration;

/// One thing that happened. Bytes are absolute, so a lost event does no harm; they go down when a part is thrown away.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Event<'a> {
    /// What a pull is going to fetch, after asking the hub. Sent before each round (small files
    /// first, then weights), with the sums so far.
    Planned {
        /// Files to fetch, without those that are in the cache.
        files: usize,
        /// Bytes of all of them, parts present included.
        bytes: u64,
        /// Bytes of them that an earlier attempt left here.
        present: u64,
    },
    /// Bytes arrived.
    Bytes {
        /// The file.
        file: &'a str,
        /// Of this file, on disk.
        done: u64,
        /// Its length, where announced.
        total: Option<u64>,
        /// Of all files planned, on disk.
        all_done: u64,
        /// Of all files planned.
        all_total: u64,
        /// Bytes that came over the network so far, for the rate: it never goes down and leaves out what was here before.
        fetched: u64,
    },
    /// A file is complete and checked.
    Finished {
        /// The file.
        file: &'a str,
        /// Its length in bytes.
        bytes: u64,
    },
    /// An attempt failed; the next one follows after `delay`.
    Retrying {
        /// The file, or the question asked.
        what: &'a str,
        /// Why.
        reason: &'a str,
        /// How long the wait is.
        delay: Duration,
    },
    /// A part is thrown away, and its file begins again.
    Restarted {
        /// The file.
        file: &'a str,
        /// Why.
        reason: &'a str,
    },
    /// Another process or thread is fetching this file; we wait for it.
    Waiting {
        /// The file.
        file: &'a str,
    },
    /// A file arrived whose hash the server did not announce: only its length could be checked.
    Unverified {
        /// The file.
        file: &'a str,
    },
    /// The hub could not be asked, and what the cache has is used.
    FromCache {
        /// The model.
        id: &'a str,
        /// Why the hub could not be asked.
        reason: &'a str,
    },
}

/// Receives [`Event`]s, from several threads at once. A closure will do, and so will `()`, which ignores them.
pub trait Progress: Sync {
    /// Called for each event; the download waits for it, so be quick.
    fn report(&self, event: &Event<'_>);
}

impl<F: Fn(&Event<'_>) + Sync> Progress for F {
    fn report(&self, event: &Event<'_>) {
        self(event);
    }
}

impl Progress for () {
    fn report(&self, _: &Event<'_>) {}
}
