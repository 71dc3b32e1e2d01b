//! A program does not outlive the process that runs it.

use std::fs;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use gptneo_eval::CodeRunner;
use gptneo_eval::code::CodeLimits;

use super::python;

/// Runs for long, in a process that the test below starts and kills.
#[test]
#[ignore = "the test of orphans runs it"]
fn a_long_program() {
    let limits = CodeLimits { cpu_seconds: 60, wall_seconds: 60, memory_bytes: 1 << 30 };
    let Some(mut runner) = python(limits) else { return };
    let ran = runner.run("import time\ntime.sleep(1000)");
    panic!("it was to be killed, and has {ran:?}");
}

/// The processes whose parent this is, that have become an interpreter with a program in it.
fn children(parent: u32) -> Vec<u32> {
    let number = |entry: fs::DirEntry| entry.file_name().to_str()?.parse::<u32>().ok();
    let own = |pid: &u32| {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        let mut fields = stat.rsplit(')').next().unwrap_or_default().split_whitespace();
        let command = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        let sleeps = fields.next() == Some("S");
        sleeps && fields.next() == Some(&parent.to_string()) && command.windows(12).any(|part| part == b"<program>\", ")
    };
    fs::read_dir("/proc").unwrap().flatten().filter_map(number).filter(own).collect()
}

#[test]
fn a_program_dies_with_its_parent() {
    if python(CodeLimits::default()).is_none() {
        return;
    }
    // Killed as it is, it leaves the program's folder behind.
    let folder = tempfile::tempdir().unwrap();
    let mut parent = Command::new(std::env::current_exe().unwrap())
        .args(["--ignored", "--exact", "orphans::a_long_program"])
        .env("TMPDIR", folder.path())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let began = Instant::now();
    let patience = Duration::from_secs(50);
    let pid = loop {
        if let Some(pid) = children(parent.id()).first() {
            break *pid;
        }
        assert!(began.elapsed() < patience && parent.try_wait().unwrap().is_none(), "no program was started");
        std::thread::sleep(Duration::from_millis(10));
    };
    parent.kill().unwrap();
    parent.wait().unwrap();
    // Gone, or dead and waiting for somebody to take note.
    let alive = || {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        stat.rsplit(')').next().is_some_and(|rest| !rest.trim().is_empty() && !rest.trim().starts_with('Z'))
    };
    while alive() {
        assert!(began.elapsed() < patience, "{pid} lives on");
        std::thread::sleep(Duration::from_millis(10));
    }
}
