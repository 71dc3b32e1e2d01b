//! Attention over the paged cache: `out = softmax(scale * query . keys) values` for every query and head, in f32.
//!
//! Keys are taken in pages of [`PAGE`] at absolute multiples, with a running maximum and sum; after every [`SEGMENT`] pages
//! (absolute multiples too) the running sums begin afresh and are merged in order. A score is a chain over the channels in
//! order, an output a chain over the keys in order, and a key out of reach adds nothing, so that **a query's result has the same bits whether it is
//! computed alone, in a tile of queries, or with its segments on several threads**; the tests at the end hold this
//! against one call, token by token, and chunks.
//!
//! Error against f64 (`tests/it/attention.rs`): that of the scores, `D 2^-24` times the sum of the magnitudes of a score's
//! terms, moves the weights; all else is within 2e-6 of the largest value.

mod page;

use std::ops::Range;
use std::sync::atomic::AtomicUsize;

use gptneo_device::{Heads, PAGE, PageTable, Reach, Rows};

use crate::cache::{self, Cache, Stored, cache_page, padded};
use crate::isa::{Body, Isa};
use crate::memory::{Memory, Shared};
use crate::simd::{LANES, Simd};
use crate::team::{Team, Worker};
use page::{GROUP, add_steps_to_one, add_to_one, add_values, exp_of, score_one, score_one_in_steps, score_page, weigh};

/// Most queries that share one pass over a page.
const TILE: usize = 24;

/// Pages between two merges.
const SEGMENT: usize = 8;

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

/// A tile and the heads that one claim takes through its keys.
#[derive(Clone, Debug)]
struct Item {
    tile: Tile,
    heads: Range<usize>,
}

/// Storage kept from call to call.
pub(crate) struct Room {
    tiles: Vec<Tile>,
    items: Vec<Item>,
    workers: Memory<f32>,
    partials: Memory<f32>,
}

impl Room {
    pub(crate) const fn new() -> Self {
        Self { tiles: Vec::new(), items: Vec::new(), workers: Memory::empty(), partials: Memory::empty() }
    }
}

/// Computes attention on the team.
pub(crate) fn attend(team: &Team, args: &Attention<'_>, room: &mut Room) {
    room.tiles.clear();
    cut_tiles(args.rows, &mut room.tiles);
    // The last queries see most keys: they go first, so that no worker is left with a long one.
    room.tiles.reverse();
    group_heads(&room.tiles, args.heads.count, team.threads(), &mut room.items);
    let size = args.heads.size;
    let each = 2 * cache::scratch_len(size) + TILE * PAGE + 2 * slot_len(TILE, size);
    room.workers.reserve(each * team.threads(), "attention").expect("attention needs a few pages of scratch");

    let items = room.items.len();
    let slot = room.items.iter().map(|item| item.slots_len(size)).max().unwrap_or(0);
    let segments = room.tiles.iter().map(|tile| args.segments(tile).len()).max().unwrap_or(0);
    let split = team.threads() > 1 && segments > 1 && items < 4 * team.threads();
    if split {
        let len = items * segments * slot;
        room.partials.reserve(len, "attention").expect("attention needs scratch for a few queries");
    }
    let (items, workers, partials) = (&*room.items, room.workers.shared(), room.partials.shared());
    let next = AtomicUsize::new(0);
    team.run(|worker: &Worker<'_>| {
        // SAFETY: each worker has its own.
        let scratch = unsafe { workers.part(worker.index() * each, each) };
        if !split {
            while let Some(index) = worker.claim(&next, items.len()) {
                args.isa.run(WholeTile { args, item: &items[index], scratch });
            }
            return;
        }
        while let Some(index) = worker.claim(&next, items.len() * segments) {
            let item = &items[index / segments];
            let Some(segment) = args.segments(&item.tile).nth(index % segments) else { continue };
            // SAFETY: each slot belongs to one claim.
            let out = unsafe { partials.part(index * slot, item.slots_len(size)) };
            args.isa.run(OneSegment { args, item, segment, scratch, out });
        }
        worker.barrier();
        for index in worker.share(items.len()) {
            let item = &items[index];
            let count = args.segments(&item.tile).len();
            // SAFETY: the slots of an item belong to the worker whose share it is, after the barrier.
            let parts = unsafe { partials.part(index * segments * slot, count * slot) };
            args.isa.run(MergeParts { args, item, parts, slot });
        }
    });
}

