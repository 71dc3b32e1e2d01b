//! Attention over the paged cache: `out = softmax(scale * query . keys) values` for every query and head, in f32.
//!
//! Keys are taken in pages of [`PAGE`] at absolute multiples, with a running maximum and sum; after every [`SEGMENT`] pages
//! (absolute multiples too) the running sums begin afresh and are merged in order. A score is a chain over the channels in
//! order, an output a chain over the keys in order, and a key out of reach adds nothing, so that **a query's result has the same bits whether it is
//! computed alone, in a tile of queries, or with its segments on several threads**; the tests at the end hold this
//! against one call, token by token, and chunks.
//!
//! Error against [`reference()`]: `1e-6` relative to the largest value, while scores stay below 200.

use std::ops::Range;
use std::sync::atomic::AtomicUsize;

use gptneo_device::{Heads, PAGE, PageTable, Reach, Rows};

use crate::activation::exp;
use crate::cache::{self, Cache, cache_page, padded};
use crate::float::Element;
use crate::isa::{Body, Isa};
use crate::memory::{Memory, Shared};
use crate::simd::{LANES, Simd};
use crate::team::{Team, Worker};

/// Most queries that share one pass over a page.
const TILE: usize = 24;

/// Pages between two merges.
const SEGMENT: usize = 8;

/// Queries and vectors of a register tile.
const GROUP: usize = 6;
const WIDE: usize = 2;

/// Arguments of [`attend`], lengths checked.
pub(crate) struct Attention<'a> {
    pub(crate) isa: Isa,
    /// `[N, H, D]`.
    pub(crate) query: &'a [f32],
    pub(crate) cache: &'a Cache,
    pub(crate) heads: Heads,
    pub(crate) reach: Reach,
    pub(crate) scale: f32,
    pub(crate) rows: Rows<'a>,
    /// `[N, H, D]`.
    pub(crate) out: Shared<'a, f32>,
}

/// Some neighbouring queries of one sequence.
#[derive(Clone, Copy, Debug)]
struct Tile {
    row: usize,
    count: usize,
    position: usize,
    sequence: usize,
}

/// Storage kept from call to call.
pub(crate) struct Room {
    tiles: Vec<Tile>,
    workers: Memory<f32>,
    partials: Memory<f32>,
}

impl Room {
    pub(crate) const fn new() -> Self {
        Self { tiles: Vec::new(), workers: Memory::empty(), partials: Memory::empty() }
    }
}

/// Computes attention on the team.
pub(crate) fn attend(team: &Team, args: &Attention<'_>, room: &mut Room) {
    room.tiles.clear();
    cut_tiles(args.rows, &mut room.tiles);
    // The last queries see most keys: they go first, so that no worker is left with a long one.
    room.tiles.reverse();
    let size = args.heads.size;
    let slot = slot_len(TILE.min(args.rows.len()), size);
    let each = 2 * cache::scratch_len(size) + TILE * PAGE + 2 * slot_len(TILE, size);
    room.workers.reserve(each * team.threads(), "attention").expect("attention needs a few pages of scratch");

    let items = room.tiles.len() * args.heads.count;
    let segments = room.tiles.iter().map(|tile| args.segments(tile).len()).max().unwrap_or(0);
    let split = team.threads() > 1 && segments > 1 && items < 4 * team.threads();
    if split {
        let len = items * segments * slot;
        room.partials.reserve(len, "attention").expect("attention needs scratch for a few queries");
    }
    let (tiles, workers, partials) = (&room.tiles, room.workers.shared(), room.partials.shared());
    let next = AtomicUsize::new(0);
    team.run(|worker: &Worker<'_>| {
        // SAFETY: each worker has its own.
        let scratch = unsafe { workers.part(worker.index() * each, each) };
        // All tiles of a head, then the next head: its keys and values stay in the cache.
        let item = |index: usize| (tiles[index % tiles.len()], index / tiles.len());
        if !split {
            while let Some(index) = worker.claim(&next, items) {
                let (tile, head) = item(index);
                args.isa.run(WholeTile { args, tile, head, scratch });
            }
            return;
        }
        while let Some(index) = worker.claim(&next, items * segments) {
            let (tile, head) = item(index / segments);
            let Some(segment) = args.segments(&tile).nth(index % segments) else { continue };
            // SAFETY: each slot belongs to one claim.
            let out = unsafe { partials.part(index * slot, slot) };
            args.isa.run(OneSegment { args, tile, head, segment, scratch, out });
        }
        worker.barrier();
        for index in worker.share(items) {
            let (tile, head) = item(index);
            let count = args.segments(&tile).len();
            // SAFETY: the slots of an item belong to the worker whose share it is, after the barrier.
            let parts = unsafe { partials.part(index * segments * slot, count * slot) };
            args.isa.run(MergeParts { args, tile, head, parts, slot });
        }
    });
}

