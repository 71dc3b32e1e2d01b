//! The child that confines itself and becomes the interpreter.

use std::ffi::OsString;
use std::io::{self, Write};
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Command, ExitCode};

use rustix::fs::Mode;
use rustix::process::{
    Pid, Resource, Rlimit, Signal, getppid, getrlimit, set_parent_process_death_signal, setrlimit, setsid, umask,
};
use rustix::thread::{CapabilitySet, CapabilitySets, set_capabilities, set_no_new_privs};
use serde::{Deserialize, Serialize};

use super::interpreter::Interpreter;
use super::{FILE_BYTES, OPEN_FILES, STACK_BYTES, calls, files};

/// The first argument of a child. Nobody types it.
pub(super) const ARGUMENT: &str = "__run-python-confined";
/// Runs the program on standard input, and reports.
const DRIVER: &str = include_str!("driver.py");
/// What a child exits with that has not become the interpreter.
const REFUSED: u8 = 125;

/// What a child is told.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Order {
    /// What reports begin with.
    pub(super) token: String,
    /// Who must be alive.
    pub(super) parent: i32,
    pub(super) interpreter: Interpreter,
    /// Where it may write.
    pub(super) folder: PathBuf,
    pub(super) cpu_seconds: u64,
    pub(super) memory_bytes: u64,
}

/// Confines this process and makes it the interpreter, if it was started for that; to be called first of all in `main`.
///
/// `None` is for every other process. An exit code comes back where the child could not be confined.
pub fn confined(mut args: impl Iterator<Item = OsString>) -> Option<ExitCode> {
    if args.nth(1)? != ARGUMENT {
        return None;
    }
    let order = args.next().and_then(|order| order.into_string().ok());
    let Some(order) = order.and_then(|order| serde_json::from_str::<Order>(&order).ok()) else {
        return Some(ExitCode::from(REFUSED));
    };
    let why = match confine(&order) {
        Ok(by) => {
            tell(&order.token, "confined", &by);
            become_interpreter(&order)
        }
        Err(why) => why,
    };
    tell(&order.token, "refused", &why);
    Some(ExitCode::from(REFUSED))
}

/// A report to the parent, which reads it from this process's output. Where it has left there is nobody to tell.
fn tell(token: &str, word: &str, rest: &str) {
    let line = format!("\n{token} {word} {}\n", rest.replace('\n', " "));
    let _ = io::stdout().lock().write_all(line.as_bytes());
    let _ = io::stdout().lock().flush();
}

/// Gives up all that a program does not need. Says by what it is held.
fn confine(order: &Order) -> Result<String, String> {
    let refused = |what: &'static str| move |error: rustix::io::Errno| format!("{what}: {error}");
    setsid().map_err(refused("a session of its own"))?;
    set_parent_process_death_signal(Some(Signal::KILL)).map_err(refused("to die with the parent"))?;
    // It may have died before that.
    if getppid().map(Pid::as_raw_nonzero).map(i32::from) != Some(order.parent) {
        return Err("the parent has left".to_owned());
    }
    umask(Mode::RWXG | Mode::RWXO);
    for (resource, soft, hard) in [
        // A signal at the first, which may be ignored, and the end at the second.
        (Resource::Cpu, order.cpu_seconds, order.cpu_seconds.saturating_add(1)),
        (Resource::As, order.memory_bytes, order.memory_bytes),
        (Resource::Fsize, FILE_BYTES, FILE_BYTES),
        (Resource::Nofile, OPEN_FILES, OPEN_FILES),
        (Resource::Stack, STACK_BYTES, STACK_BYTES),
        (Resource::Nproc, 0, 0),
        (Resource::Core, 0, 0),
        (Resource::Memlock, 0, 0),
    ] {
        // Where it is lower already, it stays so.
        let most = getrlimit(resource).maximum.unwrap_or(u64::MAX);
        let limit = Rlimit { current: Some(soft.min(most)), maximum: Some(hard.min(most)) };
        setrlimit(resource, limit).map_err(refused("a limit"))?;
    }
    let none = CapabilitySet::empty();
    set_capabilities(None, CapabilitySets { effective: none, permitted: none, inheritable: none })
        .map_err(refused("to give up capabilities"))?;
    set_no_new_privs(true).map_err(refused("to gain no privileges"))?;
    let by = files::confine(&order.interpreter, &order.folder)?;
    calls::confine()?;
    Ok(format!("{by}, seccomp"))
}

/// Says why it could not be.
fn become_interpreter(order: &Order) -> String {
    let Interpreter { path, library_path, .. } = &order.interpreter;
    let mut command = Command::new(path);
    // Texts are hashed the same in every run, so that a program that goes through a set does the same in every run.
    command.args(["-s", "-S", "-B", "-c", DRIVER]).env_clear();
    command.envs([("PYTHONHASHSEED", "0"), ("PYTHONSAFEPATH", "1"), ("PYTHONUTF8", "1")]);
    if !library_path.is_empty() {
        command.env("LD_LIBRARY_PATH", library_path);
    }
    format!("{} cannot be started: {}", path.display(), command.exec())
}
