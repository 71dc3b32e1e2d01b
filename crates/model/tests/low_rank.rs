//! Adapters in training: beside frozen matrices they are the merged model, and their gradients the projections of its gradients.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on says so by its panic")]

use std::path::Path;

use gptneo_device::Device;
use gptneo_kernels::{Cpu, CpuOptions};
use gptneo_model::adapter::Adapter;
use gptneo_model::family::Role;
use gptneo_model::training::{
    Adapters, Batch, Network, NextToken, Outcome, Part, Recompute, Slot, StepKey, TrainError, TrainOptions, Trainable,
    Write,
};
use gptneo_model::{TensorSource, open};

const FAMILIES: [(&str, &[Role]); 5] = [
    ("gpt_neo", &[Role::Query, Role::Value, Role::AttentionOutput, Role::Inner, Role::Outer]),
    ("gpt_neo_groups", &[Role::Key, Role::Outer]),
    ("gpt_j", &[Role::Query, Role::Key, Role::Value, Role::AttentionOutput, Role::Inner, Role::Outer]),
    ("gpt_neox", &[Role::Qkv, Role::AttentionOutput, Role::Inner, Role::Outer]),
    ("gpt2", &[Role::Qkv, Role::Outer]),
];
const KEY: StepKey = StepKey { seed: 1, number: 2 };
const ROWS: usize = 13;

fn adapters(targets: &[Role], dropout: f32) -> Adapters {
    Adapters { rank: 3, alpha: 6.0, rank_stabilised: false, dropout, targets: targets.to_vec() }
}

fn network(name: &str, trainable: Trainable, recompute: Recompute) -> Network<Cpu> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/golden").join(name);
    let source = open(&folder).unwrap();
    let options = TrainOptions { longest: 8, trainable, recompute, ..TrainOptions::new(1, ROWS) };
    let cpu = Cpu::new(CpuOptions { threads: Some(2), isa: None }).unwrap();
    let mut network = Network::new(cpu, source.config().clone(), options).unwrap();
    network.load(&source, &mut |_| ()).unwrap();
    network.initialise_adapters(7);
    network
}

fn step(network: &mut Network<Cpu>) -> Outcome {
    let ids: Vec<u32> = (0..ROWS as u32).map(|i| i * 11 % 60).collect();
    let targets: Vec<u32> = (0..ROWS as u32).map(|i| i * 17 % 61).collect();
    let positions: Vec<u32> = (0..8).chain(0..5).collect();
    let batch = Batch { ids: &ids, targets: &targets, positions: &positions, segments: &[8, 5] };
    network.step(&batch, &mut NextToken::mean(ROWS), KEY, Write::Set, &mut |_, _, _| ()).unwrap()
}

fn write(network: &mut Network<Cpu>, start: usize, values: &[f32]) {
    let (device, _, parameters) = network.parts();
    device.write(&mut parameters.trained, start, values);
}

/// Makes B other than 0.
fn disturb(network: &mut Network<Cpu>) {
    let ups: Vec<Slot> = network.layout().slots().iter().filter(|slot| slot.part == Part::Up).cloned().collect();
    for (n, slot) in ups.iter().enumerate() {
        let values: Vec<f32> = (0..slot.range.len()).map(|i| ((i + 31 * n) as f32 * 0.61).sin() * 0.2).collect();
        write(network, slot.range.start, &values);
    }
}

/// `2 a b`, `[m, n]` from `k` terms, each operand read where its closure says; 2 is the scale, `alpha / r`.
fn product([m, n, k]: [usize; 3], a: impl Fn(usize, usize) -> f32, b: impl Fn(usize, usize) -> f32) -> Vec<f32> {
    let sum = |i: usize, j: usize| (0..k).map(|p| f64::from(a(i, p)) * f64::from(b(p, j))).sum::<f64>();
    (0..m * n).map(|at| (2.0 * sum(at / n, at % n)) as f32).collect()
}

