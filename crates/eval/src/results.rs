//! Results as the reference harness writes them, so that whatever reads its files reads ours.
//!
//! Beside the harness's fields every task has `dataset` (split, files, revision, SHA-256), `protocol` where a task has several,
//! `head` where tasks were measured on models of their own, `judged_by` where something beside its own rules judged, `contamination` and
//! `clean` (the scores again without what stands in training data) where that was looked for, and `notes`; `config` names the precision of
//! weights and cache.

use serde_json::{Map, Value, json};

use crate::contamination::Verdict;
use crate::definition::Task;
use crate::hash;
use crate::python;
use crate::run::{Outcome, Sample, Score, TaskOutcome};

/// What is known of a run beside its scores.
#[derive(Clone, Debug, Default)]
pub struct About {
    /// The model, as the user named it.
    pub model: String,
    /// More of it: parameters, types of weights and cache, revision.
    pub model_details: Map<String, Value>,
    /// What was asked for: the limit, seeds and the like.
    pub options: Map<String, Value>,
    /// The code's version.
    pub version: String,
    /// When it began, in seconds since 1970.
    pub began: f64,
    /// How long it took, in seconds.
    pub seconds: f64,
    /// Beginning, end and padding tokens, and the context.
    pub tokenizer: Map<String, Value>,
}

/// The results of a run.
pub fn results(outcome: &Outcome, about: &About) -> Value {
    let mut found = Map::new();
    let by_task = |value: &dyn Fn(&TaskOutcome) -> Value| -> Value {
        outcome.tasks.iter().map(|task| (task.task.name.clone(), value(task))).collect::<Map<_, _>>().into()
    };
    let mut scores: Map<String, Value> = Map::new();
    let mut groups = Map::new();
    let mut members = Map::new();
    for group in &outcome.groups {
        let name = &group.group.name;
        let shown = row(name, group.group.alias.as_deref(), &group.scores, None);
        if !group.scores.is_empty() {
            groups.insert(name.clone(), shown.clone());
        }
        scores.insert(name.clone(), shown);
        members.insert(name.clone(), json!(group.tasks));
    }
    for task in &outcome.tasks {
        let name = &task.task.name;
        let mut shown = row(name, task.task.alias.as_deref(), &task.scores, Some(task.measured));
        if let Some(protocol) = &task.task.protocol {
            shown["protocol"] = json!(protocol);
        }
        if let Some(head) = &task.head {
            shown["head"] = json!(head);
        }
        if !task.judged.is_empty() {
            shown["judged_by"] = json!(task.judged);
        }
        if let Some(found) = &task.contamination {
            shown["contamination"] = found.json();
            let mut clean = Map::new();
            insert_scores(&mut clean, &found.clean);
            shown["clean"] = clean.into();
        }
        scores.insert(name.clone(), shown);
        members.entry(name.clone()).or_insert_with(|| json!([]));
    }
    found.insert("results".to_owned(), scores.into());
    if !groups.is_empty() {
        found.insert("groups".to_owned(), groups.into());
    }
    found.insert("group_subtasks".to_owned(), members.into());
    found.insert("configs".to_owned(), by_task(&|task| config(task)));
    let mut versions: Map<String, Value> =
        outcome.tasks.iter().map(|task| (task.task.name.clone(), task.task.version.clone())).collect();
    versions.extend(outcome.groups.iter().map(|group| (group.group.name.clone(), group.group.version.clone())));
    found.insert("versions".to_owned(), versions.into());
    found.insert("n-shot".to_owned(), by_task(&|task| json!(task.num_fewshot)));
    found.insert(
        "higher_is_better".to_owned(),
        by_task(&|task| {
            task.scores.iter().map(|score| (score.metric.clone(), json!(score.higher_is_better))).collect()
        }),
    );
    found.insert(
        "n-samples".to_owned(),
        by_task(&|task| json!({"original": task.documents, "effective": task.measured})),
    );
    found.insert("dataset".to_owned(), by_task(&|task| task.source.json()));
    let notes: Map<String, Value> = outcome
        .tasks
        .iter()
        .filter(|task| !task.notes.is_empty())
        .map(|task| (task.task.name.clone(), json!(task.notes)))
        .collect();
    if !notes.is_empty() {
        found.insert("notes".to_owned(), notes.into());
    }
    if let Some(scanned) = &outcome.scanned {
        found.insert("contamination".to_owned(), scanned.json());
    }
    let mut settings =
        Map::from_iter([("model".to_owned(), json!("gptneo")), ("model_args".to_owned(), json!(about.model))]);
    settings.extend(about.model_details.clone());
    settings.extend(about.options.clone());
    found.insert("config".to_owned(), settings.into());
    found.insert("git_hash".to_owned(), Value::Null);
    found.insert("gptneo_version".to_owned(), json!(about.version));
    found.insert("date".to_owned(), json!(about.began));
    found.extend(about.tokenizer.clone());
    found.insert("model_source".to_owned(), json!("gptneo"));
    found.insert("model_name".to_owned(), json!(about.model));
    found.insert("model_name_sanitized".to_owned(), json!(file_name(&about.model)));
    found.insert("task_hashes".to_owned(), by_task(&|task| json!(task_hash(&task.samples))));
    found.insert("total_evaluation_time_seconds".to_owned(), json!(about.seconds.to_string()));
    found.into()
}

