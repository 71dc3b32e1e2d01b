//! The loop against PyTorch: `fixtures/training.py` says which steps.

use std::ops::Range;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use gptneo_device::Single;
use gptneo_kernels::{Cpu, CpuOptions};
use gptneo_model::TensorSource;
use gptneo_runs::Event;
use gptneo_train::files::Disk;
use gptneo_train::{Examples, First, Parts, Resume, Rows, TrainError, Trainer};

use crate::world::{Notes, World};

/// The sequences of the script, four a step.
#[derive(Debug)]
struct Rule {
    vocab: u64,
}

impl Examples for Rule {
    fn rows(&self, sequences: Range<u64>) -> Result<Rows, TrainError> {
        let token = |s: u64, r: u64, t: u64| ((31 * s + 17 * r + 3 * t * t + t * (r + 1)) % self.vocab) as u32;
        let mut rows = Rows::default();
        for index in sequences {
            let tokens: Vec<u32> = (0..17).map(|t| token(index / 4, index % 4, t)).collect();
            rows.push(&tokens[..16], &tokens[1..]);
        }
        Ok(rows)
    }

    fn pass(&self) -> Option<u64> {
        None
    }

    fn documents(&self, _: Range<u64>, _: usize) -> Result<Vec<String>, TrainError> {
        Ok(Vec::new())
    }

    fn held_out_windows(&self) -> u64 {
        0
    }

    fn held_out_rows(&self, _: u64) -> Result<Rows, TrainError> {
        Ok(Rows::default())
    }

    fn bytes_per_token(&self) -> f64 {
        1.0
    }

    fn fingerprint(&self) -> String {
        "rule".to_owned()
    }
}

#[test]
fn fifty_steps_are_those_of_pytorch() {
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures");
    let text = std::fs::read_to_string(fixtures.join("training.json")).unwrap();
    let wanted: std::collections::BTreeMap<String, Vec<f64>> = serde_json::from_str(&text).unwrap();
    assert_eq!(wanted.len(), 4, "all four families");
    for (family, wanted) in wanted {
        let source = gptneo_model::open(&fixtures.join("golden").join(&family)).unwrap();
        let world = World::new();
        let recipe = world.recipe(
            &family,
            &[
                "data.sequence=16",
                "batch.sequences=4",
                "batch.micro=2",
                "schedule.steps=50",
                "schedule.warmup=5",
                "schedule.kind=constant",
                "optimizer.lr=1e-3",
                "guard.deviations=0",
                "checkpoint.every=0",
                "evaluation.every=0",
            ],
        );
        let cpu = || Ok(Cpu::new(CpuOptions { threads: Some(1), isa: None }).unwrap());
        let mut notes = Notes::default();
        let parts = Parts {
            device: cpu().unwrap(),
            ranks: Box::new(Single),
            examples: Box::new(Rule { vocab: source.config().vocab as u64 }),
            files: Arc::new(Disk),
            tokenizer: None,
            extra: Vec::new(),
            another_device: &mut || cpu(),
            scores: None,
            observer: &mut notes,
            peak: None,
        };
        let config = source.config().clone();
        let mut trainer = Trainer::new(recipe, config, First::Weights(&source), Resume::Never, parts).unwrap();
        trainer.run(&AtomicBool::new(false)).unwrap();
        drop(trainer);
        let loss = |event: Event| if let Event::Step(step) = event { Some(step.loss) } else { None };
        let losses: Vec<f64> = notes.0.into_iter().filter_map(loss).collect();
        assert_eq!(losses.len(), wanted.len());
        let far = losses.iter().zip(&wanted).map(|(a, b)| ((a - b) / b).abs()).fold(0.0, f64::max);
        println!("{family}: largest difference {far:.1e} relative");
        assert!(far < 1e-4, "{family}: {far:.2e}");
    }
}
