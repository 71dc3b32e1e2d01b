//! One store: what goes in comes out, and files that are no store are refused and left alone.

use gptneo_runs::{
    Artifact, Evaluation, Event, Filter, Level, Message, NewRun, RunsError, State, StepMetrics, Store, TextKind,
};

use super::world::{World, loss, new_run, sample};

#[test]
fn keeps_what_a_run_is() {
    let mut world = World::new();
    let run = world.begin("pocket");
    let again = Store::open_existing(&world.path()).unwrap().unwrap();
    let found = again.find("pocket").unwrap();
    assert_eq!(found, run);
    assert_eq!(found.recipe, new_run("").recipe);
    assert_eq!(found.origin, new_run("").origin);
    assert_eq!(found.state, State::Running);
    assert_eq!(again.settings(run.id).unwrap(), new_run("").settings);
}

#[test]
fn keeps_every_kind_of_event() {
    let mut world = World::new();
    let run = world.begin("r");
    let artifact = Artifact {
        step: Some(3),
        name: "checkpoint".to_owned(),
        path: "/x/step-3".to_owned(),
        bytes: 12,
        sha256: Some("ab".to_owned()),
    };
    let message = Message { level: Level::Warning, step: None, text: "a spike".to_owned() };
    let evaluation =
        Evaluation { step: 3, on: "held_out".to_owned(), values: vec![("bits_per_byte".to_owned(), 0.75)] };
    world.steps(&run, 1, 3);
    for event in [
        Event::Evaluation(evaluation),
        sample(3, "upon a time"),
        Event::Artifact(artifact.clone()),
        Event::Message(message),
        Event::Ended(State::Finished),
    ] {
        world.store.record(run.id, &event).unwrap();
    }
    let losses: Vec<f64> = world.store.series(run.id, "loss").unwrap().iter().map(|point| point.value).collect();
    assert_eq!(losses, [loss(1), loss(2), loss(3)]);
    assert_eq!(world.store.series(run.id, "held_out/bits_per_byte").unwrap()[0].value, 0.75);
    let samples = world.store.texts(run.id, TextKind::Sample, 9).unwrap();
    assert_eq!(
        (samples[0].step, samples[0].title.as_str(), samples[0].body.as_str()),
        (Some(3), "Once", "upon a time")
    );
    assert_eq!(world.store.texts(run.id, TextKind::Message, 9).unwrap()[0].title, "warning");
    assert_eq!(world.store.artifacts(run.id).unwrap()[0].artifact, artifact);
    let run = world.store.run(run.id).unwrap();
    assert_eq!((run.state, run.last_step), (State::Finished, Some(3)));
    assert!(run.ended.unwrap() >= run.started);
}

#[test]
fn sums_a_metric_up() {
    let mut world = World::new();
    let run = world.begin("r");
    for (step, value) in [(1, 4.0), (2, f64::INFINITY), (3, 2.0), (4, f64::NAN)] {
        world.store.record(run.id, &Event::Step(StepMetrics { step, loss: value, ..Default::default() })).unwrap();
    }
    let summaries = world.store.summaries(run.id).unwrap();
    let loss = summaries.iter().find(|summary| summary.name == "loss").unwrap();
    assert_eq!((loss.count, loss.last_step, loss.min, loss.max), (4, 4, Some(2.0), Some(4.0)));
    assert!(loss.last.is_nan());
    let values = world.store.series(run.id, "loss").unwrap();
    assert_eq!(values[1].value, f64::INFINITY);
    assert!(values[3].value.is_nan());
}

#[test]
fn a_second_run_of_a_name_is_numbered() {
    let mut world = World::new();
    let names: Vec<String> = (0..3).map(|_| world.begin("a").name).collect();
    assert_eq!(names, ["a", "a-2", "a-3"]);
}

