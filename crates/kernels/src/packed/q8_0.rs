//! Tiles of Q8_0: 8-bit weights `w` with one f16 scale `d` for 32.
//!
//! A block of a tile is 16 rows by 32 columns in 544 bytes: 16 scales; then, for each pair of columns, two bytes of
//! each row in turn. With activations of [`Form::I16`](super::Form::I16) every sum of 32 products is exact in i32
//! (`128 * 32767 * 32 < 2^31`); it is scaled by the activations' scale, and added to the row's sum times `d`, in f32,
//! block after block.

use half::f16;

use super::acts::i16_record as record;
use super::{BLOCK, TILE};

/// Bytes of one row's block as stored in files.
const STORED: usize = 34;
/// Bytes of a block of a tile.
pub(crate) const BYTES: usize = TILE * STORED;

/// Packs sixteen stored rows; `out` takes all of the tile.
pub(crate) fn pack(rows: &[&[u8]; TILE], out: &mut [u8]) {
    let (blocks, _) = out.as_chunks_mut::<BYTES>();
    for (b, block) in blocks.iter_mut().enumerate() {
        for (lane, row) in rows.iter().enumerate() {
            let stored = &row[b * STORED..][..STORED];
            put(block, lane, [stored[0], stored[1]], stored[2..].as_chunks::<2>().0);
        }
    }
}

/// Packs sixteen stored rows of Q5_0, whose values `q - 16` all fit.
pub(crate) fn pack_q5_0(rows: &[&[u8]; TILE], out: &mut [u8]) {
    const STORED: usize = 22;
    let (blocks, _) = out.as_chunks_mut::<BYTES>();
    for (b, block) in blocks.iter_mut().enumerate() {
        for (lane, row) in rows.iter().enumerate() {
            let stored = &row[b * STORED..][..STORED];
            let high = u32::from_le_bytes([stored[2], stored[3], stored[4], stored[5]]);
            let mut values = [[0; 2]; BLOCK / 2];
            for k in 0..BLOCK {
                let byte = stored[6 + k % 16];
                let low = if k < 16 { byte & 15 } else { byte >> 4 };
                let q = low | ((high >> k & 1) as u8) << 4;
                values[k / 2][k % 2] = q.wrapping_sub(16);
            }
            put(block, lane, [stored[0], stored[1]], &values);
        }
    }
}

/// Writes one row's scale and pairs of values into its lane.
#[inline(always)]
fn put(block: &mut [u8; BYTES], lane: usize, scale: [u8; 2], pairs: &[[u8; 2]]) {
    let (words, _) = block.as_chunks_mut::<2>();
    words[lane] = scale;
    for (i, pair) in pairs.iter().enumerate() {
        words[TILE * (1 + i) + lane] = *pair;
    }
}

/// The values of one row of the tile.
pub(crate) fn dequantize(tile: &[u8], lane: usize, out: &mut [f32]) {
    let (blocks, _) = tile.as_chunks::<BYTES>();
    let (rows, _) = out.as_chunks_mut::<BLOCK>();
    for (block, out) in blocks.iter().zip(rows) {
        let (words, _) = block.as_chunks::<2>();
        let d = f16::from_le_bytes(words[lane]).to_f32();
        for (i, pair) in out.as_chunks_mut::<2>().0.iter_mut().enumerate() {
            *pair = words[TILE * (1 + i) + lane].map(|w| d * f32::from(w as i8));
        }
    }
}

/// The dot products of `T` tokens' records with the rows of the tile.
pub(crate) mod plain {
    use super::*;
    use crate::packed::plain::{add_scaled, read_f32, scales};

