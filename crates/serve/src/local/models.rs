//! `/local/models`: what is offered, as people want to know it.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use serde_json::{Value, json};

use super::blocking;
use crate::app::App;
use crate::models::Entry;
use crate::problem::Problem;

pub(super) async fn list(State(app): State<Arc<App>>) -> Result<Json<Value>, Problem> {
    // Cards are files.
    let shown = move || {
        let entries = app.catalogue.entries();
        let models: Result<Vec<Value>, Problem> =
            entries.iter().map(|entry| Ok(shown(entry, app.catalogue.card(&entry.name)?))).collect();
        let (budget, used) = app.catalogue.memory();
        Ok(json!({"models": models?, "memory": {"budget": budget, "used": used}}))
    };
    blocking(shown).await.map(Json)
}

fn shown(entry: &Entry, card: Option<String>) -> Value {
    let mut shown = json!({
        "name": entry.name,
        "base": entry.base,
        "loaded": entry.model.is_some(),
        "bytes": entry.bytes,
        "rails": entry.rails,
        "card": card,
    });
    // What is known once it is loaded.
    for name in
        ["family", "parameters", "context", "layers", "width", "heads", "weights", "output", "cache", "has_template"]
    {
        shown[name] = Value::Null;
    }
    if let Some(model) = &entry.model {
        let spec = &model.spec;
        let [key, value] = [spec.key, spec.value].map(|kind| format!("{kind:?}").to_lowercase());
        shown["family"] = json!(spec.family.to_string());
        shown["parameters"] = json!(spec.parameters);
        shown["context"] = json!(spec.positions);
        shown["layers"] = json!(spec.layers);
        shown["width"] = json!(spec.width);
        shown["heads"] = json!(spec.heads);
        shown["weights"] = json!(spec.weights.to_string());
        shown["output"] = json!(spec.output.to_string());
        shown["cache"] = json!(if key == value { key } else { format!("{key}/{value}") });
        shown["has_template"] = json!(model.template.is_some());
    }
    shown
}