#[test]
fn adapters_are_the_merged_model_and_their_gradients_its_projections() {
    for (name, targets) in FAMILIES {
        let mut whole = network(name, Trainable::All, Recompute::Nothing);
        let base = step(&mut whole);
        let mut adapted = network(name, Trainable::Adapters(adapters(targets, 0.0)), Recompute::Nothing);
        assert_eq!(step(&mut adapted).loss, base.loss, "{name}: a fresh adapter changes nothing");
        disturb(&mut adapted);
        let outcome = step(&mut adapted);
        assert!((outcome.loss - base.loss).abs() > 1e-3, "{name}");
        let pairs: Vec<(Slot, Slot)> = {
            let slots = adapted.layout().slots();
            let downs = slots.iter().enumerate().filter(|(_, slot)| slot.part == Part::Down);
            downs.map(|(i, down)| (down.clone(), slots[i + 1].clone())).collect()
        };
        assert_eq!(pairs.len(), targets.len() * adapted.config().layers());
        let values = adapted.parameters().trained.as_slice().to_vec();
        assert_eq!(values.len(), pairs.iter().map(|(a, b)| a.range.len() + b.range.len()).sum::<usize>());
        let place = |down: &Slot| whole.layout().find(down.role, down.layer).unwrap().range.clone();
        let places: Vec<_> = pairs.iter().map(|(down, _)| place(down)).collect();
        for ((down, up), place) in pairs.iter().zip(&places) {
            let (rows, cols, rank) = (up.shape[0], down.shape[1], down.shape[0]);
            let (a, b) = (&values[down.range.clone()], &values[up.range.clone()]);
            let added = product([rows, cols, rank], |i, p| b[i * rank + p], |p, j| a[p * cols + j]);
            let matrix = &whole.parameters().trained.as_slice()[place.clone()];
            let merged: Vec<f32> = matrix.iter().zip(added).map(|(w, d)| w + d).collect();
            write(&mut whole, place.start, &merged);
        }
        let merged = step(&mut whole);
        assert!((outcome.loss - merged.loss).abs() < 2e-5 * merged.loss, "{name}: {} {}", outcome.loss, merged.loss);
        let gradient = adapted.parameters().gradients.as_slice();
        for ((down, up), place) in pairs.iter().zip(places) {
            let (rows, cols, rank) = (up.shape[0], down.shape[1], down.shape[0]);
            let (a, b) = (&values[down.range.clone()], &values[up.range.clone()]);
            let whole = &whole.parameters().gradients.as_slice()[place];
            let d_a = product([rank, cols, rows], |i, p| b[p * rank + i], |p, j| whole[p * cols + j]);
            let d_b = product([rows, rank, cols], |i, p| whole[i * cols + p], |p, j| a[j * cols + p]);
            for (slot, wanted) in [(down, d_a), (up, d_b)] {
                let size = wanted.iter().fold(0.0f32, |m, v| m.max(v.abs()));
                for (found, wanted) in gradient[slot.range.clone()].iter().zip(wanted) {
                    assert!((found - wanted).abs() < 3e-4 * size + 1e-6, "{name} {}: {found}, not {wanted}", slot.name);
                }
            }
        }
        let mut again = network(name, Trainable::Adapters(adapters(targets, 0.0)), Recompute::Layers);
        disturb(&mut again);
        assert_eq!(step(&mut again), outcome);
        assert!(again.parameters().gradients.as_slice() == gradient, "{name}, recomputed");
    }
}

