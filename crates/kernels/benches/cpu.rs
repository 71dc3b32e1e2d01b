//! What the CPU reaches beside what the machine could: `cargo bench -p gptneo-kernels --bench cpu [-- WORD...]`.
//!
//! Each WORD (`team`, `limits`, `orders`, `gemm`, `gemv`, `attention`, `small`) picks a table; without one all are printed. A
//! number picks the threads, the name of an instruction set that. Times are medians. `gemm` is the crate of that name with rayon, on as many threads.
#![allow(unsafe_code, reason = "the crate gemm takes pointers")]
#![allow(clippy::print_stdout, clippy::unwrap_used, reason = "a bench prints tables, and stops at a fault")]

use std::hint::black_box;
use std::time::Instant;

use gptneo_device::{
    Activation, Attend, Bytes, CacheShape, CacheType, DType, Device, Heads, Matrix, Norm, PAGE, PageTable, Reach, Rows,
};
use gptneo_kernels::gemm_bench::{Case, Order};
use gptneo_kernels::{Buffer, Cpu, CpuOptions, Isa, Weight, measure};

fn main() {
    let words: Vec<String> = std::env::args().skip(1).filter(|word| !word.starts_with('-')).collect();
    let isa = words.iter().find_map(|word| word.parse::<Isa>().ok());
    let only = words.iter().find_map(|word| word.parse::<usize>().ok());
    let tables: Vec<&String> =
        words.iter().filter(|word| word.parse::<Isa>().is_err() && word.parse::<usize>().is_err()).collect();
    let wants = |word: &str| tables.is_empty() || tables.iter().any(|w| *w == word);
    let most = Cpu::new(CpuOptions::default()).unwrap().threads();
    let all = (0..).map(|i| 1 << i).take_while(|&threads| threads <= most);
    for threads in all.filter(|&threads| only.is_none_or(|only| only == threads)) {
        let cpu = Cpu::new(CpuOptions { threads: Some(threads), isa }).unwrap();
        println!("\n## {}", cpu.describe());
        if wants("limits") {
            println!("read {:.1} GB/s", measure::read_gb_per_s(&cpu).unwrap());
            println!("f32 {:.1} GFLOP/s", measure::f32_gflop_per_s(&cpu));
        }
        if wants("team") {
            team(&cpu);
        }
        if wants("orders") {
            orders(&cpu);
        }
        if wants("gemm") {
            matrices(&cpu);
        }
        if wants("gemv") {
            vectors(&cpu);
        }
        if wants("attention") {
            attention(&cpu);
        }
        if wants("small") {
            small(&cpu);
        }
    }
}

/// Median seconds of one call.
fn median(times: usize, mut run: impl FnMut()) -> f64 {
    run();
    let mut seconds: Vec<f64> = (0..times)
        .map(|_| {
            let started = Instant::now();
            run();
            started.elapsed().as_secs_f64()
        })
        .collect();
    seconds.sort_by(f64::total_cmp);
    seconds[times / 2]
}

fn noise(len: usize) -> Vec<f32> {
    let mut state = 7u32;
    (0..len)
        .map(|_| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 8) as f32 / (1 << 23) as f32 - 1.0
        })
        .collect()
}

fn buffer(cpu: &Cpu, len: usize) -> Buffer {
    let mut buffer = cpu.buffer(len).unwrap();
    cpu.write(&mut buffer, 0, &noise(len));
    buffer
}

fn weight(cpu: &Cpu, dtype: DType, rows: usize, cols: usize) -> Weight {
    let mut bytes = Vec::new();
    cpu.quantize(dtype, cols, &noise(rows * cols), &mut bytes).unwrap();
    cpu.weight(&[Matrix::new(dtype, rows, cols, Bytes::from(bytes)).unwrap()]).unwrap()
}

fn team(cpu: &Cpu) {
    const TIMES: usize = 20_000;
    for (name, barriers) in [("fork and join", 0), ("fork, one barrier, join", 1), ("fork, 101 barriers, join", 101)] {
        let seconds =
            median(9, || measure::forks(cpu, TIMES / (1 + barriers), barriers)) / (TIMES / (1 + barriers)) as f64;
        println!("{name:28} {:8.2} us", seconds * 1e6);
    }
}

const SHAPES: [(usize, usize); 5] = [(768, 2304), (768, 768), (768, 3072), (3072, 768), (2048, 8192)];

