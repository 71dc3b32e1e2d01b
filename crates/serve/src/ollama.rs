//! The Ollama API, as far as it is about models that are here: generating, chatting, embedding, and telling what there is.

mod answer;
mod chat;
mod embed;
mod generate;
mod models;
mod options;

use std::sync::Arc;
use std::time::Duration;

use axum::routing::{delete, get, post};
use axum::{Json, Router};
use gptneo_engine::FinishReason;
use serde_json::{Value, json};

use crate::app::App;
use crate::models::Handle;
use crate::problem::Problem;

/// Its routes.
pub(crate) fn routes() -> Router<Arc<App>> {
    Router::new()
        .route("/api/generate", post(generate::answer))
        .route("/api/chat", post(chat::answer))
        .route("/api/embed", post(embed::many))
        .route("/api/embeddings", post(embed::one))
        .route("/api/tags", get(models::tags))
        .route("/api/show", post(models::show))
        .route("/api/ps", get(models::loaded))
        .route("/api/version", get(version))
        .route("/api/pull", post(elsewhere))
        .route("/api/push", post(elsewhere))
        .route("/api/create", post(elsewhere))
        .route("/api/copy", post(elsewhere))
        .route("/api/delete", delete(elsewhere))
}

async fn version(axum::extract::State(app): axum::extract::State<Arc<App>>) -> Json<Value> {
    Json(json!({"version": app.version}))
}

async fn elsewhere() -> Problem {
    Problem::not_implemented(
        "models are chosen where the server is started: `gptneo pull`, `gptneo convert` and `gptneo rm` take care of them",
    )
}

/// The model of a request; its clients put `:latest` behind a name that says nothing more.
async fn ready(app: &Arc<App>, name: &str) -> Result<Handle, Problem> {
    match app.catalogue.ready(Some(name)).await {
        Err(problem) if problem.code == Some("model_not_found") => match name.strip_suffix(":latest") {
            Some(bare) => app.catalogue.ready(Some(bare)).await,
            None => Err(problem),
        },
        found => found,
    }
}

/// The name of the model, under either of the fields that there are for it.
fn model(fields: &mut crate::fields::Fields) -> Result<String, Problem> {
    let (model, name) = (fields.string("model")?, fields.string("name")?);
    model.or(name).ok_or_else(|| fields.missing("model"))
}

fn nanoseconds(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

/// Why a generation ended, in Ollama's words.
fn reason(reason: FinishReason) -> &'static str {
    match reason {
        FinishReason::Stop => "stop",
        FinishReason::Length => "length",
        FinishReason::ContentFilter => "content_filter",
        FinishReason::Cancelled => "cancelled",
    }
}
