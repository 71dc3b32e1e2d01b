//! `run`: what scripts rely on, and what people see.

use std::io::Read;
use std::process::Stdio;
use std::thread;
use std::time::Duration;

use serde_json::Value;

use super::runner::{Outcome, Program, golden, gptneo, with_tokenizer};

fn run(args: &[&str]) -> Outcome {
    let dir = tempfile::tempdir().unwrap();
    let model = with_tokenizer("gpt_neo", dir.path());
    let program = Program::new(["run", "-m"]).arg(model);
    args.iter().fold(program, |p, a| p.arg(*a)).run()
}

fn ids(report: &Value) -> Vec<u64> {
    report["tokens"].as_array().unwrap().iter().map(|t| t.as_u64().unwrap()).collect()
}

#[test]
fn json_has_the_fields_that_scripts_rely_on() {
    let report = run(&["in a hat", "-n", "6", "--temp", "0", "--ignore-eos", "--json"]).json();
    assert!(report["text"].is_string());
    assert_eq!(ids(&report).len(), 6);
    assert_eq!(report["prompt_tokens"], 6, "in, space-a, space, h, a, t: {report}");
    assert_eq!(report["completion_tokens"], 6);
    assert_eq!(report["finish_reason"], "length");
    for field in ["load_ms", "first_token_ms", "prefill_tokens_per_s", "decode_tokens_per_s"] {
        assert!(report["timings"][field].as_f64().unwrap() > 0.0, "{field}");
    }
}

#[test]
fn results_alone_go_to_standard_output() {
    let outcome = run(&["in a hat", "-n", "6", "--temp", "0", "--ignore-eos"]);
    let report = run(&["in a hat", "-n", "6", "--temp", "0", "--ignore-eos", "--json"]).json();
    assert_eq!(outcome.stderr, "");
    assert_eq!(outcome.text(), format!("{}\n", report["text"].as_str().unwrap()));
}

#[test]
fn generate_is_run_and_underscores_are_dashes() {
    let dir = tempfile::tempdir().unwrap();
    let model = with_tokenizer("gpt_neo", dir.path());
    let with = |verb: &str, flags: [&str; 2]| {
        Program::new([verb, "-p", "in a", "--json", "--ignore_eos", flags[0], "9", "--seed", "7", flags[1], "3", "-m"])
            .arg(&model)
            .run()
            .json()["text"]
            .clone()
    };
    assert_eq!(with("run", ["--max-tokens", "--top-k"]), with("generate", ["--n_predict", "--top_k"]));
}

#[test]
fn the_prompt_may_come_from_anywhere() {
    let dir = tempfile::tempdir().unwrap();
    let model = with_tokenizer("gpt_neo", dir.path());
    let file = dir.path().join("prompt.txt");
    std::fs::write(&file, "in a hat").unwrap();
    let base = Program::new(["run", "-n", "5", "--temp", "0", "--ignore-eos", "--json", "-m"]).arg(&model);
    let wanted = ids(&base.clone().arg("in a hat").run().json());
    assert_eq!(ids(&base.clone().arg("-p").arg("in a hat").run().json()), wanted);
    assert_eq!(ids(&base.clone().arg("-f").arg(&file).run().json()), wanted);
    assert_eq!(ids(&base.clone().stdin("in a hat").run().json()), wanted);
    assert_eq!(ids(&base.clone().stdin("in a hat\n").run().json()), wanted, "as echo writes it");
    let tokens = Program::new(["tokenize", "-m"]).arg(&model).stdin("in a hat").run();
    assert_eq!(ids(&base.clone().arg("--tokens").arg(tokens.text().trim()).run().json()), wanted);
}

#[test]
fn an_empty_prompt_begins_with_the_token_that_begins_a_text() {
    let report = run(&["", "-n", "5", "--temp", "0", "--ignore-eos", "--json"]).json();
    let told = run(&["--tokens", "111", "-n", "5", "--temp", "0", "--ignore-eos", "--json"]).json();
    assert_eq!(ids(&report), ids(&told));
}

#[test]
fn the_same_seed_gives_the_same_tokens_on_any_number_of_threads() {
    let with = |seed: &str, threads: &str| {
        ids(&run(&["in a", "-n", "30", "--seed", seed, "--temp", "1.5", "--ignore-eos", "-t", threads, "--json"])
            .json())
    };
    let wanted = with("1", "1");
    assert_eq!(with("1", "2"), wanted);
    assert_eq!(with("1", "4"), wanted);
    assert_ne!(with("2", "1"), wanted);
}

