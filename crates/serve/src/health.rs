//! How the server is, for those who watch it.

use std::sync::Arc;

use axum::extract::State;
use axum::http::header::{CONTENT_TYPE, HeaderValue};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use serde_json::{Value, json};

use crate::app::App;
use crate::problem::Problem;

/// Its routes.
pub(crate) fn routes() -> Router<Arc<App>> {
    Router::new()
        .route(crate::guard::OPEN, get(live))
        .route("/health/ready", get(ready))
        .route("/health", get(ready))
        .route("/metrics", get(metrics))
        .route("/version", get(version))
}

/// The process answers.
async fn live() -> Json<Value> {
    Json(json!({"status": "ok"}))
}

/// It will serve what is sent to it.
async fn ready(State(app): State<Arc<App>>) -> Result<Json<Value>, Problem> {
    if app.draining() {
        return Err(Problem::unavailable("the server is stopping", 5));
    }
    if !app.catalogue.begun() {
        return Err(Problem::unavailable("the model is being loaded", 5));
    }
    Ok(Json(json!({"status": "ok"})))
}

async fn metrics(State(app): State<Arc<App>>) -> Response {
    let loaded = app.catalogue.entries().iter().filter(|entry| entry.base.is_none() && entry.model.is_some()).count();
    let text = app.metrics.text(app.room.fullness(), app.room.taken(), app.room.steps(), loaded);
    let kind = HeaderValue::from_static("application/openmetrics-text; version=1.0.0; charset=utf-8");
    ([(CONTENT_TYPE, kind)], text).into_response()
}

async fn version(State(app): State<Arc<App>>) -> Json<Value> {
    Json(json!({"version": app.version}))
}
