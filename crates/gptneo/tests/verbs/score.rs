//! `score`: the fields, and how they hang together.

use serde_json::Value;

use super::runner::{Program, golden, gptneo, with_tokenizer};

fn numbers(value: &Value) -> Vec<f64> {
    value.as_array().unwrap().iter().map(|v| v.as_f64().unwrap()).collect()
}

fn score(args: &[&str]) -> Value {
    let dir = tempfile::tempdir().unwrap();
    let model = with_tokenizer("gpt_neo", dir.path());
    let program = Program::new(["score", "--json", "-m"]).arg(model);
    args.iter().fold(program, |p, a| p.arg(*a)).run().json()
}

#[test]
fn ids_have_a_logprob_each_but_the_first() {
    let report = score(&["--tokens", "5,6,7,8", "--top", "112"]);
    let logprobs = numbers(&report["logprobs"]);
    assert_eq!(logprobs.len(), 3);
    assert_eq!(report["tokens"], serde_json::json!([5, 6, 7, 8]));
    let positions = report["positions"].as_array().unwrap();
    assert_eq!(positions.len(), 4);
    for (index, logprob) in logprobs.iter().enumerate() {
        let next = report["tokens"][index + 1].as_u64().unwrap();
        let top = positions[index]["top"].as_array().unwrap();
        let logits: Vec<f64> = top.iter().map(|pair| pair[1].as_f64().unwrap()).collect();
        assert!(logits.is_sorted_by(|a, b| a >= b), "largest first");
        let logit = top.iter().find(|pair| pair[0].as_u64() == Some(next)).unwrap()[1].as_f64().unwrap();
        let sum = positions[index]["logsumexp"].as_f64().unwrap();
        assert!((logit - sum - logprob).abs() < 1e-5);
        assert!((logits.iter().map(|l| l.exp()).sum::<f64>().ln() - sum).abs() < 1e-5);
    }
    let nll = -logprobs.iter().sum::<f64>() / 3.0;
    assert!((report["nll_per_token"].as_f64().unwrap() - nll).abs() < 1e-9);
    assert!((report["perplexity"].as_f64().unwrap() - nll.exp()).abs() < 1e-6);
}

#[test]
fn text_has_a_logprob_each_after_the_beginning_token() {
    let report = score(&["--text", "in a hat"]);
    let logprobs = numbers(&report["logprobs"]);
    assert_eq!(logprobs.len(), report["tokens"].as_array().unwrap().len());
    let tokens: Vec<String> = report["tokens"].as_array().unwrap().iter().map(Value::to_string).collect();
    let ids = score(&["--tokens", &format!("111,{}", tokens.join(","))]);
    assert_eq!(numbers(&ids["logprobs"]), logprobs);
    let bits = -logprobs.iter().sum::<f64>() / std::f64::consts::LN_2 / 8.0;
    assert!((report["bits_per_byte"].as_f64().unwrap() - bits).abs() < 1e-9);
}

#[test]
fn text_beyond_the_context_is_scored_in_windows() {
    let text = "an inn in a thin hat, the end. ".repeat(10);
    let report = score(&["--text", &text]);
    let tokens = report["tokens"].as_array().unwrap().len();
    assert!(tokens > 128, "{tokens}");
    assert_eq!(numbers(&report["logprobs"]).len(), tokens);
    // The first window is that of its tokens alone.
    let first: Vec<String> = report["tokens"].as_array().unwrap()[..63].iter().map(Value::to_string).collect();
    let alone = score(&["--tokens", &format!("111,{}", first.join(","))]);
    assert_eq!(numbers(&alone["logprobs"]), numbers(&report["logprobs"])[..63]);
}

#[test]
fn one_id_has_a_distribution_after_it_and_no_mean() {
    let report = score(&["--tokens", "5", "--top", "2"]);
    assert_eq!(report["positions"].as_array().unwrap().len(), 1);
    assert_eq!(report["logprobs"], serde_json::json!([]));
    assert!(report["nll_per_token"].is_null());
}

#[test]
fn without_a_tokenizer_there_are_no_bytes() {
    let model = golden("gpt2");
    let report = gptneo(["score", "--json", "--tokens", "5,6,7", "-m", model.to_str().unwrap()]).json();
    assert!(report["bits_per_byte"].is_null());
    assert!(report["nll_per_token"].as_f64().unwrap() > 0.0);
}

#[test]
fn people_see_a_table() {
    let dir = tempfile::tempdir().unwrap();
    let model = with_tokenizer("gpt_neo", dir.path());
    let outcome = Program::new(["score", "--text", "in a", "-m"]).arg(&model).run();
    assert_eq!(outcome.stderr, "");
    assert!(outcome.text().contains("\"in\""), "{}", outcome.text());
    assert!(outcome.text().contains("2 tokens scored: "), "{}", outcome.text());
}
