//! Over HTTP with JSON.

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::routing::{get, post};
use axum::{Json, Router};
use gptneo_engine::Generation;
use serde_json::{Value, json};

use super::infer::{flat, infer, rows};
use crate::app::App;
use crate::body::Sent;
use crate::fields::{Fields, wrong};
use crate::openai::token;
use crate::problem::Problem;
use crate::prompts::Given;

/// The only version that a model here has.
pub(super) const VERSION: &str = "1";

/// Its routes.
pub(crate) fn routes() -> Router<Arc<App>> {
    Router::new()
        .route("/v2", get(server))
        .route("/v2/health/live", get(live))
        .route("/v2/health/ready", get(ready))
        .route("/v2/models/{model}", get(metadata))
        .route("/v2/models/{model}/versions/{version}", get(metadata))
        .route("/v2/models/{model}/ready", get(model_ready))
        .route("/v2/models/{model}/versions/{version}/ready", get(model_ready))
        .route("/v2/repository/index", post(index))
        .route("/v2/repository/models/{model}/load", post(load))
        .route("/v2/models/{model}/infer", post(answer))
        .route("/v2/models/{model}/versions/{version}/infer", post(answer))
}

/// A model, and the version of it that is meant.
#[derive(serde::Deserialize)]
struct Named {
    model: String,
    version: Option<String>,
}

impl Named {
    fn check(&self) -> Result<(), Problem> {
        match self.version.as_deref() {
            None | Some(VERSION) => Ok(()),
            Some(_) => Err(Problem::not_found(format!("a model here has the version {VERSION} alone"))),
        }
    }
}

async fn server(State(app): State<Arc<App>>) -> Json<Value> {
    Json(json!({"name": "gptneo", "version": app.version, "extensions": []}))
}

async fn live() -> Json<Value> {
    Json(json!({"live": true}))
}

async fn ready(State(app): State<Arc<App>>) -> Result<Json<Value>, Problem> {
    match app.catalogue.begun() && !app.draining() {
        // The protocol's own text has `live` here; clients look at the status.
        true => Ok(Json(json!({"ready": true, "live": true}))),
        false => Err(Problem::unavailable("the server is not ready", 5)),
    }
}

async fn metadata(State(app): State<Arc<App>>, Path(named): Path<Named>) -> Result<Json<Value>, Problem> {
    named.check()?;
    let entry = app.catalogue.entry(&named.model)?;
    let tensor = |name: &str, datatype: &str, shape: Value| json!({"name": name, "datatype": datatype, "shape": shape});
    Ok(Json(json!({
        "name": entry.name,
        "versions": [VERSION],
        "platform": "gptneo",
        "inputs": [tensor("text", "BYTES", json!([-1])), tensor("tokens", "INT64", json!([-1, -1]))],
        "outputs": [
            tensor("text", "BYTES", json!([-1])),
            tensor("finish_reason", "BYTES", json!([-1])),
            tensor("tokens", "INT32", json!([-1])),
        ],
    })))
}

async fn model_ready(State(app): State<Arc<App>>, Path(named): Path<Named>) -> Result<Json<Value>, Problem> {
    named.check()?;
    let entry = app.catalogue.entry(&named.model)?;
    match app.draining() {
        // One that is not in memory is loaded when it is asked.
        false => Ok(Json(json!({"name": entry.name, "ready": true}))),
        true => Err(Problem::unavailable("the server is stopping", 5)),
    }
}

/// Every model, and whether it is in memory: the protocol's extension for repositories, which Seldon's agent speaks.
async fn index(State(app): State<Arc<App>>) -> Json<Value> {
    let entries = app.catalogue.entries().into_iter().map(|entry| {
        let state = if entry.model.is_some() { "READY" } else { "UNAVAILABLE" };
        json!({"name": entry.name, "version": VERSION, "state": state, "reason": ""})
    });
    Json(entries.collect())
}

/// Loads a model that is offered.
async fn load(State(app): State<Arc<App>>, Path(named): Path<Named>) -> Result<Json<Value>, Problem> {
    app.catalogue.ready(Some(&named.model)).await?;
    Ok(Json(json!({})))
}

