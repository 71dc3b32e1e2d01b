//! What was found of a document, of a task, and in what.

use serde_json::{Value, json};

use super::Settings;
use crate::run::Score;
use crate::shards::{Shards, Whereabouts};

/// What is known of a document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Nothing of it stands in the shards.
    Clean,
    /// It has too few words to tell; counts as clean.
    TooShort,
    /// What of it stands there is common; counts as clean.
    OnlyCommon,
    /// A part of it stands there.
    Contaminated(Match),
}

impl Verdict {
    /// Whether a part of it stands in the shards.
    pub fn contaminated(&self) -> bool {
        matches!(self, Self::Contaminated(_))
    }
}

/// An overlap.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Match {
    /// The first run of words that stands there, as words.
    pub ngram: String,
    /// In how many documents of the shards.
    pub documents: u64,
    /// In which first.
    pub first: Whereabouts,
    /// How many of the document's runs of words stand there.
    pub overlapping: usize,
    /// Of how many.
    pub ngrams: usize,
}

impl Match {
    pub(crate) fn json(&self) -> Value {
        let Whereabouts { folder, shard, document, source } = &self.first;
        json!({
            "ngram": self.ngram, "in_documents": self.documents, "folder": folder.display().to_string(), "shard": shard,
            "document": document, "source": source, "overlapping_ngrams": self.overlapping, "ngrams": self.ngrams,
        })
    }
}

/// What was found of a task.
#[derive(Clone, Debug)]
pub struct TaskContamination {
    /// What was looked for of each document.
    pub query: &'static str,
    /// Of each document, in their order.
    pub documents: Vec<Verdict>,
    /// Scores over what is clean; empty where nothing was scored, or nothing is clean.
    pub clean: Vec<Score>,
}

impl TaskContamination {
    fn count(&self, wanted: impl Fn(&Verdict) -> bool) -> usize {
        self.documents.iter().filter(|verdict| wanted(verdict)).count()
    }

    /// Documents with an overlap.
    pub fn contaminated(&self) -> usize {
        self.count(Verdict::contaminated)
    }

    /// Their share.
    pub fn share(&self) -> f64 {
        self.contaminated() as f64 / self.documents.len().max(1) as f64
    }

    /// Documents with too few words to tell.
    pub fn too_short(&self) -> usize {
        self.count(|verdict| *verdict == Verdict::TooShort)
    }

    /// Documents of which only common runs of words stand in the shards.
    pub fn only_common(&self) -> usize {
        self.count(|verdict| *verdict == Verdict::OnlyCommon)
    }

    /// The counts.
    pub fn json(&self) -> Value {
        json!({
            "documents": self.documents.len(), "contaminated": self.contaminated(), "share": self.share(),
            "too_short": self.too_short(), "only_common": self.only_common(), "query": self.query,
        })
    }
}

/// What was looked through, and how.
#[derive(Clone, Debug)]
pub struct Scanned {
    /// What counted.
    pub settings: Settings,
    /// Bytes of text.
    pub text_bytes: u64,
    /// How long it took, in seconds.
    pub seconds: f64,
    /// Each folder and split, with its counts.
    shards: Value,
}

impl Scanned {
    pub(super) fn new(shards: &Shards, settings: Settings, seconds: f64) -> Self {
        Self { settings, text_bytes: shards.text_bytes(), seconds, shards: shards.json() }
    }

    /// Bytes of text a second.
    pub fn speed(&self) -> f64 {
        self.text_bytes as f64 / self.seconds.max(1e-9)
    }

    /// As results hold it.
    pub fn json(&self) -> Value {
        let mut found = self.settings.json();
        found["protocol"] = json!(self.settings.protocol());
        found["shards"] = self.shards.clone();
        found["text_bytes"] = json!(self.text_bytes);
        found["seconds"] = json!(self.seconds);
        found["text_bytes_per_s"] = json!(self.speed());
        found
    }
}
