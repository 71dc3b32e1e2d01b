//! One file as rows.

use std::path::{Path, PathBuf};

use serde::Deserialize;
use sha2::{Digest, Sha256};

use crate::data::contents::{hex, load, lower_name};
use crate::data::error::DataError;
use crate::data::{delimited, json, listed};
use gptneo_tables::{Budget, Compression, Limits, Said, arrow, parquet};

pub use gptneo_tables::Row;

/// How rows lie in a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Format {
    /// A JSON object on each line; empty lines are passed over.
    Jsonl,
    /// A list of objects, or an object of them; lines of JSON under this name are understood too.
    Json,
    /// Fields between commas, as RFC 4180 and Python's `csv` read them.
    Csv,
    /// The same between tabs.
    Tsv,
    /// A row for each line, its one field being `text`.
    Text,
    /// Apache Parquet.
    Parquet,
    /// Apache Arrow, as a stream (what `datasets` saves) or as a file.
    Arrow,
}

impl Format {
    /// By a file's name, past an ending of compression. `.jsonl`, `.ndjson`, `.json`, `.csv`, `.tsv`, `.txt`, `.parquet`,
    /// `.arrow`.
    pub fn of(name: &str) -> Option<Format> {
        let lower = name.to_ascii_lowercase();
        let bare = Compression::of(&lower).map_or(lower.as_str(), |(_, bare)| bare);
        Some(match bare.rsplit_once('.')?.1 {
            "jsonl" | "ndjson" => Format::Jsonl,
            "json" => Format::Json,
            "csv" => Format::Csv,
            "tsv" => Format::Tsv,
            "txt" => Format::Text,
            "parquet" => Format::Parquet,
            "arrow" => Format::Arrow,
            _ => return None,
        })
    }
}

/// What the bytes of a file do not tell. The default leaves everything to the file's name.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Reading {
    /// The format, where the name does not tell it or tells it wrong.
    pub format: Option<Format>,
    /// JSON: the fields that lead to the rows, as in `data.intrasentence`.
    pub at: Option<String>,
    /// JSON, where the rows are an object's fields: what the field with their names is called; `_key` if not said.
    pub key: Option<String>,
    /// Csv and tsv: the names of the columns, in a file without a header. Text: the one name, instead of `text`.
    pub columns: Option<Vec<String>>,
    /// Csv and tsv: quotation marks are letters like any other.
    pub unquoted: bool,
    /// Csv, tsv and text: columns to read as whole numbers.
    pub integers: Vec<String>,
}

/// The rows of a file.
#[derive(Debug, Clone, PartialEq)]
pub struct FileRows {
    /// In the order of the file.
    pub rows: Vec<Row>,
    /// SHA-256 of the file as it lies on the disk, in hexadecimal.
    pub sha256: String,
    /// Its length.
    pub bytes: u64,
}

/// Reads a file whole.
///
/// Numbers stay numbers: integers of 64 bits, floats as f64, those that are not finite as null. Class labels of Parquet and
/// Arrow are the integers stored. Dates and times become text in ISO 8601; a map becomes a list of `{key, value}`. Text that
/// is not UTF-8 is refused. An object in JSON that holds other than objects gives rows with the fields `_key` and `_value`.
///
/// # Errors
/// [`DataError::Read`], [`DataError::Damaged`], [`DataError::Unsupported`], [`DataError::TooLarge`];
/// [`DataError::Definition`] for a format that the name does not tell, or an option that does not go with it.
pub fn read_rows(path: &Path, how: &Reading, limits: &Limits) -> Result<FileRows, DataError> {
    let mut hash = Sha256::new();
    let (rows, bytes) = read_into(path, how, &mut hash, &mut Budget::new(limits))?;
    Ok(FileRows { rows, sha256: hex(hash), bytes })
}

