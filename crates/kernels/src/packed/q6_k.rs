//! Tiles of Q6_K: 6-bit weights `u - 32`; an 8-bit scale `s` for 16 of them; an f16 `d` for 256.
//!
//! A unit of a tile is 16 rows by 256 columns in 3360 bytes: 16 `d`; then eight times, for 32 columns: two `s` of each
//! row in turn; the lower four bits as in [`q4_0`](super::q4_0); and the upper two bits, 32 bytes for each eight
//! columns, whose four fields are (from the lowest) columns 0 to 3 of rows 0 to 7, the same of rows 8 to 15, columns 4
//! to 7 of rows 0 to 7, and of rows 8 to 15. For 32 columns, `sum(s sum(u q)) - 32 sum(s sum(q))` is exact in i32; it
//! is scaled by the activations' scale and added to the row's sum times `d`.

use half::f16;

use super::acts::i8_record as record;
use super::{BLOCK, TILE, q4_0};

/// Columns of a unit.
pub(crate) const UNIT: usize = 256;
/// Bytes of one row's unit as stored in files.
const STORED: usize = 210;
/// Bytes of a unit of a tile.
pub(crate) const BYTES: usize = TILE * STORED;
/// Bytes of the f16 scales.
const SCALES: usize = 2 * TILE;
/// Bytes of the eighth of a unit.
const PART: usize = HIGH + 128;
/// Offset of the lower four bits in a part.
const LOW: usize = 2 * TILE;
/// Offset of the upper two bits in a part.
const HIGH: usize = LOW + 256;

/// Packs sixteen stored rows; `out` takes all of the tile.
///
/// Half a stored unit, 128 columns, has its lower bits in 64 bytes (columns 0 to 63 in the low halves, 64 to 127 in the
/// high ones) and its upper bits in 32 bytes (32 columns in each field).
pub(crate) fn pack(rows: &[&[u8]; TILE], out: &mut [u8]) {
    const TWO: u32 = 0x0303_0303;
    let (units, _) = out.as_chunks_mut::<BYTES>();
    for (b, unit) in units.iter_mut().enumerate() {
        let stored = rows.map(|row| row[b * STORED..].first_chunk::<STORED>().expect("rows are whole blocks"));
        let (scales, parts) = unit.split_at_mut(SCALES);
        for (scale, stored) in scales.as_chunks_mut::<2>().0.iter_mut().zip(&stored) {
            *scale = [stored[208], stored[209]];
        }
        for (p, part) in parts.as_chunks_mut::<PART>().0.iter_mut().enumerate() {
            for (lane, stored) in stored.iter().enumerate() {
                part[2 * lane..][..2].copy_from_slice(&stored[192 + 2 * p..][..2]);
            }
            let (half, quarter) = (p / 4, p % 4);
            q4_0::pack_nibbles(&mut part[LOW..HIGH], |lane, i| {
                let word = stored[lane][64 * half + 32 * (quarter % 2)..].as_chunks::<4>().0[i];
                u32::from_le_bytes(word) >> (quarter / 2 * 4)
            });
            let high = |lane: usize, i: usize| {
                let word = stored[lane][128 + 32 * half..].as_chunks::<4>().0[i];
                u32::from_le_bytes(word) >> (2 * quarter) & TWO
            };
            for (i, fields) in part[HIGH..].as_chunks_mut::<32>().0.iter_mut().enumerate() {
                for (lane, word) in fields.as_chunks_mut::<4>().0.iter_mut().enumerate() {
                    let even = high(lane, 2 * i) | high(lane + 8, 2 * i) << 2;
                    let odd = high(lane, 2 * i + 1) | high(lane + 8, 2 * i + 1) << 2;
                    *word = (even | odd << 4).to_le_bytes();
                }
            }
        }
    }
}

/// The six bits of `lane` at column `k` of a part.
#[inline(always)]
fn six(part: &[u8; PART], lane: usize, k: usize) -> u8 {
    let high = part[HIGH + 32 * (k / 8) + 4 * (lane % 8) + k % 4];
    let field = 2 * (k / 4 % 2) + lane / 8;
    q4_0::nibble(&part[LOW..HIGH], lane, k) | (high >> (2 * field) & 3) << 4
}

/// The values of one row of the tile.
pub(crate) fn dequantize(tile: &[u8], lane: usize, out: &mut [f32]) {
    let (units, _) = tile.as_chunks::<BYTES>();
    let (rows, _) = out.as_chunks_mut::<UNIT>();
    for (unit, out) in units.iter().zip(rows) {
        let d = f16::from_le_bytes([unit[2 * lane], unit[2 * lane + 1]]).to_f32();
        for (part, out) in unit[SCALES..].as_chunks::<PART>().0.iter().zip(out.as_chunks_mut::<BLOCK>().0) {
            for (k, value) in out.iter_mut().enumerate() {
                let scale = d * f32::from(part[2 * lane + k / 16] as i8);
                *value = scale * (f32::from(six(part, lane, k)) - 32.0);
            }
        }
    }
}

/// The dot products of `T` tokens' records with the rows of the tile.
pub(crate) mod plain {
    use super::*;
    use crate::packed::plain::{add_scaled, read_f32, scales};

