//! What is looked for: of each document of each task its runs of words.

use std::collections::HashMap;

use super::Settings;
use super::words::Words;
use crate::definition::Task;
use crate::document::Document;
use crate::prompt::text_and_answer;
use crate::python;
use crate::sequences::Sequences;

/// The runs of words of all documents, each once.
#[derive(Debug)]
pub(super) struct Queries {
    settings: Settings,
    /// Numbers of words. A word that no document has can be part of no overlap.
    words: HashMap<String, u32>,
    names: Vec<String>,
    longest_word: usize,
    pub(super) runs: Sequences,
    /// In the order in which they were added.
    pub(super) documents: Vec<Query>,
}

/// A document as runs of words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Query {
    /// With too few words to tell anything.
    TooShort,
    /// Its runs, in order.
    Runs(Vec<u32>),
}

impl Queries {
    pub(super) fn new(settings: Settings) -> Self {
        Self {
            settings,
            words: HashMap::new(),
            names: Vec::new(),
            longest_word: 0,
            runs: Sequences::new(),
            documents: Vec::new(),
        }
    }

    pub(super) fn add(&mut self, text: &str) {
        let mut found = Vec::new();
        let mut take = |word: &str| {
            let number = self.words.get(word).copied().unwrap_or_else(|| {
                let number = u32::try_from(self.names.len()).expect("fewer words than 2^32 fit in memory");
                self.words.insert(word.to_owned(), number);
                self.names.push(word.to_owned());
                self.longest_word = self.longest_word.max(word.len());
                number
            });
            found.push(number);
        };
        let mut words = Words::new(usize::MAX);
        words.push(text, &mut take);
        words.end(&mut take);
        let Settings { words: run, least, .. } = self.settings;
        self.documents.push(if found.len() < least.max(1) {
            Query::TooShort
        } else {
            Query::Runs(self.runs.add(&found, run.min(found.len())))
        });
    }

    /// The number of a word, if a document has it.
    pub(super) fn number(&self, word: &str) -> Option<u32> {
        self.words.get(word).copied()
    }

    pub(super) fn longest_word(&self) -> usize {
        self.longest_word
    }

    /// A run of words as text.
    pub(super) fn text(&self, run: u32) -> String {
        let words: Vec<&str> = self.runs.symbols(run).iter().map(|&word| self.names[word as usize].as_str()).collect();
        words.join(" ")
    }
}

/// What of a document is looked for: what its definition says, or else its prompt (without examples) and the right answer.
pub(super) fn query(task: &Task, document: &Document) -> Result<String, String> {
    match &task.decontamination_query {
        Some(field) => Ok(python::display(&field.value(document, false)?)),
        None => {
            let (text, answer) = text_and_answer(task, document)?;
            Ok(format!("{text}{}{answer}", task.target_delimiter))
        }
    }
}

/// Which of the two it is.
pub(super) fn described(task: &Task) -> &'static str {
    match task.decontamination_query {
        Some(_) => "doc_to_decontamination_query",
        None => "the prompt without examples, and the right answer",
    }
}
