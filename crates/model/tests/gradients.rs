//! Networks in training against PyTorch (`fixtures/gradients`, made by `fixtures/gradients.py`), against finite differences where
//! PyTorch cannot follow (dropout), against the decoder, and against themselves.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on says so by its panic")]

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use gptneo_device::{CacheType, DType};
use gptneo_kernels::{Cpu, CpuOptions, Isa};
use gptneo_model::family::Layout as Stored;
use gptneo_model::training::{
    Batch, Derivatives, Dropouts, IGNORE, Initial, Kind, Network, NextToken, Objective, Outcome, Plan, Recompute,
    Scope, Scored, StepKey, TrainError, TrainOptions, Trainable, Write,
};
use gptneo_model::{LanguageModel, LoadOptions, Run, TensorSource, Want, load, open, shapes, write_hf};
use safetensors::SafeTensors;

const KEY: StepKey = StepKey { seed: 5, number: 9 };

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures")
}

fn variants() -> Vec<String> {
    let files = std::fs::read_dir(fixtures().join("gradients")).unwrap();
    let mut names: Vec<String> =
        files.map(|f| f.unwrap().path().file_stem().unwrap().to_str().unwrap().to_owned()).collect();
    names.sort();
    assert!(names.len() >= 20, "only {} golden gradients found", names.len());
    names
}

fn floats(path: &Path) -> HashMap<String, Vec<f32>> {
    let bytes = std::fs::read(path).unwrap();
    let file = SafeTensors::deserialize(&bytes).unwrap();
    let floats = file.tensors().into_iter().filter(|(_, t)| t.dtype() == safetensors::Dtype::F32);
    floats.map(|(n, t)| (n, t.data().as_chunks::<4>().0.iter().map(|b| f32::from_le_bytes(*b)).collect())).collect()
}

/// Two segments, the first two thirds of the golden ids and the rest, as `fixtures/gradients.py` has them.
struct Tokens {
    ids: Vec<u32>,
    targets: Vec<u32>,
    positions: Vec<u32>,
    segments: Vec<usize>,
}

impl Tokens {
    fn new(ids: Vec<u32>, segments: Vec<usize>) -> Self {
        let (mut targets, mut positions, mut start) = (Vec::new(), Vec::new(), 0);
        for &len in &segments {
            for i in 0..len {
                let last = i + 1 == len;
                targets.push(if last || i % 5 == 4 { IGNORE } else { ids[start + i + 1] });
                positions.push(i as u32);
            }
            start += len;
        }
        Self { ids, targets, positions, segments }
    }

    fn golden(name: &str) -> Self {
        let bytes = std::fs::read(fixtures().join("golden").join(name).join("golden.safetensors")).unwrap();
        let file = SafeTensors::deserialize(&bytes).unwrap();
        let ids = file.tensor("ids").unwrap();
        let ids: Vec<u32> = ids.data().as_chunks::<8>().0.iter().map(|b| u64::from_le_bytes(*b) as u32).collect();
        let cut = ids.len() * 2 / 3;
        let segments = vec![cut, ids.len() - cut];
        Self::new(ids, segments)
    }

    fn batch(&self) -> Batch<'_> {
        Batch { ids: &self.ids, targets: &self.targets, positions: &self.positions, segments: &self.segments }
    }

    fn options(&self) -> TrainOptions {
        TrainOptions { longest: *self.segments.iter().max().unwrap(), ..TrainOptions::new(1, self.ids.len()) }
    }

    fn objective(&self) -> NextToken {
        NextToken { z_loss: 1e-3, ..NextToken::mean(self.batch().counted()) }
    }
}

fn cpu(isa: Isa, threads: usize) -> Cpu {
    Cpu::new(CpuOptions { threads: Some(threads), isa: Some(isa) }).unwrap()
}

fn network_on(device: Cpu, name: &str, options: TrainOptions) -> Network<Cpu> {
    let source = open(&fixtures().join("golden").join(name)).unwrap();
    let mut network = Network::new(device, source.config().clone(), options).unwrap();
    network.load(&source, &mut |_| ()).unwrap();
    network
}

fn network(name: &str, options: TrainOptions) -> Network<Cpu> {
    network_on(cpu(Isa::detect(), 2), name, options)
}

