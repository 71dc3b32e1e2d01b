//! An evaluation read back: the results file that it left, and the files of samples beside it.
//!
//! Files of the reference harness are read as well, those of its early versions included (scores without a filter). A file may hold
//! anything: it is bounded before it is read, and what is no score is passed over or refused in words, never taken for one.

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

use serde_json::{Map, Value};

use crate::aggregate::{Aggregation, known_metric};
use crate::error::EvalError;
use crate::results::file_name;

/// Bytes of a results file.
const LONGEST_RESULTS: u64 = 32 << 20;
/// Bytes of one line of samples: each holds a whole document.
const LONGEST_LINE: u64 = 32 << 20;
/// Files of a folder that are looked at.
const MOST_FILES: usize = 100_000;

/// Results, and where their samples are.
#[derive(Clone, Debug)]
pub struct Saved {
    /// The file of results.
    pub path: PathBuf,
    /// What it holds: an object with an object `results`.
    pub results: Value,
    samples: BTreeMap<String, PathBuf>,
}

/// A score of a results file.
#[derive(Clone, Debug, PartialEq)]
pub struct SavedScore {
    /// Its name.
    pub metric: String,
    /// The filters before it.
    pub filter: String,
    /// The value.
    pub value: f64,
    /// Its standard error, where the file has one.
    pub standard_error: Option<f64>,
    /// What it was made of, where the file says so.
    pub count: Option<u64>,
    /// Whether more is better, where the file or the metric's name says so.
    pub higher_is_better: Option<bool>,
}

/// Takes a line of samples; the error says what is wrong with it.
type Take<'a> = dyn FnMut(&Map<String, Value>) -> Result<(), String> + 'a;

impl Saved {
    /// Reads a file of results, or the newest one of a folder (or of the one folder in it that has any).
    ///
    /// # Errors
    /// A path where nothing is, a folder with results of several models, a file that is too long or no results.
    pub fn open(path: &Path) -> Result<Self, EvalError> {
        let path = if path.is_dir() { newest(path)? } else { path.to_owned() };
        let bad = |why: String| EvalError::Results { path: path.clone(), why };
        let io = |error: std::io::Error| EvalError::Io { path: path.clone(), why: error.to_string() };
        let file = fs::File::open(&path).map_err(io)?;
        let mut bytes = Vec::new();
        file.take(LONGEST_RESULTS + 1).read_to_end(&mut bytes).map_err(io)?;
        if bytes.len() as u64 > LONGEST_RESULTS {
            return Err(bad(format!("no file of results is longer than {LONGEST_RESULTS} bytes")));
        }
        let results: Value = serde_json::from_slice(&bytes).map_err(|error| bad(format!("no JSON: {error}")))?;
        if !results.get("results").is_some_and(Value::is_object) {
            return Err(bad("no results of an evaluation: it has no object `results`".to_owned()));
        }
        let mut saved = Self { samples: BTreeMap::new(), results, path };
        saved.samples = saved.beside()?;
        Ok(saved)
    }

    /// Takes these files of samples in place of those beside the results.
    ///
    /// # Errors
    /// A file whose name is that of no task, or two of one task.
    pub fn with_samples(mut self, files: &[PathBuf]) -> Result<Self, EvalError> {
        self.samples.clear();
        for file in files {
            let name = file.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
            // The longest name that fits: one task's may begin another's.
            let task = self.tasks().filter(|task| is_samples_of(&name, task)).max_by_key(|task| task.len());
            let bad = |why: String| EvalError::Results { path: file.clone(), why };
            let task = task.map(str::to_owned).ok_or_else(|| {
                bad("its name is that of no task in the results: samples_<task>_<time>.jsonl is wanted".to_owned())
            })?;
            if self.samples.insert(task.clone(), file.clone()).is_some() {
                return Err(bad(format!("a second file of samples of `{task}`")));
            }
        }
        Ok(self)
    }

    /// Names of what has scores: groups and tasks, in the order of the file.
    pub fn tasks(&self) -> impl Iterator<Item = &str> {
        self.results.get("results").and_then(Value::as_object).into_iter().flatten().map(|(name, _)| name.as_str())
    }

    /// Whether a name is that of a group.
    pub fn is_group(&self, name: &str) -> bool {
        let members = self.results.get("group_subtasks").and_then(|all| all.get(name)).and_then(Value::as_array);
        members.is_some_and(|members| !members.is_empty())
    }

    /// The scores of a task or a group.
    pub fn scores(&self, task: &str) -> Vec<SavedScore> {
        scores(&self.results, task)
    }

    /// The file with samples of a task, if there is one.
    pub fn samples_file(&self, task: &str) -> Option<&Path> {
        self.samples.get(task).map(PathBuf::as_path)
    }

    /// Hands on the samples of a task, one after the other; nothing where there is no file of them. The taker may say why a sample
    /// cannot be used.
    ///
    /// # Errors
    /// A file that cannot be read, a line that is too long or no JSON object, and what the taker says, each with its line.
    pub fn samples(&self, task: &str, take: &mut Take<'_>) -> Result<(), EvalError> {
        let Some(path) = self.samples_file(task) else { return Ok(()) };
        let io = |error: std::io::Error| EvalError::Io { path: path.to_owned(), why: error.to_string() };
        let mut reader = BufReader::new(fs::File::open(path).map_err(io)?);
        let mut line = Vec::new();
        for number in 1_u64.. {
            let bad = |why: String| EvalError::Results { path: path.to_owned(), why: format!("line {number}: {why}") };
            line.clear();
            (&mut reader).take(LONGEST_LINE + 1).read_until(b'\n', &mut line).map_err(io)?;
            if line.is_empty() {
                break;
            }
            if line.len() as u64 > LONGEST_LINE {
                return Err(bad(format!("no sample is longer than {LONGEST_LINE} bytes")));
            }
            if line.trim_ascii().is_empty() {
                continue;
            }
            let sample: Value = serde_json::from_slice(&line).map_err(|error| bad(format!("no JSON: {error}")))?;
            let Value::Object(sample) = sample else { return Err(bad("no sample: an object is wanted".to_owned())) };
            take(&sample).map_err(bad)?;
        }
        Ok(())
    }

