//! Causal attention within segments, forward and backward, for training.
//!
//! One task is one head of one segment. Queries go in blocks of [`QUERIES`], keys in blocks of [`KEYS`] at multiples from the segment's
//! start. Forward keeps a running maximum and sum and leaves the logarithm of each query's sum of exponentials; backward computes
//! the probabilities from it again, so that nothing of size `T x T` is ever held:
//!
//! `P = exp(scale S - log_sum)`, `dV = P^T dO`, `dP = dO V^T`, `dS = scale P (dP - rowsum(dO O))`, `dQ = dS K`, `dK = dS^T Q`.
//!
//! With dropout `P` is masked where it meets values, and `dP` likewise. Sums run in one order whatever the number of threads.
//! Tested against plain f64 sums and, backward, against their finite differences, in `attention_tests.rs`.

use std::sync::atomic::AtomicUsize;

use gptneo_device::train::{Dropout, Segments};
use gptneo_device::{Heads, Reach};

use crate::activation::exp;
use crate::isa::{Body, Isa};
use crate::memory::Shared;
use crate::simd::{LANES, Simd};
use crate::team::Team;

use super::tile::{COLUMNS, Left, Rows, multiply};

/// Queries of a block: eight register tiles.
const QUERIES: usize = 48;

/// Keys of a block.
const KEYS: usize = 64;

/// What both directions know.
#[derive(Clone, Copy)]
pub(super) struct Attention<'a> {
    pub(super) isa: Isa,
    /// `[N, 3 C]`.
    pub(super) qkv: &'a [f32],
    pub(super) heads: Heads,
    pub(super) reach: Reach,
    pub(super) scale: f32,
    pub(super) segments: Segments<'a>,
    pub(super) dropout: Option<Dropout>,
}

/// f32 of scratch for one worker, either direction.
pub(super) fn scratch_len(longest: usize, head_size: usize) -> usize {
    let (keys, wide) = (longest.next_multiple_of(KEYS), head_size.next_multiple_of(COLUMNS));
    2 * keys * head_size + 3 * keys * wide + 3 * QUERIES * wide + 2 * QUERIES * KEYS + 2 * QUERIES
}

/// `out: [N, C]`, `log_sums: [N, H]`; `scratch`: [`scratch_len`] for each worker.
pub(super) fn forward(
    team: &Team,
    args: &Attention<'_>,
    out: Shared<'_, f32>,
    log_sums: Shared<'_, f32>,
    scratch: Shared<'_, f32>,
) {
    for_each_head(team, args, scratch, |task, scratch| {
        args.isa.run(Forward { args, task, out, log_sums, scratch });
    });
}

/// What the backward pass reads beside.
#[derive(Clone, Copy)]
pub(super) struct Given<'a> {
    /// `[N, C]`.
    pub(super) out: &'a [f32],
    /// `[N, H]`.
    pub(super) log_sums: &'a [f32],
    /// `[N, C]`.
    pub(super) d_out: &'a [f32],
}

/// `d_qkv: [N, 3 C]`.
pub(super) fn backward(
    team: &Team,
    args: &Attention<'_>,
    given: Given<'_>,
    d_qkv: Shared<'_, f32>,
    scratch: Shared<'_, f32>,
) {
    for_each_head(team, args, scratch, |task, scratch| {
        args.isa.run(Backward { args, task, given, d_qkv, scratch });
    });
}

/// One head of one segment.
#[derive(Clone, Copy)]
struct Task {
    /// First row of the segment.
    row: usize,
    /// Its length, T.
    len: usize,
    head: usize,
}

