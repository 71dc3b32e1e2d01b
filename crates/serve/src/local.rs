//! What the server's own page needs beyond the protocols of others: `/local`, and the rules of use at `/policy`.
//!
//! Runs, evaluations and feedback come from the store of runs, which is opened for each request on a thread that may block; where there is
//! no store yet, lists are empty. Judging comes from whoever implements [`Reviews`].

mod evaluations;
mod feedback;
mod models;
mod query;
mod reviews;
mod runs;
mod store;

use std::sync::Arc;

use axum::extract::State;
use axum::http::header::{CONTENT_TYPE, HeaderValue};
use axum::response::{IntoResponse, Response};
use axum::routing::{delete, get, post};
use axum::{Json, Router};
use serde_json::{Value, json};

use crate::app::App;
use crate::problem::Problem;

pub use reviews::{
    Review, ReviewAnswer, ReviewFault, ReviewItem, ReviewNext, ReviewPreference, ReviewReport, ReviewRow, ReviewScores,
    Reviews,
};

/// How the models may be used, and what whoever runs the server owes to others.
const POLICY: &str = include_str!("../../../USE_POLICY.md");

/// Its routes.
pub(crate) fn routes() -> Router<Arc<App>> {
    Router::new()
        .route("/local/models", get(models::list))
        .route("/local/presets", get(presets))
        .route("/local/runs", get(runs::list))
        .route("/local/runs/{id}", get(runs::one))
        .route("/local/runs/{id}/series", get(runs::series))
        .route("/local/evaluations", get(evaluations::list))
        .route("/local/reviews", get(reviews::list))
        .route("/local/reviews/{id}/next", get(reviews::next))
        .route("/local/reviews/{id}/answers", post(reviews::answer))
        .route("/local/reviews/{id}/report", get(reviews::report))
        .route("/local/feedback", get(feedback::list).post(feedback::add).delete(feedback::clear))
        .route("/local/feedback/export", get(feedback::export))
        .route("/local/feedback/{id}", delete(feedback::remove))
        .route("/policy", get(policy))
}

async fn presets(State(app): State<Arc<App>>) -> Json<Value> {
    Json(json!({"presets": app.presets}))
}

async fn policy() -> Response {
    ([(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"))], POLICY).into_response()
}

/// Does what may wait for a disk on a thread that may.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T, Problem> + Send + 'static) -> Result<T, Problem> {
    let done = tokio::task::spawn_blocking(work).await;
    done.map_err(|_| Problem::internal("the work ended in a panic"))?
}
