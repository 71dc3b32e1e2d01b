//! Adapters that PEFT made (`fixtures/adapters`, by `fixtures/adapters.py`): PEFT's logits, alone and in mixed batches, over
//! exact and quantised weights; merged; and written again.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on says so by its panic")]

use std::path::{Path, PathBuf};

use gptneo_device::{CacheType, DType};
use gptneo_kernels::{Cpu, CpuOptions, Isa};
use gptneo_model::family::Role;
use gptneo_model::probe::{Activation, Probe};
use gptneo_model::{
    Adapter, AdapterError, AdapterId, CheckpointSource, Decoder, LanguageModel, LoadOptions, Merged, ModelError, Run,
    SequenceId, Storage, TensorSource, Want, load, open,
};
use safetensors::SafeTensors;

/// Each adapter and its base among the golden models.
const ADAPTERS: [(&str, &str); 5] = [
    ("gpt_neo", "gpt_neo"),
    ("gpt_neo_patterns", "gpt_neo"),
    ("gpt_j", "gpt_j"),
    ("gpt_neox", "gpt_neox"),
    ("gpt2", "gpt2"),
];

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures")
}

fn folder(adapter: &str) -> PathBuf {
    fixtures().join("adapters").join(adapter)
}

fn source(base: &str) -> CheckpointSource {
    open(&fixtures().join("golden").join(base)).unwrap()
}

fn cpu(isa: Isa, threads: usize) -> Cpu {
    Cpu::new(CpuOptions { threads: Some(threads), isa: Some(isa) }).unwrap()
}

fn decoder(source: &dyn TensorSource, storage: Option<DType>, isa: Isa, threads: usize) -> Decoder<Cpu> {
    let exact = Some(CacheType::F32);
    let storage = storage.map(|dtype| Storage::new(dtype).unwrap());
    let options = LoadOptions { storage, key: exact, value: exact, cache_positions: Some(2048), ..Default::default() };
    load(cpu(isa, threads), source, &options, &mut |_| ()).unwrap().decoder
}

fn adapter(name: &str, source: &CheckpointSource) -> Adapter {
    let folder = folder(name);
    Adapter::open(&cpu(Isa::detect(), 1), &folder, source.config()).unwrap_or_else(|e| panic!("{name}: {e}"))
}

fn ids(base: &str) -> Vec<u32> {
    let bytes = std::fs::read(fixtures().join("golden").join(base).join("golden.safetensors")).unwrap();
    let file = SafeTensors::deserialize(&bytes).unwrap();
    file.tensor("ids").unwrap().data().as_chunks::<8>().0.iter().map(|b| u64::from_le_bytes(*b) as u32).collect()
}

/// What PEFT gives.
fn golden(name: &str) -> Vec<f32> {
    let bytes = std::fs::read(folder(name).join("golden.safetensors")).unwrap();
    let file = SafeTensors::deserialize(&bytes).unwrap();
    file.tensor("logits").unwrap().data().as_chunks::<4>().0.iter().map(|b| f32::from_le_bytes(*b)).collect()
}

fn opened(decoder: &mut Decoder<Cpu>, adapter: Option<AdapterId>) -> SequenceId {
    match adapter {
        Some(id) => decoder.open_adapted(id).unwrap(),
        None => decoder.open(),
    }
}

fn logits(decoder: &mut Decoder<Cpu>, adapter: Option<AdapterId>, ids: &[u32], pieces: usize) -> Vec<f32> {
    let sequence = opened(decoder, adapter);
    let (mut all, mut logits) = (Vec::new(), Vec::new());
    for piece in ids.chunks(pieces) {
        decoder.forward(&[Run::tokens(sequence, piece, Want::All)], &mut logits).unwrap();
        all.extend_from_slice(&logits);
    }
    decoder.close(sequence);
    all
}

fn worst(found: &[f32], wanted: &[f32]) -> f32 {
    assert_eq!(found.len(), wanted.len());
    assert!(found.iter().all(|v| v.is_finite()));
    found.iter().zip(wanted).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max)
}

