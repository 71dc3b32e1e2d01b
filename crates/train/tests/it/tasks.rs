//! That tasks are measured when they are due, once, and change nothing.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use gptneo_device::Single;
use gptneo_kernels::{Cpu, CpuOptions};
use gptneo_model::Config;
use gptneo_model::TensorSource;
use gptneo_model::family::Role;
use gptneo_model::training::Snapshot;
use gptneo_runs::{Event, Level};
use gptneo_train::files::Disk;
use gptneo_train::log::TaskScore;
use gptneo_train::recipe::Initialisation;
use gptneo_train::{Data, Ended, First, Parts, Recipe, Resume, Scored, Scores, TrainError, Trainer};

use crate::world::{CONFIG, Notes, World};

/// A score that tells weights from others.
fn sum(weights: &Snapshot) -> f64 {
    let (_, bytes) = weights.vector(Role::FinalGain, None).unwrap();
    let bytes: &[u8] = bytes.as_ref();
    bytes.as_chunks::<4>().0.iter().map(|b| f64::from(f32::from_le_bytes(*b))).sum()
}

/// Runs a recipe; tasks are measured by [`sum`], and the measurement numbered `stops` asks the run to stop.
fn run(recipe: &Recipe, resume: Resume, stops: Option<usize>) -> (Result<Ended, TrainError>, Vec<Event>, usize) {
    let stop = AtomicBool::new(false);
    let mut calls = 0;
    let mut measure = |weights: &Snapshot| {
        if stops == Some(calls) {
            stop.store(true, Ordering::SeqCst);
        }
        calls += 1;
        let score = TaskScore { value: sum(weights), error: None, count: 3 };
        Ok(Scored { scores: [("mine/sum".to_owned(), score)].into(), notes: vec!["mine: cut".to_owned()] })
    };
    let mut notes = Notes::default();
    let ended = with(recipe, resume, &stop, Some(&mut measure), &mut notes);
    (ended, notes.0, calls)
}

fn with(
    recipe: &Recipe,
    resume: Resume,
    stop: &AtomicBool,
    scores: Option<Scores<'_>>,
    notes: &mut Notes,
) -> Result<Ended, TrainError> {
    let cpu = || Ok(Cpu::new(CpuOptions { threads: Some(1), isa: None }).unwrap());
    let parts = Parts {
        device: cpu()?,
        ranks: Box::new(Single),
        examples: Box::new(Data::open(&recipe.data, recipe.seed).unwrap()),
        files: Arc::new(Disk),
        tokenizer: None,
        extra: vec![("tokenizer_config.json".to_owned(), b"{}".to_vec())],
        another_device: &mut || cpu(),
        scores: scores.map(|scores| scores as Scores<'_>),
        observer: notes,
        peak: None,
    };
    let config = Config::from_json(CONFIG.as_bytes()).unwrap();
    Trainer::new(recipe.clone(), config, First::Random(Initialisation::Original), resume, parts)?.run(stop)
}

const TASKS: [&str; 3] = ["eval.tasks=mine", "eval.every=5", "eval.at_start=true"];

#[test]
fn measuring_changes_no_weight_and_is_told() {
    let world = World::new();
    world.run(&world.recipe("plain", &[]), Resume::Never).ended.unwrap();
    let (ended, events, calls) = run(&world.recipe("run", &TASKS), Resume::Never, None);
    ended.unwrap();
    assert_eq!((calls, world.last("run")), (4, world.last("plain")), "at 0, 5, 10 and 12");
    let log = world.log("run");
    let own = |line: &&str| line.contains("\"event\":\"eval\"");
    assert_eq!(log.lines().filter(own).count(), 4, "{log}");
    assert_eq!(
        log.lines().filter(|line| !own(line)).collect::<Vec<_>>(),
        world.log("plain").lines().collect::<Vec<_>>()
    );
    let told: Vec<(u64, f64)> = events
        .iter()
        .filter_map(|event| match event {
            Event::Evaluation(found) if found.on == "eval" => Some((found.step, found.values[0].1)),
            _ => None,
        })
        .collect();
    assert_eq!(told.iter().map(|(step, _)| *step).collect::<Vec<_>>(), [0, 5, 10, 12]);
    assert!(told.windows(2).all(|pair| pair[0].1 != pair[1].1), "of the weights of the moment: {told:?}");
    let warned =
        |event: &&Event| matches!(event, Event::Message(m) if m.level == Level::Warning && m.text == "mine: cut");
    assert_eq!(events.iter().filter(warned).count(), 4);
}

#[test]
fn a_run_that_goes_on_measures_nothing_twice() {
    let world = World::new();
    run(&world.recipe("whole", &TASKS), Resume::Never, None).0.unwrap();
    for stops in 0..3 {
        let name = format!("cut-{stops}");
        let recipe = world.recipe(&name, &TASKS);
        let (ended, _, first) = run(&recipe, Resume::Never, Some(stops));
        assert!(matches!(ended, Ok(Ended::Stopped { .. })), "{name}: {ended:?}");
        let (ended, _, second) = run(&recipe, Resume::Auto, None);
        ended.unwrap();
        // A run that is stopped before its first step begins again.
        assert_eq!(first + second, if stops == 0 { 5 } else { 4 }, "{name}");
        assert_eq!((world.log(&name), world.last(&name)), (world.log("whole"), world.last("whole")), "{name}");
    }
}

#[test]
fn tasks_that_nobody_measures_are_refused() {
    let world = World::new();
    let recipe = world.recipe("nobody", &TASKS);
    let error = with(&recipe, Resume::Never, &AtomicBool::new(false), None, &mut Notes::default()).unwrap_err();
    assert!(error.to_string().contains("nobody is there"), "{error}");
    assert!(!world.output("nobody").exists());
}