/// Cuts the batch into tiles of neighbouring positions.
fn cut_tiles(rows: Rows<'_>, tiles: &mut Vec<Tile>) {
    let mut row = 0;
    while row < rows.len() {
        let sequence = rows.sequences[row];
        let run = rows.sequences[row..].iter().take_while(|&&other| other == sequence).count();
        let pieces = run.div_ceil(TILE);
        for piece in 0..pieces {
            // Whole register groups, and pieces as even as that allows.
            let even = run.div_ceil(pieces).next_multiple_of(GROUP).min(TILE);
            let start = (piece * even).min(run);
            let count = even.min(run - start);
            if count > 0 {
                let position = rows.positions[row + start] as usize;
                tiles.push(Tile { row: row + start, count, position, sequence: sequence as usize });
            }
        }
        row += run;
    }
}

/// f32 of the running state of `count` queries: maxima, sums, weighted values.
const fn slot_len(count: usize, size: usize) -> usize {
    count * (2 + padded(size))
}

/// The running state of some queries: `values / sum` is the attention so far. A maximum of minus infinity means that no
/// key was seen.
struct State<'a> {
    /// `[count]`.
    max: &'a mut [f32],
    /// `[count]`.
    sum: &'a mut [f32],
    /// `[count][padded D]`.
    values: &'a mut [f32],
}

impl<'a> State<'a> {
    fn over(slot: &'a mut [f32], count: usize, size: usize) -> Self {
        let (max, rest) = slot.split_at_mut(count);
        let (sum, rest) = rest.split_at_mut(count);
        Self { max, sum, values: &mut rest[..count * padded(size)] }
    }

    fn clear(&mut self) {
        self.max.fill(f32::NEG_INFINITY);
        self.sum.fill(0.0);
        self.values.fill(0.0);
    }

    /// Takes the keys of a later segment in. (`inline(always)`: part of wide bodies.)
    #[inline(always)]
    fn merge<S: Simd>(&mut self, s: S, later: &State<'_>) {
        let width = self.values.len() / self.max.len();
        for i in 0..self.max.len() {
            if later.max[i] == f32::NEG_INFINITY {
                continue;
            }
            let (mine, theirs) = (&mut self.values[i * width..][..width], &later.values[i * width..][..width]);
            if self.max[i] == f32::NEG_INFINITY {
                (self.max[i], self.sum[i]) = (later.max[i], later.sum[i]);
                mine.copy_from_slice(theirs);
                continue;
            }
            let max = if later.max[i] > self.max[i] { later.max[i] } else { self.max[i] };
            let (a, b) = (exp_of(s, self.max[i] - max), exp_of(s, later.max[i] - max));
            self.max[i] = max;
            self.sum[i] = self.sum[i] * a + later.sum[i] * b;
            for (mine, theirs) in mine.as_chunks_mut::<LANES>().0.iter_mut().zip(theirs.as_chunks::<LANES>().0) {
                let scaled = s.mul(s.from_array(*mine), s.splat(a));
                *mine = s.to_array(s.fma(s.from_array(*theirs), s.splat(b), scaled));
            }
        }
    }