#[test]
fn a_new_seed_is_told_and_repeats_the_run() {
    let first = run(&["in a", "-n", "30", "--temp", "1.5", "--ignore-eos", "--json"]).json();
    let seed = first["seed"].as_u64().unwrap().to_string();
    let again = run(&["in a", "-n", "30", "--temp", "1.5", "--ignore-eos", "--json", "--seed", &seed]).json();
    assert_eq!(ids(&first), ids(&again));
}

#[test]
fn stops_before_a_stop_string() {
    let all = run(&["in a", "-n", "30", "--temp", "0", "--ignore-eos", "--json"]).json();
    let text = all["text"].as_str().unwrap();
    let stop: String = text.chars().skip(8).take(2).collect();
    let cut = run(&["in a", "-n", "30", "--temp", "0", "--ignore-eos", "--json", "--stop", &stop]).json();
    assert_eq!(cut["text"].as_str().unwrap(), &text[..text.find(&stop).unwrap()]);
    assert_eq!(cut["finish_reason"], "stop");
}

#[test]
fn biased_tokens_win_or_never_come() {
    let always = run(&["in a", "-n", "4", "--temp", "0", "--logit-bias", "7+1000", "--json"]).json();
    assert_eq!(ids(&always), [7, 7, 7, 7]);
    let free = ids(&run(&["in a", "-n", "8", "--temp", "0", "--ignore-eos", "--json"]).json());
    let never = format!("{}-inf", free[0]);
    let without =
        ids(&run(&["in a", "-n", "8", "--temp", "0", "--ignore-eos", "--json", "--logit-bias", &never]).json());
    assert!(!without.contains(&free[0]), "{without:?}");
}

#[test]
fn the_end_of_text_ends_it_unless_told_otherwise() {
    let flags = ["in a", "-n", "4", "--temp", "0", "--logit-bias", "111+1000", "--json"];
    let ended = run(&flags).json();
    assert_eq!(ended["finish_reason"], "stop");
    assert_eq!(ended["completion_tokens"], 0);
    let on = run(&[&flags[..], &["--ignore-eos"]].concat()).json();
    assert_eq!(ids(&on), [111, 111, 111, 111]);
    let least = run(&[&flags[..], &["--min-tokens", "2"]].concat()).json();
    assert_eq!(least["completion_tokens"], 2);
}

#[test]
fn samples_share_a_prompt_and_differ() {
    let report = run(&["in a", "-n", "20", "-N", "3", "--temp", "1.5", "--seed", "4", "--ignore-eos", "--json"]).json();
    let samples = report["samples"].as_array().unwrap();
    assert_eq!(samples.len(), 3);
    assert_eq!(samples[0]["tokens"], report["tokens"]);
    assert_ne!(samples[0]["tokens"], samples[1]["tokens"]);
    let shown = run(&["in a", "-n", "20", "-N", "3", "--temp", "1.5", "--seed", "4", "--ignore-eos"]);
    assert_eq!(shown.text().matches("--- ").count(), 3);
}

#[test]
fn logprobs_come_with_alternatives() {
    let report = run(&["in a", "-n", "5", "--temp", "0", "--ignore-eos", "--logprobs", "3", "--json"]).json();
    let logprobs = report["logprobs"].as_array().unwrap();
    assert_eq!(logprobs.len(), 5);
    for (entry, id) in logprobs.iter().zip(ids(&report)) {
        assert_eq!(entry["id"], id);
        assert!(entry["logprob"].as_f64().unwrap() <= 0.0);
        let top = entry["top"].as_array().unwrap();
        assert_eq!(top.len(), 3);
        assert_eq!(top[0][0], id, "greedy takes the likeliest");
    }
}

#[test]
fn says_when_the_context_is_full() {
    let outcome = run(&["in a", "-n", "-1", "--temp", "0", "--ignore-eos", "--json"]);
    assert!(outcome.stderr.contains("the context of 64 tokens is full"), "{}", outcome.stderr);
    let report = outcome.json();
    assert_eq!(report["prompt_tokens"].as_u64().unwrap() + report["completion_tokens"].as_u64().unwrap(), 64);
    assert_eq!(report["finish_reason"], "length");
    let short = run(&["in a", "-n", "-1", "-c", "10", "--temp", "0", "--ignore-eos", "--json"]);
    assert!(short.stderr.contains("the context of 10 tokens is full"), "{}", short.stderr);
}

