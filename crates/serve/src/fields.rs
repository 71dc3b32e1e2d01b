//! A JSON object from a stranger, taken apart field by field; what is wrong is named by its path.
//!
//! A field that nobody asked for is an error: a setting that is not heeded must not look as if it were.

use std::ops::RangeInclusive;

use serde_json::{Map, Value};

use crate::problem::Problem;

/// An object whose fields are taken one by one.
#[derive(Debug)]
pub(crate) struct Fields {
    object: Map<String, Value>,
    /// Where it stands: empty, or ends in a dot.
    path: String,
}

impl Fields {
    /// Reads a body.
    ///
    /// # Errors
    /// If it is no JSON, or no object.
    pub(crate) fn parse(body: &[u8]) -> Result<Self, Problem> {
        if body.iter().all(u8::is_ascii_whitespace) {
            return Err(Problem::invalid(
                "the request has no body: send a JSON object, with Content-Type: application/json",
            ));
        }
        let value: Value = serde_json::from_slice(body)
            .map_err(|error| Problem::invalid(format!("the request's body is not valid JSON: {error}")))?;
        Self::of(value, "")
    }

    /// An object without fields, which stands at `path`; that ends in a dot.
    pub(crate) fn empty(path: &str) -> Self {
        Self { object: Map::new(), path: path.to_owned() }
    }

    /// Whether a field is there.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.object.get(name).is_some_and(|value| !value.is_null())
    }

    /// The object `value`, which stands at `path`.
    pub(crate) fn of(value: Value, path: &str) -> Result<Self, Problem> {
        match value {
            Value::Object(object) if path.is_empty() => Ok(Self { object, path: String::new() }),
            Value::Object(object) => Ok(Self { object, path: format!("{path}.") }),
            other if path.is_empty() => {
                Err(Problem::invalid(format!("the request's body is {}, but must be a JSON object", kind(&other))))
            }
            other => Err(wrong(path, &other, "an object")),
        }
    }

    /// The field's path from the body on.
    pub(crate) fn at(&self, name: &str) -> String {
        format!("{}{name}", self.path)
    }

    /// Takes a field; null counts as absent.
    pub(crate) fn take(&mut self, name: &str) -> Option<Value> {
        self.object.remove(name).filter(|value| !value.is_null())
    }

    /// Takes fields that have no meaning here and are sent by clients all the same.
    pub(crate) fn ignore(&mut self, names: &[&str]) {
        names.iter().for_each(|name| drop(self.object.remove(*name)));
    }

    /// A string.
    pub(crate) fn string(&mut self, name: &str) -> Result<Option<String>, Problem> {
        match self.take(name) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(other) => Err(wrong(&self.at(name), &other, "a string")),
        }
    }

    /// A string that must be there.
    pub(crate) fn required(&mut self, name: &str) -> Result<String, Problem> {
        self.string(name)?.ok_or_else(|| self.missing(name))
    }

    /// What to say where a field is missing.
    pub(crate) fn missing(&self, name: &str) -> Problem {
        let at = self.at(name);
        Problem {
            code: Some("missing_field"),
            ..Problem::field(at.clone(), format!("`{at}` is missing, and must be given"))
        }
    }

    /// True or false.
    pub(crate) fn boolean(&mut self, name: &str) -> Result<Option<bool>, Problem> {
        match self.take(name) {
            None => Ok(None),
            Some(Value::Bool(value)) => Ok(Some(value)),
            Some(other) => Err(wrong(&self.at(name), &other, "true or false")),
        }
    }

    /// A number within bounds.
    pub(crate) fn number(&mut self, name: &str, within: RangeInclusive<f64>) -> Result<Option<f64>, Problem> {
        let Some(value) = self.take(name) else { return Ok(None) };
        let at = self.at(name);
        let number = value.as_f64().ok_or_else(|| wrong(&at, &value, "a number"))?;
        match within.contains(&number) {
            true => Ok(Some(number)),
            false => Err(outside(&at, &value, &format!("{} to {}", within.start(), within.end()))),
        }
    }

    /// A whole number within bounds; `40.0` is one.
    pub(crate) fn integer(&mut self, name: &str, within: RangeInclusive<u64>) -> Result<Option<u64>, Problem> {
        let Some(value) = self.take(name) else { return Ok(None) };
        let at = self.at(name);
        let whole = |number: f64| number.fract() == 0.0 && (0.0..9e15).contains(&number);
        let bounds = match *within.end() {
            u64::MAX => format!("{} or more", within.start()),
            end => format!("{} to {end}", within.start()),
        };
        let number = match (value.as_u64(), value.as_f64()) {
            (Some(number), _) => number,
            (None, Some(number)) if whole(number) => number as u64,
            (None, Some(_)) => return Err(outside(&at, &value, &format!("a whole number, {bounds}"))),
            (None, None) => return Err(wrong(&at, &value, "a whole number")),
        };
        match within.contains(&number) {
            true => Ok(Some(number)),
            false => Err(outside(&at, &value, &bounds)),
        }
    }

    /// A whole number of 64 bits with or without a sign, as its bits.
    pub(crate) fn bits(&mut self, name: &str) -> Result<Option<u64>, Problem> {
        let negative = self.object.get(name).and_then(Value::as_i64).filter(|number| *number < 0);
        match negative {
            Some(number) => {
                self.object.remove(name);
                Ok(Some(number.cast_unsigned()))
            }
            None => self.integer(name, 0..=u64::MAX),
        }
    }

    /// An array of at most `most` values.
    pub(crate) fn array(&mut self, name: &str, most: usize) -> Result<Option<Vec<Value>>, Problem> {
        match self.take(name) {
            None => Ok(None),
            Some(Value::Array(values)) if values.len() <= most => Ok(Some(values)),
            Some(Value::Array(values)) => {
                let at = self.at(name);
                Err(Problem::field(
                    at.clone(),
                    format!("`{at}` has {} values, but may have at most {most}", values.len()),
                ))
            }
            Some(other) => Err(wrong(&self.at(name), &other, "an array")),
        }
    }

    /// An object within.
    pub(crate) fn object(&mut self, name: &str) -> Result<Option<Self>, Problem> {
        let at = self.at(name);
        self.take(name).map(|value| Self::of(value, &at)).transpose()
    }

    /// The fields that are left, with their values.
    pub(crate) fn rest(self) -> impl Iterator<Item = (String, Value)> {
        self.object.into_iter()
    }

    /// Nothing may be left.
    ///
    /// # Errors
    /// Names the first field that nobody asked for.
    pub(crate) fn finish(self) -> Result<(), Problem> {
        match self.object.iter().find(|(_, value)| !value.is_null()) {
            None => Ok(()),
            Some((name, _)) => {
                let shown: String = name.chars().take(100).collect();
                let at = format!("{}{shown}", self.path);
                let message = format!(
                    "`{at}` is not a field of this request: take it out, or see /openapi.json for those there are"
                );
                Err(Problem { code: Some("unknown_field"), ..Problem::field(at, message) })
            }
        }
    }
}