fn step(network: &mut Network<Cpu>, tokens: &Tokens) -> Outcome {
    network.step(&tokens.batch(), &mut tokens.objective(), KEY, Write::Set, &mut |_, _, _| ()).unwrap()
}

fn gradients(network: &Network<Cpu>) -> Vec<f32> {
    network.parameters().gradients.as_slice().to_vec()
}

/// The gradient of a slot, laid out as its checkpoint stores it.
fn stored(network: &Network<Cpu>, name: &str) -> Vec<f32> {
    let config = network.config();
    let slot = network.layout().slots().iter().find(|slot| slot.name == name).unwrap_or_else(|| panic!("no {name}"));
    let values = &network.parameters().gradients.as_slice()[slot.range.clone()];
    let (_, stored) = config.family.hf_name(slot.role, slot.layer).unwrap();
    let (rows, cols) = (slot.shape[0], slot.shape.get(1).copied().unwrap_or(1));
    let at: Box<dyn Fn(usize) -> usize> = match stored {
        Stored::Plain => Box::new(|i| i),
        Stored::Transposed => Box::new(move |i| i % rows * cols + i / rows),
        Stored::HeadMajor => {
            let (heads, block) = (config.heads, config.head_size() * cols);
            // Stored [H, 3, D, C], here [3, H, D, C].
            Box::new(move |i| (i / block % 3 * heads + i / block / 3) * block + i % block)
        }
    };
    (0..values.len()).map(|i| values[at(i)]).collect()
}

fn norm(values: &[f32]) -> f64 {
    values.iter().map(|&v| f64::from(v).powi(2)).sum::<f64>().sqrt()
}

#[test]
fn every_family_and_variant_has_the_loss_and_gradients_of_pytorch() {
    for name in variants() {
        let wanted = floats(&fixtures().join("gradients").join(format!("{name}.safetensors")));
        let tokens = Tokens::golden(&name);
        for isa in Isa::available() {
            let mut network = network_on(cpu(isa, 2), &name, tokens.options());
            let outcome = step(&mut network, &tokens);
            let close = |found: f64, wanted: f32| (found - f64::from(wanted)).abs() < 1e-5 * f64::from(wanted).abs();
            assert!(close(outcome.loss, wanted["loss"][0]), "{name} on {isa}: loss {}", outcome.loss);
            assert!(close(outcome.nll, wanted["nll"][0]), "{name} on {isa}: nll {}", outcome.nll);
            assert_eq!(wanted.len() - 2, network.layout().slots().len(), "{name}: as many parameters");
            for (parameter, wanted) in wanted.iter().filter(|(n, _)| !["loss", "nll"].contains(&n.as_str())) {
                let found = stored(&network, parameter);
                let size = f64::from(wanted[0]);
                let error = (norm(&found) - size).abs();
                // Where the exact gradient is 0 (a window of one key), what is left is rounding.
                assert!(error < 1e-4 * size + 2e-6, "{name} on {isa}: |{parameter}| = {}, not {size}", norm(&found));
                let typical = size / (found.len() as f64).sqrt();
                let sampled = found.iter().step_by((found.len() / 61).max(1));
                for (i, (found, wanted)) in sampled.zip(&wanted[1..]).enumerate() {
                    let error = f64::from(found - wanted).abs();
                    let bound = 2e-4 * (f64::from(wanted.abs()) + typical) + 2e-6;
                    assert!(error < bound, "{name} on {isa}: {parameter} sample {i} is {found}, not {wanted}");
                }
            }
        }
    }
}

