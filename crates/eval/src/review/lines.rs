//! Lines of a file that may hold anything.

use std::io::{BufRead, Read};

use super::error::{Result, ReviewError};

/// Hands on one line after the other, each no longer than allowed.
pub(crate) struct Lines<'n, R> {
    name: &'n str,
    reader: R,
    longest: usize,
    number: u64,
    bytes: u64,
}

/// A line that is not blank.
pub(crate) struct Line {
    pub(crate) text: String,
    /// Counted from 1, blank ones too.
    pub(crate) number: u64,
    /// Where it begins in the file.
    pub(crate) at: u64,
    /// Whether a newline ends it. Only the last line can lack one.
    pub(crate) ended: bool,
}

impl<'n, R: BufRead> Lines<'n, R> {
    /// `longest` is in bytes.
    pub(crate) fn new(name: &'n str, reader: R, longest: usize) -> Self {
        Self { name, reader, longest, number: 0, bytes: 0 }
    }

    /// The next line that is not blank.
    pub(crate) fn next(&mut self) -> Result<Option<Line>> {
        loop {
            let mut bytes = Vec::new();
            let most = self.longest as u64 + 2;
            let read = (&mut self.reader)
                .take(most)
                .read_until(b'\n', &mut bytes)
                .map_err(|source| ReviewError::Read { name: self.name.to_owned(), source })?;
            if read == 0 {
                return Ok(None);
            }
            let at = self.bytes;
            self.number += 1;
            self.bytes += read as u64;
            let ended = bytes.last() == Some(&b'\n');
            if ended {
                bytes.pop();
            }
            if bytes.len() > self.longest {
                return Err(self.flaw(self.number, format!("it is longer than {} bytes", self.longest)));
            }
            let text = match String::from_utf8(bytes) {
                Ok(text) => text,
                // A file cut within a character.
                Err(error) if !ended && error.utf8_error().error_len().is_none() => {
                    String::from_utf8_lossy(error.as_bytes()).into_owned()
                }
                Err(_) => return Err(self.flaw(self.number, "it is not UTF-8".to_owned())),
            };
            if !text.trim().is_empty() {
                return Ok(Some(Line { text, number: self.number, at, ended }));
            }
        }
    }

    pub(crate) fn bytes(&self) -> u64 {
        self.bytes
    }

    pub(crate) fn flaw(&self, line: u64, detail: String) -> ReviewError {
        ReviewError::Line { name: self.name.to_owned(), line, detail }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(bytes: &[u8], longest: usize) -> Result<Vec<(String, u64, u64, bool)>> {
        let mut lines = Lines::new("x", bytes, longest);
        let mut out = Vec::new();
        while let Some(line) = lines.next()? {
            out.push((line.text, line.number, line.at, line.ended));
        }
        assert_eq!(lines.bytes(), bytes.len() as u64);
        Ok(out)
    }

    #[test]
    fn numbers_lines_and_says_where_they_begin() {
        let found = all(b"ab\n\n  \nc", 4).unwrap();
        assert_eq!(found, [("ab".to_owned(), 1, 0, true), ("c".to_owned(), 4, 7, false)]);
        assert_eq!(all(b"", 4).unwrap(), []);
        assert_eq!(all(b"abcd\nabcd", 4).unwrap().len(), 2);
    }

    #[test]
    fn refuses_what_is_too_long_or_no_text() {
        for (bytes, wanted) in [
            (&b"abc\nabcde\n"[..], "x, line 2: it is longer than 4 bytes"),
            (&[b'x'; 100_000][..], "x, line 1: it is longer than 4 bytes"),
            (b"a\xff\n", "x, line 1: it is not UTF-8"),
            (b"a\xffb", "x, line 1: it is not UTF-8"),
        ] {
            assert_eq!(all(bytes, 4).unwrap_err().to_string(), wanted);
        }
    }
}
