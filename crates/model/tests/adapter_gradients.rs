//! Low-rank adapters in training against PEFT itself (`fixtures/adapter_gradients`, made by `fixtures/adapter_gradients.py`), which
//! shares no code with `low_rank.rs`; and what holds of the network around them.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on says so by its panic")]

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use gptneo_device::{DType, Device};
use gptneo_kernels::{Cpu, CpuOptions, Isa};
use gptneo_model::family::Role;
use gptneo_model::training::{
    Adapters, Batch, IGNORE, Network, NextToken, Outcome, Part, Recompute, StepKey, TrainOptions, Trainable, Write,
};
use gptneo_model::{Adapter, LowRank, TensorSource, open, write_hf};
use safetensors::SafeTensors;

const FAMILIES: [&str; 4] = ["gpt2", "gpt_neo", "gpt_j", "gpt_neox"];
const KEY: StepKey = StepKey { seed: 5, number: 9 };

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures")
}

/// As `fixtures/gradients.py` has them: two segments, every fifth target ignored.
struct Tokens {
    ids: Vec<u32>,
    targets: Vec<u32>,
    positions: Vec<u32>,
    segments: Vec<usize>,
}

impl Tokens {
    fn golden(name: &str) -> Self {
        let bytes = std::fs::read(fixtures().join("golden").join(name).join("golden.safetensors")).unwrap();
        let file = SafeTensors::deserialize(&bytes).unwrap();
        let ids = file.tensor("ids").unwrap();
        let ids: Vec<u32> = ids.data().as_chunks::<8>().0.iter().map(|b| u64::from_le_bytes(*b) as u32).collect();
        let cut = ids.len() * 2 / 3;
        let (mut targets, mut positions) = (Vec::new(), Vec::new());
        for range in [0..cut, cut..ids.len()] {
            for (i, row) in range.clone().enumerate() {
                targets.push(if row + 1 == range.end || i % 5 == 4 { IGNORE } else { ids[row + 1] });
                positions.push(i as u32);
            }
        }
        let segments = vec![cut, ids.len() - cut];
        Self { ids, targets, positions, segments }
    }

    fn batch(&self) -> Batch<'_> {
        Batch { ids: &self.ids, targets: &self.targets, positions: &self.positions, segments: &self.segments }
    }

    fn options(&self, adapters: Adapters) -> TrainOptions {
        TrainOptions { trainable: Trainable::Adapters(adapters), ..TrainOptions::new(1, self.ids.len()) }
    }

    fn objective(&self) -> NextToken {
        NextToken { z_loss: 1e-3, ..NextToken::mean(self.batch().counted()) }
    }
}

fn cpu(isa: Isa, threads: usize) -> Cpu {
    Cpu::new(CpuOptions { threads: Some(threads), isa: Some(isa) }).unwrap()
}

fn golden(name: &str) -> gptneo_model::CheckpointSource {
    open(&fixtures().join("golden").join(name)).unwrap()
}

fn peft(name: &str) -> Adapter {
    let (device, source) = (cpu(Isa::detect(), 1), golden(name));
    Adapter::open(&device, &fixtures().join("adapters").join(name), source.config()).unwrap()
}

/// The settings under which PEFT's adapter would be trained.
fn settings(adapter: &Adapter) -> Adapters {
    let stated = adapter.settings();
    let mut roles: Vec<Role> = adapter.iter().map(|(role, _, _)| role).collect();
    roles.sort_by_key(|role| *role as usize);
    roles.dedup();
    Adapters {
        rank: stated.rank,
        alpha: stated.alpha,
        rank_stabilised: stated.rank_stabilised,
        dropout: 0.0,
        targets: roles,
    }
}

fn network(name: &str, device: Cpu, options: TrainOptions) -> Network<Cpu> {
    let source = golden(name);
    let mut network = Network::new(device, source.config().clone(), options).unwrap();
    network.load(&source, &mut |_| ()).unwrap();
    let adapter = peft(name);
    let (device, layout, parameters) = network.parts();
    for slot in layout.trained_slots() {
        let LowRank { a, b, .. } = adapter.get(slot.role, slot.layer.unwrap()).unwrap();
        device.write(&mut parameters.trained, slot.range.start, if slot.part == Part::Down { a } else { b });
    }
    network
}

fn step(network: &mut Network<Cpu>, tokens: &Tokens) -> Outcome {
    network.step(&tokens.batch(), &mut tokens.objective(), KEY, Write::Set, &mut |_, _, _| ()).unwrap()
}

fn norm(values: &[f32]) -> f64 {
    values.iter().map(|&v| f64::from(v).powi(2)).sum::<f64>().sqrt()
}

/// The gradient of a factor, its outputs in PEFT's order.
fn stored(network: &Network<Cpu>, name: &str) -> Vec<f32> {
    let slot = network.layout().slots().iter().find(|slot| slot.name == name).unwrap_or_else(|| panic!("no {name}"));
    let values = &network.parameters().gradients.as_slice()[slot.range.clone()];
    if slot.role != Role::Qkv || slot.part != Part::Up || name.contains("c_attn") {
        return values.to_vec();
    }
    // GPT-NeoX has [H, 3, D, r] in files, [3, H, D, r] here.
    let (heads, block) = (network.config().heads, network.config().head_size() * slot.shape[1]);
    let at = |i: usize| (i / block % 3 * heads + i / block / 3) * block + i % block;
    (0..values.len()).map(|i| values[at(i)]).collect()
}

