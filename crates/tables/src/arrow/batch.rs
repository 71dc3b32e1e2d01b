//! A record batch: lengths and buffers, dealt out to the columns in the order of the schema.

use std::borrow::Cow;
use std::rc::Rc;

use crate::arrow::Dictionaries;
use crate::arrow::column::{Column, Data};
use crate::arrow::flat::{Table, Vector};
use crate::arrow::schema::{Field, Kind};
use crate::flaw::{Flaw, Said, damaged, unsupported};
use crate::inflate::{Compression, unpack_exactly};
use crate::limits::Budget;

/// What is left to deal out.
pub(crate) struct Batch<'a> {
    body: &'a [u8],
    rows: usize,
    nodes: Option<Vector<'a>>,
    next_node: usize,
    buffers: Option<Vector<'a>>,
    next_buffer: usize,
    compressed: bool,
}

impl<'a> Batch<'a> {
    pub(crate) fn open(table: Table<'a>, body: &'a [u8]) -> Said<Self> {
        let rows = length(table.i64(0, 0)?)?;
        let compressed = match table.table(3)? {
            None => false,
            Some(compression) => match compression.u8(0, 0)? {
                1 => true,
                0 => return Err(unsupported("its buffers are compressed with LZ4")),
                other => return Err(unsupported(format!("its buffers have the unknown compression {other}"))),
            },
        };
        let (nodes, buffers) = (table.vector(1, 16)?, table.vector(2, 16)?);
        Ok(Batch { body, rows, nodes, next_node: 0, buffers, next_buffer: 0, compressed })
    }

    /// The rows that it declares.
    pub(crate) fn rows(&self) -> usize {
        self.rows
    }

