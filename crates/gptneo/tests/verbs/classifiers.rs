//! Classifiers: their labels by `score`, `show`, `convert`, and every verb that wants a language model.

use safetensors::SafeTensors;
use serde_json::{Value, json};

use super::runner::{Program, add_tokenizer, classifier, copy, golden, gptneo};

/// Numbers of a golden classifier, by name.
fn floats(name: &str, tensor: &str) -> Vec<f64> {
    let bytes = std::fs::read(classifier(name).join("golden.safetensors")).unwrap();
    let file = SafeTensors::deserialize(&bytes).unwrap();
    let values = file.tensor(tensor).unwrap().data().as_chunks::<4>().0.to_vec();
    values.into_iter().map(|b| f64::from(f32::from_le_bytes(b))).collect()
}

/// The first of its sequences, as `--tokens` takes it.
fn tokens(name: &str) -> String {
    let bytes = std::fs::read(classifier(name).join("golden.safetensors")).unwrap();
    let file = SafeTensors::deserialize(&bytes).unwrap();
    let whole = |tensor: &str| -> Vec<i64> {
        file.tensor(tensor).unwrap().data().as_chunks::<8>().0.iter().map(|b| i64::from_le_bytes(*b)).collect()
    };
    let first = whole("segments")[0] as usize;
    whole("ids")[..first].iter().map(i64::to_string).collect::<Vec<_>>().join(",")
}

fn numbers(value: &Value) -> Vec<f64> {
    value.as_array().unwrap().iter().map(|v| v.as_f64().unwrap()).collect()
}

fn assert_close(found: &[f64], wanted: &[f64], context: &str) {
    assert!(!found.is_empty(), "{context}");
    for (found, wanted) in found.iter().zip(wanted) {
        assert!((found - wanted).abs() < 1e-4, "{context}: {found}, not {wanted}");
    }
}

#[test]
fn score_tells_labels_with_the_logits_of_transformers() {
    for name in ["gpt_neo", "gpt2", "gpt_j", "gpt_neox", "gpt_neo_value"] {
        let scored = |program: Program| program.arg("--tokens").arg(tokens(name)).arg("--json").run().json();
        let report = scored(Program::new(["score", "-m"]).arg(classifier(name)));
        let logits = numbers(&report["logits"]);
        assert_close(&logits, &floats(name, "logits"), name);
        assert_eq!(report["labels"].as_array().unwrap().len(), logits.len(), "{name}");
        if name == "gpt_neo_value" {
            assert_eq!((&report["probs"], &report["label"]), (&Value::Null, &Value::Null));
            assert_eq!(report["value"].as_f64(), Some(logits[0]));
        } else {
            let probabilities = numbers(&report["probs"]);
            assert!((probabilities.iter().sum::<f64>() - 1.0).abs() < 1e-9, "{name}");
            let best = (0..logits.len()).max_by(|&a, &b| logits[a].total_cmp(&logits[b])).unwrap();
            assert_eq!(report["label"], report["labels"][best], "{name}");
            assert!(report["value"].is_null(), "{name}");
        }
        // PEFT's adapter makes a classifier of the language model.
        let base = golden(name.trim_end_matches("_value"));
        let adapter = classifier(name).join("adapter");
        let report = scored(Program::new(["score", "-m"]).arg(base).arg("--lora").arg(adapter));
        assert_close(&numbers(&report["logits"]), &floats(name, "adapter.logits"), name);
        assert_eq!(report["labels"][0], "LABEL_0", "PEFT keeps no names");
    }
}

#[test]
fn score_reads_text_and_shows_a_table() {
    let dir = tempfile::tempdir().unwrap();
    copy(&classifier("gpt_neo"), dir.path());
    add_tokenizer(dir.path());
    let score = |args: &[&str]| {
        args.iter().fold(Program::new(["score", "-m"]).arg(dir.path()), |program, arg| program.arg(*arg)).run()
    };
    let table = score(&["--text", "an inn"]);
    assert_eq!(table.code, Some(0), "{}", table.stderr);
    let lines: Vec<Vec<&str>> = table.text().lines().map(|line| line.split_whitespace().collect()).collect();
    assert_eq!(lines[0], ["label", "probability", "logit"]);
    let shares: Vec<f64> = lines[1..].iter().map(|line| line[1].parse().unwrap()).collect();
    assert!(shares.len() == 3 && shares.is_sorted_by(|a, b| a >= b), "the likeliest first: {shares:?}");
    let report = score(&["--text", "an inn", "--json"]).json();
    assert_eq!(report["label"], lines[1][0]);
    // The same ids say the same: nothing is put before or after the text.
    let ids: Vec<String> = report["tokens"].as_array().unwrap().iter().map(Value::to_string).collect();
    let again = score(&["--tokens", &ids.join(","), "--json"]).json();
    assert_eq!(again["logits"], report["logits"]);
    let file = dir.path().join("text");
    std::fs::write(&file, "an inn").unwrap();
    assert_eq!(score(&["--file", file.to_str().unwrap(), "--json"]).json()["logits"], report["logits"]);

    for (args, says) in [
        (&["--text", ""][..], "the text is empty"),
        (&["--text", "an inn", "--top", "3"], "has labels alone"),
        (&["--tokens", "5,112"], "outside the model's vocabulary"),
        (&["--text", &"an inn ".repeat(40)], "more than the classifier's context of 64"),
    ] {
        let refused = score(args);
        assert_eq!(refused.code, Some(2), "{args:?}: {}", refused.stderr);
        assert!(refused.stderr.contains(says), "{args:?}: {}", refused.stderr);
    }
}

