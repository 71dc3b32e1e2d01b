//! The golden classifiers, and what the tests make of them.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use gptneo_device::CacheType;
use gptneo_kernels::{Cpu, CpuOptions, Isa};
use gptneo_model::family::Layout;
use gptneo_model::training::{
    Batch, Network, NextToken, Outcome, Part, Slot, SquaredError, StepKey, TrainOptions, Write,
};
use gptneo_model::{Classifier, Config, LanguageModel, LoadOptions, Run, TensorSource, Want, load};
use safetensors::{Dtype, SafeTensors};

pub(crate) const NAMES: [&str; 5] = ["gpt2", "gpt_neo", "gpt_neo_value", "gpt_j", "gpt_neox"];
pub(crate) const KEY: StepKey = StepKey { seed: 5, number: 9 };

pub(crate) fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures")
}

pub(crate) fn folder(name: &str) -> PathBuf {
    fixtures().join("classifiers").join(name)
}

/// The language model under a classifier.
pub(crate) fn base(name: &str) -> PathBuf {
    fixtures().join("golden").join(name.trim_end_matches("_value"))
}

pub(crate) fn cpu(isa: Isa, threads: usize) -> Cpu {
    Cpu::new(CpuOptions { threads: Some(threads), isa: Some(isa) }).unwrap()
}

/// What transformers gave: two sequences and their labels, and numbers by name.
pub(crate) struct Golden {
    pub(crate) ids: Vec<u32>,
    pub(crate) segments: Vec<usize>,
    pub(crate) labels: Vec<u32>,
    /// Of a value.
    pub(crate) values: Vec<f32>,
    pub(crate) floats: HashMap<String, Vec<f32>>,
}

impl Golden {
    pub(crate) fn read(name: &str) -> Self {
        let bytes = std::fs::read(folder(name).join("golden.safetensors")).unwrap();
        let file = SafeTensors::deserialize(&bytes).unwrap();
        let whole = |name: &str| -> Vec<u32> {
            let bytes = file.tensor(name).unwrap().data().as_chunks::<8>().0;
            bytes.iter().map(|b| i64::from_le_bytes(*b) as u32).collect()
        };
        let floats: HashMap<String, Vec<f32>> = (file.tensors().into_iter())
            .filter(|(_, tensor)| tensor.dtype() == Dtype::F32)
            .map(|(n, t)| (n, t.data().as_chunks::<4>().0.iter().map(|b| f32::from_le_bytes(*b)).collect()))
            .collect();
        let values = floats.get("labels").cloned().unwrap_or_default();
        let labels = if values.is_empty() { whole("labels") } else { vec![0; values.len()] };
        let segments = whole("segments").into_iter().map(|len| len as usize).collect();
        Self { ids: whole("ids"), segments, labels, values, floats }
    }

    pub(crate) fn options(&self) -> TrainOptions {
        TrainOptions::new(1, self.ids.len())
    }

