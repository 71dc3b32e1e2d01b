//! Every fused operation against its plain decomposition, to the bit.

use gptneo_device::{
    Activation, CacheShape, CacheType, DType, Device, Heads, Norm, NormQkv, PageTable, Pairing, Rotary, Rows,
};
use gptneo_kernels::{Buffer, Cpu};

use crate::{bits, buffer, machines, noise, weight};

const TYPES: [DType; 7] = [DType::F32, DType::F16, DType::BF16, DType::Q8_0, DType::Q4_0, DType::Q4_K, DType::Q6_K];

/// Gain and bias of a norm.
struct Norms(Buffer, Buffer);

impl Norms {
    fn new(cpu: &Cpu, width: usize) -> Self {
        let gain: Vec<f32> = noise(21, width).iter().map(|x| 1.0 + x / 4.0).collect();
        Self(buffer(cpu, &gain), buffer(cpu, &noise(22, width)))
    }

    fn norm(&self) -> Norm<'_, Buffer> {
        Norm { gain: &self.0, bias: &self.1, eps: 1e-5 }
    }
}

fn same(cpu: &Cpu, what: &str, fused: &Buffer, plain: &Buffer) {
    assert!(bits(fused.as_slice()) == bits(plain.as_slice()), "{cpu:?}: {what} differs");
    assert!(fused.as_slice().iter().all(|x| x.is_finite()) && fused.as_slice().iter().any(|&x| x != 0.0));
}

#[test]
fn project_add_is_linear_then_add() {
    for cpu in machines() {
        for dtype in TYPES {
            let (rows, cols) = (51, 512);
            let (w, _) = weight(&cpu, dtype, rows, cols, 1);
            let bias = buffer(&cpu, &noise(2, rows));
            for (n, bias) in [(1, None), (1, Some(&bias)), (5, Some(&bias)), (40, None)] {
                let x = buffer(&cpu, &noise(3, n * cols));
                let before = noise(4, n * rows);
                let (mut fused, mut plain) = (buffer(&cpu, &before), buffer(&cpu, &before));
                cpu.project_add(n, &x, &w, bias, &mut fused);
                let mut out = cpu.buffer(n * rows).unwrap();
                cpu.linear(n, &x, &w, bias, 0..rows, &mut out);
                cpu.add(n * rows, &out, &mut plain);
                same(&cpu, &format!("project_add {dtype} {n}"), &fused, &plain);
            }
        }
    }
}

#[test]
fn norm_linear_activate_is_its_three_parts() {
    for cpu in machines() {
        for dtype in TYPES {
            let (rows, cols) = (77, 256);
            let (w, _) = weight(&cpu, dtype, rows, cols, 5);
            let (bias, norms) = (buffer(&cpu, &noise(6, rows)), Norms::new(&cpu, cols));
            for (n, activation) in [(1, Activation::GeluTanh), (3, Activation::GeluErf), (33, Activation::Silu)] {
                let x = buffer(&cpu, &noise(7, n * cols));
                let (mut fused, mut plain) = (cpu.buffer(n * rows).unwrap(), cpu.buffer(n * rows).unwrap());
                let mut normed = cpu.buffer(n * cols).unwrap();
                cpu.norm_linear_activate(n, &x, norms.norm(), &w, Some(&bias), activation, &mut fused);
                cpu.norm(n, &x, norms.norm(), &mut normed);
                cpu.linear(n, &normed, &w, Some(&bias), 0..rows, &mut plain);
                cpu.activate(n * rows, activation, &mut plain);
                same(&cpu, &format!("norm_linear_activate {dtype} {n}"), &fused, &plain);
            }
        }
    }
}