#[test]
fn every_family_has_the_gradients_of_peft() {
    for name in FAMILIES {
        let bytes = std::fs::read(fixtures().join("adapter_gradients").join(format!("{name}.safetensors"))).unwrap();
        let wanted: HashMap<String, Vec<f32>> = SafeTensors::deserialize(&bytes)
            .unwrap()
            .tensors()
            .into_iter()
            .map(|(n, t)| (n, t.data().as_chunks::<4>().0.iter().map(|b| f32::from_le_bytes(*b)).collect()))
            .collect();
        let tokens = Tokens::golden(name);
        for isa in Isa::available() {
            let mut network = network(name, cpu(isa, 2), tokens.options(settings(&peft(name))));
            let outcome = step(&mut network, &tokens);
            let loss = f64::from(wanted["loss"][0]);
            assert!((outcome.loss - loss).abs() < 1e-5 * loss, "{name} on {isa}: loss {}, not {loss}", outcome.loss);
            assert_eq!(wanted.len() - 1, network.layout().trained_slots().count(), "{name}: as many factors");
            for (factor, wanted) in wanted.iter().filter(|(n, _)| *n != "loss") {
                let found = stored(&network, factor);
                let size = f64::from(wanted[0]);
                let error = (norm(&found) - size).abs();
                assert!(error < 1e-4 * size + 2e-6, "{name} on {isa}: |{factor}| = {}, not {size}", norm(&found));
                let typical = size / (found.len() as f64).sqrt();
                let sampled = found.iter().step_by((found.len() / 61).max(1));
                for (i, (found, wanted)) in sampled.zip(&wanted[1..]).enumerate() {
                    let bound = 2e-4 * (f64::from(wanted.abs()) + typical) + 2e-6;
                    let error = f64::from(found - wanted).abs();
                    assert!(error < bound, "{name} on {isa}: {factor} sample {i} is {found}, not {wanted}");
                }
            }
        }
    }
}

#[test]
fn threads_and_recomputing_do_not_change_a_bit() {
    for name in FAMILIES {
        let tokens = Tokens::golden(name);
        let found = |threads: usize, recompute: Recompute| {
            let adapters = Adapters { dropout: 0.2, ..settings(&peft(name)) };
            let options = TrainOptions { recompute, ..tokens.options(adapters) };
            let mut network = network(name, cpu(Isa::detect(), threads), options);
            let (mut end, mut seen) = (0, Vec::new());
            let mut ready = |_: &Cpu, gradients: &gptneo_kernels::Buffer, range: std::ops::Range<usize>| {
                assert_eq!(range.start, end, "{name}: ranges follow each other");
                end = range.end;
                seen.extend(gradients.as_slice()[range].iter().map(|g| g.to_bits()));
            };
            network.step(&tokens.batch(), &mut tokens.objective(), KEY, Write::Set, &mut ready).unwrap();
            assert_eq!(end, network.layout().trained());
            seen
        };
        let one = found(1, Recompute::Nothing);
        assert!(one == found(2, Recompute::Nothing) && one == found(3, Recompute::Layers), "{name}");
    }
}

#[test]
fn fresh_adapters_change_nothing_and_begin_as_pefts_do() {
    for name in FAMILIES {
        let tokens = Tokens::golden(name);
        let source = golden(name);
        let options = tokens.options(settings(&peft(name)));
        let mut network = Network::new(cpu(Isa::detect(), 2), source.config().clone(), options).unwrap();
        network.load(&source, &mut |_| ()).unwrap();
        network.initialise_adapters(7);
        let mut plain =
            Network::new(cpu(Isa::detect(), 2), source.config().clone(), TrainOptions::new(1, tokens.ids.len()))
                .unwrap();
        plain.load(&source, &mut |_| ()).unwrap();
        assert_eq!(network.evaluate(&tokens.batch()).unwrap(), plain.evaluate(&tokens.batch()).unwrap(), "{name}");
        for slot in network.layout().trained_slots() {
            let values = &network.parameters().trained.as_slice()[slot.range.clone()];
            if slot.part == Part::Up {
                assert!(values.iter().all(|&b| b == 0.0), "{name} {}", slot.name);
                continue;
            }
            let bound = (slot.shape[1] as f32).powf(-0.5);
            let largest = values.iter().fold(0.0f32, |largest, a| largest.max(a.abs()));
            assert!(largest <= bound && largest > 0.9 * bound, "{name} {}: {largest} of {bound}", slot.name);
            let deviation = norm(values) / (values.len() as f64).sqrt();
            let wanted = f64::from(bound) / 3f64.sqrt();
            assert!((deviation / wanted - 1.0).abs() < 0.25, "{name} {}: {deviation}, not {wanted}", slot.name);
        }
    }
}

#[test]
fn a_snapshot_is_the_merged_model() {
    for name in FAMILIES {
        let tokens = Tokens::golden(name);
        let mut trained = network(name, cpu(Isa::detect(), 2), tokens.options(settings(&peft(name))));
        let before = trained.evaluate(&tokens.batch()).unwrap();
        let folder = tempfile::tempdir().unwrap();
        write_hf(trained.device(), &trained.snapshot().unwrap(), DType::F32, folder.path(), &mut |_| ()).unwrap();
        let source = open(folder.path()).unwrap();
        let options = TrainOptions::new(1, tokens.ids.len());
        let mut merged = Network::new(cpu(Isa::detect(), 2), source.config().clone(), options.clone()).unwrap();
        merged.load(&source, &mut |_| ()).unwrap();
        let after = merged.evaluate(&tokens.batch()).unwrap();
        assert!((after.nll - before.nll).abs() < 1e-5 * before.nll, "{name}: {} not {}", after.nll, before.nll);
        merged.load(&golden(name), &mut |_| ()).unwrap();
        let base = merged.evaluate(&tokens.batch()).unwrap();
        let moved = (base.nll - before.nll).abs();
        assert!(moved > 1e-4 * before.nll, "{name}: without the adapter the difference would show, not {moved}");
    }
}
