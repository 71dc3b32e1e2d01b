//! A run of training in the store of runs.
//!
//! The run is entered when the trainer says where it begins; a file in the run's folder keeps its id, so that a run that goes on
//! is the same run there. A store that fails does not fail the training: it is said, and training goes on.

use std::fs;
use std::path::{Path, PathBuf};

use gptneo_runs::sink::Sink;
use gptneo_runs::{Event, NewRun, Observer, Origin, Recorder, RunsError, Started, State, Store, settings};
use gptneo_text::shards::write_whole;
use gptneo_train::Recipe;

use crate::environment::Environment;
use crate::terminal;

/// The file in a run's folder that says which run of the store it is.
const RUN_ID: &str = "run-id";

/// Records a run once it has begun.
pub(super) struct Recording {
    /// Until the run begins.
    plan: Option<Plan>,
    /// What was said before it began.
    early: Vec<Event>,
    recorder: Option<Recorder>,
}

/// What is needed to begin.
pub(super) struct Plan {
    /// The store's file.
    pub(super) store: PathBuf,
    /// What is entered, where the run is new.
    pub(super) run: NewRun,
    /// Where it is told to besides.
    pub(super) sinks: Vec<Box<dyn Sink>>,
    /// The folder of the run.
    pub(super) folder: PathBuf,
}

/// What the store is told of a run, beside what `origin` says of its device, data and ranks.
pub(super) fn entry(recipe: &Recipe, kind: &str, origin: Origin, environment: Environment) -> NewRun {
    let table: Option<serde_json::Value> =
        recipe.text.parse::<toml::Table>().ok().and_then(|table| serde_json::to_value(table).ok());
    let folder = std::path::absolute(&recipe.output).unwrap_or_else(|_| recipe.output.clone());
    NewRun {
        name: recipe.name.clone(),
        kind: kind.to_owned(),
        uid: None,
        recipe: recipe.text.clone(),
        settings: table.as_ref().map(settings).unwrap_or_default(),
        steps: Some(recipe.schedule.steps),
        origin: Origin {
            code: concat!("gptneo ", env!("CARGO_PKG_VERSION")).to_owned(),
            host: environment.host(),
            folder: Some(folder.display().to_string()),
            ..origin
        },
    }
}

impl Recording {
    /// Of a run that is about to begin; `None` records nothing.
    pub(super) fn new(plan: Option<Plan>) -> Self {
        Self { plan, early: Vec::new(), recorder: None }
    }

    /// Ends it, and says what was lost or is still to be delivered.
    pub(super) fn finish(&mut self, state: State) {
        let Some(recorder) = self.recorder.take() else { return };
        let outcome = recorder.finish(state);
        if outcome.lost > 0 {
            terminal::warn(&format!("{} events of this run are not in the store of runs", outcome.lost));
        }
        for left in outcome.undelivered {
            terminal::warn(&format!(
                "{} {} has not taken everything: `gptneo runs sync` delivers the rest",
                left.kind, left.target
            ));
        }
    }

    fn begin(&mut self, started: &Started) {
        let Some(plan) = self.plan.take() else { return };
        match start(plan, started) {
            Ok(mut recorder) => {
                self.early.drain(..).for_each(|event| recorder.observe(&event));
                self.recorder = Some(recorder);
            }
            Err(error) => terminal::warn(&format!("this run is not recorded: {error}")),
        }
    }
}

impl Observer for Recording {
    fn observe(&mut self, event: &Event) {
        if let Event::Started(started) = event {
            self.begin(started);
        }
        match &mut self.recorder {
            Some(recorder) => recorder.observe(event),
            None if self.plan.is_some() => self.early.push(event.clone()),
            None => {}
        }
    }
}

fn start(plan: Plan, started: &Started) -> Result<Recorder, RunsError> {
    let Plan { store, run, sinks, folder } = plan;
    let mut store = Store::open(&store)?;
    let id = folder.join(RUN_ID);
    let known = match known(&id) {
        Some(uid) => store.resume(&uid, started.after_step)?,
        None => None,
    };
    let run = match known {
        Some(run) => run,
        None => {
            let run = store.begin(&run)?;
            write_whole(&id, run.uid.as_bytes())
                .map_err(|error| RunsError::Io { path: id.clone(), why: error.to_string() })?;
            run
        }
    };
    Recorder::start(&store, run.id, sinks, terminal::warn)
}

/// The id that the folder keeps, if it keeps one.
fn known(file: &Path) -> Option<String> {
    const LONGEST: u64 = 1024;
    let short = fs::metadata(file).is_ok_and(|about| about.len() <= LONGEST);
    short
        .then(|| fs::read_to_string(file).ok())
        .flatten()
        .map(|uid| uid.trim().to_owned())
        .filter(|uid| !uid.is_empty())
}
