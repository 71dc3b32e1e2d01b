//! `data tokenize` and `data bpe`: the same bytes however often the process is killed, and faults in words.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::runner::{Program, gptneo, shared};

/// So many small documents, a line each, with a broken one now and then.
fn corpus(dir: &Path, documents: usize) -> PathBuf {
    let words = ["tree", "stone", "the", "river", "ran", "and", "stood", "still", "under", "a", "small", "moon"];
    let mut lines = String::new();
    let mut state = 1u64;
    for number in 0..documents {
        let mut text = format!("Number {number}:");
        for _ in 0..60 {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let _ = write!(text, " {}", words[(state >> 33) as usize % words.len()]);
        }
        match number % 500 {
            499 => lines.push_str("broken\n"),
            _ => writeln!(lines, "{{\"text\": \"{text}\"}}").unwrap(),
        }
    }
    let path = dir.join("corpus.jsonl");
    fs::write(&path, lines).unwrap();
    path
}

fn learned(dir: &Path, corpus: &Path) -> PathBuf {
    let path = dir.join("tokenizer.json");
    let report =
        Program::new(["data", "bpe", "--vocab-size", "320", "--json", "-o"]).arg(&path).arg(corpus).run().json();
    assert_eq!(report["vocab_size"], 320);
    path
}

/// With shards that come and go many times a second, and a split.
fn tokenize(corpus: &Path, tokenizer: &Path, output: &Path) -> Program {
    plain(corpus, tokenizer, output).arg("--shard-tokens").arg("40k").arg("--held-out").arg("2%")
}

fn plain(corpus: &Path, tokenizer: &Path, output: &Path) -> Program {
    let program = Program::new(["data", "tokenize", "--json"]).arg(corpus).arg("--tokenizer").arg(tokenizer);
    program.arg("-o").arg(output)
}

fn bytes_of(dir: &Path) -> BTreeMap<String, Vec<u8>> {
    let read = |path: PathBuf| (path.file_name().unwrap().to_string_lossy().into_owned(), fs::read(path).unwrap());
    fs::read_dir(dir).unwrap().map(|entry| read(entry.unwrap().path())).collect()
}

#[test]
fn the_report_counts_what_is_in_the_folder() {
    let dir = tempfile::tempdir().unwrap();
    let corpus = corpus(dir.path(), 1000);
    let tokenizer = learned(dir.path(), &corpus);
    let outcome = tokenize(&corpus, &tokenizer, &dir.path().join("out")).run();
    let report = outcome.json();
    let count = |split: &str| report[split]["documents"].as_u64().unwrap();
    assert_eq!(count("train") + count("held_out"), 998);
    assert_eq!(report["skipped"]["not_json"], 2);
    assert!(outcome.stderr.contains("2 records were left out: 2 not a JSON object"), "{}", outcome.stderr);
    assert!(outcome.stderr.contains("corpus.jsonl:500"), "{}", outcome.stderr);
    let manifest: serde_json::Value =
        serde_json::from_slice(&fs::read(dir.path().join("out/manifest.json")).unwrap()).unwrap();
    assert_eq!(manifest["train"]["tokens"], report["train"]["tokens"]);
    assert_eq!(manifest["tokenizer"]["sha256"], report["tokenizer_sha256"]);
    assert_eq!(manifest["settings"]["held_out_ppm"], 20_000);
}

#[test]
fn killed_at_any_moment_it_ends_with_the_same_bytes() {
    let dir = tempfile::tempdir().unwrap();
    let corpus = corpus(dir.path(), 10_000);
    let tokenizer = learned(dir.path(), &corpus);
    let begun = Instant::now();
    tokenize(&corpus, &tokenizer, &dir.path().join("whole")).run().json();
    let whole = begun.elapsed();
    let wanted = bytes_of(&dir.path().join("whole"));
    assert!(wanted.len() > 20, "{} files", wanted.len());
    let mut state = 7u64;
    let mut kills = 0;
    for round in 0..100 {
        let output = dir.path().join(format!("cut{round}"));
        let program = tokenize(&corpus, &tokenizer, &output).arg("--resume");
        // Three kills at most in one run, so that all of it is visited.
        for _ in 0..3 {
            let mut child = program.command().spawn().unwrap();
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            std::thread::sleep(whole.mul_f64((state >> 40) as f64 / (1u64 << 24) as f64) / 2);
            let killed = child.try_wait().unwrap().is_none();
            child.kill().unwrap();
            child.wait().unwrap();
            kills += usize::from(killed);
        }
        let report = program.run().json();
        assert!(bytes_of(&output) == wanted, "round {round}: {report}");
        fs::remove_dir_all(&output).unwrap();
        if kills >= 30 {
            return;
        }
    }
    panic!("only {kills} kills came in time; a whole run takes {whole:?}");
}