#[test]
fn the_loss_is_what_the_decoder_scores() {
    for name in variants() {
        let tokens = Tokens::golden(&name);
        let mut network = network(&name, tokens.options());
        let outcome = network.evaluate(&tokens.batch()).unwrap();
        let exact = Some(CacheType::F32);
        let options = LoadOptions { key: exact, value: exact, ..LoadOptions::default() };
        let source = open(&fixtures().join("golden").join(&name)).unwrap();
        let mut decoder = load(cpu(Isa::detect(), 2), &source, &options, &mut |_| ()).unwrap().decoder;
        let (mut nll, mut row) = (0.0, 0);
        for &len in &tokens.segments {
            let (sequence, mut logits) = (decoder.open(), Vec::new());
            let run = Run::tokens(sequence, &tokens.ids[row..row + len], Want::All);
            decoder.forward(&[run], &mut logits).unwrap();
            decoder.close(sequence);
            for logits in logits.chunks(source.config().vocab) {
                let log_z = logits.iter().map(|&l| f64::from(l).exp()).sum::<f64>().ln();
                let target = tokens.targets[row];
                let log_prob = if target == IGNORE { 0.0 } else { f64::from(logits[target as usize]) - log_z };
                assert!((f64::from(network.log_probs()[row]) - log_prob).abs() < 2e-5, "{name} row {row}");
                nll -= log_prob;
                row += 1;
            }
        }
        assert!((outcome.nll - nll).abs() < 1e-5 * nll, "{name}: {} not {nll}", outcome.nll);
        assert!((outcome.loss - nll / outcome.counted as f64).abs() < 1e-5 * outcome.loss);
    }
}

#[test]
fn threads_and_recomputing_do_not_change_a_bit() {
    for name in ["gpt_neo", "gpt_neo_odd", "gpt_j", "gpt_neox", "gpt2_inverse_layer"] {
        let tokens = Tokens::golden(name);
        let dropout = Dropouts { embedding: 0.1, attention: 0.2, residual: 0.3 };
        for dropout in [Dropouts::default(), dropout] {
            let found = |threads: usize, recompute: Recompute| {
                let options = TrainOptions { dropout, recompute, ..tokens.options() };
                let mut network = network_on(cpu(Isa::detect(), threads), name, options);
                let outcome = step(&mut network, &tokens);
                (outcome.loss.to_bits(), gradients(&network).iter().map(|g| g.to_bits()).collect::<Vec<_>>())
            };
            let one = found(1, Recompute::Nothing);
            for threads in [1, 2, 4] {
                assert!(one == found(threads, Recompute::Layers), "{name} with {threads} threads, recomputed");
                assert!(one == found(threads, Recompute::Nothing), "{name} with {threads} threads");
            }
        }
    }
}

#[test]
fn gradients_add_up_over_batches() {
    let tokens = Tokens::golden("gpt_neo");
    let cut = tokens.segments[0];
    let part = |range: std::ops::Range<usize>| Tokens {
        ids: tokens.ids[range.clone()].to_vec(),
        targets: tokens.targets[range.clone()].to_vec(),
        positions: tokens.positions[range.clone()].to_vec(),
        segments: vec![range.len()],
    };
    let mut whole = network("gpt_neo", tokens.options());
    let outcome = step(&mut whole, &tokens);
    let mut apart = network("gpt_neo", tokens.options());
    let mut loss = 0.0;
    // What an earlier step left must not matter.
    step(&mut apart, &tokens);
    for (write, range) in [(Write::Set, 0..cut), (Write::Add, cut..tokens.ids.len())] {
        let part = part(range);
        let mut objective = tokens.objective();
        loss += apart.step(&part.batch(), &mut objective, KEY, write, &mut |_, _, _| ()).unwrap().loss;
    }
    assert!((loss - outcome.loss).abs() < 1e-6 * loss);
    let (whole, apart) = (gradients(&whole), gradients(&apart));
    let difference: Vec<f32> = whole.iter().zip(&apart).map(|(a, b)| a - b).collect();
    assert!(norm(&difference) < 1e-5 * norm(&whole), "{} of {}", norm(&difference), norm(&whole));
}

#[test]
fn finished_ranges_come_in_order_and_keep_their_values() {
    for name in ["gpt_neo", "gpt_neo_untied", "gpt_j", "gpt_neox"] {
        let tokens = Tokens::golden(name);
        let mut network = network(name, tokens.options());
        let (mut end, mut seen) = (0, Vec::new());
        let mut ready = |_: &Cpu, gradients: &gptneo_kernels::Buffer, range: std::ops::Range<usize>| {
            assert_eq!(range.start, end, "{name}: ranges follow each other");
            end = range.end;
            seen.extend_from_slice(&gradients.as_slice()[range]);
        };
        network.step(&tokens.batch(), &mut tokens.objective(), KEY, Write::Set, &mut ready).unwrap();
        assert_eq!(end, network.layout().trained());
        assert!(seen == gradients(&network), "{name}: what was ready did not change");
    }
}