#[test]
fn an_adapter_of_the_body_alone_goes_with_a_classifier() {
    let plain = Program::new(["score", "--json", "-m"]).arg(classifier("gpt_neo")).arg("--tokens").arg("5,6,7");
    let adapted = plain.clone().arg("--lora").arg(super::runner::adapter("gpt_neo"));
    let (plain, adapted) = (plain.run().json(), adapted.run().json());
    assert_eq!(plain["labels"], adapted["labels"]);
    assert_ne!(plain["logits"], adapted["logits"]);
}

#[test]
fn verbs_that_want_a_language_model_say_no() {
    let dir = tempfile::tempdir().unwrap();
    let model = classifier("gpt2");
    for (args, says) in [
        (&["run", "--tokens", "1,2"][..], "is a classifier: it tells labels of a text, and writes none"),
        (&["chat"], "is a classifier"),
        (&["bench", "--prompt", "8", "--gen", "2"], "is a classifier"),
        (&["bench", "--train"], "is a classifier"),
        (&["quantize", "--type", "q8_0", "-o", "OUT/m.gguf"], "GGUF has no place for a classification head"),
        (&["convert", "-o", "OUT/m.gguf"], "GGUF has no place for a classification head"),
    ] {
        let out = dir.path().to_str().unwrap();
        let args = args.iter().map(|arg| arg.replace("OUT", out));
        let refused = args.fold(Program::default(), Program::arg).arg("-m").arg(&model).run();
        assert_eq!(refused.code, Some(2), "{}", refused.stderr);
        assert!(refused.stderr.contains(says), "{}", refused.stderr);
        assert!(refused.stderr.contains("try:"), "and what to do: {}", refused.stderr);
    }
    assert!(!dir.path().join("m.gguf").exists());
    // An adapter with a head of its own is no adapter of a language model either.
    let adapter = model.join("adapter");
    for args in [&["run", "--tokens", "1,2"][..], &["bench", "--prompt", "8", "--gen", "2"]] {
        let program = Program::new(args.iter().copied()).arg("-m").arg(golden("gpt2"));
        let refused = program.arg("--lora").arg(&adapter).run();
        assert_eq!(refused.code, Some(2), "{}", refused.stderr);
        assert!(refused.stderr.contains("trained for classification"), "{}", refused.stderr);
    }
    let draft = Program::new(["run", "--tokens", "1,2", "-n", "2", "-m"]).arg(golden("gpt2"));
    let refused = draft.arg("--draft-model").arg(&model).run();
    assert_eq!(refused.code, Some(2), "{}", refused.stderr);
    assert!(refused.stderr.contains("it is a classifier"), "{}", refused.stderr);
}

#[test]
fn show_names_the_labels() {
    let model = classifier("gpt_neo");
    let show = |args: &[&str]| args.iter().fold(Program::new(["show", "-m"]).arg(&model), |p, a| p.arg(*a)).run();
    let page = show(&[]);
    assert!(page.text().contains("one of 3 labels: contradiction, neutral, entailment"), "{}", page.text());
    let report = show(&["--json"]).json();
    assert_eq!(report["labels"], json!(["contradiction", "neutral", "entailment"]));
    assert_eq!(report["tied"], json!(false));
    let many = Program::new(["show", "-m"]).arg(classifier("gpt_neox")).run();
    assert!(many.text().contains("class 7 and 9 more"), "{}", many.text());
    let value = Program::new(["show", "-m"]).arg(classifier("gpt_neo_value")).run();
    assert!(value.text().contains("a value, similarity (regression)"), "{}", value.text());
    let language = gptneo(["show", "--json", "-m", golden("gpt_neo").to_str().unwrap()]).json();
    assert!(language["labels"].is_null());
}

#[test]
fn convert_keeps_the_head_or_merges_an_adapters() {
    let dir = tempfile::tempdir().unwrap();
    let convert = |program: Program, out: &str| {
        let out = dir.path().join(out);
        let done = program.arg("-o").arg(&out).run();
        assert_eq!(done.code, Some(0), "{}", done.stderr);
        out
    };
    let logits = |model: &std::path::Path| {
        let program = Program::new(["score", "--json", "-m"]).arg(model).arg("--tokens").arg(tokens("gpt_neo"));
        numbers(&program.run().json()["logits"])
    };
    let plain = convert(Program::new(["convert", "-m"]).arg(classifier("gpt_neo")), "plain");
    assert_close(&logits(&plain), &floats("gpt_neo", "logits"), "converted");
    let adapter = classifier("gpt_neo").join("adapter");
    let merging = Program::new(["convert", "-m"]).arg(golden("gpt_neo")).arg("--lora").arg(adapter);
    let merged = convert(merging, "merged");
    assert_close(&logits(&merged), &floats("gpt_neo", "adapter.logits"), "merged");
    let config: Value = serde_json::from_slice(&std::fs::read(merged.join("config.json")).unwrap()).unwrap();
    assert_eq!(config["architectures"], json!(["GPTNeoForSequenceClassification"]));
    assert_eq!(config["id2label"].as_object().unwrap().len(), 3);
}
