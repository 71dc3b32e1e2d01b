//! Packed products against the stored values, alone and among others, on every instruction set.

use super::*;
use crate::blocks;

/// Repeatable numbers in `[-1, 1)`.
struct Noise(u64);

impl Noise {
    fn next(&mut self) -> f32 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 40) as f32 / (1 << 23) as f32 - 1.0
    }

    fn values(&mut self, len: usize) -> Vec<f32> {
        (0..len).map(|_| self.next()).collect()
    }
}

const TYPES: [DType; 4] = [DType::Q8_0, DType::Q4_0, DType::Q4_K, DType::Q6_K];

fn in_turn(n: usize, f: &(dyn Fn(usize) + Sync)) {
    (0..n).for_each(f);
}

/// A matrix of noise and its stored values.
fn matrix(dtype: DType, rows: usize, cols: usize, noise: &mut Noise) -> (Matrix, Vec<f32>) {
    let values = noise.values(rows * cols);
    let mut bytes = vec![0; dtype.bytes_for(cols).unwrap() * rows];
    blocks::quantize(dtype, &values, &mut bytes).unwrap();
    let mut stored = vec![0.0; rows * cols];
    blocks::dequantize(dtype, &bytes, &mut stored);
    (Matrix::new(dtype, rows, cols, bytes.into()).unwrap(), stored)
}

fn quantised(isa: Isa, form: Form, rows: usize, cols: usize, x: &[f32]) -> QuantRows {
    let mut acts = QuantRows::new();
    acts.reserve(form, rows, cols).unwrap();
    for row in 0..rows {
        acts.quantize_row(isa, row, &x[row * cols..][..cols]);
    }
    acts
}

/// `[tokens, tiles * 16]`.
fn product(packed: &Packed, isa: Isa, acts: &QuantRows, tokens: Range<usize>) -> Vec<Vec<f32>> {
    let mut out = vec![Vec::new(); tokens.len()];
    for tile in 0..packed.tiles() {
        let mut sums = vec![[f32::NAN; TILE]; tokens.len()];
        packed.multiply(isa, tile, acts, tokens.clone(), &mut sums);
        for (out, sums) in out.iter_mut().zip(&sums) {
            out.extend(sums);
        }
    }
    out
}

fn each_shape(mut check: impl FnMut(DType, usize, usize)) {
    for dtype in TYPES {
        for rows in [1, 15, 16, 17, 40] {
            for cols in [32, 96, 256, 768] {
                if cols % dtype.block_len() == 0 {
                    check(dtype, rows, cols);
                }
            }
        }
    }
}

#[test]
fn rows_read_back_to_the_bit() {
    let mut noise = Noise(1);
    each_shape(|dtype, rows, cols| {
        let (matrix, stored) = matrix(dtype, rows, cols, &mut noise);
        let packed = Packed::pack(&[matrix], in_turn).unwrap();
        let mut row = vec![0.0; cols];
        for (r, stored) in stored.chunks(cols).enumerate() {
            packed.dequantize_row(r, &mut row);
            assert_eq!(row, stored, "{dtype} [{rows}, {cols}] row {r}");
        }
    });
}

/// The values that the records of one row stand for.
fn record_values(acts: &QuantRows, row: usize) -> Vec<f32> {
    let form = acts.form();
    let mut values = Vec::new();
    for record in acts.row(row)[..acts.cols() / BLOCK * form.record()].chunks(form.record()) {
        match form {
            Form::I8 => {
                let d = plain::read_f32(record, acts::i8_record::SCALE);
                values.extend(record[..BLOCK].iter().map(|&q| d * f32::from(q as i8)));
            }
            Form::I16 => {
                let d = plain::read_f32(record, acts::i16_record::SCALE);
                values.extend(record[..2 * BLOCK].as_chunks().0.iter().map(|&q| d * f32::from(i16::from_ne_bytes(q))));
            }
        }
    }
    values
}

