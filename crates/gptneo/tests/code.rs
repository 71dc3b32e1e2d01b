//! Programs that a model wrote: what a confined program can do, what it may use, and the scores of tasks that run programs.
//!
//! Needs Linux with Landlock and a `python3`; without one the tests skip aloud.

#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, clippy::print_stderr, reason = "helpers of tests fail as tests do")]

#[path = "code/escapes.rs"]
mod escapes;
#[path = "code/limits.rs"]
mod limits;
#[path = "code/orphans.rs"]
mod orphans;
#[path = "code/problems.rs"]
mod problems;
#[path = "code/refusals.rs"]
mod refusals;
mod runner;
#[path = "code/tasks.rs"]
mod tasks;

use std::path::Path;
use std::sync::OnceLock;

use gptneo_eval::code::{CodeError, CodeLimits, PythonRunner};
use gptneo_eval::{CodeRunner, Ran};

/// The program that confines itself.
const LAUNCHER: &str = env!("CARGO_BIN_EXE_gptneo");

/// A runner, or a loud word that there is none.
fn python(limits: CodeLimits) -> Option<PythonRunner> {
    static THERE: OnceLock<Option<PythonRunner>> = OnceLock::new();
    let there = THERE.get_or_init(|| match PythonRunner::new(Path::new(LAUNCHER), Path::new("python3"), limits) {
        Ok(runner) => Some(runner),
        Err(error @ (CodeError::Interpreter { .. } | CodeError::Confinement { .. })) => {
            // A python3 that is there and cannot be run is a fault, as is a kernel with Landlock that does not confine.
            let interpreter = std::process::Command::new("python3").arg("--version").output().is_ok();
            let landlock = std::fs::read_to_string("/sys/kernel/security/lsm").map(|lsm| lsm.contains("landlock"));
            let missing = matches!(error, CodeError::Confinement { .. }) && error.to_string().contains("Landlock");
            assert!(!interpreter || missing && !landlock.unwrap_or(false), "{error}");
            None
        }
        Err(error) => panic!("{error}"),
    });
    if there.is_none() {
        eprintln!("SKIPPED: no program can be run here, so this test has shown nothing");
    }
    there.clone().map(|runner| runner.within(limits))
}

/// How a program ends under the limits that a user has.
fn ran(program: &str) -> Option<Ran> {
    Some(python(CodeLimits::default())?.run(program).unwrap())
}

/// A program that finds every attempt refused comes to its end.
fn held(program: &str) {
    let Some(ran) = ran(program) else { return };
    assert_eq!(ran, Ran::Passed, "{program}");
}

/// Why a program fails.
fn fails(program: &str, limits: CodeLimits, says: &str) {
    let Some(mut runner) = python(limits) else { return };
    match runner.run(program).unwrap() {
        Ran::Failed(why) if why.contains(says) => {}
        other => panic!("{program}\n{other:?}, wanted a failure with {says:?}"),
    }
}
