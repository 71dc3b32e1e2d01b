//! `eval` of models with classification heads: their own labels, each task on its own model.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::runner::{Program, add_tokenizer, classifier, copy, shared, with_tokenizer};

/// A folder with sentences of MNLI and STS-B of ours, and two small heads.
struct World {
    dir: tempfile::TempDir,
}

impl World {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let write = |name: &str, rows: Vec<Value>| {
            let path = dir.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, rows.iter().map(|row| format!("{row}\n")).collect::<String>()).unwrap();
        };
        let rows = |range: std::ops::Range<usize>| {
            range
                .map(|n| json!({"premise": format!("the inn has {n} men"), "hypothesis": format!("an inn {}", n * 7 % 5), "label": n % 3}))
                .collect()
        };
        write("nyu-mll/glue/mnli/validation_matched.jsonl", rows(0..15));
        write("nyu-mll/glue/mnli/validation_mismatched.jsonl", rows(15..25));
        let values = (0..12).map(|n| {
            json!({"sentence1": format!("he and {n}"), "sentence2": format!("she {}", n * 5 % 7), "label": f64::from(n) / 2.5})
        });
        write("nyu-mll/glue/stsb/validation.jsonl", values.collect());
        for name in ["gpt_neo", "gpt_neo_value"] {
            copy(&classifier(name), &dir.path().join(name));
            add_tokenizer(&dir.path().join(name));
        }
        Self { dir }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn eval(&self, tasks: &str) -> Program {
        let program = Program::new(["eval", "--tasks", tasks, "--json", "--offline", "--bootstrap-iters", "50"]);
        program.arg("--data").arg(self.dir.path())
    }

    fn head(&self, task: &str, name: &str) -> String {
        format!("{task}={}", self.path(name).display())
    }
}

/// The samples of a task, written below this folder.
fn samples(out: &Path, task: &str) -> Vec<Value> {
    let folders = fs::read_dir(out).unwrap().map(|entry| entry.unwrap().path());
    let files = folders.flat_map(|folder| fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()));
    let begins = format!("samples_{task}_2");
    let file = files.into_iter().find(|path| path.file_name().unwrap().to_string_lossy().starts_with(&begins)).unwrap();
    fs::read_to_string(file).unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn a_head_is_measured_by_its_own_labels() {
    let world = World::new();
    let out = world.path("out");
    let said =
        world.eval("glue_head_mnli").arg("-m").arg(world.path("gpt_neo")).arg("--log-samples").arg("-o").arg(&out);
    let said = said.run().json();
    let found = &said["results"]["glue_head_mnli"];
    assert_eq!((&found["sample_len"], &said["n-samples"]["glue_head_mnli"]["effective"]), (&json!(15), &json!(15)));
    let note = said["notes"]["glue_head_mnli"][0].as_str().unwrap();
    assert!(note.contains("contradiction, neutral, entailment") && note.contains("matched by name"), "{note}");
    // The same as `score`, text for text; 0 of the data is the last of the model's labels.
    let mut right = 0.0;
    for (n, sample) in samples(&out, "glue_head_mnli").iter().enumerate() {
        let text = format!("the inn has {n} men\nan inn {}", n * 7 % 5);
        let model = world.path("gpt_neo");
        let score =
            Program::new(["score", "--json", "--cache-type-k", "f32", "--cache-type-v", "f32", "--text", &text, "-m"]);
        let score = score.arg(model).run().json();
        let logits =
            |value: &Value| -> Vec<f64> { value.as_array().unwrap().iter().map(|l| l.as_f64().unwrap()).collect() };
        let wanted = logits(&score["logits"]);
        for (found, wanted) in logits(&sample["resps"][0][0]).iter().zip(&wanted) {
            assert!((found - wanted).abs() < 1e-6, "{text}: {found} {wanted}");
        }
        let filtered = logits(&sample["filtered_resps"][0]);
        assert_eq!(filtered[0], logits(&sample["resps"][0][0])[2], "entailment");
        let names = ["entailment", "neutral", "contradiction"];
        let is_right = f64::from(u8::from(score["label"] == names[n % 3]));
        assert_eq!(sample["acc"].as_f64(), Some(is_right), "{text}");
        right += is_right;
    }
    assert!((found["acc,none"].as_f64().unwrap() - right / 15.0).abs() < 1e-12);
}

#[test]
fn each_task_has_a_model_of_its_own() {
    let world = World::new();
    fs::write(
        world.path("board.yaml"),
        "group: board\ntask: [glue_head_mnli, glue_head_mnli_mismatch, glue_head_stsb]\naggregate_metric_list:\n  \
         - {metric: [acc, pearson, spearman], name: score, weight_by_size: false, as_one: [glue_head_mnli, glue_head_mnli_mismatch]}\n",
    )
    .unwrap();
    let said = world
        .eval("board")
        .arg("--include-path")
        .arg(world.path("board.yaml"))
        .arg("--head")
        .arg(world.head("glue_head_stsb", "gpt_neo_value"))
        .arg("-m")
        .arg(world.path("gpt_neo"))
        .run()
        .json();
    let value = |task: &str, metric: &str| said["results"][task][format!("{metric},none")].as_f64().unwrap();
    let value_head = said["results"]["glue_head_stsb"]["head"].as_str().unwrap();
    assert!(value_head.ends_with("gpt_neo_value"), "{said}");
    assert!(said["config"]["other_models"].as_object().unwrap().keys().all(|name| name.ends_with("gpt_neo_value")));
    let natural = (value("glue_head_mnli", "acc") + value("glue_head_mnli_mismatch", "acc")) / 2.0;
    let similar = (value("glue_head_stsb", "pearson") + value("glue_head_stsb", "spearman")) / 2.0;
    assert!((value("board", "score") - (natural + similar) / 2.0).abs() < 1e-12, "{said}");
    assert!(said["results"]["glue_head_stsb"]["spearman_stderr,none"].as_f64().unwrap() > 0.0);
}

