//! Where the bytes of a checkpoint are: in a file, or carried by the program itself.

use std::fs::File;
use std::io::{self, Cursor, Read, Seek, SeekFrom};

use gptneo_device::Bytes;

use crate::map;

#[derive(Debug)]
pub(crate) enum Content {
    File(File),
    Embedded(Bytes),
}

impl Content {
    /// Bytes there are now: a file may have changed since it was opened.
    pub(crate) fn len(&self) -> io::Result<u64> {
        match self {
            Self::File(file) => Ok(file.metadata()?.len()),
            Self::Embedded(bytes) => Ok(bytes.len() as u64),
        }
    }

    /// `len > 0` bytes at `offset`, which the caller has seen to lie within.
    pub(crate) fn bytes(&self, offset: u64, len: usize) -> io::Result<Bytes> {
        match self {
            Self::File(file) => map::map(file, offset, len).map(Bytes::new),
            Self::Embedded(bytes) => {
                let start = offset as usize;
                Ok(bytes.slice(start..start + len))
            }
        }
    }

    pub(crate) fn reader(&self) -> Reader<'_> {
        match self {
            Self::File(file) => Reader::File(file),
            Self::Embedded(bytes) => Reader::Embedded(Cursor::new(bytes)),
        }
    }
}

/// Reads a content from its start.
pub(crate) enum Reader<'a> {
    File(&'a File),
    Embedded(Cursor<&'a [u8]>),
}

impl Read for Reader<'_> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::File(file) => file.read(out),
            Self::Embedded(bytes) => bytes.read(out),
        }
    }
}

impl Seek for Reader<'_> {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        match self {
            Self::File(file) => file.seek(to),
            Self::Embedded(bytes) => bytes.seek(to),
        }
    }
}
