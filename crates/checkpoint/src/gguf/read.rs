//! Reading the header of a GGUF file.

use std::io::{BufReader, Read, Seek};

use super::metadata::{ARRAY, STRING};
use super::{Array, MAGIC, MAX_AXES, MAX_KEY_BYTES, MAX_NAME_BYTES, Metadata, Value, alignment, type_of};
use crate::error::{Fault, printable};
use crate::source::Source;
use crate::tensor::{TensorInfo, byte_len, check_count, order_by_name};

/// Most keys of a file.
const MAX_KEYS: u64 = 1 << 16;

/// Most strings and inner lists in all lists of a file: each costs more memory than its eight bytes in the file.
const MAX_ITEMS: u64 = 1 << 22;

/// Lists of lists of lists: no deeper.
const MAX_DEPTH: usize = 4;

/// Shortest encodings: a key with a one-byte value, and the table entry of a scalar.
const MIN_KEY_BYTES: u64 = 8 + 4 + 1;
const MIN_TENSOR_BYTES: u64 = 8 + 4 + 4 + 8;

/// The metadata and the tensors of a GGUF file, in the order of its table. Only the header is read.
pub fn read<R: Read + Seek>(reader: R) -> Result<(Metadata, Vec<TensorInfo>), Fault> {
    let mut source = Source::new(BufReader::with_capacity(1 << 16, reader))?;
    source.seek(0)?;
    let mut cursor = Cursor { source, position: 0, items_left: MAX_ITEMS };

    let magic = cursor.bytes(4, "magic")?;
    if magic != MAGIC {
        return Err(Fault::structure("magic", "`GGUF`", format_args!("`{}`", magic.escape_ascii())));
    }
    check_version(cursor.u32("version")?)?;
    let tensor_count = cursor.u64("number of tensors")?;
    let key_count = cursor.u64("number of keys")?;
    if key_count > MAX_KEYS {
        return Err(Fault::structure("number of keys", format_args!("at most {MAX_KEYS}"), key_count));
    }
    cursor.check(key_count, MIN_KEY_BYTES, "metadata")?;
    let metadata = cursor.metadata(key_count)?;
    let alignment = alignment(&metadata)?;

    let tensor_total = check_count(tensor_count)?;
    cursor.check(tensor_count, MIN_TENSOR_BYTES, "table of tensors")?;
    let mut tensors = Vec::with_capacity(tensor_total);
    let mut wanted = 0u64;
    for _ in 0..tensor_total {
        let (tensor, offset) = cursor.tensor()?;
        if offset != wanted {
            let wanted = format_args!("offset {wanted}, where the one before ends").to_string();
            return Err(Fault::tensor(&tensor.name, wanted, offset));
        }
        wanted = wanted
            .checked_add(tensor.span as u64)
            .and_then(|end| end.checked_next_multiple_of(alignment))
            .ok_or_else(|| Fault::tensor(&tensor.name, "an end below 2^64", format_args!("{:?}", tensor.shape)))?;
        tensors.push(tensor);
    }
    order_by_name(&tensors)?;
    place(&mut tensors, cursor.position, cursor.source.len(), alignment)?;
    Ok((metadata, tensors))
}

fn check_version(version: u32) -> Result<(), Fault> {
    match version {
        2 | 3 => Ok(()),
        1 => Err(Fault::Unsupported {
            what: "GGUF version 1".to_owned(),
            advice: "write the file again with a converter of 2023-08 or later",
        }),
        _ if version & 0xffff == 0 => Err(Fault::Unsupported {
            what: "big-endian GGUF".to_owned(),
            advice: "convert the file to little-endian (gguf-convert-endian of the Python package gguf does it)",
        }),
        other => Err(Fault::structure("version", "2 or 3", other)),
    }
}

/// Turns offsets within the data into positions in the file, and holds them against its length.
fn place(tensors: &mut [TensorInfo], header_end: u64, file_len: u64, alignment: u64) -> Result<(), Fault> {
    let data_start = header_end.checked_next_multiple_of(alignment).unwrap_or(u64::MAX);
    let mut end = header_end;
    for tensor in &mut *tensors {
        tensor.offset = tensor.offset.saturating_add(data_start);
        end = tensor.offset.saturating_add(tensor.span as u64);
        if end > file_len {
            let what = format!("tensor `{}`", printable(&tensor.name));
            return Err(Fault::Truncated { what, wanted: end, found: file_len });
        }
    }
    // The padding of the last tensor may be there or not.
    let padded = end.checked_next_multiple_of(alignment).unwrap_or(u64::MAX);
    if file_len > padded {
        return Err(Fault::structure("file length", format_args!("at most {padded} bytes"), file_len));
    }
    Ok(())
}

