//! `--lora`: PEFT's adapters beside a model, and merged into one.

use std::path::Path;

use serde_json::Value;

use super::runner::{Outcome, Program, adapter, golden, with_tokenizer};

const FAMILIES: [(&str, &str); 5] = [
    ("gpt_neo", "gpt_neo"),
    ("gpt_neo_patterns", "gpt_neo"),
    ("gpt_j", "gpt_j"),
    ("gpt_neox", "gpt_neox"),
    ("gpt2", "gpt2"),
];
const IDS: &str = "5,17,3,80,2,2,41,9,60,33,12,7";

/// Log-probabilities of [`IDS`].
fn logprobs(model: &Path, flags: &[&str], adapter: Option<&Path>) -> Vec<f64> {
    let mut program = Program::new(["score", "--json", "--tokens", IDS, "-m"]).arg(model);
    if let Some(adapter) = adapter {
        program = program.arg("--lora").arg(adapter);
    }
    let report = flags.iter().fold(program, |program, flag| program.arg(*flag)).run().json();
    report["logprobs"].as_array().unwrap().iter().map(|v| v.as_f64().unwrap()).collect()
}

fn furthest(a: &[f64], b: &[f64]) -> f64 {
    assert_eq!(a.len(), b.len());
    a.iter().zip(b).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max)
}

fn done(outcome: Outcome) {
    assert_eq!(outcome.code, Some(0), "{}", outcome.stderr);
}

#[test]
fn converting_with_an_adapter_merges_it() {
    let dir = tempfile::tempdir().unwrap();
    for (name, base) in FAMILIES {
        let (base, adapter) = (golden(base), adapter(name));
        let apart = logprobs(&base, &[], Some(&adapter));
        assert!(furthest(&apart, &logprobs(&base, &[], None)) > 0.1, "{name} changes the model");
        for out in [dir.path().join(name), dir.path().join(format!("{name}.gguf"))] {
            done(Program::new(["convert", "-m"]).arg(&base).arg("--lora").arg(&adapter).arg("-o").arg(&out).run());
            let off = furthest(&logprobs(&out, &[], None), &apart);
            assert!(off < 1e-4, "{}: off by {off}", out.display());
        }
    }
}

#[test]
fn quantising_with_an_adapter_merges_it_first_and_compares_with_the_merged_model() {
    let dir = tempfile::tempdir().unwrap();
    let model = with_tokenizer("gpt_neo", dir.path());
    let text = dir.path().join("text.txt");
    std::fs::write(&text, "the thin hat in an inn and the hen that ran in the heath").unwrap();
    let out = dir.path().join("merged.gguf");
    let program = Program::new(["quantize", "--json", "--type", "q8_0", "-m"]).arg(&model).arg("-o").arg(&out);
    let report = program.arg("--text").arg(&text).arg("--lora").arg(adapter("gpt_neo")).run().json();
    let apart = logprobs(&model, &[], Some(&adapter("gpt_neo")));
    let plain = logprobs(&model, &[], None);
    let merged = logprobs(&out, &[], None);
    assert!(furthest(&merged, &apart) < furthest(&plain, &apart) / 4.0, "{merged:?} {apart:?} {plain:?}");
    assert!(report["kl"].as_f64().unwrap() < 0.05, "against the merged model, not the plain one: {report}");
}

#[test]
fn the_strength_of_an_adapter_can_be_chosen() {
    let (base, adapter) = (golden("gpt2"), adapter("gpt2"));
    let plain = logprobs(&base, &[], None);
    let [off, half, whole] = ["0", "0.5", "1"].map(|x| logprobs(&base, &["--lora-scale", x], Some(&adapter)));
    assert!(furthest(&off, &plain) < 1e-6, "strength 0 is the model itself");
    assert_eq!(whole, logprobs(&base, &[], Some(&adapter)));
    assert!(furthest(&half, &plain) > 1e-3 && furthest(&half, &whole) > 1e-3);
}

#[test]
fn run_and_chat_speak_through_the_adapter() {
    let dir = tempfile::tempdir().unwrap();
    let (model, merged) = (with_tokenizer("gpt_neo", dir.path()), dir.path().join("merged"));
    let adapter = adapter("gpt_neo");
    done(Program::new(["convert", "-m"]).arg(&model).arg("--lora").arg(&adapter).arg("-o").arg(&merged).run());
    let run = |model: &Path, with: bool, quant: &str| -> Value {
        let program = Program::new(["run", "--json", "--temp", "0", "-n", "12", "--ignore-eos", "-p", "the hat"]);
        let program = program.arg("--quant").arg(quant).arg("-m").arg(model);
        let program = if with { program.arg("--lora").arg(&adapter) } else { program };
        program.run().json()["tokens"].clone()
    };
    assert_eq!(run(&model, true, "f32"), run(&merged, false, "f32"));
    assert_ne!(run(&model, true, "f32"), run(&model, false, "f32"));
    assert_ne!(run(&model, true, "q8_0"), run(&model, false, "q8_0"), "over quantised weights too");
    let chat = |model: &Path, with: bool| {
        let flags = ["chat", "--chat-template", "plain", "--temp", "0", "-n", "8", "--ignore-eos", "-m"];
        let program = Program::new(flags).arg(model).stdin("the hat\n");
        let program = if with { program.arg("--lora").arg(&adapter) } else { program };
        let outcome = program.run();
        assert_eq!(outcome.code, Some(0), "{}", outcome.stderr);
        outcome.text().to_owned()
    };
    assert_eq!(chat(&model, true), chat(&merged, false));
    assert_ne!(chat(&model, true), chat(&model, false));
}

#[test]
fn bench_measures_an_adapted_model() {
    let flags = ["bench", "--json", "--prompt", "16", "--gen", "4", "--batch", "2", "--repeat", "1", "-m"];
    let report = Program::new(flags).arg(golden("gpt_neo")).arg("--lora").arg(adapter("gpt_neo")).run().json();
    assert!(report["decode_tokens_per_s"].as_f64().unwrap() > 0.0, "{report}");
}
