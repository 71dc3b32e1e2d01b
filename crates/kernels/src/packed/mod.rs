//! Quantised matrices, repacked when they are loaded into tiles that the kernels read in order.
//!
//! A tile is 16 rows by all columns, block after block; the lanes of a vector hold different rows, so that no sum
//! crosses lanes. Rows past the last are zero. The formats ([`q8_0`], [`q4_0`], [`q4_k`], [`q6_k`]) say how a block of
//! a tile is laid out and what it adds to a row's sum. Activations are quantised per token ([`QuantRows`]).
//!
//! Every dot product is summed in one fixed order, block after block of 32 columns, whatever the number of tokens in
//! the call: within one instruction set a token's results are the same to the bit alone and among others. The sums
//! within a block are exact integers on every instruction set; only the rounding of the f32 additions differs, by at
//! most `4 B 2^-24` of the sum of the magnitudes added over `B` blocks. `tests` holds both at odd sizes.

mod acts;
#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;
#[doc(hidden)]
pub mod bench;
mod memory;
mod plain;
mod q4_0;
mod q4_k;
mod q6_k;
mod q8_0;
#[cfg(test)]
mod tests;

use std::ops::Range;

use gptneo_device::{DType, DeviceError, Matrix};

pub(crate) use acts::{BLOCK, Form, QuantRows, Writer};
pub(crate) use memory::Memory;

use crate::isa::Isa;

/// Bytes between what an AVX2 kernel reads and what it asks for, with one token. With two threads 1 KiB came nearest to the
/// machine's limit on Zen 3 (0.96 of it, 0.92 without, less again from 4 KiB on), and 2 KiB is no worse on Zen 4.
#[cfg(target_arch = "x86_64")]
const AHEAD: usize = 2048;

/// The same for AVX-512 kernels: on Zen 4, 4 KiB give one thread 0.92-0.96 of its limit, 1 KiB 0.84.
#[cfg(target_arch = "x86_64")]
const WIDE_AHEAD: usize = 4096;

/// Rows of a tile.
pub(crate) const TILE: usize = 16;

/// How tiles are laid out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Layout {
    Q8_0,
    Q4_0,
    Q4K,
    Q6K,
}

impl Layout {
    /// The layout that holds a stored type exactly.
    fn of(dtype: DType) -> Option<Self> {
        match dtype {
            DType::Q8_0 | DType::Q5_0 => Some(Self::Q8_0),
            DType::Q4_0 => Some(Self::Q4_0),
            DType::Q4_K => Some(Self::Q4K),
            DType::Q6_K => Some(Self::Q6K),
            _ => None,
        }
    }

    fn dtype(self) -> DType {
        match self {
            Self::Q8_0 => DType::Q8_0,
            Self::Q4_0 => DType::Q4_0,
            Self::Q4K => DType::Q4_K,
            Self::Q6K => DType::Q6_K,
        }
    }

    fn form(self) -> Form {
        match self {
            Self::Q8_0 => Form::I16,
            Self::Q4_0 | Self::Q4K | Self::Q6K => Form::I8,
        }
    }

    /// Tokens that one pass over a tile serves at most: as many as leave the sums of a block in registers, by measurement.
    fn group(self, isa: Isa) -> usize {
        match (isa, self) {
            (Isa::Avx512, Self::Q4_0 | Self::Q4K) => 12,
            (Isa::Avx512, Self::Q8_0) => 12,
            (Isa::Avx512, Self::Q6K) => 8,
            (_, Self::Q4_0 | Self::Q4K) => 5,
            (_, Self::Q8_0 | Self::Q6K) => 6,
        }
    }

    /// Columns and bytes of the smallest piece of a tile.
    fn unit(self) -> (usize, usize) {
        match self {
            Self::Q8_0 => (BLOCK, q8_0::BYTES),
            Self::Q4_0 => (BLOCK, q4_0::BYTES),
            Self::Q4K => (q4_k::UNIT, q4_k::BYTES),
            Self::Q6K => (q6_k::UNIT, q6_k::BYTES),
        }
    }
}

/// A quantised matrix `[rows, cols]` in tiles.
pub(crate) struct Packed {
    layout: Layout,
    rows: usize,
    cols: usize,
    tile_bytes: usize,
    memory: Memory,
}

impl std::fmt::Debug for Packed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Packed({} [{}, {}])", self.dtype(), self.rows, self.cols)
    }
}

/// Distinct tiles are written from distinct threads.
struct TileWriter(*mut u8);

// SAFETY: see `Packed::pack`: each index is given to one call only, and tiles do not overlap.
unsafe impl Sync for TileWriter {}

