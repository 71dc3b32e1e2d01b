//! An evaluation: tasks into requests, requests into answers, answers into scores.
//!
//! All tasks are asked together, so that their requests share batches and beginnings. What comes out depends on the model, the data, the
//! definitions and the options alone: not on the order of answers, nor on how often the run was stopped and gone on with.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use crate::aggregate::{BOOTSTRAP_ITERATIONS, Measure};
use crate::answer::Request;
use crate::asking::{Subject, Watch, ask, loses_its_beginning};
use crate::cache::Cache;
use crate::catalog::Chosen;
use crate::data::{DataError, Dataset, Library, Place, Split};
use crate::definition::{Group, Task};
use crate::document::Document;
use crate::error::EvalError;
use crate::judges::Judges;
use crate::measure::measure;
use crate::prompt::{Case, Prompter};

/// How many documents of a task are measured.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Limit {
    /// The first so many.
    Count(usize),
    /// The first part, of all.
    Share(f64),
}

impl Limit {
    fn of(self, all: usize) -> usize {
        match self {
            Self::Count(count) => count.min(all),
            Self::Share(share) => ((all as f64 * share).ceil() as usize).min(all),
        }
    }
}

/// How tasks are measured.
#[derive(Clone, Debug)]
pub struct Options {
    /// Examples before each document; as the definitions say where `None`.
    pub num_fewshot: Option<usize>,
    /// How many documents.
    pub limit: Option<Limit>,
    /// What examples are drawn with.
    pub fewshot_seed: u64,
    /// What text is drawn with, where a task draws.
    pub seed: u64,
    /// Resamples behind a standard error that has no formula; 0 for none.
    pub bootstrap_iterations: usize,
    /// Most new tokens, in place of what definitions say.
    pub max_gen_toks: Option<usize>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            num_fewshot: None,
            limit: None,
            fewshot_seed: 1234,
            seed: 1234,
            bootstrap_iterations: BOOTSTRAP_ITERATIONS,
            max_gen_toks: None,
        }
    }
}

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
    /// Scores, in the order of the definition.
    pub scores: Vec<Score>,
    /// Documents, one after the other under each row of filters.
    pub samples: Vec<Sample>,
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
    /// SHA-256 over the files' bytes.
    pub sha256: String,
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
}

impl Outcome {
    /// SHA-256 over the names of all tasks and the digests of their data.
    pub fn data_sha256(&self) -> String {
        let all: Vec<String> =
            self.tasks.iter().map(|task| format!("{} {}\n", task.task.name, task.source.sha256)).collect();
        crate::hash(all.concat().as_bytes())
    }
}

/// A task with its cases made.
struct Prepared {
    task: Task,
    shots: usize,
    documents: usize,
    source: Source,
    cases: Vec<Case>,
    notes: Vec<String>,
}

/// Measures what was chosen.
///
/// # Errors
/// Whatever is wrong with data, definitions or the model, before anything is asked where it can be told then.
pub fn evaluate(
    chosen: Vec<Chosen>,
    library: &Library<'_>,
    subject: &mut Subject<'_>,
    options: &Options,
    answers: Answers<'_>,
    judges: &mut Judges<'_>,
    watch: &mut dyn Watch,
) -> Result<Outcome, EvalError> {
    let mut prepared = Vec::new();
    let mut groups = Vec::new();
    for chosen in chosen {
        match chosen {
            Chosen::Task(task) => {
                judges.demanded_by(&task)?;
                prepared.push(prepare(*task, library, options)?);
            }
            Chosen::Group(group, tasks) => groups.push((*group, tasks)),
        }
    }
    for prepared in &mut prepared {
        let mut cut = 0;
        let mut all = 0;
        for request in prepared.cases.iter().flat_map(|case| &case.requests) {
            all += 1;
            cut += usize::from(loses_its_beginning(subject, request)?);
        }
        if cut > 0 {
            let positions = subject.engine.spec().positions;
            prepared.notes.push(format!(
                "{cut} of {all} requests are longer than the model's context of {positions} tokens, and lost their beginning, \
                 as the harness cuts them"
            ));
        }
    }
    let mut cache = match answers {
        Answers::InMemory => Cache::in_memory(),
        Answers::Kept { path, fingerprint } => Cache::open(path, &format!("{fingerprint} seed {}", options.seed))?,
    };
    let requests: Vec<&Request> =
        prepared.iter().flat_map(|task| &task.cases).flat_map(|case| &case.requests).collect();
    let found = ask(subject, &requests, options.seed, &mut cache, watch)?;
    let mut rest = found.as_slice();
    let mut tasks = Vec::new();
    for prepared in prepared {
        let count = prepared.cases.iter().map(|case| case.requests.len()).sum();
        let (own, later) = rest.split_at(count);
        rest = later;
        tasks.push(score(prepared, own, options, judges)?);
    }
    let groups = groups.into_iter().map(|(group, names)| combine(group, names, &tasks)).collect();
    Ok(Outcome { tasks, groups })
}

