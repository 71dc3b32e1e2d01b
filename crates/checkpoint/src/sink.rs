//! The file a writer streams into: a temporary beside its destination, renamed when every tensor is complete.

use std::ffi::OsString;
use std::fs::{self, File, OpenOptions};
use std::io::{self, BufWriter, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use crate::error::{CheckpointError, Fault};

/// The bytes of one tensor in the file.
#[derive(Debug)]
pub(crate) struct Slot {
    pub(crate) name: String,
    pub(crate) bytes: u64,
    /// Zeros after it, up to where the next one starts.
    pub(crate) padding: u64,
}

/// A file that grows tensor by tensor.
#[derive(Debug)]
pub(crate) struct Sink {
    path: PathBuf,
    // Closed before the temporary is removed: fields drop in this order.
    file: BufWriter<File>,
    temporary: Temporary,
    slots: Vec<Slot>,
    /// The slot at hand, and the bytes it has.
    current: usize,
    filled: u64,
}

impl Sink {
    pub(crate) fn create(path: &Path, slots: Vec<Slot>) -> Result<Self, CheckpointError> {
        let (temporary, file) = Temporary::beside(path).map_err(CheckpointError::io(path, "create a file beside"))?;
        let file = BufWriter::with_capacity(1 << 18, file);
        Ok(Self { path: path.to_owned(), temporary, file, slots, current: 0, filled: 0 })
    }

    /// Writes what stands before the first tensor.
    pub(crate) fn header(&mut self, bytes: &[u8]) -> Result<(), CheckpointError> {
        self.file.write_all(bytes).map_err(CheckpointError::io(&self.path, "write"))
    }

    pub(crate) fn write(&mut self, chunk: &[u8]) -> Result<(), CheckpointError> {
        if chunk.is_empty() {
            return Ok(());
        }
        self.pass_complete_slots()?;
        let Some(slot) = self.slots.get(self.current) else {
            let fault = Fault::structure("tensors", "no bytes after the last", format_args!("{} more", chunk.len()));
            return Err(CheckpointError::bad(&self.path)(fault));
        };
        let filled = self.filled + chunk.len() as u64;
        if filled > slot.bytes {
            let fault =
                Fault::tensor(&slot.name, format_args!("{} bytes", slot.bytes), format_args!("{filled} or more"));
            return Err(CheckpointError::bad(&self.path)(fault));
        }
        self.file.write_all(chunk).map_err(CheckpointError::io(&self.path, "write"))?;
        self.filled = filled;
        Ok(())
    }

    pub(crate) fn finish(mut self) -> Result<(), CheckpointError> {
        self.pass_complete_slots()?;
        if let Some(slot) = self.slots.get(self.current) {
            let fault = Fault::tensor(&slot.name, format_args!("{} bytes", slot.bytes), self.filled);
            return Err(CheckpointError::bad(&self.path)(fault));
        }
        let Self { path, temporary, file, .. } = self;
        let file = file.into_inner().map_err(|error| CheckpointError::io(&path, "write")(error.into_error()))?;
        file.sync_all().map_err(CheckpointError::io(&path, "flush"))?;
        drop(file);
        temporary.rename(&path).map_err(CheckpointError::io(&path, "put the finished file at"))
    }

    /// Pads the slots that are full, and goes to the first that is not.
    fn pass_complete_slots(&mut self) -> Result<(), CheckpointError> {
        while let Some(slot) = self.slots.get(self.current)
            && self.filled == slot.bytes
        {
            let mut zeros = io::repeat(0).take(slot.padding);
            io::copy(&mut zeros, &mut self.file).map_err(CheckpointError::io(&self.path, "write"))?;
            self.current += 1;
            self.filled = 0;
        }
        Ok(())
    }
}

/// A name that is removed unless the file is renamed.
#[derive(Debug)]
struct Temporary {
    path: PathBuf,
    renamed: bool,
}

impl Temporary {
    fn beside(path: &Path) -> io::Result<(Self, File)> {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        let name =
            path.file_name().ok_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, "not the name of a file"))?;
        let mut hidden = OsString::from(".");
        hidden.push(name);
        hidden.push(format!(".{}-{}.partial", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed)));
        let path = path.with_file_name(hidden);
        let file = OpenOptions::new().write(true).create_new(true).open(&path)?;
        Ok((Self { path, renamed: false }, file))
    }

    fn rename(mut self, to: &Path) -> io::Result<()> {
        fs::rename(&self.path, to)?;
        self.renamed = true;
        // The name itself is durable only when its directory is; elsewhere than on unix a directory cannot be opened.
        #[cfg(unix)]
        File::open(to.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new(".")))?
            .sync_all()?;
        Ok(())
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        if !self.renamed {
            // Nothing can be done about a failure here, and the error that led here is already on its way.
            drop(fs::remove_file(&self.path));
        }
    }
}
