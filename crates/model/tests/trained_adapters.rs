//! An adapter that was trained is the one that the decoder and PEFT's directory have.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on says so by its panic")]

use std::path::Path;

use gptneo_device::{CacheType, Device};
use gptneo_kernels::{Cpu, CpuOptions};
use gptneo_model::family::Role;
use gptneo_model::training::{Adapters, Batch, Network, Part, Slot, TrainOptions, Trainable};
use gptneo_model::{Adapter, LanguageModel, LoadOptions, Run, TensorSource, Want, load, open};

const FAMILIES: [(&str, &[Role]); 4] = [
    ("gpt_neo", &[Role::Query, Role::Value, Role::AttentionOutput, Role::Inner, Role::Outer]),
    ("gpt_j", &[Role::Key, Role::Inner]),
    ("gpt_neox", &[Role::Qkv, Role::AttentionOutput, Role::Inner, Role::Outer]),
    ("gpt2", &[Role::Qkv, Role::Outer]),
];
const ROWS: usize = 12;

fn cpu() -> Cpu {
    Cpu::new(CpuOptions { threads: Some(2), isa: None }).unwrap()
}

/// A network with adapters of which no factor is 0.
fn network(source: &dyn TensorSource, targets: &[Role], rank_stabilised: bool) -> Network<Cpu> {
    let adapters = Adapters { rank: 3, alpha: 5.0, rank_stabilised, dropout: 0.1, targets: targets.to_vec() };
    let options = TrainOptions { trainable: Trainable::Adapters(adapters), ..TrainOptions::new(1, ROWS) };
    let mut network = Network::new(cpu(), source.config().clone(), options).unwrap();
    network.load(source, &mut |_| ()).unwrap();
    network.initialise_adapters(7);
    let ups: Vec<Slot> = network.layout().slots().iter().filter(|slot| slot.part == Part::Up).cloned().collect();
    for (n, slot) in ups.iter().enumerate() {
        let values: Vec<f32> = (0..slot.range.len()).map(|i| ((i + 31 * n) as f32 * 0.61).sin() * 0.3).collect();
        let (device, _, parameters) = network.parts();
        device.write(&mut parameters.trained, slot.range.start, &values);
    }
    network
}

#[test]
fn a_trained_adapter_gives_the_decoder_the_networks_log_probabilities() {
    let scratch = tempfile::tempdir().unwrap();
    for (name, targets) in FAMILIES {
        for rank_stabilised in [false, true] {
            let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/golden").join(name);
            let source = open(&folder).unwrap();
            let mut network = network(&source, targets, rank_stabilised);
            let ids: Vec<u32> = (0..ROWS as u32).map(|i| i * 11 % 60).collect();
            let targets: Vec<u32> = (0..ROWS as u32).map(|i| i * 17 % 61).collect();
            let positions: Vec<u32> = (0..ROWS as u32).collect();
            let batch = Batch { ids: &ids, targets: &targets, positions: &positions, segments: &[ROWS] };
            network.evaluate(&batch).unwrap();

            let trained = network.adapter(Some("some/base")).unwrap().unwrap();
            trained.save(scratch.path()).unwrap();
            let adapter = Adapter::open(&cpu(), scratch.path(), source.config()).unwrap();
            assert_eq!(adapter, trained, "{name}: as it was written");
            let exact = Some(CacheType::F32);
            let options = LoadOptions { key: exact, value: exact, ..LoadOptions::default() };
            let mut decoder = load(cpu(), &source, &options, &mut |_| ()).unwrap().decoder;
            let id = decoder.add_adapter(&adapter).unwrap();
            let sequence = decoder.open_adapted(id).unwrap();
            let mut logits = Vec::new();
            decoder.forward(&[Run::tokens(sequence, &ids, Want::All)], &mut logits).unwrap();
            for (row, (logits, &target)) in logits.chunks_exact(decoder.spec().vocab).zip(&targets).enumerate() {
                let sum = logits.iter().map(|&l| f64::from(l).exp()).sum::<f64>().ln();
                let (found, wanted) = (f64::from(network.log_probs()[row]), f64::from(logits[target as usize]) - sum);
                assert!((found - wanted).abs() < 5e-5, "{name} row {row}: {found}, not {wanted}");
            }
        }
    }
}

#[test]
fn a_network_that_trains_the_model_itself_has_no_adapter() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/golden/gpt2");
    let config = open(&folder).unwrap().config().clone();
    let network = Network::new(cpu(), config, TrainOptions::new(1, ROWS)).unwrap();
    assert!(network.adapter(None).unwrap().is_none());
}