/// Deals tiles and heads out.
///
/// Many queries: all tiles of a head, then the next head, whose keys and values stay in the cache. One query walks through
/// memory, where the heads of a page lie side by side: it takes as many together as leave a few items for each worker.
fn group_heads(tiles: &[Tile], heads: usize, workers: usize, items: &mut Vec<Item>) {
    /// Items of single queries for each worker: fewer, and one would wait for another at the end.
    const EACH: usize = 3;
    items.clear();
    for head in 0..heads {
        let many = tiles.iter().filter(|tile| tile.count > 1);
        items.extend(many.map(|&tile| Item { tile, heads: head..head + 1 }));
    }
    let single = tiles.iter().filter(|tile| tile.count == 1);
    let group = (single.clone().count() * heads / (EACH * workers)).clamp(1, heads.min(TILE));
    for &tile in single {
        items.extend((0..heads).step_by(group).map(|head| Item { tile, heads: head..heads.min(head + group) }));
    }
}

impl Item {
    /// f32 of the running states of all its queries and heads.
    fn slots_len(&self, size: usize) -> usize {
        self.heads.len() * slot_len(self.tile.count, size)
    }
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
                let scaled = s.mul(s.vector(*mine), s.splat(a));
                *mine = s.to_array(s.fma(s.vector(*theirs), s.splat(b), scaled));
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

    /// Runs the queries and heads of an item over some pages; `slots` has the running state of each head in turn.
    #[inline(always)]
    fn run_pages<S: Simd>(&self, s: S, item: &Item, pages: Range<usize>, scratch: &mut [f32], slots: &mut [f32]) {
        let tile = item.tile;
        let (size, width, count) = (self.heads.size, padded(self.heads.size), tile.count);
        let (keys, rest) = scratch.split_at_mut(cache::scratch_len(size));
        let (values, rest) = rest.split_at_mut(cache::scratch_len(size));
        let scores = &mut rest[..TILE * PAGE];
        let stride = self.heads.count * size;
        let table: PageTable<'_> = self.rows.tables[tile.sequence];
        let mut fade = [1.0f32; TILE];
        let slot = slot_len(count, size);
        slots.chunks_exact_mut(slot).for_each(|slot| State::over(slot, count, size).clear());
        for page in pages.clone() {
            let base = page * PAGE;
            // The slots that some query of the tile sees: all of them were written.
            let seen =
                self.reach.first_key(tile.position).saturating_sub(base)..(tile.position + count - base).min(PAGE);
            let place = cache_page(table, page);
            let next_place = if page + 1 < pages.end { cache_page(table, page + 1) } else { place };
            for (head, slot) in item.heads.clone().zip(slots.chunks_exact_mut(slot)) {
                let state = State::over(slot, count, size);
                let queries = &self.query[tile.row * stride + head * size..][..(count - 1) * stride + size];
                // One query walks through memory: while it is at the keys, the values are fetched, and then the next keys.
                // It widens in registers; the arithmetic is that of many.
                let (keys_here, values_here) =
                    (self.cache.stored_keys(place, head), self.cache.stored_values(place, head));
                let ahead = values_here.start();
                match keys_here {
                    Stored::Floats(keys) if count == 1 => score_one(s, queries, keys, scores, ahead),
                    Stored::Halves(keys) if count == 1 => score_one(s, queries, keys, scores, ahead),
                    Stored::Steps(keys) if count == 1 => score_one_in_steps(s, queries, keys, scores, ahead),
                    stored => score_page(s, queries, stride, size, stored.widen(s, keys), scores, count),
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
                let next = match head + 1 {
                    next if next < item.heads.end => self.cache.stored_keys(place, next),
                    _ => self.cache.stored_keys(next_place, item.heads.start),
                };
                let (next, seen) = (next.start(), seen.clone());
                let scratch = &mut *values;
                let values = &mut *state.values;
                match values_here {
                    Stored::Floats(here) if count == 1 => add_to_one(s, scores, fade[0], here, seen, values, next),
                    Stored::Halves(here) if count == 1 => add_to_one(s, scores, fade[0], here, seen, values, next),
                    Stored::Steps(here) if count == 1 => {
                        add_steps_to_one(s, scores, fade[0], here, seen, scratch, values, next);
                    }
                    stored => add_values(s, scores, &fade, stored.widen(s, scratch), width, seen, values, count),
                }
            }
        }
    }
}

/// An item over all it sees.
struct WholeTile<'a, 'b> {
    args: &'a Attention<'b>,
    item: &'a Item,
    scratch: &'a mut [f32],
}

impl Body for WholeTile<'_, '_> {
    type Out = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let Self { args, item, scratch } = self;
        let size = args.heads.size;
        let (states, scratch) = scratch.split_at_mut(2 * slot_len(TILE, size));
        let (total, part) = states.split_at_mut(slot_len(TILE, size));
        let (mut total, mut part) = (&mut total[..item.slots_len(size)], &mut part[..item.slots_len(size)]);
        for (i, segment) in args.segments(&item.tile).enumerate() {
            args.run_pages(s, item, segment, scratch, part);
            if i == 0 {
                std::mem::swap(&mut total, &mut part);
            } else {
                item.merge(s, size, total, part);
            }
        }
        item.finish(args, total);
    }
}

