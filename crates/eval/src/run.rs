//! An evaluation: tasks into requests, requests into answers, answers into scores.
//!
//! All tasks are asked together, so that their requests share batches and beginnings. What comes out depends on the model, the data, the
//! definitions and the options alone: not on the order of answers, nor on how often the run was stopped and gone on with.

mod collected;
mod groups;
mod outcome;
#[cfg(test)]
pub(crate) mod trial;

use serde_json::Value;

use crate::aggregate::BOOTSTRAP_ITERATIONS;
use crate::answer::Request;
use crate::asking::{Question, Subject, Watch, ask, encoded, is_cut};
use crate::cache::Cache;
use crate::catalog::Chosen;
use crate::contamination::{Decontamination, Found, Scanned, TaskContamination, find};
use crate::contrast;
use crate::data::{DataError, Dataset, Library, Place, Split};
use crate::definition::{Group, Output, Task};
use crate::document::Document;
use crate::error::EvalError;
use crate::heads::{self, LabelOrder};
use crate::judges::{Judges, NOT_RUN};
use crate::measure::measure;
use crate::prompt::{Case, Prompter};
use collected::Collected;
use groups::combine;
pub use outcome::{GroupOutcome, Outcome, Sample, Score, Source, TaskOutcome};

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
    /// Token shards in which documents are looked for, and scores again without those that stand there.
    pub decontamination: Option<Decontamination>,
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
            decontamination: None,
        }
    }
}

/// A task with its cases made.
pub(crate) struct PreparedTask {
    pub(crate) task: Task,
    shots: usize,
    documents: usize,
    pub(crate) source: Source,
    pub(crate) cases: Vec<Case>,
    notes: Vec<String>,
    /// Which documents stand in token shards, where that was looked for.
    contamination: Option<TaskContamination>,
}

impl PreparedTask {
    fn requests(&self) -> impl Iterator<Item = &Request> {
        self.cases.iter().flat_map(|case| &case.requests)
    }

    /// As [`contamination`](crate::contamination) looks at it.
    pub(crate) fn asked(&self) -> (&Task, &str, Vec<&Document>) {
        (&self.task, &self.source.split, self.cases.iter().map(|case| &case.document).collect())
    }
}

/// Tasks with their documents read and their requests made: what can be put to one model after another, or to one again and again.
pub struct Prepared {
    tasks: Vec<PreparedTask>,
    groups: Vec<(Group, Vec<String>)>,
    options: Options,
    scanned: Option<Scanned>,
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
    let prepared = prepare(chosen, library, options, judges, watch)?;
    let tasks = prepared.measure(&|_| true, subject, answers, judges, watch)?;
    prepared.outcome(tasks)
}

/// Reads the documents of what was chosen, and makes requests of them.
///
/// # Errors
/// Whatever is wrong with data and definitions, and a judge that is missing.
pub fn prepare(
    chosen: Vec<Chosen>,
    library: &Library<'_>,
    options: &Options,
    judges: &Judges<'_>,
    watch: &mut dyn Watch,
) -> Result<Prepared, EvalError> {
    let mut prepared = Prepared { tasks: Vec::new(), groups: Vec::new(), options: options.clone(), scanned: None };
    for chosen in chosen {
        match chosen {
            Chosen::Task(task) => {
                judges.demanded_by(&task)?;
                prepared.tasks.push(prepare_task(*task, library, options)?);
            }
            Chosen::Group(group, tasks) => prepared.groups.push((*group, tasks)),
        }
    }
    for (group, names) in &prepared.groups {
        contrast::checked(group, &prepared.counted(names))?;
    }
    if let Some(plan) = &options.decontamination {
        let asked: Vec<_> = prepared.tasks.iter().map(PreparedTask::asked).collect();
        let Found { tasks, scanned } = find(&asked, plan, watch)?;
        for (task, found) in prepared.tasks.iter_mut().zip(tasks) {
            task.contamination = Some(found);
        }
        prepared.scanned = Some(scanned);
    }
    Ok(prepared)
}

