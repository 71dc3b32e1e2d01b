//! Tiles of Q4_0: 4-bit weights `u - 8` with one f16 scale `d` for 32.
//!
//! A block of a tile is 16 rows by 32 columns in 288 bytes: 16 scales; then, for each four columns, four bytes of each
//! of eight rows in turn, whose low halves are rows 0 to 7 and whose high halves are rows 8 to 15. With activations of
//! [`Form::I8`](super::Form::I8) the sums of 16 products `u q` fit i16 (`15 * 127 * 16 = 30480`). A block adds
//! `d (dx sum(u q) - 8 dx sum(q))` to a row's sum, in f32, block after block.

use half::f16;

use super::acts::i8_record as record;
use super::{BLOCK, TILE};

/// Bytes of one row's block as stored in files.
const STORED: usize = 18;
/// Bytes of a block of a tile.
pub(crate) const BYTES: usize = TILE * STORED;

/// Packs sixteen stored rows; `out` takes all of the tile.
pub(crate) fn pack(rows: &[&[u8]; TILE], out: &mut [u8]) {
    let (blocks, _) = out.as_chunks_mut::<BYTES>();
    for (b, block) in blocks.iter_mut().enumerate() {
        let stored = rows.map(|row| row[b * STORED..].first_chunk::<STORED>().expect("rows are whole blocks"));
        let (scales, values) = block.split_at_mut(2 * TILE);
        for (scale, stored) in scales.as_chunks_mut::<2>().0.iter_mut().zip(&stored) {
            *scale = [stored[0], stored[1]];
        }
        // The file's byte `k` holds column `k` in its low half and column `16 + k` in its high half.
        pack_nibbles(values, |lane, i| {
            let word = stored[lane][2..].as_chunks::<4>().0[i % 4];
            u32::from_le_bytes(word) >> (i / 4 * 4)
        });
    }
}

/// Lays 16 rows of 32 nibbles into 256 bytes; `word(row, i)` has columns `4 i` to `4 i + 3` of a row in the low halves
/// of its bytes.
#[inline(always)]
pub(super) fn pack_nibbles(out: &mut [u8], word: impl Fn(usize, usize) -> u32) {
    const LOW: u32 = 0x0f0f_0f0f;
    let (out, _) = out.as_chunks_mut::<4>();
    for i in 0..8 {
        for lane in 0..8 {
            out[8 * i + lane] = ((word(lane, i) & LOW) | (word(lane + 8, i) & LOW) << 4).to_le_bytes();
        }
    }
}

/// The nibble of `lane` at column `k` of 256 bytes as [`pack`] lays them.
#[inline(always)]
pub(super) fn nibble(values: &[u8], lane: usize, k: usize) -> u8 {
    let byte = values[32 * (k / 4) + 4 * (lane % 8) + k % 4];
    if lane < 8 { byte & 15 } else { byte >> 4 }
}

/// The values of one row of the tile.
pub(crate) fn dequantize(tile: &[u8], lane: usize, out: &mut [f32]) {
    let (blocks, _) = tile.as_chunks::<BYTES>();
    let (rows, _) = out.as_chunks_mut::<BLOCK>();
    for (block, out) in blocks.iter().zip(rows) {
        let d = f16::from_le_bytes([block[2 * lane], block[2 * lane + 1]]).to_f32();
        for (k, value) in out.iter_mut().enumerate() {
            *value = d * (f32::from(nibble(&block[2 * TILE..], lane, k)) - 8.0);
        }
    }
}

/// The dot products of `T` tokens' records with the rows of the tile.
pub(crate) mod plain {
    use super::*;
    use crate::packed::plain::{add_scaled, nibble_sums, read_f32, scales, subtract_scaled};