    pub(crate) fn multiply<const T: usize>(tile: &[u8], tokens: [&[u8]; T], out: &mut [[f32; TILE]; T]) {
        *out = [[0.0; TILE]; T];
        let (blocks, _) = tile.as_chunks::<BYTES>();
        for (b, block) in blocks.iter().enumerate() {
            let d = scales(block);
            for (token, out) in tokens.iter().zip(out.iter_mut()) {
                let token = &token[b * record::BYTES..][..record::BYTES];
                let mut sums = [0; TILE];
                let (pairs, _) = block[2 * TILE..].as_chunks::<{ 2 * TILE }>();
                for (pair, x) in pairs.iter().zip(token.as_chunks::<4>().0) {
                    let x = [i16::from_ne_bytes([x[0], x[1]]), i16::from_ne_bytes([x[2], x[3]])];
                    for (sum, w) in sums.iter_mut().zip(pair.as_chunks::<2>().0) {
                        *sum += i32::from(w[0] as i8) * i32::from(x[0]) + i32::from(w[1] as i8) * i32::from(x[1]);
                    }
                }
                let dx = read_f32(token, record::SCALE);
                for (lane, sum) in sums.iter().enumerate() {
                    out[lane] = add_scaled(out[lane], d[lane], *sum as f32 * dx);
                }
            }
        }
    }
}

/// As [`plain`], with 16-bit multiply-adds over eight rows at once.
#[cfg(target_arch = "x86_64")]
pub(crate) mod avx2 {
    use std::arch::x86_64::*;

    use super::*;
    use crate::packed::avx2::{Ahead, broadcast_f32, broadcast_i32, half_to_f32, store};

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
                let mut acc = [[_mm256_setzero_si256(); 2]; T];
                for pair in 0..BLOCK / 2 {
                    let w = block.add(2 * TILE * (1 + pair)).cast::<__m128i>();
                    let w = [_mm256_cvtepi8_epi16(_mm_load_si128(w)), _mm256_cvtepi8_epi16(_mm_load_si128(w.add(1)))];
                    for t in 0..T {
                        let x = broadcast_i32(tokens[t].as_ptr().add(b * record::BYTES + 4 * pair));
                        for h in 0..2 {
                            acc[t][h] = _mm256_add_epi32(acc[t][h], _mm256_madd_epi16(w[h], x));
                        }
                    }
                }
                let d = [half_to_f32(block), half_to_f32(block.add(TILE))];
                for t in 0..T {
                    let dx = broadcast_f32(tokens[t].as_ptr().add(b * record::BYTES + record::SCALE));
                    for h in 0..2 {
                        let y = _mm256_mul_ps(_mm256_cvtepi32_ps(acc[t][h]), dx);
                        sum[t][h] = _mm256_fmadd_ps(d[h], y, sum[t][h]);
                    }
                }
            }
        }
        store(sum, out);
    }
}

/// As [`plain`], with 16-bit dot products over sixteen rows at once.
#[cfg(target_arch = "x86_64")]
pub(crate) mod avx512 {
    use std::arch::x86_64::*;

    use super::*;
    use crate::packed::avx2::Ahead;
    use crate::packed::avx512::{broadcast_f32, broadcast_i32, half_to_f32, store};

    #[target_feature(enable = "avx2,avx512f,avx512bw,avx512vnni")]
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
                let mut acc = [_mm512_setzero_si512(); T];
                for pair in 0..BLOCK / 2 {
                    let w = _mm256_load_si256(block.add(2 * TILE * (1 + pair)).cast());
                    let w = _mm512_cvtepi8_epi16(w);
                    for t in 0..T {
                        acc[t] = _mm512_dpwssd_epi32(acc[t], w, broadcast_i32(records[t].add(4 * pair)));
                    }
                }
                let d = half_to_f32(block);
                for t in 0..T {
                    let dx = broadcast_f32(records[t].add(record::SCALE));
                    let y = _mm512_mul_ps(_mm512_cvtepi32_ps(acc[t]), dx);
                    sum[t] = _mm512_fmadd_ps(d, y, sum[t]);
                }
            }
        }
        store(sum, out);
    }
}
