//! The decoder against transformers, layer by layer, on the tiny golden models of all families and variants
//! (`fixtures/golden`, made by `fixtures/golden.py`), and against itself: any cut, any batch, any number of threads.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on says so by its panic")]

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use gptneo_device::CacheType;
use gptneo_kernels::{Cpu, CpuOptions, Isa};
use gptneo_model::probe::{Activation, Probe};
use gptneo_model::{Decoder, Input, LanguageModel, LoadOptions, ModelError, Run, Want, load, open};
use safetensors::SafeTensors;

fn fixtures() -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/golden");
    let mut all: Vec<PathBuf> = std::fs::read_dir(root).unwrap().map(|e| e.unwrap().path()).collect();
    all.retain(|p| p.join("golden.safetensors").exists());
    all.sort();
    assert!(all.len() >= 20, "only {} golden models found", all.len());
    all
}

fn fixture(name: &str) -> PathBuf {
    fixtures().into_iter().find(|p| p.ends_with(name)).unwrap_or_else(|| panic!("no golden model {name}"))
}

struct Golden {
    ids: Vec<u32>,
    floats: HashMap<String, Vec<f32>>,
}

fn golden(folder: &Path) -> Golden {
    let bytes = std::fs::read(folder.join("golden.safetensors")).unwrap();
    let file = SafeTensors::deserialize(&bytes).unwrap();
    let ids = file.tensor("ids").unwrap();
    let ids = ids.data().as_chunks::<8>().0.iter().map(|b| u64::from_le_bytes(*b) as u32).collect();
    let floats = file
        .tensors()
        .into_iter()
        .filter(|(_, t)| t.dtype() == safetensors::Dtype::F32)
        .map(|(name, t)| (name, t.data().as_chunks::<4>().0.iter().map(|b| f32::from_le_bytes(*b)).collect()))
        .collect();
    Golden { ids, floats }
}

fn decoder(folder: &Path, isa: Isa, threads: usize) -> Decoder<Cpu> {
    let device = Cpu::new(CpuOptions { threads: Some(threads), isa: Some(isa) }).unwrap();
    let exact = Some(CacheType::F32);
    let options = LoadOptions { key: exact, value: exact, cache_positions: Some(2048), ..LoadOptions::default() };
    let source = open(folder).unwrap_or_else(|e| panic!("{}: {e}", folder.display()));
    load(device, &source, &options, &mut |_| ()).unwrap_or_else(|e| panic!("{}: {e}", folder.display())).decoder
}

fn all_logits(decoder: &mut Decoder<Cpu>, ids: &[u32], pieces: usize) -> Vec<f32> {
    let sequence = decoder.open();
    let (mut all, mut logits) = (Vec::new(), Vec::new());
    for piece in ids.chunks(pieces) {
        decoder.forward(&[Run::tokens(sequence, piece, Want::All)], &mut logits).unwrap();
        all.extend_from_slice(&logits);
    }
    decoder.close(sequence);
    all
}

#[track_caller]
fn assert_close(what: &str, found: &[f32], wanted: &[f32], bound: f32) {
    assert_eq!(found.len(), wanted.len(), "{what}");
    let worst = found.iter().zip(wanted).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
    assert!(worst <= bound, "{what}: off by {worst}");
    assert!(found.iter().all(|v| v.is_finite()), "{what}");
}

#[test]
fn every_family_and_variant_gives_the_logits_of_transformers() {
    for folder in fixtures() {
        let golden = golden(&folder);
        for isa in Isa::available() {
            let found = all_logits(&mut decoder(&folder, isa, 2), &golden.ids, usize::MAX);
            assert_close(&format!("{} on {isa:?}", folder.display()), &found, &golden.floats["logits"], 1e-4);
        }
    }
}

struct Record(HashMap<String, Vec<f32>>);

impl Probe for Record {
    fn see(&mut self, activation: Activation<'_>) -> bool {
        self.0.entry(activation.name.to_owned()).or_default().extend_from_slice(activation.values);
        false
    }
}

#[test]
fn every_layer_gives_the_activations_of_transformers() {
    for folder in fixtures() {
        let golden = golden(&folder);
        let mut decoder = decoder(&folder, Isa::detect(), 2);
        let sequence = decoder.open();
        let (mut record, mut logits) = (Record(HashMap::new()), Vec::new());
        decoder.forward_probed(&[Run::tokens(sequence, &golden.ids, Want::All)], &mut logits, &mut record).unwrap();
        for (name, wanted) in &golden.floats {
            if name.starts_with("layers.") || ["embedding", "final", "logits"].contains(&name.as_str()) {
                // The residual stream grows to tens: its bound grows with it.
                let bound = 1e-4 * wanted.iter().fold(1.0f32, |m, v| m.max(v.abs() / 8.0));
                assert_close(&format!("{} {name}", folder.display()), &record.0[name], wanted, bound);
            }
        }
        assert!(record.0.contains_key("layers.0.activated"), "inner activations are named too");
    }
}

