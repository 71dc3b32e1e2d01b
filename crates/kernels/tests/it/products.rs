//! Products with float weights: the error against f64 and against the crate `gemm`, and one order of summation.

use gptneo_device::{Bytes, DType, Device, Matrix};
use gptneo_kernels::Cpu;

use crate::{ODD, bits, buffer, cpu, machines, matrix, noise, weight};

const FLOATS: [DType; 3] = [DType::F32, DType::F16, DType::BF16];

fn linear(cpu: &Cpu, n: usize, x: &[f32], w: &gptneo_kernels::Weight, rows: usize) -> Vec<f32> {
    let (x, mut out) = (buffer(cpu, x), cpu.buffer(n * rows).unwrap());
    cpu.linear(n, &x, w, None, 0..rows, &mut out);
    out.as_slice().to_vec()
}

/// Within the bound stated in `gemm/mod.rs` of the sum in f64.
fn check(cpu: &Cpu, dtype: DType, n: usize, rows: usize, cols: usize) {
    let x = noise(1, n * cols);
    let (w, held) = weight(cpu, dtype, rows, cols, 2);
    let out = linear(cpu, n, &x, &w, rows);
    for t in 0..n {
        for r in 0..rows {
            let terms = || (0..cols).map(|k| f64::from(x[t * cols + k]) * f64::from(held[r * cols + k]));
            let (wanted, magnitude): (f64, f64) = (terms().sum(), terms().map(f64::abs).sum());
            let roundings = cols.min(768).div_ceil(8) + 8 * cols.div_ceil(768) + 1;
            let bound = roundings as f64 * 0.5f64.powi(24) * magnitude;
            let error = (f64::from(out[t * rows + r]) - wanted).abs();
            assert!(error <= bound, "{cpu:?} {dtype} [{n}, {cols}] x [{rows}]: {error} at {t}, {r}, bound {bound}");
        }
    }
}

#[test]
fn agrees_with_f64_at_odd_sizes() {
    for cpu in machines() {
        for dtype in FLOATS {
            for size in ODD {
                check(&cpu, dtype, 1, 23, size);
                check(&cpu, dtype, 7, 7, size);
                check(&cpu, dtype, size.min(70), 3, 23);
                check(&cpu, dtype, 4, size, 7);
            }
            check(&cpu, dtype, 19, 70, 1031);
        }
    }
}

#[test]
fn agrees_with_the_crate_gemm() {
    let (n, rows, cols) = (97, 131, 1100);
    for cpu in machines() {
        let x = noise(3, n * cols);
        let (w, held) = weight(&cpu, DType::F32, rows, cols, 4);
        let ours = linear(&cpu, n, &x, &w, rows);
        let mut theirs = vec![0.0f32; n * rows];
        // SAFETY: the strides describe the three slices.
        unsafe {
            gemm::gemm(
                n,
                rows,
                cols,
                theirs.as_mut_ptr(),
                1,
                rows as isize,
                false,
                x.as_ptr(),
                1,
                cols as isize,
                held.as_ptr(),
                cols as isize,
                1,
                0.0,
                1.0,
                false,
                false,
                false,
                gemm::Parallelism::None,
            );
        }
        for (ours, theirs) in ours.iter().zip(&theirs) {
            assert!((ours - theirs).abs() <= 1e-4, "{cpu:?}: {ours}, gemm says {theirs}");
        }
    }
}

#[test]
fn a_token_has_the_same_bits_alone_and_among_others_on_any_threads() {
    let (rows, cols) = (133, 1300);
    let x = noise(5, 150 * cols);
    for dtype in FLOATS.into_iter().chain([DType::Q8_0, DType::Q4_0]) {
        let cols = if dtype.is_quantised() { 1280 } else { cols };
        let mut alone: Option<(gptneo_kernels::Isa, Vec<u32>)> = None;
        for cpu in machines() {
            let (w, _) = weight(&cpu, dtype, rows, cols, 6);
            if alone.as_ref().is_none_or(|(isa, _)| *isa != cpu.isa()) {
                let each = x[..150 * cols].chunks(cols).flat_map(|x| bits(&linear(&cpu, 1, x, &w, rows)));
                alone = Some((cpu.isa(), each.collect()));
            }
            for n in [1, 2, 3, 5, 15, 16, 64, 65, 150] {
                let together = bits(&linear(&cpu, n, &x[..n * cols], &w, rows));
                let (_, alone) = alone.as_ref().unwrap();
                assert!(together == alone[..n * rows], "{cpu:?} {dtype}, {n} tokens");
            }
        }
    }
}

#[test]
fn parts_below_each_other_and_a_range_of_outputs_are_the_same_bits() {
    for cpu in machines() {
        for dtype in [DType::F32, DType::F16, DType::Q8_0, DType::Q4_K] {
            let (rows, cols) = (75, 256);
            let values = noise(7, rows * cols);
            let whole = cpu.weight(&[matrix(&cpu, dtype, rows, cols, &values).0]).unwrap();
            let part = |from: usize, to: usize| matrix(&cpu, dtype, to - from, cols, &values[from * cols..to * cols]).0;
            let parts = cpu.weight(&[part(0, 10), part(10, 11), part(11, 50), part(50, 75)]).unwrap();
            let bias = buffer(&cpu, &noise(8, rows));
            for n in [1, 6, 40] {
                let x = buffer(&cpu, &noise(9, n * cols));
                let run = |w, outputs: std::ops::Range<usize>| {
                    let mut out = cpu.buffer(n * outputs.len()).unwrap();
                    cpu.linear(n, &x, w, Some(&bias), outputs, &mut out);
                    out.as_slice().to_vec()
                };
                let all = run(&whole, 0..rows);
                assert_eq!(bits(&all), bits(&run(&parts, 0..rows)), "{cpu:?} {dtype} in parts");
                for outputs in [0..1, 3..20, 17..18, 74..75, 16..32, 5..5] {
                    let some: Vec<f32> = all.chunks(rows).flat_map(|row| row[outputs.clone()].to_vec()).collect();
                    assert_eq!(bits(&some), bits(&run(&parts, outputs.clone())), "{cpu:?} {dtype} {outputs:?}");
                }
            }
        }
    }
}

#[test]
fn reads_rows_at_any_byte() {
    let (rows, cols) = (9, 37);
    let cpu = cpu(gptneo_kernels::Isa::detect(), 2);
    for dtype in FLOATS {
        let (matrix, _) = matrix(&cpu, dtype, rows, cols, &noise(10, rows * cols));
        let mut shifted = vec![0u8; 1];
        shifted.extend_from_slice(matrix.bytes());
        let len = shifted.len();
        let moved = Matrix::new(dtype, rows, cols, Bytes::from(shifted).slice(1..len)).unwrap();
        let (straight, moved) = (cpu.weight(&[matrix]).unwrap(), cpu.weight(&[moved]).unwrap());
        for n in [1, 5] {
            let x = noise(11, n * cols);
            assert_eq!(linear(&cpu, n, &x, &straight, rows), linear(&cpu, n, &x, &moved, rows), "{dtype}");
        }
    }
}
