//! Records that end at a mark: lines of JSON, texts between end-of-text tokens.

use std::io::Read;
use std::path::{Path, PathBuf};

use memchr::memmem::Finder;

use crate::batch::{Batch, Flaw, LONGEST_RECORD};
use crate::error::{Result, read_failed};
use crate::stream::{Digested, Stream};

const CHUNK: usize = 256 << 10;

/// Cuts a stream at a mark. The last record needs none after it.
pub(crate) struct Records {
    path: PathBuf,
    stream: Stream,
    mark: Finder<'static>,
    longest: usize,
    /// Read and not yet handed on; no mark before `searched`.
    buffer: Vec<u8>,
    from: usize,
    searched: usize,
    ended: bool,
    /// The record at `from` has lost its beginning: it was longer than allowed.
    overlong: bool,
    number: u64,
}

impl Records {
    /// Opens a file. `mark` must not be empty.
    pub(crate) fn open(path: &Path, mark: &[u8]) -> Result<Self> {
        Self::with_longest(path, mark, LONGEST_RECORD)
    }

    fn with_longest(path: &Path, mark: &[u8], longest: usize) -> Result<Self> {
        Ok(Self {
            path: path.to_owned(),
            stream: Stream::open(path)?,
            mark: Finder::new(mark).into_owned(),
            longest,
            buffer: Vec::new(),
            from: 0,
            searched: 0,
            ended: false,
            overlong: false,
            number: 0,
        })
    }

    /// Fills a batch with the records after number `past`; `false` once there are no more.
    pub(crate) fn fill(&mut self, batch: &mut Batch, past: u64) -> Result<bool> {
        while !batch.is_full() {
            let Some(end) = self.next_mark()? else {
                if self.from < self.buffer.len() || self.overlong {
                    self.hand_on(batch, self.buffer.len(), past);
                    self.from = self.buffer.len();
                }
                return Ok(false);
            };
            self.hand_on(batch, end, past);
            self.from = end + self.mark.needle().len();
            self.searched = self.from;
        }
        Ok(true)
    }

    /// Bytes read from the disk.
    pub(crate) fn bytes(&self) -> u64 {
        self.stream.used()
    }

    pub(crate) fn finish(self) -> Result<Digested> {
        self.stream.finish().map_err(read_failed(&self.path))
    }

    fn hand_on(&mut self, batch: &mut Batch, end: usize, past: u64) {
        self.number += 1;
        let too_long = std::mem::take(&mut self.overlong) || end - self.from > self.longest;
        if self.number > past {
            batch.push(self.number, if too_long { Err(Flaw::TooLong) } else { Ok(&self.buffer[self.from..end]) });
        }
    }

    /// Where the next mark stands in the buffer, reading on as needed; `None` at the end of the stream.
    fn next_mark(&mut self) -> Result<Option<usize>> {
        loop {
            if let Some(at) = self.mark.find(&self.buffer[self.searched..]) {
                return Ok(Some(self.searched + at));
            }
            if self.ended {
                return Ok(None);
            }
            // A mark may be cut in two by the end of the buffer.
            self.searched = self.from.max((self.buffer.len() + 1).saturating_sub(self.mark.needle().len()));
            self.read_on()?;
        }
    }

    fn read_on(&mut self) -> Result<()> {
        if self.searched - self.from > self.longest {
            // Nothing of it will be used, so nothing is kept but what may begin a mark.
            self.overlong = true;
            self.from = self.searched;
        }
        self.buffer.drain(..self.from);
        self.searched -= self.from;
        self.from = 0;
        let filled = self.buffer.len();
        // A long record is read in larger and larger steps.
        self.buffer.resize(filled + CHUNK.max(filled), 0);
        let mut end = filled;
        while end < self.buffer.len() {
            match self.stream.read(&mut self.buffer[end..]) {
                Ok(0) => {
                    self.ended = true;
                    break;
                }
                Ok(read) => end += read,
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                Err(error) => return Err(read_failed(&self.path)(error)),
            }
        }
        self.buffer.truncate(end);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::batch::Kind;

    /// All records of a file with these bytes.
    fn records(bytes: &[u8], mark: &[u8], longest: usize, past: u64) -> Vec<(u64, Result<Vec<u8>, Flaw>)> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x.txt");
        fs::write(&path, bytes).unwrap();
        let mut records = Records::with_longest(&path, mark, longest).unwrap();
        let mut all = Vec::new();
        let mut more = true;
        while more {
            let mut batch = Batch::new(0, Kind::Text);
            more = records.fill(&mut batch, past).unwrap();
            for record in batch.records {
                all.push((record.number, record.bytes.map(|range| batch.bytes[range].to_vec())));
            }
        }
        assert_eq!(records.finish().unwrap().bytes, bytes.len() as u64);
        all
    }

    type Result<T, E> = std::result::Result<T, E>;

    #[test]
    fn cuts_at_marks_wherever_the_buffer_ends() {
        for mark in ["\n", "<|end|>"] {
            for len in [0, 1, 5, CHUNK - 3, CHUNK - 1, CHUNK, CHUNK + 1, 3 * CHUNK + 7] {
                let parts = ["a".repeat(len), String::new(), "<|en".repeat(40), "b".repeat(len), "c".to_owned()];
                let text = parts.join(mark);
                let found = records(text.as_bytes(), mark.as_bytes(), usize::MAX, 0);
                let wanted: Vec<_> =
                    parts.iter().enumerate().map(|(at, part)| (at as u64 + 1, Ok(part.clone().into_bytes()))).collect();
                assert!(found == wanted, "{mark:?} {len}");
                assert_eq!(records(text.as_bytes(), mark.as_bytes(), usize::MAX, 3), wanted[3..]);
            }
        }
    }

    #[test]
    fn a_mark_at_the_end_begins_no_record() {
        assert_eq!(records(b"a\n", b"\n", 10, 0), [(1, Ok(b"a".to_vec()))]);
        assert_eq!(records(b"", b"\n", 10, 0), []);
        assert_eq!(records(b"\n", b"\n", 10, 0), [(1, Ok(vec![]))]);
    }

    #[test]
    fn what_is_too_long_is_told_and_not_held() {
        let text = [&b"short\n"[..], &vec![b'x'; 5 * CHUNK], b"\nlast\n", &vec![b'y'; 2 * CHUNK]].concat();
        let found = records(&text, b"\n", 1000, 0);
        let wanted =
            [(1, Ok(b"short".to_vec())), (2, Err(Flaw::TooLong)), (3, Ok(b"last".to_vec())), (4, Err(Flaw::TooLong))];
        assert_eq!(found, wanted);
    }
}
