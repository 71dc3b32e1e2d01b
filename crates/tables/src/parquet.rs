//! Parquet as rows.
//!
//! The footer (Thrift, compact protocol) says what the columns are and where their pages lie; a page holds, for a run of one
//! column's values, how deep each is defined and where it repeats, then the values that are there; rows are put together of
//! these, as the Dremel paper describes. Read are the encodings PLAIN, dictionary, RLE and the DELTA ones, and the compressions
//! Snappy, gzip and Zstandard. Source: the format's `parquet.thrift` and `Encodings.md`, version 2.10.

mod assemble;
mod cursor;
mod decode;
mod delta;
mod footer;
mod page;
mod schema;
mod source;
mod strings;
mod thrift;

pub use strings::Strings;

use crate::Row;
use crate::flaw::{Said, Where, damaged, unsupported};
use crate::limits::Budget;
use crate::parquet::assemble::Group;
use crate::parquet::footer::Footer;
use crate::parquet::schema::Columns;

/// Begins and ends a file.
const MAGIC: &[u8] = b"PAR1";

/// All rows of a file.
///
/// # Errors
/// What is wrong with it.
pub fn rows(bytes: &[u8], budget: &mut Budget<'_>) -> Said<Vec<Row>> {
    let footer = Footer::read(footer_of(bytes)?)?;
    let columns = Columns::new(&footer.schema)?;
    let mut rows = Vec::new();
    for group in &footer.groups {
        let mut group = Group::open(bytes, &columns, group)?;
        while let Some(row) = group.next_row(budget).map_err(|flaw| flaw.at(Where::Row(rows.len() + 1)))? {
            budget.row().map_err(|flaw| flaw.at(Where::Row(rows.len() + 1)))?;
            rows.push(row);
        }
    }
    match footer.rows == rows.len() as u64 {
        true => Ok(rows),
        false => Err(damaged(format!("it has {} rows and declares {}", rows.len(), footer.rows))),
    }
}

/// The footer stands before its length, which stands before the last mark.
fn footer_of(bytes: &[u8]) -> Said<&[u8]> {
    if bytes.ends_with(b"PARE") {
        return Err(unsupported("it is encrypted"));
    }
    let Some(rest) = bytes.strip_prefix(MAGIC).and_then(|rest| rest.strip_suffix(MAGIC)) else {
        return Err(damaged("it does not begin and end as Parquet does: it is something else, or cut short"));
    };
    let (rest, length) = rest.split_last_chunk::<4>().ok_or_else(|| damaged("it has no footer"))?;
    let start = rest.len().checked_sub(u32::from_le_bytes(*length) as usize);
    start.map(|start| &rest[start..]).ok_or_else(|| damaged("its footer is longer than the file"))
}
