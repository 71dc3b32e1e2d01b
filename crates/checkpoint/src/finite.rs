//! The search for NaN and infinity in stored floats.
//!
//! A float is not finite exactly when all bits of its exponent are set. Blocks are tested as a whole, without
//! branches, so that the compiler makes wide instructions of it; only a block that fails is searched.

use gptneo_device::DType;

/// Values tested between two branches.
const BLOCK: usize = 512;

/// Index of the first value in `bytes` that is NaN or infinite; `None` if there is none, or if `dtype` is no plain
/// float type. Bytes after the last whole value are not looked at.
pub fn first_non_finite(dtype: DType, bytes: &[u8]) -> Option<usize> {
    match dtype {
        DType::F32 => first(bytes, |x| u32::from_le_bytes(x) & 0x7f80_0000 == 0x7f80_0000),
        DType::F16 => first(bytes, |x| u16::from_le_bytes(x) & 0x7c00 == 0x7c00),
        DType::BF16 => first(bytes, |x| u16::from_le_bytes(x) & 0x7f80 == 0x7f80),
        DType::F64 => first(bytes, |x| u64::from_le_bytes(x) & (0x7ff << 52) == 0x7ff << 52),
        _ => None,
    }
}

fn first<const N: usize>(bytes: &[u8], non_finite: impl Fn([u8; N]) -> bool) -> Option<usize> {
    let (values, _) = bytes.as_chunks::<N>();
    values.chunks(BLOCK).enumerate().find_map(|(block, values)| {
        if !values.iter().fold(false, |found, &x| found | non_finite(x)) {
            return None;
        }
        values.iter().position(|&x| non_finite(x)).map(|i| block * BLOCK + i)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use half::{bf16, f16};

    fn check(dtype: DType, good: &[u8], bad: &[&[u8]]) {
        for len in [0, 1, 3, 511, 512, 513, 2000] {
            let clean = good.repeat(len);
            assert_eq!(first_non_finite(dtype, &clean), None, "{dtype} {len}");
            for at in [0, 1, 500, 511, 512, 1999].into_iter().filter(|at| *at < len) {
                for value in bad {
                    let mut bytes = clean.clone();
                    bytes[at * good.len()..][..good.len()].copy_from_slice(value);
                    assert_eq!(first_non_finite(dtype, &bytes), Some(at), "{dtype} {len} {value:?}");
                }
            }
        }
    }

    #[test]
    fn finds_the_first_in_every_float_type() {
        let f32s = [f32::NAN, f32::INFINITY, f32::NEG_INFINITY, -f32::NAN].map(f32::to_le_bytes);
        check(DType::F32, &f32::MAX.to_le_bytes(), &f32s.each_ref().map(|x| &x[..]));
        let f16s = [f16::NAN, f16::INFINITY, f16::NEG_INFINITY].map(f16::to_le_bytes);
        check(DType::F16, &f16::MIN.to_le_bytes(), &f16s.each_ref().map(|x| &x[..]));
        let bf16s = [bf16::NAN, bf16::INFINITY, bf16::NEG_INFINITY].map(bf16::to_le_bytes);
        check(DType::BF16, &bf16::MAX.to_le_bytes(), &bf16s.each_ref().map(|x| &x[..]));
        let f64s = [f64::NAN, f64::INFINITY, f64::NEG_INFINITY].map(f64::to_le_bytes);
        check(DType::F64, &f64::MIN.to_le_bytes(), &f64s.each_ref().map(|x| &x[..]));
    }

    #[test]
    fn finds_the_earlier_of_two() {
        let mut values = vec![1.0f32; 1024];
        values[700] = f32::NAN;
        values[600] = f32::INFINITY;
        let bytes: Vec<u8> = values.iter().flat_map(|x| x.to_le_bytes()).collect();
        assert_eq!(first_non_finite(DType::F32, &bytes), Some(600));
    }

    #[test]
    fn integers_are_finite() {
        assert_eq!(first_non_finite(DType::I32, &[0xff; 64]), None);
    }
}