/// Several files, one after another: their rows, the hash of all their bytes, and how many these are.
pub(crate) fn read_all(files: &[PathBuf], how: &Reading, limits: &Limits) -> Result<FileRows, DataError> {
    let (mut hash, mut budget) = (Sha256::new(), Budget::new(limits));
    let (rows, bytes) = gather(files, how, &mut hash, &mut budget)?;
    Ok(FileRows { rows, sha256: hex(hash), bytes })
}

/// Several files as [`read_all`] has them, but only the rows that `list`, a file of JSON, names by their key, and in its order.
pub(crate) fn read_listed(
    files: &[PathBuf],
    list: &Path,
    how: &Reading,
    limits: &Limits,
) -> Result<FileRows, DataError> {
    let (mut hash, mut budget) = (Sha256::new(), Budget::new(limits));
    let (rows, bytes) = gather(files, how, &mut hash, &mut budget)?;
    let of_list = Reading { key: how.key.clone(), ..Reading::default() };
    let (names, length) = read_into(list, &of_list, &mut hash, &mut budget)?;
    let rows = listed::chosen(rows, &names, how.key.as_deref().unwrap_or_default())
        .map_err(|detail| DataError::Damaged { path: list.to_owned(), at: None, detail })?;
    Ok(FileRows { rows, sha256: hex(hash), bytes: bytes + length })
}

fn gather(
    files: &[PathBuf],
    how: &Reading,
    hash: &mut Sha256,
    budget: &mut Budget<'_>,
) -> Result<(Vec<Row>, u64), DataError> {
    let (mut rows, mut bytes) = (Vec::new(), 0);
    for path in files {
        let (more, length) = read_into(path, how, hash, budget)?;
        rows.extend(more);
        bytes += length;
    }
    Ok((rows, bytes))
}

fn read_into(
    path: &Path,
    how: &Reading,
    hash: &mut Sha256,
    budget: &mut Budget<'_>,
) -> Result<(Vec<Row>, u64), DataError> {
    let wrong = |detail: String| DataError::Definition { what: path.display().to_string(), detail };
    let format = how.format.or_else(|| Format::of(&lower_name(path))).ok_or_else(|| {
        wrong(
            "its name does not tell its format: say `format`: jsonl, json, csv, tsv, text, parquet or arrow".to_owned(),
        )
    })?;
    fits(how, format).map_err(wrong)?;
    let (bytes, length) = load(path, hash, budget)?;
    let rows = rows_of(&bytes, how, format, budget).map_err(|flaw| DataError::of_file(path, flaw))?;
    Ok((rows, length))
}

/// Rows of bytes that are not compressed any more.
fn rows_of(bytes: &[u8], how: &Reading, format: Format, budget: &mut Budget<'_>) -> Said<Vec<Row>> {
    match format {
        Format::Jsonl => json::lines(bytes, budget),
        Format::Json => json::document(bytes, how, budget),
        Format::Csv => delimited::table(bytes, b',', how, budget),
        Format::Tsv => delimited::table(bytes, b'\t', how, budget),
        Format::Text => delimited::lines(bytes, how, budget),
        Format::Parquet => parquet::rows(bytes, budget),
        Format::Arrow => arrow::rows(bytes, budget),
    }
}

/// An option that would be ignored is a mistake.
fn fits(how: &Reading, format: Format) -> Result<(), String> {
    let delimited = matches!(format, Format::Csv | Format::Tsv);
    let named = delimited || format == Format::Text;
    for (given, goes, name, with) in [
        (how.at.is_some(), format == Format::Json, "at", "json"),
        (how.key.is_some(), format == Format::Json, "key", "json"),
        (how.columns.is_some(), named, "columns", "csv, tsv or text"),
        (how.unquoted, delimited, "unquoted", "csv or tsv"),
        (!how.integers.is_empty(), named, "integers", "csv, tsv or text"),
    ] {
        if given && !goes {
            return Err(format!("the option `{name}` goes with {with}, and this is {format:?}: leave it out"));
        }
    }
    match &how.columns {
        Some(names) if format == Format::Text && names.len() != 1 => {
            Err(format!("a line of text is one field, but `columns` names {}", names.len()))
        }
        _ => Ok(()),
    }
}
