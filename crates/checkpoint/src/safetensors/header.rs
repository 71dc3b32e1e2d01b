//! The JSON header, read so that no key may stand twice and no list grow beyond its limit.

use std::borrow::Cow;
use std::collections::HashSet;
use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, Error as _, MapAccess, SeqAccess, Visitor};

use crate::error::{Fault, printable};
use crate::tensor::{MAX_RANK, MAX_TENSORS};

/// One tensor as the header describes it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Entry<'a> {
    #[serde(borrow)]
    pub(super) dtype: Cow<'a, str>,
    #[serde(deserialize_with = "shape")]
    pub(super) shape: Vec<usize>,
    pub(super) data_offsets: (u64, u64),
}

/// The tensors of a header, in its order.
pub(super) fn parse(json: &[u8]) -> Result<Vec<(String, Entry<'_>)>, Fault> {
    let header: Header<'_> =
        serde_json::from_slice(json).map_err(|error| Fault::structure("header", "valid JSON of the format", error))?;
    Ok(header.0)
}

struct Header<'a>(Vec<(String, Entry<'a>)>);

impl<'de: 'a, 'a> Deserialize<'de> for Header<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(HeaderVisitor)
    }
}

struct HeaderVisitor;

impl<'de> Visitor<'de> for HeaderVisitor {
    type Value = Header<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a map of tensors")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Header<'de>, A::Error> {
        let mut entries = Vec::new();
        let mut seen = HashSet::new();
        while let Some(key) = map.next_key::<Cow<'de, str>>()? {
            if !seen.insert(key.clone()) {
                return Err(A::Error::custom(format_args!("key `{}` stands twice", printable(&key))));
            }
            if key == "__metadata__" {
                map.next_value::<Metadata>()?;
            } else if entries.len() == MAX_TENSORS {
                return Err(A::Error::custom(format_args!("more than {MAX_TENSORS} tensors")));
            } else {
                let entry = map
                    .next_value()
                    .map_err(|error| A::Error::custom(format_args!("tensor `{}`: {error}", printable(&key))))?;
                entries.push((key.into_owned(), entry));
            }
        }
        Ok(Header(entries))
    }
}

/// `__metadata__`: strings by strings, checked and let go.
struct Metadata;

impl<'de> Deserialize<'de> for Metadata {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Strings;
        impl<'de> Visitor<'de> for Strings {
            type Value = Metadata;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a map of strings")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Metadata, A::Error> {
                let mut seen = HashSet::new();
                while let Some((key, _)) = map.next_entry::<Cow<'de, str>, Cow<'de, str>>()? {
                    if seen.len() == MAX_TENSORS {
                        return Err(A::Error::custom(format_args!("more than {MAX_TENSORS} keys in `__metadata__`")));
                    }
                    if let Some(twice) = seen.replace(key) {
                        return Err(A::Error::custom(format_args!("key `{}` stands twice", printable(&twice))));
                    }
                }
                Ok(Metadata)
            }
        }
        deserializer.deserialize_map(Strings)
    }
}

fn shape<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<usize>, D::Error> {
    struct Shape;
    impl<'de> Visitor<'de> for Shape {
        type Value = Vec<usize>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a list of axis lengths")
        }

        fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Vec<usize>, A::Error> {
            let mut shape = Vec::new();
            while let Some(axis) = list.next_element()? {
                if shape.len() == MAX_RANK {
                    return Err(A::Error::custom(format_args!("more than {MAX_RANK} axes")));
                }
                shape.push(axis);
            }
            Ok(shape)
        }
    }
    deserializer.deserialize_seq(Shape)
}
