//! What the tests share: a store in a folder of its own, and runs with known numbers.

use std::path::PathBuf;

use gptneo_runs::{Event, NewRun, Origin, Run, Sample, StepMetrics, Store};

/// A store that goes away with the test.
pub(crate) struct World {
    pub(crate) folder: tempfile::TempDir,
    pub(crate) store: Store,
}

impl World {
    pub(crate) fn new() -> World {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(&folder.path().join("home/runs.sqlite")).unwrap();
        World { folder, store }
    }

    pub(crate) fn path(&self) -> PathBuf {
        self.store.path().to_owned()
    }

    pub(crate) fn begin(&mut self, name: &str) -> Run {
        self.store.begin(&new_run(name)).unwrap()
    }

    /// Records steps `from..=to` with [`step`].
    pub(crate) fn steps(&mut self, run: &Run, from: u64, to: u64) {
        for at in from..=to {
            self.store.record(run.id, &step(at)).unwrap();
        }
    }
}

pub(crate) fn new_run(name: &str) -> NewRun {
    NewRun {
        name: name.to_owned(),
        kind: "train".to_owned(),
        recipe: "[model]\nlayers = 2\n".to_owned(),
        settings: vec![("model.layers".to_owned(), "2".to_owned()), ("seed".to_owned(), "7".to_owned())],
        steps: Some(100),
        origin: Origin { code: "0.1.0".to_owned(), host: "here".to_owned(), ranks: 1, ..Origin::default() },
        uid: None,
    }
}

/// The loss that [`step`] reports.
pub(crate) fn loss(step: u64) -> f64 {
    1.0 + 4.0 / step as f64
}

pub(crate) fn step(step: u64) -> Event {
    Event::Step(StepMetrics {
        step,
        tokens: step * 1024,
        loss: loss(step),
        gradient_norm: 0.5,
        learning_rate: 1e-3,
        tokens_per_second: 1000.0,
        share_of_peak: Some(0.75),
        more: Vec::new(),
    })
}

pub(crate) fn sample(step: u64, text: &str) -> Event {
    Event::Sample(Sample { step, prompt: "Once".to_owned(), text: text.to_owned() })
}