#[test]
fn what_does_not_fit_is_told_before_anything_is_read() {
    let world = World::new();
    let language = with_tokenizer("gpt_neo", world.dir.path().join("language").as_path());
    let (three, language) = (world.path("gpt_neo").display().to_string(), language.display().to_string());
    let head = |task: &str| world.head(task, "gpt_neo");
    let cases: [(&str, &[&str], &str); 9] = [
        ("glue_head_mnli", &["-m", &language], "the model is a language model"),
        ("mnli", &["-m", &three], "the model is a classifier"),
        ("glue_head_rte", &["-m", &three], "it has 2 labels (entailment, not_entailment), and the model tells 3"),
        ("glue_head_stsb", &["-m", &three], "it asks for a value"),
        ("glue_head_mnli", &[], "no model with a head for it is named"),
        ("glue_head_mnli", &["--head", "glue_head_mnli"], "it is written TASK=DIR"),
        ("glue_head_mnli", &["--head", &head("glue_head_rte")], "none of the tasks that are measured"),
        (
            "glue_head_mnli",
            &["--head", &head("glue_head_mnli"), "--head", &head("glue_head_mnli")],
            "has a head already",
        ),
        ("glue_head_mnli", &["--head", &head("glue_head_mnli"), "--use-cache", "x"], "cannot be used with"),
    ];
    for (task, flags, says) in cases {
        let refused = flags.iter().fold(world.eval(task), |program, flag| program.arg(*flag)).run();
        assert_eq!(refused.code, Some(2), "{task} {flags:?}: {}", refused.stderr);
        assert!(refused.stderr.contains(says), "{task} {flags:?}: {}", refused.stderr);
    }
}

#[test]
fn an_adapter_with_a_head_stands_beside_the_model() {
    let world = World::new();
    let base = with_tokenizer("gpt_neo", world.dir.path().join("base").as_path());
    let adapter = classifier("gpt_neo").join("adapter");
    let run = |flags: &[&str]| {
        let program = world.eval("glue_head_mnli").arg("-m").arg(&base);
        flags.iter().fold(program, |program, flag| program.arg(*flag)).run()
    };
    let adapter = adapter.display().to_string();
    let beside = run(&["--lora", &adapter]);
    let named = run(&["--head", &format!("glue_head_mnli={adapter}")]);
    let scores = |ran: &super::runner::Outcome| ran.json()["results"]["glue_head_mnli"]["acc,none"].clone();
    assert!(scores(&beside).is_number(), "{}", beside.stderr);
    assert_eq!(scores(&beside), scores(&named));
    let note = beside.json()["notes"]["glue_head_mnli"][0].clone();
    assert!(note.as_str().unwrap().contains("have no names"), "{note}");
}

#[test]
fn texts_beyond_the_context_lose_their_end_and_it_is_said() {
    let world = World::new();
    let rows: String = (0..3)
        .map(|n| format!("{}\n", json!({"premise": "an inn ".repeat(5 + 20 * n), "hypothesis": "he", "label": 0})))
        .collect();
    fs::write(world.path("nyu-mll/glue/mnli/validation_matched.jsonl"), rows).unwrap();
    let said = world.eval("glue_head_mnli").arg("-m").arg(world.path("gpt_neo")).run().json();
    let notes = said["notes"]["glue_head_mnli"].to_string();
    assert!(notes.contains("2 of 3 requests") && notes.contains("lost their end"), "{notes}");
}

#[test]
fn lines_of_a_task_train_a_head_for_it() {
    let Some(data) = shared("eval/arrow") else { return };
    let Some(model) = shared("weights/tinytalk-gptneo-hf") else { return };
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name);
    let lines = Program::new(["eval", "lines", "glue_head_sst2", "--split", "validation", "--limit", "40", "--data"]);
    let written = lines.arg(&data).arg("-o").arg(at("sst2.jsonl")).run();
    assert_eq!(written.code, Some(0), "{}", written.stderr);
    let tune = Program::new(["finetune", "--json", "--no-store", "--epochs", "0.2", "--held-out", "0", "-m"]);
    let tuned = tune.arg(&model).arg(at("sst2.jsonl")).arg("-o").arg(at("run")).run();
    assert_eq!(tuned.code, Some(0), "{}", tuned.stderr);
    let head = tuned.json()["checkpoint"].as_str().unwrap().to_owned();
    let said = Program::new(["eval", "--json", "--offline", "--tasks", "glue_head_sst2", "--limit", "20", "-m", &head]);
    let said = said.arg("--data").arg(&data).run().json();
    assert!(said["results"]["glue_head_sst2"]["acc,none"].is_number());
    assert!(said.get("notes").is_none(), "labels in the data's order need no words: {said}");
}
