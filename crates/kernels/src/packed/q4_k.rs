//! Tiles of Q4_K: 4-bit weights; for 32 of them a 6-bit scale `s` and minimum `m`; for 256 the f16 pair `d`, `e`.
//!
//! A weight is `d s u - e m`. A unit of a tile is 16 rows by 256 columns in 2368 bytes: 16 `d`, 16 `e`, then eight
//! times 16 bytes `s`, 16 bytes `m` and the nibbles of 32 columns as in [`q4_0`](super::q4_0). For each 32 columns,
//! `d s (dx sum(u q))` and then `-e m (dx sum(q))` are added to a row's sum.

use half::f16;

use super::acts::i8_record as record;
use super::{BLOCK, TILE, q4_0};

/// Columns of a unit.
pub(crate) const UNIT: usize = 256;
/// Bytes of one row's unit as stored in files.
const STORED: usize = 144;
/// Bytes of a unit of a tile.
pub(crate) const BYTES: usize = SCALES + 8 * PART;
/// Bytes of the f16 pairs.
const SCALES: usize = 4 * TILE;
/// Bytes of the eighth of a unit.
const PART: usize = 2 * TILE + 256;

/// Packs sixteen stored rows; `out` takes all of the tile.
pub(crate) fn pack(rows: &[&[u8]; TILE], out: &mut [u8]) {
    let (units, _) = out.as_chunks_mut::<BYTES>();
    for (b, unit) in units.iter_mut().enumerate() {
        let stored = rows.map(|row| row[b * STORED..].first_chunk::<STORED>().expect("rows are whole blocks"));
        let (scales, parts) = unit.split_at_mut(SCALES);
        for (lane, stored) in stored.iter().enumerate() {
            scales[2 * lane..][..2].copy_from_slice(&stored[..2]);
            scales[2 * (TILE + lane)..][..2].copy_from_slice(&stored[2..4]);
        }
        let six = stored.map(|stored| crate::blocks::six_bit_pairs(&stored[4..16]));
        for (p, part) in parts.as_chunks_mut::<PART>().0.iter_mut().enumerate() {
            let (bytes, values) = part.split_at_mut(2 * TILE);
            for (lane, six) in six.iter().enumerate() {
                (bytes[lane], bytes[TILE + lane]) = six[p];
            }
            // 32 bytes of the file hold 32 columns in their low halves and the next 32 in their high halves.
            q4_0::pack_nibbles(values, |lane, i| {
                let word = stored[lane][16 + 32 * (p / 2)..].as_chunks::<4>().0[i];
                u32::from_le_bytes(word) >> (4 * (p % 2))
            });
        }
    }
}

/// The values of one row of the tile.
pub(crate) fn dequantize(tile: &[u8], lane: usize, out: &mut [f32]) {
    let (units, _) = tile.as_chunks::<BYTES>();
    let (rows, _) = out.as_chunks_mut::<UNIT>();
    for (unit, out) in units.iter().zip(rows) {
        let half = |at: usize| f16::from_le_bytes([unit[2 * at], unit[2 * at + 1]]).to_f32();
        let (d, e) = (half(lane), half(TILE + lane));
        for (p, part) in unit[SCALES..].as_chunks::<PART>().0.iter().enumerate() {
            let (scale, min) = (d * f32::from(part[lane]), e * f32::from(part[TILE + lane]));
            for (k, value) in out[BLOCK * p..][..BLOCK].iter_mut().enumerate() {
                *value = scale * f32::from(q4_0::nibble(&part[2 * TILE..], lane, k)) - min;
            }
        }
    }
}

/// The dot products of `T` tokens' records with the rows of the tile.
pub(crate) mod plain {
    use super::*;
    use crate::packed::plain::{add_scaled, nibble_sums, read_f32, scales};