    /// The next column, which is that of `field`.
    pub(crate) fn column(
        &mut self,
        field: &Field,
        dictionaries: &Dictionaries,
        budget: &mut Budget<'_>,
    ) -> Said<Column<'a>> {
        let Some(encoded) = field.dictionary else { return self.values(field, dictionaries, budget) };
        let (len, validity) = self.head(true, budget)?;
        let indices = self.fixed(len, encoded.index.bytes, budget)?;
        let values = dictionaries.get(&encoded.id).cloned();
        let values = match values {
            Some(values) => values,
            // A column of nulls alone needs none.
            None => Rc::new(Vec::new()),
        };
        Ok(Column::new(len, validity, Data::Indexed { indices, width: encoded.index.bytes, values }))
    }

    /// The next column as `field` has it, without its dictionary.
    pub(crate) fn values(
        &mut self,
        field: &Field,
        dictionaries: &Dictionaries,
        budget: &mut Budget<'_>,
    ) -> Said<Column<'a>> {
        let (len, validity) = self.head(!matches!(field.kind, Kind::Null), budget)?;
        let data = match field.kind {
            Kind::Null => Data::Null,
            Kind::Bool => Data::Bool(self.at_least(len.div_ceil(8), budget)?),
            Kind::Integer(integer) => Data::Integer { bytes: self.fixed(len, integer.bytes, budget)?, integer },
            Kind::Float(width) => Data::Float { bytes: self.fixed(len, width, budget)?, width },
            Kind::Days => Data::Days(self.fixed(len, 4, budget)?),
            Kind::DayMillis => Data::Moment { bytes: self.fixed(len, 8, budget)?, per_second: 1_000, day: true },
            Kind::Moment { per_second } => Data::Moment { bytes: self.fixed(len, 8, budget)?, per_second, day: false },
            Kind::Text { large } => {
                let offsets = self.offsets(len, large, budget)?;
                Data::Text { offsets, large, bytes: self.buffer(budget)? }
            }
            Kind::List { large } => {
                let offsets = self.offsets(len, large, budget)?;
                Data::List { offsets, large, items: self.only_child(field, dictionaries, budget)? }
            }
            Kind::FixedList(size) => {
                let items = self.only_child(field, dictionaries, budget)?;
                if len.checked_mul(size).is_none_or(|wanted| wanted > items.len()) {
                    return Err(damaged(format!("{} items are too few for {len} lists of {size}", items.len())));
                }
                Data::FixedList { size, items }
            }
            Kind::Struct => {
                let mut parts = Vec::new();
                for child in &field.children {
                    let part = self.column(child, dictionaries, budget)?;
                    if part.len() < len {
                        return Err(damaged(format!("a part has {} values for {len} objects", part.len())));
                    }
                    parts.push((child.name.clone(), part));
                }
                Data::Struct(parts)
            }
        };
        Ok(Column::new(len, validity, data))
    }

    fn only_child(
        &mut self,
        field: &Field,
        dictionaries: &Dictionaries,
        budget: &mut Budget<'_>,
    ) -> Said<Box<Column<'a>>> {
        let child = field.children.first().ok_or_else(|| damaged("a list has no items"))?;
        self.column(child, dictionaries, budget).map(Box::new)
    }

    /// The length of the next column, and which of its values are there.
    fn head(&mut self, has_validity: bool, budget: &mut Budget<'_>) -> Said<(usize, Option<Cow<'a, [u8]>>)> {
        let few = || damaged("it has fewer lengths than columns");
        let nodes = self.nodes.ok_or_else(few)?;
        let node = self.next_node;
        if node >= nodes.len {
            return Err(few());
        }
        self.next_node += 1;
        let (len, nulls) = (length(nodes.i64(node, 0)?)?, nodes.i64(node, 8)?);
        if !has_validity {
            return Ok((len, None));
        }
        let bits = self.buffer(budget)?;
        match (bits.is_empty(), nulls) {
            (true, 0) => Ok((len, None)),
            (false, _) if bits.len() >= len.div_ceil(8) => Ok((len, Some(bits))),
            _ if len == 0 => Ok((len, None)),
            _ => Err(damaged("it does not say which of its values are there")),
        }
    }

    fn offsets(&mut self, len: usize, large: bool, budget: &mut Budget<'_>) -> Said<Cow<'a, [u8]>> {
        let offsets = self.buffer(budget)?;
        // Nothing may have no offset at all.
        let wanted = if len == 0 { Some(0) } else { len.checked_add(1) };
        self.long_enough(offsets, wanted.and_then(|count| count.checked_mul(if large { 8 } else { 4 })))
    }

    fn fixed(&mut self, len: usize, width: usize, budget: &mut Budget<'_>) -> Said<Cow<'a, [u8]>> {
        let bytes = self.buffer(budget)?;
        self.long_enough(bytes, len.checked_mul(width))
    }

    fn at_least(&mut self, length: usize, budget: &mut Budget<'_>) -> Said<Cow<'a, [u8]>> {
        let bytes = self.buffer(budget)?;
        self.long_enough(bytes, Some(length))
    }

    fn long_enough(&self, bytes: Cow<'a, [u8]>, wanted: Option<usize>) -> Said<Cow<'a, [u8]>> {
        match wanted {
            Some(wanted) if bytes.len() >= wanted => Ok(bytes),
            _ => Err(damaged("a buffer is shorter than its values")),
        }
    }

    fn buffer(&mut self, budget: &mut Budget<'_>) -> Said<Cow<'a, [u8]>> {
        let few = || damaged("it has fewer buffers than columns need");
        let buffers = self.buffers.ok_or_else(few)?;
        let index = self.next_buffer;
        if index >= buffers.len {
            return Err(few());
        }
        self.next_buffer += 1;
        let (from, len) = (length(buffers.i64(index, 0)?)?, length(buffers.i64(index, 8)?)?);
        let bytes = from.checked_add(len).and_then(|end| self.body.get(from..end));
        let bytes = bytes.ok_or_else(|| damaged("a buffer lies outside of its message"))?;
        if !self.compressed || bytes.is_empty() {
            return Ok(Cow::Borrowed(bytes));
        }
        // Before the compressed bytes stands how many they were; -1 says that these are not compressed.
        let (declared, packed) =
            bytes.split_first_chunk().ok_or_else(|| damaged("a buffer is shorter than its length"))?;
        match i64::from_le_bytes(*declared) {
            -1 => Ok(Cow::Borrowed(packed)),
            declared => unpack_exactly(packed, Compression::Zstd, length(declared)?, budget).map(Cow::Owned),
        }
    }
}

fn length(number: i64) -> Result<usize, Flaw> {
    usize::try_from(number).map_err(|_| damaged(format!("a length in it is {number}")))
}