#[test]
fn norm_logits_is_norm_and_linear_of_the_chosen_rows() {
    for cpu in machines() {
        for dtype in TYPES {
            let (n, rows, cols) = (6, 201, 256);
            let (w, _) = weight(&cpu, dtype, rows, cols, 8);
            let norms = Norms::new(&cpu, cols);
            let values = noise(9, n * cols);
            let x = buffer(&cpu, &values);
            for chosen in [vec![5], vec![4, 0, 0], vec![]] {
                let mut fused = cpu.buffer(chosen.len() * rows).unwrap();
                cpu.norm_logits(&x, &chosen, norms.norm(), &w, None, &mut fused);
                for (i, &row) in chosen.iter().enumerate() {
                    let x = buffer(&cpu, &values[row as usize * cols..][..cols]);
                    let (mut normed, mut out) = (cpu.buffer(cols).unwrap(), cpu.buffer(rows).unwrap());
                    cpu.norm(1, &x, norms.norm(), &mut normed);
                    cpu.linear(1, &normed, &w, None, 0..rows, &mut out);
                    assert_eq!(bits(&fused.as_slice()[i * rows..][..rows]), bits(out.as_slice()), "{cpu:?} {dtype}");
                }
            }
        }
    }
}

fn check_qkv(cpu: &Cpu, dtype: DType, heads: Heads, dims: Option<(usize, Pairing)>, kind: CacheType) {
    let width = heads.count * heads.size;
    let (w, _) = weight(cpu, dtype, 3 * width, width, 10);
    let (bias, norms) = (buffer(cpu, &noise(11, 3 * width)), Norms::new(cpu, width));
    let angles = buffer(cpu, &noise(12, 200 * dims.map_or(1, |(dims, _)| dims)));
    let rotary = || dims.map(|(dims, pairing)| Rotary { table: &angles, dims, pairing });
    let positions = [60, 61, 62, 63, 64, 65, 3];
    let sequences = [0, 0, 0, 0, 0, 0, 1];
    let tables = [PageTable { first: 0, pages: &[2, 1] }, PageTable { first: 0, pages: &[0] }];
    let rows = Rows { positions: &positions, sequences: &sequences, tables: &tables };
    let n = rows.len();
    let x = buffer(cpu, &noise(13, n * width));
    let shape = CacheShape { pages: 3, heads: heads.count, head_size: heads.size, key: kind, value: kind };

    let mut fused_cache = cpu.cache(shape).unwrap();
    let mut fused = cpu.buffer(n * width).unwrap();
    let args = NormQkv { x: &x, norm: norms.norm(), weight: &w, bias: Some(&bias), heads, rotary: rotary(), rows };
    cpu.norm_qkv(args, &mut fused_cache, &mut fused);

    let mut cache = cpu.cache(shape).unwrap();
    let mut normed = cpu.buffer(n * width).unwrap();
    cpu.norm(n, &x, norms.norm(), &mut normed);
    let [mut q, mut k, v] = [0, 1, 2].map(|third| {
        let mut out = cpu.buffer(n * width).unwrap();
        cpu.linear(n, &normed, &w, Some(&bias), third * width..(third + 1) * width, &mut out);
        out
    });
    for x in [&mut q, &mut k] {
        if let Some(rotary) = rotary() {
            cpu.rotate(x, heads, rotary, &positions);
        }
    }
    cpu.store(&k, &v, rows, &mut cache);
    same(cpu, &format!("q of {dtype} {dims:?}"), &fused, &q);
    assert!(fused_cache.bytes() == cache.bytes(), "{cpu:?}: the cache of {dtype} {dims:?} {kind:?} differs");
}

#[test]
fn norm_qkv_is_norm_linear_rotate_and_store() {
    for cpu in machines() {
        let heads = Heads { count: 4, size: 64 };
        for dtype in TYPES {
            check_qkv(&cpu, dtype, heads, None, CacheType::F32);
            check_qkv(&cpu, dtype, heads, Some((64, Pairing::Adjacent)), CacheType::F16);
            check_qkv(&cpu, dtype, heads, Some((16, Pairing::Halves)), CacheType::Q8_0);
        }
        check_qkv(&cpu, DType::F32, Heads { count: 3, size: 7 }, Some((6, Pairing::Halves)), CacheType::F32);
        check_qkv(&cpu, DType::F32, Heads { count: 1, size: 4 }, Some((2, Pairing::Adjacent)), CacheType::Q8_0);
    }
}
