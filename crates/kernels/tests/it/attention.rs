//! Attention over the cache: against f64, and the same bits however a prompt is cut.

use gptneo_device::{Attend, CacheShape, CacheType, Device, Heads, PAGE, PageTable, Reach, Rows};
use gptneo_kernels::{Cache, Cpu, Isa};

use crate::{bits, buffer, cpu, machines, noise};

/// Queries, keys and values `[positions, H, D]` of one sequence.
struct Sequence {
    heads: Heads,
    query: Vec<f32>,
    key: Vec<f32>,
    value: Vec<f32>,
}

impl Sequence {
    fn new(heads: Heads, positions: usize, seed: u64) -> Self {
        let len = positions * heads.count * heads.size;
        let scaled = |seed, by: f32| noise(seed, len).iter().map(|x| x * by).collect();
        Self { heads, query: scaled(seed, 3.0), key: scaled(seed + 1, 3.0), value: scaled(seed + 2, 1.0) }
    }

    fn width(&self) -> usize {
        self.heads.count * self.heads.size
    }

    fn positions(&self) -> usize {
        self.query.len() / self.width()
    }

    /// The definition, in f64.
    fn reference(&self, reach: Reach, scale: f32) -> Vec<f32> {
        let (size, width) = (self.heads.size, self.width());
        let mut out = vec![0.0; self.query.len()];
        for position in 0..self.positions() {
            for head in 0..self.heads.count {
                let at = |p: usize| p * width + head * size;
                let dot = |j: usize| {
                    let pairs = self.query[at(position)..][..size].iter().zip(&self.key[at(j)..][..size]);
                    f64::from(scale) * pairs.map(|(q, k)| f64::from(*q) * f64::from(*k)).sum::<f64>()
                };
                let keys = reach.first_key(position)..position + 1;
                let scores: Vec<f64> = keys.clone().map(dot).collect();
                let max = scores.iter().fold(f64::NEG_INFINITY, |m, s| m.max(*s));
                let weights: Vec<f64> = scores.iter().map(|s| (s - max).exp()).collect();
                let total: f64 = weights.iter().sum();
                for c in 0..size {
                    let sum: f64 = keys.clone().zip(&weights).map(|(j, w)| w * f64::from(self.value[at(j) + c])).sum();
                    out[at(position) + c] = (sum / total) as f32;
                }
            }
        }
        out
    }

    /// Stores and attends in calls of `chunk` positions, dropping pages that the reach has left behind.
    fn run(&self, cpu: &Cpu, kind: CacheType, reach: Reach, scale: f32, chunk: usize) -> Vec<f32> {
        let all = self.positions().div_ceil(PAGE);
        let shape =
            CacheShape { pages: all, heads: self.heads.count, head_size: self.heads.size, key: kind, value: kind };
        let mut cache = cpu.cache(shape).unwrap();
        // Pages in an order of their own.
        let places: Vec<u32> = (0..all as u32).map(|i| (i * 7 + 3) % all as u32).collect();
        let places = if all.is_multiple_of(7) { (0..all as u32).rev().collect() } else { places };
        let mut out = Vec::new();
        for start in (0..self.positions()).step_by(chunk) {
            let end = self.positions().min(start + chunk);
            let held = reach.first_key(start) / PAGE;
            let table = PageTable { first: held, pages: &places[held..end.div_ceil(PAGE)] };
            out.extend(self.step(cpu, &mut cache, table, reach, scale, start..end));
        }
        out
    }

