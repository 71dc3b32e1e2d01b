//! Programs that a model wrote, run where they can do no harm.
//!
//! What a model writes is nobody's friend: it may delete, send or spy, by accident or because its text was made to. So the program
//! that evaluates starts itself again as a child ([`confined`], first of all in its `main`); the child takes from itself whatever a
//! test does not need and becomes a Python interpreter, which runs the one program and says how it ended:
//!
//! - Landlock (Linux 5.13 and later) lets it read the interpreter with its library, and make plain files in a folder that is thrown
//!   away; nothing else of any disk, `/proc` included. Where the kernel has no Landlock nothing is run.
//! - seccomp leaves the system calls that Python needs to compute: no socket, no other process or thread, no signal to anybody, no change
//!   of owner, mode or time of a file, no limit raised again.
//! - Capabilities are given up, `no_new_privs` is set, the environment is empty, every other open file is closed.
//! - CPU time, memory, the sizes and number of files, open files and wall time are limited ([`CodeLimits`]); the session dies with its
//!   parent, and is killed as a whole.
//!
//! The limit that decides is of CPU time, which a busy machine does not shorten. Whatever goes wrong with the runner itself is an
//! error and no verdict on a program. Held by `crates/gptneo/tests/code/`, which tries to break out.

#[cfg(target_os = "linux")]
mod calls;
#[cfg(target_os = "linux")]
mod child;
#[cfg(not(target_os = "linux"))]
mod elsewhere;
mod error;
#[cfg(target_os = "linux")]
mod files;
#[cfg(target_os = "linux")]
mod interpreter;
mod limits;
#[cfg(target_os = "linux")]
mod process;
#[cfg(target_os = "linux")]
mod python;
#[cfg(target_os = "linux")]
mod report;

#[cfg(target_os = "linux")]
pub use child::confined;
#[cfg(not(target_os = "linux"))]
pub use elsewhere::{PythonRunner, confined};
pub use error::CodeError;
pub use limits::CodeLimits;
#[cfg(target_os = "linux")]
pub use python::PythonRunner;
