//! The recorder: batches, a store that is held by others, and words when something is lost.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use gptneo_runs::{Evaluation, Event, Followed, Observer, Recorder, State, Store, TextKind};

use super::world::{World, loss, sample, step};

/// Words that a recorder said.
#[derive(Clone, Default)]
struct Words(Arc<Mutex<Vec<String>>>);

impl Words {
    fn taker(&self) -> impl Fn(&str) + Send + Sync + 'static {
        let words = self.clone();
        move |text: &str| words.0.lock().unwrap().push(text.to_owned())
    }

    fn all(&self) -> Vec<String> {
        self.0.lock().unwrap().clone()
    }
}

#[test]
fn everything_observed_is_recorded_in_order() {
    let mut world = World::new();
    let run = world.begin("r");
    let words = Words::default();
    let mut recorder = Recorder::start(&world.store, run.id, Vec::new(), words.taker()).unwrap();
    for at in 1..=5_000 {
        recorder.observe(&step(at));
    }
    recorder.observe(&sample(5_000, "the end"));
    let outcome = recorder.finish(State::Finished);
    assert_eq!((outcome.lost, outcome.undelivered.len()), (0, 0), "{:?}", words.all());
    let points = world.store.series(run.id, "loss").unwrap();
    assert_eq!(points.len(), 5_000);
    assert!(points.iter().zip(1..).all(|(point, at)| point.step == at && point.value == loss(at)));
    assert_eq!(world.store.texts(run.id, TextKind::Sample, 1).unwrap()[0].body, "the end");
    assert_eq!(world.store.run(run.id).unwrap().state, State::Finished);
    assert!(words.all().is_empty(), "{:?}", words.all());
}

#[test]
fn a_flush_puts_everything_into_the_store() {
    let mut world = World::new();
    let run = world.begin("r");
    let mut recorder = Recorder::start(&world.store, run.id, Vec::new(), |words: &str| panic!("{words}")).unwrap();
    for at in 1..=100 {
        recorder.observe(&step(at));
    }
    assert!(recorder.flush(Duration::from_secs(20)));
    assert_eq!(world.store.series(run.id, "loss").unwrap().len(), 100);
    recorder.finish(State::Stopped);
}

#[test]
fn a_held_store_delays_nobody_and_loses_nothing() {
    let mut world = World::new();
    let run = world.begin("r");
    let words = Words::default();
    let mut recorder = Recorder::start(&world.store, run.id, Vec::new(), words.taker()).unwrap();
    let holder = rusqlite::Connection::open(world.path()).unwrap();
    holder.execute_batch("BEGIN IMMEDIATE").unwrap();
    let begun = Instant::now();
    for at in 1..=1_000 {
        recorder.observe(&step(at));
    }
    assert!(begun.elapsed() < Duration::from_secs(2), "observing waited for the store");
    assert!(!recorder.flush(Duration::from_millis(300)), "nothing can have been written");
    holder.execute_batch("ROLLBACK").unwrap();
    assert_eq!(recorder.finish(State::Finished).lost, 0);
    assert_eq!(world.store.series(run.id, "loss").unwrap().len(), 1_000);
}

#[test]
fn what_cannot_be_written_is_said_and_counted() {
    let mut world = World::new();
    let run = world.begin("r");
    let words = Words::default();
    let mut recorder = Recorder::start(&world.store, run.id, Vec::new(), words.taker()).unwrap();
    // Damage of a kind that no waiting heals.
    rusqlite::Connection::open(world.path()).unwrap().execute_batch("DROP TABLE metrics").unwrap();
    recorder.observe(&step(1));
    recorder.observe(&step(2));
    let outcome = recorder.finish(State::Finished);
    assert!(outcome.lost >= 2, "{outcome:?}");
    assert!(
        words.all().iter().any(|word| word.contains("not recorded") && word.contains("metrics")),
        "{words:?}",
        words = words.all()
    );
}

#[test]
fn a_dropped_recorder_writes_what_it_has() {
    let mut world = World::new();
    let run = world.begin("r");
    let mut recorder = Recorder::start(&world.store, run.id, Vec::new(), |words: &str| panic!("{words}")).unwrap();
    recorder.observe(&step(1));
    drop(recorder);
    let store = Store::open(&world.path()).unwrap();
    assert_eq!(store.series(run.id, "loss").unwrap().len(), 1);
    assert_eq!(store.run(run.id).unwrap().state, State::Running);
}

#[test]
fn a_run_can_be_followed_event_by_event() {
    let mut world = World::new();
    let run = world.begin("r");
    let values = vec![("loss".to_owned(), 2.0), ("bits_per_byte".to_owned(), 0.5)];
    let evaluation = Event::Evaluation(Evaluation { step: 1_500, on: "held_out".to_owned(), values });
    world.steps(&run, 1, 1_500);
    world.store.record(run.id, &evaluation).unwrap();
    world.store.record(run.id, &sample(1_500, "x")).unwrap();
    let mut followed = Followed::default();
    let mut events = Vec::new();
    loop {
        let some = world.store.follow(run.id, &mut followed).unwrap();
        if some.is_empty() {
            break;
        }
        events.extend(some.into_iter().map(|(_, event)| event));
    }
    let steps: Vec<&Event> = events.iter().filter(|event| matches!(event, Event::Step(_))).collect();
    assert!(steps.iter().zip(1..).all(|(event, at)| **event == step(at)), "an event was cut in two");
    assert_eq!(steps.len(), 1_500);
    assert!(events.contains(&evaluation) && events.contains(&sample(1_500, "x")));
    world.steps(&run, 1_501, 1_501);
    let more = world.store.follow(run.id, &mut followed).unwrap();
    assert_eq!(more.into_iter().map(|(_, event)| event).collect::<Vec<_>>(), [step(1_501)]);
}
