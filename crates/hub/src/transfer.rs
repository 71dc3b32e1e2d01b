//! One file from a URL into a part on disk: continued, counted, hashed, checked.
//!
//! The hash runs along with the bytes and survives reconnections, so each byte is hashed once; only what an earlier run
//! left is read back.

use std::fs::{self, File};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};

use ureq::http::header;

use crate::client::{Answer, Client, Request};
use crate::digest::{Expected, Hasher};
use crate::error::{HubError, Unreachable};
use crate::location::Location;
use crate::progress::Event;
use crate::status::{Subject, refusal};

const CHUNK: usize = 1 << 18;

/// What to fetch, and into which part.
pub(crate) struct Transfer<'a> {
    /// The file, in messages and events.
    pub(crate) name: &'a str,
    pub(crate) location: Location,
    pub(crate) subject: Subject<'a>,
    pub(crate) part: &'a Path,
    pub(crate) size: Option<u64>,
    pub(crate) expected: Option<&'a Expected>,
    /// More than this is refused.
    pub(crate) limit: Option<u64>,
    pub(crate) meter: &'a Meter,
}

/// Bytes of all files together.
#[derive(Debug, Default)]
pub(crate) struct Meter {
    pub(crate) done: AtomicU64,
    pub(crate) total: AtomicU64,
    /// Of `done`, what came over the network now.
    pub(crate) fetched: AtomicU64,
}

/// How far a transfer is, over several attempts.
struct Run<'t, 'a> {
    client: &'t Client<'t>,
    transfer: &'t Transfer<'a>,
    file: File,
    /// Announced or learnt.
    size: Option<u64>,
    /// Bytes in the part that are meant to be kept.
    done: u64,
    /// Of this file, as counted in the meter.
    counted: u64,
    /// The hash of the first `u64` bytes.
    hash: Option<(Hasher, u64)>,
    /// The tag of what is in the part, when this run wrote it.
    tag: Option<String>,
}

/// Why an attempt did not end with the file.
enum Setback {
    /// The part is useless; a new beginning may help, once.
    Damaged {
        reason: String,
        error: HubError,
    },
    Failed(HubError),
}

impl From<HubError> for Setback {
    fn from(error: HubError) -> Self {
        Setback::Failed(error)
    }
}

/// Leaves the whole file, checked and on disk, in `transfer.part`; returns its length. On an error, what is worth
/// continuing stays there.
pub(crate) fn fetch(client: &Client<'_>, transfer: &Transfer<'_>) -> Result<u64, HubError> {
    let part = transfer.part;
    let open = File::options().read(true).write(true).create(true).truncate(false).open(part);
    let file = open.map_err(|e| HubError::io(part, "open", e))?;
    let done = file.metadata().map_err(|e| HubError::io(part, "read", e))?.len();
    let mut run = Run { client, transfer, file, size: transfer.size, done, counted: 0, hash: None, tag: None };
    run.count();
    let mut failures = 0;
    let mut restarted = false;
    loop {
        let before = run.done;
        match run.attempt() {
            Ok(()) => return run.finish(),
            Err(Setback::Damaged { reason, error }) => {
                run.restart(&reason)?;
                if restarted {
                    drop(run);
                    fs::remove_file(part).map_err(|e| HubError::io(part, "remove", e))?;
                    return Err(error);
                }
                restarted = true;
            }
            Err(Setback::Failed(error)) if error.is_transient() => {
                failures = if run.done > before { 1 } else { failures + 1 };
                client.pause(transfer.name, error, failures)?;
            }
            Err(Setback::Failed(error)) => return Err(error),
        }
    }
}

impl Run<'_, '_> {
    fn attempt(&mut self) -> Result<(), Setback> {
        if self.size.is_some_and(|size| self.done > size) {
            self.restart("the part is longer than the file")?;
        }
        if self.size != Some(self.done) || self.done == 0 {
            self.receive()?;
        }
        self.verify()
    }

