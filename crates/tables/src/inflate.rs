//! Decompression that stops at a bound, however small the bytes that ask for more.

use std::io::{self, Read};

use flate2::bufread::MultiGzDecoder;

use crate::flaw::{Said, damaged};
use crate::limits::Budget;

/// How bytes are compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Compression {
    /// Members of gzip, one after another.
    Gzip,
    /// Frames of Zstandard, one after another.
    Zstd,
}

impl Compression {
    /// By the end of a file's name, in small letters.
    pub fn of(name: &str) -> Option<(Compression, &str)> {
        let gzip = name.strip_suffix(".gz").map(|bare| (Compression::Gzip, bare));
        gzip.or_else(|| name.strip_suffix(".zst").map(|bare| (Compression::Zstd, bare)))
    }
}

/// All of `packed`, unpacked, and counted.
pub fn unpack(packed: &[u8], how: Compression, budget: &mut Budget<'_>) -> Said<Vec<u8>> {
    let left = budget.unpacked_left();
    let bytes = upto(packed, how, left.saturating_add(1)).map_err(|error| broken(&error))?;
    budget.unpack(bytes.len() as u64)?;
    Ok(bytes)
}

/// `packed`, which has to unpack to exactly `length` bytes; they are counted.
pub(crate) fn unpack_exactly(packed: &[u8], how: Compression, length: usize, budget: &mut Budget<'_>) -> Said<Vec<u8>> {
    budget.unpack(length as u64)?;
    let bytes = upto(packed, how, (length as u64).saturating_add(1)).map_err(|error| broken(&error))?;
    match bytes.len() == length {
        true => Ok(bytes),
        false => Err(damaged(format!("a compressed block does not have the {length} bytes that it declares"))),
    }
}

/// The buffer grows with what arrives, never with what is announced.
fn upto(packed: &[u8], how: Compression, most: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    match how {
        Compression::Gzip => MultiGzDecoder::new(packed).take(most).read_to_end(&mut bytes)?,
        // Windows beyond 128 MiB are refused by the library's default.
        Compression::Zstd => zstd::Decoder::with_buffer(packed)?.take(most).read_to_end(&mut bytes)?,
    };
    Ok(bytes)
}

fn broken(error: &io::Error) -> crate::flaw::Flaw {
    damaged(format!("its compressed bytes are damaged or cut short ({error})"))
}
