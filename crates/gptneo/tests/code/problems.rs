//! The published solutions of HumanEval and MBPP pass, and wrong ones do not.

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
#[ignore = "half a minute: .ci/run --full runs it"]
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
    // Problem 123 takes about three seconds of a slow machine.
    let (Some(rows), Some(mut runner)) = (rows("mbpp/data/mbpp.jsonl"), python(CodeLimits::of_seconds(30))) else {
        return;
    };
    assert_eq!(rows.len(), 974);
    for row in rows.iter().step_by(every) {
        let tests: Vec<&str> = row["test_list"].as_array().unwrap().iter().map(|test| test.as_str().unwrap()).collect();
        let program = format!("{}\n{}\n{}", text(row, "code"), text(row, "test_setup_code"), tests.join("\n"));
        assert_eq!(runner.run(&program).unwrap(), Ran::Passed, "{}", row["task_id"]);
        let wrong = format!("{program}\nassert False");
        assert!(matches!(runner.run(&wrong).unwrap(), Ran::Failed(_)), "{}", row["task_id"]);
    }
}

#[test]
fn solutions_of_mbpp_pass() {
    mbpp(49);
}

#[test]
#[ignore = "a minute: .ci/run --full runs it"]
fn every_solution_of_mbpp_passes() {
    mbpp(1);
}