    fn receive(&mut self) -> Result<(), Setback> {
        let from = self.done;
        // With a hash to hold the whole against, two nodes of one network may tag it differently.
        let if_range = self.tag.clone().filter(|_| self.transfer.expected.is_none());
        let request = Request { location: self.transfer.location.clone(), describe: false, from, if_range };
        let answer = self.client.send(&request)?;
        let length = answer.header(header::CONTENT_LENGTH.as_str()).and_then(|v| v.parse::<u64>().ok());
        let whole = match answer.status {
            200 => {
                if from > 0 {
                    self.restart("the server cannot continue files")?;
                }
                length
            }
            206 => match answer.header("content-range").and_then(parse_content_range) {
                Some((start, total)) if start == from => total.or_else(|| length?.checked_add(from)),
                _ => return Err(self.not_that_range(&answer)),
            },
            416 if from > 0 => return Err(self.not_that_range(&answer)),
            _ => return Err(refusal(answer, self.transfer.subject, &self.client.settings.endpoint).into()),
        };
        let wrong = |wanted, found| HubError::WrongLength { what: self.transfer.name.to_owned(), wanted, found };
        if let (Some(wanted), Some(found)) = (self.size, whole)
            && wanted != found
        {
            return Err(wrong(wanted, found).into());
        }
        if let (Some(limit), Some(found)) = (self.transfer.limit, whole)
            && found > limit
        {
            return Err(wrong(limit, found).into());
        }
        self.size = self.size.or(whole);
        if let (Some(size), Some(folder)) = (self.size, self.transfer.part.parent()) {
            room_for(folder, size.saturating_sub(self.done))?;
        }
        // Only a strong tag promises the same bytes.
        self.tag = answer.header(header::ETAG.as_str()).filter(|t| !t.starts_with("W/")).map(str::to_owned);
        self.store(answer)
    }

    /// Appends the body to the part.
    fn store(&mut self, answer: Answer) -> Result<(), Setback> {
        let part = self.transfer.part;
        let most = self.size.or(self.transfer.limit);
        self.prepare_hash()?;
        self.file.seek(SeekFrom::Start(self.done)).map_err(|e| HubError::io(part, "write", e))?;
        let at = answer.location;
        let mut body = answer.body.into_with_config().limit(u64::MAX).reader();
        let mut buffer = vec![0; CHUNK];
        loop {
            self.client.go_on()?;
            let read = match body.read(&mut buffer) {
                Ok(0) => break,
                Ok(read) => read,
                Err(error) => return Err(self.cut_or(self.client.read_failure(&at, error)).into()),
            };
            let found = self.done + read as u64;
            if let Some(wanted) = most.filter(|most| found > *most) {
                let error = HubError::WrongLength { what: self.transfer.name.to_owned(), wanted, found };
                return Err(Setback::Damaged { reason: "more bytes came than were announced".to_owned(), error });
            }
            self.file.write_all(&buffer[..read]).map_err(|e| HubError::io(part, "write", e))?;
            if let Some((hasher, hashed)) = &mut self.hash {
                hasher.update(&buffer[..read]);
                *hashed = found;
            }
            self.done = found;
            self.transfer.meter.fetched.fetch_add(read as u64, Ordering::Relaxed);
            self.count();
        }
        match self.size {
            Some(wanted) if self.done < wanted => Err(self.cut(wanted).into()),
            _ => Ok(()),
        }
    }

    /// Makes the running hash stand at `done`. A git hash needs the length first; without it, the hash waits for the end.
    fn prepare_hash(&mut self) -> Result<(), HubError> {
        let Some(expected) = self.transfer.expected else { return Ok(()) };
        if self.hash.as_ref().is_some_and(|(_, hashed)| *hashed == self.done) {
            return Ok(());
        }
        let length = match (expected, self.size) {
            (Expected::GitBlob(_), None) => {
                self.hash = None;
                return Ok(());
            }
            (_, size) => size.unwrap_or_default(),
        };
        let mut hasher = expected.hasher(length);
        hasher.update_from(&mut self.file, self.done).map_err(|e| HubError::io(self.transfer.part, "read", e))?;
        self.hash = Some((hasher, self.done));
        Ok(())
    }

    fn verify(&mut self) -> Result<(), Setback> {
        let Some(expected) = self.transfer.expected else { return Ok(()) };
        self.size = Some(self.done);
        self.prepare_hash()?;
        let (hasher, _) = self.hash.take().expect("prepare_hash leaves a hash when the size is known");
        let found = hasher.finish();
        if found == *expected {
            return Ok(());
        }
        self.size = self.transfer.size;
        let (what, wanted, found) = (self.transfer.name.to_owned(), expected.to_string(), found.to_string());
        let error = HubError::Checksum { what, wanted, found };
        Err(Setback::Damaged { reason: "its hash is wrong".to_owned(), error })
    }