fn matrices(cpu: &Cpu) {
    println!("{:>6} {:>6} {:>6} {:>8} {:>8} {:>8} {:>8}  GFLOP/s", "tokens", "in", "out", "f32", "f16", "bf16", "gemm");
    for tokens in [512, 64, 16] {
        for (cols, rows) in SHAPES {
            let (x, mut out) = (buffer(cpu, tokens * cols), cpu.buffer(tokens * rows).unwrap());
            let work = 2.0 * (tokens * cols * rows) as f64 / 1e9;
            print!("{tokens:6} {cols:6} {rows:6}");
            for dtype in [DType::F32, DType::F16, DType::BF16] {
                let w = weight(cpu, dtype, rows, cols);
                print!(" {:8.1}", work / median(9, || cpu.linear(tokens, &x, &w, None, 0..rows, &mut out)));
            }
            println!(" {:8.1}", work / median(9, oracle(cpu, Order::Nt, tokens, cols, rows)));
        }
    }
}

/// The products of training at the shapes of 125M and 1.3B: a layer, the gradient of its input, and that of its weight.
fn orders(cpu: &Cpu) {
    let peak = measure::f32_gflop_per_s(cpu);
    println!("GFLOP/s, the registers do {peak:.1}; beside each the crate gemm");
    println!("{:>6} {:>6} {:>6} {:>16} {:>16} {:>16}", "tokens", "in", "out", "x W^T", "dy W", "dy^T x");
    for tokens in [512, 1024] {
        for (cols, rows) in
            [(768, 2304), (768, 768), (768, 3072), (3072, 768), (2048, 2048), (2048, 8192), (8192, 2048)]
        {
            print!("{tokens:6} {cols:6} {rows:6}");
            let products =
                [(Order::Nt, tokens, cols, rows), (Order::Nn, tokens, rows, cols), (Order::Tn, rows, tokens, cols)];
            for (order, m, k, n) in products {
                let work = 2.0 * (m * k * n) as f64 / 1e9;
                let times = if work < 10.0 { 7 } else { 3 };
                let mut case = Case::new(cpu, order, m, k, n).unwrap();
                let ours = work / median(times, || case.run(cpu));
                print!(" {ours:8.1} {:7.1}", work / median(times, oracle(cpu, order, m, k, n)));
            }
            println!();
        }
    }
}

/// The same product by the crate gemm.
fn oracle(cpu: &Cpu, order: Order, m: usize, k: usize, n: usize) -> impl FnMut() + use<> {
    let (a, b, mut c) = (noise(m * k), noise(k * n), vec![0.0f32; m * n]);
    let parallel = match cpu.threads() {
        1 => gemm::Parallelism::None,
        threads => gemm::Parallelism::Rayon(threads),
    };
    let ((a_col, a_row), (b_col, b_row)) = match order {
        Order::Nn => ((1, k), (1, n)),
        Order::Nt => ((1, k), (k, 1)),
        Order::Tn => ((m, 1), (1, n)),
    };
    let [a_col, a_row, b_col, b_row] = [a_col, a_row, b_col, b_row].map(|stride| stride as isize);
    move || {
        let (a, b, to) = (a.as_ptr(), b.as_ptr(), c.as_mut_ptr());
        // SAFETY: the strides describe the three buffers.
        unsafe {
            gemm::gemm(
                m, n, k, to, 1, n as isize, false, a, a_col, a_row, b, b_col, b_row, 0.0, 1.0, false, false, false,
                parallel,
            );
        }
        black_box(&c);
    }
}

/// A walk through as many matrices as a 125M model has, so that none is in the cache when its turn comes.
fn vectors(cpu: &Cpu) {
    println!("one to 8 tokens through 12 layers of 768, GB/s of weights");
    print!("{:6}", "type");
    let counts = [1, 2, 4, 8];
    counts.iter().for_each(|n| print!(" {n:7}"));
    println!();
    for dtype in [DType::F32, DType::F16, DType::BF16, DType::Q8_0, DType::Q4_0, DType::Q4_K, DType::Q6_K] {
        let layers: Vec<[Weight; 4]> = (0..12)
            .map(|_| [(768, 2304), (768, 768), (768, 3072), (3072, 768)].map(|(c, r)| weight(cpu, dtype, r, c)))
            .collect();
        let bytes: usize = layers.iter().flatten().map(|w| cpu.weight_bytes(w)).sum();
        print!("{:6}", dtype.name());
        for tokens in counts {
            let (x, wide) = (buffer(cpu, tokens * 768), buffer(cpu, tokens * 3072));
            let mut out = cpu.buffer(tokens * 3072).unwrap();
            let seconds = median(9, || {
                for [qkv, proj, fc, back] in &layers {
                    cpu.linear(tokens, &x, qkv, None, 0..2304, &mut out);
                    cpu.linear(tokens, &x, proj, None, 0..768, &mut out);
                    cpu.linear(tokens, &x, fc, None, 0..3072, &mut out);
                    cpu.linear(tokens, &wide, back, None, 0..768, &mut out);
                }
            });
            print!(" {:7.2}", bytes as f64 / seconds / 1e9);
        }
        println!();
    }
}

