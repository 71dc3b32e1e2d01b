//! Storage: what weights of each type become, conversions, embedding rows, buffers.

use gptneo_device::{Bytes, DType, Device, DeviceError, Matrix};
use gptneo_kernels::{Cpu, CpuError, CpuOptions, Isa};

use crate::{bits, buffer, cpu, machines, matrix, noise, weight};

#[test]
fn computes_directly_with_seven_types_and_converts_the_others() {
    let cpu = cpu(Isa::detect(), 2);
    for &dtype in DType::ALL {
        let (rows, cols) = (3, 256);
        // Zero bytes are values in every type.
        let bytes = vec![0u8; rows * dtype.bytes_for(cols).unwrap()];
        let found = cpu.weight(&[Matrix::new(dtype, rows, cols, Bytes::from(bytes)).unwrap()]);
        use DType::*;
        let wanted = match dtype {
            F32 | F16 | BF16 | Q8_0 | Q4_0 | Q4_K | Q6_K => dtype,
            F64 => F32,
            Q5_0 => Q8_0,
            Bool | U8 | I8 | I16 | I32 | I64 => {
                assert!(matches!(found, Err(DeviceError::UnsupportedType { .. })), "{dtype}");
                continue;
            }
            _ => F16,
        };
        let found = found.unwrap();
        assert_eq!(cpu.weight_dtype(&found), wanted, "{dtype}");
        assert!(cpu.weight_bytes(&found) >= rows * wanted.bytes_for(cols).unwrap(), "{dtype}");
    }
}

#[test]
fn f64_weights_are_rounded_to_f32() {
    let cpu = cpu(Isa::detect(), 2);
    let bytes: Vec<u8> = [1.0f64, -2.5, 1e-3, 4.0].iter().flat_map(|x| x.to_le_bytes()).collect();
    let w = cpu.weight(&[Matrix::new(DType::F64, 2, 2, Bytes::from(bytes)).unwrap()]).unwrap();
    let (x, mut out) = (buffer(&cpu, &[1.0, 1.0]), cpu.buffer(2).unwrap());
    cpu.linear(1, &x, &w, None, 0..2, &mut out);
    assert_eq!(out.as_slice(), [-1.5, 4.001]);
}

#[test]
fn embeds_the_rows_of_every_type() {
    for cpu in machines() {
        for dtype in [DType::F32, DType::F16, DType::BF16, DType::Q8_0, DType::Q4_0, DType::Q4_K, DType::Q6_K] {
            let (rows, cols) = (40, 256);
            let (table, held) = weight(&cpu, dtype, rows, cols, 1);
            let (places, held_places) = weight(&cpu, DType::F32, 9, cols, 2);
            for n in [1, 5, 100] {
                let ids: Vec<u32> = (0..n).map(|i| (i * 7 % 40) as u32).collect();
                let positions: Vec<u32> = (0..n).map(|i| (i % 9) as u32).collect();
                let mut out = cpu.buffer(n * cols).unwrap();
                cpu.embed(&ids, &table, Some((&positions, &places)), &mut out);
                for i in 0..n {
                    let row = &held[ids[i] as usize * cols..][..cols];
                    let place = &held_places[positions[i] as usize * cols..][..cols];
                    let wanted: Vec<f32> = row.iter().zip(place).map(|(a, b)| a + b).collect();
                    assert_eq!(out.as_slice()[i * cols..][..cols], wanted, "{cpu:?} {dtype} row {i}");
                }
                cpu.embed(&ids, &table, None, &mut out);
                assert_eq!(out.as_slice()[..cols], held[..cols], "{cpu:?} {dtype}");
            }
        }
    }
}

#[test]
fn conversions_are_the_same_on_any_threads() {
    let values = noise(3, 37 * 512);
    for dtype in [DType::F32, DType::F16, DType::BF16, DType::Q8_0, DType::Q4_0, DType::Q4_K, DType::Q6_K] {
        let all: Vec<_> = [1, 2, 4].map(|threads| matrix(&cpu(Isa::detect(), threads), dtype, 37, 512, &values)).into();
        for (stored, held) in &all {
            assert_eq!(**stored.bytes(), **all[0].0.bytes(), "{dtype}");
            assert_eq!(bits(held), bits(&all[0].1), "{dtype}");
            let furthest = held.iter().zip(&values).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
            assert!(furthest <= 0.15, "{dtype} is {furthest} off");
        }
    }
}

#[test]
fn quantising_appends_and_refuses_ragged_rows() {
    let cpu = cpu(Isa::detect(), 2);
    let mut out = vec![7u8];
    cpu.quantize(DType::F32, 2, &[1.0, 2.0], &mut out).unwrap();
    assert_eq!(out.len(), 9);
    assert_eq!(out[0], 7);
    for (dtype, cols, len) in
        [(DType::Q4_0, 33, 33), (DType::Q4_K, 128, 256), (DType::F32, 3, 7), (DType::Q5_1, 32, 32)]
    {
        let refused = cpu.quantize(dtype, cols, &vec![0.5; len], &mut out);
        assert!(matches!(refused, Err(DeviceError::UnsupportedType { .. })), "{dtype} {cols}");
        assert_eq!(out.len(), 9);
    }
    let refused = cpu.dequantize(DType::Q8_0, &[0; 33], &mut [0.0; 32]);
    assert!(matches!(refused, Err(DeviceError::UnsupportedType { .. })));
}

#[test]
fn buffers_start_at_zero_and_are_refused_beyond_memory() {
    let cpu = cpu(Isa::detect(), 1);
    let mut buffer = cpu.buffer(5).unwrap();
    cpu.write(&mut buffer, 2, &[1.0, 2.0]);
    let mut back = [9.0; 4];
    cpu.read(&buffer, 1, &mut back);
    assert_eq!(back, [0.0, 1.0, 2.0, 0.0]);
    assert!(matches!(cpu.buffer(usize::MAX / 8), Err(DeviceError::OutOfMemory { .. })));
}

#[test]
fn a_cpu_needs_threads_and_its_instruction_set() {
    assert!(matches!(Cpu::new(CpuOptions { threads: Some(0), isa: None }), Err(CpuError::Threads(0))));
    assert!(matches!(Cpu::new(CpuOptions { threads: Some(1 << 20), isa: None }), Err(CpuError::Threads(_))));
    for isa in Isa::ALL {
        assert_eq!(Cpu::new(CpuOptions { threads: Some(1), isa: Some(isa) }).is_ok(), isa.is_available());
    }
    let cpu = Cpu::new(CpuOptions { threads: Some(1), isa: Some(Isa::Plain) }).unwrap();
    assert_eq!(cpu.describe(), "CPU (plain, 1 thread)");
}
