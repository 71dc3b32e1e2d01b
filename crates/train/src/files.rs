//! The file operations of a run, as a seam: tests let each of them fail in turn.

use std::fmt;
use std::fs::{self, File, OpenOptions};
use std::io::{self, BufWriter, Seek, SeekFrom, Write};
use std::path::Path;

/// A file that is being written.
pub trait Output: Write + Send {
    /// Makes what was written durable.
    fn sync(&mut self) -> io::Result<()>;
}

/// What a run does to files. Reading is not here: a failed read changes nothing.
pub trait Files: fmt::Debug + Send + Sync {
    /// Makes a directory and those above it; it may exist.
    fn create_dir(&self, path: &Path) -> io::Result<()>;
    /// Makes a new file; there must be none.
    fn create(&self, path: &Path) -> io::Result<Box<dyn Output>>;
    /// Opens a file to go on after its first `bytes`, dropping the rest; makes it if there is none.
    fn resume(&self, path: &Path, bytes: u64) -> io::Result<Box<dyn Output>>;
    /// Renames within one directory.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;
    /// Makes the names in a directory durable.
    fn sync_dir(&self, path: &Path) -> io::Result<()>;
    /// Removes a directory and what is in it.
    fn remove_dir(&self, path: &Path) -> io::Result<()>;
}

/// The real thing.
#[derive(Clone, Copy, Debug, Default)]
pub struct Disk;

impl Files for Disk {
    fn create_dir(&self, path: &Path) -> io::Result<()> {
        fs::create_dir_all(path)
    }

    fn create(&self, path: &Path) -> io::Result<Box<dyn Output>> {
        let file = OpenOptions::new().write(true).create_new(true).open(path)?;
        Ok(Box::new(BufWriter::with_capacity(1 << 20, file)))
    }

    fn resume(&self, path: &Path, bytes: u64) -> io::Result<Box<dyn Output>> {
        let mut file = OpenOptions::new().write(true).create(true).truncate(false).open(path)?;
        file.set_len(bytes)?;
        file.seek(SeekFrom::Start(bytes))?;
        Ok(Box::new(BufWriter::new(file)))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        fs::rename(from, to)
    }

    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        // Elsewhere than on unix a directory cannot be opened, and names are durable by themselves.
        #[cfg(unix)]
        File::open(path)?.sync_all()?;
        #[cfg(not(unix))]
        let _ = path;
        Ok(())
    }

    fn remove_dir(&self, path: &Path) -> io::Result<()> {
        fs::remove_dir_all(path)
    }
}

impl Output for BufWriter<File> {
    fn sync(&mut self) -> io::Result<()> {
        self.flush()?;
        self.get_ref().sync_all()
    }
}

#[cfg(test)]
pub(crate) mod faults {
    //! A disk on which the `n`-th operation fails.

    use std::sync::Arc;
    use std::sync::atomic::{AtomicU64, Ordering};

    use super::*;

    /// Counts operations, and fails one (or that and all after it).
    #[derive(Clone, Debug)]
    pub(crate) struct Faulty {
        count: Arc<AtomicU64>,
        fails_at: u64,
        forever: bool,
        error: io::ErrorKind,
    }

    impl Faulty {
        pub(crate) fn new(fails_at: u64, forever: bool, error: io::ErrorKind) -> Self {
            Self { count: Arc::new(AtomicU64::new(0)), fails_at, forever, error }
        }

        /// Operations so far.
        pub(crate) fn operations(&self) -> u64 {
            self.count.load(Ordering::SeqCst)
        }

        fn turn(&self) -> io::Result<()> {
            let now = self.count.fetch_add(1, Ordering::SeqCst);
            if now == self.fails_at || (self.forever && now > self.fails_at) { Err(self.error.into()) } else { Ok(()) }
        }
    }

    impl Files for Faulty {
        fn create_dir(&self, path: &Path) -> io::Result<()> {
            self.turn()?;
            Disk.create_dir(path)
        }

        fn create(&self, path: &Path) -> io::Result<Box<dyn Output>> {
            self.turn()?;
            Ok(Box::new(FaultyOutput { inner: Disk.create(path)?, files: self.clone() }))
        }

        fn resume(&self, path: &Path, bytes: u64) -> io::Result<Box<dyn Output>> {
            self.turn()?;
            Ok(Box::new(FaultyOutput { inner: Disk.resume(path, bytes)?, files: self.clone() }))
        }

        fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
            self.turn()?;
            Disk.rename(from, to)
        }

        fn sync_dir(&self, path: &Path) -> io::Result<()> {
            self.turn()?;
            Disk.sync_dir(path)
        }

        fn remove_dir(&self, path: &Path) -> io::Result<()> {
            self.turn()?;
            Disk.remove_dir(path)
        }
    }

    struct FaultyOutput {
        inner: Box<dyn Output>,
        files: Faulty,
    }

    impl Write for FaultyOutput {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.files.turn()?;
            // Half a write reaches the disk now and then.
            let some = bytes.len().div_ceil(2);
            self.inner.write(&bytes[..some])
        }

        fn flush(&mut self) -> io::Result<()> {
            self.inner.flush()
        }
    }

    impl Output for FaultyOutput {
        fn sync(&mut self) -> io::Result<()> {
            self.files.turn()?;
            self.inner.sync()
        }
    }
}
