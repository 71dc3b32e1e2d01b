//! Where there is no Landlock, nothing is run.

use std::ffi::OsString;
use std::path::Path;
use std::process::ExitCode;

use serde_json::Value;

use super::{CodeError, CodeLimits};
use crate::judges::{CodeRunner, Ran};

/// Does nothing here.
pub fn confined(_: impl Iterator<Item = OsString>) -> Option<ExitCode> {
    None
}

/// Runs Python programs, on Linux.
#[derive(Clone, Debug)]
pub struct PythonRunner(std::convert::Infallible);

impl PythonRunner {
    /// Refuses.
    ///
    /// # Errors
    /// Always [`CodeError::Unsupported`].
    pub fn new(_: &Path, _: &Path, _: CodeLimits) -> Result<Self, CodeError> {
        Err(CodeError::Unsupported)
    }

    /// The same with other limits.
    pub fn within(self, _: CodeLimits) -> Self {
        self
    }
}

impl CodeRunner for PythonRunner {
    fn described(&self) -> Value {
        match self.0 {}
    }

    fn run(&mut self, _: &str) -> Result<Ran, String> {
        match self.0 {}
    }
}