struct Cursor<R> {
    source: Source<R>,
    position: u64,
    items_left: u64,
}

impl<R: Read + Seek> Cursor<R> {
    fn bytes(&mut self, len: u64, what: &str) -> Result<Vec<u8>, Fault> {
        let bytes = self.source.take(self.position, len, what)?;
        self.position += len;
        Ok(bytes)
    }

    fn array<const N: usize>(&mut self, what: &str) -> Result<[u8; N], Fault> {
        let mut bytes = [0; N];
        self.source.fill(self.position, &mut bytes, what)?;
        self.position += N as u64;
        Ok(bytes)
    }

    fn u32(&mut self, what: &str) -> Result<u32, Fault> {
        self.array(what).map(u32::from_le_bytes)
    }

    fn u64(&mut self, what: &str) -> Result<u64, Fault> {
        self.array(what).map(u64::from_le_bytes)
    }

    /// Refuses a count of things of at least `bytes` each that the rest of the file cannot hold.
    fn check(&self, count: u64, bytes: u64, what: &str) -> Result<(), Fault> {
        self.source.check(self.position, count.saturating_mul(bytes), what).map(drop)
    }

    fn string(&mut self, longest: u64, what: &str) -> Result<String, Fault> {
        let len = self.u64(what)?;
        if len > longest {
            return Err(Fault::structure(what, format_args!("at most {longest} bytes"), len));
        }
        let bytes = self.bytes(len, what)?;
        String::from_utf8(bytes)
            .map_err(|error| Fault::structure(what, "UTF-8", printable(&String::from_utf8_lossy(error.as_bytes()))))
    }

    fn metadata(&mut self, count: u64) -> Result<Metadata, Fault> {
        let mut metadata = Metadata::new();
        for _ in 0..count {
            let key = self.string(MAX_KEY_BYTES, "key")?;
            if metadata.get(&key).is_some() {
                return Err(Fault::structure(
                    "metadata",
                    "every key once",
                    format_args!("`{}` twice", printable(&key)),
                ));
            }
            let kind = self.u32("type of a value")?;
            let value = self.value(kind, &format!("value of `{}`", printable(&key)))?;
            metadata.set(key, value);
        }
        Ok(metadata)
    }

    fn value(&mut self, kind: u32, what: &str) -> Result<Value, Fault> {
        Ok(match kind {
            0 => Value::U8(u8::from_le_bytes(self.array(what)?)),
            1 => Value::I8(i8::from_le_bytes(self.array(what)?)),
            2 => Value::U16(u16::from_le_bytes(self.array(what)?)),
            3 => Value::I16(i16::from_le_bytes(self.array(what)?)),
            4 => Value::U32(u32::from_le_bytes(self.array(what)?)),
            5 => Value::I32(i32::from_le_bytes(self.array(what)?)),
            6 => Value::F32(f32::from_le_bytes(self.array(what)?)),
            7 => Value::Bool(boolean(self.array(what)?, what)?),
            10 => Value::U64(u64::from_le_bytes(self.array(what)?)),
            11 => Value::I64(i64::from_le_bytes(self.array(what)?)),
            12 => Value::F64(f64::from_le_bytes(self.array(what)?)),
            STRING => Value::String(self.string(u64::MAX, what)?),
            ARRAY => Value::Array(self.list(what, 1)?),
            other => return Err(Fault::structure(what, "a type from 0 to 12", other)),
        })
    }

