//! GGUF files: metadata, a table of tensors, and their bytes, aligned.
//!
//! Versions 2 and 3, little-endian, are read; version 3 is written. As llama.cpp demands it, tensors follow each other
//! in the order of the table, each at the next multiple of the alignment; a file with holes, overlaps or bytes after
//! its last tensor is refused. Shapes are turned round: innermost axis first in the file, outermost first here.
//! Tested in `tests/formats/gguf.rs` and `tests/formats/hostile_gguf.rs`.

mod metadata;
mod read;
mod write;

use gptneo_device::DType;

pub use metadata::{Array, Metadata, Value};
pub use read::read;
pub use write::Writer;

const MAGIC: &[u8; 4] = b"GGUF";
const ALIGNMENT_KEY: &str = "general.alignment";
const DEFAULT_ALIGNMENT: u64 = 32;

/// Most axes of a tensor in the format.
const MAX_AXES: usize = 4;

/// Longest name of a tensor, in bytes, that llama.cpp reads.
const MAX_NAME_BYTES: u64 = 63;

/// Longest key, in bytes.
const MAX_KEY_BYTES: u64 = 65_535;

/// Numbers of the tensor types in the file. Booleans and unsigned bytes have none.
const TYPES: [(u32, DType); 25] = [
    (0, DType::F32),
    (1, DType::F16),
    (2, DType::Q4_0),
    (3, DType::Q4_1),
    (6, DType::Q5_0),
    (7, DType::Q5_1),
    (8, DType::Q8_0),
    (9, DType::Q8_1),
    (10, DType::Q2_K),
    (11, DType::Q3_K),
    (12, DType::Q4_K),
    (13, DType::Q5_K),
    (14, DType::Q6_K),
    (15, DType::Q8_K),
    (20, DType::IQ4_NL),
    (23, DType::IQ4_XS),
    (24, DType::I8),
    (25, DType::I16),
    (26, DType::I32),
    (27, DType::I64),
    (28, DType::F64),
    (30, DType::BF16),
    (34, DType::TQ1_0),
    (35, DType::TQ2_0),
    (39, DType::MXFP4),
];

fn type_number(dtype: DType) -> Option<u32> {
    TYPES.iter().find(|(_, known)| *known == dtype).map(|(number, _)| *number)
}

fn type_of(number: u32) -> Option<DType> {
    TYPES.iter().find(|(known, _)| *known == number).map(|(_, dtype)| *dtype)
}

/// The alignment that `metadata` sets: a power of two.
fn alignment(metadata: &Metadata) -> Result<u64, crate::error::Fault> {
    match metadata.get(ALIGNMENT_KEY) {
        None => Ok(DEFAULT_ALIGNMENT),
        Some(&Value::U32(alignment)) if alignment.is_power_of_two() => Ok(alignment.into()),
        Some(other) => {
            let wanted = "a power of two of type u32";
            Err(crate::error::Fault::structure(format_args!("key `{ALIGNMENT_KEY}`"), wanted, other))
        }
    }
}
