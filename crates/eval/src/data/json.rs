//! JSON and lines of JSON, counted while they are parsed.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Unexpected, Visitor};
use serde_json::{Map, Value};

use crate::data::reading::{Reading, Row};
use gptneo_tables::Budget;
use gptneo_tables::float;
use gptneo_tables::{Flaw, Said, Where, damaged, shown};

/// The field for a name that was the key of an object of rows.
const KEY: &str = "_key";
/// The field for what is no object itself.
const VALUE: &str = "_value";
/// Names of fields that an error lists.
const LISTED: usize = 12;
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// An object on each line.
pub(crate) fn lines(bytes: &[u8], budget: &mut Budget<'_>) -> Said<Vec<Row>> {
    let bytes = bytes.strip_prefix(BYTE_ORDER_MARK).unwrap_or(bytes);
    let mut rows = Vec::new();
    for (number, line) in bytes.split(|&byte| byte == b'\n').enumerate() {
        if line.iter().all(u8::is_ascii_whitespace) {
            continue;
        }
        let at = Where::Line(number + 1);
        let mut reader = serde_json::Deserializer::from_slice(line);
        let value = one(&mut reader, budget)
            .and_then(|value| reader.end().map_err(|error| not_json(&error, false)).map(|()| value))
            .and_then(|value| budget.row().map(|()| value))
            .map_err(|flaw| flaw.at(at))?;
        match value {
            Value::Object(row) => rows.push(row),
            other => return Err(damaged(format!("this is {}, not an object", kind(&other))).at(at)),
        }
    }
    Ok(rows)
}

/// A file of JSON: one value that holds the rows, or a row on each line.
pub(crate) fn document(bytes: &[u8], how: &Reading, budget: &mut Budget<'_>) -> Said<Vec<Row>> {
    let bytes = bytes.strip_prefix(BYTE_ORDER_MARK).unwrap_or(bytes);
    let at: Vec<&str> = how.at.iter().flat_map(|path| path.split('.')).collect();
    if at.is_empty() && is_lines(bytes) {
        return lines(bytes, budget);
    }
    let mut reader = serde_json::Deserializer::from_slice(bytes);
    let (mut rows, mut reached) = (Vec::new(), None);
    let key = how.key.as_deref().unwrap_or(KEY);
    let seed = Holder { at: &at, key, rows: &mut rows, budget, reached: &mut reached };
    let parsed = seed.deserialize(&mut reader).and_then(|()| reader.end());
    parsed.map_err(|error| reached.take().unwrap_or_else(|| not_json(&error, true)))?;
    Ok(rows)
}

/// Whether an object is followed by something: these are lines, whatever the name says.
fn is_lines(bytes: &[u8]) -> bool {
    let mut values = serde_json::Deserializer::from_slice(bytes).into_iter::<IgnoredAny>();
    let is_object = bytes.iter().find(|byte| !byte.is_ascii_whitespace()) == Some(&b'{');
    is_object && matches!(values.next(), Some(Ok(_))) && values.next().is_some()
}

/// The value that holds the rows, which are taken in the order of the file.
struct Holder<'h, 'b> {
    /// Names of fields that lead to it from here.
    at: &'h [&'h str],
    key: &'h str,
    rows: &'h mut Vec<Row>,
    budget: &'h mut Budget<'b>,
    reached: &'h mut Option<Flaw>,
}

impl<'b> Holder<'_, 'b> {
    fn refuse<T, E: Error>(&mut self, flaw: Flaw) -> Result<T, E> {
        *self.reached = Some(flaw.at(Where::Row(self.rows.len() + 1)));
        Err(E::custom("refused"))
    }

    fn push<E: Error>(&mut self, row: Row) -> Result<(), E> {
        if let Err(flaw) = self.budget.row() {
            return self.refuse(flaw);
        }
        self.rows.push(row);
        Ok(())
    }

    fn item(&mut self) -> Counted<'_, 'b> {
        Counted { budget: &mut *self.budget, depth: 1, reached: &mut *self.reached }
    }
}

impl<'de> DeserializeSeed<'de> for Holder<'_, '_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, reader: D) -> Result<(), D::Error> {
        reader.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Holder<'_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.at.first() {
            Some(name) => write!(f, "an object with the field {name:?} (`at`)"),
            None => f.write_str("a list or an object of rows"),
        }
    }

    fn visit_seq<A: SeqAccess<'de>>(mut self, mut items: A) -> Result<(), A::Error> {
        if !self.at.is_empty() {
            return Err(A::Error::invalid_type(Unexpected::Seq, &self));
        }
        while let Some(item) = items.next_element_seed(self.item())? {
            self.push(row_of(item))?;
        }
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut entries: A) -> Result<(), A::Error> {
        if let Some((wanted, rest)) = self.at.split_first() {
            return self.descend(wanted, rest, entries);
        }
        while let Some(name) = entries.next_key::<String>()? {
            let item = entries.next_value_seed(self.item())?;
            let mut row = Row::from_iter([(self.key.to_owned(), Value::String(name))]);
            for (field, value) in row_of(item) {
                if row.insert(field, value).is_some() {
                    let key = self.key;
                    return self.refuse(damaged(format!("it has a field {key:?} of its own: name another with `key`")));
                }
            }
            self.push(row)?;
        }
        Ok(())
    }
}

