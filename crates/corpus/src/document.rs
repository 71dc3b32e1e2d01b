//! From the bytes of a record to the text of a document.

use std::borrow::Cow;
use std::fmt;

use serde::de::{Deserialize, DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

use crate::batch::{Flaw, Kind};

/// The text of a record.
pub(crate) fn text<'a>(bytes: &'a [u8], kind: Kind, field: &str) -> Result<Cow<'a, str>, Flaw> {
    let bytes = std::str::from_utf8(bytes).map_err(|_| Flaw::NotUtf8)?;
    let text = match kind {
        Kind::Text => Cow::Borrowed(bytes),
        // An empty line holds nothing, not something broken.
        Kind::Json if bytes.trim().is_empty() => return Err(Flaw::Empty),
        Kind::Json => {
            let mut json = serde_json::Deserializer::from_str(bytes);
            let found = Field(field).deserialize(&mut json).and_then(|found| json.end().map(|()| found));
            found.map_err(|_| Flaw::NotJson)?.ok_or(Flaw::NoText)?
        }
    };
    if text.trim().is_empty() { Err(Flaw::Empty) } else { Ok(text) }
}

/// Reads an object and keeps one field of it, if that is a string.
struct Field<'f>(&'f str);

impl<'de> DeserializeSeed<'de> for Field<'_> {
    type Value = Option<Cow<'de, str>>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Field<'_> {
    type Value = Option<Cow<'de, str>>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut found = None;
        while let Some(Key(key)) = map.next_key()? {
            // Of two fields with one name the last counts, as in Python.
            if key == self.0 {
                found = map.next_value::<Text>()?.0
            } else {
                map.next_value::<IgnoredAny>().map(drop)?
            }
        }
        Ok(found)
    }
}

/// A string that is borrowed unless it has escapes.
struct Key<'de>(Cow<'de, str>);

impl<'de> Deserialize<'de> for Key<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(TextOrNot).map(|text| Key(text.0.unwrap_or_default()))
    }
}

/// Any value, kept if it is a string.
struct Text<'de>(Option<Cow<'de, str>>);

impl<'de> Deserialize<'de> for Text<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(TextOrNot)
    }
}

struct TextOrNot;

impl<'de> Visitor<'de> for TextOrNot {
    type Value = Text<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Text<'de>, E> {
        Ok(Text(Some(Cow::Borrowed(text))))
    }

    fn visit_str<E>(self, text: &str) -> Result<Text<'de>, E> {
        Ok(Text(Some(Cow::Owned(text.to_owned()))))
    }

    fn visit_bool<E>(self, _: bool) -> Result<Text<'de>, E> {
        Ok(Text(None))
    }

    fn visit_i64<E>(self, _: i64) -> Result<Text<'de>, E> {
        Ok(Text(None))
    }

    fn visit_u64<E>(self, _: u64) -> Result<Text<'de>, E> {
        Ok(Text(None))
    }

    fn visit_f64<E>(self, _: f64) -> Result<Text<'de>, E> {
        Ok(Text(None))
    }

    fn visit_unit<E>(self) -> Result<Text<'de>, E> {
        Ok(Text(None))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Text<'de>, A::Error> {
        while list.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Text(None))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Text<'de>, A::Error> {
        while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(Text(None))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_the_text_or_says_why_not() {
        let json = |line: &'static str| text(line.as_bytes(), Kind::Json, "text").map(Cow::into_owned);
        let good = |line, wanted: &str| assert_eq!(json(line), Ok(wanted.to_owned()), "{line}");
        good(r#"{"text": "a b"}"#, "a b");
        good(r#"{"meta": {"text": "no", "n": [1, {"x": null}]}, "text": "é\n\ud83e\udd99"}"#, "é\n🦙");
        good(r#" {"t\u0065xt":"a","other":1e5} "#, "a");
        good(r#"{"text":"a","text":"b"}"#, "b");
        let bad = |line, wanted| assert_eq!(json(line), Err(wanted), "{line}");
        bad("", Flaw::Empty);
        bad("  \r", Flaw::Empty);
        bad(r#"{"text": " \n\t"}"#, Flaw::Empty);
        bad(r#"{"text": ""}"#, Flaw::Empty);
        bad(r#"{"Text": "a"}"#, Flaw::NoText);
        for value in ["null", "1", "-1", "1.5", "true", "[\"a\"]", "{\"text\":\"a\"}"] {
            let line = format!("{{\"text\": {value}}}");
            assert_eq!(text(line.as_bytes(), Kind::Json, "text"), Err(Flaw::NoText), "{line}");
        }
        bad(r#"["text"]"#, Flaw::NotJson);
        bad(r#""text""#, Flaw::NotJson);
        bad(r#"{"text": "a""#, Flaw::NotJson);
        bad(r#"{"text": "a"} {"text": "b"}"#, Flaw::NotJson);
        bad(r#"{"text": "\ud83e"}"#, Flaw::NotJson);
        assert_eq!(text(b"{\"text\": \"\xff\"}", Kind::Json, "text"), Err(Flaw::NotUtf8));
        let deep = format!("{{\"x\":{}", "[".repeat(1 << 20));
        assert_eq!(text(deep.as_bytes(), Kind::Json, "text"), Err(Flaw::NotJson));
        assert_eq!(text(b"{not json}", Kind::Text, ""), Ok(Cow::Borrowed("{not json}")));
        assert_eq!(text(b" \n", Kind::Text, ""), Err(Flaw::Empty));
    }
}
