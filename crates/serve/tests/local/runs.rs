//! Runs and evaluations, as the store has them.

use std::path::PathBuf;

use gptneo_runs::{EVALUATION, Evaluation, Event, Level, Message, NewRun, Sample, State, StepMetrics, Store};
use gptneo_serve::Options;
use serde_json::{Value, json};

use crate::common::{Running, offer, options, tiny};

struct World {
    folder: tempfile::TempDir,
}

impl World {
    fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap() }
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("runs.sqlite")
    }

    fn serve(&self) -> Running {
        Running::start(Options { runs: Some(self.path()), ..options(vec![offer("m", tiny())]) })
    }
}

fn begin(store: &mut Store, name: &str, kind: &str, settings: &[(&str, &str)]) -> gptneo_runs::RunId {
    let settings = settings.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
    store
        .begin(&NewRun { name: name.into(), kind: kind.into(), settings, steps: Some(9000), ..NewRun::default() })
        .unwrap()
        .id
}

#[test]
fn without_a_store_lists_are_empty() {
    let world = World::new();
    for server in [world.serve(), Running::start(options(vec![offer("m", tiny())]))] {
        assert_eq!(server.get("/local/runs").json(), json!({"runs": []}));
        assert_eq!(server.get("/local/evaluations").json(), json!({"evaluations": []}));
        assert_eq!(server.get("/local/feedback").json(), json!({"items": [], "more": false}));
        assert_eq!(server.get("/local/feedback/export").text, "");
        assert_eq!(server.get("/local/runs/1").error().0, 404);
    }
    assert!(!world.path().exists(), "looking makes no store");
}

#[test]
fn a_run_is_told_in_a_line_and_in_full() {
    let world = World::new();
    let mut store = Store::open(&world.path()).unwrap();
    let run = begin(&mut store, "stories", "train", &[("model.layers", "2")]);
    for step in [1, 2, 3] {
        let metrics = StepMetrics { step, loss: 4.0 / step as f64, tokens_per_second: 500.0, ..StepMetrics::default() };
        store.record(run, &Event::Step(metrics)).unwrap();
    }
    let sample = Sample { step: 3, prompt: "Once".into(), text: " upon <script>".into() };
    store.record(run, &Event::Sample(sample)).unwrap();
    let message = Message { level: Level::Warning, step: Some(2), text: "a spike".into() };
    store.record(run, &Event::Message(message)).unwrap();
    store.note(run, "good").unwrap();
    store.set_state(run, State::Finished).unwrap();

    let server = world.serve();
    let listed = server.get("/local/runs").json()["runs"][0].clone();
    assert_eq!(
        (&listed["name"], &listed["kind"], &listed["state"]),
        (&"stories".into(), &"train".into(), &"finished".into())
    );
    assert_eq!((&listed["steps"], &listed["planned"]), (&3.into(), &9000.into()));
    assert_eq!((&listed["loss"], &listed["tokens_per_second"]), (&json!(4.0 / 3.0), &json!(500.0)));
    assert!(listed["started"].as_f64().unwrap() > 1e9 && listed["seconds"].as_f64().unwrap() >= 0.0);

    let shown = server.get(&format!("/local/runs/{}", listed["id"])).json();
    assert_eq!(shown["run"], listed);
    assert_eq!(shown["settings"], json!({"model.layers": "2"}));
    assert!(shown["metrics"].as_array().unwrap().contains(&"loss".into()));
    assert_eq!(shown["samples"], json!([{"step": 3, "prompt": "Once", "text": " upon <script>"}]));
    assert_eq!(shown["messages"], json!([{"step": 2, "level": "warning", "text": "a spike"}]));
    assert_eq!((&shown["notes"][0]["text"], shown["notes"][0]["when"].is_number()), (&"good".into(), true));
}

