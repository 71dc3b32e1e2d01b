//! Text between commas or tabs, and lines of text.
//!
//! Fields are read as Python's `csv` does by default: a field that begins with a quotation mark ends with one, two within
//! it stand for one, and it may hold delimiters and ends of lines. Stricter than Python in two ways: a quoted field that
//! never ends is an error, and so is a row with more or fewer fields than there are columns.

use serde_json::Value;

use crate::data::reading::{Reading, Row};
use gptneo_tables::Budget;
use gptneo_tables::twice;
use gptneo_tables::{Said, Where, damaged, shown};

/// Fields of a row, far above those of any set.
const MOST: usize = 100_000;
const BYTE_ORDER_MARK: char = '\u{feff}';

/// The rows of a table with a header, or with the columns given.
pub(crate) fn table(bytes: &[u8], delimiter: u8, how: &Reading, budget: &mut Budget<'_>) -> Said<Vec<Row>> {
    let text = utf8(bytes)?;
    let mut records = Records { text, delimiter, quoted: !how.unquoted, at: 0, line: 1 };
    let columns = match &how.columns {
        Some(names) => names.clone(),
        None => match records.next_record()? {
            Some((_, names)) => names,
            None => return Ok(Vec::new()),
        },
    };
    if let Some(name) = twice(columns.iter().map(String::as_str)) {
        return Err(damaged(format!("two columns are called {:?}", shown(name))));
    }
    if let Some(none) = how.integers.iter().find(|name| !columns.contains(name)) {
        let names: Vec<&str> = columns.iter().map(|name| shown(name)).collect();
        return Err(damaged(format!("`integers` names a column {none:?}; there are {}", names.join(", "))));
    }
    let mut rows = Vec::new();
    while let Some((line, fields)) = records.next_record()? {
        let at = Where::Line(line);
        if fields.len() != columns.len() {
            let detail = format!("{} fields, but there are {} columns", fields.len(), columns.len());
            return Err(damaged(detail).at(at));
        }
        budget.row().map_err(|flaw| flaw.at(at))?;
        let mut row = Row::new();
        for (name, field) in columns.iter().zip(fields) {
            let value = budget.text(name.len()).and_then(|()| value(name, field, how, budget));
            row.insert(name.clone(), value.map_err(|flaw| flaw.at(at))?);
        }
        rows.push(row);
    }
    Ok(rows)
}

/// A row for each line. What stands after the last end of a line is one only if there is something.
pub(crate) fn lines(bytes: &[u8], how: &Reading, budget: &mut Budget<'_>) -> Said<Vec<Row>> {
    let text = utf8(bytes)?;
    let name = how.columns.as_ref().and_then(|names| names.first()).map_or("text", String::as_str);
    if let Some(other) = how.integers.iter().find(|other| *other != name) {
        return Err(damaged(format!("`integers` names a column {other:?}; there is only {name:?}")));
    }
    let mut rows = Vec::new();
    for (number, line) in text.lines().enumerate() {
        let value = budget.row().and_then(|()| value(name, line.to_owned(), how, budget));
        let value = value.map_err(|flaw| flaw.at(Where::Line(number + 1)))?;
        rows.push(Row::from_iter([(name.to_owned(), value)]));
    }
    Ok(rows)
}

fn value(name: &str, field: String, how: &Reading, budget: &mut Budget<'_>) -> Said<Value> {
    budget.values(1)?;
    if how.integers.iter().any(|integer| integer == name) {
        let number: i64 = field
            .trim()
            .parse()
            .map_err(|_| damaged(format!("{:?} is no whole number", shown(&field))).of_column(name))?;
        return Ok(number.into());
    }
    budget.text(field.len())?;
    Ok(Value::String(field))
}

fn utf8(bytes: &[u8]) -> Said<&str> {
    match std::str::from_utf8(bytes) {
        Ok(text) => Ok(text.strip_prefix(BYTE_ORDER_MARK).unwrap_or(text)),
        Err(error) => {
            let line = bytes[..error.valid_up_to()].iter().filter(|&&byte| byte == b'\n').count() + 1;
            Err(damaged("its text is not UTF-8: convert it").at(Where::Line(line)))
        }
    }
}

/// Cuts a text into records and these into fields.
struct Records<'a> {
    text: &'a str,
    delimiter: u8,
    quoted: bool,
    at: usize,
    line: usize,
}