    /// To disk before it gets its name: after a power cut there is a whole file or none.
    fn finish(self) -> Result<u64, HubError> {
        self.file.sync_all().map_err(|e| HubError::io(self.transfer.part, "write", e))?;
        if self.transfer.expected.is_none() {
            self.client.progress.report(&Event::Unverified { file: self.transfer.name });
        }
        self.client.progress.report(&Event::Finished { file: self.transfer.name, bytes: self.done });
        Ok(self.done)
    }

    fn restart(&mut self, reason: &str) -> Result<(), HubError> {
        self.client.progress.report(&Event::Restarted { file: self.transfer.name, reason });
        self.file.set_len(0).map_err(|e| HubError::io(self.transfer.part, "empty", e))?;
        (self.done, self.hash, self.tag) = (0, None, None);
        self.count();
        Ok(())
    }

    fn not_that_range(&self, answer: &Answer) -> Setback {
        let why = format!("asked to continue at byte {}, it answers with something else", self.done);
        let error = HubError::Protocol { url: answer.location.shown(), why };
        Setback::Damaged { reason: "the server cannot continue at this byte".to_owned(), error }
    }

    fn cut(&self, wanted: u64) -> HubError {
        HubError::Cut { what: self.transfer.name.to_owned(), wanted, found: self.done }
    }

    /// A broken connection in the middle of a file of known length is better told in bytes.
    fn cut_or(&self, error: HubError) -> HubError {
        match (self.size, &error) {
            (Some(size), HubError::Unreachable { why: Unreachable::Broken, .. } | HubError::Protocol { .. }) => {
                self.cut(size)
            }
            _ => error,
        }
    }

    fn count(&mut self) {
        let meter = self.transfer.meter;
        if self.done >= self.counted {
            meter.done.fetch_add(self.done - self.counted, Ordering::Relaxed);
        } else {
            meter.done.fetch_sub(self.counted - self.done, Ordering::Relaxed);
        }
        self.counted = self.done;
        self.client.progress.report(&Event::Bytes {
            file: self.transfer.name,
            done: self.done,
            total: self.size,
            all_done: meter.done.load(Ordering::Relaxed),
            all_total: meter.total.load(Ordering::Relaxed),
            fetched: meter.fetched.load(Ordering::Relaxed),
        });
    }
}

/// Refuses when the file system of `folder` cannot take `needed` more bytes. Where the system does not say, the first failed
/// write will.
pub(crate) fn room_for(folder: &Path, needed: u64) -> Result<(), HubError> {
    match fs4::available_space(folder) {
        Ok(available) if available < needed => {
            Err(HubError::NoSpace { path: folder.to_owned(), needed: Some(needed), available: Some(available) })
        }
        _ => Ok(()),
    }
}

/// `bytes 5-9/10` to (5, Some(10)); `*` for an unknown total.
fn parse_content_range(text: &str) -> Option<(u64, Option<u64>)> {
    let (range, total) = text.strip_prefix("bytes ")?.split_once('/')?;
    let (start, end) = range.split_once('-')?;
    let (start, end) = (start.trim().parse::<u64>().ok()?, end.trim().parse::<u64>().ok()?);
    let total = match total.trim() {
        "*" => None,
        total => Some(total.parse::<u64>().ok()?),
    };
    (start <= end && total.is_none_or(|t| end < t)).then_some((start, total))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_content_ranges() {
        assert_eq!(parse_content_range("bytes 5-9/10"), Some((5, Some(10))));
        assert_eq!(parse_content_range("bytes 5-9/*"), Some((5, None)));
        for bad in [
            "",
            "bytes",
            "bytes */10",
            "bytes 9-5/10",
            "bytes 5-10/10",
            "bytes -1-5/10",
            "items 0-1/2",
            "bytes 0-99999999999999999999/*",
        ] {
            assert_eq!(parse_content_range(bad), None, "{bad}");
        }
    }
}
