//! The values of a column, one at a time.

use std::borrow::Cow;
use std::rc::Rc;

use serde_json::{Map, Value};

use crate::arrow::schema::Integer;
use crate::flaw::{Said, damaged, unsupported};
use crate::float;
use crate::limits::Budget;
use crate::moment;

/// A column of a batch. The buffers were found long enough for `len` values; offsets and indices are checked when used.
pub(crate) struct Column<'a> {
    len: usize,
    /// A bit for each value, the lowest first; none where all are there.
    validity: Option<Cow<'a, [u8]>>,
    data: Data<'a>,
}

pub(crate) enum Data<'a> {
    Null,
    Bool(Cow<'a, [u8]>),
    Integer { bytes: Cow<'a, [u8]>, integer: Integer },
    Float { bytes: Cow<'a, [u8]>, width: usize },
    Days(Cow<'a, [u8]>),
    Moment { bytes: Cow<'a, [u8]>, per_second: i64, day: bool },
    Text { offsets: Cow<'a, [u8]>, large: bool, bytes: Cow<'a, [u8]> },
    List { offsets: Cow<'a, [u8]>, large: bool, items: Box<Column<'a>> },
    FixedList { size: usize, items: Box<Column<'a>> },
    Struct(Vec<(String, Column<'a>)>),
    Indexed { indices: Cow<'a, [u8]>, width: usize, values: Rc<Vec<Value>> },
}

impl<'a> Column<'a> {
    pub(crate) fn new(len: usize, validity: Option<Cow<'a, [u8]>>, data: Data<'a>) -> Self {
        Column { len, validity, data }
    }

    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// Value `at` of it, `depth` lists and objects deep.
    pub(crate) fn value(&self, at: usize, budget: &mut Budget<'_>, depth: usize) -> Said<Value> {
        budget.values(1)?;
        if at >= self.len {
            return Err(damaged(format!("it has {} values, and value {at} is wanted", self.len)));
        }
        if self.validity.as_deref().is_some_and(|bits| !bit(bits, at)) {
            return Ok(Value::Null);
        }
        Ok(match &self.data {
            Data::Null => Value::Null,
            Data::Bool(bits) => Value::Bool(bit(bits, at)),
            Data::Integer { bytes, integer } => {
                let number = unsigned(bytes, at, integer.bytes);
                if integer.signed { sign_extended(number, integer.bytes).into() } else { number.into() }
            }
            Data::Float { bytes, width } => float_value(unsigned(bytes, at, *width), *width),
            Data::Days(bytes) => Value::String(moment::date(sign_extended(unsigned(bytes, at, 4), 4))?),
            Data::Moment { bytes, per_second, day } => {
                let units = unsigned(bytes, at, 8).cast_signed();
                Value::String(if *day {
                    moment::date(units.div_euclid(86_400 * per_second))?
                } else {
                    moment::timestamp(units, *per_second)?
                })
            }
            Data::Text { offsets, large, bytes } => {
                let (from, to) = range(offsets, at, *large)?;
                let text = bytes.get(from..to).ok_or_else(|| damaged("a text lies outside of its buffer"))?;
                text_value(text, budget)?
            }
            Data::List { offsets, large, items } => {
                let (from, to) = range(offsets, at, *large)?;
                list(items, from, to, budget, depth)?
            }
            Data::FixedList { size, items } => list(items, at * size, (at + 1) * size, budget, depth)?,
            Data::Struct(parts) => {
                budget.depth(depth + 1)?;
                let mut fields = Map::new();
                for (name, part) in parts {
                    budget.text(name.len())?;
                    let value = part.value(at, budget, depth + 1).map_err(|flaw| flaw.of_column(name))?;
                    fields.insert(name.clone(), value);
                }
                Value::Object(fields)
            }
            Data::Indexed { indices, width, values } => {
                let index = unsigned(indices, at, *width);
                let value = usize::try_from(index).ok().and_then(|index| values.get(index));
                let value = value.ok_or_else(|| damaged(format!("its dictionary has no value {index}")))?;
                charge(value, budget)?;
                value.clone()
            }
        })
    }
}

fn list(items: &Column<'_>, from: usize, to: usize, budget: &mut Budget<'_>, depth: usize) -> Said<Value> {
    budget.depth(depth + 1)?;
    if to > items.len {
        return Err(damaged("a list lies outside of its items"));
    }
    (from..to).map(|at| items.value(at, budget, depth + 1)).collect::<Said<Vec<Value>>>().map(Value::Array)
}

/// A text that was counted.
fn text_value(text: &[u8], budget: &mut Budget<'_>) -> Said<Value> {
    budget.text(text.len())?;
    let text = std::str::from_utf8(text).map_err(|_| unsupported("it holds bytes that are not UTF-8 text"))?;
    Ok(Value::String(text.to_owned()))
}

/// Counts a value that is copied. It lies no deeper than a value of a file may.
fn charge(value: &Value, budget: &mut Budget<'_>) -> Said<()> {
    match value {
        Value::String(text) => budget.text(text.len()),
        Value::Array(items) => {
            budget.values(items.len() as u64)?;
            items.iter().try_for_each(|item| charge(item, budget))
        }
        Value::Object(fields) => {
            budget.values(fields.len() as u64)?;
            fields.values().try_for_each(|field| charge(field, budget))
        }
        _ => Ok(()),
    }
}

fn bit(bits: &[u8], at: usize) -> bool {
    bits.get(at / 8).is_some_and(|byte| byte >> (at % 8) & 1 == 1)
}

/// The number at place `at`; `bytes` is long enough.
fn unsigned(bytes: &[u8], at: usize, width: usize) -> u64 {
    let number = bytes.get(at * width..(at + 1) * width).unwrap_or_default();
    number.iter().rev().fold(0, |sum, &byte| sum << 8 | u64::from(byte))
}

fn sign_extended(number: u64, width: usize) -> i64 {
    let unused = 64 - 8 * width;
    (number << unused).cast_signed() >> unused
}

/// From the bits of a float of 2, 4 or 8 bytes.
fn float_value(bits: u64, width: usize) -> Value {
    float::value(match width {
        2 => float::half(bits as u16),
        4 => f64::from(f32::from_bits(bits as u32)),
        _ => f64::from_bits(bits),
    })
}

/// Where a text or a list begins and ends.
fn range(offsets: &[u8], at: usize, large: bool) -> Said<(usize, usize)> {
    let width = if large { 8 } else { 4 };
    let (from, to) = (unsigned(offsets, at, width), unsigned(offsets, at + 1, width));
    match (usize::try_from(from), usize::try_from(to)) {
        (Ok(from), Ok(to)) if from <= to => Ok((from, to)),
        _ => Err(damaged(format!("a text or list goes from {from} to {to}"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn extends_signs() {
        assert_eq!(sign_extended(0xff, 1), -1);
        assert_eq!(sign_extended(0x8000, 2), -32_768);
        assert_eq!(sign_extended(0x7fff_ffff, 4), 2_147_483_647);
        assert_eq!(sign_extended(u64::MAX, 8), -1);
    }
}
