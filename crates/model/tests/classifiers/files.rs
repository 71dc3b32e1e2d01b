//! Directories of classifiers: written, and hostile ones.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use gptneo_checkpoint::gguf::Metadata;
use gptneo_device::DType;
use gptneo_kernels::Isa;
use gptneo_model::{
    CheckpointSource, LanguageModel, LoadError, LoadOptions, ModelError, Storage, TensorSource, fidelity, load, open,
    write_gguf, write_hf,
};
use serde_json::{Value, json};

use super::golden::{Golden, NAMES, assert_close, base, cpu, folder, network};

#[test]
fn a_trained_classifier_is_an_ordinary_directory() {
    let scratch = tempfile::tempdir().unwrap();
    for name in NAMES {
        let (golden, source) = (Golden::read(name), open(&folder(name)).unwrap());
        let mut trained = network(cpu(Isa::detect(), 2), &source, golden.options());
        let (_, before) = golden.evaluated(&mut trained);
        let path = scratch.path().join(name);
        write_hf(trained.device(), &trained.snapshot().unwrap(), DType::F32, &path, &mut |_| ()).unwrap();
        let read = open(&path).unwrap();
        assert_eq!(read.config(), source.config(), "{name}");
        let names = |s: &CheckpointSource| -> BTreeSet<(String, Vec<usize>)> {
            s.checkpoint().tensors().iter().map(|t| (t.name.clone(), t.shape.clone())).collect()
        };
        assert_eq!(names(&read), names(&source), "{name}: as transformers names them");
        let mut again = network(cpu(Isa::detect(), 2), &read, golden.options());
        assert_eq!(golden.evaluated(&mut again).1, before, "{name}");
    }
}

#[test]
fn a_quantised_body_keeps_its_head() {
    let (golden, source) = (Golden::read("gpt_neo"), open(&folder("gpt_neo")).unwrap());
    let storage = Storage::new(DType::Q8_0).unwrap();
    let options = LoadOptions { storage: Some(storage), ..LoadOptions::default() };
    let mut decoder = load(cpu(Isa::detect(), 2), &source, &options, &mut |_| ()).unwrap().decoder;
    assert_eq!(decoder.spec().output, DType::F16, "three rows are no place to save");
    let ids = &golden.ids[..golden.segments[0]];
    let sequence = decoder.open();
    let mut logits = Vec::new();
    decoder.forward(&[gptneo_model::Run::tokens(sequence, ids, gptneo_model::Want::Last)], &mut logits).unwrap();
    for (found, wanted) in logits.iter().zip(&golden.floats["logits"]) {
        assert!((found - wanted).abs() < 0.2, "{logits:?}");
    }
}

/// A copy of a classifier with some keys of its `config.json` changed.
fn with(name: &str, folder_: &Path, changes: &Value) -> Result<CheckpointSource, LoadError> {
    let from = folder(name);
    fs::copy(from.join("model.safetensors"), folder_.join("model.safetensors")).unwrap();
    let mut config: Value = serde_json::from_slice(&fs::read(from.join("config.json")).unwrap()).unwrap();
    config.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
    fs::write(folder_.join("config.json"), config.to_string()).unwrap();
    open(folder_)
}

#[test]
fn labels_that_are_not_the_heads_are_refused_in_words() {
    let scratch = tempfile::tempdir().unwrap();
    let none = json!(null);
    for (changes, words) in [
        (
            json!({"id2label": {"0": "a", "1": "b"}, "label2id": none}),
            "`score.weight` has shape [3, 32], but the config implies [2, 32]",
        ),
        (json!({"id2label": {"0": "a"}, "label2id": none, "problem_type": none}), "implies [1, 32]"),
        (json!({"id2label": none, "label2id": none, "num_labels": 4096}), "implies [4096, 32]"),
        (json!({"id2label": none, "label2id": none, "num_labels": 1u64 << 50}), "number of labels"),
        (json!({"id2label": none, "label2id": none, "num_labels": 0}), "number of labels"),
        (json!({"id2label": {"0": "a", "1": "b", "3": "c"}, "label2id": none}), "none for 2"),
        (json!({"problem_type": "multi_label_classification"}), "multi_label_classification, which is not supported"),
        (json!({"architectures": ["GPTNeoForCausalLM"]}), "`score.weight` has no place"),
        (json!({"architectures": none}), "`score.weight` has no place"),
    ] {
        let message = with("gpt_neo", scratch.path(), &changes).unwrap_err().to_string();
        assert!(message.contains(words), "{changes}: {message}");
    }
}

#[test]
fn a_language_model_is_no_classifier_and_a_classifier_no_language_model() {
    let scratch = tempfile::tempdir().unwrap();
    fs::copy(base("gpt_j").join("model.safetensors"), scratch.path().join("model.safetensors")).unwrap();
    fs::copy(folder("gpt_j").join("config.json"), scratch.path().join("config.json")).unwrap();
    let message = open(scratch.path()).unwrap_err().to_string();
    assert!(message.contains("`lm_head."), "{message}");
    fs::copy(base("gpt_neo").join("model.safetensors"), scratch.path().join("model.safetensors")).unwrap();
    fs::copy(folder("gpt_neo").join("config.json"), scratch.path().join("config.json")).unwrap();
    let message = open(scratch.path()).unwrap_err().to_string();
    assert!(message.contains("`score.weight` of shape [3, 32] is missing"), "{message}");

    let (source, device) = (open(&folder("gpt2")).unwrap(), cpu(Isa::detect(), 1));
    let path = scratch.path().join("classifier.gguf");
    let refused = write_gguf(&device, &source, None, &Metadata::new(), &path, &mut |_| ());
    assert!(matches!(refused, Err(LoadError::ClassifierInGguf)) && !path.exists());
    let decoder = |folder: &Path| {
        load(cpu(Isa::detect(), 1), &open(folder).unwrap(), &LoadOptions::default(), &mut |_| ()).unwrap().decoder
    };
    let (mut language, mut classifier) = (decoder(&base("gpt2")), decoder(&folder("gpt2")));
    let refused = fidelity(&mut language, &mut classifier, &[&[1, 2, 3]], &mut |_| ());
    assert!(matches!(refused, Err(ModelError::Classifier)));
}

#[test]
fn labels_that_transformers_left_out_are_written() {
    let scratch = tempfile::tempdir().unwrap();
    let (golden, source) = (Golden::read("gpt_j"), open(&folder("gpt_j")).unwrap());
    write_hf(&cpu(Isa::detect(), 1), &source, DType::F32, scratch.path(), &mut |_| ()).unwrap();
    let read = open(scratch.path()).unwrap();
    let classifier = read.config().classifier.clone().unwrap();
    assert_eq!(classifier.labels(), ["LABEL_0", "LABEL_1"], "which transformers had left out");
    assert_close(&golden.decoded(&read, &classifier, Isa::detect()), &golden.floats["logits"], "gpt_j");
}