    /// The files of samples that were written with these results: in the same folder, and of the same moment.
    fn beside(&self) -> Result<BTreeMap<String, PathBuf>, EvalError> {
        let name = self.path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        let Some(stamp) = name.strip_prefix("results_").and_then(|rest| rest.strip_suffix(".json")) else {
            return Ok(BTreeMap::new());
        };
        let folder = self.path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let mut found = BTreeMap::new();
        for task in self.tasks() {
            for spelling in [file_name(task), task.to_owned()] {
                let path = folder.join(format!("samples_{spelling}_{stamp}.jsonl"));
                // A task's name may hold anything, a way out of the folder included.
                if path.parent() == Some(folder) && path.is_file() {
                    found.insert(task.to_owned(), path);
                    break;
                }
            }
        }
        Ok(found)
    }
}

/// Whether a file's name is that of samples of a task.
fn is_samples_of(file: &str, task: &str) -> bool {
    let Some(rest) = file.strip_prefix("samples_") else { return false };
    [file_name(task), task.to_owned()].iter().any(|task| {
        rest.strip_prefix(task.as_str()).is_some_and(|rest| rest.starts_with('_') || rest.starts_with(".json"))
    })
}

/// The scores of a task or a group in results.
pub(crate) fn scores(results: &Value, task: &str) -> Vec<SavedScore> {
    let row = results.get("results").and_then(|all| all.get(task)).and_then(Value::as_object);
    let better = results.get("higher_is_better").and_then(|all| all.get(task));
    let all = results.get("n-samples").and_then(|all| all.get(task)).and_then(|of| of.get("effective"));
    let mut found = Vec::new();
    for (key, value) in row.into_iter().flatten() {
        let (metric, filter) = key.split_once(',').unwrap_or((key, "none"));
        let Some(value) = value.as_f64().filter(|_| !metric.ends_with("_stderr") && !is_count(key)) else { continue };
        let error_key =
            if key.contains(',') { format!("{metric}_stderr,{filter}") } else { format!("{metric}_stderr") };
        let of = |key: &str| row.and_then(|row| row.get(key));
        let count = of("sample_count").and_then(|counts| counts.get(key)).or(all).and_then(Value::as_u64);
        let said = better.and_then(|of| of.get(metric)).and_then(Value::as_bool);
        found.push(SavedScore {
            metric: metric.to_owned(),
            filter: filter.to_owned(),
            value,
            standard_error: of(&error_key).and_then(Value::as_f64).filter(|error| *error >= 0.0),
            count,
            higher_is_better: said.or_else(|| known_metric(metric).map(|(_, better)| better)),
        });
    }
    found
}

/// Numbers of a row that are no scores.
fn is_count(key: &str) -> bool {
    matches!(key, "sample_len" | "sample_count")
}

/// How a score of a task is made: as its definition in the results says, else as scores of that name are.
pub(crate) fn aggregation(results: &Value, task: &str, metric: &str) -> Option<Aggregation> {
    let config = results.get("configs").and_then(|all| all.get(task));
    let metrics = config.and_then(|config| config.get("metric_list")).and_then(Value::as_array);
    let own = metrics.into_iter().flatten().find(|own| own.get("metric").and_then(Value::as_str) == Some(metric));
    match own.and_then(|own| own.get("aggregation")) {
        Some(Value::String(name)) => Aggregation::named(name),
        // Python's own function, written as its text: nobody knows what it does.
        Some(_) => None,
        None => known_metric(metric).map(|(aggregation, _)| aggregation),
    }
}

/// The newest results below a folder.
fn newest(folder: &Path) -> Result<PathBuf, EvalError> {
    let bad = |why: String| EvalError::Results { path: folder.to_owned(), why };
    let list = |folder: &Path| -> Result<(Vec<PathBuf>, Vec<PathBuf>), EvalError> {
        let io = |error: std::io::Error| EvalError::Io { path: folder.to_owned(), why: error.to_string() };
        let (mut files, mut folders) = (Vec::new(), Vec::new());
        for (at, entry) in fs::read_dir(folder).map_err(io)?.enumerate() {
            if at >= MOST_FILES {
                return Err(bad(format!("more than {MOST_FILES} files: name the file of results")));
            }
            let path = entry.map_err(io)?.path();
            let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
            if path.is_dir() {
                folders.push(path);
            } else if name.starts_with("results_") && name.ends_with(".json") {
                files.push(path);
            }
        }
        Ok((files, folders))
    };
    let (own, folders) = list(folder)?;
    if let Some(newest) = own.into_iter().max() {
        return Ok(newest);
    }
    let mut found: Vec<PathBuf> = Vec::new();
    for folder in folders {
        found.extend(list(&folder)?.0.into_iter().max());
    }
    found.sort();
    match found.as_slice() {
        [] => Err(bad("no file results_*.json is here".to_owned())),
        [one] => Ok(one.clone()),
        many => {
            let names: Vec<String> = many.iter().take(8).map(|path| path.display().to_string()).collect();
            Err(bad(format!("results of several models are here: name one of {}", names.join(", "))))
        }
    }
}