/// A name that is safe as that of a file.
pub fn file_name(name: &str) -> String {
    let plain = |c: char| if c.is_ascii_alphanumeric() || "-_.".contains(c) { c } else { '_' };
    let name: String = name.chars().map(plain).collect();
    let name = name.trim_start_matches('.').to_owned();
    if name.is_empty() { "model".to_owned() } else { name.chars().take(120).collect() }
}

fn row(name: &str, alias: Option<&str>, scores: &[Score], measured: Option<usize>) -> Value {
    let mut row = Map::from_iter([("alias".to_owned(), json!(alias.unwrap_or(name)))]);
    if let Some(measured) = measured {
        row.insert("sample_len".to_owned(), json!(measured));
    }
    insert_scores(&mut row, scores);
    row.into()
}

fn insert_scores(row: &mut Map<String, Value>, scores: &[Score]) {
    let mut counts = Map::new();
    for score in scores {
        let key = format!("{},{}", score.metric, score.filter);
        row.insert(key.clone(), json!(score.value));
        let error = score.standard_error.map_or(json!("N/A"), |error| json!(error));
        row.insert(format!("{}_stderr,{}", score.metric, score.filter), error);
        counts.insert(key, json!(score.count));
    }
    row.insert("sample_count".to_owned(), counts.into());
}

fn config(outcome: &TaskOutcome) -> Value {
    let Task { source, .. } = &outcome.task;
    let mut config = source.as_ref().clone();
    config["num_fewshot"] = json!(outcome.num_fewshot);
    config
}

/// The lines of a file of samples.
pub fn samples(outcome: &TaskOutcome) -> impl Iterator<Item = Value> + '_ {
    outcome.samples.iter().map(sample)
}

fn sample(sample: &Sample) -> Value {
    let arguments: Map<String, Value> = sample
        .arguments
        .iter()
        .enumerate()
        .map(|(at, arguments)| {
            let parts = arguments.as_array().into_iter().flatten().enumerate();
            let named: Map<String, Value> = parts.map(|(part, value)| (format!("arg_{part}"), value.clone())).collect();
            (format!("gen_args_{at}"), named.into())
        })
        .collect();
    let prompt = sample.arguments.first().and_then(|arguments| arguments.get(0)).map(python::display);
    let mut found = Map::from_iter([
        ("doc_id".to_owned(), json!(sample.doc_id)),
        ("doc".to_owned(), json!(sample.document)),
        ("target".to_owned(), json!(python::display(&sample.target))),
        ("arguments".to_owned(), arguments.into()),
        ("resps".to_owned(), sample.answers.iter().map(|answer| json!([answer])).collect()),
        ("filtered_resps".to_owned(), json!(sample.filtered)),
        ("filter".to_owned(), json!(sample.filter)),
        ("metrics".to_owned(), sample.measures.iter().map(|(name, _)| json!(name)).collect()),
        ("doc_hash".to_owned(), json!(hash(python::json_dumps(&json!(sample.document)).as_bytes()))),
        ("prompt_hash".to_owned(), json!(hash(prompt.unwrap_or_default().as_bytes()))),
        ("target_hash".to_owned(), json!(hash(python::display(&sample.target).as_bytes()))),
    ]);
    for (name, measure) in &sample.measures {
        found.insert(name.clone(), measure.json());
    }
    if let Some(verdict) = &sample.contamination {
        found.insert("contaminated".to_owned(), json!(verdict.contaminated()));
        if let Verdict::Contaminated(matched) = verdict {
            found.insert("contamination".to_owned(), matched.json());
        }
    }
    found.into()
}

/// Over documents, prompts and targets of all samples, so that two runs of the same requests show it.
fn task_hash(samples: &[Sample]) -> String {
    let all: Vec<String> = samples
        .iter()
        .map(|sample| hash(json!([sample.document, sample.arguments, sample.target]).to_string().as_bytes()))
        .collect();
    hash(all.join("").as_bytes())
}
