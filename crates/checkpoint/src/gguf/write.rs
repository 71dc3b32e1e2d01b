//! Writing a GGUF file (version 3, little-endian), tensor by tensor, without holding any of them.

use std::path::Path;

use gptneo_device::DType;

use super::{Array, MAGIC, MAX_AXES, MAX_KEY_BYTES, MAX_NAME_BYTES, Metadata, Value, alignment, type_number};
use crate::error::{CheckpointError, Fault, printable};
use crate::sink::{Sink, Slot};
use crate::tensor::{byte_len, check_count};

/// Writes a GGUF file: header first, then the bytes of the tensors in the order given.
///
/// The file appears under its name at [`Writer::finish`]; dropped before, it leaves nothing.
#[derive(Debug)]
pub struct Writer(Sink);

impl Writer {
    /// Starts a file at `path` with `metadata` that will hold `tensors`: name, type, shape (outermost axis first).
    ///
    /// Tensors start at multiples of `general.alignment` if `metadata` sets it (a power of two, u32), else of 32.
    ///
    /// # Errors
    /// What the format cannot hold: booleans and unsigned bytes, more than four axes, names above 63 bytes or twice,
    /// rows that are not whole blocks; and what the operating system refuses.
    pub fn create<N: AsRef<str>, S: AsRef<[usize]>>(
        path: &Path,
        metadata: &Metadata,
        tensors: &[(N, DType, S)],
    ) -> Result<Self, CheckpointError> {
        let (header, slots) = header(metadata, tensors).map_err(CheckpointError::bad(path))?;
        let mut sink = Sink::create(path, slots)?;
        sink.header(&header)?;
        Ok(Self(sink))
    }

    /// The next bytes of the tensor at hand. A chunk may be any part of one tensor; it does not reach into the next.
    pub fn write(&mut self, chunk: &[u8]) -> Result<(), CheckpointError> {
        self.0.write(chunk)
    }

    /// Makes the file durable and gives it its name.
    ///
    /// # Errors
    /// If a tensor is not complete, and what the operating system refuses.
    pub fn finish(self) -> Result<(), CheckpointError> {
        self.0.finish()
    }
}

fn header<N: AsRef<str>, S: AsRef<[usize]>>(
    metadata: &Metadata,
    tensors: &[(N, DType, S)],
) -> Result<(Vec<u8>, Vec<Slot>), Fault> {
    let alignment = alignment(metadata)?;
    let mut out = MAGIC.to_vec();
    out.extend_from_slice(&3u32.to_le_bytes());
    out.extend_from_slice(&(check_count(tensors.len() as u64)? as u64).to_le_bytes());
    out.extend_from_slice(&(metadata.len() as u64).to_le_bytes());
    for (key, value) in metadata.iter() {
        if key.len() as u64 > MAX_KEY_BYTES {
            return Err(Fault::structure("key", format_args!("at most {MAX_KEY_BYTES} bytes"), key.len()));
        }
        put_string(key, &mut out);
        out.extend_from_slice(&value.type_number().to_le_bytes());
        put_value(value, &mut out);
    }

    let mut slots = Vec::with_capacity(tensors.len());
    let mut offset = 0u64;
    for (name, dtype, shape) in tensors {
        let (name, shape) = (name.as_ref(), shape.as_ref());
        if name.len() as u64 > MAX_NAME_BYTES {
            return Err(Fault::tensor(name, format_args!("a name of at most {MAX_NAME_BYTES} bytes"), name.len()));
        }
        if shape.len() > MAX_AXES {
            return Err(Fault::tensor(name, format_args!("at most {MAX_AXES} axes"), shape.len()));
        }
        let number = type_number(*dtype).ok_or_else(|| Fault::tensor(name, "a type GGUF has", dtype))?;
        let bytes = byte_len(name, *dtype, shape)? as u64;
        put_string(name, &mut out);
        out.extend_from_slice(&(shape.len() as u32).to_le_bytes());
        for &axis in shape.iter().rev() {
            out.extend_from_slice(&(axis as u64).to_le_bytes());
        }
        out.extend_from_slice(&number.to_le_bytes());
        out.extend_from_slice(&offset.to_le_bytes());
        let too_long = || Fault::tensor(name, "a file of less than 2^64 bytes", "more");
        let end = offset.checked_add(bytes).ok_or_else(too_long)?;
        let next = end.checked_next_multiple_of(alignment).ok_or_else(too_long)?;
        slots.push(Slot { name: name.to_owned(), bytes, padding: next - end });
        offset = next;
    }
    let mut names: Vec<_> = slots.iter().map(|slot| slot.name.as_str()).collect();
    names.sort_unstable();
    if let Some(pair) = names.windows(2).find(|pair| pair[0] == pair[1]) {
        return Err(Fault::tensor(pair[0], "a name of its own", printable(pair[1])));
    }
    // The data starts aligned, even where there is none: llama.cpp looks for it there.
    out.resize(out.len().next_multiple_of(alignment as usize), 0);
    Ok((out, slots))
}

