//! Evaluations as files, written by hand.

use std::fs;
use std::path::PathBuf;

use serde_json::{Value, json};

/// A folder with files of results and samples.
pub(crate) struct World(tempfile::TempDir);

impl World {
    pub(crate) fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// Writes the results of a model, in a folder of its own.
    pub(crate) fn results(&self, model: &str, results: &Value) -> PathBuf {
        let folder = self.path(model);
        fs::create_dir_all(&folder).unwrap();
        let path = folder.join("results_1.json");
        fs::write(&path, results.to_string()).unwrap();
        path
    }

    /// Writes samples of a task beside them.
    pub(crate) fn samples(&self, model: &str, task: &str, samples: &[Value]) {
        let lines: String = samples.iter().map(|sample| format!("{sample}\n")).collect();
        self.lines(model, task, &lines);
    }

    pub(crate) fn lines(&self, model: &str, task: &str, lines: &str) {
        fs::write(self.path(model).join(format!("samples_{task}_1.jsonl")), lines).unwrap();
    }
}

/// Results with one task and one score.
pub(crate) fn one(task: &str, metric: &str, value: f64, error: f64) -> Value {
    json!({"model_name": "m", "results": {task: {
        "alias": task, "sample_len": 10, format!("{metric},none"): value, format!("{metric}_stderr,none"): error,
    }}})
}

/// A sample that gives one score something.
pub(crate) fn sample(document: usize, metric: &str, measure: Value) -> Value {
    json!({"doc_id": document, "doc_hash": format!("d{document:04}"), "prompt_hash": "p", "filter": "none",
           "metrics": [metric], metric: measure})
}
