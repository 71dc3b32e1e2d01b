//! The bytes of a file, with their hash, and without their compression.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use sha2::{Digest, Sha256};

use crate::data::error::DataError;
use gptneo_tables::Budget;
use gptneo_tables::limit;
use gptneo_tables::{Compression, unpack};

/// Reads a file whole, adds its bytes as they lie on the disk to `hash`, and unpacks them if the name says so. Returns
/// the bytes and how many the disk has.
pub(crate) fn load(path: &Path, hash: &mut Sha256, budget: &mut Budget<'_>) -> Result<(Vec<u8>, u64), DataError> {
    let failed = |source| DataError::Read { path: path.to_owned(), source };
    let file = File::open(path).map_err(failed)?;
    let most = budget.limits.file_bytes;
    let too_long = || DataError::of_file(path, limit(format!("a file of more than {most} bytes (file_bytes)")));
    if file.metadata().map_err(failed)?.len() > most {
        return Err(too_long());
    }
    let mut bytes = Vec::new();
    // A pipe has no length, and a file may grow.
    file.take(most.saturating_add(1)).read_to_end(&mut bytes).map_err(failed)?;
    let length = bytes.len() as u64;
    if length > most {
        return Err(too_long());
    }
    hash.update(&bytes);
    if let Some((how, _)) = Compression::of(&lower_name(path)) {
        bytes = unpack(&bytes, how, budget).map_err(|flaw| DataError::of_file(path, flaw))?;
    }
    Ok((bytes, length))
}

/// The file's name in small letters.
pub(crate) fn lower_name(path: &Path) -> String {
    path.file_name().map(|name| name.to_string_lossy().to_ascii_lowercase()).unwrap_or_default()
}

/// A hash in hexadecimal.
pub(crate) fn hex(hash: Sha256) -> String {
    hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}
