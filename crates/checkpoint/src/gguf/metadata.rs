//! The keys and values in front of the tensors, in order.

use std::collections::HashMap;
use std::fmt;

macro_rules! values {
    ($($variant:ident($rust:ty) = $number:literal,)*) => {
        /// A value of the metadata.
        #[derive(Clone, Debug, PartialEq)]
        #[allow(missing_docs, reason = "the variants say their types")]
        pub enum Value { $($variant($rust),)* String(String), Array(Array) }

        /// A list of values of one type.
        #[derive(Clone, Debug, PartialEq)]
        #[allow(missing_docs, reason = "the variants say their types")]
        pub enum Array { $($variant(Vec<$rust>),)* String(Vec<String>), Array(Vec<Array>) }

        impl Value {
            /// The number of its type in the file.
            pub(super) fn type_number(&self) -> u32 {
                match self { $(Value::$variant(_) => $number,)* Value::String(_) => STRING, Value::Array(_) => ARRAY }
            }
        }

        impl Array {
            /// The number of the type of its elements in the file.
            pub(super) fn type_number(&self) -> u32 {
                match self { $(Array::$variant(_) => $number,)* Array::String(_) => STRING, Array::Array(_) => ARRAY }
            }

            /// Number of elements.
            pub fn len(&self) -> usize {
                match self {
                    $(Array::$variant(list) => list.len(),)*
                    Array::String(list) => list.len(),
                    Array::Array(list) => list.len(),
                }
            }

            /// Whether there are none.
            pub fn is_empty(&self) -> bool {
                self.len() == 0
            }
        }

        impl fmt::Display for Value {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                match self {
                    $(Value::$variant(x) => write!(f, "{x} ({})", stringify!($rust)),)*
                    Value::String(x) => write!(f, "`{}`", crate::error::printable(x)),
                    Value::Array(list) => write!(f, "a list of {}", list.len()),
                }
            }
        }

        $(
            impl From<$rust> for Value {
                fn from(x: $rust) -> Self { Value::$variant(x) }
            }
            impl From<Vec<$rust>> for Value {
                fn from(list: Vec<$rust>) -> Self { Value::Array(Array::$variant(list)) }
            }
        )*
    };
}

values! {
    U8(u8) = 0,
    I8(i8) = 1,
    U16(u16) = 2,
    I16(i16) = 3,
    U32(u32) = 4,
    I32(i32) = 5,
    F32(f32) = 6,
    Bool(bool) = 7,
    U64(u64) = 10,
    I64(i64) = 11,
    F64(f64) = 12,
}

pub(super) const STRING: u32 = 8;
pub(super) const ARRAY: u32 = 9;

impl From<String> for Value {
    fn from(text: String) -> Self {
        Value::String(text)
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Value::String(text.to_owned())
    }
}

impl From<Vec<String>> for Value {
    fn from(list: Vec<String>) -> Self {
        Value::Array(Array::String(list))
    }
}

/// The metadata of a GGUF file: values by key, in the order of the file.
///
/// The typed lookups give `None` both where a key is missing and where its value is of another kind; [`Metadata::get`]
/// tells the two apart.
#[derive(Clone, Debug, Default)]
pub struct Metadata {
    entries: Vec<(String, Value)>,
    positions: HashMap<String, usize>,
}

impl Metadata {
    /// No entries.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets `key`, in the place of its old value or at the end.
    pub fn set(&mut self, key: impl Into<String>, value: impl Into<Value>) -> &mut Self {
        let (key, value) = (key.into(), value.into());
        match self.positions.get(&key) {
            Some(&position) => self.entries[position].1 = value,
            None => {
                self.positions.insert(key.clone(), self.entries.len());
                self.entries.push((key, value));
            }
        }
        self
    }

    /// The value of `key`.
    pub fn get(&self, key: &str) -> Option<&Value> {
        self.positions.get(key).map(|&position| &self.entries[position].1)
    }

    /// A string.
    pub fn str(&self, key: &str) -> Option<&str> {
        match self.get(key)? {
            Value::String(text) => Some(text),
            _ => None,
        }
    }

    /// An integer of any width that is not negative.
    pub fn u64(&self, key: &str) -> Option<u64> {
        u64::try_from(self.integer(key)?).ok()
    }