impl Packed {
    /// Whether [`Packed::pack`] takes matrices of this type.
    pub(crate) fn holds(dtype: DType) -> bool {
        Layout::of(dtype).is_some()
    }

    /// Packs the rows of all `parts`, one below the other. `for_each(n, f)` calls `f` once with every index below `n`,
    /// from as many threads as it likes.
    ///
    /// # Errors
    /// If the type has no packed layout ([`Packed::holds`]), or the memory is refused.
    ///
    /// # Panics
    /// If the parts differ in type or row length, or there are none.
    pub(crate) fn pack(
        parts: &[Matrix],
        for_each: impl FnOnce(usize, &(dyn Fn(usize) + Sync)),
    ) -> Result<Self, DeviceError> {
        let first = parts.first().expect("a weight has at least one part");
        let (dtype, cols) = (first.dtype(), first.cols());
        assert!(parts.iter().all(|part| part.dtype() == dtype && part.cols() == cols), "parts of one type and width");
        let why = "it has no packed layout; convert it first";
        let layout = Layout::of(dtype).ok_or(DeviceError::UnsupportedType { dtype, cols, why })?;
        let rows: usize = parts.iter().map(Matrix::rows).sum();
        let (unit_cols, unit_bytes) = layout.unit();
        let refused = || DeviceError::OutOfMemory { what: "packed weights", bytes: usize::MAX };
        let tile_bytes = (cols / unit_cols).checked_mul(unit_bytes).ok_or_else(refused)?;
        let tiles = rows.div_ceil(TILE);
        let mut memory = Memory::zeroed(tiles.checked_mul(tile_bytes).ok_or_else(refused)?, "packed weights")?;

        let row_bytes = dtype.bytes_for(cols).expect("a matrix has rows of whole blocks");
        // A row of zero bytes has zero scales in every format.
        let zero = vec![0; if rows.is_multiple_of(TILE) { 0 } else { row_bytes }];
        let stored: Vec<&[u8]> = parts.iter().map(|part| &**part.bytes()).collect();
        let mut starts = Vec::with_capacity(parts.len());
        let mut start = 0;
        for part in parts {
            starts.push(start);
            start += part.rows();
        }
        let row = |index: usize| {
            if index >= rows {
                return zero.as_slice();
            }
            let part = starts.partition_point(|&start| start <= index) - 1;
            &stored[part][(index - starts[part]) * row_bytes..][..row_bytes]
        };
        let writer = TileWriter(memory.as_mut_ptr());
        for_each(tiles, &|tile| {
            assert!(tile < tiles, "tile {tile} of {tiles}");
            let sources = std::array::from_fn(|lane| row(tile * TILE + lane));
            let writer = &writer;
            // SAFETY: the tile lies within the memory, and `for_each` gives each index to one call only.
            let out = unsafe { std::slice::from_raw_parts_mut(writer.0.add(tile * tile_bytes), tile_bytes) };
            match (layout, dtype) {
                (Layout::Q8_0, DType::Q5_0) => q8_0::pack_q5_0(&sources, out),
                (Layout::Q8_0, _) => q8_0::pack(&sources, out),
                (Layout::Q4_0, _) => q4_0::pack(&sources, out),
                (Layout::Q4K, _) => q4_k::pack(&sources, out),
                (Layout::Q6K, _) => q6_k::pack(&sources, out),
            }
        });
        Ok(Self { layout, rows, cols, tile_bytes, memory })
    }

    /// The type computed with: that of the parts, or one that holds it exactly.
    pub(crate) fn dtype(&self) -> DType {
        self.layout.dtype()
    }

    pub(crate) fn rows(&self) -> usize {
        self.rows
    }

    pub(crate) fn cols(&self) -> usize {
        self.cols
    }

    /// How many tiles there are, the last perhaps not full.
    pub(crate) fn tiles(&self) -> usize {
        self.rows.div_ceil(TILE)
    }

    /// How activations must be quantised for [`Packed::multiply`].
    pub(crate) fn form(&self) -> Form {
        self.layout.form()
    }

    /// Bytes of all tiles.
    pub(crate) fn bytes(&self) -> usize {
        self.memory.len()
    }

    fn tile(&self, tile: usize) -> &[u8] {
        &self.memory.as_slice()[tile * self.tile_bytes..][..self.tile_bytes]
    }

    /// The values of one row, `out: [cols]`, to the bit as the stored type defines them.
    pub(crate) fn dequantize_row(&self, row: usize, out: &mut [f32]) {
        assert!(row < self.rows && out.len() == self.cols, "row {row} into {} of {self:?}", out.len());
        let (tile, lane) = (self.tile(row / TILE), row % TILE);
        match self.layout {
            Layout::Q8_0 => q8_0::dequantize(tile, lane, out),
            Layout::Q4_0 => q4_0::dequantize(tile, lane, out),
            Layout::Q4K => q4_k::dequantize(tile, lane, out),
            Layout::Q6K => q6_k::dequantize(tile, lane, out),
        }
    }

