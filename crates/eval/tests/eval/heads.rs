//! Classification heads: the definitions, the lines to fine-tune on, and the benchmarks' own averages.

use std::path::{Path, PathBuf};

use gptneo_eval::data::Library;
use gptneo_eval::{Catalog, Options, requests, training_lines};
use serde_json::{Value, json};

use crate::shared;

/// A folder with one split of a set, as `--data` finds it.
fn folder(set: &str, rows: &[Value]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let place = folder.path().join(set);
    std::fs::create_dir_all(place.parent().unwrap()).unwrap();
    std::fs::write(place, rows.iter().map(|row| format!("{row}\n")).collect::<String>()).unwrap();
    folder
}

fn library(folder: &Path) -> Library<'static> {
    Library { folders: vec![folder.to_owned()], ..Library::default() }
}

fn lines(task: &str, folder: &Path) -> Vec<Value> {
    let task = Catalog::shipped().unwrap().task(task).unwrap();
    training_lines(task, &library(folder), &Options::default()).unwrap()
}

#[test]
fn lines_to_fine_tune_on_are_what_is_measured() {
    let row = json!({"sentence1": "It rains.", "sentence2": "It is wet.", "label": 0, "idx": 0});
    let data = folder("nyu-mll/glue/rte/validation.jsonl", &[row]);
    let wanted = json!({"text": "It rains.", "text_pair": "It is wet.", "label": "entailment"});
    assert_eq!(lines("glue_head_rte", data.path()), [wanted]);
    let chosen = Catalog::shipped().unwrap().choose(&["glue_head_rte".to_owned()]).unwrap();
    let (_, asked) = requests(chosen, &library(data.path()), &Options::default()).unwrap().remove(0);
    assert_eq!(asked, [[json!(["It rains.", "It is wet."])]]);

    let row = json!({"sentence1": "A", "sentence2": "B", "label": 3.8, "idx": 0});
    let data = folder("nyu-mll/glue/stsb/validation.jsonl", &[row]);
    assert_eq!(lines("glue_head_stsb", data.path()), [json!({"text": "A", "text_pair": "B", "label": 3.8})]);
}

#[test]
fn candidates_are_lines_of_their_own() {
    let row = json!({"premise": "The vase broke.", "choice1": "It fell.", "choice2": "It was blue.", "question": "cause",
        "label": 0, "idx": 0});
    let data = folder("aps/super_glue/copa/validation.jsonl", &[row]);
    let line = |pair: &str, label: &str| json!({"text": "The vase broke. What was the cause?", "text_pair": pair, "label": label});
    let places = [line("It fell.", "True"), line("It was blue.", "False")];
    // The shipped definition looks under `eval/arrow` first, which is not here.
    assert_eq!(lines("superglue_head_copa", data.path()), places);

    let row = json!({"passage": "One met Two.\n@highlight\nTwo left", "query": "@placeholder left", "entities": ["Two", "One"],
        "answers": ["Two"], "idx": {"passage": 0, "query": 0}});
    let data = folder("aps/super_glue/record/validation.jsonl", &[row]);
    let found: Vec<Value> = lines("superglue_head_record", data.path())
        .iter()
        .map(|line| json!([line["text_pair"], line["label"]]))
        .collect();
    assert_eq!(found, [json!(["  - One left", "False"]), json!(["  - Two left", "True"])]);
}

#[test]
fn pronouns_and_words_are_shown() {
    let row = json!({"text": "Ann told Sue that she won .", "span1_text": "Ann", "span2_text": "she", "span1_index": 0,
        "span2_index": 4, "label": true});
    let data = folder("aps/super_glue/wsc.fixed/validation.jsonl", &[row]);
    let wanted = json!({"text": "Ann told Sue that *she* won.", "text_pair": "Ann", "label": "True"});
    assert_eq!(lines("superglue_head_wsc", data.path()), [wanted]);
    let row = json!({"word": "feel", "sentence1": "You feel it.", "sentence2": "She felt.", "label": false});
    let data = folder("aps/super_glue/wic/validation.jsonl", &[row]);
    let wanted = json!({"text": "feel: You feel it.", "text_pair": "She felt.", "label": "False"});
    assert_eq!(lines("superglue_head_wic", data.path()), [wanted]);
}

#[test]
fn only_classifications_have_lines() {
    let task = Catalog::shipped().unwrap().task("sst2").unwrap();
    let error = training_lines(task, &Library::default(), &Options::default()).unwrap_err().to_string();
    assert!(error.contains("it asks for multiple_choice"), "{error}");
}

#[test]
fn sets_that_are_here_are_read() {
    let Some(shared) = shared() else { return };
    for (task, count) in [
        ("glue_head_sst2", 872),
        ("glue_head_mrpc", 408),
        ("glue_head_rte", 277),
        ("glue_head_cola", 1043),
        ("superglue_head_cb", 56),
        ("superglue_head_copa", 200),
        ("superglue_head_boolq", 3270),
    ] {
        assert_eq!(lines(task, &shared).len(), count, "{task}");
    }
}

fn broken(definition: &str) -> String {
    let folder = tempfile::tempdir().unwrap();
    let path: PathBuf = folder.path().join("mine.yaml");
    let head = "task: mine\noutput_type: classification\ntest_split: test\nlocal: {test: [{files: x.jsonl}]}\ndoc_to_target: label\n";
    std::fs::write(&path, format!("{head}{definition}\n")).unwrap();
    let mut catalog = Catalog::shipped().unwrap();
    catalog.include(&path).unwrap();
    catalog.task("mine").unwrap_err().to_string()
}

#[test]
fn definitions_that_make_no_sense_are_refused() {
    for (definition, says) in [
        ("doc_to_choice: [a, b]", "`doc_to_text` is missing"),
        ("doc_to_text: text\ndoc_to_choice: [a]", "two or more"),
        ("doc_to_text: text\ndoc_to_choice: [a, a]", "two or more"),
        ("doc_to_text: text\ndoc_to_choice: '{{names}}'", "two or more"),
        ("doc_to_text: text\ndoc_to_choice: [a, b]\nnum_fewshot: 2", "`num_fewshot` has no meaning"),
        ("doc_to_text: text\ndoc_to_choice: [a, b]\ndescription: Now.", "`description` has no meaning"),
    ] {
        let error = broken(definition);
        assert!(error.contains(says), "{definition}: {error}");
    }
}