fn for_each_head(team: &Team, args: &Attention<'_>, scratch: Shared<'_, f32>, each: impl Fn(Task, &mut [f32]) + Sync) {
    let count = args.heads.count;
    let mut starts = Vec::with_capacity(args.segments.0.len());
    let mut row = 0;
    for &len in args.segments.0 {
        starts.push((row, len));
        row += len;
    }
    let own = scratch_len(args.segments.longest(), args.heads.size);
    let next = AtomicUsize::new(0);
    team.run(|worker| {
        // SAFETY: each worker has its own.
        let scratch = unsafe { scratch.part(worker.index() * own, own) };
        while let Some(item) = worker.claim(&next, starts.len() * count) {
            let (row, len) = starts[item / count];
            each(Task { row, len, head: item % count }, scratch);
        }
    });
}

impl Attention<'_> {
    /// Width of a row of `[N, C]`.
    fn width(&self) -> usize {
        self.heads.count * self.heads.size
    }

    /// Part `part` (query 0, key 1, value 2) of row `i` of the task's segment.
    fn part(&self, task: Task, i: usize, part: usize) -> &[f32] {
        let start = (task.row + i) * 3 * self.width() + part * self.width() + task.head * self.heads.size;
        &self.qkv[start..][..self.heads.size]
    }

    /// Keys that query `i` sees, those of block `block` alone, counted from the block's start.
    fn seen(&self, i: usize, block: usize) -> (usize, usize) {
        let start = block * KEYS;
        let (first, end) = (self.reach.first_key(i), i + 1);
        (first.saturating_sub(start).min(KEYS), end.saturating_sub(start).min(KEYS))
    }

    /// Blocks of keys that some of the queries `i0..i1` see.
    fn blocks(&self, i0: usize, i1: usize) -> std::ops::Range<usize> {
        self.reach.first_key(i0) / KEYS..(i1 - 1) / KEYS + 1
    }

    /// What multiplies the probabilities of query `i` and the keys of a block.
    fn mask(&self, task: Task, i: usize, block: usize) -> Option<[f32; KEYS]> {
        let dropout = self.dropout?;
        let row = (task.row + i) * self.heads.count + task.head;
        let mut mask = [0.0; KEYS];
        super::dropout::mask_row(dropout, row as u64, (block * KEYS) as u32, &mut mask);
        Some(mask)
    }
}

/// Copies rows of D values into rows of `wide`, zeros behind and below.
#[inline(always)]
fn pack_rows<'a>(rows: usize, padded: usize, wide: usize, row: impl Fn(usize) -> &'a [f32], out: &mut [f32]) {
    for (i, out) in out[..padded * wide].chunks_exact_mut(wide).enumerate() {
        let from: &[f32] = if i < rows { row(i) } else { &[] };
        out[..from.len()].copy_from_slice(from);
        out[from.len()..].fill(0.0);
    }
}

/// Blocks of keys transposed: `[T / KEYS][D][KEYS]`, zeros behind the last.
#[inline(always)]
fn pack_blocks<'a>(rows: usize, size: usize, row: impl Fn(usize) -> &'a [f32], out: &mut [f32]) {
    for (block, out) in out[..rows.next_multiple_of(KEYS) * size].chunks_exact_mut(KEYS * size).enumerate() {
        for i in 0..KEYS {
            if block * KEYS + i < rows {
                for (d, value) in row(block * KEYS + i).iter().enumerate() {
                    out[d * KEYS + i] = *value;
                }
            } else {
                (0..size).for_each(|d| out[d * KEYS + i] = 0.0);
            }
        }
    }
}

struct Forward<'a> {
    args: &'a Attention<'a>,
    task: Task,
    out: Shared<'a, f32>,
    log_sums: Shared<'a, f32>,
    scratch: &'a mut [f32],
}

