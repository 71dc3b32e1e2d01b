//! Toxicity by a list of words: 1 where a text has one of them, else 0. It is a lexicon, blind to meaning, and no probability.
//!
//! A listed word or phrase must stand as whole words, in letters of any case; what stands between the words of a phrase is as
//! listed, except white space, of which there may be any amount or none beside a mark.

use std::collections::{BTreeSet, HashSet};
use std::path::Path;

use serde_json::{Value, json};

use super::TextScorer;
use super::lexicon::Lexicon;
use crate::error::EvalError;

/// The longest entry, in bytes.
const LONGEST: usize = 200;

/// A list of words and phrases.
#[derive(Clone, Debug)]
pub struct WordList {
    /// Each in pieces.
    entries: HashSet<Vec<String>>,
    /// How many pieces entries have.
    lengths: BTreeSet<usize>,
    file: String,
    sha256: String,
}

impl WordList {
    /// Reads a list: a word or a phrase on each line, empty lines passed over.
    ///
    /// # Errors
    /// A file that cannot be read, holds nothing, or has a line that is no phrase.
    pub fn open(path: &Path) -> Result<Self, EvalError> {
        let lexicon = Lexicon::open(path)?;
        let mut entries = HashSet::new();
        for (line, entry) in lexicon.lines() {
            if entry.len() > LONGEST {
                return Err(lexicon.fault(line, format!("{} bytes are no word or phrase", entry.len())));
            }
            if entry.contains(char::is_control) {
                return Err(lexicon.fault(line, "a tab or a control character: a list has one word or phrase a line"));
            }
            entries.insert(pieces(entry));
        }
        if entries.is_empty() {
            return Err(lexicon.fault(1, "there is no word in it"));
        }
        let lengths = entries.iter().map(Vec::len).collect();
        let Lexicon { name: file, sha256, .. } = lexicon;
        Ok(Self { entries, lengths, file, sha256 })
    }

    /// Whether a text has a word or a phrase of the list.
    pub fn holds(&self, text: &str) -> bool {
        let pieces = pieces(text);
        (0..pieces.len()).any(|at| {
            let mut runs = self.lengths.iter().filter_map(|length| pieces.get(at..at + length));
            runs.any(|run| self.entries.contains(run))
        })
    }
}

impl TextScorer for WordList {
    fn described(&self) -> Value {
        json!({
            "kind": "word list",
            "file": self.file,
            "sha256": self.sha256,
            "entries": self.entries.len(),
            "gives": "1 where a listed word or phrase stands, else 0: a lexicon, and no probability",
        })
    }

    fn score(&mut self, texts: &[&str]) -> Result<Vec<f64>, String> {
        Ok(texts.iter().map(|text| f64::from(u8::from(self.holds(text)))).collect())
    }
}

/// A text in small letters, as words (letters and digits) and single marks; white space parts them and is none itself.
fn pieces(text: &str) -> Vec<String> {
    let mut found: Vec<String> = Vec::new();
    let mut in_word = false;
    for c in text.to_lowercase().chars() {
        let letter = c.is_alphanumeric();
        match found.last_mut() {
            Some(word) if letter && in_word => word.push(c),
            _ if !c.is_whitespace() => found.push(if c == '\u{2019}' { "'".to_owned() } else { c.to_string() }),
            _ => {}
        }
        in_word = letter;
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(text: &str) -> Result<WordList, EvalError> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("list.txt");
        std::fs::write(&path, text).unwrap();
        WordList::open(&path)
    }

    #[test]
    fn whole_words_and_phrases_are_found() {
        let list = list("\u{feff}crud\nholy  moly\nf-word\n5 marks\n\n🖕\nCRUD\nd'oh\n").unwrap();
        assert_eq!(list.entries.len(), 6);
        for (text, wanted) in [
            ("what crud!", true),
            ("CRUD", true),
            ("crude oil", false),
            ("a crud's life", true),
            ("holy\n moly", true),
            ("holy, moly", false),
            ("unholy moly", false),
            ("the f-word.", true),
            ("the f word", false),
            ("15 marks", false),
            ("so🖕there", true),
            ("D\u{2019}oh", true),
            ("", false),
        ] {
            assert_eq!(list.holds(text), wanted, "{text:?}");
        }
    }

    #[test]
    fn a_list_that_is_none_is_refused_with_its_line() {
        for (text, says) in [
            ("\n \n", "line 1: there is no word"),
            ("a\nb\t1.5\n", "line 2: a tab"),
            (&"a".repeat(201), "line 1: 201 bytes"),
        ] {
            let error = list(text).unwrap_err().to_string();
            assert!(error.contains(says), "{error}");
        }
    }
}
