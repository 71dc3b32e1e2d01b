//! Writing a safetensors file, tensor by tensor, without holding any of them.

use std::path::Path;

use gptneo_device::DType;

use super::{MAX_HEADER_BYTES, name_of};
use crate::error::{CheckpointError, Fault, printable};
use crate::sink::{Sink, Slot};
use crate::tensor::byte_len;

/// Writes a safetensors file: header first, then the bytes of the tensors in the order given.
///
/// The file appears under its name at [`Writer::finish`]; dropped before, it leaves nothing.
#[derive(Debug)]
pub struct Writer(Sink);

impl Writer {
    /// Starts a file at `path` that will hold `tensors`: name, type, shape (outermost axis first).
    ///
    /// `metadata` becomes `__metadata__`; transformers wants `("format", "pt")` there. Order tensors with the widest
    /// elements first if their types differ, so that all are aligned in the file.
    ///
    /// # Errors
    /// A quantised type (the format has none), a name that stands twice, and what the operating system refuses.
    pub fn create<N: AsRef<str>, S: AsRef<[usize]>>(
        path: &Path,
        metadata: &[(&str, &str)],
        tensors: &[(N, DType, S)],
    ) -> Result<Self, CheckpointError> {
        let (header, slots) = layout(metadata, tensors).map_err(CheckpointError::bad(path))?;
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

/// What stands in a safetensors file before the bytes of `tensors`, for those who write the file by other means than
/// [`Writer`]; `path` is for the words of an error.
///
/// # Errors
/// As [`Writer::create`].
pub fn header<N: AsRef<str>, S: AsRef<[usize]>>(
    path: &Path,
    metadata: &[(&str, &str)],
    tensors: &[(N, DType, S)],
) -> Result<Vec<u8>, CheckpointError> {
    layout(metadata, tensors).map(|(header, _)| header).map_err(CheckpointError::bad(path))
}

fn layout<N: AsRef<str>, S: AsRef<[usize]>>(
    metadata: &[(&str, &str)],
    tensors: &[(N, DType, S)],
) -> Result<(Vec<u8>, Vec<Slot>), Fault> {
    let mut fields = serde_json::Map::new();
    if !metadata.is_empty() {
        let strings = metadata.iter().map(|(key, value)| ((*key).to_owned(), (*value).into())).collect();
        fields.insert("__metadata__".to_owned(), serde_json::Value::Object(strings));
    }
    let mut slots = Vec::with_capacity(tensors.len());
    let mut start = 0usize;
    for (name, dtype, shape) in tensors {
        let (name, shape) = (name.as_ref(), shape.as_ref());
        let spelling = name_of(*dtype).ok_or_else(|| Fault::tensor(name, "a type safetensors has", dtype))?;
        let bytes = byte_len(name, *dtype, shape)?;
        let end =
            start.checked_add(bytes).ok_or_else(|| Fault::tensor(name, "a file of less than 2^64 bytes", "more"))?;
        let entry = serde_json::json!({"dtype": spelling, "shape": shape, "data_offsets": [start, end]});
        if name == "__metadata__" || fields.insert(name.to_owned(), entry).is_some() {
            return Err(Fault::tensor(name, "a name of its own", printable(name)));
        }
        slots.push(Slot { name: name.to_owned(), bytes: bytes as u64, padding: 0 });
        start = end;
    }
    let mut json = serde_json::Value::Object(fields).to_string().into_bytes();
    json.resize(json.len().next_multiple_of(8), b' ');
    if json.len() as u64 > MAX_HEADER_BYTES {
        return Err(Fault::structure("header", format_args!("at most {MAX_HEADER_BYTES} bytes"), json.len()));
    }
    let mut header = (json.len() as u64).to_le_bytes().to_vec();
    header.extend_from_slice(&json);
    Ok((header, slots))
}
