//! Where the bytes of a file come from.

use std::borrow::Cow;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::sync::Arc;

use crate::flaw::{Cause, Flaw, Said};

/// A file, here or on the disk.
pub(crate) trait Source: Clone {
    /// Up to `count` bytes from `at`: fewer at the end of the file only.
    fn bytes(&self, at: u64, count: usize) -> Said<Cow<'_, [u8]>>;
}

impl Source for &[u8] {
    fn bytes(&self, at: u64, count: usize) -> Said<Cow<'_, [u8]>> {
        let rest = usize::try_from(at).ok().and_then(|at| self.get(at..)).unwrap_or_default();
        Ok(rest[..count.min(rest.len())].into())
    }
}

impl Source for Arc<File> {
    fn bytes(&self, at: u64, count: usize) -> Said<Cow<'_, [u8]>> {
        let failed = |error: std::io::Error| Flaw { cause: Cause::Read, at: None, detail: error.to_string() };
        let mut file: &File = self.as_ref();
        file.seek(SeekFrom::Start(at)).map_err(failed)?;
        let mut bytes = Vec::new();
        // Grows with what arrives, not with what is announced.
        file.take(count as u64).read_to_end(&mut bytes).map_err(failed)?;
        Ok(bytes.into())
    }
}
