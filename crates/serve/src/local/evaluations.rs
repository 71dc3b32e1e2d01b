//! `/local/evaluations`: what models scored.

use std::collections::HashMap;
use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use gptneo_runs::{EVALUATION, Filter, Run, RunsError, Store};
use serde_json::{Value, json};

use super::store::ask;
use crate::app::App;
use crate::problem::Problem;

/// Evaluations that are listed: the newest.
const MOST: usize = 100;

pub(super) async fn list(State(app): State<Arc<App>>) -> Result<Json<Value>, Problem> {
    let found = ask(&app, |store| {
        let Some(store) = store else { return Ok(Vec::new()) };
        let filter = Filter { kind: Some(EVALUATION.to_owned()), limit: Some(MOST), ..Filter::default() };
        store.runs(&filter)?.iter().map(|run| evaluation(store, run)).collect::<Result<Vec<_>, _>>()
    });
    Ok(Json(json!({"evaluations": found.await?})))
}

fn evaluation(store: &Store, run: &Run) -> Result<Value, RunsError> {
    let settings: HashMap<String, String> = store.settings(run.id)?.into_iter().collect();
    // Settings are kept as text.
    let number = |name: String| settings.get(&name).and_then(|text| text.parse::<f64>().ok());
    let row = |score: gptneo_runs::Score| {
        let published = format!("published.{}.{}", score.on, score.name);
        json!({
            "task": score.on,
            "metric": score.name,
            "value": score.value,
            "stderr": score.standard_error,
            "samples": number(format!("data.{}.measured", score.on)).map(|count| count as u64),
            "published": number(format!("{published}.value")),
            "verdict": settings.get(&format!("{published}.verdict")),
        })
    };
    let rows: Vec<Value> = store.scores(run.id)?.into_iter().map(row).collect();
    Ok(json!({
        "id": run.id, "run": run.name, "model": settings.get("model").unwrap_or(&run.name), "when": run.started, "state": run.state, "rows": rows,
    }))
}