impl Item {
    /// Takes the keys of a later segment in.
    #[inline(always)]
    fn merge<S: Simd>(&self, s: S, size: usize, total: &mut [f32], later: &mut [f32]) {
        let (count, slot) = (self.tile.count, slot_len(self.tile.count, size));
        for (total, later) in total.chunks_exact_mut(slot).zip(later.chunks_exact_mut(slot)) {
            State::over(total, count, size).merge(s, &State::over(later, count, size));
        }
    }

    /// Divides by the sums and writes the heads of the queries.
    #[inline(always)]
    fn finish(&self, args: &Attention<'_>, slots: &mut [f32]) {
        let (count, size) = (self.tile.count, args.heads.size);
        for (head, slot) in self.heads.clone().zip(slots.chunks_exact_mut(slot_len(count, size))) {
            State::over(slot, count, size).finish(args, self.tile, head);
        }
    }
}

/// An item over one segment, its states left in a slot.
struct OneSegment<'a, 'b> {
    args: &'a Attention<'b>,
    item: &'a Item,
    segment: Range<usize>,
    scratch: &'a mut [f32],
    out: &'a mut [f32],
}

impl Body for OneSegment<'_, '_> {
    type Out = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let Self { args, item, segment, scratch, out } = self;
        args.run_pages(s, item, segment, scratch, out);
    }
}

/// The states of the segments of an item, merged in order.
struct MergeParts<'a, 'b> {
    args: &'a Attention<'b>,
    item: &'a Item,
    /// One slot after the other.
    parts: &'a mut [f32],
    slot: usize,
}

impl Body for MergeParts<'_, '_> {
    type Out = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let Self { args, item, parts, slot } = self;
        let size = args.heads.size;
        let (total, later) = parts.split_at_mut(slot);
        let total = &mut total[..item.slots_len(size)];
        for part in later.chunks_exact_mut(slot) {
            item.merge(s, size, total, &mut part[..item.slots_len(size)]);
        }
        item.finish(args, total);
    }
}