    /// Divides by the sums and writes the heads of the queries.
    #[inline(always)]
    fn finish(&self, args: &Attention<'_>, tile: Tile, head: usize) {
        let (size, width) = (args.heads.size, padded(args.heads.size));
        for i in 0..tile.count {
            let start = ((tile.row + i) * args.heads.count + head) * size;
            // SAFETY: each query and head belongs to one item, each item to one worker.
            let out = unsafe { args.out.part(start, size) };
            let inverse = 1.0 / self.sum[i];
            for (out, value) in out.iter_mut().zip(&self.values[i * width..]) {
                *out = value * inverse;
            }
        }
    }
}

#[inline(always)]
fn exp_of<S: Simd>(s: S, x: f32) -> f32 {
    s.to_array(exp(s, s.splat(x)))[0]
}

impl Attention<'_> {
    /// Absolute pages that some query of the tile sees.
    fn pages(&self, tile: &Tile) -> Range<usize> {
        let last = tile.position + tile.count - 1;
        self.reach.first_key(tile.position) / PAGE..last / PAGE + 1
    }

    /// The pages of each segment that some query of the tile sees.
    fn segments(&self, tile: &Tile) -> impl ExactSizeIterator<Item = Range<usize>> {
        let pages = self.pages(tile);
        (pages.start / SEGMENT..pages.end.div_ceil(SEGMENT))
            .map(move |i| pages.start.max(i * SEGMENT)..pages.end.min((i + 1) * SEGMENT))
    }

    /// Runs the queries of a tile over some pages.
    #[inline(always)]
    fn run_pages<S: Simd>(
        &self,
        s: S,
        tile: Tile,
        head: usize,
        pages: Range<usize>,
        scratch: &mut [f32],
        state: &mut State<'_>,
    ) {
        let (size, width, count) = (self.heads.size, padded(self.heads.size), tile.count);
        let (keys, rest) = scratch.split_at_mut(cache::scratch_len(size));
        let (values, rest) = rest.split_at_mut(cache::scratch_len(size));
        let scores = &mut rest[..TILE * PAGE];
        let stride = self.heads.count * size;
        let queries = &self.query[tile.row * stride + head * size..][..(count - 1) * stride + size];
        let table: PageTable<'_> = self.rows.tables[tile.sequence];
        let mut fade = [1.0f32; TILE];
        state.clear();
        for page in pages {
            let base = page * PAGE;
            // The slots that some query of the tile sees: all of them were written.
            let seen =
                self.reach.first_key(tile.position).saturating_sub(base)..(tile.position + count - base).min(PAGE);
            let place = cache_page(table, page);
            match self.cache.half_keys(place, head).filter(|_| count == 1) {
                // One query: widening in registers saves a pass. The arithmetic is the same.
                Some(keys) => score_one(s, queries, keys, scores),
                None => score_page(s, queries, stride, size, self.cache.keys(s, place, head, keys), scores, count),
            }
            for i in 0..count {
                let position = tile.position + i;
                let own = self.reach.first_key(position).saturating_sub(base).min(PAGE)
                    ..(position + 1).saturating_sub(base).min(PAGE);
                let scores = &mut scores[i * PAGE..][..PAGE];
                fade[i] = if own.is_empty() {
                    scores.fill(0.0);
                    1.0
                } else {
                    weigh(s, scores, own, self.scale, &mut state.max[i], &mut state.sum[i])
                };
            }
            match self.cache.half_values(place, head).filter(|_| count == 1) {
                Some(values) => add_to_one(s, scores, fade[0], values, seen, state.values),
                None => {
                    let values = self.cache.values(s, place, head, values);
                    add_values(s, scores, &fade, values, width, seen, state.values, count);
                }
            }
        }
    }
}

/// One tile and head over all it sees.
struct WholeTile<'a, 'b> {
    args: &'a Attention<'b>,
    tile: Tile,
    head: usize,
    scratch: &'a mut [f32],
}

