//! The confined interpreter: a parent that starts it, a child that confines itself and becomes it, and what it reports.

mod calls;
mod child;
mod files;
mod interpreter;
mod process;
mod python;
mod report;

pub use child::confined;
pub use python::PythonRunner;

/// Bytes of one file.
const FILE_BYTES: u64 = 4 << 20;
/// Bytes of all files in the folder that is thrown away.
const FOLDER_BYTES: u64 = 64 << 20;
/// Files in it.
const FOLDER_FILES: usize = 1000;
/// Open files.
const OPEN_FILES: u64 = 64;
/// Bytes of stack.
const STACK_BYTES: u64 = 8 << 20;