/// A task, and of each of its documents the requests.
pub type Asked = (Task, Vec<Vec<Value>>);

/// What would be asked of a model, of each task: for each document its requests, each a list of a context and what follows it (a text
/// alone where a whole text is scored).
///
/// # Errors
/// Whatever is wrong with data and definitions.
pub fn requests(chosen: Vec<Chosen>, library: &Library<'_>, options: &Options) -> Result<Vec<Asked>, EvalError> {
    let mut found = Vec::new();
    for chosen in chosen {
        if let Chosen::Task(task) = chosen {
            let prepared = prepare(*task, library, options)?;
            let of = |case: &Case| case.requests.iter().map(Request::arguments).collect();
            found.push((prepared.task, prepared.cases.iter().map(of).collect()));
        }
    }
    Ok(found)
}

/// Where answers are kept.
#[derive(Clone, Copy, Debug)]
pub enum Answers<'a> {
    /// Nowhere: they are forgotten with the run.
    InMemory,
    /// In a file, of a model as it is asked.
    Kept {
        /// The file.
        path: &'a std::path::Path,
        /// What tells this model, in this precision, from others.
        fingerprint: &'a str,
    },
}

fn prepare(mut task: Task, library: &Library<'_>, options: &Options) -> Result<Prepared, EvalError> {
    let mut notes = Vec::new();
    if let Some(most) = options.max_gen_toks {
        task.generating.max_tokens = most;
    }
    let shots = match (task.num_fewshot, options.num_fewshot) {
        (Some(0), Some(wanted)) if wanted > 0 => {
            notes.push(format!("{wanted} examples were asked for; the task is defined with none, and has none"));
            0
        }
        (own, wanted) => wanted.or(own).unwrap_or(0),
    };
    let name = task.name.clone();
    let split = task.split().expect("checked when it was read").to_owned();
    let in_task = |why: String| EvalError::Task { task: name.clone(), why };
    let open = |split: &str| -> Result<(Vec<Document>, Source), EvalError> {
        let failed = |error: DataError| EvalError::Data { task: name.clone(), error };
        let Split { rows, files, revision, sha256, .. } =
            library.open(&placed(&task.dataset, split), split).map_err(failed)?;
        let files = files.iter().map(|file| file.display().to_string()).collect();
        Ok((rows, Source { split: split.to_owned(), files, revision, sha256 }))
    };
    let processed = |rows: Vec<Document>, function: Option<crate::functions::DocumentsFunction>| match function {
        Some(function) => (function.call)(rows).map_err(&in_task),
        None => Ok(rows),
    };
    let (rows, source) = open(&split)?;
    let documents = processed(rows, task.process_docs)?;
    if documents.is_empty() {
        return Err(in_task(format!("no document of {split} is left to be measured")));
    }
    let examples = if shots == 0 {
        Vec::new()
    } else if let Some(samples) = &task.examples.samples {
        samples.clone()
    } else {
        let own = task.examples.split.as_deref();
        let from = own.or(task.training_split.as_deref()).or(task.validation_split.as_deref()).unwrap_or(&split);
        if from == split { documents.clone() } else { processed(open(from)?.0, task.examples.process_docs)? }
    };
    // The harness takes the document itself out where the split of examples is the test split, both being unnamed included.
    let same_split = task.examples.samples.is_none() && task.examples.split == task.test_split;
    let all = documents.len();
    let measured = options.limit.map_or(all, |limit| limit.of(all));
    if measured == 0 {
        return Err(in_task("the limit leaves no document".to_owned()));
    }
    let mut prompter = Prompter::new(&task, shots, examples, same_split, options.fewshot_seed).map_err(&in_task)?;
    let mut cases = Vec::with_capacity(measured);
    for (index, document) in documents.into_iter().take(measured).enumerate() {
        let located =
            |why: String| EvalError::Document { task: name.clone(), split: split.clone(), document: index, why };
        cases.push(prompter.case(index, document).map_err(located)?);
    }
    Ok(Prepared { task, shots, documents: all, source, cases, notes })
}

