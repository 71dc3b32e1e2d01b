//! The sheet: what is judged, and apart from it, the key that says who wrote what.
//!
//! A sheet file is JSON:
//!
//! ```json
//! {"version": 1, "hash": "…",
//!  "blind": {"title": "…", "items": [{"prompt": "…", "texts": ["…", "…"]}]},
//!  "key": {"seed": 0, "sources": ["a", "b"], "items": [{"prompt": "17", "sources": [1, 0]}]}}
//! ```
//!
//! `hash` is the SHA-256 of `blind` written without spaces; answers name their sheet by it. The number of an item is its
//! place, from 1. `prompt` is the text that both sides answer, or two texts if they differ. Item by item the key names the
//! prompt's id and the sources of the two texts. `key` may be absent: judging needs none, statistics do.
//!
//! A judge sees an item's texts as A and B in an order of the judge's own ([`Sheet::sides`]), and the items too
//! ([`Sheet::order`]). Both are drawn from the hash and the judge's name, so that every front end draws the same.

use std::collections::HashSet;
use std::io::Read;

use serde::{Deserialize, Serialize};

use super::draw::Draws;
use super::error::{Result, ReviewError, bad_sheet, shown};
use super::judgement::Sides;
use super::visible::check_name;

/// The only version so far.
const VERSION: u64 = 1;

/// The longest sheet file, in bytes.
const LONGEST_FILE: u64 = 256 << 20;

/// The most items of a sheet.
pub(crate) const MOST_ITEMS: usize = 100_000;

/// The most sources of a sheet.
pub(crate) const MOST_SOURCES: usize = 32;

/// What is judged, with or without its key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sheet {
    pub(crate) hash: String,
    pub(crate) blind: Blind,
    pub(crate) key: Option<Key>,
}

/// What judges see.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Blind {
    pub(crate) title: String,
    pub(crate) items: Vec<Item>,
}

/// Two texts for a prompt.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Item {
    /// What they answer.
    pub prompt: Prompt,
    /// In the order of the key.
    pub texts: [String; 2],
}

/// What the two texts of an item answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Prompt {
    /// The same.
    Shared(String),
    /// Each its own: one question in two templates.
    Each([String; 2]),
}

/// Who wrote what.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Key {
    pub(crate) seed: u64,
    pub(crate) sources: Vec<String>,
    pub(crate) items: Vec<KeyItem>,
}

/// Who wrote the texts of one item.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct KeyItem {
    /// The prompt's id.
    pub(crate) prompt: String,
    /// Places among the sources.
    pub(crate) sources: [usize; 2],
}

#[derive(Deserialize)]
struct VersionOnly {
    version: Option<u64>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    version: u64,
    hash: String,
    blind: Blind,
    #[serde(skip_serializing_if = "Option::is_none")]
    key: Option<Key>,
}

impl Sheet {
    pub(crate) fn new(blind: Blind, key: Key) -> Self {
        Self { hash: hash(&blind), blind, key: Some(key) }
    }

    /// Reads a sheet file. `name` is for errors.
    ///
    /// # Errors
    /// A file that is longer than 256 MiB, of another version, or damaged: its hash and its key must fit its items.
    pub fn read(name: &str, reader: impl Read) -> Result<Self> {
        let mut bytes = Vec::new();
        let read = reader.take(LONGEST_FILE + 1).read_to_end(&mut bytes);
        read.map_err(|source| ReviewError::Read { name: name.to_owned(), source })?;
        if bytes.len() as u64 > LONGEST_FILE {
            return Err(bad_sheet(format!("{name} is longer than {LONGEST_FILE} bytes")));
        }
        let parse = |error: serde_json::Error| bad_sheet(format!("{name} is none: {}", shown(&error.to_string())));
        match serde_json::from_slice::<VersionOnly>(&bytes).map_err(parse)?.version {
            Some(VERSION) => {}
            Some(version) => {
                return Err(bad_sheet(format!(
                    "{name} has version {version}, but this program reads version {VERSION}"
                )));
            }
            None => return Err(bad_sheet(format!("{name} is none: it has no `version`"))),
        }
        let Written { hash, blind, key, .. } = serde_json::from_slice(&bytes).map_err(parse)?;
        let sheet = Self { hash, blind, key };
        sheet.check().map_err(|detail| bad_sheet(format!("{name} is damaged: {detail}")))?;
        Ok(sheet)
    }