impl Body for WholeTile<'_, '_> {
    type Out = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let Self { args, tile, head, scratch } = self;
        let size = args.heads.size;
        let (states, scratch) = scratch.split_at_mut(2 * slot_len(TILE, size));
        let (total, part) = states.split_at_mut(slot_len(TILE, size));
        let mut total = State::over(total, tile.count, size);
        let mut part = State::over(part, tile.count, size);
        for (i, segment) in args.segments(&tile).enumerate() {
            args.run_pages(s, tile, head, segment, scratch, &mut part);
            if i == 0 {
                std::mem::swap(&mut total, &mut part);
            } else {
                total.merge(s, &part);
            }
        }
        total.finish(args, tile, head);
    }
}

/// One tile and head over one segment, its state left in a slot.
struct OneSegment<'a, 'b> {
    args: &'a Attention<'b>,
    tile: Tile,
    head: usize,
    segment: Range<usize>,
    scratch: &'a mut [f32],
    out: &'a mut [f32],
}

impl Body for OneSegment<'_, '_> {
    type Out = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let Self { args, tile, head, segment, scratch, out } = self;
        let mut state = State::over(out, tile.count, args.heads.size);
        args.run_pages(s, tile, head, segment, scratch, &mut state);
    }
}

/// The states of the segments of one tile and head, merged in order.
struct MergeParts<'a, 'b> {
    args: &'a Attention<'b>,
    tile: Tile,
    head: usize,
    /// One slot after the other.
    parts: &'a mut [f32],
    slot: usize,
}

impl Body for MergeParts<'_, '_> {
    type Out = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let Self { args, tile, head, parts, slot } = self;
        let size = args.heads.size;
        let mut slots = parts.chunks_exact_mut(slot).map(|slot| State::over(slot, tile.count, size));
        let mut total = slots.next().expect("every query sees itself");
        for part in slots {
            total.merge(s, &part);
        }
        total.finish(args, tile, head);
    }
}

/// `scores[i][j] = queries[i] . keys[j]` for the 64 keys of a page.
#[inline(always)]
fn score_page<S: Simd>(
    s: S,
    queries: &[f32],
    stride: usize,
    size: usize,
    keys: &[f32],
    scores: &mut [f32],
    count: usize,
) {
    assert!(keys.len() >= size * PAGE && scores.len() >= count * PAGE && queries.len() >= (count - 1) * stride + size);
    if count == 1 {
        return score_one(s, queries, keys, scores);
    }
    for first in (0..count).step_by(GROUP) {
        for column in (0..PAGE).step_by(WIDE * LANES) {
            // SAFETY: `count - first` queries remain; the columns lie within the page.
            unsafe {
                let q = queries.as_ptr().add(first * stride);
                let k = keys.as_ptr().add(column);
                let out = scores.as_mut_ptr().add(first * PAGE + column);
                match count - first {
                    1 => scores_of::<S, f32, 1, WIDE>(s, q, stride, size, k, out),
                    2 => scores_of::<S, f32, 2, WIDE>(s, q, stride, size, k, out),
                    3 => scores_of::<S, f32, 3, WIDE>(s, q, stride, size, k, out),
                    4 => scores_of::<S, f32, 4, WIDE>(s, q, stride, size, k, out),
                    5 => scores_of::<S, f32, 5, WIDE>(s, q, stride, size, k, out),
                    _ => scores_of::<S, f32, GROUP, WIDE>(s, q, stride, size, k, out),
                }
            }
        }
    }
}

/// [`score_page`] for one query, over keys of any type.
#[inline(always)]
fn score_one<S: Simd, E: Element>(s: S, query: &[f32], keys: &[E], scores: &mut [f32]) {
    assert!(keys.len() >= query.len() * PAGE && scores.len() >= PAGE);
    // SAFETY: the lengths were just checked.
    unsafe { scores_of::<S, E, 1, 8>(s, query.as_ptr(), 0, query.len(), keys.as_ptr(), scores.as_mut_ptr()) }
}

