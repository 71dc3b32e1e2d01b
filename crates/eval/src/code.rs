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

// Where system calls can be filtered; elsewhere nothing is run.
#[cfg(not(all(target_os = "linux", any(target_arch = "x86_64", target_arch = "aarch64", target_arch = "riscv64"))))]
mod elsewhere;
mod error;
mod limits;
#[cfg(all(target_os = "linux", any(target_arch = "x86_64", target_arch = "aarch64", target_arch = "riscv64")))]
mod linux;

#[cfg(not(all(
    target_os = "linux",
    any(target_arch = "x86_64", target_arch = "aarch64", target_arch = "riscv64")
)))]
pub use elsewhere::{PythonRunner, confined};
pub use error::CodeError;
pub use limits::CodeLimits;
#[cfg(all(target_os = "linux", any(target_arch = "x86_64", target_arch = "aarch64", target_arch = "riscv64")))]
pub use linux::{PythonRunner, confined};