    /// The text of a sheet file, with the key if there is one.
    pub fn to_json(&self) -> String {
        let Self { hash, blind, key } = self.clone();
        let written = Written { version: VERSION, hash, blind, key };
        serde_json::to_string_pretty(&written).expect("strings and numbers can be written") + "\n"
    }

    /// The same sheet without its key, fit to be given to judges.
    pub fn blinded(&self) -> Self {
        Self { key: None, ..self.clone() }
    }

    /// Names the sheet: 64 hexadecimal digits.
    pub fn hash(&self) -> &str {
        &self.hash
    }

    /// What judges are told it is about; may be empty.
    pub fn title(&self) -> &str {
        &self.blind.title
    }

    /// All items; the number of an item is its place here plus one.
    pub fn items(&self) -> &[Item] {
        &self.blind.items
    }

    /// Names of the sources.
    ///
    /// # Errors
    /// A sheet without its key.
    pub fn sources(&self) -> Result<&[String]> {
        Ok(&self.key()?.sources)
    }

    pub(crate) fn key(&self) -> Result<&Key> {
        let absent = || bad_sheet("it has no key, which says who wrote what; use the sheet file that was made first");
        self.key.as_ref().ok_or_else(absent)
    }

    /// The numbers of the items in the order in which `judge` sees them: by the first word of the stream named
    /// (hash, judge, `order`, number).
    pub fn order(&self, judge: &str) -> Vec<usize> {
        let word = |number: &usize| Draws::new(&[&self.hash, judge, "order", &number.to_string()]).word();
        let mut numbers: Vec<usize> = (1..=self.blind.items.len()).collect();
        numbers.sort_by_cached_key(|number| (word(number), *number));
        numbers
    }

    /// Which text of item `number` is A for `judge`: the coin of the stream named (hash, judge, `sides`, number).
    pub fn sides(&self, judge: &str, number: usize) -> Sides {
        let swapped = Draws::new(&[&self.hash, judge, "sides", &number.to_string()]).coin();
        if swapped { Sides::Swapped } else { Sides::Kept }
    }

    fn check(&self) -> std::result::Result<(), String> {
        let items = &self.blind.items;
        if items.is_empty() || items.len() > MOST_ITEMS {
            return Err(format!("it has {} items; 1 to {MOST_ITEMS} are allowed", items.len()));
        }
        let found = hash(&self.blind);
        if found != self.hash {
            return Err(format!("its hash is {found}, but it says {}; it was changed", shown(&self.hash)));
        }
        let Some(key) = &self.key else { return Ok(()) };
        check_sources(&key.sources).map_err(|error| error.to_string())?;
        if key.items.len() != items.len() {
            return Err(format!("its key is for {} items, but it has {}", key.items.len(), items.len()));
        }
        let foreign = |item: &&KeyItem| {
            item.sources[0] == item.sources[1] || item.sources.iter().any(|&at| at >= key.sources.len())
        };
        match key.items.iter().find(foreign) {
            Some(item) => Err(format!("its key gives an item the sources {:?}", item.sources)),
            None => Ok(()),
        }
    }
}

