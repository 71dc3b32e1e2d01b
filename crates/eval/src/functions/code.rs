//! Answers that are programs: put together with their tests, run, and counted.
//!
//! Of `n` answers to a problem, `c` of which pass, the chance that one of `k` would pass is estimated without bias as
//! `1 - C(n - c, k) / C(n, k)` (Chen et al., 2021, equation 1). The score is the mean over problems, and its standard error is over
//! problems too.

use serde_json::Value;

use super::{ResultsFunction, Scores, text};
use crate::aggregate::Measure;
use crate::answer::Answer;
use crate::document::Document;
use crate::judges::{Judge, Judges, Ran};

pub(super) const NAMES: &[(&str, ResultsFunction)] = &[
    ("humaneval", ResultsFunction::Judged(&[Judge::Code], humaneval)),
    ("mbpp", ResultsFunction::Judged(&[Judge::Code], mbpp)),
];

/// For which `k` there are scores, where there are as many answers.
const PASSES: [(usize, &str); 12] = [
    (1, "pass@1"),
    (2, "pass@2"),
    (4, "pass@4"),
    (5, "pass@5"),
    (8, "pass@8"),
    (10, "pass@10"),
    (16, "pass@16"),
    (20, "pass@20"),
    (32, "pass@32"),
    (50, "pass@50"),
    (64, "pass@64"),
    (100, "pass@100"),
];

/// Whether a score counts passes, and needs as many answers as its name says.
pub(crate) fn answers_wanted(score: &str) -> Option<Result<usize, String>> {
    let wanted = score.strip_prefix("pass@")?;
    let known = PASSES.iter().find(|(_, name)| *name == score).map(|(count, _)| *count);
    Some(known.ok_or_else(|| {
        let names: Vec<&str> = PASSES.iter().map(|(_, name)| *name).collect();
        format!("`pass@{wanted}` is not known; known are {}", names.join(", "))
    }))
}

/// HumanEval: what was asked, the answer, and a check of the function by its name.
fn humaneval(document: &Document, answers: &[Answer], judges: &mut Judges<'_>) -> Scores {
    let (prompt, test) = (text(document, "prompt")?, text(document, "test")?);
    let tests = format!("{test}\ncheck({})", text(document, "entry_point")?);
    let (passed, remarks) = run(prompt, &tests, answers, judges)?;
    let mut scores: Vec<_> = PASSES
        .into_iter()
        .filter(|(k, _)| *k <= answers.len())
        .map(|(k, name)| (name, Measure::Number(pass_at(k, answers.len(), passed))))
        .collect();
    scores.push(("programs", Measure::Remarks(remarks)));
    Ok(scores)
}

/// MBPP: the answer, and the three assertions that the prompt told.
fn mbpp(document: &Document, answers: &[Answer], judges: &mut Judges<'_>) -> Scores {
    let tests = document.get("test_list").and_then(Value::as_array).ok_or("there is no list `test_list`")?;
    let tests: Vec<&str> = tests.iter().filter_map(Value::as_str).take(3).collect();
    if tests.len() < 3 {
        return Err(format!("`test_list` has {} tests, and 3 are wanted", tests.len()));
    }
    let answer = answers.get(..1).ok_or("a text is wanted here")?;
    let (passed, remarks) = run("", &tests.join("\n"), answer, judges)?;
    Ok(vec![("pass_at_1", Measure::Number(passed as f64)), ("programs", Measure::Remarks(remarks))])
}

/// How many answers pass, and what became of each.
fn run(before: &str, tests: &str, answers: &[Answer], judges: &mut Judges<'_>) -> Result<(usize, Vec<String>), String> {
    let runner = judges.code.as_mut().ok_or("there is nobody to run programs")?;
    let mut passed = 0;
    let mut remarks = Vec::with_capacity(answers.len());
    for answer in answers {
        let answer = answer.text().ok_or("a text is wanted here")?;
        match runner.run(&format!("{before}{answer}\n{tests}"))? {
            Ran::Passed => {
                passed += 1;
                remarks.push("passed".to_owned());
            }
            Ran::Failed(why) => remarks.push(format!("failed: {why}")),
        }
    }
    Ok((passed, remarks))
}

/// The estimate, as a product that does not overflow: `1 - prod((n - c - i) / (n - i), i < k)`.
fn pass_at(k: usize, answers: usize, passed: usize) -> f64 {
    let failed = answers - passed;
    1.0 - (0..k).map(|i| failed.saturating_sub(i) as f64 / (answers - i) as f64).product::<f64>()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Of every choice of `k` of the answers, whether it holds one that passes.
    fn counted(k: usize, answers: usize, passed: usize) -> f64 {
        let choices: Vec<u32> = (0..1u32 << answers).filter(|set| set.count_ones() as usize == k).collect();
        let holding = choices.iter().filter(|set| *set & ((1 << passed) - 1) != 0).count();
        holding as f64 / choices.len() as f64
    }

    #[test]
    fn the_estimate_is_what_counting_gives() {
        for answers in 1..=10 {
            for passed in 0..=answers {
                for k in 1..=answers {
                    let (found, wanted) = (pass_at(k, answers, passed), counted(k, answers, passed));
                    assert!((found - wanted).abs() < 1e-12, "{k} of {answers}, {passed}: {found} {wanted}");
                }
            }
        }
    }

    #[test]
    fn many_answers_do_not_overflow() {
        assert_eq!(pass_at(100, 200, 0), 0.0);
        assert_eq!(pass_at(100, 200, 101), 1.0);
        // 1 - C(199, 100) / C(200, 100) = 1 - 100 / 200.
        assert!((pass_at(100, 200, 1) - 0.5).abs() < 1e-12);
    }

    struct Says(&'static [bool]);

    impl crate::judges::CodeRunner for Says {
        fn described(&self) -> Value {
            Value::Null
        }

        fn run(&mut self, program: &str) -> Result<Ran, String> {
            assert_eq!(program, "def one():\n    return 1\ndef check(f):\n    assert f() == 1\n\ncheck(one)");
            let (first, rest) = self.0.split_first().ok_or("no more")?;
            self.0 = rest;
            Ok(if *first { Ran::Passed } else { Ran::Failed("AssertionError".to_owned()) })
        }
    }

    #[test]
    fn answers_are_put_together_and_counted() {
        let document = serde_json::json!({
            "prompt": "def one():\n", "test": "def check(f):\n    assert f() == 1\n", "entry_point": "one",
        });
        let answers = vec![Answer::Text("    return 1".to_owned()); 2];
        let mut judges = Judges { code: Some(Box::new(Says(&[false, true]))), ..Judges::default() };
        let found = humaneval(document.as_object().unwrap(), &answers, &mut judges).unwrap();
        let remarks = Measure::Remarks(vec!["failed: AssertionError".to_owned(), "passed".to_owned()]);
        assert_eq!(found, [("pass@1", Measure::Number(0.5)), ("pass@2", Measure::Number(1.0)), ("programs", remarks)]);
        // A runner that cannot run is no failed program.
        assert_eq!(humaneval(document.as_object().unwrap(), &answers, &mut judges), Err("no more".to_owned()));
    }
}