#[test]
fn every_family_gives_the_logits_of_peft() {
    for (name, base) in ADAPTERS {
        let source = source(base);
        let adapter = adapter(name, &source);
        for isa in Isa::available() {
            let mut decoder = decoder(&source, None, isa, 2);
            let id = decoder.add_adapter(&adapter).unwrap();
            let off = worst(&logits(&mut decoder, Some(id), &ids(base), usize::MAX), &golden(name));
            assert!(off <= 1e-4, "{name} on {isa}: off by {off}");
        }
    }
}

#[test]
fn quantised_weights_carry_adapters_as_well_as_they_carry_the_model() {
    for (name, base) in [("gpt_neo", "gpt_neo"), ("gpt_neox", "gpt_neox"), ("gpt2", "gpt2")] {
        let (source, ids) = (source(base), ids(base));
        let adapter = adapter(name, &source);
        let (mut exact, mut packed) =
            (decoder(&source, None, Isa::detect(), 2), decoder(&source, Some(DType::Q8_0), Isa::detect(), 2));
        let id = packed.add_adapter(&adapter).unwrap();
        let alone = worst(&logits(&mut packed, None, &ids, 100), &logits(&mut exact, None, &ids, 100));
        let adapted = worst(&logits(&mut packed, Some(id), &ids, 100), &golden(name));
        assert!(alone > 1e-4, "{name}: the weights are quantised");
        assert!(adapted <= 4.0 * alone, "{name}: off by {adapted}, without the adapter by {alone}");
    }
}

#[test]
fn a_sequence_does_not_see_what_adapters_others_have() {
    for (names, base) in
        [(["gpt_neo", "gpt_neo_patterns"], "gpt_neo"), (["gpt_neox"; 2], "gpt_neox"), (["gpt_j"; 2], "gpt_j")]
    {
        let (source, ids) = (source(base), ids(base));
        let two = [adapter(names[0], &source), adapter(names[1], &source).scaled(0.5)];
        for storage in [None, Some(DType::Q8_0)] {
            for isa in Isa::available() {
                let plain = logits(&mut decoder(&source, storage, isa, 1), None, &ids, usize::MAX);
                let mut alone: Option<[Vec<f32>; 3]> = None;
                for threads in [1, 2, 4] {
                    let mut decoder = decoder(&source, storage, isa, threads);
                    let [a, b] = two.each_ref().map(|adapter| Some(decoder.add_adapter(adapter).unwrap()));
                    let found = [None, a, b].map(|id| logits(&mut decoder, id, &ids, 7));
                    assert_eq!(found[0], plain, "{base}: the model itself, among adapters");
                    assert!(worst(&found[1], &plain) > 0.1 && worst(&found[1], &found[2]) > 0.1);
                    let alone = alone.get_or_insert(found.clone());
                    assert_eq!(&found, alone, "{base} {storage:?} {isa}: {threads} threads");
                    mixed(&mut decoder, &ids, [None, a, b], alone);
                }
            }
        }
    }
}

/// Prompts of unequal length with and without adapters side by side, then each one token further: as each was alone.
fn mixed(decoder: &mut Decoder<Cpu>, ids: &[u32], adapters: [Option<AdapterId>; 3], alone: &[Vec<f32>; 3]) {
    let vocab = decoder.spec().vocab;
    let order = [0, 1, 1, 2, 0, 2, 1, 0];
    let open: Vec<_> = order.iter().map(|&which| opened(decoder, adapters[which])).collect();
    let lens: Vec<usize> = (0..order.len()).map(|i| 5 + 3 * i % 11).collect();
    let mut logits = Vec::new();
    for step in 0..3 {
        let tokens = |i: usize| if step == 0 { &ids[..lens[i]] } else { &ids[lens[i] + step - 1..lens[i] + step] };
        let runs: Vec<_> = (0..order.len()).map(|i| Run::tokens(open[i], tokens(i), Want::Last)).collect();
        decoder.forward(&runs, &mut logits).unwrap();
        for (i, &which) in order.iter().enumerate() {
            let at = lens[i] + step - 1;
            let wanted = &alone[which][at * vocab..(at + 1) * vocab];
            assert_eq!(&logits[i * vocab..(i + 1) * vocab], wanted, "sequence {i}, step {step}");
        }
    }
    open.into_iter().for_each(|sequence| decoder.close(sequence));
}

