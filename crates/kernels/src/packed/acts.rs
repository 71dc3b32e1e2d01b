//! Activations quantised once per operation and shared by every tile that reads them.
//!
//! Each row is a run of records, one for 32 consecutive values `x`, with `d` chosen so that the largest magnitude uses
//! the whole range and `q = round(x / d)`, ties to even. Two forms, by what the weights ask for:
//!
//! | form | `q` | after it |
//! |---|---|---|
//! | [`Form::I8`], 44 bytes | 32 x i8, up to 127 | `d`: f32; `8 d sum(q)`: f32; sums of each 16 `q`: 2 x i16 |
//! | [`Form::I16`], 68 bytes | 32 x i16, up to 32767 | `d`: f32 |
//!
//! Both instruction sets write the same bytes. A block with a NaN or an infinity gets `d = NaN`, so that the fault
//! shows in the result; one too small for its reciprocal (below 1e-34 or so) is zero.

use gptneo_device::DeviceError;

use super::memory::{ALIGN, Memory};
use crate::isa::Isa;

/// Values in a record.
pub(crate) const BLOCK: usize = 32;

/// How the activations must be quantised.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    /// 8-bit.
    I8,
    /// 16-bit, practically exact.
    I16,
}

impl Form {
    /// Bytes of a record.
    pub(crate) const fn record(self) -> usize {
        match self {
            Form::I8 => i8_record::BYTES,
            Form::I16 => i16_record::BYTES,
        }
    }
}

/// Offsets in a record of [`Form::I8`].
pub(crate) mod i8_record {
    /// The scale `d`.
    pub(crate) const SCALE: usize = 32;
    /// `8 d sum(q)`.
    pub(crate) const SUM: usize = 36;
    /// Sums of the first and the second 16 `q`.
    pub(crate) const HALVES: usize = 40;
    pub(crate) const BYTES: usize = 44;
}

/// Offsets in a record of [`Form::I16`].
pub(crate) mod i16_record {
    /// The scale `d`.
    pub(crate) const SCALE: usize = 64;
    pub(crate) const BYTES: usize = 68;
}

/// Quantised rows in storage that is reused from operation to operation.
pub(crate) struct QuantRows {
    form: Form,
    rows: usize,
    cols: usize,
    stride: usize,
    memory: Memory,
}

impl QuantRows {
    pub(crate) const fn new() -> Self {
        Self { form: Form::I8, rows: 0, cols: 0, stride: ALIGN, memory: Memory::empty() }
    }

    /// Makes room for `rows` rows of `cols` values (a multiple of 32); allocates only to grow. The rows hold no
    /// meaning until they are written.
    pub(crate) fn reserve(&mut self, form: Form, rows: usize, cols: usize) -> Result<(), DeviceError> {
        assert!(cols.is_multiple_of(BLOCK), "rows of {cols} values are not whole blocks of {BLOCK}");
        let too_much = || DeviceError::OutOfMemory { what: "quantised activations", bytes: usize::MAX };
        let record_bytes = (cols / BLOCK).checked_mul(form.record()).ok_or_else(too_much)?;
        // An odd number of cache lines: rows one below the other then spread over the sets of the cache.
        let stride = (record_bytes.div_ceil(ALIGN) | 1).checked_mul(ALIGN).ok_or_else(too_much)?;
        let bytes = stride.checked_mul(rows).ok_or_else(too_much)?;
        if bytes > self.memory.len() {
            self.memory = Memory::zeroed(bytes, "quantised activations")?;
        }
        (self.form, self.rows, self.cols, self.stride) = (form, rows, cols, stride);
        Ok(())
    }

    pub(crate) fn form(&self) -> Form {
        self.form
    }

    pub(crate) fn cols(&self) -> usize {
        self.cols
    }

    /// The records of `row`.
    pub(crate) fn row(&self, row: usize) -> &[u8] {
        assert!(row < self.rows, "row {row} of {}", self.rows);
        &self.memory.as_slice()[row * self.stride..][..self.stride]
    }

    /// Quantises `x: [cols]` into `row`.
    pub(crate) fn quantize_row(&mut self, isa: Isa, row: usize, x: &[f32]) {
        assert_eq!(x.len(), self.cols, "a row of {} values", self.cols);
        // SAFETY: the exclusive borrow makes this the only writer.
        unsafe { self.writer().quantize_span(isa, row, 0, x) };
    }

    /// A handle for several threads that write distinct spans at once.
    pub(crate) fn writer(&mut self) -> Writer<'_> {
        Writer {
            start: self.memory.as_mut_ptr(),
            form: self.form,
            rows: self.rows,
            cols: self.cols,
            stride: self.stride,
            owner: std::marker::PhantomData,
        }
    }
}

