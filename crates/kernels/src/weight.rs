//! A matrix as the CPU computes with it: floats in place, or quantised tiles.

use std::ops::Range;

use gptneo_device::{Bytes, DType, DeviceError, Matrix};
use half::f16;

use crate::blocks;
use crate::memory::Shared;
use crate::packed::Packed;
use crate::team::Team;

/// A weight `[O, C]` of the CPU.
#[derive(Debug)]
pub struct Weight(pub(crate) Storage);

#[derive(Debug)]
pub(crate) enum Storage {
    Float(FloatRows),
    Packed(Packed),
}

/// Element type of [`FloatRows`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FloatKind {
    F32,
    F16,
    Bf16,
}

impl FloatKind {
    pub(crate) const fn bytes(self) -> usize {
        match self {
            Self::F32 => 4,
            Self::F16 | Self::Bf16 => 2,
        }
    }

    const fn dtype(self) -> DType {
        match self {
            Self::F32 => DType::F32,
            Self::F16 => DType::F16,
            Self::Bf16 => DType::BF16,
        }
    }
}

/// Row-major float rows where they were found (a file's map, as a rule), the parts one below the other. Elements are
/// little-endian and of any alignment.
#[derive(Debug)]
pub(crate) struct FloatRows {
    pub(crate) kind: FloatKind,
    pub(crate) cols: usize,
    rows: usize,
    /// First row and bytes of each part.
    parts: Vec<(usize, Bytes)>,
}

impl FloatRows {
    fn new(kind: FloatKind, cols: usize, matrices: impl Iterator<Item = (usize, Bytes)>) -> Self {
        let mut rows = 0;
        let mut parts = Vec::new();
        for (count, bytes) in matrices {
            if count > 0 {
                parts.push((rows, bytes));
                rows += count;
            }
        }
        Self { kind, cols, rows, parts }
    }

    pub(crate) const fn row_bytes(&self) -> usize {
        self.cols * self.kind.bytes()
    }

    /// Puts where each of the `rows` lies into `out`, in order; what remains of `out` repeats the last.
    pub(crate) fn locate(&self, rows: Range<usize>, out: &mut [*const u8]) {
        let mut part = self.parts.partition_point(|(first, _)| *first <= rows.start) - 1;
        let mut bytes: &[u8] = &self.parts[part].1;
        let mut offset = (rows.start - self.parts[part].0) * self.row_bytes();
        let count = rows.len();
        for slot in &mut out[..count] {
            if offset == bytes.len() && part + 1 < self.parts.len() {
                part += 1;
                bytes = &self.parts[part].1;
                offset = 0;
            }
            *slot = bytes[offset..offset + self.row_bytes()].as_ptr();
            offset += self.row_bytes();
        }
        let last = out[count - 1];
        out[count..].fill(last);
    }

    fn row(&self, index: usize) -> &[u8] {
        let part = self.parts.partition_point(|(first, _)| *first <= index) - 1;
        let (first, bytes) = &self.parts[part];
        &bytes[(index - first) * self.row_bytes()..][..self.row_bytes()]
    }
}

impl Weight {
    /// Packs `parts` as [`gptneo_device::Device::weight`] says.
    pub(crate) fn new(team: &Team, parts: &[Matrix]) -> Result<Self, DeviceError> {
        let first = parts.first().expect("a weight has at least one part");
        let (dtype, cols) = (first.dtype(), first.cols());
        assert!(
            parts.iter().all(|part| part.dtype() == dtype && part.cols() == cols),
            "the parts of a weight have one type and row length"
        );
        let in_place = |kind| {
            let matrices = parts.iter().map(|part| (part.rows(), part.bytes().clone()));
            Ok(Self(Storage::Float(FloatRows::new(kind, cols, matrices))))
        };
        match dtype {
            DType::F32 => in_place(FloatKind::F32),
            DType::F16 => in_place(FloatKind::F16),
            DType::BF16 => in_place(FloatKind::Bf16),
            DType::F64 => converted(team, parts, FloatKind::F32),
            DType::Bool | DType::U8 | DType::I8 | DType::I16 | DType::I32 | DType::I64 => {
                Err(DeviceError::UnsupportedType { dtype, cols, why: "integers are no weights" })
            }
            _ if Packed::holds(dtype) => Packed::pack(parts, |tiles, pack| team.for_each(tiles, pack))
                .map(|packed| Self(Storage::Packed(packed))),
            _ => converted(team, parts, FloatKind::F16),
        }
    }

    pub(crate) fn dtype(&self) -> DType {
        match &self.0 {
            Storage::Float(rows) => rows.kind.dtype(),
            Storage::Packed(packed) => packed.dtype(),
        }
    }

    /// O.
    pub(crate) fn rows(&self) -> usize {
        match &self.0 {
            Storage::Float(rows) => rows.rows,
            Storage::Packed(packed) => packed.rows(),
        }
    }

    /// C.
    pub(crate) fn cols(&self) -> usize {
        match &self.0 {
            Storage::Float(rows) => rows.cols,
            Storage::Packed(packed) => packed.cols(),
        }
    }

