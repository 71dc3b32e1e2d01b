//! The Python interpreter, and which files it needs.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::process::{End, run};
use crate::code::CodeError;

/// Asks an interpreter about itself. A constant of ours, which is run as any Python is.
const PROBE: &str = include_str!("probe.py");
/// How long an interpreter may take to tell about itself.
const PATIENCE: Duration = Duration::from_secs(60);

/// An interpreter, as it told of itself.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Interpreter {
    /// The binary, behind links and scripts that choose one.
    pub(super) path: PathBuf,
    pub(super) version: String,
    pub(super) implementation: String,
    /// Folders and files of its library.
    pub(super) readable: Vec<PathBuf>,
    /// Itself, the loader, and what was loaded at the start.
    pub(super) executable: Vec<PathBuf>,
    /// Where its libraries are, if not in the usual places.
    pub(super) library_path: String,
}

impl Interpreter {
    /// Of a path, or of a name on the search path.
    pub(super) fn find(python: &Path) -> Result<Self, CodeError> {
        let failed = |why: String| CodeError::Interpreter { path: python.to_owned(), why };
        let mut command = Command::new(python);
        command.args(["-I", "-S", "-B", "-c", PROBE]).stdin(Stdio::null());
        let ended = run(command, PATIENCE, &mut || false).map_err(|error| failed(error.to_string()))?;
        let said = String::from_utf8_lossy(&ended.said);
        match ended.end {
            End::Itself(status) if status.success() => {}
            End::Itself(status) => return Err(failed(format!("it ended with {status}: {}", last_line(&said)))),
            End::Late | End::Stopped => return Err(failed(format!("it did not answer in {} s", PATIENCE.as_secs()))),
        }
        let found: Self =
            serde_json::from_str(last_line(&said)).map_err(|_| failed("it does not run Python".into()))?;
        if let Some(wide) = found.readable.iter().find(|path| path.parent().is_none()) {
            return Err(failed(format!("its library is in {}, the whole disk", wide.display())));
        }
        Ok(found)
    }
}

/// The last line that says something, cut where it is very long.
pub(super) fn last_line(said: &str) -> &str {
    let line = said.lines().rev().find(|line| !line.trim().is_empty()).unwrap_or("it said nothing");
    line.trim()
}
