//! Numbers stored one by one, little-endian: floats of four widths, integers, bools.

use half::slice::HalfFloatSliceExt;
use half::{bf16, f16};

/// Values converted at a time where a buffer is needed.
const CHUNK: usize = 256;

/// Reads numbers of `B` bytes.
pub(super) fn read<const B: usize>(bytes: &[u8], values: &mut [f32], convert: impl Fn([u8; B]) -> f32) {
    for (value, bytes) in values.iter_mut().zip(bytes.as_chunks::<B>().0) {
        *value = convert(*bytes);
    }
}

/// Writes numbers of `B` bytes.
pub(super) fn write<const B: usize>(values: &[f32], out: &mut [u8], convert: impl Fn(f32) -> [u8; B]) {
    for (value, out) in values.iter().zip(out.as_chunks_mut::<B>().0) {
        *out = convert(*value);
    }
}

pub(super) fn read_f16(bytes: &[u8], values: &mut [f32]) {
    // `half` converts slices with the processor's own instruction where there is one.
    let mut buffer = [f16::ZERO; CHUNK];
    for (values, bytes) in values.chunks_mut(CHUNK).zip(bytes.chunks(2 * CHUNK)) {
        let buffer = &mut buffer[..values.len()];
        for (half, bytes) in buffer.iter_mut().zip(bytes.as_chunks::<2>().0) {
            *half = f16::from_le_bytes(*bytes);
        }
        buffer.convert_to_f32_slice(values);
    }
}

pub(super) fn write_f16(values: &[f32], out: &mut [u8]) {
    let mut buffer = [f16::ZERO; CHUNK];
    for (values, out) in values.chunks(CHUNK).zip(out.chunks_mut(2 * CHUNK)) {
        let buffer = &mut buffer[..values.len()];
        buffer.convert_from_f32_slice(values);
        for (half, out) in buffer.iter().zip(out.as_chunks_mut::<2>().0) {
            *out = half.to_le_bytes();
        }
    }
}

pub(super) fn read_bf16(bytes: &[u8], values: &mut [f32]) {
    read(bytes, values, |b: [u8; 2]| f32::from_bits(u32::from(u16::from_le_bytes(b)) << 16));
}

pub(super) fn write_bf16(values: &[f32], out: &mut [u8]) {
    write(values, out, |v| bf16::from_f32(v).to_le_bytes());
}