fn score(
    prepared: Prepared,
    answers: &[crate::answer::Answer],
    options: &Options,
    judges: &mut Judges<'_>,
) -> Result<TaskOutcome, EvalError> {
    let Prepared { task, shots, documents, source, cases, notes } = prepared;
    let mut scores = Vec::new();
    let mut samples = Vec::new();
    for pipeline in &task.pipelines {
        // In the order of the definition, then of whatever else was measured.
        let mut collected: BTreeMap<usize, (String, Vec<Measure>)> = BTreeMap::new();
        let mut rest = answers;
        for case in &cases {
            let (own, later) = rest.split_at(case.requests.len());
            rest = later;
            let (measures, left) = measure(&task, pipeline, case, own, judges).map_err(|why| EvalError::Document {
                task: task.name.clone(),
                split: source.split.clone(),
                document: case.index,
                why,
            })?;
            for (name, measure) in &measures {
                let known = task.metrics.iter().position(|metric| metric.name == *name);
                let Some(at) = known else { continue };
                collected.entry(at).or_insert_with(|| (name.clone(), Vec::new())).1.push(measure.clone());
            }
            samples.push(Sample {
                doc_id: case.index,
                document: case.document.clone(),
                target: case.target.clone(),
                arguments: case.requests.iter().map(Request::arguments).collect(),
                answers: own.iter().map(crate::answer::Answer::json).collect(),
                filtered: left.iter().map(crate::answer::Answer::json).collect(),
                filter: pipeline.name.clone(),
                measures,
            });
        }
        for (at, (name, measures)) in collected {
            let metric = &task.metrics[at];
            let value = metric.aggregation.score(&measures).map_err(|why| EvalError::Task {
                task: task.name.clone(),
                why: format!("the score `{name}`: {why}"),
            })?;
            let standard_error = metric.aggregation.standard_error(&measures, options.bootstrap_iterations);
            scores.push(Score {
                metric: name,
                filter: pipeline.name.clone(),
                value,
                standard_error,
                count: measures.len(),
                higher_is_better: metric.higher_is_better,
            });
        }
    }
    let measured = cases.len();
    let judged = judges.described(&task);
    Ok(TaskOutcome { task, num_fewshot: shots, documents, measured, source, judged, scores, samples, notes })
}

/// A set with the places where a user would put files of it, after those that its definition names: under the data folder a folder
/// for the set, in that one for its configuration, and files named as their splits.
fn placed(dataset: &Dataset, split: &str) -> Dataset {
    let mut dataset = dataset.clone();
    let Some(path) = dataset.path.as_deref().filter(|path| !path.contains("..")) else { return dataset };
    let folder = format!("{path}/{}", dataset.name.as_deref().unwrap_or("default"));
    let places = dataset.local.entry(split.to_owned()).or_default();
    places.extend([Place::new(format!("{folder}/{split}.*")), Place::new(format!("{folder}/{split}/*.arrow"))]);
    dataset
}

/// The scores of a group, as the harness combines them.
fn combine(group: Group, names: Vec<String>, tasks: &[TaskOutcome]) -> GroupOutcome {
    let members: Vec<&TaskOutcome> =
        names.iter().filter_map(|name| tasks.iter().find(|t| t.task.name == *name)).collect();
    let mut scores = Vec::new();
    for aggregate in &group.aggregates {
        for filter in &aggregate.filters {
            // Of a task with several of the scores, their mean.
            let of = |task: &TaskOutcome| {
                let named = aggregate.metrics.iter().filter_map(|metric| {
                    task.scores.iter().find(|score| score.metric == *metric && score.filter == *filter).cloned()
                });
                let named: Vec<Score> = named.collect();
                let count = named.len() as f64;
                let first = named.first()?.clone();
                let value = named.iter().map(|score| score.value).sum::<f64>() / count;
                let standard_error = if named.len() == 1 { first.standard_error } else { None };
                Some(Score { value, standard_error, count: task.measured, ..first })
            };
            let found: Vec<Score> = members.iter().filter_map(|task| of(task)).collect();
            let Some(first) = found.first() else { continue };
            let weights: Vec<f64> =
                found.iter().map(|score| if aggregate.weight_by_size { score.count as f64 } else { 1.0 }).collect();
            let all: f64 = weights.iter().sum();
            let value = found.iter().zip(&weights).map(|(score, weight)| score.value * weight).sum::<f64>() / all;
            let errors: Option<Vec<f64>> = found.iter().map(|score| score.standard_error).collect();
            scores.push(Score {
                metric: aggregate.name.clone(),
                filter: filter.clone(),
                value,
                standard_error: errors.and_then(|errors| pooled(&errors, &found, aggregate.weight_by_size)),
                count: found.iter().map(|score| score.count).sum(),
                higher_is_better: first.higher_is_better,
            });
        }
    }
    GroupOutcome { group, tasks: names, scores }
}

/// The standard error of a group's mean, of those of its tasks.
fn pooled(errors: &[f64], scores: &[Score], weighted: bool) -> Option<f64> {
    if !weighted {
        return Some(errors.iter().map(|error| error * error).sum::<f64>().sqrt() / errors.len() as f64);
    }
    let sizes = scores.iter().map(|score| score.count as f64);
    let all: f64 = sizes.clone().sum();
    let variance: f64 = sizes.zip(errors).map(|(size, error)| (size - 1.0) * error * error * size).sum();
    (all > errors.len() as f64).then(|| (variance / (all - errors.len() as f64) / all).sqrt())
}
