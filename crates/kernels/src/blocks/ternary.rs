//! Blocks of 256 values of -1, 0 or 1 times an f16 `d`.
//!
//! TQ2_0: 64 bytes of 2-bit fields in runs of 32 (as in [`super::k`]), then `d`. TQ1_0: 48 bytes of five base-3 digits,
//! 4 bytes of four, then `d`. A byte is the fraction `0.t1 t2 t3 ...` in base 3 as `ceil(256 * fraction)`; digit `n` is found
//! by multiplying with `3^(n - 1)` modulo 256, then taking the digit before the point of three times that. Bytes go in
//! runs of 32, 16 and 4: the first digits of a run are values in order, then its second digits.

use super::half_at;

pub(super) fn tq1_0(block: &[u8; 54], out: &mut [f32; 256]) {
    let d = half_at(block, 52);
    let mut out = out.iter_mut();
    for (run, digits) in [(&block[..32], 5), (&block[32..48], 5), (&block[48..52], 4)] {
        let mut power = 1_u8;
        for _ in 0..digits {
            for (byte, out) in run.iter().zip(&mut out) {
                let digit = (u16::from(byte.wrapping_mul(power)) * 3) >> 8;
                *out = d * (f32::from(digit) - 1.0);
            }
            power = power.wrapping_mul(3);
        }
    }
}

pub(super) fn tq2_0(block: &[u8; 66], out: &mut [f32; 256]) {
    let d = half_at(block, 64);
    for (i, out) in out.iter_mut().enumerate() {
        let digit = block[i / 128 * 32 + i % 32] >> (i % 128 / 32 * 2) & 3;
        *out = d * (f32::from(digit) - 1.0);
    }
}