#[test]
fn finds_what_a_person_means() {
    let mut world = World::new();
    let (first, second) = (world.begin("pocket"), world.begin("popcorn"));
    let name = |wanted: &str| world.store.find(wanted).map(|run| run.name);
    assert_eq!(name("pocket").unwrap(), "pocket");
    assert_eq!(name("pop").unwrap(), "popcorn");
    assert_eq!(name("latest").unwrap(), "popcorn");
    assert_eq!(name(&first.id.to_string()).unwrap(), "pocket");
    assert_eq!(name(&second.uid).unwrap(), "popcorn");
    assert!(matches!(name("po").unwrap_err(), RunsError::ManyRuns { .. }));
    let error = name("poket").unwrap_err().to_string();
    assert!(error.contains("pocket, popcorn"), "{error}");
}

#[test]
fn lists_newest_first_and_by_filter() {
    let mut world = World::new();
    let (a, _) = (world.begin("a-1"), world.begin("b-1"));
    world.store.begin(&NewRun { kind: "eval".to_owned(), ..new_run("c-1") }).unwrap();
    world.store.set_state(a.id, State::Failed).unwrap();
    let names = |filter: Filter| -> Vec<String> {
        world.store.runs(&filter).unwrap().into_iter().map(|run| run.name).collect()
    };
    assert_eq!(names(Filter::default()), ["c-1", "b-1", "a-1"]);
    assert_eq!(names(Filter { limit: Some(1), ..Filter::default() }), ["c-1"]);
    assert_eq!(names(Filter { kind: Some("train".to_owned()), ..Filter::default() }), ["b-1", "a-1"]);
    assert_eq!(names(Filter { state: Some("failed".to_owned()), ..Filter::default() }), ["a-1"]);
    assert_eq!(names(Filter { name: Some("b".to_owned()), ..Filter::default() }), ["b-1"]);
}

#[test]
fn a_silent_run_is_lost() {
    let mut world = World::new();
    let run = world.begin("r");
    assert_eq!(run.standing(run.seen + 30.0), "running");
    assert_eq!(run.standing(run.seen + 61.0), "lost");
    world.store.set_state(run.id, State::Finished).unwrap();
    assert_eq!(world.store.run(run.id).unwrap().standing(run.seen + 1e6), "finished");
}

#[test]
fn resuming_supersedes_what_came_after() {
    let mut world = World::new();
    let run = world.begin("r");
    world.steps(&run, 1, 10);
    world.store.record(run.id, &sample(4, "kept")).unwrap();
    world.store.record(run.id, &sample(8, "superseded")).unwrap();
    world.store.set_state(run.id, State::Stopped).unwrap();
    let resumed = world.store.resume(&run.uid, 6).unwrap().unwrap();
    assert_eq!((resumed.id, resumed.state, resumed.last_step, resumed.ended), (run.id, State::Running, Some(6), None));
    world.steps(&run, 7, 9);
    let steps: Vec<u64> = world.store.series(run.id, "loss").unwrap().iter().map(|point| point.step).collect();
    assert_eq!(steps, (1..=9).collect::<Vec<_>>());
    let texts = world.store.texts(run.id, TextKind::Sample, 9).unwrap();
    assert_eq!(texts.iter().map(|text| text.body.as_str()).collect::<Vec<_>>(), ["kept"]);
    assert!(world.store.notes(run.id).unwrap()[0].body.contains("after step 6"));
    assert_eq!(world.store.resume("no such run", 1).unwrap(), None);
}

#[test]
fn a_step_recorded_twice_counts_once() {
    let mut world = World::new();
    let run = world.begin("r");
    world.steps(&run, 1, 2);
    world.steps(&run, 2, 3);
    assert_eq!(world.store.series(run.id, "loss").unwrap().len(), 3);
}

#[test]
fn a_missing_metric_names_those_there_are() {
    let mut world = World::new();
    let run = world.begin("r");
    world.steps(&run, 1, 1);
    let error = world.store.series(run.id, "los").unwrap_err().to_string();
    assert!(error.contains("`los`") && error.contains("learning_rate, loss"), "{error}");
}

