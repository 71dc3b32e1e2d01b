//! A real trained GPT-Neo through the program, against the numbers that transformers gave (`golden.json`). It does not
//! belong to the project: without it these tests say so and show nothing.

use std::path::{Path, PathBuf};

use serde_json::Value;

use super::runner::{Program, copy, gptneo, shared};

/// End of text, which also begins one.
const EOS: u32 = 14018;
const TOLERANCE: f64 = 1e-3;

fn model() -> Option<(PathBuf, Value)> {
    let dir = shared("weights/tinytalk-gptneo-hf")?;
    let golden = serde_json::from_slice(&std::fs::read(dir.join("golden.json")).unwrap()).unwrap();
    Some((dir, golden))
}

fn joined(ids: &Value) -> String {
    ids.as_array().unwrap().iter().map(Value::to_string).collect::<Vec<_>>().join(",")
}

/// The last of the positions that `score --top 10` reports.
fn last_position(dir: &Path, ids: &str) -> Value {
    let report = Program::new(["score", "--json", "--top", "10", "--tokens", ids, "-m"]).arg(dir).run().json();
    report["positions"].as_array().unwrap().last().unwrap().clone()
}

fn same_top(found: &Value, wanted: &Value) {
    for (found, wanted) in found.as_array().unwrap().iter().zip(wanted.as_array().unwrap()) {
        assert_eq!(found[0], wanted[0]);
        assert!((found[1].as_f64().unwrap() - wanted[1].as_f64().unwrap()).abs() < TOLERANCE, "{found} {wanted}");
    }
}

#[test]
fn the_ten_likeliest_tokens_and_the_sum_are_those_of_transformers() {
    let Some((dir, golden)) = model() else { return };
    for prompt in golden["prompts"].as_array().unwrap() {
        let found = last_position(&dir, &joined(&prompt["ids"]));
        same_top(&found["top"], &prompt["top10"]);
        assert!((found["logsumexp"].as_f64().unwrap() - prompt["lse"].as_f64().unwrap()).abs() < TOLERANCE);
    }
}

#[test]
fn a_window_of_four_is_a_window_of_four() {
    let Some((dir, golden)) = model() else { return };
    let temp = tempfile::tempdir().unwrap();
    let narrow = temp.path().join("narrow");
    copy(&dir, &narrow);
    let path = narrow.join("config.json");
    let mut config: Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
    config["window_size"] = 4.into();
    std::fs::write(&path, config.to_string()).unwrap();
    for prompt in golden["prompts"].as_array().unwrap() {
        same_top(&last_position(&narrow, &joined(&prompt["ids"]))["top"], &prompt["top10_window4"]);
    }
}

#[test]
fn greedy_text_is_that_of_transformers() {
    let Some((dir, golden)) = model() else { return };
    for prompt in golden["prompts"].as_array().unwrap() {
        let wanted = prompt["greedy_ids"].as_array().unwrap();
        let text = prompt["prompt"].as_str().unwrap();
        let flags = ["run", "--temp", "0", "-n", "48", "--json", "-p", text, "-m"];
        let report = Program::new(flags).arg(&dir).run().json();
        // transformers counts the token that ends the text; here it is the reason, not a part.
        let ended = wanted.last() == Some(&EOS.into());
        let wanted = if ended { &wanted[..wanted.len() - 1] } else { wanted };
        assert_eq!(report["tokens"].as_array().unwrap(), wanted, "{text}");
        assert_eq!(report["finish_reason"], if ended { "stop" } else { "length" });
        let text = prompt["greedy_text"].as_str().unwrap().trim_end_matches("<|endoftext|>");
        assert_eq!(report["text"], text);
    }
}

#[test]
fn two_hundred_conversations_have_the_known_likelihood() {
    let Some((dir, golden)) = model() else { return };
    let golden = &golden["chat_val_first200"];
    let text = std::fs::read_to_string(dir.join("chat_val_first200.txt")).unwrap();
    let tokenizer = gptneo::text::Tokenizer::open(&dir).unwrap();
    let source = gptneo::model::open(&dir).unwrap();
    let cpu = gptneo::kernels::Cpu::new(gptneo::kernels::CpuOptions::default()).unwrap();
    let loaded = gptneo::model::load(cpu, &source, &gptneo::model::LoadOptions::default(), &mut |_| {}).unwrap();
    let mut engine = gptneo::engine::Engine::new(Box::new(loaded.decoder), None);
    let (mut sum, mut count, mut checked) = (0.0, 0, 0);
    for conversation in text.split("\n\n") {
        let mut ids = vec![EOS];
        ids.extend(tokenizer.encode(conversation).unwrap());
        ids.truncate(256);
        if ids.len() < 2 {
            continue;
        }
        let score = engine.score_tokens(&ids, None).unwrap();
        // Now and then the program itself, which must say the same.
        if checked % 40 == 0 {
            let ids = ids.iter().map(u32::to_string).collect::<Vec<_>>().join(",");
            let report = Program::new(["score", "--json", "--tokens", &ids, "-m"]).arg(&dir).run().json();
            let told = report["nll_per_token"].as_f64().unwrap();
            assert!((told - score.nll_per_token()).abs() < 1e-9, "{told} {}", score.nll_per_token());
        }
        checked += 1;
        sum -= score.logprob();
        count += score.logprobs.len();
    }
    assert_eq!(count as u64, golden["tokens"].as_u64().unwrap());
    let wanted = golden["nll_per_token"].as_f64().unwrap();
    assert!((sum / count as f64 - wanted).abs() < 1e-4, "{} {wanted}", sum / count as f64);
}

#[test]
fn quantising_reports_what_it_costs_on_real_text() {
    let Some((dir, _)) = model() else { return };
    let temp = tempfile::tempdir().unwrap();
    let text = dir.join("chat_val_first200.txt");
    let cost = |dtype: &str| {
        let out = temp.path().join(format!("{dtype}.gguf"));
        let flags = ["quantize", "--json", "--type", dtype, "--text-tokens", "1024", "--text"];
        let report = Program::new(flags).arg(&text).arg("-m").arg(&dir).arg("-o").arg(&out).run().json();
        assert_eq!(report["file_bytes"].as_u64().unwrap(), std::fs::metadata(&out).unwrap().len());
        assert_eq!(report["tokens"], 1020, "four windows of 256 predict 255 each");
        // The file is a model with its tokenizer.
        let run = gptneo(["run", "Once upon a time", "-n", "8", "--temp", "0", "-m", out.to_str().unwrap()]);
        assert!(run.text().starts_with(", there was"), "{dtype}: {} {}", run.text(), run.stderr);
        report
    };
    let exact = cost("f32");
    assert_eq!(exact["kl"].as_f64().unwrap(), 0.0);
    assert_eq!(exact["top1_agreement"].as_f64().unwrap(), 1.0);
    let eight = cost("q8_0");
    let four = cost("q4_0");
    let kl = |report: &Value| report["kl"].as_f64().unwrap();
    assert!(kl(&eight) > 0.0 && kl(&eight) < 0.01 && kl(&eight) < kl(&four), "{eight} {four}");
    assert!(eight["delta_nll"].as_f64().unwrap().abs() < 0.01);
    assert!(four["top1_agreement"].as_f64().unwrap() > 0.8);
    assert!(four["file_bytes"].as_u64().unwrap() < exact["file_bytes"].as_u64().unwrap() / 3);
}