#[test]
fn with_dropout_the_gradient_is_the_slope_of_the_masked_loss() {
    for name in ["gpt_neo", "gpt_j", "gpt_neox", "gpt2"] {
        let tokens = Tokens::golden(name);
        let dropout = Dropouts { embedding: 0.1, attention: 0.3, residual: 0.2 };
        let mut network = network(name, TrainOptions { dropout, ..tokens.options() });
        let outcome = step(&mut network, &tokens);
        let again = step(&mut network, &tokens);
        assert_eq!(outcome, again, "{name}: one key, one mask");
        let other = StepKey { number: 10, ..KEY };
        let moved =
            network.step(&tokens.batch(), &mut tokens.objective(), other, Write::Set, &mut |_, _, _| ()).unwrap();
        assert!((moved.loss - outcome.loss).abs() > 1e-3, "{name}: another key, another mask");
        step(&mut network, &tokens);
        let plain = network.evaluate(&tokens.batch()).unwrap();
        assert!((plain.nll - outcome.nll).abs() > 1e-3, "{name}: evaluation drops nothing");
        // Along the gradient itself the slope is its squared norm; along each kind of parameter alone, that part's.
        let direction = gradients(&network);
        let weights = network.parameters().trained.as_slice().to_vec();
        for kind in [Kind::Matrix, Kind::Embedding, Kind::Norm, Kind::Bias] {
            let mut along = vec![0.0; direction.len()];
            for slot in network.layout().slots().iter().filter(|slot| slot.kind == kind) {
                along[slot.range.clone()].copy_from_slice(&direction[slot.range.clone()]);
            }
            let slope = norm(&along).powi(2);
            let size = 2e-3 / norm(&along);
            let mut at = |h: f64| {
                let moved: Vec<f32> =
                    weights.iter().zip(&along).map(|(w, d)| (f64::from(*w) + h * f64::from(*d)) as f32).collect();
                write_weights(&mut network, &moved);
                step(&mut network, &tokens).loss
            };
            let found = (at(size) - at(-size)) / (2.0 * size);
            assert!((found - slope).abs() < 0.01 * slope, "{name} {kind:?}: slope {found}, gradient {slope}");
            write_weights(&mut network, &weights);
        }
    }
}

fn write_weights(network: &mut Network<Cpu>, weights: &[f32]) {
    use gptneo_device::Device;
    let (device, _, parameters) = network.parts();
    device.write(&mut parameters.trained, 0, weights);
}

#[test]
fn frozen_parameters_have_no_gradient_and_change_nothing_for_the_others() {
    let tokens = Tokens::golden("gpt_neo_groups");
    let mut whole = network("gpt_neo_groups", tokens.options());
    let outcome = step(&mut whole, &tokens);
    let h = |rest: &str| format!("transformer.h.{rest}");
    let sets: [&[String]; 6] = [
        &[h("3.mlp.c_fc.weight"), h("4.ln_1.bias")],
        &[
            h("5.attn.attention.q_proj.weight"),
            h("5.attn.attention.k_proj.weight"),
            h("5.attn.attention.v_proj.weight"),
        ],
        &["transformer.ln_f.weight".into()],
        &["transformer.wpe.weight".into(), h("0.ln_1.weight")],
        &["transformer.wte.weight".into()],
        &[h("1.ln_1.bias"), h("1.attn.attention.out_proj.bias"), h("2.mlp.c_proj.bias")],
    ];
    for names in sets {
        for recompute in [Recompute::Nothing, Recompute::Layers] {
            let trainable = Trainable::Named(names.iter().cloned().collect());
            let options = TrainOptions { trainable, recompute, ..tokens.options() };
            let mut some = network("gpt_neo_groups", options);
            let mut end = 0;
            let mut ready = |_: &Cpu, _: &gptneo_kernels::Buffer, range: std::ops::Range<usize>| {
                assert_eq!(range.start, end);
                end = range.end;
            };
            let found = some.step(&tokens.batch(), &mut tokens.objective(), KEY, Write::Set, &mut ready).unwrap();
            assert_eq!(found, outcome);
            assert_eq!(end, some.layout().trained(), "{names:?}");
            for name in names {
                assert!(stored(&some, name) == stored(&whole, name), "{name} of {names:?}");
            }
            assert_eq!(some.parameters().gradients.as_slice().len(), some.layout().trained());
        }
    }
}