impl Records<'_> {
    /// The next record that is not an empty line, with the line that it begins on.
    fn next_record(&mut self) -> Said<Option<(usize, Vec<String>)>> {
        while self.at < self.text.len() {
            let began = self.line;
            if self.end_of_line() {
                continue;
            }
            let mut fields = vec![self.field()?];
            while self.peek() == Some(self.delimiter) {
                self.at += 1;
                fields.push(self.field()?);
                if fields.len() > MOST {
                    return Err(damaged(format!("more than {MOST} fields")).at(Where::Line(began)));
                }
            }
            self.end_of_line();
            return Ok(Some((began, fields)));
        }
        Ok(None)
    }

    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    /// Passes over one end of a line, if one is here.
    fn end_of_line(&mut self) -> bool {
        let length = match self.text.as_bytes()[self.at..] {
            [b'\r', b'\n', ..] => 2,
            [b'\r' | b'\n', ..] => 1,
            _ => return false,
        };
        self.at += length;
        self.line += 1;
        true
    }

    /// One field; what follows is a delimiter, an end of a line, or nothing.
    fn field(&mut self) -> Said<String> {
        let mut field = String::new();
        if self.quoted && self.peek() == Some(b'"') {
            self.at += 1;
            self.quoted_part(&mut field)?;
        }
        // After a closing mark too: Python takes what follows it as it stands.
        let rest = &self.text[self.at..];
        let ends = |byte: u8| byte == self.delimiter || byte == b'\n' || byte == b'\r';
        let length = rest.bytes().position(ends).unwrap_or(rest.len());
        field.push_str(&rest[..length]);
        self.at += length;
        Ok(field)
    }

    fn quoted_part(&mut self, field: &mut String) -> Said<()> {
        let began = self.line;
        loop {
            let rest = &self.text[self.at..];
            let Some(length) = rest.find('"') else {
                return Err(damaged("the quotation mark that opens a field is never closed").at(Where::Line(began)));
            };
            let part = &rest[..length];
            field.push_str(part);
            self.line += part.bytes().filter(|&byte| byte == b'\n').count();
            self.at += length + 1;
            if self.peek() != Some(b'"') {
                return Ok(());
            }
            field.push('"');
            self.at += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use gptneo_tables::Limits;

    use crate::data::DataError;

    fn records(text: &str, delimiter: u8, quoted: bool) -> Vec<Vec<String>> {
        let mut records = Records { text, delimiter, quoted, at: 0, line: 1 };
        std::iter::from_fn(|| records.next_record().unwrap()).map(|(_, fields)| fields).collect()
    }

    #[test]
    fn reads_fields_as_python_does() {
        for (text, wanted) in [
            ("a,b\r\n1,2\n", vec![vec!["a", "b"], vec!["1", "2"]]),
            ("\"a,\nb\",\"c \"\"d\"\"\"\n", vec![vec!["a,\nb", "c \"d\""]]),
            ("\"a\"b,c\"d\"\n", vec![vec!["ab", "c\"d\""]]),
            ("\n\n,\n\na", vec![vec!["", ""], vec!["a"]]),
            ("\"\"\n", vec![vec![""]]),
            ("a\rb", vec![vec!["a"], vec!["b"]]),
        ] {
            assert_eq!(records(text, b',', true), wanted, "{text:?}");
        }
        assert_eq!(records("\"a\t\"b\n", b'\t', false), vec![vec!["\"a", "\"b"]]);
    }

    #[test]
    fn names_the_line_of_a_fault() {
        let limits = Limits::default();
        let fault = |text: &[u8]| {
            let flaw = table(text, b',', &Reading::default(), &mut Budget::new(&limits)).unwrap_err();
            DataError::of_file("x.csv".as_ref(), flaw).to_string()
        };
        for (text, wanted) in [
            (&b"a,b\n\"1\n\",2\n3\n"[..], "line 4: 1 fields, but there are 2 columns"),
            (b"a,b\n1,\"2\n", "line 2: the quotation mark"),
            (b"a,a\n", "two columns are called \"a\""),
            (b"a\nb\n\xff\n", "line 3: its text is not UTF-8"),
        ] {
            assert!(fault(text).contains(wanted), "{}", fault(text));
        }
    }
}
