//! A column of strings in a parquet file, row after row.

use std::fs::File;
use std::path::{Path, PathBuf};

use gptneo_tables::{Cause, Flaw as TableFlaw, Limits, Strings};

use crate::batch::{Batch, Flaw, LONGEST_RECORD};
use crate::error::{CorpusError, Result, read_failed};
use crate::stream::{Digested, Stream};

/// One column of a file.
pub(crate) struct Table {
    path: PathBuf,
    strings: Strings,
    bytes: u64,
}

impl Table {
    /// Opens a file and finds the column by its name (`a.b` for a field within a group).
    pub(crate) fn open(path: &Path, column: &str) -> Result<Self> {
        let file = File::open(path).map_err(read_failed(path))?;
        let bytes = file.metadata().map_err(read_failed(path))?.len();
        // Of a page; a text that is too long for a record is passed over by its row, not with its file.
        let limits = Limits { decoded_bytes: 1 << 30, text_bytes: usize::MAX, ..Limits::default() };
        let strings = Strings::open(file, column, limits).map_err(|mut flaw| {
            if flaw.cause == Cause::Unsupported {
                flaw.detail += " (--field names the column)";
            }
            broken(path, flaw)
        })?;
        Ok(Self { path: path.to_owned(), strings, bytes })
    }

    /// Fills a batch with the rows after number `past`; `false` once there are no more.
    pub(crate) fn fill(&mut self, batch: &mut Batch, past: u64) -> Result<bool> {
        while !batch.is_full() {
            self.strings.pass(past).map_err(|flaw| broken(&self.path, flaw))?;
            let row = self.strings.row() + 1;
            let more = self.strings.next(|value| {
                if row > past {
                    batch.push(
                        row,
                        match value {
                            Some(value) if value.len() > LONGEST_RECORD => Err(Flaw::TooLong),
                            Some(value) => Ok(value),
                            None => Err(Flaw::NoText),
                        },
                    );
                }
            });
            if !more.map_err(|flaw| broken(&self.path, flaw))? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// About how many bytes of the file were used: by rows.
    pub(crate) fn bytes(&self) -> u64 {
        let (row, rows) = (self.strings.row(), self.strings.rows());
        (u128::from(self.bytes) * u128::from(row.min(rows)) / u128::from(rows.max(1))) as u64
    }

    /// The hash of the file, which is read once more for it: its pages were not read from beginning to end.
    pub(crate) fn finish(self) -> Result<Digested> {
        Stream::open(&self.path)?.finish().map_err(read_failed(&self.path))
    }
}

fn broken(path: &Path, flaw: TableFlaw) -> CorpusError {
    let at = flaw.at.map_or(String::new(), |at| format!(", {at}"));
    let what = if flaw.cause == Cause::Read { "cannot read it" } else { "cannot read it as parquet" };
    CorpusError::Source { path: path.to_owned(), detail: format!("{what}{at}: {}", flaw.detail) }
}
