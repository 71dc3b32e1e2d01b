//! The hashes that a hub announces: sha256 for files in large-file storage, the git object id for all others.

use std::fmt;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::Path;

use sha1::Sha1;
use sha2::{Digest, Sha256};

use crate::error::HubError;

/// A hash to hold a file against.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Expected {
    Sha256([u8; 32]),
    /// sha1 of `blob LENGTH\0` and the bytes.
    GitBlob([u8; 20]),
}

impl Expected {
    /// What an entity tag (without its quotes) promises, if anything.
    pub(crate) fn from_etag(etag: &str) -> Option<Expected> {
        match etag.len() {
            64 => hex(etag).map(Expected::Sha256),
            40 => hex(etag).map(Expected::GitBlob),
            _ => None,
        }
    }

    pub(crate) fn sha256(text: &str) -> Option<Expected> {
        (text.len() == 64).then(|| hex(text).map(Expected::Sha256)).flatten()
    }

    /// A hasher for a file of `length` bytes.
    pub(crate) fn hasher(&self, length: u64) -> Hasher {
        match self {
            Expected::Sha256(_) => Hasher::Sha256(Sha256::new()),
            Expected::GitBlob(_) => Hasher::GitBlob(Sha1::new().chain_update(format!("blob {length}\0"))),
        }
    }
}

impl fmt::Display for Expected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (kind, bytes) = match self {
            Expected::Sha256(bytes) => ("sha256", bytes.as_slice()),
            Expected::GitBlob(bytes) => ("git blob", bytes.as_slice()),
        };
        write!(f, "{kind} ")?;
        bytes.iter().try_for_each(|b| write!(f, "{b:02x}"))
    }
}

/// A hash under way.
pub(crate) enum Hasher {
    Sha256(Sha256),
    GitBlob(Sha1),
}

impl Hasher {
    pub(crate) fn update(&mut self, bytes: &[u8]) {
        match self {
            Hasher::Sha256(h) => h.update(bytes),
            Hasher::GitBlob(h) => h.update(bytes),
        }
    }

    /// Takes in the first `length` bytes of `file`, leaving it positioned after them.
    pub(crate) fn update_from(&mut self, file: &mut File, length: u64) -> io::Result<()> {
        file.seek(SeekFrom::Start(0))?;
        let mut buffer = vec![0; 1 << 18];
        let mut left = length;
        while left > 0 {
            let room = buffer.len().min(usize::try_from(left).unwrap_or(usize::MAX));
            let read = file.read(&mut buffer[..room])?;
            if read == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            self.update(&buffer[..read]);
            left -= read as u64;
        }
        Ok(())
    }

    pub(crate) fn finish(self) -> Expected {
        match self {
            Hasher::Sha256(h) => Expected::Sha256(h.finalize().into()),
            Hasher::GitBlob(h) => Expected::GitBlob(h.finalize().into()),
        }
    }
}

/// The hash of a whole file, of the kind that `expected` is.
pub(crate) fn of_file(path: &Path, expected: &Expected) -> Result<Expected, HubError> {
    let read = || {
        let mut file = File::open(path)?;
        let length = file.metadata()?.len();
        let mut hasher = expected.hasher(length);
        hasher.update_from(&mut file, length)?;
        Ok(hasher.finish())
    };
    read().map_err(|e| HubError::io(path, "read", e))
}

fn hex<const N: usize>(text: &str) -> Option<[u8; N]> {
    let digits = text.as_bytes();
    if digits.len() != 2 * N {
        return None;
    }
    let mut out = [0; N];
    for (byte, pair) in out.iter_mut().zip(digits.chunks_exact(2)) {
        let digit = |c: u8| char::from(c).to_digit(16);
        *byte = u8::try_from(digit(pair[0])? * 16 + digit(pair[1])?).ok()?;
    }
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn agrees_with_git_and_sha256sum() {
        // `printf 'hello\n' | git hash-object --stdin`, and sha256sum of the same.
        let git = Expected::from_etag("ce013625030ba8dba906f756967f9e9ca394464a").unwrap();
        let sha = Expected::from_etag("5891b5b522d5df086d0ff0b110fbd9d21bb4fc7163af34d08286a2e846f6be03").unwrap();
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "hello\n").unwrap();
        for expected in [git, sha] {
            assert_eq!(of_file(file.path(), &expected).unwrap(), expected);
        }
    }

    #[test]
    fn other_tags_promise_nothing() {
        for etag in
            ["", "5f-62a", "d41d8cd98f00b204e9800998ecf8427e", &"g".repeat(40), &"é".repeat(20), &"a".repeat(63)]
        {
            assert_eq!(Expected::from_etag(etag), None, "{etag}");
        }
    }
}