#[test]
fn a_curve_is_bounded_and_goes_on_where_it_was_left() {
    let world = World::new();
    let mut store = Store::open(&world.path()).unwrap();
    let run = begin(&mut store, "long", "train", &[]);
    for step in 1..=5000u64 {
        let loss = if step == 77 { f64::NAN } else { 1.0 / step as f64 };
        store
            .record(
                run,
                &Event::Evaluation(Evaluation { step, on: "held/out".into(), values: vec![("loss".into(), loss)] }),
            )
            .unwrap();
    }
    let server = world.serve();
    let path = format!("/local/runs/{run}/series?metric=held%2Fout%2Floss");
    let all = server.get(&path).json();
    let points = all["points"].as_array().unwrap();
    assert!((1000..=2000).contains(&points.len()), "{}", points.len());
    assert_eq!((&points[0], points.last()), (&json!([1, 1.0]), Some(&json!([5000, 1.0 / 5000.0]))));
    assert_eq!(
        server.get(&format!("{path}&after=4998")).json(),
        json!({"points": [[4999, 1.0 / 4999.0], [5000, 1.0 / 5000.0]]})
    );
    assert_eq!(server.get(&format!("{path}&after=5000")).json(), json!({"points": []}));
    assert_eq!(server.get(&format!("/local/runs/{run}/series?metric=none")).json(), json!({"points": []}));

    let error = |path: &str| server.get(path).error();
    assert_eq!(error(&format!("/local/runs/{run}/series")).1, "missing_field");
    assert_eq!(error(&format!("{path}&after=x")).0, 400);
    assert_eq!(error(&format!("{path}&from=1")).1, "unknown_field");
    for path in ["/local/runs/99", "/local/runs/long", "/local/runs/..%2f..", "/local/runs/99/series?metric=loss"] {
        assert_eq!(error(path).0, 404, "{path}");
    }
}

#[test]
fn evaluations_have_their_scores_with_what_is_known_beside_them() {
    let world = World::new();
    let mut store = Store::open(&world.path()).unwrap();
    begin(&mut store, "no evaluation", "train", &[]);
    let known = [
        ("model", "EleutherAI/gpt-neo-125m"),
        ("data.lambada.measured", "5153"),
        ("published.lambada.acc.value", "0.3736"),
        ("published.lambada.acc.verdict", "agrees"),
    ];
    let run = begin(&mut store, "eval-neo", EVALUATION, &known);
    let scores = [("acc", 0.37, Some(0.006)), ("perplexity", 30.27, None)];
    store.record(run, &Event::Evaluation(Evaluation::of_scores("lambada", scores))).unwrap();
    let found = world.serve().get("/local/evaluations").json();
    let evaluations = found["evaluations"].as_array().unwrap();
    assert_eq!(evaluations.len(), 1);
    assert_eq!((&evaluations[0]["run"], &evaluations[0]["model"]), (&"eval-neo".into(), &known[0].1.into()));
    let wanted = json!([
        {"task": "lambada", "metric": "acc", "value": 0.37, "stderr": 0.006, "samples": 5153, "published": 0.3736, "verdict": "agrees"},
        {"task": "lambada", "metric": "perplexity", "value": 30.27, "stderr": null, "samples": 5153, "published": null, "verdict": null},
    ]);
    assert_eq!(evaluations[0]["rows"], wanted);
}

#[test]
fn a_damaged_store_is_said_without_its_place() {
    let world = World::new();
    std::fs::write(world.path(), "no database at all, but long enough to be looked at".repeat(50)).unwrap();
    let server = world.serve();
    for reply in [server.get("/local/runs"), server.get("/local/feedback/export"), server.get("/local/evaluations")] {
        let (status, code, message) = reply.error();
        assert_eq!((status, code.as_str()), (500, "internal_error"));
        assert!(message.contains("damaged") && !message.contains("sqlite") && !message.contains('/'), "{message}");
    }
    assert_eq!(server.get("/local/models").json()["models"][0]["rails"], Value::Array(Vec::new()));
}
