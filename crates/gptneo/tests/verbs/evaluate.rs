//! `eval`: the harness's results JSON, the numbers of `score`, and the same results after any stop.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::{Value, json};

use super::runner::{Program, gptneo, shared};

const TASKS: &str = "
output_type: multiple_choice
dataset_path: mine/stories
test_split: test
training_split: train
doc_to_text: \"{{opening}}\"
doc_to_choice: \"{{endings}}\"
doc_to_target: right
metric_list: [{metric: acc}, {metric: acc_norm}, {metric: brier_score}]
metadata: {version: 1.5}
tag: mine
variants:
  endings: {}
  endings_f1: {metric_list: [{metric: f1}, {metric: mcc}]}
  openings:
    output_type: loglikelihood
    doc_to_choice: null
    doc_to_target: \"{{' ' + endings[right]}}\"
    metric_list: [{metric: perplexity}, {metric: acc}]
  whole:
    output_type: loglikelihood_rolling
    doc_to_text: null
    doc_to_choice: null
    doc_to_target: \"{{opening}} {{endings[right]}}\"
    metric_list: [{metric: word_perplexity}, {metric: bits_per_byte}]
  told:
    output_type: generate_until
    doc_to_choice: null
    doc_to_target: \"{{endings[right]}}\"
    generation_kwargs: {until: [\".\"], max_gen_toks: 12}
    metric_list: [{metric: exact_match, ignore_case: true}, {metric: bleu}, {metric: rougeL}]
";

pub(crate) struct World {
    dir: tempfile::TempDir,
}

impl World {
    pub(crate) fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("mine.yaml"), TASKS).unwrap();
        let folder = dir.path().join("mine/stories/default");
        fs::create_dir_all(&folder).unwrap();
        for (split, from) in [("test", 0), ("train", 100)] {
            let lines: String = (from..from + 24).map(|n| format!("{}\n", document(n))).collect();
            fs::write(folder.join(format!("{split}.jsonl")), lines).unwrap();
        }
        Self { dir }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub(crate) fn eval(&self, tasks: &str) -> Program {
        let program = Program::new(["eval", "--tasks", tasks, "--json", "--offline", "--bootstrap-iters", "200"]);
        program.arg("--include-path").arg(self.path("mine.yaml")).arg("--data").arg(self.dir.path())
    }
}

fn document(number: usize) -> Value {
    let names = ["Lily", "Tom", "Anna", "Ben", "Sue"];
    let things = ["ball", "kite", "cat", "tree", "cake", "box", "frog"];
    let (name, thing) = (names[number % 5], things[number % 7]);
    json!({
        "opening": format!("One day, {name} saw a big {thing} number {number}. {name} was very"),
        "endings": ["happy and smiled.", format!("xylophone {thing}."), "of the because."],
        "right": usize::from(number.is_multiple_of(6)),
    })
}

/// Without what a clock tells.
fn timeless(mut results: Value) -> Value {
    for field in ["date", "total_evaluation_time_seconds"] {
        results.as_object_mut().unwrap().remove(field).unwrap();
    }
    results["config"].as_object_mut().unwrap().remove("use_cache");
    results
}

#[test]
fn results_are_the_harnesses() {
    let world = World::new();
    let said = world.eval("mine").arg("--limit").arg("20").run().json();
    let scores = &said["results"]["endings"];
    assert!(scores["acc,none"].as_f64().unwrap() > 0.5, "{scores}");
    let acc = scores["acc,none"].as_f64().unwrap();
    let error = (acc * (1.0 - acc) / 19.0).sqrt();
    assert!((scores["acc_stderr,none"].as_f64().unwrap() - error).abs() < 1e-12, "{scores}");
    assert_eq!(scores["brier_score_stderr,none"], "N/A");
    assert_eq!(said["n-samples"]["endings"], json!({"original": 24, "effective": 20}));
    assert_eq!(said["n-shot"]["endings"], 0);
    assert_eq!(said["versions"]["endings"], 1.5);
    assert_eq!(said["higher_is_better"]["endings"], json!({"acc": true, "acc_norm": true, "brier_score": false}));
    assert_eq!(said["config"]["cache_dtype_k"], "f32");
    assert_eq!(said["config"]["limit"], 20);
    assert_eq!(said["dataset"]["endings"]["sha256"].as_str().unwrap().len(), 64);
    for task in ["endings_f1", "openings", "whole", "told"] {
        assert!(said["results"][task].is_object(), "{task}");
    }
    assert!(said["results"]["told"]["bleu,none"].is_number());
}

#[test]
fn numbers_are_those_of_score() {
    let world = World::new();
    let out = world.path("out");
    let program = world.eval("whole,openings").arg("--log-samples").arg("-o").arg(&out);
    let said = program.run().json();
    let samples = |task: &str| -> Vec<Value> {
        let folder = out.join("pocket");
        let name = |path: &Path| path.file_name().unwrap().to_string_lossy().starts_with(&format!("samples_{task}_"));
        let path = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).find(|path| name(path)).unwrap();
        fs::read_to_string(path).unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    };
    let whole = samples("whole");
    assert_eq!(whole.len(), 24);
    for sample in &whole[..3] {
        let text = sample["arguments"]["gen_args_0"]["arg_0"].as_str().unwrap();
        let score =
            gptneo(["score", "--text", text, "--json", "--cache-type-k", "f32", "--cache-type-v", "f32"]).json();
        let tokens = score["logprobs"].as_array().unwrap();
        let wanted: f64 = tokens.iter().map(|logprob| logprob.as_f64().unwrap()).sum();
        let found: f64 = sample["resps"][0][0].as_str().unwrap().parse().unwrap();
        assert!((found - wanted).abs() < 1e-9 * wanted.abs(), "{text}: {found} {wanted}");
        assert_eq!(sample["bits_per_byte"], json!([found, text.len() as f64]));
    }
    let sums: f64 = whole.iter().map(|sample| sample["bits_per_byte"][0].as_f64().unwrap()).sum();
    let bytes: f64 = whole.iter().map(|sample| sample["bits_per_byte"][1].as_f64().unwrap()).sum();
    let found = said["results"]["whole"]["bits_per_byte,none"].as_f64().unwrap();
    assert!((found + sums / bytes / 2f64.ln()).abs() < 1e-12);
}