    /// An integer of any width that fits.
    pub fn i64(&self, key: &str) -> Option<i64> {
        i64::try_from(self.integer(key)?).ok()
    }

    fn integer(&self, key: &str) -> Option<i128> {
        Some(match *self.get(key)? {
            Value::U8(x) => x.into(),
            Value::I8(x) => x.into(),
            Value::U16(x) => x.into(),
            Value::I16(x) => x.into(),
            Value::U32(x) => x.into(),
            Value::I32(x) => x.into(),
            Value::U64(x) => x.into(),
            Value::I64(x) => x.into(),
            _ => return None,
        })
    }

    /// A float of either width.
    pub fn f64(&self, key: &str) -> Option<f64> {
        match *self.get(key)? {
            Value::F32(x) => Some(x.into()),
            Value::F64(x) => Some(x),
            _ => None,
        }
    }

    /// A boolean.
    pub fn bool(&self, key: &str) -> Option<bool> {
        match *self.get(key)? {
            Value::Bool(x) => Some(x),
            _ => None,
        }
    }

    /// A list.
    pub fn array(&self, key: &str) -> Option<&Array> {
        match self.get(key)? {
            Value::Array(list) => Some(list),
            _ => None,
        }
    }

    /// A list of strings: the tokens and the merges of a tokenizer.
    pub fn strings(&self, key: &str) -> Option<&[String]> {
        match self.array(key)? {
            Array::String(list) => Some(list),
            _ => None,
        }
    }

    /// A list of integers of any width: token types, attention windows.
    pub fn i64s(&self, key: &str) -> Option<Vec<i64>> {
        fn widen<T: Copy + Into<i64>>(list: &[T]) -> Vec<i64> {
            list.iter().map(|&x| x.into()).collect()
        }
        match self.array(key)? {
            Array::U8(list) => Some(widen(list)),
            Array::I8(list) => Some(widen(list)),
            Array::U16(list) => Some(widen(list)),
            Array::I16(list) => Some(widen(list)),
            Array::U32(list) => Some(widen(list)),
            Array::I32(list) => Some(widen(list)),
            Array::I64(list) => Some(list.clone()),
            Array::U64(list) => list.iter().map(|&x| i64::try_from(x).ok()).collect(),
            _ => None,
        }
    }

    /// Keys and values in order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&str, &Value)> {
        self.entries.iter().map(|(key, value)| (key.as_str(), value))
    }

    /// Number of keys.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there are no keys.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }
}

impl PartialEq for Metadata {
    fn eq(&self, other: &Self) -> bool {
        self.entries == other.entries
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn looks_up_by_type() {
        let mut metadata = Metadata::new();
        metadata.set("a", 3u32).set("b", -3i8).set("c", "text").set("d", 0.5f32).set("e", true).set("f", u64::MAX);
        metadata.set("g", vec!["x".to_owned()]).set("h", vec![1u16, 2]).set("i", vec![u64::MAX]);
        assert_eq!((metadata.u64("a"), metadata.i64("a"), metadata.f64("a")), (Some(3), Some(3), None));
        assert_eq!((metadata.u64("b"), metadata.i64("b")), (None, Some(-3)));
        assert_eq!((metadata.u64("f"), metadata.i64("f")), (Some(u64::MAX), None));
        assert_eq!((metadata.str("c"), metadata.f64("d"), metadata.bool("e")), (Some("text"), Some(0.5), Some(true)));
        assert_eq!(metadata.strings("g"), Some(&["x".to_owned()][..]));
        assert_eq!((metadata.i64s("h"), metadata.i64s("i"), metadata.i64s("g")), (Some(vec![1, 2]), None, None));
        assert_eq!((metadata.str("a"), metadata.bool("nothing"), metadata.strings("c")), (None, None, None));
    }

    #[test]
    fn keeps_the_order_of_setting() {
        let mut metadata = Metadata::new();
        metadata.set("z", 1u8).set("a", 2u8).set("z", 3u8);
        let keys: Vec<_> = metadata.iter().collect();
        assert_eq!(keys, [("z", &Value::U8(3)), ("a", &Value::U8(2))]);
    }
}
