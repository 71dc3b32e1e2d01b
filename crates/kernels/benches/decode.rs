//! Where the time of one generated token goes: `cargo bench -p gptneo-kernels --bench decode [-- WORD...]`.
//!
//! A WORD is a shape (`125m`, `1.3b`), a type of the layers' matrices (`q4_0`, `q8_0`, ...; the output matrix is q6_k, or q8_0
//! with q8_0), or an instruction set; all of a kind without one. Every operation of a token is timed beside the bytes it reads,
//! after a prompt of 512, alternate layers reaching 256 back as in GPT-Neo. The speed of memory is measured again after every
//! round of tokens, since it changes; times are medians.
#![allow(clippy::print_stdout, clippy::unwrap_used, reason = "a bench prints tables, and stops at a fault")]

use std::time::Instant;

use gptneo_device::{
    Activation, Attend, Bytes, CacheShape, CacheType, DType, Device, Heads, Matrix, Norm, NormQkv, PAGE, PageTable,
    Reach, Rows,
};
use gptneo_kernels::{Buffer, Cache, Cpu, CpuOptions, Isa, Weight, measure};

/// Tokens before the timed ones.
const PROMPT: usize = 512;
/// Rounds, each of so many tokens.
const ROUNDS: usize = 5;
const TOKENS: usize = 24;
const VOCAB: usize = 50_257;
const WINDOW: usize = 256;

const OPERATIONS: [&str; 6] =
    ["norm, q k v, store", "attention", "projection", "norm, wide, gelu", "narrow", "norm, logits"];

struct Shape {
    name: &'static str,
    layers: usize,
    heads: Heads,
}

const SHAPES: [Shape; 2] = [
    Shape { name: "125m", layers: 12, heads: Heads { count: 12, size: 64 } },
    // A third of the layers: already many times what any cache holds.
    Shape { name: "1.3b", layers: 8, heads: Heads { count: 16, size: 128 } },
];

fn main() {
    let words: Vec<String> = std::env::args().skip(1).filter(|word| !word.starts_with('-')).collect();
    let is_set = |word: &String| word.parse::<Isa>().is_ok();
    let is_shape = |word: &String| SHAPES.iter().any(|shape| shape.name == word);
    let wants = |name: &str, kind: &dyn Fn(&String) -> bool| {
        let mut named = words.iter().filter(|word| kind(word)).peekable();
        named.peek().is_none() || named.any(|word| word == name)
    };
    for shape in &SHAPES {
        for dtype in [DType::Q4_0, DType::Q8_0, DType::Q4_K, DType::Q6_K] {
            for isa in Isa::available().skip(1) {
                let is_type = |word: &String| !is_set(word) && !is_shape(word);
                if wants(shape.name, &is_shape) && wants(dtype.name(), &is_type) && wants(isa.name(), &is_set) {
                    let cpu = Cpu::new(CpuOptions { threads: None, isa: Some(isa) }).unwrap();
                    Token::new(&cpu, shape, dtype).report();
                }
            }
        }
    }
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

/// Rows of noise that repeat: quantising all would take minutes.
fn weight(cpu: &Cpu, dtype: DType, rows: usize, cols: usize) -> Weight {
    const KINDS: usize = 61;
    let mut some = Vec::new();
    cpu.quantize(dtype, cols, &noise(KINDS * cols), &mut some).unwrap();
    let row_bytes = some.len() / KINDS;
    let bytes: Vec<u8> = (0..rows).flat_map(|row| &some[row % KINDS * row_bytes..][..row_bytes]).copied().collect();
    cpu.weight(&[Matrix::new(dtype, rows, cols, Bytes::from(bytes)).unwrap()]).unwrap()
}

struct Layer {
    qkv: Weight,
    projection: Weight,
    wide: Weight,
    narrow: Weight,
    cache: Cache,
    reach: Reach,
}

/// A model's operations on random numbers.
struct Token<'a> {
    cpu: &'a Cpu,
    shape: &'a Shape,
    dtype: DType,
    layers: Vec<Layer>,
    output: Weight,
    gain: Buffer,
    bias: Buffer,
    long_bias: Buffer,
    x: Buffer,
    query: Buffer,
    attended: Buffer,
    hidden: Buffer,
    logits: Buffer,
    pages: Vec<u32>,
}

