//! What an evaluation finds.

use serde_json::{Map, Value, json};

use crate::aggregate::Measure;
use crate::contamination::{Scanned, TaskContamination, Verdict};
use crate::definition::{Group, Task};
use crate::document::Document;

/// One score.
#[derive(Clone, Debug, PartialEq)]
pub struct Score {
    /// Its name.
    pub metric: String,
    /// The filters before it.
    pub filter: String,
    /// The value.
    pub value: f64,
    /// Its standard error, where there is one.
    pub standard_error: Option<f64>,
    /// What it was made of.
    pub count: usize,
    /// Whether more is better.
    pub higher_is_better: bool,
}

/// One document, and what became of it under one row of filters.
#[derive(Clone, Debug)]
pub struct Sample {
    /// Its place in the split.
    pub doc_id: usize,
    /// The document.
    pub document: Document,
    /// What is right.
    pub target: Value,
    /// Of each request its arguments.
    pub arguments: Vec<Value>,
    /// Of each request the answer.
    pub answers: Vec<Value>,
    /// The answers that the filters left.
    pub filtered: Vec<Value>,
    /// The filters.
    pub filter: String,
    /// What it gave each score.
    pub measures: Vec<(String, Measure)>,
    /// Whether it stands in training data, where that was looked for.
    pub contamination: Option<Verdict>,
}

/// What was found for a task.
#[derive(Clone, Debug)]
pub struct TaskOutcome {
    /// The task.
    pub task: Task,
    /// Examples before each document.
    pub num_fewshot: usize,
    /// Documents in the split.
    pub documents: usize,
    /// Documents measured.
    pub measured: usize,
    /// Where the documents came from.
    pub source: Source,
    /// Who judged, by what they judge; empty where the definition's rules alone did.
    pub judged: Map<String, Value>,
    /// The model that was measured, where tasks have different ones.
    pub head: Option<String>,
    /// Scores, in the order of the definition.
    pub scores: Vec<Score>,
    /// Documents, one after the other under each row of filters.
    pub samples: Vec<Sample>,
    /// What of them stands in training data, where that was looked for, and scores without it.
    pub contamination: Option<TaskContamination>,
    /// What somebody who reads the scores should know.
    pub notes: Vec<String>,
}

/// Where documents came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Source {
    /// The split.
    pub split: String,
    /// Files.
    pub files: Vec<String>,
    /// The commit at the hub.
    pub revision: Option<String>,
    /// SHA-256 over the files' bytes; over the documents as JSON, where they are in no file.
    pub sha256: String,
}

impl Source {
    pub(crate) fn json(&self) -> Value {
        let Self { split, files, revision, sha256 } = self;
        json!({"split": split, "files": files, "revision": revision, "sha256": sha256})
    }
}

/// What was found for a group.
#[derive(Clone, Debug)]
pub struct GroupOutcome {
    /// The group.
    pub group: Group,
    /// Its tasks.
    pub tasks: Vec<String>,
    /// Scores over them.
    pub scores: Vec<Score>,
}

/// What was found.
#[derive(Clone, Debug, Default)]
pub struct Outcome {
    /// Of each task.
    pub tasks: Vec<TaskOutcome>,
    /// Of each group.
    pub groups: Vec<GroupOutcome>,
    /// The training data that documents were looked for in.
    pub scanned: Option<Scanned>,
}

impl Outcome {
    /// SHA-256 over the names of all tasks and the digests of their data.
    pub fn data_sha256(&self) -> String {
        let all: Vec<String> =
            self.tasks.iter().map(|task| format!("{} {}\n", task.task.name, task.source.sha256)).collect();
        crate::hash(all.concat().as_bytes())
    }
}
