//! Wrong files, flags and prompts: each has its exit code and its message, none panics, and none takes long.
//!
//! Exit codes: 2 usage, 3 I/O, 4 bad file, 5 would not fit in memory.

#![allow(clippy::unwrap_used, clippy::print_stderr, reason = "helpers of tests fail as tests do")]

#[path = "bad_input/adapters.rs"]
mod adapters;
#[path = "bad_input/configs.rs"]
mod configs;
#[path = "bad_input/evaluations.rs"]
mod evaluations;
#[path = "bad_input/flags.rs"]
mod flags;
#[path = "bad_input/forms.rs"]
mod forms;
#[path = "bad_input/ggufs.rs"]
mod ggufs;
#[path = "bad_input/places.rs"]
mod places;
#[path = "bad_input/prompts.rs"]
mod prompts;
mod runner;
#[path = "bad_input/tokenizers.rs"]
mod tokenizers;
#[path = "bad_input/weights.rs"]
mod weights;

use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::thread;
use std::time::Duration;

use runner::Program;

/// The longest that a refusal may take.
const LIMIT: Duration = Duration::from_secs(5);

/// One wrong command line.
struct Case {
    name: String,
    program: Program,
    code: i32,
    /// What its message must contain.
    says: &'static str,
}

/// The table as it grows, and the models it changes.
struct Table {
    dir: tempfile::TempDir,
    cases: Vec<Case>,
}

impl Table {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        runner::with_tokenizer("gpt_neo", dir.path());
        runner::with_tokenizer("gpt2", dir.path());
        Self { dir, cases: Vec::new() }
    }

    /// A good model of GPT-Neo, with a tokenizer; 112 ids, 64 positions.
    fn model(&self) -> PathBuf {
        self.dir.path().join("gpt_neo")
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn write(&self, name: &str, bytes: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path(name);
        std::fs::write(&path, bytes).unwrap();
        path
    }

    /// A copy of the good model, changed.
    fn changed(&self, name: &str, change: impl FnOnce(&Path)) -> PathBuf {
        let dir = self.path(name);
        runner::copy(&self.model(), &dir);
        change(&dir);
        dir
    }

    fn add(&mut self, name: impl Into<String>, program: Program, code: i32, says: &'static str) {
        self.cases.push(Case { name: name.into(), program, code, says });
    }
}

/// Runs the case; what is wrong with the outcome.
fn check(case: &Case) -> Result<(), String> {
    let outcome = case.program.run();
    let mut wrong = Vec::new();
    if outcome.code != Some(case.code) {
        wrong.push(format!("exit code {:?}, wanted {}", outcome.code, case.code));
    }
    if !outcome.stderr.contains(case.says) {
        wrong.push(format!("does not say `{}`", case.says));
    }
    if outcome.stderr.contains("panicked at") || outcome.stderr.contains("RUST_BACKTRACE") {
        wrong.push("panicked".to_owned());
    }
    if outcome.took > LIMIT {
        wrong.push(format!("took {:?}", outcome.took));
    }
    if !outcome.stdout.is_empty() {
        wrong.push("wrote to standard output".to_owned());
    }
    if wrong.is_empty() {
        return Ok(());
    }
    Err(format!("{}: {}\n  {:?}\n  {}", case.name, wrong.join("; "), case.program.args, outcome.stderr.trim_end()))
}

#[test]
fn every_wrong_input_has_its_message_and_its_code() {
    let mut table = Table::new();
    flags::add(&mut table);
    places::add(&mut table);
    prompts::add(&mut table);
    forms::add(&mut table);
    configs::add(&mut table);
    weights::add(&mut table);
    ggufs::add(&mut table);
    tokenizers::add(&mut table);
    adapters::add(&mut table);
    evaluations::add(&mut table);

    let total = table.cases.len();
    assert!(total >= 150, "the table has {total} cases, and promises 150");
    let next = Mutex::new(table.cases.iter());
    let faults = Mutex::new(Vec::new());
    thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                while let Some(case) = { next.lock().unwrap().next() } {
                    if let Err(fault) = check(case) {
                        faults.lock().unwrap().push(fault);
                    }
                }
            });
        }
    });
    let faults = faults.into_inner().unwrap();
    assert!(faults.is_empty(), "{} of {total} went wrong:\n{}", faults.len(), faults.join("\n"));
}
