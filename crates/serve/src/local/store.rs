//! The store of runs, opened for one request.

use std::sync::Arc;

use gptneo_runs::{RunsError, Store};

use super::blocking;
use crate::app::App;
use crate::problem::Problem;

/// Asks the store; it is `None` where there is none yet.
pub(super) async fn ask<T: Send + 'static>(
    app: &Arc<App>,
    question: impl FnOnce(Option<&mut Store>) -> Result<T, RunsError> + Send + 'static,
) -> Result<T, Problem> {
    let path = app.runs.clone();
    blocking(move || {
        let mut store = path.map(|path| Store::open_existing(&path)).transpose()?.flatten();
        Ok(question(store.as_mut())?)
    })
    .await
}

/// Writes to the store, which is made if there is none.
pub(super) async fn tell<T: Send + 'static>(
    app: &Arc<App>,
    what: impl FnOnce(&mut Store) -> Result<T, RunsError> + Send + 'static,
) -> Result<T, Problem> {
    let path = app.runs.clone();
    let none =
        || Problem::not_implemented("this server has no place to keep anything: start it with --runs-store FILE");
    let path = path.ok_or_else(none)?;
    blocking(move || Ok(what(&mut Store::open(&path)?)?)).await
}

impl From<RunsError> for Problem {
    /// Without the store's place, which is nobody's business but its owner's.
    fn from(error: RunsError) -> Self {
        match &error {
            RunsError::UnknownRun { .. } => Self::not_found("there is no such run"),
            RunsError::Busy { .. } => Self::unavailable("the store of runs is busy", 5),
            RunsError::Full { .. } => Self::full("there is no room left on the server's disk"),
            RunsError::FeedbackFull { count, .. } => Self::full(format!(
                "the server takes no more feedback: it has {count} entries; its owner can export and clear them with `gptneo runs feedback`"
            )),
            RunsError::FeedbackShare { count } => Self::full(format!(
                "the server keeps no more feedback of one key: there are {count} entries of yours; export and delete some"
            )),
            RunsError::BadValue { .. } => Self::invalid(error.to_string()),
            RunsError::Newer { .. } => Self::internal("the store of runs was written by a newer version"),
            RunsError::Damaged { .. } | RunsError::Foreign { .. } => {
                Self::internal("the store of runs is damaged, or is none")
            }
            _ => Self::internal("the store of runs cannot be used"),
        }
    }
}