    pub(crate) fn multiply<const T: usize>(tile: &[u8], tokens: [&[u8]; T], out: &mut [[f32; TILE]; T]) {
        *out = [[0.0; TILE]; T];
        let (units, _) = tile.as_chunks::<BYTES>();
        for (b, unit) in units.iter().enumerate() {
            let d = scales(unit);
            for (p, part) in unit[SCALES..].as_chunks::<PART>().0.iter().enumerate() {
                let weights = unpack(part);
                for (token, out) in tokens.iter().zip(out.iter_mut()) {
                    let token = &token[(8 * b + p) * record::BYTES..][..record::BYTES];
                    let mut sums = [0; TILE];
                    for half in 0..2 {
                        let halves = sum_half(&weights[4 * half..][..4], &token[16 * half..][..16]);
                        for (lane, sum) in sums.iter_mut().enumerate() {
                            *sum += halves[lane] * i32::from(part[2 * lane + half] as i8);
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

    /// The signed weights of a part: for each four columns, for each of the four, the sixteen rows.
    #[inline(always)]
    fn unpack(part: &[u8; PART]) -> [[[i8; TILE]; 4]; 8] {
        let mut weights = [[[0; TILE]; 4]; 8];
        for (i, quad) in weights.iter_mut().enumerate() {
            let (low, _) = part[LOW + 32 * i..][..32].as_chunks::<4>();
            let (high, _) = part[HIGH + 32 * (i / 2)..][..32].as_chunks::<4>();
            for (j, column) in quad.iter_mut().enumerate() {
                for lane in 0..8 {
                    let (low, high) = (low[lane][j], high[lane][j] >> (4 * (i % 2)));
                    column[lane] = ((low & 15) | (high & 3) << 4) as i8 - 32;
                    column[lane + 8] = ((low >> 4) | (high >> 2 & 3) << 4) as i8 - 32;
                }
            }
        }
        weights
    }

    /// The sums over sixteen columns.
    #[inline(always)]
    fn sum_half(weights: &[[[i8; TILE]; 4]], x: &[u8]) -> [i32; TILE] {
        let mut sums = [0; TILE];
        for (column, x) in weights.as_flattened().iter().zip(x) {
            let x = i16::from(*x as i8);
            for (sum, w) in sums.iter_mut().zip(column) {
                *sum += i32::from(i16::from(*w) * x);
            }
        }
        sums
    }
}

/// As [`plain`], with 8-bit multiply-adds over eight rows at once.
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
                let acc = sums(part, records);
                let d = [half_to_f32(unit), half_to_f32(unit.add(TILE))];
                for t in 0..T {
                    let dx = broadcast_f32(records[t].add(record::SCALE));
                    for h in 0..2 {
                        let y = _mm256_mul_ps(_mm256_cvtepi32_ps(acc[t][h]), dx);
                        sum[t][h] = _mm256_fmadd_ps(d[h], y, sum[t][h]);
                    }
                }
            }
        }
        store(sum, out);
    }

    /// The scaled sums over the 32 columns of a part.
    ///
    /// # Safety
    /// A part is readable at `part`, a record at each of `records`.
    #[inline]
    #[target_feature(enable = "avx2")]
    unsafe fn sums<const T: usize>(part: *const u8, records: [*const u8; T]) -> [[__m256i; 2]; T] {
        // Both scales of each row as i16; and each of them twice, kept in memory: registers are scarce.
        // SAFETY: the scales are the first 32 bytes of the part.
        let both = unsafe {
            [
                _mm256_cvtepi8_epi16(_mm_loadu_si128(part.cast())),
                _mm256_cvtepi8_epi16(_mm_loadu_si128(part.add(TILE).cast())),
            ]
        };
        let scales = [both.map(|both| twice_low(both)), both.map(|both| twice_low(_mm256_srli_epi32::<16>(both)))];
        let (nibble, two) = (_mm256_set1_epi8(15), _mm256_set1_epi8(0x30));
        let mut acc = [[_mm256_setzero_si256(); 2]; T];
        for eight in 0..4 {
            // SAFETY: offsets within the part.
            let (v0, v1, high) = unsafe {
                (
                    _mm256_loadu_si256(part.add(LOW + 64 * eight).cast()),
                    _mm256_loadu_si256(part.add(LOW + 64 * eight + 32).cast()),
                    _mm256_loadu_si256(part.add(HIGH + 32 * eight).cast()),
                )
            };
            let join = |low, high| _mm256_or_si256(_mm256_and_si256(low, nibble), _mm256_and_si256(high, two));
            let w0 = [
                join(v0, _mm256_slli_epi16::<4>(high)),
                join(_mm256_srli_epi16::<4>(v0), _mm256_slli_epi16::<2>(high)),
            ];
            let w1 = [join(v1, high), join(_mm256_srli_epi16::<4>(v1), _mm256_srli_epi16::<2>(high))];
            for t in 0..T {
                // SAFETY: promised by the caller.
                let x =
                    unsafe { [broadcast_i32(records[t].add(8 * eight)), broadcast_i32(records[t].add(8 * eight + 4))] };
                for h in 0..2 {
                    // Four products of at most 63 * 127 fit i16.
                    let four = _mm256_add_epi16(_mm256_maddubs_epi16(w0[h], x[0]), _mm256_maddubs_epi16(w1[h], x[1]));
                    acc[t][h] = _mm256_add_epi32(acc[t][h], _mm256_madd_epi16(four, scales[eight / 2][h]));
                }
            }
        }
        for t in 0..T {
            // SAFETY: promised by the caller.
            let halves = unsafe { broadcast_i32(records[t].add(record::HALVES)) };
            for h in 0..2 {
                let offset = _mm256_slli_epi32::<5>(_mm256_madd_epi16(both[h], halves));
                acc[t][h] = _mm256_sub_epi32(acc[t][h], offset);
            }
        }
        acc
    }

    /// In each 32-bit lane the lower 16 bits, twice.
    #[inline]
    #[target_feature(enable = "avx2")]
    fn twice_low(v: __m256i) -> __m256i {
        const LOWER: i64 = 0x0504_0504_0100_0100;
        const UPPER: i64 = 0x0d0c_0d0c_0908_0908;
        _mm256_shuffle_epi8(v, _mm256_set_epi64x(UPPER, LOWER, UPPER, LOWER))
    }
}

/// As [`plain`], with 8-bit dot products over sixteen rows at once.
#[cfg(target_arch = "x86_64")]
pub(crate) mod avx512 {
    use std::arch::x86_64::*;

    use super::*;
    use crate::packed::avx2::Ahead;
    use crate::packed::avx512::{broadcast_f32, broadcast_i32, half_to_f32, nibbles, store};

    #[target_feature(enable = "avx2,avx512f,avx512bw,avx512vnni")]
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
                let acc = sums(part, records);
                let d = half_to_f32(unit);
                for t in 0..T {
                    let dx = broadcast_f32(records[t].add(record::SCALE));
                    let y = _mm512_mul_ps(_mm512_cvtepi32_ps(acc[t]), dx);
                    sum[t] = _mm512_fmadd_ps(d, y, sum[t]);
                }
            }
        }
        store(sum, out);
    }

    /// The scaled sums over the 32 columns of a part.
    ///
    /// # Safety
    /// A part is readable at `part`, a record at each of `records`.
    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512vnni")]
    unsafe fn sums<const T: usize>(part: *const u8, records: [*const u8; T]) -> [__m512i; T] {
        // SAFETY: the scales, two of each row, are the first 32 bytes of the part.
        let both = _mm512_cvtepi8_epi16(unsafe { _mm256_loadu_si256(part.cast()) });
        let scales = [_mm512_srai_epi32::<16>(_mm512_slli_epi32::<16>(both)), _mm512_srai_epi32::<16>(both)];
        let (nibble, two) = (_mm512_set1_epi32(0x0f0f_0f0f), _mm512_set1_epi32(0x3030_3030));
        // What brings the upper bits of rows 0 to 7 and of rows 8 to 15 to their place above the nibbles.
        let left = _mm512_setr_epi32(4, 4, 4, 4, 4, 4, 4, 4, 2, 2, 2, 2, 2, 2, 2, 2);
        let right = _mm512_setr_epi32(0, 0, 0, 0, 0, 0, 0, 0, 2, 2, 2, 2, 2, 2, 2, 2);
        let mut acc = [_mm512_setzero_si512(); T];
        for half in 0..2 {
            let mut products = [_mm512_setzero_si512(); T];
            for eight in [2 * half, 2 * half + 1] {
                // SAFETY: offsets within the part.
                let (low, high) = unsafe {
                    let low = part.add(LOW + 64 * eight);
                    let high = _mm256_loadu_si256(part.add(HIGH + 32 * eight).cast());
                    ([nibbles(low), nibbles(low.add(32))], _mm512_broadcast_i64x4(high))
                };
                let high = [_mm512_sllv_epi32(high, left), _mm512_srlv_epi32(high, right)];
                for quad in 0..2 {
                    // Where `nibble` has a bit, that of `low`, else that of `high`.
                    const SELECT: i32 = 0b1100_1010;
                    let high = _mm512_and_si512(high[quad], two);
                    let w = _mm512_ternarylogic_epi32::<SELECT>(nibble, low[quad], high);
                    for t in 0..T {
                        // SAFETY: promised by the caller.
                        let x = unsafe { broadcast_i32(records[t].add(8 * eight + 4 * quad)) };
                        products[t] = _mm512_dpbusd_epi32(products[t], w, x);
                    }
                }
            }
            for t in 0..T {
                acc[t] = _mm512_add_epi32(acc[t], _mm512_mullo_epi32(products[t], scales[half]));
            }
        }
        for t in 0..T {
            // SAFETY: promised by the caller.
            let halves = unsafe { broadcast_i32(records[t].add(record::HALVES)) };
            let offset = _mm512_slli_epi32::<5>(_mm512_madd_epi16(both, halves));
            acc[t] = _mm512_sub_epi32(acc[t], offset);
        }
        acc
    }
}
