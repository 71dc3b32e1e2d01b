//! Values as Python writes and reads them.
//!
//! Task definitions were written for Jinja2 and Python: a template prints `True`, not `true`, and a list that it prints is read
//! back as a literal. Hashes that the reference harness stores are over `json.dumps`. These are the parts of Python's
//! conventions that decide bytes.

use std::fmt::Write;

use serde_json::{Map, Value};

/// Nesting of a literal that is still read.
const DEEPEST: usize = 32;

/// `str.isspace` of one character.
pub(crate) fn is_space(c: char) -> bool {
    c.is_whitespace() || ('\u{1c}'..='\u{1f}').contains(&c)
}

/// `str(value)`: a text itself, anything else as [`repr`] writes it.
pub(crate) fn display(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => repr(other),
    }
}

/// `repr(value)` of what JSON can hold.
pub(crate) fn repr(value: &Value) -> String {
    let mut out = String::new();
    write_repr(value, &mut out);
    out
}

fn write_repr(value: &Value, out: &mut String) {
    match value {
        Value::Null => out.push_str("None"),
        Value::Bool(true) => out.push_str("True"),
        Value::Bool(false) => out.push_str("False"),
        Value::Number(number) => match number.as_f64() {
            Some(float) if number.is_f64() => out.push_str(&float_repr(float)),
            _ => out.push_str(&number.to_string()),
        },
        Value::String(text) => write_text(text, out),
        Value::Array(items) => {
            out.push('[');
            for (at, item) in items.iter().enumerate() {
                out.push_str(if at == 0 { "" } else { ", " });
                write_repr(item, out);
            }
            out.push(']');
        }
        Value::Object(fields) => {
            out.push('{');
            for (at, (name, item)) in fields.iter().enumerate() {
                out.push_str(if at == 0 { "" } else { ", " });
                write_text(name, out);
                out.push_str(": ");
                write_repr(item, out);
            }
            out.push('}');
        }
    }
}

fn write_text(text: &str, out: &mut String) {
    let quote = if text.contains('\'') && !text.contains('"') { '"' } else { '\'' };
    out.push(quote);
    for c in text.chars() {
        match c {
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            c if c == quote => {
                out.push('\\');
                out.push(c);
            }
            c if (c as u32) < 0x20 || c == '\u{7f}' => write!(out, "\\x{:02x}", c as u32).expect("into memory"),
            c => out.push(c),
        }
    }
    out.push(quote);
}

/// `repr` of a float: the shortest digits that read back, with an exponent from 1e16 and below 1e-4.
pub(crate) fn float_repr(value: f64) -> String {
    if value.is_nan() {
        return "nan".to_owned();
    }
    if value.is_infinite() {
        return if value > 0.0 { "inf" } else { "-inf" }.to_owned();
    }
    let size = value.abs();
    if size != 0.0 && !(1e-4..1e16).contains(&size) {
        let text = format!("{value:e}");
        let (digits, exponent) = text.split_once('e').unwrap_or((&text, "0"));
        let (sign, exponent) = exponent.strip_prefix('-').map_or(('+', exponent), |rest| ('-', rest));
        return format!("{digits}e{sign}{exponent:0>2}");
    }
    let text = value.to_string();
    if text.contains('.') { text } else { text + ".0" }
}

/// `json.dumps(value, sort_keys=True)`: a space after commas and colons, ASCII alone, keys in order.
pub fn json_dumps(value: &Value) -> String {
    let mut out = String::new();
    write_json(value, &mut out);
    out
}

fn write_json(value: &Value, out: &mut String) {
    match value {
        Value::Null => out.push_str("null"),
        Value::Bool(value) => out.push_str(if *value { "true" } else { "false" }),
        Value::Number(number) => match number.as_f64() {
            Some(float) if number.is_f64() => out.push_str(&float_repr(float)),
            _ => out.push_str(&number.to_string()),
        },
        Value::String(text) => write_json_text(text, out),
        Value::Array(items) => {
            out.push('[');
            for (at, item) in items.iter().enumerate() {
                out.push_str(if at == 0 { "" } else { ", " });
                write_json(item, out);
            }
            out.push(']');
        }
        Value::Object(fields) => {
            let mut names: Vec<&String> = fields.keys().collect();
            names.sort();
            out.push('{');
            for (at, name) in names.into_iter().enumerate() {
                out.push_str(if at == 0 { "" } else { ", " });
                write_json_text(name, out);
                out.push_str(": ");
                write_json(&fields[name], out);
            }
            out.push('}');
        }
    }
}

fn write_json_text(text: &str, out: &mut String) {
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\u{8}' => out.push_str("\\b"),
            '\u{c}' => out.push_str("\\f"),
            ' '..='~' => out.push(c),
            c => {
                for unit in c.encode_utf16(&mut [0; 2]) {
                    write!(out, "\\u{unit:04x}").expect("into memory");
                }
            }
        }
    }
    out.push('"');
}

/// A Python literal (`ast.literal_eval`): texts, numbers, `True`, `False`, `None`, lists, tuples (as lists) and dictionaries with
/// text keys. `None` for anything else, and for nesting deeper than 32.
pub(crate) fn literal(text: &str) -> Option<Value> {
    let mut reader = Reader { rest: text.trim() };
    let value = reader.value(0)?;
    reader.space();
    reader.rest.is_empty().then_some(value)
}

struct Reader<'a> {
    rest: &'a str,
}

