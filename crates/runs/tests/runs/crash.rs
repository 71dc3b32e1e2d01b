//! Two processes at one store, and a process that is killed while it writes.
//!
//! The test binary starts itself again as the other process: a filter on the name of one ignored test picks the work.

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use gptneo_runs::{Observer, Recorder, State, Store};

use super::world::{World, loss, new_run, step};

/// The file that tells the other process what to do: the path of the store, and a name for its run.
const TASK: &str = "task";

fn another(folder: &Path, work: &str, name: &str, store: &Path) -> Child {
    let place = folder.join(name);
    std::fs::create_dir_all(&place).unwrap();
    std::fs::write(place.join(TASK), format!("{}\n{name}", store.display())).unwrap();
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", &format!("crash::{work}"), "--ignored", "--nocapture"])
        .current_dir(place)
        .stdout(Stdio::null())
        .spawn()
        .unwrap()
}

/// What this process was started for.
fn task() -> (Store, String) {
    let task = std::fs::read_to_string(TASK).unwrap();
    let (path, name) = task.split_once('\n').unwrap();
    (Store::open(Path::new(path)).unwrap(), name.to_owned())
}

#[test]
#[ignore = "the work of another process"]
fn writes_three_hundred_steps() {
    let (mut store, name) = task();
    let run = store.begin(&new_run(&name)).unwrap();
    for at in 1..=300 {
        store.record(run.id, &step(at)).unwrap();
    }
    store.set_state(run.id, State::Finished).unwrap();
}

#[test]
#[ignore = "the work of another process"]
fn writes_until_it_is_killed() {
    let (mut store, name) = task();
    let run = store.begin(&new_run(&name)).unwrap();
    let mut recorder = Recorder::start(&store, run.id, Vec::new(), |_: &str| {}).unwrap();
    for at in 1.. {
        recorder.observe(&step(at));
        recorder.flush(Duration::from_secs(5));
    }
}

#[test]
fn processes_share_a_store_from_its_first_moment() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("runs.sqlite");
    let names = ["one", "two", "three"];
    let children: Vec<Child> =
        names.iter().map(|name| another(folder.path(), "writes_three_hundred_steps", name, &path)).collect();
    for mut child in children {
        assert!(child.wait().unwrap().success());
    }
    let store = Store::open(&path).unwrap();
    for name in names {
        let run = store.find(name).unwrap();
        assert_eq!(run.state, State::Finished);
        assert_eq!(store.series(run.id, "loss").unwrap().len(), 300, "{name}");
    }
}

#[test]
fn a_store_that_is_being_made_is_nobody_elses() {
    let folder = tempfile::tempdir().unwrap();
    for round in 0..40 {
        let path = folder.path().join(format!("{round}.sqlite"));
        std::thread::scope(|scope| {
            for opener in [(); 4].map(|()| scope.spawn(|| Store::open(&path).map(drop))) {
                opener.join().unwrap().unwrap();
            }
        });
    }
}

#[test]
fn a_killed_writer_leaves_a_whole_store() {
    let mut world = World::new();
    for (round, delay) in [30u64, 70, 110, 170].into_iter().enumerate() {
        let name = format!("killed-{round}");
        let mut child = another(world.folder.path(), "writes_until_it_is_killed", &name, &world.path());
        let begun = Instant::now();
        while world.store.find(&name).is_err() {
            assert!(begun.elapsed() < Duration::from_secs(30), "the other process does not begin");
            std::thread::sleep(Duration::from_millis(5));
        }
        std::thread::sleep(Duration::from_millis(delay));
        child.kill().unwrap();
        child.wait().unwrap();

        let mut store = Store::open(&world.path()).unwrap();
        let whole: String = rusqlite::Connection::open(world.path())
            .unwrap()
            .query_row("PRAGMA integrity_check", [], |row| row.get(0))
            .unwrap();
        assert_eq!(whole, "ok");
        let run = store.find(&name).unwrap();
        let last = run.last_step.unwrap_or(0);
        let points = store.series_after(run.id, "loss", None).unwrap();
        assert!(points.iter().zip(1..=last).all(|(point, at)| point.step == at && point.value == loss(at)));
        assert_eq!(points.len() as u64, last, "every step up to the last is there");
        assert_eq!(run.standing(run.seen + 61.0), "lost");

        // It goes on where a checkpoint was, and no trace of the first attempt stays.
        let checkpoint = last / 2;
        store.resume(&run.uid, checkpoint).unwrap().unwrap();
        world.steps(&run, checkpoint + 1, last + 2);
        let points = store.series(run.id, "loss").unwrap();
        assert!(points.iter().zip(1..=last + 2).all(|(point, at)| point.step == at && point.value == loss(at)));
        assert_eq!(points.len() as u64, last + 2);
    }
}