    pub(crate) fn bytes(&self) -> usize {
        match &self.0 {
            Storage::Float(rows) => rows.rows * rows.row_bytes(),
            Storage::Packed(packed) => packed.bytes(),
        }
    }

    /// Reads one row as f32.
    pub(crate) fn read_row(&self, row: usize, out: &mut [f32]) {
        match &self.0 {
            Storage::Float(rows) => blocks::dequantize(rows.kind.dtype(), rows.row(row), out),
            Storage::Packed(packed) => packed.dequantize_row(row, out),
        }
    }
}

/// Memory of our own with the values of `parts` as floats of `kind`.
fn converted(team: &Team, parts: &[Matrix], kind: FloatKind) -> Result<Weight, DeviceError> {
    let cols = parts[0].cols();
    let mut matrices = Vec::with_capacity(parts.len());
    for part in parts {
        let row_bytes = cols * kind.bytes();
        let wanted = part.rows().saturating_mul(row_bytes);
        let refused = |_| DeviceError::OutOfMemory { what: "converted weights", bytes: wanted };
        let mut bytes = Vec::new();
        bytes.try_reserve_exact(wanted).map_err(refused)?;
        bytes.resize(wanted, 0u8);
        let out = Shared::new(&mut bytes);
        let source: &[u8] = part.bytes();
        let source_bytes = source.len() / part.rows().max(1);
        // Chunks of rows: one f32 row of scratch serves many.
        const CHUNK: usize = 64;
        team.for_each(part.rows().div_ceil(CHUNK), |chunk| {
            let mut values = vec![0.0f32; cols];
            for row in chunk * CHUNK..((chunk + 1) * CHUNK).min(part.rows()) {
                blocks::dequantize(part.dtype(), &source[row * source_bytes..][..source_bytes], &mut values);
                // SAFETY: each row belongs to one chunk, each chunk to one call.
                let out = unsafe { out.part(row * row_bytes, row_bytes) };
                match kind {
                    FloatKind::F32 => write(&values, out, f32::to_le_bytes),
                    FloatKind::F16 => write(&values, out, |x| f16::from_f32(x).to_le_bytes()),
                    FloatKind::Bf16 => write(&values, out, |x| half::bf16::from_f32(x).to_le_bytes()),
                }
            }
        });
        matrices.push((part.rows(), Bytes::from(bytes)));
    }
    Ok(Weight(Storage::Float(FloatRows::new(kind, cols, matrices.into_iter()))))
}

fn write<const B: usize>(values: &[f32], out: &mut [u8], to_bytes: impl Fn(f32) -> [u8; B]) {
    for (out, &x) in out.as_chunks_mut::<B>().0.iter_mut().zip(values) {
        *out = to_bytes(x);
    }
}

/// Writes values through the team as blocks of `dtype`, appending to `out`.
pub(crate) fn quantize(
    team: &Team,
    dtype: DType,
    cols: usize,
    values: &[f32],
    out: &mut Vec<u8>,
) -> Result<(), DeviceError> {
    let unsupported = |why| DeviceError::UnsupportedType { dtype, cols, why };
    if !blocks::can_quantize(dtype) {
        return Err(unsupported("it can be read, but not written"));
    }
    let row_bytes = dtype.bytes_for(cols).ok_or_else(|| unsupported("a row does not fill whole blocks"))?;
    if cols == 0 || !values.len().is_multiple_of(cols) {
        return Err(unsupported("the values are not whole rows"));
    }
    let rows = values.len() / cols;
    let bytes = rows * row_bytes;
    let start = out.len();
    out.try_reserve(bytes).map_err(|_| DeviceError::OutOfMemory { what: "quantised rows", bytes })?;
    out.resize(start + bytes, 0);
    let written = Shared::new(&mut out[start..]);
    team.for_each(rows, |row| {
        // SAFETY: each row is given to one call.
        let out = unsafe { written.part(row * row_bytes, row_bytes) };
        blocks::quantize(dtype, &values[row * cols..][..cols], out).expect("type and length were checked");
    });
    Ok(())
}

/// Reads any stored type through the team.
pub(crate) fn dequantize(team: &Team, dtype: DType, bytes: &[u8], values: &mut [f32]) -> Result<(), DeviceError> {
    if dtype.bytes_for(values.len()) != Some(bytes.len()) {
        let why = "the bytes are not that many values in whole blocks";
        return Err(DeviceError::UnsupportedType { dtype, cols: values.len(), why });
    }
    /// Values in a chunk, whole blocks of every type.
    const CHUNK: usize = 16_384;
    let count = values.len();
    let chunk_bytes = dtype.bytes_for(CHUNK).expect("the chunk is whole blocks of every type");
    let written = Shared::new(values);
    team.for_each(count.div_ceil(CHUNK), |chunk| {
        let len = CHUNK.min(count - chunk * CHUNK);
        let len_bytes = dtype.bytes_for(len).expect("a chunk ends at a block, or at the end");
        // SAFETY: each chunk is given to one call.
        let out = unsafe { written.part(chunk * CHUNK, len) };
        blocks::dequantize(dtype, &bytes[chunk * chunk_bytes..][..len_bytes], out);
    });
    Ok(())
}
