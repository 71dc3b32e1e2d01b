//! Arrow's stream and file formats as rows.
//!
//! A stream is a row of messages, each a length, a description (a FlatBuffer) and a body of buffers; the first is the schema,
//! dictionaries come before the batches that use them, and a mark ends it. A file is `ARROW1`, a stream, and an index of it
//! that reading from the beginning does not need. Source of the layout: the Arrow columnar format, version 1.5, and the
//! FlatBuffers schemas `Message.fbs` and `Schema.fbs`.

mod batch;
mod column;
mod flat;
mod schema;

use std::collections::HashMap;
use std::rc::Rc;

use serde_json::Value;

use crate::Row;
use crate::arrow::batch::Batch;
use crate::arrow::flat::Table;
use crate::arrow::schema::{Field, Schema};
use crate::flaw::{Said, Where, damaged, unsupported};
use crate::limits::Budget;

/// Begins and ends a file, but not a stream.
const MAGIC: &[u8] = b"ARROW1";
/// Stands before a length since format 0.15.
const CONTINUATION: u32 = u32::MAX;

/// Dictionaries by their number.
pub(crate) type Dictionaries = HashMap<i64, Rc<Vec<Value>>>;

/// All rows of a stream or a file.
///
/// # Errors
/// What is wrong with it.
pub fn rows(bytes: &[u8], budget: &mut Budget<'_>) -> Said<Vec<Row>> {
    let mut messages = Messages { bytes, at: 0 };
    if bytes.starts_with(MAGIC) {
        if bytes.len() < 2 * MAGIC.len() || !bytes.ends_with(MAGIC) {
            return Err(damaged("it does not end as an Arrow file does: it is cut short"));
        }
        // Padded to eight bytes.
        messages.at = 8;
    } else if bytes.starts_with(b"FEA1") {
        return Err(unsupported("it is of Feather's first version"));
    }
    let Some((head, _)) = messages.next_message()? else {
        return Err(damaged("it ends before it says what its columns are"));
    };
    let Head::Schema(schema) = head else {
        return Err(damaged("it does not begin with a schema"));
    };
    let mut dictionaries = Dictionaries::new();
    let mut rows = Vec::new();
    while let Some((head, body)) = messages.next_message()? {
        match head {
            Head::Schema(_) => return Err(damaged("it has a second schema")),
            Head::Dictionary { id, is_delta, table } => {
                let field = schema
                    .dictionary(id)
                    .ok_or_else(|| damaged(format!("it has a dictionary {id} that no column uses")))?;
                let more = dictionary(field, table, body, &dictionaries, budget)?;
                let known = dictionaries.entry(id).or_default();
                if is_delta {
                    Rc::make_mut(known).extend(more);
                } else {
                    *known = Rc::new(more);
                }
            }
            Head::Batch(table) => {
                let read = batch_rows(&schema, table, body, &dictionaries, budget, &mut rows);
                read.map_err(|flaw| flaw.at(Where::Row(rows.len() + 1)))?;
            }
        }
    }
    Ok(rows)
}

/// The values of a dictionary, each counted once here and again where it is used.
fn dictionary(
    field: &Field,
    table: Table<'_>,
    body: &[u8],
    dictionaries: &Dictionaries,
    budget: &mut Budget<'_>,
) -> Said<Vec<Value>> {
    let mut batch = Batch::open(table, body)?;
    let column = batch.values(field, dictionaries, budget)?;
    let mut values = Vec::new();
    for at in 0..column.len() {
        values.push(column.value(at, budget, 1)?);
    }
    Ok(values)
}

fn batch_rows(
    schema: &Schema,
    table: Table<'_>,
    body: &[u8],
    dictionaries: &Dictionaries,
    budget: &mut Budget<'_>,
    rows: &mut Vec<Row>,
) -> Said<()> {
    let mut batch = Batch::open(table, body)?;
    let length = batch.rows();
    let mut columns = Vec::new();
    for field in &schema.fields {
        let column = batch.column(field, dictionaries, budget).map_err(|flaw| flaw.of_column(&field.name))?;
        if column.len() < length {
            return Err(damaged(format!("it has {} values for {length} rows", column.len())).of_column(&field.name));
        }
        columns.push((&field.name, column));
    }
    for at in 0..length {
        budget.row()?;
        let mut row = Row::new();
        for (name, column) in &columns {
            budget.text(name.len())?;
            row.insert((*name).clone(), column.value(at, budget, 1).map_err(|flaw| flaw.of_column(name))?);
        }
        rows.push(row);
    }
    Ok(())
}

/// What a message is about.
enum Head<'a> {
    Schema(Schema),
    Dictionary { id: i64, is_delta: bool, table: Table<'a> },
    Batch(Table<'a>),
}

/// The messages of a stream.
struct Messages<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Messages<'a> {
    /// The next message and its body; `None` at the mark that ends the stream.
    fn next_message(&mut self) -> Said<Option<(Head<'a>, &'a [u8])>> {
        let mut length = self.length()?;
        if length == CONTINUATION {
            length = self.length()?;
        }
        if length == 0 {
            return Ok(None);
        }
        let message = Table::root(self.take(u64::from(length))?)?;
        let kind = message.u8(1, 0)?;
        let head = message.table(2)?.ok_or_else(|| damaged("a message of it has no head"))?;
        let body = u64::try_from(message.i64(3, 0)?).map_err(|_| damaged("a message of it has a negative length"))?;
        let body = self.take(body)?;
        let head = match kind {
            1 => Head::Schema(Schema::read(head)?),
            2 => {
                let table = head.table(1)?.ok_or_else(|| damaged("a dictionary of it has no values"))?;
                Head::Dictionary { id: head.i64(0, 0)?, is_delta: head.bool(2)?, table }
            }
            3 => Head::Batch(head),
            other => return Err(unsupported(format!("it has messages of kind {other}, which are no tables"))),
        };
        Ok(Some((head, body)))
    }

    fn length(&mut self) -> Said<u32> {
        let bytes = self.take(4)?;
        Ok(bytes.iter().rev().fold(0, |number, &byte| number << 8 | u32::from(byte)))
    }

    fn take(&mut self, length: u64) -> Said<&'a [u8]> {
        let rest = &self.bytes[self.at..];
        let taken = usize::try_from(length).ok().and_then(|length| rest.get(..length));
        let taken =
            taken.ok_or_else(|| damaged("it ends in the middle of a message, or without the mark of its end"))?;
        self.at += taken.len();
        Ok(taken)
    }
}