#[test]
fn products_are_those_of_the_stored_values() {
    let mut noise = Noise(2);
    each_shape(|dtype, rows, cols| {
        let (matrix, stored) = matrix(dtype, rows, cols, &mut noise);
        let packed = Packed::pack(&[matrix], in_turn).unwrap();
        for tokens in [1, 3, 4, 7, 23] {
            let x = noise.values(tokens * cols);
            for isa in Isa::available() {
                let acts = quantised(isa, packed.form(), tokens, cols, &x);
                let out = product(&packed, isa, &acts, 0..tokens);
                for (t, out) in out.iter().enumerate() {
                    let x = record_values(&acts, t);
                    for (r, w) in stored.chunks(cols).enumerate() {
                        let terms = w.iter().zip(&x).map(|(w, x)| f64::from(*w) * f64::from(*x));
                        let (wanted, size) = terms.fold((0.0, 0.0), |(sum, size), v| (sum + v, size + v.abs()));
                        let off = (f64::from(out[r]) - wanted).abs();
                        // Q4_0 and Q4_K sum offset terms of up to 16 times the magnitude.
                        assert!(off <= 4e-6 * size, "{isa} {dtype} [{rows}, {cols}] {tokens}: {off} of {size}");
                    }
                    assert!(out[rows..].iter().all(|&v| v == 0.0), "rows past the last are zero");
                }
            }
        }
    });
}

#[test]
fn a_token_alone_and_among_others_is_the_same_to_the_bit() {
    let mut noise = Noise(3);
    each_shape(|dtype, rows, cols| {
        let (matrix, _) = matrix(dtype, rows, cols, &mut noise);
        let packed = Packed::pack(&[matrix], in_turn).unwrap();
        let tokens = 23;
        let x = noise.values(tokens * cols);
        for isa in Isa::available() {
            let acts = quantised(isa, packed.form(), tokens, cols, &x);
            let all = product(&packed, isa, &acts, 0..tokens);
            for range in
                [0..1, 5..6, 22..23, 1..3, 2..5, 3..7, 4..9, 9..15, 7..14, 3..11, 1..10, 0..10, 8..19, 9..21, 0..16]
            {
                assert_eq!(product(&packed, isa, &acts, range.clone()), all[range.clone()], "{isa} {dtype} {range:?}");
            }
        }
    });
}

#[test]
fn instruction_sets_agree_but_for_the_rounding_of_sums() {
    let mut noise = Noise(4);
    each_shape(|dtype, rows, cols| {
        let (matrix, stored) = matrix(dtype, rows, cols, &mut noise);
        let packed = Packed::pack(&[matrix], in_turn).unwrap();
        let x = noise.values(3 * cols);
        let reference = product(&packed, Isa::Plain, &quantised(Isa::Plain, packed.form(), 3, cols, &x), 0..3);
        for isa in Isa::available() {
            let acts = quantised(isa, packed.form(), 3, cols, &x);
            for (t, out) in product(&packed, isa, &acts, 0..3).iter().enumerate() {
                for (r, w) in stored.chunks(cols).enumerate() {
                    let size: f32 = w.iter().zip(&x[t * cols..]).map(|(w, x)| (w * x).abs()).sum();
                    let off = (out[r] - reference[t][r]).abs();
                    assert!(off <= 4e-6 * size, "{isa} {dtype} [{rows}, {cols}]: {off} of {size}");
                }
            }
        }
    });
}

#[test]
fn instruction_sets_write_the_same_activations() {
    let mut noise = Noise(5);
    let mut x = noise.values(256);
    for (block, size) in x.chunks_mut(32).zip([1.0, 1e-3, 3e4, 1e-36, 1e-41, 0.0, 3e38, 1.0]) {
        block.iter_mut().for_each(|v| *v *= size);
    }
    x[225] = f32::NAN;
    for form in [Form::I8, Form::I16] {
        let reference = quantised(Isa::Plain, form, 1, 256, &x);
        let values = record_values(&reference, 0);
        for (block, (value, x)) in values.chunks(32).zip(x.chunks(32)).enumerate() {
            let largest = x.iter().fold(0.0_f32, |a, v| a.max(v.abs()));
            let steps = if form == Form::I8 { 127.0 } else { 32767.0 };
            for (value, x) in value.iter().zip(x) {
                match block {
                    7 => assert!(value.is_nan(), "a NaN must show"),
                    3 | 4 => assert!((value - x).abs() <= 1.1e-36),
                    _ => assert!((value - x).abs() <= 0.51 * largest / steps, "{form:?} block {block}: {value} {x}"),
                }
            }
        }
        for isa in Isa::available() {
            assert_eq!(quantised(isa, form, 1, 256, &x).row(0), reference.row(0), "{isa} {form:?}");
        }
    }
}