#[test]
fn a_killed_run_says_how_to_go_on() {
    let dir = tempfile::tempdir().unwrap();
    let corpus = corpus(dir.path(), 3000);
    let tokenizer = learned(dir.path(), &corpus);
    let output = dir.path().join("out");
    let program = tokenize(&corpus, &tokenizer, &output);
    let mut child = program.command().spawn().unwrap();
    let begun = Instant::now();
    while !output.join("unfinished.json").exists() && !output.join("manifest.json").exists() {
        assert!(begun.elapsed() < Duration::from_secs(60));
        std::thread::sleep(Duration::from_millis(1));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    let again = program.run();
    assert_eq!(again.code, Some(3), "{}", again.stderr);
    assert!(again.stderr.contains("--resume") || again.stderr.contains("already"), "{}", again.stderr);
}

#[test]
fn faults_have_their_exit_codes() {
    let dir = tempfile::tempdir().unwrap();
    let corpus = corpus(dir.path(), 300);
    let tokenizer = learned(dir.path(), &corpus);
    let check = |program: &Program, code, words: &str| {
        let outcome = program.run();
        assert_eq!(outcome.code, Some(code), "{}", outcome.stderr);
        assert!(outcome.stderr.contains(words), "{}", outcome.stderr);
    };
    let output = dir.path().join("out");
    check(&plain(Path::new("./nowhere.jsonl"), &tokenizer, &output), 3, "no such file");
    check(&plain(&corpus, Path::new("nowhere.json"), &output), 3, "nowhere.json");
    check(&plain(&corpus, &corpus, &output), 4, "corpus.jsonl");
    check(&plain(&corpus, &tokenizer, &output).arg("--field").arg("body"), 4, "without text in the field");
    check(&plain(&corpus, &tokenizer, &output).arg("--held-out").arg("1.5"), 2, "--held-out");
    check(&plain(&corpus, &tokenizer, &output).arg("--shard-tokens").arg("0"), 2, "at least 1");
    let again = Program::new(["data", "bpe", "--vocab-size", "300", "-o"]).arg(&tokenizer);
    check(&again.arg(&corpus), 3, "--force");
    let small = Program::new(["data", "bpe", "--vocab-size", "100", "-o"]).arg(dir.path().join("small.json"));
    check(&small.arg(&corpus), 2, "257");
    check(&Program::new(["data"]), 2, "tokenize");
}

#[test]
fn a_model_learns_from_the_text_and_reads_it_back() {
    let dir = tempfile::tempdir().unwrap();
    let corpus = corpus(dir.path(), 300);
    let model = dir.path().join("model");
    let bpe = gptneo(["data", "bpe", "--vocab-size", "300", "-o", model.to_str().unwrap(), corpus.to_str().unwrap()]);
    assert_eq!(bpe.code, Some(0), "{}", bpe.stderr);
    assert!(model.join("tokenizer.json").is_file() && model.join("tokenizer_config.json").is_file());
    let encoded = Program::new(["tokenize", "-m"]).arg(&model).stdin("the river").run();
    let decoded = Program::new(["tokenize", "--decode", "-m"]).arg(&model).stdin(encoded.stdout).run();
    assert_eq!(decoded.text(), "the river");
}

#[test]
fn real_stories_have_the_tokens_that_gpt2_gives_them() {
    let (Some(stories), Some(tokenizer)) = (shared("corpus/stories.jsonl.zst"), shared("tokenizer/gpt2")) else {
        return;
    };
    let dir = tempfile::tempdir().unwrap();
    let output = dir.path().join("out");
    let program =
        Program::new(["data", "tokenize", "--held-out", "0.01", "--json"]).arg(stories).arg("-m").arg(tokenizer);
    let report = program.arg("-o").arg(output).run().json();
    let sum = |field: &str| report["train"][field].as_u64().unwrap() + report["held_out"][field].as_u64().unwrap();
    assert_eq!(sum("documents"), 46_848);
    assert_eq!(sum("text_bytes"), 34_554_757);
    // As the Python package `tokenizers` counts them, with one end-of-text token for each story.
    assert_eq!(sum("tokens"), 8_556_077);
}