    fn step(
        &self,
        cpu: &Cpu,
        cache: &mut Cache,
        table: PageTable<'_>,
        reach: Reach,
        scale: f32,
        span: std::ops::Range<usize>,
    ) -> Vec<f32> {
        let positions: Vec<u32> = span.clone().map(|p| p as u32).collect();
        let rows = Rows { positions: &positions, sequences: &vec![0; span.len()], tables: &[table] };
        let values = span.start * self.width()..span.end * self.width();
        let part = |x: &[f32]| buffer(cpu, &x[values.clone()]);
        cpu.store(&part(&self.key), &part(&self.value), rows, cache);
        let mut out = cpu.buffer(values.len()).unwrap();
        let query = part(&self.query);
        cpu.attend(Attend { query: &query, cache, heads: self.heads, reach, scale, rows }, &mut out);
        out.as_slice().to_vec()
    }
}

const REACHES: [Reach; 4] =
    [Reach::Global, Reach::Local { window: 1 }, Reach::Local { window: 4 }, Reach::Local { window: 256 }];

fn close(cpu: &Cpu, what: &str, found: &[f32], wanted: &[f32], bound: f32) {
    for (i, (x, y)) in found.iter().zip(wanted).enumerate() {
        assert!((x - y).abs() <= bound, "{cpu:?} {what}: {x}, not {y}, at {i}");
    }
    assert_eq!(found.len(), wanted.len());
}

#[test]
fn agrees_with_f64() {
    for cpu in machines() {
        for (count, size) in [(1, 1), (3, 7), (2, 23), (2, 64), (1, 80), (1, 256)] {
            let sequence = Sequence::new(Heads { count, size }, 150, 1);
            for (reach, scale) in REACHES.into_iter().zip([1.0, 0.125, -0.3, 0.0]) {
                let wanted = sequence.reference(reach, scale);
                let found = sequence.run(&cpu, CacheType::F32, reach, scale, 150);
                // The bound stated in `attention.rs`; a product here is at most 9.
                let bound = 2e-6 + 2.0 * scale.abs() * (size * size) as f32 * 9.0 * 0.5f32.powi(24) / 4.0;
                close(&cpu, &format!("{count} x {size} {reach:?}"), &found, &wanted, bound);
            }
        }
    }
}

#[test]
fn narrow_caches_are_as_exact_as_their_types() {
    for cpu in machines() {
        let sequence = Sequence::new(Heads { count: 2, size: 40 }, 140, 4);
        let wanted = sequence.reference(Reach::Global, 0.1);
        for (kind, bound) in [(CacheType::F16, 2e-3), (CacheType::Q8_0, 3e-2)] {
            let found = sequence.run(&cpu, kind, Reach::Global, 0.1, 50);
            close(&cpu, &format!("{kind:?}"), &found, &wanted, bound);
        }
    }
}

/// One call, token by token, and chunks of 7, on 1, 2 and 4 threads: the same bits.
fn check_cuts(heads: Heads, positions: usize, kind: CacheType, reach: Reach) {
    let sequence = Sequence::new(heads, positions, 7);
    for isa in Isa::available() {
        let whole = bits(&sequence.run(&cpu(isa, 1), kind, reach, 0.5, positions));
        for threads in [1, 2, 4] {
            let cpu = cpu(isa, threads);
            for chunk in [1, 7, 64, positions] {
                let cut = bits(&sequence.run(&cpu, kind, reach, 0.5, chunk));
                assert!(cut == whole, "{cpu:?} {heads:?} {kind:?} {reach:?} in chunks of {chunk}");
            }
        }
    }
}

#[test]
fn however_a_prompt_is_cut_the_bits_are_the_same() {
    for reach in REACHES {
        for kind in [CacheType::F32, CacheType::F16, CacheType::Q8_0] {
            check_cuts(Heads { count: 3, size: 20 }, 330, kind, reach);
        }
    }
}

#[test]
fn segments_on_several_threads_are_the_same_bits() {
    for reach in [Reach::Global, Reach::Local { window: 600 }] {
        check_cuts(Heads { count: 1, size: 16 }, 1300, CacheType::F32, reach);
    }
}

