//! Sources one after another, as batches of records.

use crate::batch::{Batch, Kind};
use crate::error::Result;
use crate::find::{Format, Source};
use crate::records::Records;
use crate::stream::Digested;
use crate::table::Table;

/// The reader of one source.
enum Open {
    Records(Box<Records>),
    Table(Box<Table>),
}

/// What a [`Reader`] gives.
pub(crate) enum Step {
    /// Some records, in order.
    Batch(Batch),
    /// A source is over; this is what the disk holds of it.
    Over { source: usize, digested: Digested },
}

/// Reads sources in order.
pub(crate) struct Reader<'a> {
    sources: &'a [Source],
    /// Field or column with the text.
    field: &'a str,
    /// Ends a document within a text.
    end_of_text: &'a [u8],
    at: usize,
    /// Records of the first source that were done before.
    past: u64,
    open: Option<Open>,
    /// Bytes of the sources before this one.
    before: u64,
}

impl<'a> Reader<'a> {
    /// Begins at source `at`, after its record `past`.
    pub(crate) fn new(sources: &'a [Source], field: &'a str, end_of_text: &'a [u8], at: usize, past: u64) -> Self {
        let before = sources[..at].iter().map(|source| source.bytes).sum();
        Self { sources, field, end_of_text, at, past, open: None, before }
    }

    /// The next batch, or the end of a source; `None` after the last.
    pub(crate) fn step(&mut self) -> Result<Option<Step>> {
        let Some(source) = self.sources.get(self.at) else { return Ok(None) };
        let open = match &mut self.open {
            Some(open) => open,
            None => self.open.insert(open(source, self.field, self.end_of_text)?),
        };
        let kind = if source.format == Format::Jsonl { Kind::Json } else { Kind::Text };
        let mut batch = Batch::new(self.at, kind);
        let (_more, bytes) = match open {
            Open::Records(records) => (records.fill(&mut batch, self.past)?, records.bytes()),
            Open::Table(table) => (table.fill(&mut batch, self.past)?, table.bytes()),
        };
        batch.progress = self.before + bytes;
        if !batch.records.is_empty() {
            return Ok(Some(Step::Batch(batch)));
        }
        let digested = match self.open.take().expect("opened above") {
            Open::Records(records) => records.finish()?,
            Open::Table(table) => table.finish()?,
        };
        let over = Step::Over { source: self.at, digested };
        self.before += source.bytes;
        self.at += 1;
        self.past = 0;
        Ok(Some(over))
    }
}

fn open(source: &Source, field: &str, end_of_text: &[u8]) -> Result<Open> {
    Ok(match source.format {
        Format::Text => Open::Records(Box::new(Records::open(&source.path, end_of_text)?)),
        Format::Jsonl => Open::Records(Box::new(Records::open(&source.path, b"\n")?)),
        Format::Parquet => Open::Table(Box::new(Table::open(&source.path, field)?)),
    })
}
