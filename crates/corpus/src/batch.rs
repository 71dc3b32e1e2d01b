//! Records on their way from a source to a worker.

use std::ops::Range;

/// Bytes of records that make a batch, unless one is longer.
pub(crate) const BATCH_BYTES: usize = 512 << 10;

/// The longest record, in bytes. What is longer is counted and passed over.
pub(crate) const LONGEST_RECORD: usize = 256 << 20;

/// How the bytes of a record are to be understood.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// The text itself.
    Text,
    /// A JSON object with the text in a field.
    Json,
}

/// Why a record is no document.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Flaw {
    Empty,
    NotUtf8,
    NotJson,
    NoText,
    TooLong,
    Unencodable,
}

/// One record of a batch.
#[derive(Debug)]
pub(crate) struct Record {
    /// Its number in its source, from 1.
    pub(crate) number: u64,
    /// Its bytes in the batch, or why there are none.
    pub(crate) bytes: Result<Range<usize>, Flaw>,
}

/// Some records in a row, of one source.
#[derive(Debug)]
pub(crate) struct Batch {
    /// Place of the source in the list.
    pub(crate) source: usize,
    pub(crate) kind: Kind,
    pub(crate) bytes: Vec<u8>,
    pub(crate) records: Vec<Record>,
    /// Bytes of all sources that were read from the disk when this batch was complete.
    pub(crate) progress: u64,
}

impl Batch {
    pub(crate) fn new(source: usize, kind: Kind) -> Self {
        Self { source, kind, bytes: Vec::new(), records: Vec::new(), progress: 0 }
    }

    /// Adds a record.
    pub(crate) fn push(&mut self, number: u64, bytes: Result<&[u8], Flaw>) {
        let bytes = bytes.map(|bytes| {
            let start = self.bytes.len();
            self.bytes.extend_from_slice(bytes);
            start..self.bytes.len()
        });
        self.records.push(Record { number, bytes });
    }

    /// Whether it is time to hand it on. A record without bytes counts for a little, so that endless ones end.
    pub(crate) fn is_full(&self) -> bool {
        self.bytes.len() + 64 * self.records.len() >= BATCH_BYTES
    }
}