/// The same derivatives as [`NextToken`], but only after the whole batch was seen.
struct Late(NextToken, usize);

impl Objective for Late {
    fn scope(&self) -> Scope {
        Scope::Batch
    }

    fn weigh(&mut self, scored: &Scored<'_>, derivatives: &mut Derivatives<'_>) -> f64 {
        assert_eq!((scored.first, scored.targets.len()), (0, self.1), "all at once");
        self.0.weigh(scored, derivatives)
    }
}

#[test]
fn an_objective_over_the_whole_batch_sees_all_of_it_first() {
    let tokens = Tokens::golden("gpt_neo");
    let mut by_token = network("gpt_neo", tokens.options());
    let mut by_batch = network("gpt_neo", tokens.options());
    let outcome = step(&mut by_token, &tokens);
    let mut late = Late(tokens.objective(), tokens.ids.len());
    let found = by_batch.step(&tokens.batch(), &mut late, KEY, Write::Set, &mut |_, _, _| ()).unwrap();
    assert!((found.loss - outcome.loss).abs() < 1e-9);
    assert!(gradients(&by_token) == gradients(&by_batch));
}

#[test]
fn a_batch_without_targets_has_gradients_of_zero() {
    for name in ["gpt_neo", "gpt_j"] {
        let mut tokens = Tokens::golden(name);
        let mut network = network(name, tokens.options());
        step(&mut network, &tokens);
        tokens.targets.fill(IGNORE);
        let outcome = step(&mut network, &tokens);
        assert_eq!((outcome.loss, outcome.nll, outcome.counted), (0.0, 0.0, 0));
        assert!(gradients(&network).iter().all(|&g| g == 0.0), "{name}");
    }
}

#[test]
fn batches_that_do_not_fit_are_refused() {
    let tokens = Tokens::golden("gpt_neo");
    let mut network = network("gpt_neo", tokens.options());
    let refused = |network: &mut Network<Cpu>, batch: Batch<'_>| network.evaluate(&batch).unwrap_err().to_string();
    let batch = tokens.batch();
    let bad = [IGNORE; 40];
    let far = [64; 40];
    assert!(refused(&mut network, Batch { ids: &bad, ..batch }).contains("outside the vocabulary of 112"));
    assert!(refused(&mut network, Batch { positions: &far, ..batch }).contains("past the model's 64 positions"));
    assert!(refused(&mut network, Batch { segments: &[40], ..batch }).contains("the longest may have 26"));
    assert!(refused(&mut network, Batch { segments: &[20, 19], ..batch }).contains("39 tokens together"));
    assert!(refused(&mut network, Batch { segments: &[usize::MAX, 41], ..batch }).contains("must be equal"));
    let long = vec![0; 41];
    let long = Batch { ids: &long, targets: &long, positions: &long, segments: &[26, 15] };
    assert!(refused(&mut network, long).contains("made for 40"));
    let source = open(&fixtures().join("golden/gpt2")).unwrap();
    assert!(matches!(network.load(&source, &mut |_| ()), Err(TrainError::OtherArchitecture)));
}

