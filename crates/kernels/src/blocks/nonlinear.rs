//! Four-bit blocks whose levels are not evenly spaced: two integer ladders and the 4-bit float of MX.
//!
//! | type | bytes, in order | values | value |
//! |---|---|---|---|
//! | IQ4_NL | f16 `d`, 16 bytes | 32 | `d level[u]` |
//! | IQ4_XS | f16 `d`, u16 and 4 bytes of 6-bit `s` for 32, 128 bytes | 256 | `d (s - 32) level[u]` |
//! | MXFP4 | exponent `x`, 16 bytes | 32 | `2^(x - 127) float[u]` |
//!
//! Of each 16 bytes, byte `i` holds value `i` in its low half and value `16 + i` in its high half.

use super::half_at;

const LEVELS: [i8; 16] = [-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113];

/// The 4-bit floats (sign, two bits of exponent, one of mantissa), doubled to be whole.
const FLOATS: [i8; 16] = [0, 1, 2, 3, 4, 6, 8, 12, 0, -1, -2, -3, -4, -6, -8, -12];

#[inline(always)]
fn sixteen_bytes(bytes: &[u8], levels: &[i8; 16], scale: f32, out: &mut [f32]) {
    for (i, byte) in bytes.iter().enumerate() {
        out[i] = scale * f32::from(levels[usize::from(byte & 15)]);
        out[16 + i] = scale * f32::from(levels[usize::from(byte >> 4)]);
    }
}

pub(super) fn iq4_nl(block: &[u8; 18], out: &mut [f32; 32]) {
    sixteen_bytes(&block[2..], &LEVELS, half_at(block, 0), out);
}

pub(super) fn iq4_xs(block: &[u8; 136], out: &mut [f32; 256]) {
    let d = half_at(block, 0);
    let high = u16::from_le_bytes([block[2], block[3]]);
    for (s, out) in out.as_chunks_mut::<32>().0.iter_mut().enumerate() {
        let low = block[4 + s / 2] >> (s % 2 * 4) & 15;
        let scale = low | ((high >> (2 * s) & 3) as u8) << 4;
        sixteen_bytes(&block[8 + 16 * s..][..16], &LEVELS, d * (f32::from(scale) - 32.0), out);
    }
}

pub(super) fn mxfp4(block: &[u8; 17], out: &mut [f32; 32]) {
    // Half of `2^(x - 127)`, since the levels are doubled; the two smallest are subnormal.
    let exponent = u32::from(block[0]);
    let scale = f32::from_bits(if exponent < 2 { 0x0020_0000 << exponent } else { (exponent - 1) << 23 });
    sixteen_bytes(&block[1..], &FLOATS, scale, out);
}