/// Writes spans of [`QuantRows`] from any thread.
#[derive(Clone, Copy)]
pub(crate) struct Writer<'a> {
    start: *mut u8,
    form: Form,
    rows: usize,
    cols: usize,
    stride: usize,
    owner: std::marker::PhantomData<&'a mut QuantRows>,
}

// SAFETY: the handle borrows the rows exclusively; its only method asks callers for distinct spans.
unsafe impl Send for Writer<'_> {}
// SAFETY: as above.
unsafe impl Sync for Writer<'_> {}

impl Writer<'_> {
    /// Quantises `x` into `row` from column `col`; both `col` and the length are multiples of 32.
    ///
    /// # Safety
    /// No two threads write the same 32 columns of one row at once.
    pub(crate) unsafe fn quantize_span(&self, isa: Isa, row: usize, col: usize, x: &[f32]) {
        assert!(col.is_multiple_of(BLOCK) && x.len().is_multiple_of(BLOCK), "spans are whole blocks of {BLOCK}");
        assert!(row < self.rows && col + x.len() <= self.cols, "span outside of [{}, {}]", self.rows, self.cols);
        let offset = row * self.stride + col / BLOCK * self.form.record();
        let len = x.len() / BLOCK * self.form.record();
        // SAFETY: within the reserved memory by the assertions above; the caller keeps spans distinct.
        let out = unsafe { std::slice::from_raw_parts_mut(self.start.add(offset), len) };
        #[cfg(target_arch = "x86_64")]
        if isa >= Isa::Avx2 && isa.is_available() {
            // SAFETY: the machine was just seen to have avx2.
            return unsafe {
                match self.form {
                    Form::I8 => avx2::i8_row(x, out),
                    Form::I16 => avx2::i16_row(x, out),
                }
            };
        }
        let _ = isa;
        match self.form {
            Form::I8 => plain::i8_row(x, out),
            Form::I16 => plain::i16_row(x, out),
        }
    }
}

/// Scale and reciprocal for a block whose largest magnitude has the bits `max`, in `range` steps.
#[inline(always)]
fn scale(max: u32, range: f32) -> (f32, f32) {
    let largest = f32::from_bits(max);
    let (d, inverse) = (largest / range, range / largest);
    if !largest.is_finite() {
        (f32::NAN, 0.0)
    } else if inverse.is_finite() {
        (d, inverse)
    } else {
        (0.0, 0.0)
    }
}

mod plain {
    use super::{BLOCK, i8_record, i16_record, scale};
    use crate::blocks::round;

    #[inline(always)]
    fn quantize(x: &[f32; BLOCK], range: f32) -> (f32, [i32; BLOCK]) {
        // As integers, the magnitudes of floats order as the floats do, with infinity and NaN on top.
        let max = x.iter().fold(0, |max, v| max.max(v.to_bits() & 0x7fff_ffff));
        let (d, inverse) = scale(max, range);
        if inverse == 0.0 {
            return (d, [0; BLOCK]);
        }
        (d, x.map(|v| round(v * inverse)))
    }

    pub(super) fn i8_row(x: &[f32], out: &mut [u8]) {
        let (blocks, _) = x.as_chunks::<BLOCK>();
        let (records, _) = out.as_chunks_mut::<{ i8_record::BYTES }>();
        for (x, record) in blocks.iter().zip(records) {
            let (d, q) = quantize(x, 127.0);
            for (byte, q) in record.iter_mut().zip(q) {
                *byte = q as i8 as u8;
            }
            let first: i32 = q[..16].iter().sum();
            let second: i32 = q[16..].iter().sum();
            super::finish_i8(record, d, first, second);
        }
    }

    pub(super) fn i16_row(x: &[f32], out: &mut [u8]) {
        let (blocks, _) = x.as_chunks::<BLOCK>();
        let (records, _) = out.as_chunks_mut::<{ i16_record::BYTES }>();
        for (x, record) in blocks.iter().zip(records) {
            let (d, q) = quantize(x, 32767.0);
            let (pairs, _) = record.as_chunks_mut::<2>();
            for (bytes, q) in pairs.iter_mut().zip(q) {
                *bytes = (q as i16).to_ne_bytes();
            }
            record[i16_record::SCALE..].copy_from_slice(&d.to_ne_bytes());
        }
    }
}