/// # Safety
/// `Q` queries of `size` values lie at `q`, `stride` apart; `size` rows of `8 V` keys at `k`, PAGE apart; room for `Q` rows of
/// `8 V` scores at `out`, PAGE apart.
#[inline(always)]
unsafe fn scores_of<S: Simd, E: Element, const Q: usize, const V: usize>(
    s: S,
    q: *const f32,
    stride: usize,
    size: usize,
    k: *const E,
    out: *mut f32,
) {
    let mut sums = [[s.splat(0.0); V]; Q];
    for channel in 0..size {
        // SAFETY: the caller's promise.
        unsafe {
            let mut keys = [s.splat(0.0); V];
            for v in 0..V {
                keys[v] = E::load(s, k.add(channel * PAGE + v * LANES));
            }
            for i in 0..Q {
                let query = s.splat(*q.add(i * stride + channel));
                for v in 0..V {
                    sums[i][v] = s.fma(query, keys[v], sums[i][v]);
                }
            }
        }
    }
    for i in 0..Q {
        for v in 0..V {
            // SAFETY: the caller's promise.
            unsafe { s.store(out.add(i * PAGE + v * LANES), sums[i][v]) };
        }
    }
}

/// Turns the scores of a page into weights `exp(scale * score - max)`, zero outside `own`; raises the running maximum,
/// updates the running sum, and returns what earlier values must be multiplied by.
#[inline(always)]
fn weigh<S: Simd>(s: S, scores: &mut [f32], own: Range<usize>, scale: f32, max: &mut f32, sum: &mut f32) -> f32 {
    const VECTORS: usize = PAGE / LANES;
    let factor = s.splat(scale);
    for lanes in scores.as_chunks_mut::<LANES>().0 {
        *lanes = s.to_array(s.mul(s.from_array(*lanes), factor));
    }
    scores[..own.start].fill(f32::NEG_INFINITY);
    scores[own.end..].fill(f32::NEG_INFINITY);
    let vectors = scores.as_chunks_mut::<LANES>().0;
    let mut largest = s.splat(*max);
    for v in 0..VECTORS {
        largest = s.max(s.from_array(vectors[v]), largest);
    }
    let new_max = s.max_lane(largest);
    let shift = s.splat(new_max);
    let mut total = s.splat(0.0);
    for v in 0..VECTORS {
        let weight = exp(s, s.sub(s.from_array(vectors[v]), shift));
        vectors[v] = s.to_array(weight);
        total = s.add(total, weight);
    }
    let fade = exp_of(s, *max - new_max);
    *max = new_max;
    *sum = *sum * fade + s.sum(total);
    fade
}

/// `state[i] = state[i] * fade[i] + sum over slots of weights[i][slot] * values[slot]`.
#[inline(always)]
#[allow(clippy::too_many_arguments, reason = "an inner kernel")]
fn add_values<S: Simd>(
    s: S,
    weights: &[f32],
    fade: &[f32; TILE],
    values: &[f32],
    width: usize,
    slots: Range<usize>,
    state: &mut [f32],
    count: usize,
) {
    assert!(weights.len() >= count * PAGE && values.len() >= PAGE * width && state.len() >= count * width);
    assert!(slots.end <= PAGE && count <= TILE);
    if count == 1 {
        return add_to_one(s, weights, fade[0], values, slots, state);
    }
    for first in (0..count).step_by(GROUP) {
        let mut column = 0;
        while column < width {
            let vectors = (width - column) / LANES;
            let slots = slots.clone();
            // SAFETY: `count - first` queries and `vectors` vectors of channels remain; the lengths were checked.
            unsafe {
                let p = weights.as_ptr().add(first * PAGE);
                let f = fade.as_ptr().add(first);
                let v = values.as_ptr().add(column);
                let out = state.as_mut_ptr().add(first * width + column);
                column += LANES
                    * match (count - first, vectors) {
                        (1, 2..) => values_of::<S, f32, 1, 2>(s, p, f, v, width, slots, out),
                        (1, _) => values_of::<S, f32, 1, 1>(s, p, f, v, width, slots, out),
                        (2, 2..) => values_of::<S, f32, 2, 2>(s, p, f, v, width, slots, out),
                        (2, _) => values_of::<S, f32, 2, 1>(s, p, f, v, width, slots, out),
                        (3, 2..) => values_of::<S, f32, 3, 2>(s, p, f, v, width, slots, out),
                        (3, _) => values_of::<S, f32, 3, 1>(s, p, f, v, width, slots, out),
                        (4, 2..) => values_of::<S, f32, 4, 2>(s, p, f, v, width, slots, out),
                        (4, _) => values_of::<S, f32, 4, 1>(s, p, f, v, width, slots, out),
                        (5, 2..) => values_of::<S, f32, 5, 2>(s, p, f, v, width, slots, out),
                        (5, _) => values_of::<S, f32, 5, 1>(s, p, f, v, width, slots, out),
                        (_, 2..) => values_of::<S, f32, GROUP, WIDE>(s, p, f, v, width, slots, out),
                        (_, _) => values_of::<S, f32, GROUP, 1>(s, p, f, v, width, slots, out),
                    };
            }
        }
    }
}