impl Body for Forward<'_> {
    type Out = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let Self { args, task, out, log_sums, scratch } = self;
        let (size, width) = (args.heads.size, args.width());
        let (keys, wide) = (task.len.next_multiple_of(KEYS), size.next_multiple_of(COLUMNS));
        let (kt, rest) = scratch.split_at_mut(keys * size);
        let (v, rest) = rest.split_at_mut(keys * wide);
        let (o, rest) = rest.split_at_mut(QUERIES * wide);
        let (scores, rest) = rest.split_at_mut(QUERIES * KEYS);
        let (maxima, rest) = rest.split_at_mut(QUERIES);
        let sums = &mut rest[..QUERIES];
        pack_blocks(task.len, size, |i| args.part(task, i, 1), kt);
        pack_rows(task.len, keys, wide, |i| args.part(task, i, 2), v);
        for i0 in (0..task.len).step_by(QUERIES) {
            let count = QUERIES.min(task.len - i0);
            maxima.fill(f32::NEG_INFINITY);
            sums.fill(0.0);
            o.fill(0.0);
            let query = Left { start: args.part(task, i0, 0).as_ptr(), row: 3 * width, col: 1 };
            for block in args.blocks(i0, i0 + count) {
                let right = Rows { start: kt[block * KEYS * size..][..KEYS * size].as_ptr(), stride: KEYS };
                let into = Rows { start: scores.as_mut_ptr(), stride: KEYS };
                // SAFETY: `count` queries of the segment, a packed block, a tile of scores.
                unsafe { multiply(s, [count, KEYS, size], query, right, into, false) };
                for i in 0..count {
                    let row = &mut scores[i * KEYS..][..KEYS];
                    let (from, to) = args.seen(i0 + i, block);
                    let o = &mut o[i * wide..][..wide];
                    let mask = args.mask(task, i0 + i, block);
                    absorb(s, args.scale, row, from, to, mask, &mut maxima[i], &mut sums[i], o);
                }
                let left = Left { start: scores.as_ptr(), row: KEYS, col: 1 };
                let right = Rows { start: v[block * KEYS * wide..][..KEYS * wide].as_ptr(), stride: wide };
                let into = Rows { start: o.as_mut_ptr(), stride: wide };
                // SAFETY: as above.
                unsafe { multiply(s, [count, wide, KEYS], left, right, into, true) };
            }
            for i in 0..count {
                let row = task.row + i0 + i;
                // SAFETY: a head of a row belongs to one task.
                let (out, log_sum) = unsafe {
                    (
                        out.part(row * width + task.head * size, size),
                        log_sums.part(row * args.heads.count + task.head, 1),
                    )
                };
                let inverse = 1.0 / sums[i];
                out.iter_mut().zip(&o[i * wide..]).for_each(|(out, o)| *out = o * inverse);
                log_sum[0] = maxima[i] + sums[i].ln();
            }
        }
    }
}

/// Takes the scores of one query and block in: they become weights, and what was summed before is scaled to the new maximum.
#[inline(always)]
#[allow(clippy::too_many_arguments, reason = "the running state of one query")]
fn absorb<S: Simd>(
    s: S,
    scale: f32,
    row: &mut [f32],
    from: usize,
    to: usize,
    mask: Option<[f32; KEYS]>,
    maximum: &mut f32,
    sum: &mut f32,
    o: &mut [f32],
) {
    if from >= to {
        row.fill(0.0);
        return;
    }
    let factor = s.splat(scale);
    for vector in row.as_chunks_mut::<LANES>().0 {
        *vector = s.to_array(s.mul(s.vector(*vector), factor));
    }
    row[..from].fill(f32::NEG_INFINITY);
    row[to..].fill(f32::NEG_INFINITY);
    let lanes = row.as_chunks_mut::<LANES>().0;
    let mut highest = s.splat(f32::NEG_INFINITY);
    for vector in lanes.iter() {
        highest = s.max(s.vector(*vector), highest);
    }
    let highest = s.max_lane(highest);
    let largest = if highest > *maximum { highest } else { *maximum };
    let centre = s.splat(largest);
    let mut total = s.splat(0.0);
    for vector in lanes.iter_mut() {
        let weight = exp(s, s.sub(s.vector(*vector), centre));
        total = s.add(total, weight);
        *vector = s.to_array(weight);
    }
    if let Some(mask) = mask {
        row.iter_mut().zip(mask).for_each(|(weight, mask)| *weight *= mask);
    }
    let total = s.sum(total);
    if largest > *maximum && *sum > 0.0 {
        let shrink = s.sum(exp(s, s.vector([*maximum - largest; LANES]))) / LANES as f32;
        *sum *= shrink;
        o.iter_mut().for_each(|o| *o *= shrink);
    }
    *maximum = largest;
    *sum += total;
}

