//! That an interrupted run ends as if nothing had happened.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use gptneo_runs::{Event, Level};
use gptneo_train::files::{Disk, Files, Output};
use gptneo_train::{Data, Ended, Examples, Resume, Rows, TrainError};

use crate::world::World;

/// Data that asks the run to stop when some sequence is read.
#[derive(Debug)]
struct Stopping {
    data: Data,
    at: u64,
    stop: Arc<AtomicBool>,
}

impl Examples for Stopping {
    fn rows(&self, sequences: std::ops::Range<u64>) -> Result<Rows, TrainError> {
        if sequences.contains(&self.at) {
            self.stop.store(true, Ordering::SeqCst);
        }
        self.data.rows(sequences)
    }

    fn pass(&self) -> Option<u64> {
        self.data.pass()
    }

    fn documents(&self, sequences: std::ops::Range<u64>, limit: usize) -> Result<Vec<String>, TrainError> {
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

const SETTINGS: [&[&str]; 5] = [
    &[],
    &["checkpoint.background=false", "model.dropout=0.1"],
    &["optimizer.kind=muon", "batch.ramp_from=2", "batch.ramp_steps=5"],
    &["optimizer.kind=adafactor", "checkpoint.keep_best=true", "checkpoint.keep=1"],
    &["data.across_documents=false", "schedule.kind=warmup-stable-decay", "model.recompute=true", "z_loss=1e-4"],
];

#[test]
fn a_stopped_run_goes_on_to_the_same_bits() {
    let world = World::new();
    for (case, set) in SETTINGS.iter().enumerate() {
        let whole = format!("whole-{case}");
        world.run(&world.recipe(&whole, set), Resume::Never).ended.unwrap();
        for at in [2, 20, 45] {
            let name = format!("cut-{case}-{at}");
            let recipe = world.recipe(&name, set);
            let stop = Arc::new(AtomicBool::new(false));
            let data = Data::open(&recipe.data, recipe.seed).unwrap();
            let examples = Box::new(Stopping { data, at, stop: stop.clone() });
            let cut = world.run_with(&recipe, Resume::Auto, Arc::new(Disk), &stop, Some(examples));
            assert!(matches!(cut.ended, Ok(Ended::Stopped { step: 1.. })), "{name}: {:?}", cut.ended);
            world.run(&recipe, Resume::Auto).ended.unwrap();
            assert_eq!(world.log(&name), world.log(&whole), "{name}");
            assert_eq!(world.last(&name), world.last(&whole), "{name}");
        }
    }
}

/// A disk that goes away: after so many operations every one fails, as for a process that was killed.
#[derive(Clone, Debug)]
struct Killed {
    left: Arc<std::sync::atomic::AtomicI64>,
}

impl Killed {
    fn turn(&self) -> std::io::Result<()> {
        if self.left.fetch_sub(1, Ordering::SeqCst) > 0 { Ok(()) } else { Err(std::io::ErrorKind::StorageFull.into()) }
    }
}

impl Files for Killed {
    fn create_dir(&self, path: &std::path::Path) -> std::io::Result<()> {
        self.turn()?;
        Disk.create_dir(path)
    }

    fn create(&self, path: &std::path::Path) -> std::io::Result<Box<dyn Output>> {
        self.turn()?;
        Ok(Box::new(KilledOutput(Disk.create(path)?, self.clone())))
    }

    fn resume(&self, path: &std::path::Path, bytes: u64) -> std::io::Result<Box<dyn Output>> {
        self.turn()?;
        Ok(Box::new(KilledOutput(Disk.resume(path, bytes)?, self.clone())))
    }

    fn rename(&self, from: &std::path::Path, to: &std::path::Path) -> std::io::Result<()> {
        self.turn()?;
        Disk.rename(from, to)
    }

    fn sync_dir(&self, path: &std::path::Path) -> std::io::Result<()> {
        self.turn()?;
        Disk.sync_dir(path)
    }

    fn remove_dir(&self, path: &std::path::Path) -> std::io::Result<()> {
        self.turn()?;
        Disk.remove_dir(path)
    }
}

struct KilledOutput(Box<dyn Output>, Killed);

impl std::io::Write for KilledOutput {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.1.turn()?;
        self.0.write(&bytes[..bytes.len().div_ceil(2)])
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.0.flush()
    }
}

impl Output for KilledOutput {
    fn sync(&mut self) -> std::io::Result<()> {
        self.1.turn()?;
        self.0.sync()
    }
}

#[test]
fn wherever_the_disk_ends_the_run_resumes_to_the_same_bits() {
    let world = World::new();
    let set = ["checkpoint.background=false"];
    world.run(&world.recipe("whole", &set), Resume::Never).ended.unwrap();
    let mut ended_early = 0;
    for operations in (0..420).step_by(7) {
        let name = format!("killed-{operations}");
        let recipe = world.recipe(&name, &set);
        let files = Arc::new(Killed { left: Arc::new(operations.into()) });
        let cut = world.run_with(&recipe, Resume::Auto, files, &AtomicBool::new(false), None);
        ended_early += i32::from(cut.ended.is_err());
        world.run(&recipe, Resume::Auto).ended.unwrap();
        assert_eq!(world.log(&name), world.log("whole"), "{name}");
        assert_eq!(world.last(&name), world.last("whole"), "{name}");
    }
    assert!(ended_early > 20, "only {ended_early} runs were cut");
}

#[test]
fn a_damaged_checkpoint_is_passed_over_aloud_and_made_again() {
    let world = World::new();
    world.run(&world.recipe("whole", &[]), Resume::Never).ended.unwrap();
    let recipe = world.recipe("damaged", &[]);
    world.run(&recipe, Resume::Never).ended.unwrap();
    let weights = recipe.output.join("checkpoints/step-00000012/model.safetensors");
    let mut bytes = std::fs::read(&weights).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 4;
    std::fs::write(&weights, bytes).unwrap();
    let again = world.run(&recipe, Resume::Auto);
    again.ended.unwrap();
    let warned = again.events.iter().any(|event| match event {
        Event::Message(message) => message.level == Level::Warning && message.text.contains("step-00000012 is damaged"),
        _ => false,
    });
    assert!(warned, "{:?}", again.events);
    assert_eq!(world.log("damaged"), world.log("whole"));
    assert_eq!(world.last("damaged"), world.last("whole"));
}

#[test]
fn a_folder_that_holds_a_run_is_not_begun_again() {
    let world = World::new();
    let recipe = world.recipe("twice", &[]);
    world.run(&recipe, Resume::Never).ended.unwrap();
    assert!(matches!(world.run(&recipe, Resume::Never).ended, Err(TrainError::Exists { .. })));
}

#[test]
fn another_recipe_or_other_data_do_not_go_on() {
    let world = World::new();
    world.run(&world.recipe("run", &[]), Resume::Never).ended.unwrap();
    let other = world.run(&world.recipe("run", &["optimizer.lr=0.02"]), Resume::Auto).ended.unwrap_err();
    assert!(other.to_string().contains("`lr = 0.01`") && other.to_string().contains("`lr = 0.02`"), "{other}");
    // How it is computed may change.
    world.run(&world.recipe("run", &["batch.micro=3", "checkpoint.keep=5"]), Resume::Auto).ended.unwrap();
    std::fs::rename(world.folder.path().join("shards"), world.folder.path().join("gone")).unwrap();
    let elsewhere = World::new();
    std::fs::rename(elsewhere.folder.path().join("shards"), world.folder.path().join("shards")).unwrap();
    world.run(&world.recipe("run", &[]), Resume::Auto).ended.unwrap();
}

/// A run that has not begun to decay may decay later, or now: it ends as if it had been meant so from the first step.
#[test]
fn the_end_of_a_schedule_may_move_until_it_is_reached() {
    let world = World::new();
    let lasting = |name, steps: &str, decay: &str| {
        world.recipe(name, &["schedule.kind=warmup-stable-decay", "checkpoint.keep=9", steps, decay])
    };
    world.run(&lasting("meant", "schedule.steps=20", "schedule.decay=6"), Resume::Never).ended.unwrap();
    let first = lasting("moved", "schedule.steps=12", "schedule.decay=4");
    world.run(&first, Resume::Never).ended.unwrap();
    std::fs::remove_dir_all(first.output.join("checkpoints/step-00000012")).unwrap();
    let moved = world.run(&lasting("moved", "schedule.steps=20", "schedule.decay=6"), Resume::Auto);
    moved.ended.unwrap();
    let told = |event: &Event| matches!(event, Event::Message(m) if m.text.ends_with("now ends after 20 steps"));
    assert!(moved.events.iter().any(told), "{:?}", moved.events);
    assert_eq!(world.last("moved"), world.last("meant"));
    assert_eq!(world.log("moved"), world.log("meant"));
    // Steps 15 to 20 had falling rates.
    let other = lasting("moved", "schedule.steps=30", "schedule.decay=6");
    let error = world.run(&other, Resume::Auto).ended.unwrap_err().to_string();
    assert!(error.contains("`steps = 20`") && error.contains("`steps = 30`"), "{error}");
}

#[test]
fn what_is_kept_is_what_was_asked_for() {
    let world = World::new();
    for (name, set, wanted) in [
        ("two", &["checkpoint.every=2"][..], &[10, 12][..]),
        ("one", &["checkpoint.every=5", "checkpoint.keep=1"], &[12]),
    ] {
        let recipe = world.recipe(name, set);
        world.run(&recipe, Resume::Never).ended.unwrap();
        let mut steps: Vec<u64> = std::fs::read_dir(recipe.output.join("checkpoints"))
            .unwrap()
            .map(|e| e.unwrap().file_name().to_str().unwrap().trim_start_matches("step-").parse().unwrap())
            .collect();
        steps.sort_unstable();
        assert_eq!(steps, wanted, "{name}");
    }
}