    pub(crate) fn multiply<const T: usize>(tile: &[u8], tokens: [&[u8]; T], out: &mut [[f32; TILE]; T]) {
        *out = [[0.0; TILE]; T];
        let (units, _) = tile.as_chunks::<BYTES>();
        for (b, unit) in units.iter().enumerate() {
            let (d, e) = (scales(unit), scales(&unit[2 * TILE..]).map(|e| e * -0.125));
            for (p, part) in unit[SCALES..].as_chunks::<PART>().0.iter().enumerate() {
                for (token, out) in tokens.iter().zip(out.iter_mut()) {
                    let token = &token[(8 * b + p) * record::BYTES..][..record::BYTES];
                    let sums = nibble_sums(&part[2 * TILE..], token);
                    let (dx, eight) = (read_f32(token, record::SCALE), read_f32(token, record::SUM));
                    for (lane, sum) in sums.iter().enumerate() {
                        let (scale, min) = (d[lane] * f32::from(part[lane]), e[lane] * f32::from(part[TILE + lane]));
                        out[lane] = add_scaled(add_scaled(out[lane], scale, *sum as f32 * dx), min, eight);
                    }
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
    use crate::packed::avx2::{Ahead, broadcast_f32, bytes_to_f32, half_to_f32, nibble_sums, store};

    #[target_feature(enable = "avx2,fma,f16c")]
    pub(crate) fn multiply<const T: usize>(
        tile: &[u8],
        tokens: [&[u8]; T],
        mut ahead: Ahead,
        out: &mut [[f32; TILE]; T],
    ) {
        let units = tile.len() / BYTES;
        for token in tokens {
            assert!(token.len() >= 8 * units * record::BYTES, "a token of fewer blocks than the tile");
        }
        let mut sum = [[_mm256_setzero_ps(); 2]; T];
        for p in 0..8 * units {
            ahead.fetch();
            // SAFETY: unit `p / 8` lies within the tile, and record `p` within each token, as checked above; every
            // offset below is less than the size of a unit, a part or a record.
            unsafe {
                let unit = tile.as_ptr().add(p / 8 * BYTES);
                let part = unit.add(SCALES + p % 8 * PART);
                let records = tokens.map(|token| token.as_ptr().add(p * record::BYTES));
                let acc = nibble_sums(part.add(2 * TILE), records);
                let mut scale = [_mm256_setzero_ps(); 2];
                let mut min = [_mm256_setzero_ps(); 2];
                for h in 0..2 {
                    let e = _mm256_mul_ps(half_to_f32(unit.add(2 * TILE + TILE * h)), _mm256_set1_ps(-0.125));
                    scale[h] = _mm256_mul_ps(half_to_f32(unit.add(TILE * h)), bytes_to_f32(part.add(8 * h)));
                    min[h] = _mm256_mul_ps(e, bytes_to_f32(part.add(TILE + 8 * h)));
                }
                for t in 0..T {
                    let dx = broadcast_f32(records[t].add(record::SCALE));
                    let eight = broadcast_f32(records[t].add(record::SUM));
                    for h in 0..2 {
                        let y = _mm256_mul_ps(_mm256_cvtepi32_ps(acc[t][h]), dx);
                        sum[t][h] = _mm256_fmadd_ps(scale[h], y, sum[t][h]);
                        sum[t][h] = _mm256_fmadd_ps(min[h], eight, sum[t][h]);
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
    use crate::packed::avx512::{broadcast_f32, bytes_to_f32, half_to_f32, nibble_sums, store};

    #[target_feature(enable = "avx2,avx512f,avx512vnni")]
    pub(crate) fn multiply<const T: usize>(
        tile: &[u8],
        tokens: [&[u8]; T],
        mut ahead: Ahead,
        out: &mut [[f32; TILE]; T],
    ) {
        let units = tile.len() / BYTES;
        for token in tokens {
            assert!(token.len() >= 8 * units * record::BYTES, "a token of fewer blocks than the tile");
        }
        let mut sum = [_mm512_setzero_ps(); T];
        for p in 0..8 * units {
            ahead.fetch();
            // SAFETY: unit `p / 8` lies within the tile, and record `p` within each token, as checked above; every
            // offset below is less than the size of a unit, a part or a record.
            unsafe {
                let unit = tile.as_ptr().add(p / 8 * BYTES);
                let part = unit.add(SCALES + p % 8 * PART);
                let records = tokens.map(|token| token.as_ptr().add(p * record::BYTES));
                let acc = nibble_sums(part.add(2 * TILE), records);
                let e = _mm512_mul_ps(half_to_f32(unit.add(2 * TILE)), _mm512_set1_ps(-0.125));
                let scale = _mm512_mul_ps(half_to_f32(unit), bytes_to_f32(part));
                let min = _mm512_mul_ps(e, bytes_to_f32(part.add(TILE)));
                for t in 0..T {
                    let dx = broadcast_f32(records[t].add(record::SCALE));
                    let eight = broadcast_f32(records[t].add(record::SUM));
                    let y = _mm512_mul_ps(_mm512_cvtepi32_ps(acc[t]), dx);
                    sum[t] = _mm512_fmadd_ps(scale, y, sum[t]);
                    sum[t] = _mm512_fmadd_ps(min, eight, sum[t]);
                }
            }
        }
        store(sum, out);
    }
}