fn attention(cpu: &Cpu) {
    println!("{:24} {:>10} {:>14} {:>14}", "attention", "GFLOP/s", "decode GB/s", "in cache GB/s");
    for (heads, context) in [
        (Heads { count: 12, size: 64 }, 512usize),
        (Heads { count: 12, size: 64 }, 2048),
        (Heads { count: 16, size: 128 }, 512),
        (Heads { count: 16, size: 256 }, 512),
    ] {
        for kind in [CacheType::F32, CacheType::F16, CacheType::Q8_0] {
            let width = heads.count * heads.size;
            let pages: Vec<u32> = (0..context.div_ceil(PAGE) as u32).collect();
            let shape =
                CacheShape { pages: pages.len(), heads: heads.count, head_size: heads.size, key: kind, value: kind };
            // As many caches as exceed the last-level cache.
            let row_bytes = 2.0
                * width as f64
                * match kind {
                    CacheType::F32 => 4.0,
                    CacheType::F16 => 2.0,
                    _ => 1.0625,
                };
            let layers = ((200e6 / (row_bytes * context as f64)) as usize).clamp(1, 64);
            let x = buffer(cpu, context * width);
            let positions: Vec<u32> = (0..context as u32).collect();
            let sequences = vec![0; context];
            let tables = [PageTable { first: 0, pages: &pages }];
            let rows = Rows { positions: &positions, sequences: &sequences, tables: &tables };
            let caches: Vec<_> = (0..layers)
                .map(|_| {
                    let mut cache = cpu.cache(shape).unwrap();
                    cpu.store(&x, &x, rows, &mut cache);
                    cache
                })
                .collect();
            let mut out = cpu.buffer(context * width).unwrap();
            let scale = 0.1;
            let args = |rows, cache| Attend { query: &x, cache, heads, reach: Reach::Global, scale, rows };
            let prefill = median(5, || cpu.attend(args(rows, &caches[0]), &mut out));
            let last = Rows { positions: &positions[context - 1..], sequences: &sequences[..1], tables: &tables };
            let decode = median(9, || caches.iter().for_each(|cache| cpu.attend(args(last, cache), &mut out)));
            let work = 4.0 * width as f64 * (context * (context + 1) / 2) as f64 / 1e9;
            let name = format!("{}x{} {kind:?} {context}", heads.count, heads.size);
            let read = row_bytes * (context * layers) as f64 / 1e9;
            let near = median(99, || cpu.attend(args(last, &caches[0]), &mut out));
            let near = read / layers as f64 / near;
            println!("{name:24} {:10.1} {:14.2} {near:14.2}", work / prefill, read / decode);
        }
    }
}

fn small(cpu: &Cpu) {
    println!("one token of 768 channels, microseconds");
    let width = 768;
    let (x, mut y) = (buffer(cpu, width), cpu.buffer(4 * width).unwrap());
    let (gain, bias) = (buffer(cpu, width), buffer(cpu, width));
    let norm = || Norm { gain: &gain, bias: &bias, eps: 1e-5 };
    let tiny = weight(cpu, DType::F32, 32, width);
    let each = |name: &str, run: &mut dyn FnMut()| {
        let seconds = median(9, || (0..1000).for_each(|_| run())) / 1000.0;
        println!("{name:28} {:8.2}", seconds * 1e6);
    };
    each("norm", &mut || cpu.norm(1, &x, norm(), &mut y));
    each("gelu erf 3072", &mut || cpu.activate(3072, Activation::GeluErf, &mut y));
    each("gelu tanh 3072", &mut || cpu.activate(3072, Activation::GeluTanh, &mut y));
    each("norm, 32 outputs", &mut || cpu.norm_linear_activate(1, &x, norm(), &tiny, None, Activation::Relu, &mut y));
    each("32 outputs", &mut || cpu.linear(1, &x, &tiny, None, 0..32, &mut y));
}