/// What a value is, in words.
pub(crate) fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "an array",
        Value::Object(_) => "an object",
    }
}

/// A value of another kind than is wanted.
pub(crate) fn wrong(at: &str, value: &Value, wanted: &str) -> Problem {
    let message = format!("`{at}` is {}, but must be {wanted}", kind(value));
    Problem { code: Some("invalid_type"), ..Problem::field(at, message) }
}

fn outside(at: &str, value: &Value, wanted: &str) -> Problem {
    Problem::field(at, format!("`{at}` is {value}, but must be {wanted}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields(text: &str) -> Fields {
        Fields::parse(text.as_bytes()).unwrap()
    }

    #[test]
    fn what_is_no_object_is_refused_in_words() {
        for (body, words) in [
            ("", "has no body"),
            ("[1]", "is an array, but must be a JSON object"),
            ("{\"a\": NaN}", "not valid JSON"),
            ("{\"a\": 1e400}", "not valid JSON"),
            ("{\"a\": \"\\ud800\"}", "not valid JSON"),
            (&"[".repeat(100_000), "not valid JSON"),
        ] {
            let problem = Fields::parse(body.as_bytes()).unwrap_err();
            assert!(problem.message.contains(words), "{}", problem.message);
        }
    }

    #[test]
    fn a_wrong_field_is_named_by_its_path() {
        let mut outer = fields(r#"{"stream_options": {"include_usage": 1}}"#);
        let mut inner = outer.object("stream_options").unwrap().unwrap();
        let problem = inner.boolean("include_usage").unwrap_err();
        assert_eq!(problem.param.as_deref(), Some("stream_options.include_usage"));
        assert_eq!(problem.message, "`stream_options.include_usage` is a number, but must be true or false");
    }

    #[test]
    fn numbers_keep_their_bounds() {
        let integer = |value: &str| fields(&format!("{{\"n\": {value}}}")).integer("n", 1..=8);
        assert_eq!(integer("8").unwrap(), Some(8));
        assert_eq!(integer("2.0").unwrap(), Some(2));
        assert_eq!(integer("null").unwrap(), None);
        for value in ["0", "9", "-1", "1.5", "1e300", "18446744073709551615", "18446744073709551616", "\"2\"", "true"] {
            assert_eq!(integer(value).unwrap_err().param.as_deref(), Some("n"), "{value}");
        }
        assert!(fields(r#"{"t": 1e308}"#).number("t", 0.0..=2.0).is_err());
    }

    #[test]
    fn what_nobody_asked_for_is_an_error() {
        let mut left = fields(r#"{"user": "me", "nothing": null, "top_q": 1}"#);
        left.ignore(&["user"]);
        assert!(left.finish().unwrap_err().message.starts_with("`top_q` is not a field"));
    }
}
