//! `gptneo eval` on tasks whose answers are programs.

use std::fs;
use std::path::{Path, PathBuf};

use gptneo_eval::CodeRunner;
use gptneo_eval::code::CodeLimits;
use serde_json::{Value, json};

use super::python;
use super::runner::Program;

/// Problems that any continuation solves, and problems that none does: no model here writes programs.
fn problem(number: usize) -> Value {
    let test = if number.is_multiple_of(2) { "pass" } else { "raise ValueError('no')" };
    // Whatever a model adds stands in a comment, up to the end of the line that stops it.
    json!({
        "task_id": format!("own/{number}"), "prompt": "def one():\n    return 1 # Once upon a time",
        "test": format!("\ndef check(candidate):\n    {test}\n"), "entry_point": "one", "canonical_solution": "",
    })
}

struct World {
    dir: tempfile::TempDir,
}

impl World {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let folder = dir.path().join("own/problems/default");
        fs::create_dir_all(&folder).unwrap();
        let lines: String = (0..8).map(|number| format!("{}\n", problem(number))).collect();
        fs::write(folder.join("test.jsonl"), lines).unwrap();
        let definition = "
task: own
output_type: generate_until
dataset_path: own/problems
test_split: test
doc_to_text: '{{prompt}}'
doc_to_target: '{{test}}'
process_results: !function humaneval
repeats: 3
generation_kwargs: {until: [\"\\n\"], max_gen_toks: 4, do_sample: true, temperature: 1.0}
filter_list: [{name: create_test, filter: []}]
metric_list: [{metric: pass@1}, {metric: pass@2}]
";
        fs::write(dir.path().join("own.yaml"), definition).unwrap();
        Self { dir }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn eval(&self, args: &[&str]) -> Program {
        let program = Program::new(["eval", "--tasks", "own", "--json", "--offline", "--include-path"]);
        let program = program.arg(self.path("own.yaml")).arg("--data").arg(self.dir.path());
        args.iter().fold(program, |program, arg| program.arg(*arg))
    }

    fn samples(folder: &Path) -> Vec<Value> {
        let mut files = fs::read_dir(folder.join("pocket")).unwrap().map(|entry| entry.unwrap().path());
        let path = files.find(|path| path.to_string_lossy().contains("samples_own")).unwrap();
        fs::read_to_string(path).unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }
}

#[test]
fn programs_are_run_where_that_is_allowed_and_never_else() {
    let Some(runner) = python(CodeLimits::default()) else { return };
    let interpreter = runner.described()["interpreter"].as_str().unwrap().to_owned();
    let world = World::new();
    let (cache, out, later) = (world.path("cache.jsonl"), world.path("out"), world.path("later"));
    let kept =
        |program: Program, out: &Path| program.arg("--use-cache").arg(&cache).arg("--log-samples").arg("-o").arg(out);

    let ran = kept(world.eval(&[]), &out).run();
    let said = ran.json();
    let row = said["results"]["own"].as_object().unwrap();
    assert!(row.keys().all(|name| !name.contains("pass")) && !row.contains_key("judged_by"), "{row:?}");
    assert_eq!(row["sample_count"], json!({}));
    let note = said["notes"]["own"][0].as_str().unwrap();
    assert!(note.contains("--allow-code-execution") && ran.stderr.contains(note), "{note}");
    let answered = World::samples(&out);
    assert_eq!(answered.len(), 8);
    assert!(answered.iter().all(|sample| sample["filtered_resps"].as_array().unwrap().len() == 3), "{answered:?}");
    assert!(answered.iter().all(|sample| sample["metrics"] == json!([])), "{answered:?}");

    // The model is not asked again: its answers are those of before.
    let answers = fs::read(&cache).unwrap();
    let said = kept(world.eval(&["--allow-code-execution", "--python", &interpreter]), &later).run().json();
    assert_eq!(fs::read(&cache).unwrap(), answers);
    let row = &said["results"]["own"];
    assert_eq!((&row["pass@1,create_test"], &row["pass@2,create_test"]), (&json!(0.5), &json!(0.5)));
    // Of eight problems, half of them solved: the deviation of a coin over the root of seven.
    let error = row["pass@1_stderr,create_test"].as_f64().unwrap();
    assert!((error - (0.25f64 / 7.0).sqrt()).abs() < 1e-12, "{error}");
    assert_eq!(row["sample_count"], json!({"pass@1,create_test": 8, "pass@2,create_test": 8}));
    assert_eq!(row["judged_by"]["code"]["cpu_seconds"], 3);
    assert!(said.get("notes").is_none(), "{}", said["notes"]);
    for (number, (before, after)) in answered.iter().zip(World::samples(&later)).enumerate() {
        assert_eq!(before["resps"], after["resps"]);
        let wanted = if number % 2 == 0 { "passed" } else { "failed: ValueError: no" };
        assert_eq!(after["programs"], json!([wanted, wanted, wanted]));
    }
}

#[test]
fn answers_that_nobody_keeps_are_not_asked_for() {
    let world = World::new();
    let ran = world.eval(&[]).run();
    assert_eq!(ran.code, Some(2), "{}", ran.stderr);
    assert!(ran.stderr.contains("--allow-code-execution") && ran.stderr.contains("--log-samples"), "{}", ran.stderr);
}