/// Writes what stands after the 32 bytes of a record of [`Form::I8`].
#[inline(always)]
fn finish_i8(record: &mut [u8; i8_record::BYTES], d: f32, first: i32, second: i32) {
    let sum = 8.0 * d * (first + second) as f32;
    record[i8_record::SCALE..i8_record::SUM].copy_from_slice(&d.to_ne_bytes());
    record[i8_record::SUM..i8_record::HALVES].copy_from_slice(&sum.to_ne_bytes());
    record[i8_record::HALVES..i8_record::HALVES + 2].copy_from_slice(&(first as i16).to_ne_bytes());
    record[i8_record::HALVES + 2..].copy_from_slice(&(second as i16).to_ne_bytes());
}

#[cfg(target_arch = "x86_64")]
mod avx2 {
    use std::arch::x86_64::*;

    use super::{BLOCK, i8_record, i16_record, scale};

    /// The scale and the 32 quantised values as four vectors of i32.
    #[inline]
    #[target_feature(enable = "avx2")]
    fn quantize(x: &[f32; BLOCK], range: f32) -> (f32, [__m256i; 4]) {
        // SAFETY: four vectors of eight lie within the 32 values.
        let v: [__m256; 4] = std::array::from_fn(|i| unsafe { _mm256_loadu_ps(x.as_ptr().add(8 * i)) });
        let magnitude = |v| _mm256_and_si256(_mm256_castps_si256(v), _mm256_set1_epi32(0x7fff_ffff));
        let max = _mm256_max_epi32(
            _mm256_max_epi32(magnitude(v[0]), magnitude(v[1])),
            _mm256_max_epi32(magnitude(v[2]), magnitude(v[3])),
        );
        let max = _mm_max_epi32(_mm256_castsi256_si128(max), _mm256_extracti128_si256::<1>(max));
        let max = _mm_max_epi32(max, _mm_shuffle_epi32::<0b0100_1110>(max));
        let max = _mm_max_epi32(max, _mm_shuffle_epi32::<0b1011_0001>(max));
        let (d, inverse) = scale(_mm_cvtsi128_si32(max) as u32, range);
        if inverse == 0.0 {
            return (d, [_mm256_setzero_si256(); 4]);
        }
        let inverse = _mm256_set1_ps(inverse);
        (d, v.map(|v| _mm256_cvtps_epi32(_mm256_mul_ps(v, inverse))))
    }

    #[target_feature(enable = "avx2")]
    pub(super) fn i8_row(x: &[f32], out: &mut [u8]) {
        let order = _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7);
        let (blocks, _) = x.as_chunks::<BLOCK>();
        let (records, _) = out.as_chunks_mut::<{ i8_record::BYTES }>();
        for (x, record) in blocks.iter().zip(records) {
            let (d, q) = quantize(x, 127.0);
            let bytes = _mm256_packs_epi16(_mm256_packs_epi32(q[0], q[1]), _mm256_packs_epi32(q[2], q[3]));
            let bytes = _mm256_permutevar8x32_epi32(bytes, order);
            // SAFETY: a record holds more than 32 bytes.
            unsafe { _mm256_storeu_si256(record.as_mut_ptr().cast(), bytes) };
            let pairs = _mm256_maddubs_epi16(_mm256_set1_epi8(1), bytes);
            let fours = _mm256_madd_epi16(pairs, _mm256_set1_epi16(1));
            let sum = |v| {
                let v = _mm_add_epi32(v, _mm_shuffle_epi32::<0b0100_1110>(v));
                _mm_cvtsi128_si32(_mm_add_epi32(v, _mm_shuffle_epi32::<0b1011_0001>(v)))
            };
            super::finish_i8(record, d, sum(_mm256_castsi256_si128(fours)), sum(_mm256_extracti128_si256::<1>(fours)));
        }
    }

    #[target_feature(enable = "avx2")]
    pub(super) fn i16_row(x: &[f32], out: &mut [u8]) {
        let (blocks, _) = x.as_chunks::<BLOCK>();
        let (records, _) = out.as_chunks_mut::<{ i16_record::BYTES }>();
        for (x, record) in blocks.iter().zip(records) {
            let (d, q) = quantize(x, 32767.0);
            for half in 0..2 {
                let words = _mm256_packs_epi32(q[2 * half], q[2 * half + 1]);
                let words = _mm256_permute4x64_epi64::<0b11_01_10_00>(words);
                // SAFETY: a record holds two vectors of sixteen words, and more.
                unsafe { _mm256_storeu_si256(record.as_mut_ptr().add(32 * half).cast(), words) };
            }
            record[i16_record::SCALE..].copy_from_slice(&d.to_ne_bytes());
        }
    }
}
