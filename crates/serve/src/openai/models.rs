//! `/v1/models`: what is offered.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use serde_json::{Value, json};

use crate::app::App;
use crate::models::Entry;
use crate::problem::Problem;

pub(super) async fn list(State(app): State<Arc<App>>) -> Json<Value> {
    let data: Vec<Value> = app.catalogue.entries().iter().map(shown).collect();
    Json(json!({"object": "list", "data": data}))
}

pub(super) async fn one(State(app): State<Arc<App>>, Path(name): Path<String>) -> Result<Json<Value>, Problem> {
    Ok(Json(shown(&app.catalogue.entry(&name)?)))
}

fn shown(entry: &Entry) -> Value {
    let mut shown = json!({
        "id": entry.name,
        "object": "model",
        "created": entry.created,
        "owned_by": "gptneo",
        "parent": entry.base,
        "root": entry.base.as_ref().unwrap_or(&entry.name),
    });
    if let Some(model) = &entry.model {
        shown["max_model_len"] = json!(model.spec.positions);
    }
    shown
}