struct Backward<'a> {
    args: &'a Attention<'a>,
    task: Task,
    given: Given<'a>,
    d_qkv: Shared<'a, f32>,
    scratch: &'a mut [f32],
}

impl Body for Backward<'_> {
    type Out = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let Self { args, task, given, d_qkv, scratch } = self;
        let (size, width, count_heads) = (args.heads.size, args.width(), args.heads.count);
        let (keys, wide) = (task.len.next_multiple_of(KEYS), size.next_multiple_of(COLUMNS));
        let (kt, rest) = scratch.split_at_mut(keys * size);
        let (vt, rest) = rest.split_at_mut(keys * size);
        let (k, rest) = rest.split_at_mut(keys * wide);
        let (dk, rest) = rest.split_at_mut(keys * wide);
        let (dv, rest) = rest.split_at_mut(keys * wide);
        let (q, rest) = rest.split_at_mut(QUERIES * wide);
        let (d_out, rest) = rest.split_at_mut(QUERIES * wide);
        let (dq, rest) = rest.split_at_mut(QUERIES * wide);
        let (weights, rest) = rest.split_at_mut(QUERIES * KEYS);
        let d_scores = &mut rest[..QUERIES * KEYS];
        pack_blocks(task.len, size, |i| args.part(task, i, 1), kt);
        pack_blocks(task.len, size, |i| args.part(task, i, 2), vt);
        pack_rows(task.len, keys, wide, |i| args.part(task, i, 1), k);
        dk.fill(0.0);
        dv.fill(0.0);
        for i0 in (0..task.len).step_by(QUERIES) {
            let count = QUERIES.min(task.len - i0);
            let row = task.row + i0;
            pack_rows(count, count, wide, |i| args.part(task, i0 + i, 0), q);
            let given_d_out = |i: usize| &given.d_out[(row + i) * width + task.head * size..][..size];
            pack_rows(count, count, wide, given_d_out, d_out);
            dq.fill(0.0);
            let mut deltas = [0.0f32; QUERIES];
            for i in 0..count {
                let out = &given.out[(row + i) * width + task.head * size..][..size];
                deltas[i] = dot(s, out, &d_out[i * wide..][..size]);
            }
            for block in args.blocks(i0, i0 + count) {
                let packed = |from: &[f32]| from[block * KEYS * size..][..KEYS * size].as_ptr();
                let tile = |values: &mut [f32]| Rows { start: values.as_mut_ptr(), stride: KEYS };
                let left = |values: &[f32]| Left { start: values.as_ptr(), row: wide, col: 1 };
                // SAFETY: packed rows and blocks, tiles of their own.
                unsafe {
                    let (kt, vt) = (Rows { start: packed(kt), stride: KEYS }, Rows { start: packed(vt), stride: KEYS });
                    multiply(s, [count, KEYS, size], left(q), kt, tile(weights), false);
                    multiply(s, [count, KEYS, size], left(d_out), vt, tile(d_scores), false);
                }
                for i in 0..count {
                    let query = Query {
                        seen: args.seen(i0 + i, block),
                        mask: args.mask(task, i0 + i, block),
                        scale: args.scale,
                        log_sum: given.log_sums[(row + i) * count_heads + task.head],
                        delta: deltas[i],
                    };
                    query.differentiate(s, &mut weights[i * KEYS..][..KEYS], &mut d_scores[i * KEYS..][..KEYS]);
                }
                let across = |values: &[f32]| Left { start: values.as_ptr(), row: 1, col: KEYS };
                let rows = |values: &[f32]| Rows { start: values.as_ptr(), stride: wide };
                let of_block = |values: &mut [f32]| Rows {
                    start: values[block * KEYS * wide..][..KEYS * wide].as_mut_ptr(),
                    stride: wide,
                };
                let keys = Rows { start: k[block * KEYS * wide..][..KEYS * wide].as_ptr(), stride: wide };
                let along = Left { start: d_scores.as_ptr(), row: KEYS, col: 1 };
                // SAFETY: as above; a block of packed keys and of their gradients.
                unsafe {
                    multiply(s, [KEYS, wide, count], across(weights), rows(d_out), of_block(dv), true);
                    multiply(s, [KEYS, wide, count], across(d_scores), rows(q), of_block(dk), true);
                    multiply(s, [count, wide, KEYS], along, keys, Rows { start: dq.as_mut_ptr(), stride: wide }, true);
                }
            }
            for i in 0..count {
                let start = (row + i) * 3 * width + task.head * size;
                // SAFETY: a head of a row belongs to one task.
                unsafe { d_qkv.part(start, size) }.copy_from_slice(&dq[i * wide..][..size]);
            }
        }
        for i in 0..task.len {
            let start = (task.row + i) * 3 * width + task.head * size;
            for (part, from) in [(1, &*dk), (2, &*dv)] {
                // SAFETY: as above.
                unsafe { d_qkv.part(start + part * width, size) }.copy_from_slice(&from[i * wide..][..size]);
            }
        }
    }
}

