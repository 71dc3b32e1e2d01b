//! The published solutions of HumanEval and MBPP pass, and wrong ones do not.

use std::process::{Command, Stdio};

use gptneo_eval::code::CodeLimits;
use gptneo_eval::data::{Dataset, Library, Limits, Place};
use gptneo_eval::{CodeRunner, Document, Ran};

use super::python;
use super::runner::shared;

fn rows(place: &str) -> Option<Vec<Document>> {
    let folder = shared("eval")?;
    let mut dataset = Dataset::default();
    dataset.local.insert("test".to_owned(), vec![Place::new(place)]);
    let library = Library { folders: vec![folder], hub: None, limits: Limits::default() };
    Some(library.open(&dataset, "test").unwrap().rows)
}

fn text<'a>(row: &'a Document, name: &str) -> &'a str {
    row[name].as_str().unwrap()
}

/// A HumanEval program with this body.
fn program(row: &Document, body: &str) -> String {
    format!("{}{body}\n{}\ncheck({})", text(row, "prompt"), text(row, "test"), text(row, "entry_point"))
}

fn human_eval(every: usize) {
    let (Some(rows), Some(mut runner)) = (rows("humaneval/data/HumanEval.jsonl.gz"), python(CodeLimits::default()))
    else {
        return;
    };
    assert_eq!(rows.len(), 164);
    for (at, row) in rows.iter().enumerate().step_by(every) {
        let ran = runner.run(&program(row, text(row, "canonical_solution"))).unwrap();
        assert_eq!(ran, Ran::Passed, "HumanEval/{at}");
        let wrong = runner.run(&program(row, "    return 'no'\n")).unwrap();
        assert!(matches!(wrong, Ran::Failed(_)), "HumanEval/{at} takes any answer");
    }
}

#[test]
fn solutions_of_human_eval_pass() {
    human_eval(8);
}

#[test]
#[ignore = "328 programs take half a minute"]
fn every_solution_of_human_eval_passes() {
    human_eval(1);
}

#[test]
fn the_published_example_of_human_eval_has_its_score() {
    let place = |name: &str| format!("humaneval/data/{name}.jsonl");
    let (Some(problem), Some(samples)) = (rows(&place("example_problem")), rows(&place("example_samples"))) else {
        return;
    };
    // By its README pass@1 is 0.5. One of its programs sleeps for ten seconds, and would pass then.
    let Some(mut runner) = python(CodeLimits { wall_seconds: 5, ..CodeLimits::default() }) else { return };
    let ran: Vec<Ran> =
        samples.iter().map(|sample| runner.run(&program(&problem[0], text(sample, "completion"))).unwrap()).collect();
    let passed = ran.iter().filter(|ran| **ran == Ran::Passed).count();
    assert_eq!((ran.len(), passed), (6, 3), "{ran:?}");
}

fn mbpp(every: usize) {
    let (Some(rows), Some(mut runner)) = (rows("mbpp/data/mbpp.jsonl"), python(CodeLimits::default())) else { return };
    assert_eq!(rows.len(), 974);
    for row in rows.iter().step_by(every) {
        let tests: Vec<&str> = row["test_list"].as_array().unwrap().iter().map(|test| test.as_str().unwrap()).collect();
        let setup = text(row, "test_setup_code");
        let program = format!("{}\n{setup}\n{}", text(row, "code"), tests.join("\n"));
        let ran = runner.run(&program).unwrap();
        if ran != Ran::Passed {
            // The one problem whose solution wants a package.
            let same = plainly(&program);
            assert_eq!(same, Some(false), "{}: {ran:?}", row["task_id"]);
            eprintln!("MBPP {}: {ran:?}, and not without confinement either", row["task_id"]);
        }
    }
}

/// Whether a published solution passes where nothing confines it.
fn plainly(program: &str) -> Option<bool> {
    let mut child = Command::new("python3");
    child.args(["-I", "-S", "-B", "-c", program]).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    child.status().ok().map(|status| status.success())
}

#[test]
fn solutions_of_mbpp_pass() {
    mbpp(49);
}

#[test]
#[ignore = "974 programs take a minute"]
fn every_solution_of_mbpp_passes() {
    mbpp(1);
}
