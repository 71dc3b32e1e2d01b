//! Runs the real binary as a user does: its own process, a clean environment, no network, a clock.

#![allow(dead_code, reason = "each test binary uses a part")]

use std::ffi::OsString;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;
use std::thread;
use std::time::{Duration, Instant};

/// Longer than any test may take; a process that is still there then is killed and counts as hung.
const PATIENCE: Duration = Duration::from_secs(60);

/// What a process did.
#[derive(Debug)]
pub(crate) struct Outcome {
    /// `None` if a signal ended it.
    pub(crate) code: Option<i32>,
    pub(crate) stdout: Vec<u8>,
    pub(crate) stderr: String,
    pub(crate) took: Duration,
}

impl Outcome {
    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.stdout).unwrap()
    }

    pub(crate) fn json(&self) -> serde_json::Value {
        assert_eq!(self.code, Some(0), "{}", self.stderr);
        serde_json::from_slice(&self.stdout)
            .unwrap_or_else(|e| panic!("{e}: {}", String::from_utf8_lossy(&self.stdout)))
    }
}

/// A command line about to be run.
#[derive(Clone, Debug, Default)]
pub(crate) struct Program {
    pub(crate) args: Vec<OsString>,
    pub(crate) stdin: Vec<u8>,
    pub(crate) env: Vec<(String, OsString)>,
}

impl Program {
    pub(crate) fn new<I: IntoIterator<Item = A>, A: Into<OsString>>(args: I) -> Self {
        Self { args: args.into_iter().map(Into::into).collect(), ..Self::default() }
    }

    pub(crate) fn arg(mut self, arg: impl Into<OsString>) -> Self {
        self.args.push(arg.into());
        self
    }

    pub(crate) fn args<A: Into<OsString>>(self, args: impl IntoIterator<Item = A>) -> Self {
        args.into_iter().fold(self, Self::arg)
    }

    pub(crate) fn stdin(mut self, bytes: impl Into<Vec<u8>>) -> Self {
        self.stdin = bytes.into();
        self
    }

    pub(crate) fn env(mut self, name: &str, value: impl Into<OsString>) -> Self {
        self.env.push((name.to_owned(), value.into()));
        self
    }

    /// The process, not yet started: nothing of this environment reaches it but what a test names.
    pub(crate) fn command(&self) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_gptneo"));
        command
            .args(&self.args)
            .env_clear()
            .env("HOME", home())
            .env("HF_HUB_OFFLINE", "1")
            .env("GPTNEO_THREADS", "1")
            .envs(self.env.iter().cloned())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }

    pub(crate) fn run(&self) -> Outcome {
        let begun = Instant::now();
        let mut child = self.command().spawn().unwrap();
        let (mut stdin, input) = (child.stdin.take().unwrap(), self.stdin.clone());
        // A program that reads nothing closes the pipe: no fault of the writer.
        let feed = thread::spawn(move || drop(stdin.write_all(&input)));
        let stdout = drain(child.stdout.take().unwrap());
        let stderr = drain(child.stderr.take().unwrap());
        let status = loop {
            if let Some(status) = child.try_wait().unwrap() {
                break status;
            }
            if begun.elapsed() > PATIENCE {
                child.kill().unwrap();
            }
            thread::sleep(Duration::from_millis(2));
        };
        let took = begun.elapsed();
        feed.join().unwrap();
        let stderr = String::from_utf8_lossy(&stderr.join().unwrap()).into_owned();
        Outcome { code: status.code(), stdout: stdout.join().unwrap(), stderr, took }
    }
}

fn drain(mut pipe: impl Read + Send + 'static) -> thread::JoinHandle<Vec<u8>> {
    thread::spawn(move || {
        let mut bytes = Vec::new();
        pipe.read_to_end(&mut bytes).unwrap();
        bytes
    })
}

/// A home that no test shares with the person who runs it.
fn home() -> &'static Path {
    static HOME: OnceLock<tempfile::TempDir> = OnceLock::new();
    HOME.get_or_init(|| tempfile::tempdir().unwrap()).path()
}

/// Runs a command line.
pub(crate) fn gptneo<I: IntoIterator<Item = A>, A: Into<OsString>>(args: I) -> Outcome {
    Program::new(args).run()
}

/// A committed golden model.
pub(crate) fn golden(variant: &str) -> PathBuf {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/golden").join(variant);
    path.canonicalize().unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

/// A committed classifier.
pub(crate) fn classifier(name: &str) -> PathBuf {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/classifiers").join(name);
    path.canonicalize().unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

/// A committed adapter, for the golden model of its family.
pub(crate) fn adapter(name: &str) -> PathBuf {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/adapters").join(name);
    path.canonicalize().unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

/// Copies the files of a directory, not its folders.
pub(crate) fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        if entry.path().is_dir() {
            continue;
        }
        // Written anew, so that the copy can be changed whatever the rights of the original are.
        std::fs::write(to.join(entry.file_name()), std::fs::read(entry.path()).unwrap()).unwrap();
    }
}

/// Gives a golden model (112 ids, the last of which ends a text) a tokenizer: printable ASCII, space, line break, and
/// a few joined pairs.
pub(crate) fn add_tokenizer(dir: &Path) {
    let mut tokens: Vec<String> = (0x21u8..=0x7e).map(|b| char::from(b).to_string()).collect();
    tokens.extend(["Ġ", "Ċ", "th", "he", "in", "an", "Ġa", "Ġt"].map(str::to_owned));
    let mut vocab: serde_json::Map<String, serde_json::Value> =
        tokens.iter().enumerate().map(|(id, token)| (token.clone(), id.into())).collect();
    vocab.insert("<|endoftext|>".to_owned(), 111.into());
    std::fs::write(dir.join("vocab.json"), serde_json::to_vec(&vocab).unwrap()).unwrap();
    std::fs::write(dir.join("merges.txt"), "#version: 0.2\nt h\nh e\ni n\na n\nĠ a\nĠ t\n").unwrap();
}

/// A copy of a golden model, with a tokenizer.
pub(crate) fn with_tokenizer(variant: &str, to: &Path) -> PathBuf {
    let dir = to.join(variant);
    copy(&golden(variant), &dir);
    add_tokenizer(&dir);
    dir
}

/// Data that does not belong to the project, or a loud word that it is missing.
pub(crate) fn shared(path: &str) -> Option<PathBuf> {
    let full = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data").join(path);
    if full.exists() {
        return Some(full);
    }
    eprintln!("SKIPPED: {} is not here, so this test has shown nothing", full.display());
    None
}
