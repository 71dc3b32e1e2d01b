//! What an evaluation leaves: its page, its entry in the store of runs, published scores beside its own, and files that can be compared.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::evaluate::World;
use super::runner::{Outcome, Program, gptneo};

/// The file in a folder whose name begins and ends so.
fn file(folder: &Path, begin: &str, end: &str) -> PathBuf {
    let all = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let name = |path: &PathBuf| path.file_name().unwrap().to_string_lossy().into_owned();
    all.into_iter().find(|path| name(path).starts_with(begin) && name(path).ends_with(end)).unwrap()
}

fn words(args: &[&str], paths: &[&Path]) -> Outcome {
    paths.iter().fold(Program::new(args.iter().copied()), |program, path| program.arg(*path)).run()
}

#[test]
fn its_page_can_be_made_again() {
    let world = World::new();
    let out = world.path("out");
    let ran = world.eval("mine").arg("--log-samples").arg("-o").arg(&out).run();
    ran.json();
    let folder = out.join("pocket");
    let page = fs::read_to_string(file(&folder, "report_", ".html")).unwrap();
    assert!(ran.stderr.contains("report_"), "{}", ran.stderr);
    for said in ["Evaluation of <span class=\"name\">pocket</span>", "endings_f1", "nats", "right by acc", "One day, "]
    {
        assert!(page.contains(said), "{said}");
    }
    let results = file(&folder, "results_", ".json");
    let again = world.path("page.html");
    let made = words(&["eval", "report", "-o"], &[&again, &results]);
    assert_eq!(made.code, Some(0), "{}", made.stderr);
    assert_eq!(fs::read_to_string(&again).unwrap(), page);
    assert_eq!(words(&["eval", "report", "-o"], &[&again, &results]).code, Some(3), "the page was replaced");
    let itself = words(&["eval", "report", "--force", "-o"], &[&results, &results]);
    assert_eq!(itself.code, Some(2), "{}", itself.stderr);
    // Without its samples it says so.
    let moved = world.path("results.json");
    fs::copy(&results, &moved).unwrap();
    let bare = words(&["eval", "report", "--force", "-o"], &[&again, &moved]);
    assert!(bare.code == Some(0) && bare.stderr.contains("no samples of"), "{}", bare.stderr);
    assert!(!fs::read_to_string(&again).unwrap().contains("One day, "));
}

#[test]
fn two_evaluations_are_compared() {
    let world = World::new();
    for (name, quant) in [("a", "f32"), ("b", "q4_0")] {
        let program = world.eval("mine").arg("--quant").arg(quant).arg("--log-samples").arg("-o").arg(world.path(name));
        program.run().json();
    }
    let (a, b) = (world.path("a"), world.path("b"));
    let found = words(&["eval", "compare", "--json", "--resamples", "1000"], &[&a, &b]).json();
    let scores = found["scores"].as_array().unwrap();
    assert!(scores.len() >= 9, "{found}");
    let number = |score: &Value, name: &str| score[name].as_f64().unwrap_or_else(|| panic!("{name}: {score}"));
    for score in scores {
        assert_eq!(score["basis"], "paired", "{score}");
        assert_eq!(score["count"], 24);
        let all: f64 = ["wins", "ties", "losses"].iter().map(|name| number(score, name)).sum();
        assert_eq!(all, 24.0);
        // Over all documents the samples make what the results say.
        let close = |a: f64, b: f64| (a - b).abs() < 1e-9 * number(score, "b").abs().max(1.0);
        assert!(close(number(score, "paired_a"), number(score, "a")), "{score}");
        assert!(close(number(score, "difference"), number(score, "b") - number(score, "a")), "{score}");
        assert!((0.0..=1.0).contains(&number(score, "p")));
    }
    assert!(scores.iter().any(|score| score["task"] == "whole" && number(score, "difference") != 0.0));
    assert!(scores.iter().any(|score| score["metric"] == "acc" && score["mcnemar"]["p"].is_number()));
    let same = words(&["eval", "compare", "--json"], &[&a, &a]).json();
    assert!(same["scores"].as_array().unwrap().iter().all(|score| score["p"] == 1.0 && score["ties"] == 24));
    let table = words(&["eval", "compare"], &[&a, &b]);
    assert!(table.text().contains("bits_per_byte") && table.text().contains("the same documents"), "{}", table.text());
    assert_eq!(words(&["eval", "compare"], &[&a, &world.path("nowhere")]).code, Some(3));
}

