//! Every golden model through the program: logits within the tolerance, greedy and beam continuations token for token.

use std::path::Path;

use safetensors::SafeTensors;
use serde_json::Value;

use super::runner::{Program, golden, gptneo};

/// The numbers that transformers gave.
struct Golden {
    bytes: Vec<u8>,
    tolerance: f64,
}

impl Golden {
    fn of(dir: &Path) -> Self {
        let json: Value = serde_json::from_slice(&std::fs::read(dir.join("golden.json")).unwrap()).unwrap();
        let bytes = std::fs::read(dir.join("golden.safetensors")).unwrap();
        Self { bytes, tolerance: json["tolerance"].as_f64().unwrap_or(1e-4) }
    }

    fn integers(&self, name: &str) -> Option<Vec<i64>> {
        let tensors = SafeTensors::deserialize(&self.bytes).unwrap();
        let data = tensors.tensor(name).ok()?.data().to_vec();
        Some(data.chunks_exact(8).map(|b| i64::from_le_bytes(b.try_into().unwrap())).collect())
    }

    fn floats(&self, name: &str) -> Vec<f32> {
        let tensors = SafeTensors::deserialize(&self.bytes).unwrap();
        let data = tensors.tensor(name).unwrap().data().to_vec();
        data.chunks_exact(4).map(|b| f32::from_le_bytes(b.try_into().unwrap())).collect()
    }

    fn ids(&self) -> String {
        joined(&self.integers("ids").unwrap())
    }
}

fn joined(ids: &[i64]) -> String {
    ids.iter().map(i64::to_string).collect::<Vec<_>>().join(",")
}

fn variants() -> Vec<String> {
    let dir = golden("gpt2").parent().unwrap().to_owned();
    let folders = std::fs::read_dir(dir).unwrap().map(|entry| entry.unwrap());
    let models = folders.filter(|folder| folder.path().join("golden.json").exists());
    let mut names: Vec<String> = models.map(|folder| folder.file_name().into_string().unwrap()).collect();
    names.sort();
    assert!(names.len() >= 30, "{names:?}");
    names
}

#[test]
fn every_variant_has_the_logits_of_transformers() {
    for variant in variants() {
        let dir = golden(&variant);
        let wanted = Golden::of(&dir);
        let logits = wanted.floats("logits");
        let rows = wanted.integers("ids").unwrap().len();
        let vocab = logits.len() / rows;
        let exact = ["--cache-type-k", "f32", "--cache-type-v", "f32", "--json", "--top"];
        let program = Program::new(["score", "--tokens", &wanted.ids()]).arg("-m").arg(&dir);
        let report = exact.iter().fold(program, |p, a| p.arg(*a)).arg(vocab.to_string()).run().json();
        let positions = report["positions"].as_array().unwrap();
        assert_eq!(positions.len(), rows, "{variant}");
        let mut worst: f64 = 0.0;
        for (position, row) in positions.iter().zip(logits.chunks(vocab)) {
            let top = position["top"].as_array().unwrap();
            assert_eq!(top.len(), vocab, "{variant}");
            for pair in top {
                let id = pair[0].as_u64().unwrap() as usize;
                worst = worst.max((pair[1].as_f64().unwrap() - f64::from(row[id])).abs());
            }
        }
        assert!(worst < wanted.tolerance, "{variant}: off by {worst}");
    }
}

#[test]
fn every_variant_continues_as_transformers_does() {
    let mut checked = 0;
    for variant in variants() {
        let dir = golden(&variant);
        let wanted = Golden::of(&dir);
        let Some(greedy) = wanted.integers("greedy") else { continue };
        for more in [&[][..], &["--lookup"], &["--threads", "2"]] {
            let program = Program::new(["run", "--temp", "0", "--ignore-eos", "--json", "-n"]);
            let program = program.arg(greedy.len().to_string()).arg("--tokens").arg(wanted.ids()).arg("-m").arg(&dir);
            let report = more.iter().fold(program, |p, a| p.arg(*a)).run().json();
            let found: Vec<i64> = report["tokens"].as_array().unwrap().iter().map(|t| t.as_i64().unwrap()).collect();
            assert_eq!(found, greedy, "{variant} {more:?}");
        }
        checked += 1;
    }
    assert!(checked >= 4, "{checked}");
}

#[test]
fn beams_are_those_of_transformers() {
    let dir = golden("gpt_neo");
    let wanted = Golden::of(&dir);
    let ids = wanted.integers("beam.ids").unwrap();
    let scores = wanted.floats("beam.scores");
    let args =
        ["run", "--beams", "4", "-N", "4", "-n", "20", "--ignore-eos", "--json", "--tokens", &wanted.ids(), "-m"];
    let report = Program::new(args).arg(&dir).run().json();
    let samples = report["samples"].as_array().unwrap();
    assert_eq!(samples.len(), 4);
    for ((sample, ids), score) in samples.iter().zip(ids.chunks(20)).zip(scores) {
        let found: Vec<i64> = sample["tokens"].as_array().unwrap().iter().map(|t| t.as_i64().unwrap()).collect();
        assert_eq!(found, ids);
        assert!((sample["score"].as_f64().unwrap() - f64::from(score)).abs() < 1e-4);
    }
}

#[test]
fn a_draft_model_changes_nothing_but_the_time() {
    let dir = golden("gpt_neo");
    let wanted = Golden::of(&dir);
    // Another model of the same vocabulary, so that it is often wrong.
    let draft = golden("gpt2");
    let args = ["run", "--temp", "0", "--ignore-eos", "-n", "20", "--json", "--tokens", &wanted.ids(), "--draft-model"];
    let report = Program::new(args).arg(draft).arg("-m").arg(&dir).run().json();
    let found: Vec<i64> = report["tokens"].as_array().unwrap().iter().map(|t| t.as_i64().unwrap()).collect();
    assert_eq!(found, wanted.integers("greedy").unwrap());
}

#[test]
fn a_converted_model_keeps_every_bit() {
    let dir = tempfile::tempdir().unwrap();
    for variant in ["gpt_neo", "gpt2", "gpt_j", "gpt_neox", "gpt_neo_f16", "gpt2_bin", "gpt_neox_sequential"] {
        let source = golden(variant);
        let gguf = dir.path().join(format!("{variant}.gguf"));
        let back = dir.path().join(variant);
        let convert = |from: &Path, to: &Path| {
            let outcome = Program::new(["convert", "-m"]).arg(from).arg("-o").arg(to).run();
            assert_eq!(outcome.code, Some(0), "{variant}: {}", outcome.stderr);
        };
        convert(&source, &gguf);
        convert(&gguf, &back);
        let score = |model: &Path| {
            let ids = Golden::of(&source).ids();
            gptneo(["score", "--json", "--tokens", &ids, "-m", model.to_str().unwrap()]).json()["logprobs"].clone()
        };
        let wanted = score(&source);
        assert_eq!(score(&gguf), wanted, "{variant} as GGUF");
        assert_eq!(score(&back), wanted, "{variant} and back");
    }
}