#[test]
fn a_saved_network_is_an_ordinary_model() {
    for name in ["gpt_neo", "gpt_neox", "gpt2", "gpt_j"] {
        let tokens = Tokens::golden(name);
        let mut trained = network(name, tokens.options());
        step(&mut trained, &tokens);
        // A step downhill, so that what is saved is not what was loaded.
        let moved: Vec<f32> = {
            let parameters = trained.parameters();
            parameters
                .trained
                .as_slice()
                .iter()
                .zip(parameters.gradients.as_slice())
                .map(|(w, g)| w - 0.01 * g)
                .collect()
        };
        write_weights(&mut trained, &moved);
        let before = trained.evaluate(&tokens.batch()).unwrap();
        let folder = tempfile::tempdir().unwrap();
        write_hf(trained.device(), &trained.snapshot().unwrap(), DType::F32, folder.path(), &mut |_| ()).unwrap();
        let source = open(folder.path()).unwrap();
        assert_eq!(source.config(), trained.config());
        let mut again = Network::new(cpu(Isa::detect(), 2), source.config().clone(), tokens.options()).unwrap();
        again.load(&source, &mut |_| ()).unwrap();
        assert_eq!(again.evaluate(&tokens.batch()).unwrap(), before, "{name}");
        assert!(again.parameters().trained.as_slice() == moved, "{name}");
    }
}

#[test]
fn first_weights_have_the_deviations_of_their_recipe() {
    let mut config = shapes::config("gpt-neo-125m").unwrap();
    (config.vocab, config.bos, config.eos) = (997, None, None);
    let mut network = Network::new(cpu(Isa::detect(), 2), config, TrainOptions::new(1, 8)).unwrap();
    let deviation = |network: &Network<Cpu>, name: &str| {
        let slot = network.layout().slots().iter().find(|slot| slot.name == name).unwrap();
        let values = &network.parameters().trained.as_slice()[slot.range.clone()];
        norm(values) / (values.len() as f64).sqrt()
    };
    let h = |rest: &str| format!("transformer.h.7.{rest}");
    for (initial, wanted) in [
        (Initial::Transformers, [0.02, 0.02, 0.02, 0.02, 0.02, 0.02, 0.02]),
        (
            Initial::Original,
            [0.02, 0.01, 768f64.powf(-0.5) / 8.0, 768f64.powf(-0.5), 768f64.powf(-0.5), 0.02, 0.02 / 12f64.sqrt()],
        ),
    ] {
        network.initialise(initial, 3).unwrap();
        let names = [
            "transformer.wte.weight".into(),
            "transformer.wpe.weight".into(),
            h("attn.attention.q_proj.weight"),
            h("attn.attention.v_proj.weight"),
            h("attn.attention.out_proj.weight"),
            h("mlp.c_fc.weight"),
            h("mlp.c_proj.weight"),
        ];
        for (name, wanted) in names.iter().zip(wanted) {
            let found = deviation(&network, name);
            assert!((found / wanted - 1.0).abs() < 0.01, "{initial:?} {name}: {found}, not {wanted}");
        }
        assert_eq!(deviation(&network, &h("ln_1.weight")), 1.0);
        assert_eq!(deviation(&network, &h("mlp.c_fc.bias")), 0.0);
    }
    let mut pythia = shapes::config("pythia-14m").unwrap();
    (pythia.vocab, pythia.positions) = (64, 16);
    let mut pythia = Network::new(cpu(Isa::detect(), 1), pythia, TrainOptions::new(1, 8)).unwrap();
    assert!(matches!(pythia.initialise(Initial::Original, 1), Err(TrainError::NoOriginal(_))));
}

#[test]
fn a_plan_is_known_without_the_memory() {
    let config = shapes::config("gpt-neo-125m").unwrap();
    let device = cpu(Isa::detect(), 2);
    let options = TrainOptions::new(4, 256);
    let plan = Plan::new(&device, &config, &options).unwrap();
    assert_eq!(plan.trained, config.parameters());
    assert_eq!((plan.weights, plan.gradients), (4 * config.parameters(), 4 * config.parameters()));
    // Half of what PyTorch takes for the same step (6.2 GB), AdamW's state included.
    assert!(plan.total() + 8 * plan.trained < 3_100_000_000, "{plan:?}");
    let recomputed =
        Plan::new(&device, &config, &TrainOptions { recompute: Recompute::Layers, ..options.clone() }).unwrap();
    assert!(recomputed.activations * 4 < plan.activations && recomputed.weights == plan.weights);
    let name = "transformer.h.11.mlp.c_fc.weight".to_owned();
    let few =
        Plan::new(&device, &config, &TrainOptions { trainable: Trainable::Named([name].into()), ..options }).unwrap();
    assert!(few.gradients == 4 * 768 * 3072 && few.activations * 4 < plan.activations);
}