#[test]
fn blocked_words_are_cut() {
    let dir = tempfile::tempdir().unwrap();
    let model = with_tokenizer("gpt_neo", dir.path());
    let words = dir.path().join("words.txt");
    std::fs::write(&words, "hhhhhh\n").unwrap();
    // Token 71 is `h`, and the bias makes the model say nothing else.
    let flags = ["run", "a ", "-n", "6", "--temp", "0", "--logit-bias", "71+1000", "--json", "-m"];
    let free = Program::new(flags).arg(&model);
    assert_eq!(free.run().json()["text"], "hhhhhh");
    let outcome = free.arg("--blocked-words").arg(&words).run();
    assert!(outcome.stderr.contains("cut by"), "{}", outcome.stderr);
    let report = outcome.json();
    assert_eq!(report["finish_reason"], "content_filter");
    assert_eq!(report["text"], "");
}

#[test]
fn a_model_without_tokenizer_speaks_in_ids() {
    let outcome = gptneo([
        "run",
        "--tokens",
        "1,2,3",
        "-n",
        "4",
        "--temp",
        "0",
        "--ignore-eos",
        "-m",
        golden("gpt2").to_str().unwrap(),
    ]);
    assert_eq!(outcome.code, Some(0), "{}", outcome.stderr);
    let ids: Vec<u32> = outcome.text().split_whitespace().map(|w| w.parse().unwrap()).collect();
    assert_eq!(ids.len(), 4);
}

#[test]
fn a_random_model_generates() {
    let flags =
        ["run", "-m", "random:pythia-14m", "--quant", "q4_0", "--tokens", "1,2,3", "-n", "4", "--ignore-eos", "--json"];
    assert_eq!(gptneo(flags).json()["completion_tokens"], 4);
}

#[test]
fn a_reader_that_leaves_is_no_failure() {
    let dir = tempfile::tempdir().unwrap();
    let model = with_tokenizer("gpt_neo", dir.path());
    let program = Program::new(["score", "--json", "--top", "112", "--tokens", "1,2,3,4,5,6,7,8", "-m"]).arg(&model);
    let mut child = program.command().spawn().unwrap();
    drop(child.stdout.take());
    let mut stderr = String::new();
    child.stderr.take().unwrap().read_to_string(&mut stderr).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(0), "{stderr}");
    assert_eq!(stderr, "");
}

#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_is_told() {
    let dir = tempfile::tempdir().unwrap();
    let model = with_tokenizer("gpt_neo", dir.path());
    let program = Program::new(["run", "in a", "-n", "3", "-m"]).arg(&model);
    let full = std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    let out = program.command().stdout(Stdio::from(full)).output().unwrap();
    assert_eq!(out.status.code(), Some(3));
    let stderr = String::from_utf8(out.stderr).unwrap();
    assert!(stderr.contains("cannot write to standard output: no space left on device"), "{stderr}");
}

#[cfg(unix)]
#[test]
fn one_interrupt_stops_cleanly_and_shows_what_there_is() {
    let flags = ["run", "-m", "random:pythia-31m", "--tokens", "1,2,3", "-n", "2000", "--ignore-eos", "--json"];
    let child = Program::new(flags).command().spawn().unwrap();
    let id = child.id().to_string();
    // Long enough to load, far too short for two thousand tokens.
    thread::sleep(Duration::from_millis(1500));
    let signal = std::process::Command::new("kill").args(["-INT", &id]).status().unwrap();
    assert!(signal.success());
    let out = child.wait_with_output().unwrap();
    assert_eq!(out.status.code(), Some(130), "{}", String::from_utf8_lossy(&out.stderr));
    let report: Value = serde_json::from_slice(&out.stdout).unwrap();
    assert_eq!(report["finish_reason"], "cancelled");
    assert!(report["completion_tokens"].as_u64().unwrap() < 2000);
}

#[cfg(unix)]
#[test]
fn an_interrupt_ends_what_waits_for_input() {
    let dir = tempfile::tempdir().unwrap();
    let model = with_tokenizer("gpt_neo", dir.path());
    let mut child = Program::new(["tokenize", "-m"]).arg(&model).command().spawn().unwrap();
    // Kept open, so that only the interrupt can end the wait.
    let stdin = child.stdin.take().unwrap();
    thread::sleep(Duration::from_millis(500));
    let signal = std::process::Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap();
    assert!(signal.success());
    let out = child.wait_with_output().unwrap();
    drop(stdin);
    assert_eq!(out.status.code(), Some(130));
    assert_eq!(String::from_utf8(out.stderr).unwrap(), "interrupted\n");
}
