//! The index of a sharded checkpoint: which file holds which tensor.
//!
//! `{"metadata": {...}, "weight_map": {"tensor": "file"}}`. File names are plain names beside the index: one that
//! could lead elsewhere is refused. Tested in `tests/formats/directories.rs`.

use std::collections::BTreeMap;
use std::fmt;

use serde::Deserialize;
use serde::de::{Error as _, IgnoredAny, MapAccess, Visitor};

use crate::error::{Fault, printable};

/// Longest index read, in bytes. A published one has some hundred kilobytes.
pub(crate) const MAX_INDEX_BYTES: u64 = 32 << 20;

/// Most tensors in one index.
const MAX_ENTRIES: usize = 1 << 17;

/// Most files of one checkpoint.
const MAX_FILES: usize = 4096;

/// Tensor names by file.
pub(crate) type Files = BTreeMap<String, Vec<String>>;

#[derive(Deserialize)]
struct Index {
    #[serde(default, rename = "metadata")]
    _metadata: Option<IgnoredAny>,
    weight_map: WeightMap,
}

struct WeightMap(Vec<(String, String)>);

impl<'de> Deserialize<'de> for WeightMap {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Entries;
        impl<'de> Visitor<'de> for Entries {
            type Value = WeightMap;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a map from tensor names to file names")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<WeightMap, A::Error> {
                let mut entries = Vec::new();
                while let Some(entry) = map.next_entry()? {
                    if entries.len() == MAX_ENTRIES {
                        return Err(A::Error::custom(format_args!("more than {MAX_ENTRIES} tensors")));
                    }
                    entries.push(entry);
                }
                Ok(WeightMap(entries))
            }
        }
        deserializer.deserialize_map(Entries)
    }
}

/// Reads an index. Names within a file are sorted, and there are no two alike in the whole index.
pub(crate) fn parse(json: &[u8]) -> Result<Files, Fault> {
    let index: Index = serde_json::from_slice(json)
        .map_err(|error| Fault::structure("index", "a JSON object with a `weight_map`", error))?;
    let mut entries = index.weight_map.0;
    entries.sort_unstable();
    if let Some(pair) = entries.windows(2).find(|pair| pair[0].0 == pair[1].0) {
        return Err(Fault::tensor(&pair[0].0, "one entry in the index", "two"));
    }
    let mut files = Files::new();
    for (tensor, file) in entries {
        if !is_plain_name(&file) {
            return Err(Fault::tensor(&tensor, "the plain name of a file beside the index", printable(&file)));
        }
        files.entry(file).or_default().push(tensor);
        if files.len() > MAX_FILES {
            return Err(Fault::structure("index", format_args!("at most {MAX_FILES} files"), "more"));
        }
    }
    if files.is_empty() {
        return Err(Fault::structure("index", "at least one tensor", "none"));
    }
    Ok(files)
}

/// Whether `name` can only mean a file in the same directory, on any system.
fn is_plain_name(name: &str) -> bool {
    !name.is_empty()
        && name.len() <= 255
        && name != "."
        && name != ".."
        && !name.contains(|c: char| matches!(c, '/' | '\\' | ':') || c.is_control())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_tensors_by_file() {
        let files = parse(br#"{"metadata":{"total_size":9},"weight_map":{"b":"2.bin","a":"1.bin","c":"2.bin"}}"#);
        let files: Vec<_> = files.unwrap().into_iter().collect();
        assert_eq!(files, [("1.bin".into(), vec!["a".into()]), ("2.bin".into(), vec!["b".into(), "c".into()])]);
    }

    #[test]
    fn refuses_names_that_lead_elsewhere() {
        for name in ["../x", "/etc/passwd", "a/b", "a\\\\b", "C:x", "..", ".", "", "a\\u0000b", "a\\nb"] {
            let json = format!(r#"{{"weight_map":{{"t":"{name}"}}}}"#);
            let message = parse(json.as_bytes()).unwrap_err().to_string();
            assert!(message.contains("plain name"), "{name}: {message}");
        }
    }

    #[test]
    fn refuses_what_is_no_index() {
        for json in [
            "",
            "{",
            "[]",
            "{}",
            r#"{"weight_map":{}}"#,
            r#"{"weight_map":[]}"#,
            r#"{"weight_map":{"a":1}}"#,
            r#"{"weight_map":{"a":"x","a":"y"}}"#,
            r#"{"weight_map":{"a":"x"}} x"#,
            &"[".repeat(1_000_000),
        ] {
            assert!(parse(json.as_bytes()).is_err(), "{}", printable(json));
        }
    }
}