async fn answer(State(app): State<Arc<App>>, Path(named): Path<Named>, sent: Sent) -> Result<Json<Value>, Problem> {
    named.check()?;
    let Sent { mut fields, client } = sent;
    let id = fields.string("id")?;
    let parameters = match fields.object("parameters")? {
        Some(parameters) => parameters,
        None => Fields::empty("parameters."),
    };
    let wanted = fields.array("outputs", 16)?;
    let inputs = fields.array("inputs", 16)?.ok_or_else(|| fields.missing("inputs"))?;
    fields.finish()?;
    let mut prompts = Vec::new();
    for (at, input) in inputs.into_iter().enumerate() {
        prompts.extend(read(&format!("inputs[{at}]"), input)?);
    }
    let wanted = wanted.map(names).transpose()?;
    let outcome = infer(&app, &client, &named.model, parameters, prompts).await?;
    let outputs: Vec<Value> = tensors(&outcome.generations)
        .into_iter()
        .filter(|tensor| wanted.as_ref().is_none_or(|names| names.iter().any(|name| tensor["name"] == **name)))
        .collect();
    let mut answer = json!({"model_name": outcome.model, "model_version": VERSION, "outputs": outputs});
    if let Some(id) = id {
        answer["id"] = json!(id);
    }
    Ok(Json(answer))
}

/// The names of the outputs that are wanted.
fn names(outputs: Vec<Value>) -> Result<Vec<String>, Problem> {
    let one = |(at, value): (usize, Value)| {
        let mut fields = Fields::of(value, &format!("outputs[{at}]"))?;
        let name = fields.required("name")?;
        match ["text", "finish_reason", "tokens"].contains(&name.as_str()) {
            true => Ok(name),
            false => Err(Problem::field("outputs", "an output is `text`, `finish_reason` or `tokens`")),
        }
    };
    outputs.into_iter().enumerate().map(one).collect()
}

/// The prompts of one input tensor.
fn read(at: &str, value: Value) -> Result<Vec<Given>, Problem> {
    let mut fields = Fields::of(value, at)?;
    let (name, datatype) = (fields.required("name")?, fields.required("datatype")?);
    let shape = fields.array("shape", 8)?.ok_or_else(|| fields.missing("shape"))?;
    let axis = |axis: &Value| axis.as_u64().ok_or_else(|| wrong(&format!("{at}.shape"), axis, "an array of sizes"));
    let shape: Vec<u64> = shape.iter().map(axis).collect::<Result<_, _>>()?;
    let data = fields.take("data").ok_or_else(|| fields.missing("data"))?;
    fields.ignore(&["parameters"]);
    fields.finish()?;
    let mut values = Vec::new();
    flat(data, &mut values);
    match (name.as_str(), datatype.as_str()) {
        ("text" | "prompt" | "text_input", "BYTES") => {
            let elements = shape.iter().try_fold(1u64, |all, &axis| all.checked_mul(axis));
            if elements != Some(values.len() as u64) {
                let message = format!("`{at}` has shape {shape:?}, but {} values", values.len());
                return Err(Problem::field(format!("{at}.shape"), message));
            }
            let text = |value| match value {
                Value::String(text) => Ok(Given::Text(text)),
                other => Err(wrong(&format!("{at}.data"), &other, "an array of strings")),
            };
            values.into_iter().map(text).collect()
        }
        ("tokens", "INT32" | "INT64" | "UINT32" | "UINT64") => {
            let at = format!("{at}.data");
            let ids: Vec<u32> = values.iter().map(|id| token(&at, id)).collect::<Result<_, _>>()?;
            rows(&shape, ids)
        }
        _ => Err(Problem::field(
            format!("{at}.name"),
            format!("`{at}` must be `text` of BYTES, or `tokens` of INT32 or INT64: see the model's metadata"),
        )),
    }
}

fn tensors(generations: &[Generation]) -> Vec<Value> {
    let tensor = |name: &str, datatype: &str, data: Value| json!({"name": name, "datatype": datatype, "shape": [generations.len()], "data": data});
    let text = generations.iter().map(|generation| json!(generation.text)).collect();
    let reasons = generations.iter().map(|generation| json!(generation.finish_reason().name())).collect();
    let counts = generations.iter().map(|generation| json!(generation.completion_tokens())).collect();
    vec![tensor("text", "BYTES", text), tensor("finish_reason", "BYTES", reasons), tensor("tokens", "INT32", counts)]
}