    /// Hands `work` the batch, and which value each of its rows should have.
    pub(crate) fn batch<T>(&self, classifier: &Classifier, work: impl FnOnce(&Batch<'_>, &[f32]) -> T) -> T {
        let Self { ids, segments, labels, .. } = self;
        let targets = classifier.targets(ids, segments, labels);
        let positions: Vec<u32> = segments.iter().flat_map(|&len| 0..len as u32).collect();
        let (mut values, mut wanted) = (vec![0.0; ids.len()], self.values.iter());
        for (value, _) in values.iter_mut().zip(&targets).filter(|(_, target)| **target == 0) {
            *value = wanted.next().copied().unwrap_or(0.0);
        }
        work(&Batch { ids, targets: &targets, positions: &positions, segments }, &values)
    }

    /// One step with the mean loss.
    pub(crate) fn step(&self, network: &mut Network<Cpu>) -> Outcome {
        let classifier = network.config().classifier.clone().unwrap();
        self.batch(&classifier, |batch, values| {
            let factor = 1.0 / batch.counted() as f32;
            let mut value = SquaredError { values, factor };
            let mut class = NextToken::mean(batch.counted());
            let ready = &mut |_: &Cpu, _: &_, _| ();
            match classifier.is_value() {
                true => network.step(batch, &mut value, KEY, Write::Set, ready).unwrap(),
                false => network.step(batch, &mut class, KEY, Write::Set, ready).unwrap(),
            }
        })
    }

    /// The logits of both sequences by a network in training.
    pub(crate) fn evaluated(&self, network: &mut Network<Cpu>) -> (Outcome, Vec<f32>) {
        let (classifier, mut logits) = (network.config().classifier.clone().unwrap(), Vec::new());
        let outcome = self.batch(&classifier, |batch, _| {
            network.evaluate_logits(batch, &mut |_, row| logits.extend_from_slice(row)).unwrap()
        });
        (outcome, logits)
    }

    /// The same by a decoder, after the rows that `classifier` pools.
    pub(crate) fn decoded(&self, source: &dyn TensorSource, classifier: &Classifier, isa: Isa) -> Vec<f32> {
        let exact = Some(CacheType::F32);
        let options = LoadOptions { key: exact, value: exact, ..LoadOptions::default() };
        let mut decoder = load(cpu(isa, 2), source, &options, &mut |_| ()).unwrap().decoder;
        assert_eq!(decoder.spec().classifier, source.config().classifier);
        let (mut found, mut logits, mut start) = (Vec::new(), Vec::new(), 0);
        for &len in &self.segments {
            let ids = &self.ids[start..start + len];
            let sequence = decoder.open();
            decoder
                .forward(&[Run::tokens(sequence, &ids[..=classifier.pooled(ids)], Want::Last)], &mut logits)
                .unwrap();
            decoder.close(sequence);
            found.extend_from_slice(&logits);
            start += len;
        }
        found
    }

    /// Compares all gradients with those whose names begin so.
    pub(crate) fn check_gradients(&self, network: &Network<Cpu>, prefix: &str, context: &str) {
        let wanted = self.floats.iter().filter_map(|(name, values)| Some((name.strip_prefix(prefix)?, values)));
        let mut count = 0;
        for (name, wanted) in wanted {
            let slot =
                network.layout().trained_slots().find(|slot| slot.name.trim_start_matches("base_model.model.") == name);
            let slot = slot.unwrap_or_else(|| panic!("{context}: no {name}"));
            let found = stored(network.config(), slot, &network.parameters().gradients.as_slice()[slot.range.clone()]);
            let size = f64::from(wanted[0]);
            let error = (norm(&found) - size).abs();
            assert!(error < 1e-4 * size + 2e-6, "{context}: |{name}| = {}, not {size}", norm(&found));
            let typical = size / (found.len() as f64).sqrt();
            for (found, wanted) in found.iter().step_by((found.len() / 61).max(1)).zip(&wanted[1..]) {
                let bound = 2e-4 * (f64::from(wanted.abs()) + typical) + 2e-6;
                assert!(f64::from(found - wanted).abs() < bound, "{context}: {name} has {found}, not {wanted}");
            }
            count += 1;
        }
        assert_eq!(count, network.layout().trained_slots().count(), "{context}: as many parameters");
    }
}

/// Values of a slot in the order of its file.
fn stored(config: &Config, slot: &Slot, values: &[f32]) -> Vec<f32> {
    let (_, layout) = config.family.hf_name(slot.role, slot.layer).unwrap();
    let (rows, cols) = (slot.shape[0], slot.shape.get(1).copied().unwrap_or(1));
    let block = config.head_size() * cols;
    let at = |i: usize| match (layout, slot.part) {
        (Layout::Transposed, Part::Whole) => i % rows * cols + i / rows,
        (Layout::HeadMajor, Part::Whole | Part::Up) => {
            (i / block % 3 * config.heads + i / block / 3) * block + i % block
        }
        _ => i,
    };
    (0..values.len()).map(|i| values[at(i)]).collect()
}

pub(crate) fn norm(values: &[f32]) -> f64 {
    values.iter().map(|&v| f64::from(v).powi(2)).sum::<f64>().sqrt()
}

/// The network of a source, with all its weights.
pub(crate) fn network(device: Cpu, source: &dyn TensorSource, options: TrainOptions) -> Network<Cpu> {
    let mut network = Network::new(device, source.config().clone(), options).unwrap();
    network.load(source, &mut |_| ()).unwrap();
    network
}

pub(crate) fn assert_close(found: &[f32], wanted: &[f32], context: &str) {
    assert_eq!(found.len(), wanted.len(), "{context}");
    for (i, (found, wanted)) in found.iter().zip(wanted).enumerate() {
        assert!((found - wanted).abs() < 1e-4, "{context}: logit {i} is {found}, not {wanted}");
    }
}