impl Prepared {
    /// How many documents each of the tasks has.
    fn counted<'a>(&self, names: &'a [String]) -> Vec<(&'a str, usize)> {
        let count = |name: &'a String| {
            let own = self.tasks.iter().find(|prepared| prepared.task.name == *name)?;
            Some((name.as_str(), own.cases.len()))
        };
        names.iter().filter_map(count).collect()
    }

    /// Puts those of the tasks that `whose` takes to a model, all together.
    ///
    /// # Errors
    /// A model that does not fit one of them, before anything is asked; whatever goes wrong in asking.
    pub fn measure(
        &self,
        whose: &dyn Fn(&Task) -> bool,
        subject: &mut Subject<'_>,
        answers: Answers<'_>,
        judges: &mut Judges<'_>,
        watch: &mut dyn Watch,
    ) -> Result<Vec<TaskOutcome>, EvalError> {
        let tasks: Vec<&PreparedTask> = self.tasks.iter().filter(|prepared| whose(&prepared.task)).collect();
        let spec = subject.engine.spec();
        let labels = spec.classifier.as_ref().map(|classifier| classifier.labels().to_vec());
        let positions = spec.positions;
        let order = |prepared: &&PreparedTask| heads::order(&prepared.task, labels.as_deref());
        let orders = tasks.iter().map(order).collect::<Result<Vec<_>, _>>()?;
        let mut questions = Vec::new();
        for request in tasks.iter().flat_map(|prepared| prepared.requests()) {
            questions.push(Question { encoded: encoded(subject.engine, request)?, request });
        }
        let mut cache = match answers {
            Answers::InMemory => Cache::in_memory(),
            Answers::Kept { path, fingerprint } => {
                Cache::open(path, &format!("{fingerprint} seed {}", self.options.seed))?
            }
        };
        let found = ask(subject, &questions, self.options.seed, &mut cache, watch)?;
        let (mut rest, mut asked) = (found.as_slice(), questions.as_slice());
        let mut outcomes = Vec::new();
        for (prepared, order) in tasks.into_iter().zip(orders) {
            let count = prepared.requests().count();
            let (own, later) = rest.split_at(count);
            let (questions, after) = asked.split_at(count);
            (rest, asked) = (later, after);
            let cut = questions.iter().filter(|one| is_cut(one.request, &one.encoded, positions)).count();
            let mut outcome = score(prepared, own, order.as_ref(), &self.options, judges, watch)?;
            outcome.notes.extend(order.and_then(|order| order.note));
            if cut > 0 {
                let lost = match prepared.task.output {
                    Output::Classification => "end, as fine-tuning cuts them",
                    _ => "beginning, as the harness cuts them",
                };
                outcome.notes.push(format!(
                    "{cut} of {count} requests are longer than the model's context of {positions} tokens, and lost their {lost}"
                ));
            }
            outcomes.push(outcome);
        }
        Ok(outcomes)
    }

    /// What was found, in the order in which it was chosen, with the scores of groups.
    ///
    /// # Errors
    /// A group's score that cannot be made of its tasks' documents.
    pub fn outcome(&self, mut tasks: Vec<TaskOutcome>) -> Result<Outcome, EvalError> {
        let place = |found: &TaskOutcome| self.tasks.iter().position(|prepared| prepared.task.name == found.task.name);
        tasks.sort_by_key(place);
        let iterations = self.options.bootstrap_iterations;
        let combined = self.groups.iter().map(|(group, names)| combine(group, names, &tasks, iterations));
        let groups = combined.collect::<Result<_, _>>()?;
        Ok(Outcome { tasks, groups, scanned: self.scanned.clone() })
    }
}

/// Tasks by name, each with how many documents are measured.
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
            let prepared = prepare_task(*task, library, options)?;
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

pub(crate) fn prepare_task(
    mut task: Task,
    library: &Library<'_>,
    options: &Options,
) -> Result<PreparedTask, EvalError> {
    let mut notes = Vec::new();
    if let Some(most) = options.max_gen_toks {
        let own = std::mem::replace(&mut task.generating.max_tokens, most);
        if own != most && task.output == Output::GenerateUntil {
            notes.push(format!("{most} new tokens at most, where the task is defined with {own}"));
        }
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
    let (rows, source) = match task.documents {
        Some(function) => {
            let rows = (function.call)();
            let sha256 = crate::hash(serde_json::json!(rows).to_string().as_bytes());
            (rows, Source { split: split.clone(), files: Vec::new(), revision: None, sha256 })
        }
        None => open(&split)?,
    };
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
    Ok(PreparedTask { task, shots, documents: all, source, cases, notes, contamination: None })
}

fn score(
    prepared: &PreparedTask,
    answers: &[crate::answer::Answer],
    order: Option<&LabelOrder>,
    options: &Options,
    judges: &mut Judges<'_>,
    watch: &dyn Watch,
) -> Result<TaskOutcome, EvalError> {
    let PreparedTask { task, shots, documents, source, cases, notes, contamination } = prepared;
    let (mut contamination, mut notes) = (contamination.clone(), notes.clone());
    if judges.lacking(task).is_some() {
        notes.push(NOT_RUN.to_owned());
    }
    let mut scores = Vec::new();
    let mut clean_scores = Vec::new();
    let mut samples = Vec::new();
    for pipeline in &task.pipelines {
        let mut collected = Collected::default();
        let mut clean = Collected::default();
        let mut rest = answers;
        for (at, case) in cases.iter().enumerate() {
            // A judge may take as long as the model did.
            if watch.stopped() {
                return Err(EvalError::Interrupted);
            }
            let (own, later) = rest.split_at(case.requests.len());
            rest = later;
            let ordered = order.map(|order| order.ordered(own));
            let ordered = ordered.as_deref().unwrap_or(own);
            let (measures, left) = measure(task, pipeline, case, ordered, judges).map_err(|why| {
                EvalError::Document { task: task.name.clone(), split: source.split.clone(), document: case.index, why }
            })?;
            let verdict = contamination.as_ref().map(|found| found.documents[at].clone());
            for (name, measure) in &measures {
                let known = task.metrics.iter().position(|metric| metric.name == *name);
                let Some(at) = known else { continue };
                let column = task.metrics[at].by.as_ref().and_then(|column| case.document.get(column));
                let group = column.filter(|value| !value.is_null()).map(crate::python::display);
                collected.push(at, group.as_deref(), measure);
                if verdict.as_ref().is_some_and(|verdict| !verdict.contaminated()) {
                    clean.push(at, group.as_deref(), measure);
                }
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
                contamination: verdict,
            });
        }
        scores.extend(collected.scores(task, &pipeline.name, options)?);
        match clean.scores(task, &pipeline.name, options) {
            Ok(found) => clean_scores.extend(found),
            Err(error) => notes.push(format!("there are no clean scores under `{}`: {error}", pipeline.name)),
        }
    }
    if let Some(found) = &mut contamination {
        if found.contaminated() == cases.len() {
            notes.push("every document stands in the training data, in part: there is no clean score".to_owned());
        }
        found.clean = clean_scores;
    }
    let measured = cases.len();
    Ok(TaskOutcome {
        judged: judges.described(task),
        task: task.clone(),
        num_fewshot: *shots,
        documents: *documents,
        measured,
        source: source.clone(),
        head: None,
        scores,
        samples,
        contamination,
        notes,
    })
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
