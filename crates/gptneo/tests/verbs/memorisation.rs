//! `eval memorisation`: a model that was taught a few texts by heart goes on with them, and with no others.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::runner::{Program, shared};

/// Words without sense, which can be known by heart and not guessed.
fn text(seed: u64) -> String {
    let parts = ["ba", "do", "ki", "lu", "me", "no", "pi", "ra", "su", "te", "vo", "wi", "xa", "yo", "zu", "fe"];
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut text = String::new();
    for _ in 0..40 {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let pick = |shift: u32| parts[(state >> shift) as usize % parts.len()];
        let _ = write!(text, "{}{} ", pick(33), pick(45));
    }
    text
}

fn corpus(dir: &Path, name: &str, texts: &[String]) -> PathBuf {
    let path = dir.join(name);
    let lines: String = texts.iter().map(|text| format!("{}\n", json!({"text": text}))).collect();
    fs::write(&path, lines).unwrap();
    path
}

/// Trains a small model on a file until it knows it.
fn trained(dir: &Path, corpus: &Path) -> String {
    // Rotary positions: a text is known wherever in the context it stands.
    let recipe = format!(
        "name = \"heart\"\nseed = 3\n[model]\ninit = \"transformers\"\n[model.config]\nmodel_type = \"gpt_neox\"\nvocab_size = 270\n\
         hidden_size = 64\nnum_hidden_layers = 2\nnum_attention_heads = 4\nintermediate_size = 256\nrotary_pct = 1.0\n\
         max_position_embeddings = 96\n[data]\nsources = [{corpus:?}]\nvocab = 270\nheld_out_fraction = 0.0\nsequence = 64\n\
         [batch]\nsequences = 8\nmicro = 8\n[schedule]\nsteps = 300\nwarmup = 20\n[optimizer]\nlr = 0.004\n\
         [checkpoint]\nevery = 300\n"
    );
    let path = dir.join("recipe.toml");
    fs::write(&path, recipe).unwrap();
    let output = dir.join("run");
    let program =
        Program::new(["train"]).arg(&path).arg("--set").arg(format!("output={}", output.display())).arg("--json");
    program.run().json()["checkpoint"].as_str().unwrap().to_owned()
}

fn shards(dir: &Path, corpus: &Path, model: &str) -> PathBuf {
    let folder = dir.join(format!("{}-shards", corpus.file_stem().unwrap().to_string_lossy()));
    let program = Program::new(["data", "tokenize", "-m", model, "--shard-tokens", "200"]).arg(corpus).arg("-o");
    let made = program.arg(&folder).run();
    assert_eq!(made.code, Some(0), "{}", made.stderr);
    folder
}

fn memorised(model: &str, shards: &Path, sample: &str) -> Program {
    let flags = ["eval", "memorisation", "-m", model, "--prefix", "16,8", "--continuation", "20", "--sample", sample];
    Program::new(flags).arg("--shards").arg(shards)
}

