//! A column of strings in a parquet file, row after row.

use std::fs::File;
use std::path::{Path, PathBuf};

use parquet::basic::Type;
use parquet::column::reader::{ColumnReader, ColumnReaderImpl};
use parquet::data_type::{ByteArray, ByteArrayType};
use parquet::errors::ParquetError;
use parquet::file::reader::{FileReader, SerializedFileReader};

use crate::batch::{Batch, Flaw, LONGEST_RECORD};
use crate::error::{CorpusError, Result, read_failed, shown};
use crate::stream::{Digested, Stream};

/// Rows that are decoded at once.
const ROWS: usize = 64;

/// Column names that an error lists.
const LISTED: usize = 20;

/// One column of a file.
pub(crate) struct Table {
    path: PathBuf,
    file: SerializedFileReader<File>,
    column: usize,
    /// The definition level of a value that is there; 0 where every row has one.
    level: i16,
    group: usize,
    reader: Option<ColumnReaderImpl<ByteArrayType>>,
    levels: Vec<i16>,
    values: Vec<ByteArray>,
    row: u64,
    rows: u64,
    bytes: u64,
}

impl Table {
    /// Opens a file and finds the column by its name (`a.b` for a field within a group).
    pub(crate) fn open(path: &Path, column: &str) -> Result<Self> {
        let bad = |detail: String| CorpusError::Source { path: path.to_owned(), detail };
        let opened = File::open(path).map_err(read_failed(path))?;
        let bytes = opened.metadata().map_err(read_failed(path))?.len();
        let file = SerializedFileReader::new(opened).map_err(|error| broken(path, &error))?;
        let schema = file.metadata().file_metadata().schema_descr();
        let names: Vec<String> = schema.columns().iter().map(|column| column.path().string()).collect();
        let Some(at) = names.iter().position(|name| name == column) else {
            let more = if names.len() > LISTED { ", …" } else { "" };
            let listed = shown(&names.iter().take(LISTED).map(String::as_str).collect::<Vec<_>>().join(", "));
            return Err(bad(format!("it has no column {column:?}; it has {listed}{more}: name one with --field")));
        };
        let described = schema.column(at);
        if described.physical_type() != Type::BYTE_ARRAY || described.max_rep_level() > 0 {
            return Err(bad(format!("its column {column:?} has no strings, or lists of them")));
        }
        let level = described.max_def_level();
        let rows = u64::try_from(file.metadata().file_metadata().num_rows()).unwrap_or(0);
        Ok(Self {
            path: path.to_owned(),
            file,
            column: at,
            level,
            group: 0,
            reader: None,
            levels: Vec::new(),
            values: Vec::new(),
            row: 0,
            rows,
            bytes,
        })
    }

    /// Fills a batch with the rows after number `past`; `false` once there are no more.
    pub(crate) fn fill(&mut self, batch: &mut Batch, past: u64) -> Result<bool> {
        while !batch.is_full() {
            let Some(reader) = &mut self.reader else {
                if self.group == self.file.num_row_groups() {
                    return Ok(false);
                }
                self.reader = Some(self.next_group(past)?);
                continue;
            };
            self.levels.clear();
            self.values.clear();
            let read = reader.read_records(ROWS, Some(&mut self.levels), None, &mut self.values);
            let (rows, _, _) = read.map_err(|error| broken(&self.path, &error))?;
            if rows == 0 {
                self.reader = None;
                continue;
            }
            let mut values = self.values.iter();
            for row in 0..rows {
                self.row += 1;
                // A lower level is a value that is not there.
                let there = self.level == 0 || self.levels.get(row) == Some(&self.level);
                let value = if there { values.next() } else { None };
                if self.row > past {
                    batch.push(
                        self.row,
                        match value {
                            Some(value) if value.len() > LONGEST_RECORD => Err(Flaw::TooLong),
                            Some(value) => Ok(value.data()),
                            None => Err(Flaw::NoText),
                        },
                    );
                }
            }
        }
        Ok(true)
    }

    /// About how many bytes of the file were used: by rows.
    pub(crate) fn bytes(&self) -> u64 {
        (u128::from(self.bytes) * u128::from(self.row.min(self.rows)) / u128::from(self.rows.max(1))) as u64
    }

    /// The hash of the file, which is read once more for it: its pages were not read from beginning to end.
    pub(crate) fn finish(self) -> Result<Digested> {
        Stream::open(&self.path)?.finish().map_err(read_failed(&self.path))
    }

    /// Opens the next group of rows, passing over groups that were done before.
    fn next_group(&mut self, past: u64) -> Result<ColumnReaderImpl<ByteArrayType>> {
        let failed = |error| broken(&self.path, &error);
        let mut group = self.file.get_row_group(self.group).map_err(failed)?;
        loop {
            self.group += 1;
            let rows = u64::try_from(group.metadata().num_rows()).unwrap_or(0);
            if self.row + rows > past || self.group == self.file.num_row_groups() {
                break;
            }
            self.row += rows;
            group = self.file.get_row_group(self.group).map_err(failed)?;
        }
        match group.get_column_reader(self.column).map_err(failed)? {
            ColumnReader::ByteArrayColumnReader(reader) => Ok(reader),
            _ => Err(CorpusError::Source { path: self.path.clone(), detail: "its column has no strings".to_owned() }),
        }
    }
}

fn broken(path: &Path, error: &ParquetError) -> CorpusError {
    CorpusError::Source {
        path: path.to_owned(),
        detail: format!("cannot read it as parquet: {}", shown(&error.to_string())),
    }
}
