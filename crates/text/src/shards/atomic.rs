//! Files that appear whole or not at all: written beside their place, flushed to the disk, renamed.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use crate::error::{Result, TextError};

/// A file under a temporary name, which is removed unless [`TempFile::place`] gives it its own.
#[derive(Debug)]
pub struct TempFile {
    file: Option<File>,
    part: PathBuf,
    path: PathBuf,
}

impl TempFile {
    /// Begins `path` as `path.part`, over whatever a killed process left there.
    ///
    /// # Errors
    /// [`TextError::Write`].
    pub fn create(path: &Path) -> Result<Self> {
        let mut part = path.as_os_str().to_owned();
        part.push(".part");
        let part = PathBuf::from(part);
        let open = File::options().read(true).write(true).create(true).truncate(true).open(&part);
        let file = open.map_err(|source| TextError::Write { path: part.clone(), source })?;
        Ok(Self { file: Some(file), part, path: path.to_owned() })
    }

    /// The file, open for reading and writing.
    pub fn file(&mut self) -> &mut File {
        self.file.as_mut().expect("only `place` takes the file, and it takes all of this")
    }

    /// The place it will have.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Flushes it to the disk and gives it its name, in place of what was there.
    ///
    /// # Errors
    /// [`TextError::Write`]; the temporary file is gone then.
    pub fn place(mut self) -> Result<()> {
        let outcome = (|| {
            self.file().sync_all()?;
            self.file = None;
            fs::rename(&self.part, &self.path)?;
            // The name itself must be on the disk before anything relies on it. Not every system can flush a folder.
            match self.path.parent().filter(|folder| !folder.as_os_str().is_empty()).map(File::open) {
                Some(Ok(folder)) if cfg!(unix) => folder.sync_all(),
                _ => Ok(()),
            }
        })();
        outcome.map_err(|source| TextError::Write { path: self.path.clone(), source })
    }
}

impl Drop for TempFile {
    fn drop(&mut self) {
        // After `place` there is nothing under this name; a failure to tidy up changes nothing for anybody.
        if fs::exists(&self.part).unwrap_or(false) {
            let _ = fs::remove_file(&self.part);
        }
    }
}

/// Writes a small file whole.
///
/// # Errors
/// [`TextError::Write`]; what was there before stands then.
pub fn write_whole(path: &Path, bytes: &[u8]) -> Result<()> {
    let mut temp = TempFile::create(path)?;
    temp.file().write_all(bytes).map_err(|source| TextError::Write { path: path.to_owned(), source })?;
    temp.place()
}

/// The SHA-256 of what is left of a reader, in hexadecimal, and its length.
///
/// # Errors
/// Those of the reader.
pub fn sha256_of(reader: &mut impl Read) -> io::Result<(String, u64)> {
    let mut hash = Sha256::new();
    let mut buffer = vec![0; 256 << 10];
    let mut len = 0;
    loop {
        match reader.read(&mut buffer) {
            Ok(0) => return Ok((hex(&hash.finalize()), len)),
            Ok(read) => {
                hash.update(&buffer[..read]);
                len += read as u64;
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::with_capacity(2 * bytes.len()), |mut text, byte| {
        write!(text, "{byte:02x}").expect("a string takes everything");
        text
    })
}
