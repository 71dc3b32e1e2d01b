//! `gptneo runs list`.

use std::path::Path;

use gptneo_runs::{EVALUATION, Filter, Run, Score, Store, now};
use serde::Serialize;

use super::{ago, value, worked};
use crate::args::ListRunsArgs;
use crate::failure::Failure;
use crate::terminal;

#[derive(Serialize)]
struct Report {
    store: String,
    runs: Vec<Entry>,
}

#[derive(Serialize)]
struct Entry {
    #[serde(flatten)]
    run: Run,
    /// The state, or `lost`.
    standing: &'static str,
    loss: Option<f64>,
    /// Of an evaluation.
    scores: Vec<Score>,
}

/// The same for a store that is not there yet.
pub(super) fn nothing(args: &ListRunsArgs, path: &Path) -> Result<(), Failure> {
    let store = path.display().to_string();
    if args.json {
        return terminal::json(&Report { store, runs: Vec::new() });
    }
    terminal::line(&format!("no runs yet in {store}"))
}

pub(super) fn run(args: &ListRunsArgs, store: &Store) -> Result<(), Failure> {
    let ListRunsArgs { state, kind, name, limit, json } = args;
    let filter = Filter { state: state.clone(), kind: kind.clone(), name: name.clone(), limit: *limit };
    let now = now();
    let mut runs = Vec::new();
    for run in store.runs(&filter)? {
        let loss = store.summaries(run.id)?.into_iter().find(|summary| summary.name == "loss");
        let scores = if run.kind == EVALUATION { store.scores(run.id)? } else { Vec::new() };
        runs.push(Entry { standing: run.standing(now), loss: loss.map(|summary| summary.last), scores, run });
    }
    let path = store.path().display().to_string();
    if *json {
        return terminal::json(&Report { store: path, runs });
    }
    if runs.is_empty() {
        return terminal::line(&format!("no such runs in {path}"));
    }
    let mut rows = vec![["run", "kind", "state", "step", "result", "worked", "began"].map(str::to_owned).to_vec()];
    for Entry { run, standing, loss, scores } in runs {
        let step = match (run.last_step, run.steps) {
            (Some(last), Some(steps)) => format!("{}/{}", terminal::grouped(last), terminal::grouped(steps)),
            // An evaluation takes no steps.
            (Some(last), None) if run.kind != EVALUATION => terminal::grouped(last),
            _ => "-".to_owned(),
        };
        let result = match (loss, scores.as_slice()) {
            (Some(loss), _) => format!("loss {}", value(loss)),
            (None, [first, rest @ ..]) => {
                let more = if rest.is_empty() { String::new() } else { format!(", {} more", rest.len()) };
                terminal::harmless(&format!("{}/{} {}{more}", first.on, first.name, value(first.value)))
            }
            (None, []) => "-".to_owned(),
        };
        let (worked, began) = (worked(&run, now), ago(run.started, now));
        rows.push(vec![terminal::harmless(&run.name), run.kind, standing.to_owned(), step, result, worked, began]);
    }
    terminal::line(&terminal::columns(&rows, &[false, false, false, true, true, true, true]))
}
