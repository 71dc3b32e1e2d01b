//! The CPU through the contract of `gptneo_device`, on every instruction set and with 1, 2 and 4 threads.
#![allow(unsafe_code, reason = "the crate gemm takes pointers")]
#![allow(clippy::unwrap_used, reason = "helpers of tests")]

mod attention;
mod fused;
mod products;
mod storage;

use gptneo_device::{Bytes, DType, Device, Matrix};
use gptneo_kernels::{Buffer, Cpu, CpuOptions, Isa, Weight};

/// Sizes that fill no vector, tile or block, and one that does.
const ODD: [usize; 6] = [1, 3, 4, 7, 23, 512];

fn cpu(isa: Isa, threads: usize) -> Cpu {
    Cpu::new(CpuOptions { threads: Some(threads), isa: Some(isa) }).unwrap()
}

/// Every instruction set with each number of threads.
fn machines() -> impl Iterator<Item = Cpu> {
    Isa::available().flat_map(|isa| [1, 2, 4].map(|threads| cpu(isa, threads)))
}

/// Repeatable values in `-1..1`.
fn noise(seed: u64, len: usize) -> Vec<f32> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    (0..len)
        .map(|_| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            (state >> 40) as f32 / (1u64 << 23) as f32 - 1.0
        })
        .collect()
}

fn buffer(cpu: &Cpu, values: &[f32]) -> Buffer {
    let mut buffer = cpu.buffer(values.len()).unwrap();
    cpu.write(&mut buffer, 0, values);
    buffer
}

fn bits(values: &[f32]) -> Vec<u32> {
    values.iter().map(|x| x.to_bits()).collect()
}

/// A matrix of any writable type, and its values as that type holds them.
fn matrix(cpu: &Cpu, dtype: DType, rows: usize, cols: usize, values: &[f32]) -> (Matrix, Vec<f32>) {
    let mut bytes = Vec::new();
    cpu.quantize(dtype, cols, values, &mut bytes).unwrap();
    let mut held = vec![0.0; rows * cols];
    cpu.dequantize(dtype, &bytes, &mut held).unwrap();
    (Matrix::new(dtype, rows, cols, Bytes::from(bytes)).unwrap(), held)
}

fn weight(cpu: &Cpu, dtype: DType, rows: usize, cols: usize, seed: u64) -> (Weight, Vec<f32>) {
    let (matrix, held) = matrix(cpu, dtype, rows, cols, &noise(seed, rows * cols));
    (cpu.weight(&[matrix]).unwrap(), held)
}