#[test]
fn a_fork_has_the_adapter_of_its_sequence() {
    let (source, ids) = (source("gpt_neo"), ids("gpt_neo"));
    let mut decoder = decoder(&source, None, Isa::detect(), 1);
    let id = decoder.add_adapter(&adapter("gpt_neo", &source)).unwrap();
    let whole = logits(&mut decoder, Some(id), &ids, usize::MAX);
    let first = decoder.open_adapted(id).unwrap();
    let mut logits = Vec::new();
    decoder.forward(&[Run::tokens(first, &ids[..20], Want::Nothing)], &mut logits).unwrap();
    let fork = decoder.fork(first, 13).unwrap();
    decoder.close(first);
    decoder.forward(&[Run::tokens(fork, &ids[13..], Want::Last)], &mut logits).unwrap();
    assert_eq!(logits, whole[whole.len() - logits.len()..]);
}

#[test]
fn an_adapter_stays_while_a_sequence_has_it_and_its_name_is_never_given_again() {
    let source = source("gpt_neo");
    let mut decoder = decoder(&source, None, Isa::detect(), 1);
    let adapter = adapter("gpt_neo", &source);
    let id = decoder.add_adapter(&adapter).unwrap();
    let sequence = decoder.open_adapted(id).unwrap();
    let fork = decoder.fork(sequence, 0).unwrap();
    assert!(matches!(decoder.remove_adapter(id), Err(ModelError::AdapterInUse { sequences: 2, .. })));
    decoder.close(sequence);
    decoder.close(fork);
    decoder.remove_adapter(id).unwrap();
    assert!(matches!(decoder.open_adapted(id), Err(ModelError::UnknownAdapter(_))));
    assert!(matches!(decoder.remove_adapter(id), Err(ModelError::UnknownAdapter(_))));
    assert_ne!(decoder.add_adapter(&adapter).unwrap(), id);
}

#[test]
fn a_model_of_other_shapes_is_refused() {
    let (neo, gpt2) = (source("gpt_neo"), source("gpt2"));
    let mut decoder = decoder(&gpt2, None, Isa::detect(), 1);
    let refused = decoder.add_adapter(&adapter("gpt_neo", &neo));
    assert!(matches!(refused, Err(ModelError::Adapter(AdapterError::NoSuchMatrix { .. }))), "{refused:?}");
    let device = cpu(Isa::detect(), 1);
    let message = Adapter::open(&device, &folder("gpt_neo"), gpt2.config()).unwrap_err().to_string();
    assert!(
        message.contains("k_proj.lora_A.weight` adapts a module that a gpt2 model does not have")
            && message.contains("adapter_model.safetensors"),
        "{message}"
    );
    let other = open(&fixtures().join("golden/gpt_neo_inner")).unwrap();
    let message = Adapter::open(&device, &folder("gpt_neo"), other.config()).unwrap_err().to_string();
    assert!(message.contains("q_proj.lora_A.weight` has shape [4, 32], but [4, 16]"), "{message}");
}

struct Names(Vec<String>);

impl Probe for Names {
    fn see(&mut self, activation: Activation<'_>) -> bool {
        self.0.push(activation.name.to_owned());
        false
    }
}