#[test]
fn the_widest_integers_do_not_overflow() {
    let cols = 256;
    for dtype in TYPES {
        for fill in [0x00, 0xff, 0x80, 0x7f] {
            // Every quantised value and integer scale at an end of its range; the f16 scales are 1.
            let mut block = vec![fill; dtype.block_bytes()];
            let one = half::f16::ONE.to_le_bytes();
            match dtype {
                DType::Q6_K => block[208..].copy_from_slice(&one),
                DType::Q4_K => [block[0], block[1], block[2], block[3]] = [one[0], one[1], one[0], one[1]],
                _ => block[..2].copy_from_slice(&one),
            }
            let bytes = block.repeat(cols / dtype.block_len());
            let mut stored = vec![0.0; cols];
            blocks::dequantize(dtype, &bytes, &mut stored);
            let packed = Packed::pack(&[Matrix::new(dtype, 1, cols, bytes.into()).unwrap()], in_turn).unwrap();
            for sign in [1.0, -1.0] {
                let x = vec![sign; cols];
                let wanted: f64 = stored.iter().map(|w| f64::from(w * sign)).sum();
                for isa in Isa::available() {
                    let acts = quantised(isa, packed.form(), 1, cols, &x);
                    let out = f64::from(product(&packed, isa, &acts, 0..1)[0][0]);
                    assert!(
                        (out - wanted).abs() <= 1e-5 * wanted.abs() + 1e-3,
                        "{isa} {dtype} {fill:#x}: {out} {wanted}"
                    );
                }
            }
        }
    }
}

#[test]
fn parts_are_stacked_and_five_bits_held_exactly() {
    let mut noise = Noise(6);
    let (a, mut stored) = matrix(DType::Q4_0, 5, 64, &mut noise);
    let (b, more) = matrix(DType::Q4_0, 30, 64, &mut noise);
    stored.extend(more);
    let packed = Packed::pack(&[a, b], |n, f| {
        std::thread::scope(|scope| (0..n).for_each(|i| drop(scope.spawn(move || f(i)))));
    })
    .unwrap();
    assert_eq!((packed.rows(), packed.tiles(), packed.bytes()), (35, 3, 3 * 16 * 36));
    let mut row = vec![0.0; 64];
    for r in 0..35 {
        packed.dequantize_row(r, &mut row);
        assert_eq!(row, stored[r * 64..][..64]);
    }

    let mut bytes: Vec<u8> = (0..22 * 4).map(|i| (i * 37 + 11) as u8).collect();
    bytes.chunks_mut(22).for_each(|block| block[..2].copy_from_slice(&half::f16::from_f32(0.03).to_le_bytes()));
    let mut stored = vec![0.0; 128];
    blocks::dequantize(DType::Q5_0, &bytes, &mut stored);
    let packed = Packed::pack(&[Matrix::new(DType::Q5_0, 2, 64, bytes.into()).unwrap()], in_turn).unwrap();
    assert_eq!(packed.dtype(), DType::Q8_0);
    for r in 0..2 {
        packed.dequantize_row(r, &mut row);
        assert_eq!(row, stored[r * 64..][..64]);
    }
}

#[test]
fn refuses_a_type_without_a_layout() {
    let matrix = Matrix::new(DType::F16, 1, 2, vec![0; 4].into()).unwrap();
    assert!(matches!(Packed::pack(&[matrix], in_turn), Err(DeviceError::UnsupportedType { dtype: DType::F16, .. })));
}