#[test]
fn it_lands_in_the_store_of_runs() {
    let world = World::new();
    let home = world.path("home");
    let out = world.path("out");
    let with_home = |program: Program| program.env("GPTNEO_HOME", home.as_os_str());
    with_home(world.eval("endings,whole").arg("-c").arg("12").arg("-o").arg(&out)).run().json();
    let listed = with_home(Program::new(["runs", "list", "--json"])).run().json();
    let run = &listed["runs"][0];
    assert_eq!(
        (&run["name"], &run["kind"], &run["state"]),
        (&"eval-pocket".into(), &"eval".into(), &"finished".into())
    );
    assert_eq!(run["data_hash"].as_str().unwrap().len(), 64);
    let shown = with_home(Program::new(["runs", "show", "--json"])).run().json();
    let score = |on: &str, name: &str| {
        let scores = shown["scores"].as_array().unwrap();
        scores.iter().find(|score| score["on"] == on && score["name"] == name).unwrap().clone()
    };
    assert!(score("endings", "acc")["value"].is_number() && score("endings", "acc")["standard_error"].is_number());
    assert!(score("whole", "bits_per_byte")["standard_error"].is_null());
    let settings = &shown["settings"];
    assert_eq!((&settings["model"], &settings["tasks"]), (&"pocket".into(), &"endings,whole".into()));
    assert_eq!(settings["data.endings.sha256"].as_str().unwrap().len(), 64);
    assert!(shown["artifacts"].as_array().unwrap().iter().any(|file| file["name"] == "report"), "{shown}");
    assert!(shown["messages"][0]["body"].as_str().unwrap().contains("context of 12 tokens"), "{shown}");
    let text = with_home(Program::new(["runs", "list"])).run();
    assert!(text.text().contains("endings/acc") && text.text().contains("4 more"), "{}", text.text());
    let page = with_home(Program::new(["runs", "show", "eval-pocket"])).run();
    assert!(page.text().contains("bits_per_byte") && page.text().contains("±"), "{}", page.text());

    with_home(world.eval("endings").arg("--no-store")).run().json();
    with_home(world.eval("endings").arg("--quant").arg("f32")).run().json();
    // A store that is none is said, and the evaluation goes on.
    let bad = world.path("bad.sqlite");
    fs::write(&bad, "x".repeat(5_000)).unwrap();
    let ran = with_home(world.eval("endings").arg("--store").arg(&bad)).run();
    ran.json();
    assert!(ran.stderr.contains("not recorded"), "{}", ran.stderr);
    let listed = with_home(Program::new(["runs", "list", "--json", "--kind", "eval"])).run().json();
    assert_eq!(listed["runs"].as_array().unwrap().len(), 2);
}

#[test]
fn what_is_published_stands_beside() {
    let world = World::new();
    let text = "task: piqa\noutput_type: multiple_choice\ndataset_path: mine/stories\ntest_split: test\n\
                doc_to_text: \"{{opening}}\"\ndoc_to_choice: \"{{endings}}\"\ndoc_to_target: right\nmetric_list: [{metric: acc}]\n";
    fs::write(world.path("piqa.yaml"), text).unwrap();
    let program = |more: &[&str]| {
        let program = world.eval("piqa").arg("--include-path").arg(world.path("piqa.yaml"));
        more.iter().fold(program, |program, arg| program.arg(*arg))
    };
    let said =
        program(&["--published-as", "eleutherai/gpt-neo-125M", "--num-fewshot", "1", "--limit", "9"]).run().json();
    let piqa = &said["published"]["scores"][0];
    assert_eq!((&piqa["printed"], &piqa["published"]), (&"63.06 %".into(), &0.6306.into()));
    assert_eq!(piqa["verdict"], "not_comparable");
    let words = piqa["words"].as_str().unwrap();
    for reason in ["first 9 of 24", "1 examples", "the split is test, and was validation"] {
        assert!(words.contains(reason), "{words}");
    }
    let missing = said["published"]["not_measured"].as_array().unwrap();
    assert!(missing.iter().any(|score| score["task"] == "lambada_openai" && score["printed"] == "30.266"), "{said}");
    assert!(program(&[]).run().json().get("published").is_none());
    let unknown = program(&["--published-as", "somebody/else"]).run();
    assert_eq!(unknown.code, Some(2), "{}", unknown.stderr);
    assert!(unknown.stderr.contains("EleutherAI/gpt-j-6b"), "{}", unknown.stderr);
    let unnamed = program(&["--published"]).run();
    assert_eq!(unnamed.code, Some(2), "{}", unnamed.stderr);
    assert!(unnamed.stderr.contains("--published-as"), "{}", unnamed.stderr);
    let other = gptneo(["eval", "--tasks", "piqa", "--published", "-m", "random:pythia-14m"]);
    assert_eq!(other.code, Some(2), "{}", other.stderr);
}
