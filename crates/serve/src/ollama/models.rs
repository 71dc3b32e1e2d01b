//! What there is, as Ollama tells it: `/api/tags`, `/api/show`, `/api/ps`.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use gptneo_runs::rfc3339;
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};

use super::model;
use crate::app::App;
use crate::body::Sent;
use crate::digits::hex;
use crate::models::Entry;
use crate::problem::Problem;

pub(super) async fn tags(State(app): State<Arc<App>>) -> Json<Value> {
    let models: Vec<Value> = app.catalogue.entries().iter().map(listed).collect();
    Json(json!({"models": models}))
}

pub(super) async fn loaded(State(app): State<Arc<App>>) -> Json<Value> {
    let models = app.catalogue.entries().into_iter().filter(|entry| entry.model.is_some()).map(|entry| {
        let mut shown = listed(&entry);
        // They stay until another needs their place.
        shown["expires_at"] = json!("9999-12-31T23:59:59Z");
        shown["size_vram"] = json!(0);
        shown["context_length"] = json!(entry.model.as_ref().map(|model| model.spec.positions));
        shown
    });
    Json(json!({"models": models.collect::<Vec<_>>()}))
}

pub(super) async fn show(State(app): State<Arc<App>>, sent: Sent) -> Result<Json<Value>, Problem> {
    let mut fields = sent.fields;
    let name = model(&mut fields)?;
    fields.ignore(&["verbose"]);
    fields.finish()?;
    let bare = name.strip_suffix(":latest").unwrap_or(&name);
    let entry = app.catalogue.entry(&name).or_else(|_| app.catalogue.entry(bare))?;
    let handle = app.catalogue.ready(Some(&entry.name)).await?;
    let spec = &handle.model.spec;
    let family = spec.family.to_string();
    let mut info = Map::new();
    info.insert("general.architecture".to_owned(), json!(family));
    info.insert("general.parameter_count".to_owned(), json!(spec.parameters));
    for (key, value) in [
        ("context_length", spec.positions),
        ("embedding_length", spec.width),
        ("block_count", spec.layers),
        ("attention.head_count", spec.heads),
        ("feed_forward_length", spec.inner),
        ("vocab_size", spec.vocab),
    ] {
        info.insert(format!("{family}.{key}"), json!(value));
    }
    let mut shown = listed(&app.catalogue.entry(&entry.name)?);
    let details = shown["details"].take();
    Ok(Json(json!({
        "details": details,
        "model_info": info,
        "capabilities": if handle.model.template.is_some() { vec!["completion", "chat"] } else { vec!["completion"] },
        "template": if handle.model.template.is_some() { "(the model's own)" } else { "{{ .Prompt }}" },
        "parameters": "",
        "modelfile": "",
        "license": app.catalogue.card(&entry.name)?.unwrap_or_default(),
        "modified_at": rfc3339(entry.created as f64),
    })))
}

fn listed(entry: &Entry) -> Value {
    let digest = hex(&Sha256::digest(entry.name.as_bytes()));
    let details = match &entry.model {
        Some(model) => json!({
            "parent_model": entry.base.as_deref().unwrap_or_default(),
            "format": "gguf",
            "family": model.spec.family.to_string(),
            "families": [model.spec.family.to_string()],
            "parameter_size": parameters(model.spec.parameters),
            "quantization_level": model.spec.weights.to_string().to_uppercase(),
        }),
        None => json!({
            "parent_model": entry.base.as_deref().unwrap_or_default(),
            "format": "gguf", "family": "", "families": null, "parameter_size": "", "quantization_level": "",
        }),
    };
    json!({
        "name": entry.name,
        "model": entry.name,
        "modified_at": rfc3339(entry.created as f64),
        "size": entry.bytes,
        "digest": digest,
        "details": details,
    })
}

fn parameters(count: u64) -> String {
    match count as f64 {
        count if count >= 1e9 => format!("{:.1}B", count / 1e9),
        count => format!("{:.1}M", count / 1e6),
    }
}