/// One query against one block of keys.
struct Query {
    seen: (usize, usize),
    mask: Option<[f32; KEYS]>,
    scale: f32,
    log_sum: f32,
    delta: f32,
}

impl Query {
    /// Scores become (masked) probabilities, and gradients of these become gradients of the scores before scaling.
    #[inline(always)]
    fn differentiate<S: Simd>(&self, s: S, weights: &mut [f32], d_scores: &mut [f32]) {
        let (from, to) = self.seen;
        if from >= to {
            weights.fill(0.0);
            d_scores.fill(0.0);
            return;
        }
        let (scale, log_sum, delta) = (s.splat(self.scale), s.splat(self.log_sum), s.splat(self.delta));
        let (weight_lanes, d_lanes) = (weights.as_chunks_mut::<LANES>().0, d_scores.as_chunks_mut::<LANES>().0);
        for (i, (weight, d)) in weight_lanes.iter_mut().zip(d_lanes).enumerate() {
            let probability = exp(s, s.sub(s.mul(s.vector(*weight), scale), log_sum));
            let (mut kept, mut d_probability) = (probability, s.vector(*d));
            if let Some(mask) = &self.mask {
                let mask = s.vector(mask.as_chunks::<LANES>().0[i]);
                (kept, d_probability) = (s.mul(probability, mask), s.mul(d_probability, mask));
            }
            *weight = s.to_array(kept);
            *d = s.to_array(s.mul(s.mul(probability, s.sub(d_probability, delta)), scale));
        }
        for hidden in [0..from, to..KEYS] {
            weights[hidden.clone()].fill(0.0);
            d_scores[hidden].fill(0.0);
        }
    }
}

#[inline(always)]
fn dot<S: Simd>(s: S, a: &[f32], b: &[f32]) -> f32 {
    let ((a, a_rest), (b, b_rest)) = (a.as_chunks::<LANES>(), b.as_chunks::<LANES>());
    let mut sum = s.splat(0.0);
    for (a, b) in a.iter().zip(b) {
        sum = s.fma(s.vector(*a), s.vector(*b), sum);
    }
    s.sum(sum) + a_rest.iter().zip(b_rest).map(|(a, b)| a * b).sum::<f32>()
}