#[test]
fn a_removed_run_leaves_nothing() {
    let mut world = World::new();
    let (run, other) = (world.begin("r"), world.begin("s"));
    world.steps(&run, 1, 3);
    world.steps(&other, 1, 3);
    world.store.remove(run.id).unwrap();
    assert!(matches!(world.store.run(run.id), Err(RunsError::UnknownRun { .. })));
    assert!(world.store.summaries(run.id).unwrap().is_empty());
    assert_eq!(world.store.series(other.id, "loss").unwrap().len(), 3);
}

#[test]
fn refuses_a_run_that_is_there_already() {
    let mut world = World::new();
    let uid = Some("f00d".to_owned());
    world.store.begin(&NewRun { uid: uid.clone(), ..new_run("a") }).unwrap();
    let error = world.store.begin(&NewRun { uid, ..new_run("b") }).unwrap_err();
    assert!(matches!(error, RunsError::BadValue { .. }), "{error}");
    assert!(world.store.begin(&new_run("  ")).is_err());
}

#[test]
fn refuses_steps_beyond_what_sqlite_counts() {
    let mut world = World::new();
    let run = world.begin("r");
    let event = Event::Step(StepMetrics { step: u64::MAX, ..StepMetrics::default() });
    assert!(world.store.record(run.id, &event).is_err());
    assert!(world.store.summaries(run.id).unwrap().is_empty(), "half an event was recorded");
}

#[test]
fn refuses_a_damaged_file_and_leaves_it() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("runs.sqlite");
    std::fs::write(&path, b"not a database, but long enough to look like a header of one. ".repeat(40)).unwrap();
    let before = std::fs::read(&path).unwrap();
    let error = Store::open(&path).unwrap_err();
    assert!(matches!(error, RunsError::Damaged { .. }), "{error}");
    assert!(error.to_string().contains("runs.sqlite"), "{error}");
    assert_eq!(std::fs::read(&path).unwrap(), before);
}

#[test]
fn a_store_cut_in_the_middle_is_an_error_and_no_panic() {
    let mut world = World::new();
    let run = world.begin("r");
    world.steps(&run, 1, 300);
    let path = world.path();
    let whole_path = world.folder.path().join("whole.sqlite");
    rusqlite::Connection::open(&path).unwrap().execute("VACUUM INTO ?", [whole_path.to_str().unwrap()]).unwrap();
    let whole = std::fs::read(&whole_path).unwrap();
    let mut refused = 0;
    for part in 1..20 {
        let cut = world.folder.path().join(format!("cut-{part}.sqlite"));
        std::fs::write(&cut, &whole[..whole.len() * part / 20]).unwrap();
        let read = Store::open(&cut).and_then(|store| {
            let run = store.find("r")?;
            store.series(run.id, "loss")
        });
        refused += usize::from(read.is_err());
    }
    assert!(refused >= 15, "only {refused} of 19 cuts were noticed");
}

#[test]
fn refuses_the_database_of_another_program() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("other.sqlite");
    rusqlite::Connection::open(&path).unwrap().execute_batch("CREATE TABLE t (x)").unwrap();
    let error = Store::open(&path).unwrap_err();
    assert!(matches!(error, RunsError::Foreign { .. }), "{error}");
}

#[test]
fn refuses_a_store_of_a_later_version() {
    let world = World::new();
    let path = world.path();
    drop(world.store);
    rusqlite::Connection::open(&path).unwrap().pragma_update(None, "user_version", 99).unwrap();
    let error = Store::open(&path).unwrap_err();
    assert!(error.to_string().contains("version 99") && error.to_string().contains("newer gptneo"), "{error}");
}

#[test]
fn no_store_is_no_error() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("runs.sqlite");
    assert!(Store::open_existing(&path).unwrap().is_none());
    assert!(!path.exists());
}
