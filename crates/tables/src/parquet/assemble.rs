//! Rows, put together of columns.
//!
//! Each column gives, place by place, a value or how far down the tree there is something, and which list it goes on with.
//! The first leaf below a node says whether the node is there and how many items a list has; the others must agree.

use serde_json::{Map, Value};

use crate::Row;
use crate::flaw::{Said, damaged, unsupported};
use crate::float;
use crate::limits::Budget;
use crate::moment;
use crate::parquet::cursor::{Cursor, disagree};
use crate::parquet::decode::Scalar;
use crate::parquet::footer::RowGroup;
use crate::parquet::schema::{Columns, Meaning, Node, Shape, Stored};

/// A group of rows, as it is read.
pub(crate) struct Group<'a> {
    columns: &'a Columns,
    cursors: Vec<Cursor<&'a [u8]>>,
    left: usize,
}

impl<'a> Group<'a> {
    pub(crate) fn open(file: &'a [u8], columns: &'a Columns, group: &RowGroup) -> Said<Self> {
        if group.chunks.len() != columns.leaves.len() {
            let (found, wanted) = (group.chunks.len(), columns.leaves.len());
            return Err(damaged(format!("a group of rows has {found} columns and the table {wanted}")));
        }
        let cursor = |(chunk, &leaf)| Cursor::new(file, chunk, leaf);
        let cursors = group.chunks.iter().zip(&columns.leaves).map(cursor).collect();
        Ok(Group { columns, cursors, left: group.rows })
    }

    /// The next row; `None` after the last, when every column has to be at its end.
    pub(crate) fn next_row(&mut self, budget: &mut Budget<'_>) -> Said<Option<Row>> {
        if self.left == 0 {
            for cursor in &mut self.cursors {
                if cursor.peek(budget)?.is_some() {
                    return Err(damaged("a column has more values than there are rows"));
                }
            }
            return Ok(None);
        }
        self.left -= 1;
        let mut row = Row::new();
        for node in &self.columns.fields {
            budget.text(node.name.len())?;
            let value = self.value(node, budget, 1).map_err(|flaw| flaw.of_column(&node.name))?;
            row.insert(node.name.clone(), value);
        }
        for cursor in &mut self.cursors {
            if cursor.peek(budget)?.is_some_and(|(repeats, _)| repeats > 0) {
                return Err(disagree());
            }
        }
        Ok(Some(row))
    }

    /// The value of a node, `depth` lists and objects deep.
    fn value(&mut self, node: &Node, budget: &mut Budget<'_>, depth: usize) -> Said<Value> {
        budget.values(1)?;
        let defined = self.defined(node, budget)?;
        if node.optional.is_some_and(|there| defined < there) {
            self.pass(node, budget)?;
            return Ok(Value::Null);
        }
        match &node.shape {
            Shape::Leaf => {
                let cursor = self.cursor(node.first)?;
                let leaf = cursor.leaf;
                read(cursor.scalar(budget)?, leaf.meaning, leaf.stored == Stored::Int32, budget)
            }
            Shape::Struct(parts) => {
                budget.depth(depth + 1)?;
                let mut fields = Map::new();
                for part in parts {
                    budget.text(part.name.len())?;
                    let value = self.value(part, budget, depth + 1).map_err(|flaw| flaw.of_column(&part.name))?;
                    if fields.insert(part.name.clone(), value).is_some() {
                        return Err(unsupported("two parts of it have one name"));
                    }
                }
                Ok(Value::Object(fields))
            }
            Shape::List { repeats, defined: there, item } => {
                budget.depth(depth + 1)?;
                let mut items = Vec::new();
                if defined < *there {
                    self.pass(node, budget)?;
                    return Ok(Value::Array(items));
                }
                loop {
                    items.push(self.value(item, budget, depth + 1)?);
                    // Whatever goes on with an inner list was taken with it.
                    let next = self.cursor(node.first)?.peek(budget)?;
                    if next.is_none_or(|(level, _)| level != *repeats) {
                        return Ok(Value::Array(items));
                    }
                }
            }
        }
    }

    /// How deep the next place of a node's first leaf is defined.
    fn defined(&mut self, node: &Node, budget: &mut Budget<'_>) -> Said<u16> {
        let next = self.cursor(node.first)?.peek(budget)?;
        next.map(|(_, defined)| defined).ok_or_else(|| damaged("it has fewer values than there are rows"))
    }

    /// Passes over the one place that all leaves have for what is not there.
    fn pass(&mut self, node: &Node, budget: &mut Budget<'_>) -> Said<()> {
        for leaf in node.first..node.end {
            let cursor = self.cursor(leaf)?;
            match cursor.peek(budget)? {
                Some((_, defined)) if defined < cursor.leaf.defined => cursor.skip(),
                _ => return Err(disagree()),
            }
        }
        Ok(())
    }

    fn cursor(&mut self, leaf: usize) -> Said<&mut Cursor<&'a [u8]>> {
        self.cursors.get_mut(leaf).ok_or_else(disagree)
    }
}

fn read(scalar: Scalar<'_>, meaning: Meaning, is_32_bits: bool, budget: &mut Budget<'_>) -> Said<Value> {
    Ok(match (scalar, meaning) {
        (Scalar::Bool(value), _) => Value::Bool(value),
        (Scalar::Whole(value), Meaning::Unsigned) if is_32_bits => (value as u32).into(),
        (Scalar::Whole(value), Meaning::Unsigned) => value.cast_unsigned().into(),
        (Scalar::Whole(days), Meaning::Days) => Value::String(moment::date(days)?),
        (Scalar::Whole(units), Meaning::Moment { per_second }) => Value::String(moment::timestamp(units, per_second)?),
        (Scalar::Whole(value), _) => value.into(),
        (Scalar::Float(value), _) => float::value(value),
        (Scalar::Bytes(&[low, high]), Meaning::Half) => float::value(float::half(u16::from_le_bytes([low, high]))),
        (Scalar::Bytes(text), _) => {
            budget.text(text.len())?;
            let text = std::str::from_utf8(text).map_err(|_| unsupported("it holds bytes that are not UTF-8 text"))?;
            Value::String(text.to_owned())
        }
    })
}
