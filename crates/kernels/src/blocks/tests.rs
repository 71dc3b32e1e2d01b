//! Every format against golden bytes (`fixtures/blocks.py`), and our quantisers against known ones.

use super::*;

macro_rules! golden {
    ($($dtype:ident $file:literal,)*) => {
        &[$((DType::$dtype, include_bytes!(concat!("../../../../fixtures/golden/blocks/", $file, ".bin")).as_slice()),)*]
    };
}

const GOLDEN: &[(DType, &[u8])] = golden! {
    Q8_0 "q8_0", Q4_0 "q4_0", Q4_1 "q4_1", Q5_0 "q5_0", Q5_1 "q5_1", Q8_1 "q8_1", IQ4_NL "iq4_nl", MXFP4 "mxfp4",
    Q2_K "q2_k", Q3_K "q3_k", Q4_K "q4_k", Q5_K "q5_k", Q6_K "q6_k", Q8_K "q8_k", IQ4_XS "iq4_xs", TQ1_0 "tq1_0",
    TQ2_0 "tq2_0",
};

const VALUES: &[u8] = include_bytes!("../../../../fixtures/golden/blocks/values.bin");
const ERRORS: &str = include_str!("../../../../fixtures/golden/blocks/errors.txt");

fn floats(bytes: &[u8]) -> Vec<f32> {
    bytes.as_chunks::<4>().0.iter().map(|b| f32::from_le_bytes(*b)).collect()
}

fn quantized(dtype: DType, values: &[f32]) -> Vec<u8> {
    let mut bytes = vec![0; dtype.bytes_for(values.len()).unwrap()];
    quantize(dtype, values, &mut bytes).unwrap();
    bytes
}

fn round_trip(dtype: DType, values: &[f32]) -> Vec<f32> {
    let mut back = vec![f32::NAN; values.len()];
    dequantize(dtype, &quantized(dtype, values), &mut back);
    back
}

#[test]
fn every_block_format_reads_as_the_reference_reads_it() {
    for &(dtype, file) in GOLDEN {
        let blocks = file.len() / (dtype.block_bytes() + 4 * dtype.block_len());
        let (bytes, wanted) = file.split_at(blocks * dtype.block_bytes());
        let wanted = floats(wanted);
        let mut values = vec![f32::NAN; wanted.len()];
        dequantize(dtype, bytes, &mut values);
        for (i, (value, wanted)) in values.iter().zip(&wanted).enumerate() {
            assert!((value - wanted).abs() <= wanted.abs() * 3e-7, "{dtype} value {i}: {value}, wanted {wanted}");
        }
    }
    let quantised: Vec<_> = DType::ALL.iter().filter(|dtype| dtype.is_quantised()).collect();
    assert_eq!(GOLDEN.len(), quantised.len(), "a golden file for each type with blocks");
}

#[test]
fn numbers_read_as_they_are_stored() {
    let check = |dtype, bytes: &[u8], wanted: &[f32]| {
        let mut values = vec![f32::NAN; wanted.len()];
        dequantize(dtype, bytes, &mut values);
        assert_eq!(values, wanted, "{dtype}");
    };
    check(DType::F32, &1.5_f32.to_le_bytes(), &[1.5]);
    check(DType::F64, &(-2.25_f64).to_le_bytes(), &[-2.25]);
    check(DType::F16, &[0x00, 0x3c, 0x01, 0x00, 0x00, 0xfc], &[1.0, 5.960_464_5e-8, f32::NEG_INFINITY]);
    check(DType::BF16, &[0x80, 0x3f, 0x49, 0xc0], &[1.0, -3.140_625]);
    check(DType::Bool, &[0, 1, 2], &[0.0, 1.0, 1.0]);
    check(DType::U8, &[0, 255], &[0.0, 255.0]);
    check(DType::I8, &[128, 127], &[-128.0, 127.0]);
    check(DType::I16, &(-300_i16).to_le_bytes(), &[-300.0]);
    check(DType::I32, &70_000_i32.to_le_bytes(), &[70_000.0]);
    check(DType::I64, &(-5_i64).to_le_bytes(), &[-5.0]);
}

#[test]
fn quantisers_err_no_more_than_known_ones() {
    let values = floats(VALUES);
    for line in ERRORS.lines() {
        let (name, known) = line.split_once(' ').unwrap();
        let dtype: DType = name.parse().unwrap();
        let known: f64 = known.parse().unwrap();
        let squares =
            round_trip(dtype, &values).iter().zip(&values).map(|(a, b)| f64::from(a - b).powi(2)).sum::<f64>();
        let error = (squares / values.len() as f64).sqrt();
        assert!(error <= 1.05 * known, "{dtype}: an error of {error:.6e}, known {known:.6e}");
    }
}

#[test]
fn plain_types_round_to_the_nearest() {
    let values = floats(VALUES);
    assert_eq!(round_trip(DType::F32, &values), values);
    for (dtype, eps) in [(DType::F16, 2.0_f32.powi(-11)), (DType::BF16, 2.0_f32.powi(-8))] {
        for (back, value) in round_trip(dtype, &values).iter().zip(&values) {
            assert!((back - value).abs() <= eps * value.abs() + 3e-8, "{dtype}: {value} became {back}");
        }
    }
}

#[test]
fn hard_blocks_quantise_to_what_they_can_hold() {
    for dtype in [DType::Q8_0, DType::Q4_0, DType::Q4_K, DType::Q6_K] {
        for value in [0.0, 1.0, -1.0, 3e-3, -3e-3, 1e-20, 1e-44, -2e4] {
            let mut values = vec![value; 256];
            for back in round_trip(dtype, &values) {
                let near = value.abs() * 5e-3 + 1e-6;
                assert!((back - value).abs() <= near, "{dtype}: a block of {value} became {back}");
            }
            // One value alone among zeros.
            values.fill(0.0);
            values[77] = value;
            for (i, back) in round_trip(dtype, &values).into_iter().enumerate() {
                // The scale of scales is an f16 of 6e-8 steps at its smallest, times 128 and 32 in Q6_K.
                let near = value.abs() * 2e-2 + 1.3e-4;
                assert!((back - values[i]).abs() <= near, "{dtype}: {value} among zeros became {back}");
            }
        }
    }
}

#[test]
fn what_is_not_finite_does_not_panic() {
    for &dtype in DType::ALL {
        if can_quantize(dtype) {
            for value in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY, f32::MAX, f32::MIN] {
                let mut values = vec![0.5; 512];
                values[3] = value;
                values[300] = -value;
                quantized(dtype, &values);
            }
        }
    }
}

#[test]
fn any_bytes_can_be_read() {
    for &dtype in DType::ALL {
        for fill in [0x00, 0xff, 0x7f, 0x80, 0xaa] {
            let mut values = vec![0.0; dtype.block_len()];
            dequantize(dtype, &vec![fill; dtype.block_bytes()], &mut values);
        }
    }
}

#[test]
fn refuses_ragged_rows_and_types_that_are_only_read() {
    let refused = |dtype: DType, values: &[f32], bytes: usize| {
        matches!(quantize(dtype, values, &mut vec![0; bytes]), Err(DeviceError::UnsupportedType { .. }))
    };
    assert!(refused(DType::Q4_K, &[0.0; 32], 18));
    assert!(refused(DType::Q8_0, &[0.0; 33], 34));
    for &dtype in DType::ALL {
        let bytes = dtype.bytes_for(256).unwrap();
        assert_eq!(refused(dtype, &[0.0; 256], bytes), !can_quantize(dtype), "{dtype}");
    }
}