    pub(crate) fn multiply<const T: usize>(tile: &[u8], tokens: [&[u8]; T], out: &mut [[f32; TILE]; T]) {
        *out = [[0.0; TILE]; T];
        let (blocks, _) = tile.as_chunks::<BYTES>();
        for (b, block) in blocks.iter().enumerate() {
            let d = scales(block);
            for (token, out) in tokens.iter().zip(out.iter_mut()) {
                let token = &token[b * record::BYTES..][..record::BYTES];
                let sums = nibble_sums(&block[2 * TILE..], token);
                let (dx, eight) = (read_f32(token, record::SCALE), read_f32(token, record::SUM));
                for (lane, sum) in sums.iter().enumerate() {
                    out[lane] = add_scaled(out[lane], d[lane], subtract_scaled(eight, dx, *sum as f32));
                }
            }
        }
    }
}

/// As [`plain`], with 8-bit multiply-adds over eight rows at once.
#[cfg(target_arch = "x86_64")]
pub(crate) mod avx2 {
    use std::arch::x86_64::*;

    use super::*;
    use crate::packed::avx2::{Ahead, broadcast_f32, half_to_f32, nibble_sums, store};

    #[target_feature(enable = "avx2,fma,f16c")]
    pub(crate) fn multiply<const T: usize>(
        tile: &[u8],
        tokens: [&[u8]; T],
        mut ahead: Ahead,
        out: &mut [[f32; TILE]; T],
    ) {
        let blocks = tile.len() / BYTES;
        for token in tokens {
            assert!(token.len() >= blocks * record::BYTES, "a token of fewer blocks than the tile");
        }
        let mut sum = [[_mm256_setzero_ps(); 2]; T];
        for b in 0..blocks {
            ahead.fetch();
            // SAFETY: block `b` lies within the tile, and record `b` within each token, as checked above; every
            // offset below is less than the size of a block or a record.
            unsafe {
                let block = tile.as_ptr().add(b * BYTES);
                let records = tokens.map(|token| token.as_ptr().add(b * record::BYTES));
                let acc = nibble_sums(block.add(2 * TILE), records);
                let d = [half_to_f32(block), half_to_f32(block.add(TILE))];
                for t in 0..T {
                    let dx = broadcast_f32(records[t].add(record::SCALE));
                    let eight = broadcast_f32(records[t].add(record::SUM));
                    for h in 0..2 {
                        let y = _mm256_fmsub_ps(_mm256_cvtepi32_ps(acc[t][h]), dx, eight);
                        sum[t][h] = _mm256_fmadd_ps(d[h], y, sum[t][h]);
                    }
                }
            }
        }
        store(sum, out);
    }
}

/// As [`plain`], with 8-bit dot products over sixteen rows at once.
#[cfg(target_arch = "x86_64")]
pub(crate) mod avx512 {
    use std::arch::x86_64::*;

    use super::*;
    use crate::packed::avx2::Ahead;
    use crate::packed::avx512::{broadcast_f32, half_to_f32, nibble_sums, store};

    #[target_feature(enable = "avx2,avx512f,avx512vnni")]
    pub(crate) fn multiply<const T: usize>(
        tile: &[u8],
        tokens: [&[u8]; T],
        mut ahead: Ahead,
        out: &mut [[f32; TILE]; T],
    ) {
        let blocks = tile.len() / BYTES;
        for token in tokens {
            assert!(token.len() >= blocks * record::BYTES, "a token of fewer blocks than the tile");
        }
        let mut sum = [_mm512_setzero_ps(); T];
        for b in 0..blocks {
            ahead.fetch();
            // SAFETY: block `b` lies within the tile, and record `b` within each token, as checked above; every
            // offset below is less than the size of a block or a record.
            unsafe {
                let block = tile.as_ptr().add(b * BYTES);
                let records = tokens.map(|token| token.as_ptr().add(b * record::BYTES));
                let acc = nibble_sums(block.add(2 * TILE), records);
                let d = half_to_f32(block);
                for t in 0..T {
                    let dx = broadcast_f32(records[t].add(record::SCALE));
                    let eight = broadcast_f32(records[t].add(record::SUM));
                    let y = _mm512_fmsub_ps(_mm512_cvtepi32_ps(acc[t]), dx, eight);
                    sum[t] = _mm512_fmadd_ps(d, y, sum[t]);
                }
            }
        }
        store(sum, out);
    }
}
