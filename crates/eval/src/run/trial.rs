//! Tasks put to an invented model, for tests of definitions and of the functions that they name.
#![allow(clippy::unwrap_used, clippy::print_stderr, reason = "helpers of tests fail as tests do")]

use std::path::{Path, PathBuf};

use super::{Options, Outcome, prepare, score};
use crate::answer::{Answer, Request};
use crate::catalog::Catalog;
use crate::data::Library;
use crate::judges::Judges;
use crate::prompt::Case;

/// The answer to a document's request, by their places.
pub(crate) type Model<'a> = &'a dyn Fn(usize, usize, &Case) -> Answer;

/// The data that is not part of the project; `None` where it is not there, which is said.
pub(crate) fn shared() -> Option<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data");
    if folder.is_dir() {
        return Some(folder);
    }
    eprintln!("NOT RUN: {} is not there", folder.display());
    None
}

/// What a task or group that ships gives.
pub(crate) fn trial(name: &str, folder: &Path, model: Model<'_>) -> Outcome {
    trial_of(&Catalog::shipped().unwrap(), name, folder, model)
}

/// What one of a catalog gives.
///
/// # Panics
/// With the words of the error, where there is one.
pub(crate) fn trial_of(catalog: &Catalog, name: &str, folder: &Path, model: Model<'_>) -> Outcome {
    let library = Library { folders: vec![folder.to_owned()], ..Library::default() };
    let options = Options { bootstrap_iterations: 100, ..Options::default() };
    let chosen = catalog.choose(&[name.to_owned()]).unwrap_or_else(|error| panic!("{error}"));
    let mut judges = Judges::default();
    let prepared = prepare(chosen, &library, &options, &judges, &mut ()).unwrap_or_else(|error| panic!("{error}"));
    let mut tasks = Vec::new();
    for task in &prepared.tasks {
        let of_case = |case: &Case| (0..case.requests.len()).map(|at| model(case.index, at, case)).collect::<Vec<_>>();
        let answers: Vec<Answer> = task.cases.iter().flat_map(of_case).collect();
        let scored = score(task, &answers, None, &options, &mut judges, &());
        tasks.push(scored.unwrap_or_else(|error| panic!("{error}")));
    }
    prepared.outcome(tasks).unwrap_or_else(|error| panic!("{error}"))
}

/// Context and continuation of a request.
pub(crate) fn likely(case: &Case, request: usize) -> (&str, &str) {
    match &case.requests[request] {
        Request::Likelihood { context, continuation } => (context, continuation),
        other => panic!("{other:?} asks for no likelihood"),
    }
}