impl Holder<'_, '_> {
    /// Goes into the field `wanted`, past all others.
    fn descend<'de, A: MapAccess<'de>>(mut self, wanted: &str, rest: &[&str], mut entries: A) -> Result<(), A::Error> {
        let (mut found, mut others) = (false, Vec::new());
        while let Some(name) = entries.next_key::<String>()? {
            if name == wanted && !found {
                let Holder { key, rows, budget, reached, .. } = &mut self;
                entries.next_value_seed(Holder { at: rest, key, rows, budget, reached })?;
                found = true;
            } else {
                entries.next_value::<IgnoredAny>()?;
                if others.len() < LISTED {
                    others.push(shown(&name).to_owned());
                }
            }
        }
        match found {
            true => Ok(()),
            false => {
                let detail = format!("`at` wants a field {wanted:?}; there are {}", others.join(", "));
                *self.reached = Some(damaged(detail));
                Err(A::Error::custom("refused"))
            }
        }
    }
}

fn row_of(value: Value) -> Row {
    match value {
        Value::Object(fields) => fields,
        other => Row::from_iter([(VALUE.to_owned(), other)]),
    }
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "a null",
        Value::Bool(_) => "a truth value",
        Value::Number(_) => "a number",
        Value::String(_) => "a text",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}

fn one(reader: &mut serde_json::Deserializer<serde_json::de::SliceRead<'_>>, budget: &mut Budget<'_>) -> Said<Value> {
    let mut reached = None;
    let parsed = Counted { budget, depth: 0, reached: &mut reached }.deserialize(&mut *reader);
    // The line that the parser knows is that within the line.
    parsed.map_err(|error| reached.take().unwrap_or_else(|| not_json(&error, false)))
}

fn not_json(error: &serde_json::Error, with_line: bool) -> Flaw {
    let said = error.to_string();
    let said = said.rsplit_once(" at line ").map_or(said.as_str(), |(said, _)| said);
    let what = if error.is_data() { "other JSON than wanted" } else { "no JSON" };
    let flaw = damaged(format!("{what}: {said} (column {})", error.column()));
    if with_line { flaw.at(Where::Line(error.line())) } else { flaw }
}

/// A value that is counted as it grows.
struct Counted<'c, 'b> {
    budget: &'c mut Budget<'b>,
    depth: usize,
    /// The limit that was reached: the parser's errors carry only words.
    reached: &'c mut Option<Flaw>,
}

impl<'b> Counted<'_, 'b> {
    fn check<E: Error>(&mut self, allowed: Said<()>) -> Result<(), E> {
        allowed.map_err(|flaw| {
            *self.reached = Some(flaw);
            E::custom("a limit is reached")
        })
    }

    fn count<E: Error>(&mut self) -> Result<(), E> {
        let allowed = self.budget.values(1);
        self.check(allowed)
    }

    fn count_text<E: Error>(&mut self, text: &str) -> Result<(), E> {
        let allowed = self.budget.values(1).and_then(|()| self.budget.text(text.len()));
        self.check(allowed)
    }

    fn inside(&mut self) -> Counted<'_, 'b> {
        Counted { budget: self.budget, depth: self.depth + 1, reached: self.reached }
    }

    fn enter<E: Error>(&mut self) -> Result<(), E> {
        let allowed = self.budget.values(1).and_then(|()| self.budget.depth(self.depth + 1));
        self.check(allowed)
    }
}

impl<'de> DeserializeSeed<'de> for Counted<'_, '_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, reader: D) -> Result<Value, D::Error> {
        reader.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Counted<'_, '_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_unit<E: Error>(mut self) -> Result<Value, E> {
        self.count()?;
        Ok(Value::Null)
    }

    fn visit_bool<E: Error>(mut self, value: bool) -> Result<Value, E> {
        self.count()?;
        Ok(Value::Bool(value))
    }

    fn visit_i64<E: Error>(mut self, value: i64) -> Result<Value, E> {
        self.count()?;
        Ok(value.into())
    }

    fn visit_u64<E: Error>(mut self, value: u64) -> Result<Value, E> {
        self.count()?;
        Ok(value.into())
    }

    fn visit_f64<E: Error>(mut self, value: f64) -> Result<Value, E> {
        self.count()?;
        Ok(float::value(value))
    }

    fn visit_str<E: Error>(mut self, value: &str) -> Result<Value, E> {
        self.count_text(value)?;
        Ok(Value::String(value.to_owned()))
    }

    fn visit_string<E: Error>(mut self, value: String) -> Result<Value, E> {
        self.count_text(&value)?;
        Ok(Value::String(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(mut self, mut items: A) -> Result<Value, A::Error> {
        self.enter()?;
        let mut list = Vec::new();
        while let Some(item) = items.next_element_seed(self.inside())? {
            list.push(item);
        }
        Ok(Value::Array(list))
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut entries: A) -> Result<Value, A::Error> {
        self.enter()?;
        let mut fields = Map::new();
        while let Some(name) = entries.next_key::<String>()? {
            self.count_text(&name)?;
            // The last of two fields with one name counts, as in Python.
            fields.insert(name, entries.next_value_seed(self.inside())?);
        }
        Ok(Value::Object(fields))
    }
}
