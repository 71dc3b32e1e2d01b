//! Tasks of the field, measured as a run goes.

use std::fs;
use std::process::Command;

use serde_json::Value;

use super::runner::Program;
use super::{World, wait_for_lines};

const TASK: &str = "output_type: multiple_choice\ndataset_path: json\ndataset_kwargs: {data_files: {test: hens.test.jsonl}}\n\
    test_split: test\ndoc_to_text: \"{{opening}}\"\ndoc_to_choice: [\"eggs\", \"the hen\"]\ndoc_to_target: right\n\
    metric_list: [{metric: acc}, {metric: f1}]\nvariants:\n  hens_eggs: {}\n  hens_told:\n    output_type: generate_until\n\
    \x20   doc_to_choice: null\n    doc_to_target: opening\n    generation_kwargs: {do_sample: true, max_gen_toks: 4}\n\
    \x20   metric_list: [{metric: exact_match}]\n";

/// Beside the recipe a definition of two tasks, and their documents.
fn world() -> World {
    let world = World::new();
    let line = |i: usize| format!("{{\"opening\": \"the {} hen laid {}\", \"right\": {}}}\n", i % 7, i % 5, i % 2);
    fs::write(world.output("hens.test.jsonl"), (0..12).map(line).collect::<String>()).unwrap();
    fs::write(world.output("tasks.yaml"), TASK).unwrap();
    world
}

/// The run with tasks.
fn measured(world: &World, name: &str, more: &[&str]) -> Program {
    let include = format!("eval.include={:?}", world.output("tasks.yaml"));
    let set =
        [&["eval.tasks=[\"hens_eggs\", \"hens_told\"]", "eval.every=7", "eval.at_start=true", &include], more].concat();
    set.iter().fold(world.program(name), |program, set| program.arg("--set").arg(*set))
}

/// Lines of the log of one kind.
fn lines(world: &World, name: &str, event: &str) -> Vec<Value> {
    let log = fs::read_to_string(world.output(name).join("log.jsonl")).unwrap();
    let all = log.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    all.filter(|line| line["event"] == event).collect()
}

#[test]
fn tasks_are_told_and_change_no_weight() {
    let world = world();
    assert_eq!(world.program("plain").run().code, Some(0));
    let home = world.output("home");
    let report = measured(&world, "run", &[]).arg("--json").env("GPTNEO_HOME", home.as_os_str()).run().json();
    let ((log, weights, moments), plain) = (world.result("run"), world.result("plain"));
    assert_eq!((weights, moments), (plain.1, plain.2), "measuring changes nothing");
    let without: String =
        log.lines().filter(|line| !line.contains("\"event\":\"eval\"")).map(|l| l.to_owned() + "\n").collect();
    assert_eq!(without, plain.0);

    let told = lines(&world, "run", "eval");
    let steps: Vec<u64> = told.iter().map(|line| line["step"].as_u64().unwrap()).collect();
    assert_eq!(steps, [0, 7, 14, 21, 28, 35, 42, 49, 56, 60]);
    let last = &told[9]["scores"]["hens_eggs/acc"];
    assert_eq!(last["count"], 12);
    let acc = last["value"].as_f64().unwrap();
    assert!((last["error"].as_f64().unwrap() - (acc * (1.0 - acc) / 11.0).sqrt()).abs() < 1e-9, "{last}");
    assert_eq!(report["eval"]["hens_eggs/acc"].as_f64(), Some(acc));

    // The same by `gptneo eval` on the checkpoint.
    let said = Program::new(["eval", "--json", "--offline", "--tasks", "hens_eggs", "-m"])
        .arg(world.output("run").join("checkpoints/step-00000060"))
        .arg("--include-path")
        .arg(world.output("tasks.yaml"))
        .run()
        .json();
    assert_eq!(said["results"]["hens_eggs"]["acc,none"].as_f64(), Some(acc));

    let shown = Program::new(["runs", "show", "hens", "--json"]).env("GPTNEO_HOME", home.as_os_str()).run().json();
    let metric =
        |name: &str| shown["metrics"].as_array().unwrap().iter().find(|metric| metric["name"] == name).cloned();
    for name in ["eval/hens_eggs/acc", "eval/hens_eggs/f1", "eval/hens_told/exact_match", "held_out/loss"] {
        assert!(metric(name).is_some(), "{name}: {shown}");
    }
}

#[cfg(unix)]
#[test]
fn a_run_that_goes_on_measures_everything_once() {
    let world = world();
    assert_eq!(measured(&world, "whole", &[]).run().code, Some(0));
    let go_on = |name: &str| {
        let mut command = measured(&world, name, &[]).arg("--resume").arg("auto").command();
        command.stdin(std::process::Stdio::null()).stdout(std::process::Stdio::null()).spawn().unwrap()
    };
    // Asked to stop; killed; and killed before the first checkpoint.
    for (signal, after) in [("TERM", 20), ("TERM", 9), ("KILL", 30), ("KILL", 2)] {
        let name = format!("{signal}-{after}");
        let mut child = go_on(&name);
        wait_for_lines(&world.output(&name).join("log.jsonl"), after);
        assert!(Command::new("kill").args(["-s", signal, &child.id().to_string()]).status().unwrap().success());
        assert_ne!(child.wait().unwrap().code(), Some(0), "{name} was over before it was stopped");
        assert_eq!(go_on(&name).wait().unwrap().code(), Some(0), "{name}");
        assert_eq!(world.result(&name), world.result("whole"), "{name}");
    }
    // How a run is looked at may change.
    fs::remove_dir_all(world.output("whole").join("checkpoints/step-00000060")).unwrap();
    let other = measured(&world, "whole", &["eval.every=0", "eval.limit=3"]).arg("--resume").arg("auto").run();
    assert_eq!(other.code, Some(0), "{}", other.stderr);
    assert_eq!(lines(&world, "whole", "eval").len(), 9, "without the last");
}

#[test]
fn what_cannot_be_measured_is_told_before_the_first_step() {
    let world = world();
    fs::write(world.output("bad.yaml"), TASK.replace("hens.test.jsonl", "gone.jsonl").replace("hens_", "lost_"))
        .unwrap();
    let include = format!("eval.include={:?}", world.output("bad.yaml"));
    for (more, code, says) in [
        (&["eval.tasks=hens_egg"][..], 2, "near are hens_eggs"),
        (&["eval.tasks=lost_eggs", &include], 3, "gone.jsonl"),
        (&["eval.tasks=glue_head_sst2"], 2, "the model is a language model"),
        (&["eval.tasks=[]"], 4, "need `eval.tasks`"),
        (&["eval.task=hens_eggs"], 4, "eval.tasks"),
    ] {
        let refused = measured(&world, "refused", more).run();
        assert_eq!(refused.code, Some(code), "{more:?}: {}", refused.stderr);
        assert!(refused.stderr.contains(says), "{more:?}: {}", refused.stderr);
        assert!(!world.output("refused").join("log.jsonl").exists(), "{more:?}: the run has begun");
    }
}