#[test]
fn what_was_learnt_is_an_adapter_and_training_goes_on_from_it() {
    for (name, targets) in FAMILIES {
        let trainable = || Trainable::Adapters(adapters(targets, 0.0));
        let mut taught = network(name, trainable(), Recompute::Nothing);
        disturb(&mut taught);
        let outcome = step(&mut taught);
        let adapter = taught.adapter(Some("a base")).unwrap().unwrap();
        assert_eq!(adapter.parameters() as usize, taught.layout().trained());
        // Through PEFT's files, where NeoX has its own order of outputs.
        let folder = tempfile::tempdir().unwrap();
        adapter.save(folder.path()).unwrap();
        let read = Adapter::open(taught.device(), folder.path(), taught.config()).unwrap();
        let mut again = network(name, trainable(), Recompute::Nothing);
        again.load_adapter(&read).unwrap();
        assert_eq!(step(&mut again), outcome, "{name}");
        let mut other = network(name, Trainable::Adapters(adapters(&[Role::Inner], 0.0)), Recompute::Nothing);
        assert!(matches!(other.load_adapter(&read), Err(TrainError::OtherAdapter)), "{name}");
        assert!(matches!(again.load_adapter(&read.scaled(2.0)), Err(TrainError::OtherAdapter)), "{name}");
    }
}

#[test]
fn behind_dropout_the_gradient_is_the_slope_of_the_masked_loss() {
    for (name, targets) in FAMILIES {
        let mut adapted = network(name, Trainable::Adapters(adapters(targets, 0.4)), Recompute::Nothing);
        disturb(&mut adapted);
        let outcome = step(&mut adapted);
        let mut plain = network(name, Trainable::Adapters(adapters(targets, 0.0)), Recompute::Nothing);
        disturb(&mut plain);
        assert!((step(&mut plain).loss - outcome.loss).abs() > 1e-4, "{name}: something is dropped");
        let gradient = adapted.parameters().gradients.as_slice().to_vec();
        let values = adapted.parameters().trained.as_slice().to_vec();
        let slots = adapted.layout().slots().to_vec();
        for part in [Part::Down, Part::Up] {
            let mut along = vec![0.0; gradient.len()];
            for slot in slots.iter().filter(|slot| slot.part == part) {
                along[slot.range.clone()].copy_from_slice(&gradient[slot.range.clone()]);
            }
            let square: f64 = along.iter().map(|&g| f64::from(g).powi(2)).sum();
            let size = 2e-3 / square.sqrt();
            let mut at = |h: f64| {
                let moved: Vec<f32> =
                    values.iter().zip(&along).map(|(w, d)| (f64::from(*w) + h * f64::from(*d)) as f32).collect();
                write(&mut adapted, 0, &moved);
                step(&mut adapted).loss
            };
            let slope = (at(size) - at(-size)) / (2.0 * size);
            assert!((slope - square).abs() < 0.01 * square, "{name} {part:?}: slope {slope}, gradient {square}");
        }
    }
}

#[test]
fn names_are_those_of_peft_and_targets_those_of_the_family() {
    let adapted = network("gpt_neo", Trainable::Adapters(adapters(&[Role::Query], 0.0)), Recompute::Nothing);
    let names: Vec<&str> = adapted.layout().trained_slots().map(|slot| slot.name.as_str()).collect();
    let module = "base_model.model.transformer.h.0.attn.attention.q_proj";
    assert!(names.contains(&format!("{module}.lora_A.weight").as_str()), "{names:?}");
    assert!(names.contains(&format!("{module}.lora_B.weight").as_str()), "{names:?}");
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/golden/gpt_neo");
    let refused = |adapters: Adapters| {
        let options = TrainOptions { trainable: Trainable::Adapters(adapters), ..TrainOptions::new(1, 8) };
        let cpu = Cpu::new(CpuOptions { threads: Some(1), isa: None }).unwrap();
        Network::new(cpu, open(&folder).unwrap().config().clone(), options).unwrap_err()
    };
    assert!(matches!(refused(adapters(&[Role::Qkv], 0.0)), TrainError::NoTarget(Role::Qkv, _)));
    assert!(matches!(refused(adapters(&[Role::Embedding], 0.0)), TrainError::NoTarget(Role::Embedding, _)));
    assert!(matches!(refused(adapters(&[], 0.0)), TrainError::NothingTrained));
    assert!(matches!(refused(adapters(&[Role::Query], 1.0)), TrainError::Option { .. }));
    assert!(matches!(refused(Adapters { rank: 0, ..adapters(&[Role::Query], 0.0) }), TrainError::Option { .. }));
}
