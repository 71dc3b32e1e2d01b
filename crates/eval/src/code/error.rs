//! Why programs cannot be run at all.

use std::path::PathBuf;

/// What is wrong with the runner, never with a program.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CodeError {
    /// Not on this system.
    #[error("programs are run on Linux alone, where they can be confined: make the answers here, and run them there")]
    Unsupported,
    /// No Python.
    #[error("`{}` is no Python interpreter that can be used: {why}", path.display())]
    Interpreter {
        /// What was named.
        path: PathBuf,
        /// What happened.
        why: String,
    },
    /// The kernel, or what watches over it, does not let a program be confined as it must.
    #[error("programs cannot be confined here, so none is run: {why}")]
    Confinement {
        /// What was refused.
        why: String,
    },
    /// A process or a file of the runner's own.
    #[error("{what}: {why}")]
    System {
        /// What was tried.
        what: &'static str,
        /// What the system says.
        why: String,
    },
}
