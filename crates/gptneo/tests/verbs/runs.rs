//! `gptneo runs` as a user sees it, on a store that the test fills.

use std::path::PathBuf;

use gptneo_runs::{Event, NewRun, Sample, State, StepMetrics, Store};

use super::runner::{Outcome, Program};

struct World {
    folder: tempfile::TempDir,
}

impl World {
    /// Two finished runs, `first` and `second`, of 40 steps each.
    fn new() -> World {
        let world = World { folder: tempfile::tempdir().unwrap() };
        let mut store = Store::open(&world.file("runs.sqlite")).unwrap();
        for (name, rate) in [("first", 1.0), ("second", 2.0)] {
            let settings = vec![("rate".to_owned(), rate.to_string()), ("layers".to_owned(), "2".to_owned())];
            let new = NewRun { name: name.to_owned(), kind: "train".to_owned(), settings, ..NewRun::default() };
            let run = store.begin(&new).unwrap();
            for step in 1..=40 {
                let metrics = StepMetrics {
                    step,
                    tokens: step * 100,
                    loss: rate + 3.0 / step as f64,
                    learning_rate: 1e-3,
                    ..StepMetrics::default()
                };
                store.record(run.id, &Event::Step(metrics)).unwrap();
            }
            let sample = Sample { step: 40, prompt: "Once".to_owned(), text: " upon".to_owned() };
            store.record(run.id, &Event::Sample(sample)).unwrap();
            store.set_state(run.id, State::Finished).unwrap();
        }
        world
    }

    fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn runs(&self, args: &[&str]) -> Outcome {
        let program = Program::new(["runs"].iter().chain(args).copied());
        program.env("GPTNEO_HOME", self.folder.path().as_os_str()).run()
    }
}

#[test]
fn lists_and_shows() {
    let world = World::new();
    let listed = world.runs(&["list", "--json"]).json();
    assert_eq!(listed["runs"][0]["name"], "second");
    assert_eq!(listed["runs"][1]["last_step"], 40);
    let table = world.runs(&["ls", "--state", "finished"]);
    assert!(table.text().contains("first") && table.text().contains("40"), "{}", table.text());
    let shown = world.runs(&["show", "fir", "--json"]).json();
    assert_eq!((&shown["settings"]["rate"], &shown["samples"][0]["body"]), (&"1".into(), &" upon".into()));
    assert!(world.runs(&["show"]).text().contains("second"));
}

#[test]
fn compares() {
    let world = World::new();
    let compared = world.runs(&["compare", "first", "second"]);
    let text = compared.text();
    assert!(text.contains("rate") && !text.contains("layers") && text.contains("(step 40)"), "{text}");
}

#[test]
fn plots_in_the_terminal_and_into_files() {
    let world = World::new();
    let drawn = world.runs(&["plot", "first", "second", "--log-x"]);
    let text = drawn.text();
    assert!(text.contains("first") && text.contains("second") && text.chars().any(|c| c > '\u{2800}'), "{text}");
    for (name, begin) in [("a.png", &b"\x89PNG"[..]), ("a.svg", b"<svg")] {
        let path = world.file(name);
        let path = path.to_str().unwrap();
        let args = ["plot", "first", "second", "--smooth", "0.5", "--against", "tokens", "-o", path];
        assert_eq!(world.runs(&args).code, Some(0));
        assert!(std::fs::read(path).unwrap().starts_with(begin));
        assert_eq!(world.runs(&args).code, Some(3), "the file was replaced");
    }
}

#[test]
fn exports_and_watches() {
    let world = World::new();
    let csv = world.runs(&["export", "first", "--to", "csv"]);
    assert_eq!(csv.text().lines().filter(|line| line.contains(",loss,")).count(), 40);
    let jsonl = world.runs(&["export", "first", "--to", "jsonl"]);
    let lines: Vec<serde_json::Value> = jsonl.text().lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines.last().unwrap()["body"], " upon");
    let logs = world.file("logs");
    assert_eq!(world.runs(&["export", "first", "--to", "tensorboard", "--dir", logs.to_str().unwrap()]).code, Some(0));
    assert_eq!(std::fs::read_dir(logs.join("first")).unwrap().count(), 1);
    let watched = world.runs(&["watch", "first"]);
    assert_eq!(watched.code, Some(0), "{}", watched.stderr);
    assert!(watched.stderr.contains("step 40") && watched.stderr.contains("Once upon"), "{}", watched.stderr);
}

#[test]
fn mistakes_are_told_with_a_way_out() {
    let world = World::new();
    let check = |args: &[&str], code: i32, words: &str| {
        let outcome = world.runs(args);
        assert_eq!(outcome.code, Some(code), "{args:?}: {}", outcome.stderr);
        assert!(outcome.stderr.contains(words), "{args:?}: {}", outcome.stderr);
    };
    check(&["show", "frist"], 2, "first");
    check(&["plot", "first", "-m", "los"], 2, "loss");
    check(&["plot", "first", "-o", "x.gif"], 2, ".svg or .png");
    check(&["plot", "first", "--smooth", "2"], 2, "0.999");
    check(&["export", "first", "--to", "comet"], 2, "COMET_API_KEY");
    check(&["watch", "first", "--tui"], 2, "terminal");
    check(&["rm", "fir"], 2, "whole name");
    std::fs::write(world.file("bad.sqlite"), "x".repeat(5_000)).unwrap();
    check(&["list", "--store", world.file("bad.sqlite").to_str().unwrap()], 4, "damaged");
    check(&["show", "--store", world.file("none.sqlite").to_str().unwrap()], 3, "no store");
}