#[test]
fn examples_stand_before_a_document_and_seeds_choose_them() {
    let world = World::new();
    let prompt = |seed: &str, shots: &str| {
        let out = world.path(&format!("out-{seed}-{shots}"));
        let program =
            world.eval("endings").arg("--limit").arg("2").arg("--seed").arg(seed).arg("--num-fewshot").arg(shots);
        program.arg("--log-samples").arg("-o").arg(&out).run().json();
        let path = fs::read_dir(out.join("pocket")).unwrap().map(|entry| entry.unwrap().path());
        let path = path.into_iter().find(|path| path.to_string_lossy().contains("samples_")).unwrap();
        let line: Value = serde_json::from_str(fs::read_to_string(path).unwrap().lines().next().unwrap()).unwrap();
        line["arguments"]["gen_args_0"]["arg_0"].as_str().unwrap().to_owned()
    };
    let two = prompt("1", "2");
    let parts: Vec<&str> = two.split("\n\n").collect();
    assert_eq!(parts.len(), 3, "{two}");
    assert!(parts[..2].iter().all(|part| part.contains(" number 1") && part.ends_with('.')), "{two}");
    assert_eq!(parts[2], document(0)["opening"]);
    assert_eq!(prompt("1", "2"), two);
    assert_ne!(prompt("2", "2"), two);
}

#[test]
fn stopped_anywhere_it_ends_with_the_same_results() {
    let world = World::new();
    let run = |cache: &Path| world.eval("mine").arg("--use-cache").arg(cache);
    let cache = world.path("whole.jsonl");
    let wanted = timeless(run(&cache).run().json());
    assert_eq!(timeless(world.eval("mine").run().json()), wanted, "without a cache");
    let whole = fs::read(&cache).unwrap();
    assert_eq!(timeless(run(&cache).run().json()), wanted, "all of it answered before");
    assert_eq!(fs::read(&cache).unwrap(), whole, "nothing was asked again");
    // As a kill leaves it: cut in the middle of a line.
    let cut = world.path("cut.jsonl");
    fs::write(&cut, &whole[..whole.len() * 2 / 3]).unwrap();
    assert_eq!(timeless(run(&cut).run().json()), wanted);
    // And by kills.
    let killed = world.path("killed.jsonl");
    for delay in [300, 500, 700] {
        let mut child = run(&killed).command().spawn().unwrap();
        std::thread::sleep(Duration::from_millis(delay));
        child.kill().unwrap();
        child.wait().unwrap();
    }
    assert_eq!(timeless(run(&killed).run().json()), wanted);
    // Another model's answers are not taken for this one's.
    let other = run(&cache).arg("--quant").arg("f32").run();
    assert_eq!(other.code, Some(4), "{}", other.stderr);
}

