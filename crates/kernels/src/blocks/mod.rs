//! The block formats of GGUF: what the bytes of every storage type mean, and how values are turned into them.
//!
//! Each file holds a family, its layouts told field by field: [`plain`] numbers, [`simple`] blocks of 32, [`k`] blocks
//! of 256 with scales of scales, [`nonlinear`] levels, [`ternary`]. `tests` holds every format to golden bytes made by
//! `fixtures/blocks.py` with the Python package `gguf`, and our quantisers to that package's error.

mod k;
mod k_search;
mod nonlinear;
mod plain;
mod simple;
mod ternary;
#[cfg(test)]
mod tests;

use gptneo_device::{DType, DeviceError};
use half::f16;

pub(crate) use k::six_bit_pairs;

/// Whether [`quantize`] can write the type.
pub(crate) fn can_quantize(dtype: DType) -> bool {
    use DType::{BF16, F16, F32, Q4_0, Q4_K, Q6_K, Q8_0};
    matches!(dtype, F32 | F16 | BF16 | Q8_0 | Q4_0 | Q4_K | Q6_K)
}

/// Writes finite `values` as blocks of `dtype` into `out`, which has exactly their length.
///
/// # Errors
/// If the type cannot be written ([`can_quantize`]) or the values do not fill its blocks.
///
/// # Panics
/// If `out` has another length.
pub(crate) fn quantize(dtype: DType, values: &[f32], out: &mut [u8]) -> Result<(), DeviceError> {
    let refused = |why| DeviceError::UnsupportedType { dtype, cols: values.len(), why };
    let bytes = dtype.bytes_for(values.len()).ok_or_else(|| refused("they do not fill its blocks"))?;
    assert_eq!(out.len(), bytes, "the bytes of {} values of {dtype}", values.len());
    match dtype {
        DType::F32 => plain::write(values, out, f32::to_le_bytes),
        DType::F16 => plain::write_f16(values, out),
        DType::BF16 => plain::write_bf16(values, out),
        DType::Q8_0 => write_blocks(values, out, simple::quantize_q8_0),
        DType::Q4_0 => write_blocks(values, out, simple::quantize_q4_0),
        DType::Q4_K => write_blocks(values, out, k_search::quantize_q4_k),
        DType::Q6_K => write_blocks(values, out, k_search::quantize_q6_k),
        _ => return Err(refused("it can be read, but not written")),
    }
    Ok(())
}

/// Reads whole blocks of any type.
///
/// # Panics
/// If `bytes` are not exactly `values.len()` values in whole blocks.
pub(crate) fn dequantize(dtype: DType, bytes: &[u8], values: &mut [f32]) {
    assert_eq!(dtype.bytes_for(values.len()), Some(bytes.len()), "the bytes of {} values of {dtype}", values.len());
    match dtype {
        DType::F32 => plain::read(bytes, values, f32::from_le_bytes),
        DType::F16 => plain::read_f16(bytes, values),
        DType::BF16 => plain::read_bf16(bytes, values),
        DType::F64 => plain::read(bytes, values, |b| f64::from_le_bytes(b) as f32),
        DType::Bool => plain::read(bytes, values, |[b]| f32::from(u8::from(b != 0))),
        DType::U8 => plain::read(bytes, values, |[b]| f32::from(b)),
        DType::I8 => plain::read(bytes, values, |[b]| f32::from(b as i8)),
        DType::I16 => plain::read(bytes, values, |b| f32::from(i16::from_le_bytes(b))),
        DType::I32 => plain::read(bytes, values, |b| i32::from_le_bytes(b) as f32),
        DType::I64 => plain::read(bytes, values, |b| i64::from_le_bytes(b) as f32),
        DType::Q8_0 => read_blocks(bytes, values, simple::q8_0),
        DType::Q8_1 => read_blocks(bytes, values, simple::q8_1),
        DType::Q4_0 => read_blocks(bytes, values, simple::q4_0),
        DType::Q4_1 => read_blocks(bytes, values, simple::q4_1),
        DType::Q5_0 => read_blocks(bytes, values, simple::q5_0),
        DType::Q5_1 => read_blocks(bytes, values, simple::q5_1),
        DType::Q2_K => read_blocks(bytes, values, k::q2_k),
        DType::Q3_K => read_blocks(bytes, values, k::q3_k),
        DType::Q4_K => read_blocks(bytes, values, k::q4_k),
        DType::Q5_K => read_blocks(bytes, values, k::q5_k),
        DType::Q6_K => read_blocks(bytes, values, k::q6_k),
        DType::Q8_K => read_blocks(bytes, values, k::q8_k),
        DType::IQ4_NL => read_blocks(bytes, values, nonlinear::iq4_nl),
        DType::IQ4_XS => read_blocks(bytes, values, nonlinear::iq4_xs),
        DType::MXFP4 => read_blocks(bytes, values, nonlinear::mxfp4),
        DType::TQ1_0 => read_blocks(bytes, values, ternary::tq1_0),
        DType::TQ2_0 => read_blocks(bytes, values, ternary::tq2_0),
    }
}

fn write_blocks<const B: usize, const N: usize>(
    values: &[f32],
    out: &mut [u8],
    write: impl Fn(&[f32; N], &mut [u8; B]),
) {
    for (values, out) in values.as_chunks::<N>().0.iter().zip(out.as_chunks_mut::<B>().0) {
        write(values, out);
    }
}

fn read_blocks<const B: usize, const N: usize>(
    bytes: &[u8],
    values: &mut [f32],
    read: impl Fn(&[u8; B], &mut [f32; N]),
) {
    for (bytes, values) in bytes.as_chunks::<B>().0.iter().zip(values.as_chunks_mut::<N>().0) {
        read(bytes, values);
    }
}

/// The f16 at `at`.
#[inline(always)]
fn half_at(bytes: &[u8], at: usize) -> f32 {
    f16::from_le_bytes([bytes[at], bytes[at + 1]]).to_f32()
}

/// Rounds to the nearest integer, ties to even, for magnitudes below 2^22, in a way that every compiler turns into
/// vector code: at `1.5 * 2^23` the spacing of floats is 1.
#[inline(always)]
pub(crate) fn round(x: f32) -> i32 {
    const SHIFT: f32 = 12_582_912.0;
    (x + SHIFT).to_bits().wrapping_sub(SHIFT.to_bits()) as i32
}
