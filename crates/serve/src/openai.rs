//! The OpenAI API.

mod answer;
mod chat;
mod completions;
mod embeddings;
mod form;
mod logprobs;
mod models;
mod settings;

use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use axum::Router;
use axum::routing::{get, post};

use crate::app::App;
use crate::problem::Problem;

pub(crate) use chat::{read_messages, write as write_conversation};
pub(crate) use embeddings::{check_dimensions, embed};
pub(crate) use form::schema_of;
pub(crate) use settings::{Settings, token};

/// Its routes.
pub(crate) fn routes() -> Router<Arc<App>> {
    Router::new()
        .route("/v1/completions", post(completions::answer))
        .route("/v1/chat/completions", post(chat::answer))
        .route("/v1/embeddings", post(embeddings::answer))
        .route("/v1/models", get(models::list))
        .route("/v1/models/{*name}", get(models::one))
        .route("/v1/moderations", post(moderations))
}

async fn moderations() -> Problem {
    Problem::not_implemented(
        "this server has no classifier of harmful text: what a model says is limited by its rails, see USE_POLICY.md",
    )
}

/// Seconds since 1970.
pub(crate) fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

/// Fields that clients send and that mean nothing here: who the end user is, and where OpenAI would keep or route the request.
const NOT_OURS: [&str; 8] = [
    "user",
    "metadata",
    "store",
    "service_tier",
    "safety_identifier",
    "prompt_cache_key",
    "prompt_cache_retention",
    "extra_headers",
];