impl Reader<'_> {
    fn space(&mut self) {
        self.rest = self.rest.trim_start();
    }

    fn take(&mut self, wanted: char) -> bool {
        self.space();
        match self.rest.strip_prefix(wanted) {
            Some(rest) => {
                self.rest = rest;
                true
            }
            None => false,
        }
    }

    fn value(&mut self, depth: usize) -> Option<Value> {
        if depth > DEEPEST {
            return None;
        }
        self.space();
        match self.rest.chars().next()? {
            '[' => self.items('[', ']', depth),
            '(' => self.items('(', ')', depth),
            '{' => self.fields(depth),
            '\'' | '"' => {
                let mut text = self.text()?;
                // Literals beside each other are one.
                loop {
                    self.space();
                    if !self.rest.starts_with(['\'', '"']) {
                        return Some(Value::String(text));
                    }
                    text += &self.text()?;
                }
            }
            _ => self.word(),
        }
    }

    fn items(&mut self, open: char, close: char, depth: usize) -> Option<Value> {
        self.take(open);
        let mut items = Vec::new();
        while !self.take(close) {
            items.push(self.value(depth + 1)?);
            if !self.take(',') {
                return self.take(close).then_some(Value::Array(items));
            }
        }
        Some(Value::Array(items))
    }

    fn fields(&mut self, depth: usize) -> Option<Value> {
        self.take('{');
        let mut fields = Map::new();
        while !self.take('}') {
            let Value::String(name) = self.value(depth + 1)? else { return None };
            if !self.take(':') {
                return None;
            }
            fields.insert(name, self.value(depth + 1)?);
            if !self.take(',') {
                return self.take('}').then_some(Value::Object(fields));
            }
        }
        Some(Value::Object(fields))
    }

    fn word(&mut self) -> Option<Value> {
        let end = self.rest.find(|c: char| !(c.is_ascii_alphanumeric() || "+-._".contains(c)));
        let (word, rest) = self.rest.split_at(end.unwrap_or(self.rest.len()));
        self.rest = rest;
        match word {
            "None" => Some(Value::Null),
            "True" => Some(Value::Bool(true)),
            "False" => Some(Value::Bool(false)),
            _ if word.starts_with(|c: char| c.is_ascii_digit() || "+-.".contains(c)) => {
                let plain = word.strip_prefix('+').unwrap_or(word);
                match plain.parse::<i64>() {
                    Ok(number) => Some(number.into()),
                    Err(_) => Some(serde_json::Number::from_f64(plain.parse().ok()?)?.into()),
                }
            }
            _ => None,
        }
    }

    fn text(&mut self) -> Option<String> {
        let quote = self.rest.chars().next()?;
        let mut chars = self.rest[1..].char_indices();
        let mut text = String::new();
        while let Some((at, c)) = chars.next() {
            if c == quote {
                self.rest = &self.rest[1 + at + 1..];
                return Some(text);
            }
            if c != '\\' {
                text.push(c);
                continue;
            }
            let (_, escaped) = chars.next()?;
            let mut hex = |digits: usize| {
                let code: String = (0..digits).map_while(|_| chars.next().map(|(_, c)| c)).collect();
                if code.len() == digits { char::from_u32(u32::from_str_radix(&code, 16).ok()?) } else { None }
            };
            match escaped {
                'n' => text.push('\n'),
                'r' => text.push('\r'),
                't' => text.push('\t'),
                '0' => text.push('\0'),
                '\n' => {}
                '\\' | '\'' | '"' => text.push(escaped),
                'x' => text.push(hex(2)?),
                'u' => text.push(hex(4)?),
                'U' => text.push(hex(8)?),
                other => text.extend(['\\', other]),
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn writes_as_python_does() {
        let check = |value: Value, wanted: &str| assert_eq!(repr(&value), wanted);
        check(
            json!(["a", "it's", "\"both'", "tab\t", null, true, 1, 1.0, 0.1]),
            r#"['a', "it's", '"both\'', 'tab\t', None, True, 1, 1.0, 0.1]"#,
        );
        check(json!({"a": {"b": []}}), "{'a': {'b': []}}");
        check(
            json!([1e16, 1.5e-7, 1e-4, -0.0, 123456789012345.0]),
            "[1e+16, 1.5e-07, 0.0001, -0.0, 123456789012345.0]",
        );
        assert_eq!(display(&json!("as it is")), "as it is");
    }

    #[test]
    fn dumps_as_python_does() {
        let value = json!({"b": [1, 2.5, "é\u{1F600}\n\u{7f}"], "a": {}});
        assert_eq!(json_dumps(&value), r#"{"a": {}, "b": [1, 2.5, "\u00e9\ud83d\ude00\n\u007f"]}"#);
    }

    #[test]
    fn reads_what_it_writes() {
        for value in
            [json!(["a", "it's", "\"both'", "\n\t\\", "é"]), json!([]), json!({"a": [1, -2, 0.5, null, false]})]
        {
            assert_eq!(literal(&repr(&value)), Some(value));
        }
        assert_eq!(literal("('a' \"b\",)"), Some(json!(["ab"])));
        assert_eq!(literal(r"'\x41\u00e9\q'"), Some(json!("A\u{e9}\\q")));
    }

    #[test]
    fn refuses_what_is_no_literal() {
        for text in ["", "[", "[1", "['a", "a", "[a]", "__import__('os')", "1 2", "{1: 2}", "'\\u12'", "'\\ud800'"] {
            assert_eq!(literal(text), None, "{text}");
        }
        assert_eq!(literal(&"[".repeat(100_000)), None);
    }
}