    fn list(&mut self, what: &str, depth: usize) -> Result<Array, Fault> {
        let kind = self.u32(what)?;
        let count = self.u64(what)?;
        Ok(match kind {
            0 => Array::U8(self.numbers(count, u8::from_le_bytes, what)?),
            1 => Array::I8(self.numbers(count, i8::from_le_bytes, what)?),
            2 => Array::U16(self.numbers(count, u16::from_le_bytes, what)?),
            3 => Array::I16(self.numbers(count, i16::from_le_bytes, what)?),
            4 => Array::U32(self.numbers(count, u32::from_le_bytes, what)?),
            5 => Array::I32(self.numbers(count, i32::from_le_bytes, what)?),
            6 => Array::F32(self.numbers(count, f32::from_le_bytes, what)?),
            7 => Array::Bool(self.items(count, 1, |cursor| boolean(cursor.array(what)?, what))?),
            10 => Array::U64(self.numbers(count, u64::from_le_bytes, what)?),
            11 => Array::I64(self.numbers(count, i64::from_le_bytes, what)?),
            12 => Array::F64(self.numbers(count, f64::from_le_bytes, what)?),
            STRING => {
                self.spend(count, what)?;
                Array::String(self.items(count, 8, |cursor| cursor.string(u64::MAX, what))?)
            }
            ARRAY if depth == MAX_DEPTH => {
                return Err(Fault::structure(what, format_args!("at most {MAX_DEPTH} lists in each other"), "more"));
            }
            ARRAY => {
                self.spend(count, what)?;
                Array::Array(self.items(count, 12, |cursor| cursor.list(what, depth + 1))?)
            }
            other => return Err(Fault::structure(what, "elements of a type from 0 to 12", other)),
        })
    }

    fn spend(&mut self, count: u64, what: &str) -> Result<(), Fault> {
        self.items_left = self
            .items_left
            .checked_sub(count)
            .ok_or_else(|| Fault::structure(what, format_args!("at most {MAX_ITEMS} strings in lists"), "more"))?;
        Ok(())
    }

    /// `count` elements of at least `bytes` each.
    fn items<T>(
        &mut self,
        count: u64,
        bytes: u64,
        mut item: impl FnMut(&mut Self) -> Result<T, Fault>,
    ) -> Result<Vec<T>, Fault> {
        self.check(count, bytes, "list in the metadata")?;
        let mut list = Vec::with_capacity(usize::try_from(count).unwrap_or(0));
        for _ in 0..count {
            list.push(item(self)?);
        }
        Ok(list)
    }

    fn numbers<T, const N: usize>(
        &mut self,
        count: u64,
        decode: fn([u8; N]) -> T,
        what: &str,
    ) -> Result<Vec<T>, Fault> {
        let bytes = self.bytes(count.saturating_mul(N as u64), what)?;
        Ok(bytes.as_chunks().0.iter().map(|&chunk| decode(chunk)).collect())
    }

    /// One entry of the table, and the offset it states. That stands in the tensor too, until it is placed.
    fn tensor(&mut self) -> Result<(TensorInfo, u64), Fault> {
        let name = self.string(MAX_NAME_BYTES, "name of a tensor")?;
        let rank = self.u32("number of axes")?;
        let rank = usize::try_from(rank)
            .ok()
            .filter(|&rank| rank <= MAX_AXES)
            .ok_or_else(|| Fault::tensor(&name, format_args!("at most {MAX_AXES} axes"), rank))?;
        let mut shape = Vec::with_capacity(rank);
        for _ in 0..rank {
            let axis = self.u64("shape of a tensor")?;
            shape.push(usize::try_from(axis).map_err(|_| Fault::tensor(&name, "an axis that fits in memory", axis))?);
        }
        shape.reverse();
        let number = self.u32("type of a tensor")?;
        let dtype = type_of(number).ok_or_else(|| {
            Fault::tensor(&name, "a type that can be read", format_args!("type {number}{}", known_as(number)))
        })?;
        let offset = self.u64("offset of a tensor")?;
        let span = byte_len(&name, dtype, &shape)?;
        Ok((TensorInfo { name, dtype, shape, file: 0, offset, span, strides: None }, offset))
    }
}

fn boolean(byte: [u8; 1], what: &str) -> Result<bool, Fault> {
    match byte {
        [0] => Ok(false),
        [1] => Ok(true),
        [other] => Err(Fault::structure(what, "a boolean, 0 or 1", other)),
    }
}

/// The name of a type that the format has and `DType` has not.
fn known_as(number: u32) -> &'static str {
    match number {
        16 => " (IQ2_XXS)",
        17 => " (IQ2_XS)",
        18 => " (IQ3_XXS)",
        19 => " (IQ1_S)",
        21 => " (IQ3_S)",
        22 => " (IQ2_S)",
        29 => " (IQ1_M)",
        40 => " (NVFP4)",
        4 | 5 | 31..=33 | 36..=38 => " (withdrawn from the format)",
        _ => "",
    }
}
