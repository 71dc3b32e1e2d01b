//! What the store keeps, as plain values.

use std::collections::BTreeMap;
use std::time::{SystemTime, UNIX_EPOCH};

use serde::Serialize;
use serde_json::Value;

use crate::event::State;

/// Seconds since 1970 began, in UTC.
pub type Time = f64;

/// The time now.
pub fn now() -> Time {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0.0, |passed| passed.as_secs_f64())
}

/// Which run, within one store.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(transparent)]
pub struct RunId(pub(crate) i64);

impl RunId {
    /// The run of this number; whether there is one, [`Store::run`](crate::Store::run) tells.
    pub fn numbered(number: i64) -> RunId {
        RunId(number)
    }
}

impl std::fmt::Display for RunId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

/// A run about to begin.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct NewRun {
    /// What people call it. If another run has the name, `-2`, `-3`, ... is added: see [`Run::name`].
    pub name: String,
    /// What is done: `train`, `finetune`, `eval`.
    pub kind: String,
    /// The same run in any store, to find it again when it goes on. Made up if absent.
    pub uid: Option<String>,
    /// The recipe, word for word.
    pub recipe: String,
    /// Every setting in force, by its dotted name (see [`settings`]).
    pub settings: Vec<(String, String)>,
    /// Steps planned, where that is known.
    pub steps: Option<u64>,
    /// Where the rest comes from.
    pub origin: Origin,
}

/// Where the numbers of a run come from.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Origin {
    /// Version of the program.
    pub code: String,
    /// Hash of the data's manifest.
    pub data_hash: Option<String>,
    /// Hash of the tokenizer.
    pub tokenizer_hash: Option<String>,
    /// The machine's name.
    pub host: String,
    /// The device, in words.
    pub device: String,
    /// Processes that work together.
    pub ranks: u32,
    /// The folder with the run's files.
    pub folder: Option<String>,
}

/// A run in the store.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Run {
    /// Which one.
    pub id: RunId,
    /// The same in any store.
    pub uid: String,
    /// Unique in the store.
    pub name: String,
    /// What is done.
    pub kind: String,
    /// How it stands, as last written. A process that was killed wrote nothing: see [`Run::is_lost`].
    pub state: State,
    /// When it began.
    pub started: Time,
    /// When it ended.
    pub ended: Option<Time>,
    /// When its process last gave a sign of life.
    pub seen: Time,
    /// Steps planned.
    pub steps: Option<u64>,
    /// The last step with a metric.
    pub last_step: Option<u64>,
    /// The recipe, word for word.
    pub recipe: String,
    /// Where the numbers come from.
    #[serde(flatten)]
    pub origin: Origin,
}

/// A running run without a sign of life for so long is lost, in seconds. Signs come every 10 seconds.
pub const SILENCE: Time = 60.0;

impl Run {
    /// Whether it says it is running, but its process seems to be gone.
    pub fn is_lost(&self, now: Time) -> bool {
        self.state == State::Running && now - self.seen > SILENCE
    }

    /// How it stands, in a word: its state, or `lost`.
    pub fn standing(&self, now: Time) -> &'static str {
        if self.is_lost(now) { "lost" } else { self.state.name() }
    }
}

/// Which runs to list; every condition must hold.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Filter {
    /// In this state, `lost` included.
    pub state: Option<String>,
    /// Of this kind.
    pub kind: Option<String>,
    /// Whose name contains this.
    pub name: Option<String>,
    /// Only the newest so many.
    pub limit: Option<usize>,
}

/// One value of one metric.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Metric {
    /// Its name.
    pub name: String,
    /// The step.
    pub step: u64,
    /// When it was recorded.
    pub time: Time,
    /// The value; may be NaN or infinite.
    pub value: f64,
}

/// One value of a metric whose name is known.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Point {
    /// The step.
    pub step: u64,
    /// When it was recorded.
    pub time: Time,
    /// The value; may be NaN or infinite.
    pub value: f64,
}

/// A metric in brief.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Summary {
    /// Its name.
    pub name: String,
    /// Values recorded.
    pub count: u64,
    /// The last step that has one.
    pub last_step: u64,
    /// The value there.
    pub last: f64,
    /// The smallest value that is a number.
    pub min: Option<f64>,
    /// The largest value that is a number.
    pub max: Option<f64>,
}

/// What a text is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum TextKind {
    /// What the model wrote; the title is the prompt.
    Sample,
    /// Words for a person; the title is the level.
    Message,
}

impl TextKind {
    /// Its name in the store.
    pub fn name(self) -> &'static str {
        match self {
            TextKind::Sample => "sample",
            TextKind::Message => "message",
        }
    }
}

/// A text of a run.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Text {
    /// What it is.
    pub kind: TextKind,
    /// The step, if it belongs to one.
    pub step: Option<u64>,
    /// When it was recorded.
    pub time: Time,
    /// The prompt, or the level.
    pub title: String,
    /// The text.
    pub body: String,
}

/// A file or folder of a run, as recorded.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct StoredArtifact {
    /// When it was recorded.
    pub time: Time,
    /// What it is.
    #[serde(flatten)]
    pub artifact: crate::event::Artifact,
}

/// What a person, or the store itself, noted about a run.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Note {
    /// When.
    pub time: Time,
    /// The words.
    pub body: String,
}

/// Flattens nested settings into dotted names, in order: `{"a": {"b": 1, "c": [2, 3]}}` becomes `a.b = 1`,
/// `a.c = [2,3]`. Strings stand without quotes; absent values (null) are left out.
pub fn settings(value: &Value) -> Vec<(String, String)> {
    fn walk(at: &str, value: &Value, found: &mut BTreeMap<String, String>) {
        match value {
            Value::Object(fields) => {
                for (name, value) in fields {
                    let at = if at.is_empty() { name.clone() } else { format!("{at}.{name}") };
                    walk(&at, value, found);
                }
            }
            Value::Null => {}
            Value::String(text) => drop(found.insert(at.to_owned(), text.clone())),
            other => drop(found.insert(at.to_owned(), other.to_string())),
        }
    }
    let mut found = BTreeMap::new();
    walk("", value, &mut found);
    found.into_iter().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_have_dotted_names() {
        let value = serde_json::json!({"b": {"c": 1.5, "a": "x"}, "a": [1, 2], "none": null});
        let wanted = [("a", "[1,2]"), ("b.a", "x"), ("b.c", "1.5")];
        assert_eq!(settings(&value), wanted.map(|(k, v)| (k.to_owned(), v.to_owned())));
    }
}
