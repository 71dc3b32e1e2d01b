//! That networks learn, and that the guard sees what goes wrong.

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use gptneo_runs::Event;
use gptneo_train::files::Disk;
use gptneo_train::{Data, Ended, Examples, Recipe, Resume, Rows, TrainError};
use serde_json::Value;

use crate::world::{Outcome, World};

fn losses(outcome: &Outcome) -> Vec<f64> {
    let loss = |event: &Event| if let Event::Step(step) = event { Some(step.loss) } else { None };
    outcome.events.iter().filter_map(loss).collect()
}

fn lines(world: &World, name: &str) -> Vec<Value> {
    world.log(name).lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn every_optimiser_learns() {
    let world = World::new();
    for (kind, lr) in [("adamw", "0.01"), ("adafactor", "0.03"), ("muon", "0.02")] {
        let set = [format!("optimizer.kind={kind}"), format!("optimizer.lr={lr}"), "schedule.steps=120".into()];
        let set: Vec<&str> = set.iter().map(String::as_str).chain(["checkpoint.every=0"]).collect();
        let outcome = world.run(&world.recipe(kind, &set), Resume::Never);
        assert!(matches!(outcome.ended, Ok(Ended::Finished { checkpoint: None })), "{:?}", outcome.ended);
        let losses = losses(&outcome);
        assert_eq!(losses.len(), 120);
        let last = losses[110..].iter().sum::<f64>() / 10.0;
        assert!((losses[0] - f64::ln(40.0)).abs() < 0.3, "{kind} begins at {}", losses[0]);
        assert!(last < 0.6 * losses[0], "{kind}: from {} to {last}", losses[0]);
        let evaluated = lines(&world, kind).into_iter().rfind(|line| line["event"] == "evaluation").unwrap();
        let (loss, bits) = (evaluated["loss"].as_f64().unwrap(), evaluated["bits_per_byte"].as_f64().unwrap());
        // Three bytes for each token.
        assert!((bits - loss / std::f64::consts::LN_2 / 3.0).abs() < 1e-9, "{evaluated}");
        assert!(loss < 0.7 * losses[0]);
    }
}

#[test]
fn the_pieces_of_a_batch_do_not_change_what_is_learned() {
    let world = World::new();
    let run = |name: &str, set: &[&str]| {
        let set: Vec<&str> = set.iter().chain(&["checkpoint.every=0"]).copied().collect();
        losses(&world.run(&world.recipe(name, &set), Resume::Never))
    };
    let whole = run("whole", &["batch.micro=6"]);
    for (name, set) in [
        ("pairs", &["batch.micro=2"][..]),
        ("ragged", &["batch.micro=4"]),
        ("again", &["batch.micro=6", "model.recompute=true"]),
    ] {
        for (step, (a, b)) in run(name, set).iter().zip(&whole).enumerate() {
            assert!((a - b).abs() < 1e-5 * b, "{name}, step {step}: {a} and {b}");
        }
    }
}

#[test]
fn documents_are_kept_apart_when_asked() {
    let world = World::new();
    let run = |name: &str, apart: &str| {
        let outcome = world.run(&world.recipe(name, &[apart, "checkpoint.every=0"]), Resume::Never);
        losses(&outcome)
    };
    let (together, apart) =
        (run("together", "data.across_documents=true"), run("apart", "data.across_documents=false"));
    assert_eq!(together.len(), apart.len());
    assert_ne!(together, apart);
}

/// The real data, but for some sequences of which every target is the same wrong one.
#[derive(Debug)]
struct Poisoned {
    data: Data,
    bad: Range<u64>,
}

impl Examples for Poisoned {
    fn rows(&self, sequences: Range<u64>) -> Result<Rows, TrainError> {
        let rows = self.data.rows(sequences.clone())?;
        let hit = sequences.start < self.bad.end && self.bad.start < sequences.end;
        Ok(if hit { rows.with_targets(|_| 17) } else { rows })
    }

    fn pass(&self) -> Option<u64> {
        self.data.pass()
    }

    fn documents(&self, sequences: Range<u64>, limit: usize) -> Result<Vec<String>, TrainError> {
        self.data.documents(sequences, limit)
    }

    fn held_out_windows(&self) -> u64 {
        self.data.held_out_windows()
    }

    fn held_out_rows(&self, index: u64) -> Result<Rows, TrainError> {
        self.data.held_out_rows(index)
    }

    fn bytes_per_token(&self) -> f64 {
        self.data.bytes_per_token()
    }

    fn fingerprint(&self) -> String {
        self.data.fingerprint()
    }
}

/// 60 good steps, one bad one (the 61st), and the rest of 80.
fn poisoned(world: &World, name: &str, set: &[&str]) -> (Recipe, Outcome) {
    let set: Vec<&str> = set
        .iter()
        .chain(&["schedule.steps=80", "checkpoint.every=20", "guard.window=16", "guard.skip_batches=3"])
        .copied()
        .collect();
    let recipe = world.recipe(name, &set);
    let data = Data::open(&recipe.data, recipe.seed).unwrap();
    let examples = Box::new(Poisoned { data, bad: 360..366 });
    let outcome = world.run_with(&recipe, Resume::Never, Arc::new(Disk), &AtomicBool::new(false), Some(examples));
    (recipe, outcome)
}

fn alarms(world: &World, name: &str) -> Vec<Value> {
    lines(world, name).into_iter().filter(|line| line["event"] == "alarm").collect()
}

#[test]
fn a_poisoned_batch_is_seen_in_its_step_and_skipped() {
    let world = World::new();
    let (_, outcome) = poisoned(&world, "skip", &[]);
    outcome.ended.unwrap();
    let alarms = alarms(&world, "skip");
    assert_eq!(alarms.len(), 1, "{alarms:?}");
    assert_eq!((alarms[0]["step"].as_u64(), alarms[0]["done"].as_str()), (Some(61), Some("skip")));
    let documents = alarms[0]["documents"].as_array().unwrap();
    assert!(documents[0].as_str().unwrap().contains("counting.jsonl"), "{documents:?}");
}

#[test]
fn going_back_passes_over_the_bad_batch() {
    let world = World::new();
    let (_, outcome) = poisoned(&world, "back", &["guard.policy=roll-back"]);
    outcome.ended.unwrap();
    let alarms = alarms(&world, "back");
    assert_eq!(alarms.len(), 1, "{alarms:?}");
    assert_eq!(alarms[0]["done"], "roll back to step 60");
    let steps: Vec<u64> =
        lines(&world, "back").iter().filter(|l| l["event"] == "step").map(|l| l["step"].as_u64().unwrap()).collect();
    assert_eq!(steps, (1..=80).collect::<Vec<_>>(), "the run went back to 60, where it stood");
}

#[test]
fn a_policy_to_stop_saves_and_ends() {
    let world = World::new();
    let (recipe, outcome) = poisoned(&world, "stop", &["guard.policy=stop"]);
    assert!(matches!(outcome.ended, Err(TrainError::Diverged { step: 61, saved: 60, .. })), "{:?}", outcome.ended);
    assert!(recipe.output.join("checkpoints/step-00000060/model.safetensors").exists());
}
