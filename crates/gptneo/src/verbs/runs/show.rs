//! `gptneo runs show`.

use gptneo_runs::{EVALUATION, Note, Pending, Run, Score, Store, StoredArtifact, Summary, Text, TextKind, now};
use serde::Serialize;

use super::{ago, value, worked};
use crate::args::ShowRunArgs;
use crate::failure::Failure;
use crate::terminal;

/// Samples and messages that are shown.
const TEXTS: usize = 5;

#[derive(Serialize)]
struct Report {
    #[serde(flatten)]
    run: Run,
    standing: &'static str,
    settings: serde_json::Map<String, serde_json::Value>,
    metrics: Vec<Summary>,
    /// Of an evaluation: its metrics, each with its standard error.
    scores: Vec<Score>,
    samples: Vec<Text>,
    messages: Vec<Text>,
    artifacts: Vec<StoredArtifact>,
    notes: Vec<Note>,
    sinks: Vec<SinkState>,
}

#[derive(Serialize)]
struct SinkState {
    kind: String,
    target: String,
    #[serde(flatten)]
    pending: Pending,
}

pub(super) fn run(args: &ShowRunArgs, store: &Store) -> Result<(), Failure> {
    let run = store.find(&args.run)?;
    let id = run.id;
    let settings = store.settings(id)?;
    let sinks = store.sinks(id)?.into_iter();
    let report = Report {
        standing: run.standing(now()),
        settings: settings.into_iter().map(|(key, value)| (key, value.into())).collect(),
        metrics: store.summaries(id)?,
        scores: if run.kind == EVALUATION { store.scores(id)? } else { Vec::new() },
        samples: store.texts(id, TextKind::Sample, TEXTS)?,
        messages: store.texts(id, TextKind::Message, TEXTS)?,
        artifacts: store.artifacts(id)?,
        notes: store.notes(id)?,
        sinks: sinks.map(|(kind, target, pending)| SinkState { kind, target, pending }).collect(),
        run,
    };
    if args.json { terminal::json(&report) } else { page(&report) }
}

fn page(report: &Report) -> Result<(), Failure> {
    let (run, now) = (&report.run, now());
    let origin = &run.origin;
    let mut facts = vec![
        ("run", format!("{} (number {}, {})", run.name, run.id, run.uid)),
        ("kind", run.kind.clone()),
        ("state", report.standing.to_owned()),
        ("began", ago(run.started, now)),
        ("worked", worked(run, now)),
        ("code", origin.code.clone()),
        ("host", origin.host.clone()),
        ("device", origin.device.clone()),
        ("ranks", origin.ranks.to_string()),
    ];
    facts.extend(origin.data_hash.clone().map(|hash| ("data", hash)));
    facts.extend(origin.tokenizer_hash.clone().map(|hash| ("tokenizer", hash)));
    facts.extend(origin.folder.clone().map(|folder| ("folder", folder)));
    let facts = facts.into_iter().filter(|(_, fact)| !fact.is_empty());
    let facts: Vec<Vec<String>> = facts.map(|(name, fact)| vec![name.to_owned(), terminal::harmless(&fact)]).collect();
    terminal::line(&terminal::columns(&facts, &[false, false]))?;

    if !report.settings.is_empty() {
        terminal::line("\nsettings")?;
        let text = |value: &serde_json::Value| terminal::harmless(value.as_str().unwrap_or_default());
        let rows: Vec<Vec<String>> =
            report.settings.iter().map(|(key, value)| vec![format!("  {key}"), text(value)]).collect();
        terminal::line(&terminal::columns(&rows, &[false, false]))?;
    }
    if !report.scores.is_empty() {
        let mut rows = vec![["on", "score", "value", "±"].map(str::to_owned).to_vec()];
        for Score { on, name, value: found, standard_error } in &report.scores {
            let error = standard_error.map_or_else(|| "-".to_owned(), value);
            rows.push(vec![terminal::harmless(on), terminal::harmless(name), value(*found), error]);
        }
        terminal::line("")?;
        terminal::line(&terminal::columns(&rows, &[false, false, true, true]))?;
    } else if !report.metrics.is_empty() {
        let mut rows = vec![["metric", "values", "step", "last", "least", "most"].map(str::to_owned).to_vec()];
        let bound = |bound: Option<f64>| bound.map_or_else(|| "-".to_owned(), value);
        for metric in &report.metrics {
            rows.push(vec![
                metric.name.clone(),
                terminal::grouped(metric.count),
                terminal::grouped(metric.last_step),
                value(metric.last),
                bound(metric.min),
                bound(metric.max),
            ]);
        }
        terminal::line("")?;
        terminal::line(&terminal::columns(&rows, &[false, true, true, true, true, true]))?;
    }
    for artifact in report.artifacts.iter().map(|stored| &stored.artifact) {
        let at = artifact.step.map_or_else(String::new, |step| format!(" after step {step}"));
        let size = terminal::size(artifact.bytes);
        terminal::line(&terminal::harmless(&format!("\n{}{at}: {} ({size})", artifact.name, artifact.path)))?;
    }
    let at = |text: &Text| text.step.map_or_else(String::new, |step| format!("step {step}: "));
    for text in &report.messages {
        terminal::line(&terminal::harmless(&format!("\n{}{}: {}", at(text), text.title, text.body)))?;
    }
    if let Some(sample) = report.samples.last() {
        terminal::line(&terminal::harmless(&format!("\nsample, {}{}{}", at(sample), sample.title, sample.body)))?;
    }
    for note in &report.notes {
        terminal::line(&terminal::harmless(&format!("\nnote, {}: {}", ago(note.time, now), note.body)))?;
    }
    for SinkState { kind, target, pending } in &report.sinks {
        let left = pending.metrics + pending.texts;
        let state = if left == 0 { "all delivered".to_owned() } else { format!("{left} entries wait: runs sync") };
        terminal::line(&format!("\n{kind} {target}: {state}"))?;
    }
    Ok(())
}
