//! The bytes of a source, decompressed as they are read, with the hash of what lies on the disk.

use std::fs::File;
use std::io::{self, BufReader, Read};
use std::path::Path;

use flate2::bufread::MultiGzDecoder;
use sha2::{Digest, Sha256};

use crate::error::{Result, read_failed};

const BUFFER: usize = 256 << 10;

/// A file that counts and hashes what is read of it.
pub(crate) struct Tally {
    file: File,
    hash: Sha256,
    bytes: u64,
}

impl Read for Tally {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.file.read(buffer)?;
        self.hash.update(&buffer[..read]);
        self.bytes += read as u64;
        Ok(read)
    }
}

/// What the disk holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Digested {
    /// SHA-256 in hexadecimal.
    pub(crate) sha256: String,
    pub(crate) bytes: u64,
}

/// Decompressed bytes of a file.
pub(crate) enum Stream {
    Plain(Tally),
    Zstd(Box<zstd::Decoder<'static, BufReader<Tally>>>),
    Gzip(Box<MultiGzDecoder<BufReader<Tally>>>),
}

impl Stream {
    /// Opens a file; its name tells the compression.
    pub(crate) fn open(path: &Path) -> Result<Self> {
        let file = File::open(path).map_err(read_failed(path))?;
        let tally = Tally { file, hash: Sha256::new(), bytes: 0 };
        let ending = path.extension().map(|ending| ending.to_string_lossy().to_ascii_lowercase());
        let buffered = |tally| BufReader::with_capacity(BUFFER, tally);
        Ok(match ending.as_deref() {
            // Windows beyond 128 MiB are refused by the library's default.
            Some("zst") => {
                Self::Zstd(Box::new(zstd::Decoder::with_buffer(buffered(tally)).map_err(read_failed(path))?))
            }
            Some("gz") => Self::Gzip(Box::new(MultiGzDecoder::new(buffered(tally)))),
            _ => Self::Plain(tally),
        })
    }

    /// Bytes read from the disk.
    pub(crate) fn used(&self) -> u64 {
        match self {
            Self::Plain(tally) => tally.bytes,
            Self::Zstd(decoder) => decoder.get_ref().get_ref().bytes,
            Self::Gzip(decoder) => decoder.get_ref().get_ref().bytes,
        }
    }

    /// Reads what is left and gives the hash of all of it.
    pub(crate) fn finish(self) -> io::Result<Digested> {
        let mut tally = match self {
            Self::Plain(tally) => tally,
            Self::Zstd(decoder) => decoder.finish().into_inner(),
            Self::Gzip(decoder) => decoder.into_inner().into_inner(),
        };
        io::copy(&mut tally, &mut io::sink())?;
        let sha256 = tally.hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
        Ok(Digested { sha256, bytes: tally.bytes })
    }
}

impl Read for Stream {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Plain(tally) => tally.read(buffer),
            Self::Zstd(decoder) => decoder.read(buffer),
            Self::Gzip(decoder) => decoder.read(buffer),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::io::Write;

    use super::*;

    #[test]
    fn sees_through_compression_and_several_members() {
        let dir = tempfile::tempdir().unwrap();
        let text = "some text\n".repeat(50_000);
        let (first, second) = text.as_bytes().split_at(123_457);
        let zst = [zstd::encode_all(first, 3).unwrap(), zstd::encode_all(second, 1).unwrap()].concat();
        let gzip = |bytes: &[u8]| {
            let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
            encoder.write_all(bytes).unwrap();
            encoder.finish().unwrap()
        };
        let gz = [gzip(first), gzip(second)].concat();
        for (name, bytes) in [("a.jsonl", text.as_bytes()), ("a.jsonl.zst", &zst), ("a.txt.gz", &gz)] {
            let path = dir.path().join(name);
            fs::write(&path, bytes).unwrap();
            let mut stream = Stream::open(&path).unwrap();
            let mut read = String::new();
            stream.read_to_string(&mut read).unwrap();
            assert!(read == text, "{name}");
            let digested = stream.finish().unwrap();
            assert_eq!(digested.bytes, bytes.len() as u64);
            let wanted: String = Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect();
            assert_eq!(digested.sha256, wanted);
            // What is cut short is an error, not an end.
            if name != "a.jsonl" {
                fs::write(&path, &bytes[..bytes.len() - 5]).unwrap();
                let mut stream = Stream::open(&path).unwrap();
                assert!(stream.read_to_end(&mut Vec::new()).is_err(), "{name}");
            }
        }
    }
}
