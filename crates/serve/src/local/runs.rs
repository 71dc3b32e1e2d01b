//! `/local/runs`: what was trained or measured, and how it goes.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, RawQuery, State};
use gptneo_runs::curve::thin;
use gptneo_runs::{Filter, Run, RunId, RunsError, Store, TextKind, Time, now};
use serde_json::{Map, Value, json};

use super::query::Query;
use super::store::ask;
use crate::app::App;
use crate::problem::Problem;

/// Runs that are listed: the newest.
const MOST_RUNS: usize = 500;
/// Samples and messages of one run that are shown: the last.
const MOST_TEXTS: usize = 50;
/// A curve has at most twice as many points.
const COLUMNS: usize = 1000;

pub(super) async fn list(State(app): State<Arc<App>>) -> Result<Json<Value>, Problem> {
    let runs = ask(&app, |store| {
        let Some(store) = store else { return Ok(Vec::new()) };
        let (runs, now) = (store.runs(&Filter { limit: Some(MOST_RUNS), ..Filter::default() })?, now());
        runs.iter().map(|run| brief(store, run, now)).collect()
    });
    Ok(Json(json!({"runs": runs.await?})))
}

pub(super) async fn one(State(app): State<Arc<App>>, Path(id): Path<String>) -> Result<Json<Value>, Problem> {
    let id = number(&id)?;
    let found = ask(&app, move |store| {
        let store = store.ok_or_else(|| unknown(id))?;
        let run = store.run(id)?;
        let settings = store.settings(id)?.into_iter().map(|(name, value)| (name, Value::String(value)));
        let settings: Map<String, Value> = settings.collect();
        let samples = store.texts(id, TextKind::Sample, MOST_TEXTS)?;
        let samples = samples.iter().map(|text| json!({"step": text.step, "prompt": text.title, "text": text.body}));
        let messages = store.texts(id, TextKind::Message, MOST_TEXTS)?;
        let messages = messages.iter().map(|text| json!({"step": text.step, "level": text.title, "text": text.body}));
        let notes = store.notes(id)?;
        Ok(json!({
            "run": brief(store, &run, now())?,
            "settings": settings,
            "metrics": store.metric_names(id)?,
            "samples": samples.collect::<Vec<_>>(),
            "messages": messages.collect::<Vec<_>>(),
            "notes": notes.iter().map(|note| json!({"when": note.time, "text": note.body})).collect::<Vec<_>>(),
        }))
    });
    found.await.map(Json)
}

pub(super) async fn series(
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
    RawQuery(query): RawQuery,
) -> Result<Json<Value>, Problem> {
    let id = number(&id)?;
    let mut query = Query::parse(query.as_deref())?;
    let metric = query.required("metric")?;
    let after = query.number("after")?;
    query.finish()?;
    let points = ask(&app, move |store| {
        let store = store.ok_or_else(|| unknown(id))?;
        store.run(id)?;
        let points = store.series_after(id, &metric, after)?;
        let finite = points.iter().filter(|point| point.value.is_finite());
        let places: Vec<(f64, f64)> = finite.map(|point| (point.step as f64, point.value)).collect();
        Ok(thin(&places, COLUMNS))
    });
    let points: Vec<Value> = points.await?.into_iter().map(|(step, value)| json!([step as u64, value])).collect();
    Ok(Json(json!({"points": points})))
}

fn number(id: &str) -> Result<RunId, Problem> {
    let number = id.parse().map_err(|_| Problem::not_found("there is no such run: a run here goes by its number"))?;
    Ok(RunId::numbered(number))
}

fn unknown(id: RunId) -> RunsError {
    RunsError::UnknownRun { wanted: id.to_string(), known: Vec::new() }
}

/// A run in a line.
fn brief(store: &Store, run: &Run, now: Time) -> Result<Value, RunsError> {
    let until = run.ended.unwrap_or(if run.is_lost(now) { run.seen } else { now });
    Ok(json!({
        "id": run.id,
        "name": run.name,
        "kind": run.kind,
        "state": run.standing(now),
        "started": run.started,
        "seconds": (until - run.started).max(0.0),
        "steps": run.last_step,
        "planned": run.steps,
        "loss": store.last_value(run.id, "loss")?,
        "tokens_per_second": store.last_value(run.id, "tokens_per_second")?,
    }))
}