#[test]
fn what_a_context_cannot_hold_is_said() {
    let world = World::new();
    let ran = world.eval("endings").arg("--limit").arg("3").arg("-c").arg("12").run();
    let said = ran.json();
    let note = said["notes"]["endings"][0].as_str().unwrap();
    assert!(note.contains("9 of 9 requests") && note.contains("12 tokens"), "{note}");
    assert!(ran.stderr.contains(note), "{}", ran.stderr);
    assert!(world.eval("endings").arg("--limit").arg("3").run().json().get("notes").is_none());
}

#[test]
fn tasks_are_listed() {
    let said = gptneo(["eval", "tasks", "--json"]).json();
    let tasks = said["tasks"].as_array().unwrap();
    assert!(tasks.iter().any(|task| task["name"] == "lambada_openai" && task["split"] == "test"));
    assert!(said["groups"].as_array().unwrap().iter().any(|group| group["name"] == "superglue"));
}

#[test]
fn tinytalk_on_real_sets() {
    let (Some(model), Some(data)) = (shared("weights/tinytalk-gptneo-hf"), shared("eval")) else { return };
    let data = data.parent().unwrap();
    let tasks = "lambada_openai,piqa,hellaswag,arc_easy,winogrande,boolq,cb,copa,mrpc,rte,sst2,cola,xsum,nq_open";
    let program =
        Program::new(["eval", "--json", "--offline", "--limit", "5", "--bootstrap-iters", "100", "--tasks", tasks])
            .arg("--gen-kwargs")
            .arg("max_gen_toks=16");
    let said = program.arg("-m").arg(model).arg("--data").arg(data).run().json();
    for task in tasks.split(',') {
        assert_eq!(said["n-samples"][task]["effective"], 5, "{task}");
    }
}

#[test]
fn texts_are_paired_up_for_judges() {
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name).display().to_string();
    for (name, text) in [("small", "a tree"), ("large", "a forest")] {
        let lines = (0..4).map(|id| {
            format!("{}\n", json!({"id": id.to_string(), "prompt": "I saw", "text": format!("{text} {id}")}))
        });
        fs::write(path(&format!("{name}.jsonl")), lines.collect::<String>()).unwrap();
    }
    let sources = ["small", "large"].map(|name| format!("{name}={}", path(&format!("{name}.jsonl"))));
    let sheet = path("sheet.json");
    let made = gptneo(["eval", "review", "make", &sources[0], &sources[1], "-o", &sheet]);
    assert!(made.text().contains("4 items"), "{}", made.text());
    let page = path("page.html");
    assert_eq!(gptneo(["eval", "review", "page", &sheet, "-o", &page]).code, Some(0));
    let page = fs::read_to_string(page).unwrap();
    assert!(page.contains("a forest 3") && !page.contains("large"), "the texts, and no names");
    let judged = gptneo(["eval", "review", "judge", &sheet, "--judge", "ann", "--answers", &path("ann.jsonl")]);
    assert_eq!(judged.code, Some(2), "{}", judged.stderr);
    assert!(judged.stderr.contains("terminal"), "{}", judged.stderr);
    fs::write(path("none.jsonl"), "").unwrap();
    let report = gptneo(["eval", "review", "report", &sheet, &path("none.jsonl")]);
    assert_eq!(report.code, Some(2), "{}", report.stderr);
    assert!(report.stderr.contains("no answers"), "{}", report.stderr);
    let wrong = gptneo(["eval", "review", "make", "small", "large", "-o", &sheet]);
    assert_eq!(wrong.code, Some(2), "{}", wrong.stderr);
}
