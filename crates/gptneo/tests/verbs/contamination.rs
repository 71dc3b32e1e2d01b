//! `eval --decontaminate` and `eval contamination`: which documents stand in the shards, and scores without them.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::runner::{Program, shared};

const TASK: &str = "
task: tales
output_type: multiple_choice
dataset_path: mine/tales
test_split: test
doc_to_text: \"{{opening}}\"
doc_to_choice: \"{{endings}}\"
doc_to_target: right
metric_list: [{metric: acc}, {metric: mcc}]
";

/// No thirteen words in a row are without its number.
fn opening(number: usize) -> String {
    format!("On day {number}, Lily saw a big ball and a small cat-{number} by the tree. Lily was very")
}

/// A task of 20 documents, and shards in which every fourth stands.
fn world(dir: &Path) -> (PathBuf, PathBuf) {
    let folder = dir.join("mine/tales/default");
    fs::create_dir_all(&folder).unwrap();
    let document = |number: usize| json!({"opening": opening(number), "endings": ["happy and smiled.", "of the because."], "right": number % 3 / 2});
    let lines: String = (0..20).map(|number| format!("{}\n", document(number))).collect();
    fs::write(folder.join("test.jsonl"), lines).unwrap();
    let definition = dir.join("tales.yaml");
    fs::write(&definition, TASK).unwrap();
    let text = |number: usize| match number % 4 {
        0 => format!("They said: {}!", opening(number).to_uppercase()),
        _ => format!("Nothing of number {number} stands here, but only what is of no use to anybody at all."),
    };
    let lines: String = (0..20).map(|number| format!("{}\n", json!({"text": text(number)}))).collect();
    fs::write(dir.join("corpus.jsonl"), lines).unwrap();
    let shards = dir.join("shards");
    let program =
        Program::new(["data", "tokenize", "-m", "pocket", "--shard-tokens", "100"]).arg(dir.join("corpus.jsonl"));
    assert_eq!(program.arg("-o").arg(&shards).run().code, Some(0));
    (definition, shards)
}

#[test]
fn scores_are_given_again_without_what_stands_in_the_shards() {
    let dir = tempfile::tempdir().unwrap();
    let (definition, shards) = world(dir.path());
    let out = dir.path().join("out");
    let eval = || {
        let program = Program::new(["eval", "--tasks", "tales", "--offline", "--bootstrap-iters", "200"]);
        program.arg("--include-path").arg(&definition).arg("--data").arg(dir.path())
    };
    let decontaminated = || eval().arg("--decontaminate").arg(&shards);
    let said = decontaminated().arg("--json").arg("--log-samples").arg("-o").arg(&out).run().json();
    let found = &said["results"]["tales"];
    assert_eq!(found["contamination"]["documents"], 20);
    assert_eq!(found["contamination"]["contaminated"], 5);
    assert_eq!(found["contamination"]["share"], 0.25);
    assert_eq!(said["contamination"]["ngram_words"], 13);
    assert_eq!(said["contamination"]["shards"][0]["documents"], 20);
    assert!(said["contamination"]["text_bytes_per_s"].as_f64().unwrap() > 0.0);

    let path = fs::read_dir(out.join("pocket")).unwrap().map(|entry| entry.unwrap().path());
    let path = path.into_iter().find(|path| path.to_string_lossy().contains("samples_")).unwrap();
    let samples: Vec<Value> =
        fs::read_to_string(path).unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let mut clean = Vec::new();
    for sample in &samples {
        let number = sample["doc_id"].as_u64().unwrap();
        assert_eq!(sample["contaminated"], number % 4 == 0, "{sample}");
        if number % 4 == 0 {
            assert_eq!(sample["contamination"]["source"], format!("corpus.jsonl:{}", number + 1));
            assert!(sample["contamination"]["shard"].as_str().unwrap().starts_with("train-0000"));
        } else {
            assert!(sample.get("contamination").is_none());
            clean.push(sample["acc"].as_f64().unwrap());
        }
    }
    let mean = clean.iter().sum::<f64>() / 15.0;
    let variance = clean.iter().map(|acc| (acc - mean).powi(2)).sum::<f64>() / 14.0;
    let close = |name: &str, wanted: f64| {
        let value = found["clean"][name].as_f64().unwrap();
        assert!((value - wanted).abs() < 1e-12, "{name}: {value} {wanted}");
    };
    close("acc,none", mean);
    close("acc_stderr,none", (variance / 15.0).sqrt());
    assert_eq!(found["clean"]["sample_count"], json!({"acc,none": 15, "mcc,none": 15}));
    assert!(found["clean"]["mcc_stderr,none"].is_number());

    let table = decontaminated().run();
    assert!(table.text().contains("acc (clean)") && table.text().contains("5 of 20 documents"), "{}", table.text());
    // What was asked before stays as it was.
    let mut without = eval().arg("--json").run().json();
    assert!(without.get("contamination").is_none() && without["results"]["tales"].get("clean").is_none());
    without["results"]["tales"]["clean"] = found["clean"].clone();
    without["results"]["tales"]["contamination"] = found["contamination"].clone();
    assert_eq!(without["results"], said["results"]);
}

