//! Runs Python programs, each in a child of its own.

use std::collections::hash_map::RandomState;
use std::fs;
use std::hash::{BuildHasher, Hasher};
use std::io::{Seek, SeekFrom, Write};
use std::os::unix::fs::MetadataExt;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};
use std::time::Duration;

use rustix::process::Signal;
use serde_json::{Value, json};

use super::child::{ARGUMENT, Order};
use super::interpreter::Interpreter;
use super::process::{End, run};
use super::report::{Report, Said};
use super::{FOLDER_BYTES, FOLDER_FILES};
use crate::code::{CodeError, CodeLimits};
use crate::judges::{CodeRunner, Ran};

/// Runs Python programs, confined.
#[derive(Clone, Debug)]
pub struct PythonRunner {
    launcher: PathBuf,
    interpreter: Interpreter,
    limits: CodeLimits,
    /// What the kernel held a program by.
    confinement: String,
}

impl PythonRunner {
    /// With a program whose `main` begins with [`super::confined`], as `launcher`, and an interpreter by its path or by a name on the
    /// search path. Two programs are run, of which one must pass and the other fail.
    ///
    /// # Errors
    /// No interpreter, or no confinement.
    pub fn new(launcher: &Path, python: &Path, limits: CodeLimits) -> Result<Self, CodeError> {
        let interpreter = Interpreter::find(python)?;
        let mut runner =
            Self { launcher: launcher.to_owned(), interpreter, limits, confinement: "nothing yet".to_owned() };
        for (program, wanted) in [("assert 1 + 1 == 2\n", true), ("assert 1 + 1 == 3\n", false)] {
            let (ran, confinement) = runner.ran(program)?;
            if (ran == Ran::Passed) != wanted {
                let why = format!("of {program:?} it says {ran:?}");
                return Err(CodeError::Interpreter { path: python.to_owned(), why });
            }
            runner.confinement = confinement;
        }
        Ok(runner)
    }

    /// The same with other limits.
    pub fn within(self, limits: CodeLimits) -> Self {
        Self { limits, ..self }
    }

    /// How a program ended, and by what it was held.
    fn ran(&self, program: &str) -> Result<(Ran, String), CodeError> {
        let system =
            |what: &'static str| move |error: std::io::Error| CodeError::System { what, why: error.to_string() };
        let folder = tempfile::tempdir().map_err(system("a folder to be thrown away cannot be made"))?;
        let token = token();
        let order = Order {
            token: token.clone(),
            parent: std::process::id() as i32,
            interpreter: self.interpreter.clone(),
            folder: folder.path().to_owned(),
            cpu_seconds: self.limits.cpu_seconds,
            memory_bytes: self.limits.memory_bytes,
        };
        let order = serde_json::to_string(&order).map_err(|error| CodeError::Confinement { why: error.to_string() })?;
        let unwritten = system("a program cannot be kept for its interpreter");
        let mut input = tempfile::tempfile().map_err(&unwritten)?;
        input.write_all(format!("{token}\n{program}").as_bytes()).map_err(&unwritten)?;
        input.seek(SeekFrom::Start(0)).map_err(&unwritten)?;
        let mut command = Command::new(&self.launcher);
        command.arg(ARGUMENT).arg(order).current_dir(folder.path()).stdin(input);
        let ended = run(command, Duration::from_secs(self.limits.wall_seconds), &mut || overfull(folder.path()))
            .map_err(system("a child for a program cannot be run"))?;
        folder.close().map_err(system("a folder cannot be thrown away"))?;
        match Report::read(&ended.said, &token) {
            Report::Refused(why) => Err(CodeError::Confinement { why }),
            Report::NotStarted(why) => {
                let how = match ended.end {
                    End::Itself(status) => format!("with {status}"),
                    End::Late => format!("after {} s", self.limits.wall_seconds),
                    End::Stopped => "too full a folder".to_owned(),
                };
                let why = format!("confined, it ended before it ran the program, {how}: {why}");
                Err(CodeError::Interpreter { path: self.interpreter.path.clone(), why })
            }
            Report::Started { confinement, said } => {
                let ran = match said {
                    Some(Said::Passed) => Ran::Passed,
                    Some(Said::Failed(why)) => Ran::Failed(why),
                    None => Ran::Failed(self.untold(&ended.end)),
                };
                Ok((ran, confinement))
            }
        }
    }

    /// Why a program came to no end of its own.
    fn untold(&self, end: &End) -> String {
        let CodeLimits { cpu_seconds, wall_seconds, .. } = self.limits;
        match end {
            End::Late => format!("more than {wall_seconds} s by the clock"),
            End::Stopped => format!("more than {} MiB or {FOLDER_FILES} files written", FOLDER_BYTES >> 20),
            End::Itself(status) if is(status, Signal::XCPU) => format!("more than {cpu_seconds} s of CPU time"),
            End::Itself(status) if is(status, Signal::KILL) => {
                format!("killed by the system: more than {cpu_seconds} s of CPU time, or no memory left")
            }
            End::Itself(status) => format!("ended within itself, with {status}"),
        }
    }
}

impl CodeRunner for PythonRunner {
    fn described(&self) -> Value {
        json!({
            "language": "python",
            "implementation": self.interpreter.implementation,
            "version": self.interpreter.version,
            "interpreter": self.interpreter.path,
            "cpu_seconds": self.limits.cpu_seconds,
            "wall_seconds": self.limits.wall_seconds,
            "memory_bytes": self.limits.memory_bytes,
            "confined_by": self.confinement,
        })
    }

    fn run(&mut self, program: &str) -> Result<Ran, String> {
        self.ran(program).map(|(ran, _)| ran).map_err(|error| error.to_string())
    }
}

fn is(status: &ExitStatus, signal: Signal) -> bool {
    status.signal() == Some(signal.as_raw())
}

/// What no program says by accident.
fn token() -> String {
    let part = || RandomState::new().build_hasher().finish();
    format!("{:016x}{:016x}", part(), part())
}

/// Whether more lies in a folder than may.
fn overfull(folder: &Path) -> bool {
    let Ok(entries) = fs::read_dir(folder) else { return false };
    let mut bytes = 0;
    for (count, entry) in entries.flatten().enumerate() {
        // Whole blocks, as the disk counts: holes are free.
        bytes += entry.metadata().map_or(0, |about| about.blocks() * 512);
        if count >= FOLDER_FILES || bytes > FOLDER_BYTES {
            return true;
        }
    }
    false
}
