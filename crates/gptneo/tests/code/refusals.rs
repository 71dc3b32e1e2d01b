//! A runner that cannot run is an error, and no verdict.

use std::path::Path;

use gptneo_eval::CodeRunner;
use gptneo_eval::code::{CodeLimits, PythonRunner};

use super::{LAUNCHER, python};

fn refused(launcher: &str, interpreter: &str, says: &str) {
    match PythonRunner::new(Path::new(launcher), Path::new(interpreter), CodeLimits::default()) {
        Err(error) if error.to_string().contains(says) => {}
        other => panic!("{launcher} {interpreter}: {other:?}, wanted an error with {says:?}"),
    }
}

#[test]
fn without_an_interpreter_there_is_no_runner() {
    refused(LAUNCHER, "./nowhere/python3", "no Python interpreter");
    refused(LAUNCHER, "/bin/false", "exit status");
    refused(LAUNCHER, "/bin/true", "does not run Python");
    refused(LAUNCHER, "/bin/echo", "does not run Python");
}

#[test]
fn a_launcher_that_does_not_confine_is_none() {
    if python(CodeLimits::default()).is_none() {
        return;
    }
    for launcher in ["/bin/true", "/bin/cat", "/bin/echo", "/usr/bin/env"] {
        refused(launcher, "python3", "before it ran the program");
    }
    refused("./nowhere", "python3", "cannot be run");
}

#[test]
fn a_child_without_its_orders_says_nothing() {
    for order in [None, Some("{}"), Some("hello")] {
        let child = std::process::Command::new(LAUNCHER).arg("__run-python-confined").args(order).output().unwrap();
        assert_eq!((child.status.code(), child.stdout.len()), (Some(125), 0), "{order:?}");
    }
}

#[test]
fn what_confines_is_said() {
    let Some(runner) = python(CodeLimits::default()) else { return };
    let said = runner.described();
    assert_eq!(
        (&said["language"], &said["cpu_seconds"], &said["wall_seconds"]),
        (&"python".into(), &3.into(), &30.into())
    );
    let by = said["confined_by"].as_str().unwrap();
    assert!(by.starts_with("Landlock ") && by.ends_with("seccomp"), "{by}");
}