    /// `out[i]`: the dot products of token `tokens.start + i` with the 16 rows of `tile`; rows past the last give 0.
    ///
    /// # Panics
    /// If `acts` has another form or width, fewer tokens, or `out` another length.
    pub(crate) fn multiply(
        &self,
        isa: Isa,
        tile: usize,
        acts: &QuantRows,
        tokens: Range<usize>,
        out: &mut [[f32; TILE]],
    ) {
        assert!(acts.form() == self.form() && acts.cols() == self.cols, "activations of another form or width");
        assert_eq!(tokens.len(), out.len(), "one result for each token");
        let tile = self.tile(tile);
        // Only the first pass over a tile waits for memory: it asks for what lies ahead.
        let mut pass = Pass { isa, tile, acts, first: tokens.start, fetch: tile.len() / (self.cols / BLOCK).max(1) };
        let groups = tokens.len().div_ceil(self.layout.group(isa));
        let mut out = out;
        for group in 0..groups {
            // As even as can be: 16 tokens go as four times 4, or as 6, 5 and 5.
            let count = out.len().div_ceil(groups - group);
            let (now, rest) = out.split_at_mut(count);
            match count {
                1 => self.pass::<1>(pass, now),
                2 => self.pass::<2>(pass, now),
                3 => self.pass::<3>(pass, now),
                4 => self.pass::<4>(pass, now),
                5 => self.pass::<5>(pass, now),
                6 => self.pass::<6>(pass, now),
                7 => self.pass::<7>(pass, now),
                8 => self.pass::<8>(pass, now),
                9 => self.pass::<9>(pass, now),
                10 => self.pass::<10>(pass, now),
                11 => self.pass::<11>(pass, now),
                _ => self.pass::<12>(pass, now),
            }
            pass = Pass { first: pass.first + count, fetch: 0, ..pass };
            out = rest;
        }
    }

    #[inline]
    fn pass<const T: usize>(&self, pass: Pass<'_>, out: &mut [[f32; TILE]]) {
        let Pass { isa, tile, acts, first, fetch } = pass;
        let tokens: [&[u8]; T] = std::array::from_fn(|i| acts.row(first + i));
        let out: &mut [[f32; TILE]; T] = out.try_into().expect("as many results as tokens");
        #[cfg(target_arch = "x86_64")]
        if isa == Isa::Avx512 && isa.is_available() {
            let ahead = avx2::Ahead::of(tile, fetch, WIDE_AHEAD);
            // SAFETY: the machine was just seen to have all that these use.
            unsafe {
                match self.layout {
                    Layout::Q8_0 => q8_0::avx512::multiply(tile, tokens, ahead, out),
                    Layout::Q4_0 => q4_0::avx512::multiply(tile, tokens, ahead, out),
                    Layout::Q4K => q4_k::avx512::multiply(tile, tokens, ahead, out),
                    Layout::Q6K => q6_k::avx512::multiply(tile, tokens, ahead, out),
                }
            }
            return;
        }
        #[cfg(target_arch = "x86_64")]
        if isa == Isa::Avx2 && isa.is_available() {
            let ahead = avx2::Ahead::of(tile, fetch, AHEAD);
            // SAFETY: the machine was just seen to have avx2, fma and f16c.
            unsafe {
                match self.layout {
                    Layout::Q8_0 => q8_0::avx2::multiply(tile, tokens, ahead, out),
                    Layout::Q4_0 => q4_0::avx2::multiply(tile, tokens, ahead, out),
                    Layout::Q4K => q4_k::avx2::multiply(tile, tokens, ahead, out),
                    Layout::Q6K => q6_k::avx2::multiply(tile, tokens, ahead, out),
                }
            }
            return;
        }
        let _ = (isa, fetch);
        match self.layout {
            Layout::Q8_0 => q8_0::plain::multiply(tile, tokens, out),
            Layout::Q4_0 => q4_0::plain::multiply(tile, tokens, out),
            Layout::Q4K => q4_k::plain::multiply(tile, tokens, out),
            Layout::Q6K => q6_k::plain::multiply(tile, tokens, out),
        }
    }
}

/// One pass over a tile for a few tokens.
#[derive(Clone, Copy)]
struct Pass<'a> {
    isa: Isa,
    tile: &'a [u8],
    acts: &'a QuantRows,
    /// The first token.
    first: usize,
    /// Bytes to ask for ahead of time with every 32 columns.
    fetch: usize,
}