/// [`add_values`] for one query, over values of any type.
#[inline(always)]
fn add_to_one<S: Simd, E: Element>(
    s: S,
    weights: &[f32],
    fade: f32,
    values: &[E],
    slots: Range<usize>,
    state: &mut [f32],
) {
    let width = state.len();
    assert!(weights.len() >= PAGE && values.len() >= PAGE * width && slots.end <= PAGE);
    let mut column = 0;
    while column < width {
        let slots = slots.clone();
        // SAFETY: (width - column) / 8 vectors of channels remain; the lengths were checked.
        unsafe {
            let (p, f) = (weights.as_ptr(), &raw const fade);
            let (v, out) = (values.as_ptr().add(column), state.as_mut_ptr().add(column));
            column += LANES
                * match (width - column) / LANES {
                    8.. => values_of::<S, E, 1, 8>(s, p, f, v, width, slots, out),
                    4.. => values_of::<S, E, 1, 4>(s, p, f, v, width, slots, out),
                    2.. => values_of::<S, E, 1, 2>(s, p, f, v, width, slots, out),
                    _ => values_of::<S, E, 1, 1>(s, p, f, v, width, slots, out),
                };
        }
    }
}

/// Returns `V`, the vectors done.
///
/// # Safety
/// `Q` rows of PAGE weights lie at `p` and `Q` factors at `f`; PAGE rows of `8 V` values at `v` and `Q` rows of state at `out`, each
/// `width` apart.
#[inline(always)]
unsafe fn values_of<S: Simd, E: Element, const Q: usize, const V: usize>(
    s: S,
    p: *const f32,
    f: *const f32,
    v: *const E,
    width: usize,
    slots: Range<usize>,
    out: *mut f32,
) -> usize {
    let mut sums = [[s.splat(0.0); V]; Q];
    for i in 0..Q {
        for j in 0..V {
            // SAFETY: the caller's promise.
            sums[i][j] = unsafe { s.mul(s.load(out.add(i * width + j * LANES)), s.splat(*f.add(i))) };
        }
    }
    for slot in slots {
        // SAFETY: the caller's promise; slots lie below PAGE.
        unsafe {
            let mut values = [s.splat(0.0); V];
            for j in 0..V {
                values[j] = E::load(s, v.add(slot * width + j * LANES));
            }
            for i in 0..Q {
                let weight = s.splat(*p.add(i * PAGE + slot));
                for j in 0..V {
                    sums[i][j] = s.fma(weight, values[j], sums[i][j]);
                }
            }
        }
    }
    for i in 0..Q {
        for j in 0..V {
            // SAFETY: the caller's promise.
            unsafe { s.store(out.add(i * width + j * LANES), sums[i][j]) };
        }
    }
    V
}
