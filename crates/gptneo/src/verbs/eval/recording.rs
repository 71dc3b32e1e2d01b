//! An evaluation in the store of runs.
//!
//! It is entered before anything is asked, so that it can be seen while it goes on, and ends with its scores, the digests of its data and
//! the files it has left. A store that fails does not fail the evaluation: it is said, and measuring goes on.

use std::path::Path;

use gptneo_eval::{About, Outcome, Score, file_name};
use gptneo_runs::{
    Artifact, EVALUATION, Evaluation, Event, Level, Message, NewRun, Observer, Origin, Recorder, RunId, RunsError,
    State, Store, settings,
};
use serde_json::{Map, Value, json};

use super::output::Written;
use crate::args::MeasureArgs;
use crate::terminal;
use crate::verbs::{World, runs};

/// What is recorded; nothing where nothing is to be.
pub(super) struct Recording(Option<Open>);

struct Open {
    store: Store,
    run: RunId,
    recorder: Recorder,
}

/// Enters the evaluation, unless flags say not to.
pub(super) fn begin(args: &MeasureArgs, model: &str, options: Map<String, Value>, world: &World) -> Recording {
    if args.no_store {
        return Recording(None);
    }
    let not_recorded = |why: &str| {
        terminal::warn(&format!("this evaluation is not recorded: {why}"));
        Recording(None)
    };
    let place = match runs::place(args.store.as_ref(), world) {
        Ok(place) => place,
        Err(failure) => return not_recorded(failure.message()),
    };
    let mut all = options;
    all.insert("model".to_owned(), json!(model));
    all.insert("tasks".to_owned(), json!(args.tasks.join(",")));
    all.insert("num_fewshot".to_owned(), json!(args.num_fewshot));
    let folder = args.output_path.as_ref().map(|folder| folder.join(file_name(model)));
    let absolute =
        |folder: &Path| std::path::absolute(folder).unwrap_or_else(|_| folder.to_owned()).display().to_string();
    let name = Path::new(model).file_name().map_or_else(|| model.to_owned(), |n| n.to_string_lossy().into());
    let new = NewRun {
        name: format!("eval-{}", file_name(&name)),
        kind: EVALUATION.to_owned(),
        settings: settings(&Value::Object(all)),
        origin: Origin {
            code: concat!("gptneo ", env!("CARGO_PKG_VERSION")).to_owned(),
            host: world.environment.host(),
            device: super::DEVICE.to_owned(),
            ranks: 1,
            folder: folder.as_deref().map(absolute),
            ..Origin::default()
        },
        ..NewRun::default()
    };
    let open = || -> Result<Open, RunsError> {
        let mut store = Store::open(&place)?;
        let run = store.begin(&new)?.id;
        let recorder = Recorder::start(&store, run, Vec::new(), terminal::warn)?;
        Ok(Open { store, run, recorder })
    };
    match open() {
        Ok(open) => Recording(Some(open)),
        Err(error) => not_recorded(&error.to_string()),
    }
}

impl Recording {
    /// Records what was found and of which model, and the files that were written.
    pub(super) fn tell(&mut self, outcome: &Outcome, about: &About, published: &Value, written: &[Written]) {
        let Some(Open { store, run, recorder }) = &mut self.0 else { return };
        let mut learned = Map::new();
        for task in &outcome.tasks {
            let source = &task.source;
            learned.insert(
                task.task.name().to_owned(),
                json!({
                    "split": source.split, "sha256": source.sha256, "revision": source.revision,
                    "documents": task.documents, "measured": task.measured, "examples": task.num_fewshot,
                    "judged_by": task.judged,
                }),
            );
        }
        let mut all = about.model_details.clone();
        all.insert("data".to_owned(), learned.into());
        all.insert("published".to_owned(), beside(published));
        let learned = settings(&Value::Object(all));
        if let Err(error) = store.learned(*run, Some(&outcome.data_sha256()), &learned) {
            terminal::warn(&format!("the data of this evaluation is not recorded: {error}"));
        }
        let groups = outcome.groups.iter().map(|group| (group.group.name(), &group.scores));
        let tasks = outcome.tasks.iter().map(|task| (task.task.name(), &task.scores));
        for (on, scores) in groups.chain(tasks) {
            let named: Vec<(String, &Score)> = scores.iter().map(|score| (name(score), score)).collect();
            let told = named.iter().map(|(name, score)| (name.as_str(), score.value, score.standard_error));
            recorder.observe(&Event::Evaluation(Evaluation::of_scores(on, told)));
        }
        for task in &outcome.tasks {
            for note in &task.notes {
                let text = format!("{}: {note}", task.task.name());
                recorder.observe(&Event::Message(Message { level: Level::Info, step: None, text }));
            }
        }
        for Written { what, path } in written {
            recorder.observe(&Event::Artifact(Artifact {
                step: None,
                name: (*what).to_owned(),
                path: path.display().to_string(),
                bytes: std::fs::metadata(path).map_or(0, |about| about.len()),
                sha256: None,
            }));
        }
    }

    /// Ends it.
    pub(super) fn finish(&mut self, state: State) {
        let Some(Open { recorder, .. }) = self.0.take() else { return };
        let lost = recorder.finish(state).lost;
        if lost > 0 {
            terminal::warn(&format!("{lost} entries of this evaluation are not in the store of runs"));
        }
    }
}

/// What is published, by task and score: `published.TASK.SCORE.value` and `.verdict` among the settings. Of several publications the
/// first.
fn beside(published: &Value) -> Value {
    let mut found = Map::new();
    for row in published["scores"].as_array().into_iter().flatten() {
        let text = |name: &str| row[name].as_str().unwrap_or_default().to_owned();
        let task = found.entry(text("task")).or_insert_with(|| json!({}));
        let score = match text("filter").as_str() {
            "none" => text("metric"),
            filter => format!("{},{filter}", text("metric")),
        };
        if task[&score].is_null() {
            task[&score] = json!({"value": row["published"], "verdict": row["words"]});
        }
    }
    found.into()
}

/// A score's name among the metrics of a run: with its filters, where there are any.
fn name(score: &Score) -> String {
    if score.filter == "none" { score.metric.clone() } else { format!("{},{}", score.metric, score.filter) }
}