#[test]
fn a_task_that_stands_there_whole_has_no_clean_score() {
    let dir = tempfile::tempdir().unwrap();
    let (definition, shards) = world(dir.path());
    let program = Program::new(["eval", "--tasks", "tales", "--offline", "--json", "--limit", "1"]);
    let program = program.arg("--include-path").arg(&definition).arg("--data").arg(dir.path());
    let said = program.arg("--decontaminate").arg(&shards).run().json();
    assert_eq!(said["results"]["tales"]["clean"], json!({"sample_count": {}}));
    assert!(said["notes"]["tales"][0].as_str().unwrap().contains("no clean score"), "{said}");
}

#[test]
fn counts_need_no_model() {
    let dir = tempfile::tempdir().unwrap();
    let (definition, shards) = world(dir.path());
    let look = || {
        let program = Program::new(["eval", "contamination", "--tasks", "tales", "--offline", "-m", "pocket"]);
        program.arg("--include-path").arg(&definition).arg("--data").arg(dir.path()).arg(&shards)
    };
    let said = look().arg("--json").run().json();
    let task = &said["tasks"]["tales"];
    let listed = task["contaminated_documents"].as_array().unwrap();
    let ids: Vec<u64> = listed.iter().map(|document| document["doc_id"].as_u64().unwrap()).collect();
    assert_eq!(ids, [0, 4, 8, 12, 16]);
    assert_eq!(listed[1]["ngram"], "on day 4 lily saw a big ball and a small cat4 by");
    assert_eq!((&listed[1]["in_documents"], &listed[1]["source"]), (&json!(1), &json!("corpus.jsonl:5")));
    assert!(look().run().text().contains("25.0 %"));
}

#[test]
fn wikitext_stands_in_its_own_test_split() {
    let (Some(texts), Some(tokenizer)) = (shared("corpus/wikitext-2"), shared("tokenizer/gpt2")) else { return };
    let dir = tempfile::tempdir().unwrap();
    let data = texts.parent().unwrap().parent().unwrap().to_owned();
    let contaminated = |text: &str| {
        let shards = dir.path().join(text);
        let made =
            Program::new(["data", "tokenize", "-m"]).arg(&tokenizer).arg(texts.join(text)).arg("-o").arg(&shards);
        assert_eq!(made.run().code, Some(0));
        let program = Program::new(["eval", "contamination", "--tasks", "wikitext", "--offline", "--json", "-m"]);
        let said = program.arg(&tokenizer).arg("--data").arg(&data).arg(&shards).run().json();
        let task = &said["tasks"]["wikitext"];
        assert_eq!(task["documents"], 62);
        let listed = task["contaminated_documents"].as_array().unwrap();
        listed.iter().map(|document| document["doc_id"].as_u64().unwrap()).collect::<Vec<_>>()
    };
    assert_eq!(contaminated("test.txt"), (0..62).collect::<Vec<_>>());
    // By sets of strings in Python: both share thirteen times `<unk>` in a row with the validation split.
    assert_eq!(contaminated("valid.txt"), [11, 13]);
}