#[test]
fn sequences_in_one_batch_do_not_see_each_other() {
    let heads = Heads { count: 2, size: 24 };
    for cpu in machines() {
        let sequences: Vec<_> = [(90, 30), (5, 40), (200, 50)].map(|(n, seed)| Sequence::new(heads, n, seed)).into();
        let alone: Vec<Vec<f32>> =
            sequences.iter().map(|s| s.run(&cpu, CacheType::F16, Reach::Global, 1.0, s.positions())).collect();
        let shape = CacheShape { pages: 8, heads: 2, head_size: 24, key: CacheType::F16, value: CacheType::F16 };
        let mut cache = cpu.cache(shape).unwrap();
        let tables = [
            PageTable { first: 0, pages: &[7, 0] },
            PageTable { first: 0, pages: &[3] },
            PageTable { first: 0, pages: &[1, 6, 2, 5] },
        ];
        // The last 3, 1 and 30 positions of each together; those before alone.
        let spans = [87..90, 4..5, 170..200];
        for ((sequence, table), span) in sequences.iter().zip(tables).zip(&spans) {
            sequence.step(&cpu, &mut cache, table, Reach::Global, 1.0, 0..span.start);
        }
        let (mut positions, mut owners) = (Vec::new(), Vec::new());
        let mut parts: [Vec<f32>; 4] = Default::default();
        for (i, (sequence, span)) in sequences.iter().zip(&spans).enumerate() {
            positions.extend(span.clone().map(|p| p as u32));
            owners.extend(span.clone().map(|_| i as u32));
            let values = span.start * 48..span.end * 48;
            for (part, of) in parts.iter_mut().zip([&sequence.query, &sequence.key, &sequence.value, &alone[i]]) {
                part.extend_from_slice(&of[values.clone()]);
            }
        }
        let rows = Rows { positions: &positions, sequences: &owners, tables: &tables };
        let [query, key, value, wanted] = parts;
        cpu.store(&buffer(&cpu, &key), &buffer(&cpu, &value), rows, &mut cache);
        let mut out = cpu.buffer(query.len()).unwrap();
        let query = buffer(&cpu, &query);
        let args = Attend { query: &query, cache: &cache, heads, reach: Reach::Global, scale: 1.0, rows };
        cpu.attend(args, &mut out);
        assert_eq!(bits(out.as_slice()), bits(&wanted), "{cpu:?}");
    }
}

#[test]
fn a_copied_page_serves_another_sequence() {
    let heads = Heads { count: 2, size: 16 };
    for cpu in machines() {
        let sequence = Sequence::new(heads, 70, 60);
        let shape = CacheShape { pages: 4, heads: 2, head_size: 16, key: CacheType::Q8_0, value: CacheType::F16 };
        let mut cache = cpu.cache(shape).unwrap();
        let (first, second) = (PageTable { first: 0, pages: &[0, 1] }, PageTable { first: 0, pages: &[2, 3] });
        sequence.step(&cpu, &mut cache, first, Reach::Global, 1.0, 0..65);
        cpu.copy_page(&mut cache, 0, 2);
        cpu.copy_page(&mut cache, 1, 3);
        let rest = |cache: &mut Cache, table| sequence.step(&cpu, cache, table, Reach::Global, 1.0, 65..70);
        let wanted = rest(&mut cache, first);
        assert_eq!(bits(&rest(&mut cache, second)), bits(&wanted), "{cpu:?}");
    }
}

#[test]
#[should_panic(expected = "whose table holds")]
fn a_table_that_lacks_a_page_is_a_fault() {
    let cpu = cpu(Isa::detect(), 2);
    let sequence = Sequence::new(Heads { count: 1, size: 8 }, 70, 70);
    let shape = CacheShape { pages: 2, heads: 1, head_size: 8, key: CacheType::F32, value: CacheType::F32 };
    let mut cache = cpu.cache(shape).unwrap();
    let table = PageTable { first: 0, pages: &[0] };
    sequence.step(&cpu, &mut cache, table, Reach::Global, 1.0, 0..70);
}
