//! What `benches/packed.rs` measures: products of one packed matrix on plain threads, against reading its bytes.

use std::sync::Barrier;
use std::time::{Duration, Instant};

use gptneo_device::{DType, DeviceError, Matrix};

use super::{Packed, QuantRows, TILE};
use crate::blocks;
use crate::isa::Isa;

/// Bytes of activations that stay near while all tiles pass.
const NEAR: usize = 192 << 10;

/// A packed matrix and the activations it meets.
pub struct Case {
    isa: Isa,
    packed: Packed,
    acts: QuantRows,
    tokens: usize,
}

impl Case {
    /// A matrix `[rows, cols]` of repeated noise and `tokens` tokens of noise.
    pub fn new(isa: Isa, dtype: DType, rows: usize, cols: usize, tokens: usize) -> Result<Self, DeviceError> {
        const KINDS: usize = 61;
        let mut seed = 1_u32;
        let mut noise = || {
            seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (seed >> 8) as f32 / (1 << 23) as f32 - 1.0
        };
        let values: Vec<f32> = (0..KINDS * cols).map(|_| noise()).collect();
        let mut some = vec![0; dtype.bytes_for(values.len()).unwrap_or(0)];
        blocks::quantize(dtype, &values, &mut some)?;
        let row_bytes = some.len() / KINDS;
        let bytes: Vec<u8> = (0..rows).flat_map(|row| &some[row % KINDS * row_bytes..][..row_bytes]).copied().collect();
        let matrix = Matrix::new(dtype, rows, cols, bytes.into()).expect("the bytes of its rows");
        let packed = Packed::pack(&[matrix], |n, f| {
            std::thread::scope(|scope| {
                for half in 0..2 {
                    scope.spawn(move || (n * half / 2..n * (half + 1) / 2).for_each(f));
                }
            });
        })?;
        let mut acts = QuantRows::new();
        acts.reserve(packed.form(), tokens, cols)?;
        for token in 0..tokens {
            let row: Vec<f32> = (0..cols).map(|_| noise()).collect();
            acts.quantize_row(isa, token, &row);
        }
        Ok(Self { isa, packed, acts, tokens })
    }

    /// Bytes of the packed matrix.
    pub fn bytes(&self) -> usize {
        self.packed.bytes()
    }

    /// Times of a product with all tokens, and of reading the packed bytes, pass by pass in turn on `threads` threads.
    pub fn product_and_read(&self, threads: usize, passes: usize) -> [Times; 2] {
        timed(threads, passes, [&|thread| self.share(thread, threads), &|thread| self.read(thread, threads)])
    }

    /// Times of a product with all tokens on `threads` threads.
    pub fn product(&self, threads: usize, passes: usize) -> Times {
        let [times] = timed(threads, passes, [&|thread| self.share(thread, threads)]);
        times
    }

    /// One thread's share of the product.
    fn share(&self, thread: usize, threads: usize) -> f32 {
        let tiles = self.packed.tiles();
        let mine = tiles * thread / threads..tiles * (thread + 1) / threads;
        let step = (NEAR / self.acts.row(0).len() / 12 * 12).max(12);
        let mut out = vec![[0.0; TILE]; step.min(self.tokens)];
        let mut kept = 0.0;
        for first in (0..self.tokens).step_by(step) {
            let tokens = first..self.tokens.min(first + step);
            for tile in mine.clone() {
                let out = &mut out[..tokens.len()];
                self.packed.multiply(self.isa, tile, &self.acts, tokens.clone(), out);
                kept += out[0][0];
            }
        }
        kept
    }

    /// One thread's share of reading the packed bytes.
    fn read(&self, thread: usize, threads: usize) -> f32 {
        let words = self.packed.memory.as_slice().as_chunks::<256>().0;
        let mine = &words[words.len() * thread / threads..words.len() * (thread + 1) / threads];
        let mut sums = [0_u64; 32];
        for words in mine {
            for (sum, word) in sums.iter_mut().zip(words.as_chunks::<8>().0) {
                *sum ^= u64::from_ne_bytes(*word);
            }
        }
        sums.iter().fold(0, |all, sum| all ^ sum) as f32
    }
}

/// What the passes took.
#[derive(Clone, Copy)]
pub struct Times {
    /// The median.
    pub median: Duration,
    /// The shortest.
    pub best: Duration,
}

/// Times of quantising `values` on one thread.
pub fn quantise(dtype: DType, values: &[f32], passes: usize) -> Times {
    let work = |_| {
        let mut out = vec![0; dtype.bytes_for(values.len()).unwrap_or(0)];
        let done = blocks::quantize(dtype, values, &mut out);
        std::hint::black_box(&out);
        f32::from(u8::from(done.is_ok()))
    };
    let [times] = timed(1, passes, [&work]);
    times
}

/// Runs each `work(thread)` on all threads at once, in turn, again and again; the first pass does not count.
fn timed<const N: usize>(threads: usize, passes: usize, works: [&(dyn Fn(usize) -> f32 + Sync); N]) -> [Times; N] {
    let barrier = Barrier::new(threads);
    let (works, barrier) = (&works, &barrier);
    let run = move |thread| {
        let mut times = [const { Vec::new() }; N];
        for pass in 0..=passes {
            for (work, times) in works.iter().zip(&mut times) {
                barrier.wait();
                let start = Instant::now();
                std::hint::black_box(work(thread));
                barrier.wait();
                if pass > 0 {
                    times.push(start.elapsed());
                }
            }
        }
        times
    };
    let times = std::thread::scope(|scope| {
        for thread in 1..threads {
            scope.spawn(move || run(thread));
        }
        run(0)
    });
    times.map(|mut times| {
        times.sort();
        Times { median: times[times.len() / 2], best: times[0] }
    })
}
