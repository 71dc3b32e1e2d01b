//! safetensors files: eight bytes of length, a JSON header, the tensors.
//!
//! The rules of the format, all enforced before a payload byte is read: the header has at most 100 MB and starts with
//! `{`; no key stands twice; every length is its shape times its type, computed without overflow; the tensors cover
//! the rest of the file without overlap or hole. `tests/formats/safetensors.rs` holds this reader against the reference one.

mod header;
mod write;

use std::io::{Read, Seek};

pub use write::{Writer, header};

use crate::error::Fault;
use crate::source::Source;
use crate::tensor::{TensorInfo, byte_len};
use gptneo_device::DType;

/// Bytes of the length in front of the header.
const PREFIX_BYTES: u64 = 8;

/// Longest header, as the format defines it.
const MAX_HEADER_BYTES: u64 = 100_000_000;

/// The tensors of a safetensors file, in the order of their bytes. Only the header is read.
pub fn read<R: Read + Seek>(reader: R) -> Result<Vec<TensorInfo>, Fault> {
    let mut source = Source::new(reader)?;
    let prefix = source.read_at(0, PREFIX_BYTES, "header length")?;
    let header_bytes = prefix.first_chunk().map_or(0, |&bytes| u64::from_le_bytes(bytes));
    if !(2..=MAX_HEADER_BYTES).contains(&header_bytes) {
        return Err(Fault::structure("header length", format_args!("2 to {MAX_HEADER_BYTES} bytes"), header_bytes));
    }
    let data_start = source.check(PREFIX_BYTES, header_bytes, "header")?;
    let first = source.read_at(PREFIX_BYTES, 1, "header")?;
    if first != b"{" {
        return Err(Fault::structure("header", "`{` as its first byte", format_args!("{:#04x}", first[0])));
    }
    let json = source.read_at(PREFIX_BYTES, header_bytes, "header")?;
    let mut entries = header::parse(&json)?;
    entries.sort_unstable_by(|a, b| a.1.data_offsets.cmp(&b.1.data_offsets).then_with(|| a.0.cmp(&b.0)));

    let mut tensors = Vec::with_capacity(entries.len());
    let mut position = 0u64;
    for (name, entry) in entries {
        let dtype = dtype_of(&name, &entry.dtype)?;
        let span = byte_len(&name, dtype, &entry.shape)?;
        let (start, end) = entry.data_offsets;
        if start != position {
            let wanted = format_args!("to start at byte {position} of the data, where the one before ends").to_string();
            return Err(Fault::tensor(&name, wanted, start));
        }
        if end.checked_sub(start) != Some(span as u64) {
            let wanted = format_args!("{span} bytes for {dtype} {:?}", entry.shape).to_string();
            return Err(Fault::tensor(&name, wanted, format_args!("bytes {start} to {end}")));
        }
        let offset = data_start.saturating_add(start);
        if data_start.saturating_add(end) > source.len() {
            return Err(Fault::Truncated {
                what: format!("tensor `{}`", crate::error::printable(&name)),
                wanted: data_start.saturating_add(end),
                found: source.len(),
            });
        }
        position = end;
        tensors.push(TensorInfo { name, dtype, shape: entry.shape, file: 0, offset, span, strides: None });
    }
    let end = data_start + position;
    if end != source.len() {
        return Err(Fault::structure(
            "file length",
            format_args!("{end} bytes, where the last tensor ends"),
            source.len(),
        ));
    }
    Ok(tensors)
}

const NAMES: [(&str, DType); 10] = [
    ("F32", DType::F32),
    ("F16", DType::F16),
    ("BF16", DType::BF16),
    ("F64", DType::F64),
    ("BOOL", DType::Bool),
    ("U8", DType::U8),
    ("I8", DType::I8),
    ("I16", DType::I16),
    ("I32", DType::I32),
    ("I64", DType::I64),
];

fn dtype_of(tensor: &str, name: &str) -> Result<DType, Fault> {
    NAMES.iter().find(|(spelling, _)| *spelling == name).map(|(_, dtype)| *dtype).ok_or_else(|| {
        let readable = NAMES.map(|(spelling, _)| spelling).join(", ");
        Fault::tensor(tensor, format_args!("a type among {readable}"), crate::error::printable(name))
    })
}

fn name_of(dtype: DType) -> Option<&'static str> {
    NAMES.iter().find(|(_, known)| *known == dtype).map(|(spelling, _)| *spelling)
}
