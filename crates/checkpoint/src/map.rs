//! The one place where a file is mapped.

use std::fs::File;
use std::io;

use memmap2::{Mmap, MmapOptions};

/// Maps `len` bytes of `file` at `offset`, which need not be a multiple of the page size. `len` is not zero.
///
/// Whoever shortens the file while the map lives makes the process fault on the next read of the missing pages; the
/// length is compared with that of opening just before (`Checkpoint::bytes`), which is as much as a reader can do
/// without copying. Weights are replaced by renaming a new file over the old one, and that leaves the map intact.
#[allow(unsafe_code, reason = "mapping a file is unsafe by nature: no signature can promise that nobody writes to it")]
pub(crate) fn map(file: &File, offset: u64, len: usize) -> io::Result<Mmap> {
    // SAFETY: the map is read-only and private to this process's reading; the caller has checked that the range lies
    // inside the file. Bytes are only ever read as integers and floats, for which every bit pattern is valid, so a
    // concurrent writer can change numbers but not break an invariant of a type.
    unsafe { MmapOptions::new().offset(offset).len(len).map(file) }
}
