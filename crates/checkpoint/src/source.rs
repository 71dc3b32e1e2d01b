//! Reading from untrusted files: every length is compared with the length of the file before memory is reserved.

use std::io::{self, Read, Seek, SeekFrom};

use crate::error::Fault;

/// A file, or bytes in memory, of known length.
pub(crate) struct Source<R> {
    reader: R,
    len: u64,
}

impl<R: Read + Seek> Source<R> {
    pub(crate) fn new(mut reader: R) -> Result<Self, Fault> {
        let len = reader.seek(SeekFrom::End(0)).map_err(Fault::Read)?;
        Ok(Self { reader, len })
    }

    /// Length of the file in bytes.
    pub(crate) fn len(&self) -> u64 {
        self.len
    }

    /// The `len` bytes at `offset`; `what` names them in the error.
    pub(crate) fn read_at(&mut self, offset: u64, len: u64, what: &str) -> Result<Vec<u8>, Fault> {
        self.seek(offset)?;
        self.take(offset, len, what)
    }

    /// Goes to `offset`.
    pub(crate) fn seek(&mut self, offset: u64) -> Result<(), Fault> {
        self.reader.seek(SeekFrom::Start(offset)).map(drop).map_err(Fault::Read)
    }

    /// The `len` bytes that follow; the reader stands at `offset`.
    pub(crate) fn take(&mut self, offset: u64, len: u64, what: &str) -> Result<Vec<u8>, Fault> {
        let end = self.check(offset, len, what)?;
        let mut bytes = vec![0; usize::try_from(len).map_err(|_| self.truncated(what, end))?];
        self.fill(offset, &mut bytes, what)?;
        Ok(bytes)
    }

    /// Reads what follows into `bytes`; the reader stands at `offset`.
    pub(crate) fn fill(&mut self, offset: u64, bytes: &mut [u8], what: &str) -> Result<(), Fault> {
        let end = self.check(offset, bytes.len() as u64, what)?;
        match self.reader.read_exact(bytes) {
            Ok(()) => Ok(()),
            // The file was shortened after its length was taken.
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Err(self.truncated(what, end)),
            Err(error) => Err(Fault::Read(error)),
        }
    }

    /// The end of `len` bytes at `offset`, if the file has them.
    pub(crate) fn check(&self, offset: u64, len: u64, what: &str) -> Result<u64, Fault> {
        let end = offset.saturating_add(len);
        if end <= self.len { Ok(end) } else { Err(self.truncated(what, end)) }
    }

    fn truncated(&self, what: &str, wanted: u64) -> Fault {
        Fault::Truncated { what: what.to_owned(), wanted, found: self.len }
    }
}