fn put_string(text: &str, out: &mut Vec<u8>) {
    out.extend_from_slice(&(text.len() as u64).to_le_bytes());
    out.extend_from_slice(text.as_bytes());
}

fn put_value(value: &Value, out: &mut Vec<u8>) {
    match value {
        Value::U8(x) => out.push(*x),
        Value::I8(x) => out.extend_from_slice(&x.to_le_bytes()),
        Value::U16(x) => out.extend_from_slice(&x.to_le_bytes()),
        Value::I16(x) => out.extend_from_slice(&x.to_le_bytes()),
        Value::U32(x) => out.extend_from_slice(&x.to_le_bytes()),
        Value::I32(x) => out.extend_from_slice(&x.to_le_bytes()),
        Value::F32(x) => out.extend_from_slice(&x.to_le_bytes()),
        Value::Bool(x) => out.push(u8::from(*x)),
        Value::U64(x) => out.extend_from_slice(&x.to_le_bytes()),
        Value::I64(x) => out.extend_from_slice(&x.to_le_bytes()),
        Value::F64(x) => out.extend_from_slice(&x.to_le_bytes()),
        Value::String(text) => put_string(text, out),
        Value::Array(list) => put_list(list, out),
    }
}

fn put_list(list: &Array, out: &mut Vec<u8>) {
    out.extend_from_slice(&list.type_number().to_le_bytes());
    out.extend_from_slice(&(list.len() as u64).to_le_bytes());
    match list {
        Array::U8(list) => out.extend_from_slice(list),
        Array::I8(list) => list.iter().for_each(|x| out.extend_from_slice(&x.to_le_bytes())),
        Array::U16(list) => list.iter().for_each(|x| out.extend_from_slice(&x.to_le_bytes())),
        Array::I16(list) => list.iter().for_each(|x| out.extend_from_slice(&x.to_le_bytes())),
        Array::U32(list) => list.iter().for_each(|x| out.extend_from_slice(&x.to_le_bytes())),
        Array::I32(list) => list.iter().for_each(|x| out.extend_from_slice(&x.to_le_bytes())),
        Array::F32(list) => list.iter().for_each(|x| out.extend_from_slice(&x.to_le_bytes())),
        Array::Bool(list) => out.extend(list.iter().map(|&x| u8::from(x))),
        Array::U64(list) => list.iter().for_each(|x| out.extend_from_slice(&x.to_le_bytes())),
        Array::I64(list) => list.iter().for_each(|x| out.extend_from_slice(&x.to_le_bytes())),
        Array::F64(list) => list.iter().for_each(|x| out.extend_from_slice(&x.to_le_bytes())),
        Array::String(list) => list.iter().for_each(|text| put_string(text, out)),
        Array::Array(list) => list.iter().for_each(|inner| put_list(inner, out)),
    }
}