#[test]
fn any_cut_any_batch_and_any_threads_give_the_same_bits() {
    for name in ["gpt2", "gpt_neo", "gpt_j", "gpt_neox"] {
        let folder = fixture(name);
        let ids = golden(&folder).ids;
        for isa in Isa::available() {
            let mut decoder_1 = decoder(&folder, isa, 1);
            let whole = all_logits(&mut decoder_1, &ids, usize::MAX);
            for pieces in [1, 7] {
                assert_eq!(all_logits(&mut decoder_1, &ids, pieces), whole, "{name} cut into pieces of {pieces}");
            }
            for threads in [2, 4] {
                let mut decoder = decoder(&folder, isa, threads);
                assert_eq!(all_logits(&mut decoder, &ids, usize::MAX), whole, "{name} on {threads} threads");
                // Prompts of unequal length, side by side, then each one token further.
                let prompts: Vec<&[u32]> = (1..=8).map(|i| &ids[..4 * i]).collect();
                let open: Vec<_> = prompts.iter().map(|_| decoder.open()).collect();
                let runs: Vec<_> = prompts.iter().zip(&open).map(|(p, &s)| Run::tokens(s, p, Want::Last)).collect();
                let (mut first, mut second) = (Vec::new(), Vec::new());
                decoder.forward(&runs, &mut first).unwrap();
                let next: Vec<_> = prompts.iter().map(|p| [ids[p.len() % ids.len()]]).collect();
                let runs: Vec<_> = next.iter().zip(&open).map(|(n, &s)| Run::tokens(s, n, Want::Last)).collect();
                decoder.forward(&runs, &mut second).unwrap();
                let vocab = decoder.spec().vocab;
                for (i, prompt) in prompts.iter().enumerate() {
                    let alone = |at: usize| &whole[at * vocab..(at + 1) * vocab];
                    assert_eq!(&first[i * vocab..(i + 1) * vocab], alone(prompt.len() - 1), "{name} prompt {i}");
                    if prompt.len() < ids.len() {
                        assert_eq!(&second[i * vocab..(i + 1) * vocab], alone(prompt.len()), "{name} token after {i}");
                    }
                }
            }
        }
    }
}

#[test]
fn a_fork_and_a_cut_go_on_as_the_whole_would() {
    let folder = fixture("gpt_neo");
    let ids = golden(&folder).ids;
    let mut decoder = decoder(&folder, Isa::detect(), 2);
    let whole = all_logits(&mut decoder, &ids, usize::MAX);
    let vocab = decoder.spec().vocab;
    let mut logits = Vec::new();
    let a = decoder.open();
    decoder.forward(&[Run::tokens(a, &ids[..20], Want::Nothing)], &mut logits).unwrap();
    assert!(logits.is_empty());
    let b = decoder.fork(a, 13).unwrap();
    decoder.forward(&[Run::tokens(a, &[3, 1, 4, 1, 5], Want::Nothing)], &mut logits).unwrap();
    decoder.truncate(a, 20).unwrap();
    let runs = [Run::tokens(b, &ids[13..], Want::Last), Run::tokens(a, &ids[20..], Want::Last)];
    decoder.forward(&runs, &mut logits).unwrap();
    let last = &whole[whole.len() - vocab..];
    assert_eq!(&logits[..vocab], last, "the fork");
    assert_eq!(&logits[vocab..], last, "the sequence cut back");
}

#[test]
fn embeddings_stand_in_for_ids() {
    for name in ["gpt_neo", "gpt_neox"] {
        let folder = fixture(name);
        let golden = golden(&folder);
        let mut decoder = decoder(&folder, Isa::detect(), 1);
        struct Zero;
        impl Probe for Zero {
            fn see(&mut self, a: Activation<'_>) -> bool {
                assert_eq!(a.name, "embedding");
                a.values.fill(0.0);
                true
            }
            fn wants(&mut self, name: &str) -> bool {
                name == "embedding"
            }
        }
        let width = decoder.spec().width;
        let (s, t) = (decoder.open(), decoder.open());
        let (mut by_probe, mut by_input) = (Vec::new(), Vec::new());
        decoder.forward_probed(&[Run::tokens(s, &golden.ids[..1], Want::Last)], &mut by_probe, &mut Zero).unwrap();
        // The position embedding is added to what is given: give its negative to get the same zero.
        let mut record = Record(HashMap::new());
        let zeros = vec![0.0; width];
        let run = Run { sequence: t, input: Input::Embeddings(&zeros), want: Want::Last };
        decoder.forward_probed(&[run], &mut by_input, &mut record).unwrap();
        decoder.truncate(t, 0).unwrap();
        let negative: Vec<f32> = record.0["embedding"].iter().map(|v| -v).collect();
        decoder.forward(&[Run { input: Input::Embeddings(&negative), ..run }], &mut by_input).unwrap();
        assert_close(name, &by_input, &by_probe, 1e-5);
    }
}

#[test]
fn past_the_last_position_is_an_error_with_the_numbers_and_changes_nothing() {
    let mut decoder = decoder(&fixture("gpt_neo"), Isa::detect(), 1);
    let limit = decoder.spec().positions;
    let sequence = decoder.open();
    let mut logits = Vec::new();
    let ids = vec![1; limit];
    decoder.forward(&[Run::tokens(sequence, &ids[1..], Want::Nothing)], &mut logits).unwrap();
    match decoder.forward(&[Run::tokens(sequence, &[1, 2], Want::Last)], &mut logits) {
        Err(ModelError::PastLastPosition { held, added: 2, limit: l }) => assert_eq!((held, l), (limit - 1, limit)),
        other => panic!("{other:?}"),
    }
    assert_eq!(decoder.len(sequence).unwrap(), limit - 1);
    assert!(matches!(
        decoder.forward(&[Run::tokens(sequence, &[9999], Want::Last)], &mut logits),
        Err(ModelError::UnknownToken { id: 9999, .. })
    ));
    decoder.forward(&[Run::tokens(sequence, &[1], Want::Last)], &mut logits).unwrap();
    decoder.close(sequence);
    assert!(matches!(decoder.len(sequence), Err(ModelError::UnknownSequence(_))));
}