impl<'a> Token<'a> {
    fn new(cpu: &'a Cpu, shape: &'a Shape, dtype: DType) -> Self {
        let width = shape.heads.count * shape.heads.size;
        let pages: Vec<u32> = (0..(PROMPT + TOKENS).div_ceil(PAGE) as u32).collect();
        let (heads, head_size) = (shape.heads.count, shape.heads.size);
        let form = CacheShape { pages: pages.len(), heads, head_size, key: CacheType::F16, value: CacheType::F16 };
        let positions: Vec<u32> = (0..PROMPT as u32).collect();
        let tables = [PageTable { first: 0, pages: &pages }];
        let rows = Rows { positions: &positions, sequences: &[0; PROMPT], tables: &tables };
        let prompt = buffer(cpu, PROMPT * width);
        let layers = (0..shape.layers)
            .map(|i| {
                let mut cache = cpu.cache(form).unwrap();
                cpu.store(&prompt, &prompt, rows, &mut cache);
                Layer {
                    qkv: weight(cpu, dtype, 3 * width, width),
                    projection: weight(cpu, dtype, width, width),
                    wide: weight(cpu, dtype, 4 * width, width),
                    narrow: weight(cpu, dtype, width, 4 * width),
                    cache,
                    reach: if i % 2 == 0 { Reach::Global } else { Reach::Local { window: WINDOW } },
                }
            })
            .collect();
        Self {
            cpu,
            shape,
            dtype,
            layers,
            output: weight(cpu, if dtype == DType::Q8_0 { dtype } else { DType::Q6_K }, VOCAB, width),
            gain: buffer(cpu, width),
            bias: buffer(cpu, width),
            long_bias: buffer(cpu, 4 * width),
            x: buffer(cpu, width),
            query: buffer(cpu, width),
            attended: buffer(cpu, width),
            hidden: buffer(cpu, 4 * width),
            logits: buffer(cpu, VOCAB),
            pages,
        }
    }

    /// Bytes that each operation of one token reads.
    fn bytes(&self, position: usize) -> [f64; 6] {
        let mut bytes = [0.0; 6];
        let width = self.shape.heads.count * self.shape.heads.size;
        for layer in &self.layers {
            for (operation, weight) in [(0, &layer.qkv), (2, &layer.projection), (3, &layer.wide), (4, &layer.narrow)] {
                bytes[operation] += self.cpu.weight_bytes(weight) as f64;
            }
            bytes[1] += ((position + 1 - layer.reach.first_key(position)) * 2 * 2 * width) as f64;
        }
        bytes[5] = self.cpu.weight_bytes(&self.output) as f64;
        bytes
    }

    /// Seconds of each operation of one token, summed over layers.
    fn run(&mut self, position: usize) -> [f64; 6] {
        let Self { cpu, layers, gain, bias, long_bias, x, query, attended, hidden, logits, pages, .. } = self;
        let heads = self.shape.heads;
        let norm = || Norm { gain, bias, eps: 1e-5 };
        let tables = [PageTable { first: 0, pages }];
        let rows = Rows { positions: &[position as u32], sequences: &[0], tables: &tables };
        let mut took = [0.0; 6];
        let mut last = Instant::now();
        let mut lap = |operation: usize| {
            let now = Instant::now();
            took[operation] += (now - last).as_secs_f64();
            last = now;
        };
        cpu.write(x, 0, &noise(heads.count * heads.size));
        lap(5);
        for layer in layers {
            let args = NormQkv { x, norm: norm(), weight: &layer.qkv, bias: None, heads, rotary: None, rows };
            cpu.norm_qkv(args, &mut layer.cache, query);
            lap(0);
            let args = Attend { query, cache: &layer.cache, heads, reach: layer.reach, scale: 0.01, rows };
            cpu.attend(args, attended);
            lap(1);
            cpu.project_add(1, attended, &layer.projection, Some(bias), x);
            lap(2);
            cpu.norm_linear_activate(1, x, norm(), &layer.wide, Some(long_bias), Activation::GeluTanh, hidden);
            lap(3);
            cpu.project_add(1, hidden, &layer.narrow, Some(bias), x);
            lap(4);
        }
        cpu.norm_logits(x, &[0], norm(), &self.output, None, logits);
        lap(5);
        took
    }

    fn report(&mut self) {
        let (mut times, mut reads) = ([const { Vec::new() }; 6], Vec::new());
        let mut totals = Vec::new();
        self.run(PROMPT);
        for _ in 0..ROUNDS {
            reads.push(measure::read_gb_per_s(self.cpu).unwrap());
            for token in 0..TOKENS {
                let took = self.run(PROMPT + token);
                times.iter_mut().zip(took).for_each(|(times, took)| times.push(took));
                totals.push(took.iter().sum());
            }
        }
        reads.push(measure::read_gb_per_s(self.cpu).unwrap());
        let (read, total) = (median(&mut reads), median(&mut totals));
        let bytes = self.bytes(PROMPT + TOKENS / 2);
        let all: f64 = bytes.iter().sum();
        let share = |bytes: f64, time: f64| bytes / time / 1e9 / read;
        println!("\n{} {}, {}; reads {read:.1} GB/s", self.shape.name, self.dtype, self.cpu.describe());
        println!("{:20} {:>9} {:>8} {:>7} {:>6} {:>10}", "one token", "us", "MB", "GB/s", "share", "us too many");
        let row = |name: &str, bytes: f64, time: f64| {
            let lost = (time - bytes / 1e9 / read) * 1e6;
            let (rate, share) = (bytes / time / 1e9, share(bytes, time));
            println!("{name:20} {:9.1} {:8.2} {rate:7.1} {share:6.2} {lost:10.1}", time * 1e6, bytes / 1e6);
        };
        for ((name, times), bytes) in OPERATIONS.iter().zip(&mut times).zip(bytes) {
            row(name, bytes, median(times));
        }
        row("all", all, total);
    }
}

fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
