//! Models that are written read back as the same models.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on says so by its panic")]

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use gptneo_checkpoint::gguf::Metadata;
use gptneo_device::{CacheType, DType};
use gptneo_kernels::{Cpu, CpuOptions};
use gptneo_model::{
    Decoder, LanguageModel, LoadError, LoadOptions, RandomSource, Run, Storage, TensorSource, Want, fidelity, load,
    open, shapes, write_gguf, write_hf,
};

const FAMILIES: [&str; 11] = [
    "gpt2",
    "gpt2_inverse_layer",
    "gpt2_unscaled",
    "gpt_neo",
    "gpt_neo_untied",
    "gpt_j",
    "gpt_neox",
    "gpt_neox_sequential",
    "gpt_neox_no_bias",
    "gpt_neox_tied",
    "gpt_neo_f16",
];

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/golden").join(name)
}

fn cpu() -> Cpu {
    Cpu::new(CpuOptions { threads: Some(2), isa: None }).unwrap()
}

fn decoder(source: &dyn TensorSource, storage: Option<Storage>) -> Decoder<Cpu> {
    let exact = Some(CacheType::F32);
    let options = LoadOptions { storage, key: exact, value: exact, ..LoadOptions::default() };
    load(cpu(), source, &options, &mut |_| ()).unwrap().decoder
}

fn logits(source: &dyn TensorSource) -> Vec<f32> {
    let mut decoder = decoder(source, None);
    let (sequence, mut logits) = (decoder.open(), Vec::new());
    let ids: Vec<u32> = (0..16).map(|i| i * 7 % 60).collect();
    decoder.forward(&[Run::tokens(sequence, &ids, Want::All)], &mut logits).unwrap();
    logits
}

#[test]
fn a_gguf_file_holds_the_same_model() {
    let folder = tempfile::tempdir().unwrap();
    for name in FAMILIES {
        let source = open(&fixture(name)).unwrap();
        let path = folder.path().join(format!("{name}.gguf"));
        let written = write_gguf(&cpu(), &source, None, &Metadata::new(), &path, &mut |_| ()).unwrap();
        assert_eq!(written.bytes, std::fs::metadata(&path).unwrap().len());
        let read = open(&path).unwrap();
        assert_eq!(read.config(), source.config(), "{name}");
        assert_eq!(logits(&read), logits(&source), "{name}");
    }
}

#[test]
fn a_hugging_face_directory_holds_the_same_model() {
    let folder = tempfile::tempdir().unwrap();
    for name in FAMILIES {
        let source = open(&fixture(name)).unwrap();
        let path = folder.path().join(name);
        write_hf(&cpu(), &source, DType::F32, &path, &mut |_| ()).unwrap();
        let read = open(&path).unwrap();
        assert_eq!(read.config(), source.config(), "{name}");
        assert_eq!(logits(&read), logits(&source), "{name}");
        let names = |s: &gptneo_model::CheckpointSource| -> BTreeSet<(String, Vec<usize>)> {
            s.checkpoint().tensors().iter().map(|t| (t.name.clone(), t.shape.clone())).collect()
        };
        assert_eq!(names(&read), names(&source), "{name}");
    }
}

#[test]
fn rows_that_do_not_fill_a_block_fall_back_and_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let source = open(&fixture("gpt_neo_odd")).unwrap();
    let path = folder.path().join("odd.gguf");
    let storage = Some(Storage::new(DType::Q4_0).unwrap());
    let written = write_gguf(&cpu(), &source, storage, &Metadata::new(), &path, &mut |_| ()).unwrap();
    assert!(!written.fallbacks.is_empty());
    assert!(written.fallbacks.iter().all(|f| f.cols % f.wanted.block_len() != 0), "{:?}", written.fallbacks);
    let mut exact = decoder(&source, None);
    let mut other = decoder(&open(&path).unwrap(), None);
    let tokens: Vec<u32> = (0..40).collect();
    let measured = fidelity(&mut exact, &mut other, &[&tokens], &mut |_| ()).unwrap();
    assert_eq!(measured.positions, 39);
    assert!(measured.kl_divergence < 0.5, "{measured:?}");
}

#[test]
fn every_target_type_is_close_and_more_bits_are_closer() {
    let mut config = shapes::config("gpt-neo-125m").unwrap();
    config.reach.truncate(2);
    (config.width, config.inner, config.heads, config.vocab) = (256, 512, 4, 500);
    (config.bos, config.eos) = (None, None);
    let source = RandomSource::new(config, 3);
    let tokens: Vec<u32> = (0..120).map(|i| i * 37 % 500).collect();
    let mut exact = decoder(&source, None);
    let mut before = f64::INFINITY;
    for dtype in [DType::Q4_0, DType::Q4_K, DType::Q6_K, DType::Q8_0, DType::F16] {
        let mut other = decoder(&source, Some(Storage::new(dtype).unwrap().with_output(dtype).unwrap()));
        let measured = fidelity(&mut exact, &mut other, &[&tokens], &mut |_| ()).unwrap();
        assert!(measured.kl_divergence < before, "{dtype}: {measured:?} after {before}");
        before = measured.kl_divergence;
    }
    assert!(before < 1e-6, "f16 is {before} away");
}

#[test]
fn refuses_targets_that_are_only_readable() {
    assert!(matches!(Storage::new(DType::Q5_K), Err(LoadError::UnsupportedTarget(DType::Q5_K))));
}