#[test]
fn a_probe_sees_an_adapted_model() {
    for (name, base) in ADAPTERS {
        let source = source(base);
        let mut decoder = decoder(&source, None, Isa::detect(), 2);
        let id = decoder.add_adapter(&adapter(name, &source)).unwrap();
        let sequence = decoder.open_adapted(id).unwrap();
        let (mut probe, mut logits) = (Names(Vec::new()), Vec::new());
        decoder.forward_probed(&[Run::tokens(sequence, &ids(base), Want::All)], &mut logits, &mut probe).unwrap();
        let off = worst(&logits, &golden(name));
        assert!(off <= 1e-4, "{name}: off by {off}");
        assert!(probe.0.iter().any(|name| name == "layers.1.inner"));
    }
}

#[test]
fn merged_weights_give_the_logits_of_weight_and_adapter() {
    for (name, base) in ADAPTERS {
        let (source, ids) = (source(base), ids(base));
        let adapter = adapter(name, &source);
        let device = cpu(Isa::detect(), 2);
        let merged = Merged::new(&device, &source, &adapter).unwrap();
        let mut whole = decoder(&merged, None, Isa::detect(), 2);
        let mut apart = decoder(&source, None, Isa::detect(), 2);
        let id = apart.add_adapter(&adapter).unwrap();
        let apart = logits(&mut apart, Some(id), &ids, usize::MAX);
        let largest = apart.iter().fold(1.0f32, |most, logit| most.max(logit.abs()));
        let off = worst(&logits(&mut whole, None, &ids, usize::MAX), &apart);
        assert!(off <= 1e-5 * largest, "{name}: off by {off} of {largest}");
    }
}

#[test]
fn what_is_written_is_what_peft_wrote() {
    let scratch = tempfile::tempdir().unwrap();
    for (name, base) in ADAPTERS {
        let source = source(base);
        let adapter = adapter(name, &source);
        let out = scratch.path().join(name).join("made");
        adapter.save(&out).unwrap();
        let device = cpu(Isa::detect(), 1);
        assert_eq!(Adapter::open(&device, &out, source.config()).unwrap(), adapter, "{name}");
        let files = [folder(name), out].map(|dir| std::fs::read(dir.join("adapter_model.safetensors")).unwrap());
        let [theirs, ours] = files.each_ref().map(|bytes| SafeTensors::deserialize(bytes).unwrap());
        let names = |file: &SafeTensors<'_>| {
            let mut names: Vec<String> = file.names().into_iter().map(|name| name.to_owned()).collect();
            names.sort();
            names
        };
        assert_eq!(names(&ours), names(&theirs), "{name}");
        for tensor in ours.names() {
            let (ours, theirs) = (ours.tensor(tensor).unwrap(), theirs.tensor(tensor).unwrap());
            assert_eq!(ours.shape(), theirs.shape(), "{name} {tensor}");
            if theirs.dtype() == ours.dtype() {
                assert!(ours.data() == theirs.data(), "{name} {tensor}");
            }
        }
    }
}

#[test]
fn some_layers_alone_are_written_by_their_whole_names() {
    let (source, scratch) = (source("gpt2"), tempfile::tempdir().unwrap());
    let whole = adapter("gpt2", &source);
    let mut some = Adapter::new(source.config(), whole.settings().clone());
    some.insert(Role::Qkv, 1, whole.get(Role::Qkv, 1).unwrap().clone()).unwrap();
    for layer in [0, 1] {
        some.insert(Role::Inner, layer, whole.get(Role::Inner, layer).unwrap().clone()).unwrap();
    }
    some.save(scratch.path()).unwrap();
    let text = std::fs::read_to_string(scratch.path().join("adapter_config.json")).unwrap();
    assert!(text.contains("\"transformer.h.1.attn.c_attn\"") && text.contains("\"c_fc\""), "{text}");
    assert!(text.contains("\"fan_in_fan_out\": true"), "GPT-2 stores its matrices transposed: {text}");
    let read = Adapter::open(&cpu(Isa::detect(), 1), scratch.path(), source.config()).unwrap();
    assert_eq!(read, some);
}