/// Whether these can be the sources of a sheet.
pub(crate) fn check_sources(names: &[String]) -> Result<()> {
    if names.len() < 2 || names.len() > MOST_SOURCES {
        let detail = format!("a sheet compares 2 to {MOST_SOURCES} sources, but there are {}", names.len());
        return Err(ReviewError::Setting { detail });
    }
    let mut seen = HashSet::new();
    for name in names {
        check_name("source", name)?;
        if !seen.insert(name) {
            return Err(ReviewError::Setting { detail: format!("two sources have the name `{name}`; rename one") });
        }
    }
    Ok(())
}

fn hash(blind: &Blind) -> String {
    let text = serde_json::to_vec(blind).expect("strings can be written");
    crate::hash(&text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sheet() -> Sheet {
        let item =
            |n: usize| Item { prompt: Prompt::Shared(format!("p{n}")), texts: [format!("a{n}"), format!("b{n}")] };
        let of = |n: usize| KeyItem { prompt: n.to_string(), sources: [n % 2, 1 - n % 2] };
        let mut items: Vec<Item> = (0..200).map(item).collect();
        items[7].prompt = Prompt::Each(["x".to_owned(), "y".to_owned()]);
        let key = Key { seed: 1, sources: vec!["one".into(), "two".into()], items: (0..200).map(of).collect() };
        Sheet::new(Blind { title: "t".into(), items }, key)
    }

    fn read(text: &str) -> Result<Sheet> {
        Sheet::read("s.json", text.as_bytes())
    }

    #[test]
    fn a_file_comes_back_as_it_was() {
        let sheet = sheet();
        assert_eq!(read(&sheet.to_json()).unwrap(), sheet);
        let blinded = read(&sheet.blinded().to_json()).unwrap();
        assert_eq!((blinded.hash(), blinded.items()), (sheet.hash(), sheet.items()));
        assert!(!blinded.to_json().contains("one"));
        assert!(blinded.sources().unwrap_err().to_string().contains("it has no key"));
    }

    #[test]
    fn says_what_is_wrong_with_a_file() {
        let text = sheet().to_json();
        let bad = |text: &str, wanted: &str| {
            let error = read(text).unwrap_err().to_string();
            assert!(error.contains(wanted), "{error}");
        };
        bad("", "s.json is none");
        bad("{}", "it has no `version`");
        bad("{\"version\": \"1\"}", "is none");
        bad(&text.replace("\"version\": 1", "\"version\": 2"), "has version 2, but this program reads version 1");
        bad(&text.replace("\"a3\"", "\"changed\""), "it was changed");
        bad(&text.replace("\"two\"", "\"one\""), "two sources have the name `one`");
        bad(&text.replace("\"two\"", "\"\""), "the name of a source is empty");
        bad(&text.replace("\"seed\": 1", "\"seed\": -1"), "is none");
        let mut lame = sheet();
        let key = lame.key.as_mut().unwrap();
        key.items[3].sources = [0, 2];
        bad(&lame.to_json(), "its key gives an item the sources [0, 2]");
        lame.key.as_mut().unwrap().items.pop();
        bad(&lame.to_json(), "its key is for 199 items, but it has 200");
        let empty = Sheet { blind: Blind { title: String::new(), items: vec![] }, ..sheet() };
        bad(&empty.to_json(), "it has 0 items");
    }

    #[test]
    fn every_judge_has_an_order_of_their_own() {
        let sheet = sheet();
        let (ann, bob) = (sheet.order("ann"), sheet.order("bob"));
        assert_ne!(ann, bob);
        assert_eq!(ann, sheet.order("ann"));
        let mut sorted = ann.clone();
        sorted.sort_unstable();
        assert_eq!(sorted, (1..=200).collect::<Vec<_>>());
        let swapped = |judge: &str| (1..=200).filter(|&n| sheet.sides(judge, n) == Sides::Swapped).count();
        assert!(swapped("ann").abs_diff(100) < 40, "{}", swapped("ann"));
        let differ = (1..=200).filter(|&n| sheet.sides("ann", n) != sheet.sides("bob", n)).count();
        assert!(differ.abs_diff(100) < 40, "{differ}");
    }
}