#[test]
fn what_a_model_knows_by_heart_is_told_from_what_it_never_saw() {
    let dir = tempfile::tempdir().unwrap();
    // One text stands once, one three times, one twelve times.
    let texts: Vec<String> = [1, 3, 12].iter().zip(1..).flat_map(|(&times, seed)| vec![text(seed); times]).collect();
    let taught = corpus(dir.path(), "taught.jsonl", &texts);
    let model = trained(dir.path(), &taught);
    let known = shards(dir.path(), &taught, &model);
    let ran = memorised(&model, &known, "5000").arg("--json").run();
    assert!(ran.stderr.contains("all were taken"), "{}", ran.stderr);
    let said = ran.json();
    assert_eq!(said["sample"], said["sampled_from"], "there are fewer stretches than are asked for");
    assert_eq!(said["config"]["cache_dtype_k"], "f32");
    assert!(said["protocol"].as_str().unwrap().contains("k-extractability"));
    let rate = |of: &Value| of["exact_match_rate"].as_f64().unwrap();
    let [short, long] = said["prefixes"].as_array().unwrap().as_slice() else { panic!("{}", said["prefixes"]) };
    assert_eq!([&short["prefix"], &long["prefix"]], [8, 16], "in order");
    assert!(rate(short) < rate(long), "the longer the prefix, the more: {short} {long}");
    for prefix in [short, long] {
        let [once, few, many] = prefix["by_duplicates"].as_array().unwrap().as_slice() else { panic!("{prefix}") };
        assert_eq!([&once["duplicates"], &few["duplicates"], &many["duplicates"]], ["1", "2-9", "10-99"]);
        assert!(rate(many) > 0.8 && rate(once) < rate(few) && rate(few) < rate(many), "{prefix}");
        let count = |of: &Value| of["sequences"].as_u64().unwrap();
        assert_eq!(count(once) + count(few) + count(many), count(prefix));
        let (exact, matched) = (rate(prefix), prefix["matched_share"].as_f64().unwrap());
        assert!(exact <= matched && matched <= 1.0, "{prefix}");
    }
    let sequences = said["sequences"].as_array().unwrap();
    let of_text = |record: u64| {
        let source = format!("taught.jsonl:{record}");
        let own: Vec<&Value> = sequences.iter().filter(|sequence| sequence["source"] == source.as_str()).collect();
        assert!(!own.is_empty(), "{source}");
        own.iter().map(|sequence| sequence["found"][1]["duplicates"].as_u64().unwrap()).collect::<Vec<_>>()
    };
    assert!(of_text(1).iter().all(|&times| times == 1));
    assert!(of_text(2).iter().chain(&of_text(4)).all(|&times| times == 3));
    assert!(of_text(5).iter().chain(&of_text(16)).all(|&times| times == 12));

    let unseen = corpus(dir.path(), "unseen.jsonl", &(100..108).map(text).collect::<Vec<_>>());
    let unseen = shards(dir.path(), &unseen, &model);
    let said = memorised(&model, &unseen, "5000").arg("--json").run().json();
    for prefix in said["prefixes"].as_array().unwrap() {
        assert_eq!(prefix["exact_match"], 0, "{prefix}");
        assert!(prefix["wilson_95"][1].as_f64().unwrap() < 0.02, "{prefix}");
    }

    // A sample is drawn by its seed, and is a part of the whole.
    let drawn = |seed: &str| memorised(&model, &known, "10").args(["--seed", seed, "--json"]).run().json();
    let (one, other) = (drawn("1"), drawn("2"));
    assert_eq!((&one["sample"], one["sequences"].as_array().unwrap().len()), (&json!(10), 10));
    assert_eq!(one["sequences"], drawn("1")["sequences"]);
    assert_ne!(one["sequences"], other["sequences"]);
    assert!(one["sequences"].as_array().unwrap().iter().all(|sequence| sequences.contains(sequence)));
    let table = memorised(&model, &known, "50").run();
    assert!(table.text().contains("10-99") && table.text().contains("k-extractability"), "{}", table.text());
}

#[test]
fn tinytalk_writes_few_stories_by_heart() {
    let (Some(model), Some(stories)) =
        (shared("weights/tinytalk-gptneo-hf"), shared("corpus/childrens_books.jsonl.zst"))
    else {
        return;
    };
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().join("shards");
    let made = Program::new(["data", "tokenize", "-m"]).arg(&model).arg(stories).arg("-o").arg(&folder).run();
    assert_eq!(made.code, Some(0), "{}", made.stderr);
    let program = Program::new(["eval", "memorisation", "--sample", "20", "--json", "-m"]).arg(&model);
    let said = program.arg("--shards").arg(&folder).run().json();
    let found = &said["prefixes"][0];
    assert_eq!((found["prefix"].as_u64(), found["sequences"].as_u64()), (Some(50), Some(20)));
    assert!(found["exact_match_rate"].as_f64().unwrap() < 0.2, "{found}");
    assert!(found["matched_share"].as_f64().unwrap() > 0.0, "{found}");
}
