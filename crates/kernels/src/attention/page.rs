//! What happens to one page: scores of some queries, their weights, and the weighted values.
//!
//! Register tiles of [`GROUP`] queries by [`WIDE`] vectors of keys, or of channels; one query alone takes 8 vectors, and widens
//! narrow types as it loads them. Whatever the tile, a score is a chain of multiply-adds over the channels in order, and an
//! output one over the slots in order.

use std::ops::Range;

use gptneo_device::PAGE;

use super::TILE;
use crate::activation::exp;
use crate::cache::{self, Steps};
use crate::element::Element;
use crate::memory::LINE;
use crate::simd::{LANES, Simd};

/// Queries and vectors of a register tile.
pub(super) const GROUP: usize = 6;
const WIDE: usize = 2;

/// `e^x` of one value, by the same arithmetic as of eight.
#[inline(always)]
pub(super) fn exp_of<S: Simd>(s: S, x: f32) -> f32 {
    s.to_array(exp(s, s.splat(x)))[0]
}

/// `scores[i][j] = queries[i] . keys[j]` for the 64 keys of a page.
#[inline(always)]
pub(super) fn score_page<S: Simd>(
    s: S,
    queries: &[f32],
    stride: usize,
    size: usize,
    keys: &[f32],
    scores: &mut [f32],
    count: usize,
) {
    let none = std::ptr::null();
    assert!(keys.len() >= size * PAGE && scores.len() >= count * PAGE && queries.len() >= (count - 1) * stride + size);
    for first in (0..count).step_by(GROUP) {
        for column in (0..PAGE).step_by(WIDE * LANES) {
            // SAFETY: `count - first` queries remain; the columns lie within the page.
            unsafe {
                let q = queries.as_ptr().add(first * stride);
                let k = keys.as_ptr().add(column);
                let out = scores.as_mut_ptr().add(first * PAGE + column);
                match count - first {
                    1 => scores_of::<S, f32, 1, WIDE>(s, q, stride, size, k, out, none),
                    2 => scores_of::<S, f32, 2, WIDE>(s, q, stride, size, k, out, none),
                    3 => scores_of::<S, f32, 3, WIDE>(s, q, stride, size, k, out, none),
                    4 => scores_of::<S, f32, 4, WIDE>(s, q, stride, size, k, out, none),
                    5 => scores_of::<S, f32, 5, WIDE>(s, q, stride, size, k, out, none),
                    _ => scores_of::<S, f32, GROUP, WIDE>(s, q, stride, size, k, out, none),
                }
            }
        }
    }
}

/// [`score_page`] for one query, over keys of any type.
#[inline(always)]
pub(super) fn score_one<S: Simd, E: Element>(s: S, query: &[f32], keys: &[E], scores: &mut [f32], ahead: *const u8) {
    assert!(keys.len() >= query.len() * PAGE && scores.len() >= PAGE);
    // SAFETY: the lengths were just checked.
    unsafe { scores_of::<S, E, 1, 8>(s, query.as_ptr(), 0, query.len(), keys.as_ptr(), scores.as_mut_ptr(), ahead) }
}

/// [`score_page`] for one query over 8-bit keys, half a page at a time: sums and scales fill the registers.
#[inline(always)]
pub(super) fn score_one_in_steps<S: Simd>(s: S, query: &[f32], keys: Steps<'_>, scores: &mut [f32], ahead: *const u8) {
    const HALF: usize = PAGE / LANES / 2;
    assert!(keys.numbers.len() >= query.len() * PAGE && keys.scales.len() >= query.len().div_ceil(cache::GROUP) * PAGE);
    assert!(scores.len() >= PAGE);
    for start in [0, PAGE / 2] {
        let mut sums = [s.splat(0.0); HALF];
        for (group, channels) in query.chunks(cache::GROUP).enumerate() {
            let mut scales = [s.splat(0.0); HALF];
            for v in 0..HALF {
                // SAFETY: PAGE scales for each group.
                scales[v] = unsafe { s.load_f16(keys.scales.as_ptr().add(group * PAGE + start + v * LANES)) };
            }
            for (i, &query) in channels.iter().enumerate() {
                let row = (group * cache::GROUP + i) * PAGE + start;
                let query = s.splat(query);
                if start == 0 {
                    s.prefetch(ahead.wrapping_add(row));
                }
                for v in 0..HALF {
                    // SAFETY: PAGE numbers for each channel.
                    let steps = unsafe { s.load_i8(keys.numbers.as_ptr().add(row + v * LANES)) };
                    sums[v] = s.fma(query, s.mul(steps, scales[v]), sums[v]);
                }
            }
        }
        for v in 0..HALF {
            // SAFETY: PAGE scores.
            unsafe { s.store(scores.as_mut_ptr().add(start + v * LANES), sums[v]) };
        }
    }
}

/// # Safety
/// `Q` queries of `size` values lie at `q`, `stride` apart; `size` rows of `8 V` keys at `k`, PAGE apart; room for `Q` rows of
/// `8 V` scores at `out`, PAGE apart. With all of a page's keys at once, as many bytes are fetched from `ahead`.
#[inline(always)]
unsafe fn scores_of<S: Simd, E: Element, const Q: usize, const V: usize>(
    s: S,
    q: *const f32,
    stride: usize,
    size: usize,
    k: *const E,
    out: *mut f32,
    ahead: *const u8,
) {
    let mut sums = [[s.splat(0.0); V]; Q];
    for channel in 0..size {
        if V == PAGE / LANES {
            // As many bytes as this row of keys has.
            for line in 0..size_of::<E>() {
                s.prefetch(ahead.wrapping_add((channel * size_of::<E>() + line) * LINE));
            }
        }
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
pub(super) fn weigh<S: Simd>(
    s: S,
    scores: &mut [f32],
    own: Range<usize>,
    scale: f32,
    max: &mut f32,
    sum: &mut f32,
) -> f32 {
    const VECTORS: usize = PAGE / LANES;
    let factor = s.splat(scale);
    for lanes in scores.as_chunks_mut::<LANES>().0 {
        *lanes = s.to_array(s.mul(s.vector(*lanes), factor));
    }
    scores[..own.start].fill(f32::NEG_INFINITY);
    scores[own.end..].fill(f32::NEG_INFINITY);
    let vectors = scores.as_chunks_mut::<LANES>().0;
    let mut largest = s.splat(*max);
    for v in 0..VECTORS {
        largest = s.max(s.vector(vectors[v]), largest);
    }
    let new_max = s.max_lane(largest);
    let shift = s.splat(new_max);
    let mut total = s.splat(0.0);
    for v in 0..VECTORS {
        let weight = exp(s, s.sub(s.vector(vectors[v]), shift));
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
pub(super) fn add_values<S: Simd>(
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
    let none = std::ptr::null();
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
                        (1, 2..) => values_of::<S, f32, 1, 2>(s, p, f, v, width, slots, out, none),
                        (1, _) => values_of::<S, f32, 1, 1>(s, p, f, v, width, slots, out, none),
                        (2, 2..) => values_of::<S, f32, 2, 2>(s, p, f, v, width, slots, out, none),
                        (2, _) => values_of::<S, f32, 2, 1>(s, p, f, v, width, slots, out, none),
                        (3, 2..) => values_of::<S, f32, 3, 2>(s, p, f, v, width, slots, out, none),
                        (3, _) => values_of::<S, f32, 3, 1>(s, p, f, v, width, slots, out, none),
                        (4, 2..) => values_of::<S, f32, 4, 2>(s, p, f, v, width, slots, out, none),
                        (4, _) => values_of::<S, f32, 4, 1>(s, p, f, v, width, slots, out, none),
                        (5, 2..) => values_of::<S, f32, 5, 2>(s, p, f, v, width, slots, out, none),
                        (5, _) => values_of::<S, f32, 5, 1>(s, p, f, v, width, slots, out, none),
                        (_, 2..) => values_of::<S, f32, GROUP, WIDE>(s, p, f, v, width, slots, out, none),
                        (_, _) => values_of::<S, f32, GROUP, 1>(s, p, f, v, width, slots, out, none),
                    };
            }
        }
    }
}

/// [`add_values`] for one query, over values of any type.
#[inline(always)]
pub(super) fn add_to_one<S: Simd, E: Element>(
    s: S,
    weights: &[f32],
    fade: f32,
    values: &[E],
    slots: Range<usize>,
    state: &mut [f32],
    ahead: *const u8,
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
            let ahead = ahead.wrapping_add(column * size_of::<E>());
            column += LANES
                * match (width - column) / LANES {
                    8.. => values_of::<S, E, 1, 8>(s, p, f, v, width, slots, out, ahead),
                    4.. => values_of::<S, E, 1, 4>(s, p, f, v, width, slots, out, ahead),
                    2.. => values_of::<S, E, 1, 2>(s, p, f, v, width, slots, out, ahead),
                    _ => values_of::<S, E, 1, 1>(s, p, f, v, width, slots, out, ahead),
                };
        }
    }
}

/// [`add_values`] for one query over 8-bit values.
#[inline(always)]
#[allow(clippy::too_many_arguments, reason = "an inner kernel")]
pub(super) fn add_steps_to_one<S: Simd>(
    s: S,
    weights: &[f32],
    fade: f32,
    values: Steps<'_>,
    slots: Range<usize>,
    scratch: &mut [f32],
    state: &mut [f32],
    ahead: *const u8,
) {
    let (width, groups) = (state.len(), values.groups());
    let scales = &mut scratch[..PAGE * groups];
    for (lanes, halves) in scales.as_chunks_mut::<LANES>().0.iter_mut().zip(values.scales.as_chunks::<LANES>().0) {
        // SAFETY: eight halves.
        *lanes = s.to_array(unsafe { s.load_f16(halves.as_ptr()) });
    }
    assert!(weights.len() >= PAGE && slots.end <= PAGE && values.numbers.len() >= PAGE * width);
    let mut column = 0;
    while column < width {
        let (slots, v, out) = (slots.clone(), values.numbers[column..].as_ptr(), state[column..].as_mut_ptr());
        let ahead = ahead.wrapping_add(column);
        let (p, scale) = (weights.as_ptr(), scales[column / cache::GROUP..].as_ptr());
        // SAFETY: the column is that of a group's first channel, or the rest is less than a group; (width - column) / 8
        // vectors of channels remain; the lengths were checked.
        unsafe {
            column += LANES
                * match (width - column) / LANES {
                    8.. => steps_of::<S, 8>(s, p, fade, v, width, scale, groups, slots, out, ahead),
                    4.. => steps_of::<S, 4>(s, p, fade, v, width, scale, groups, slots, out, ahead),
                    2.. => steps_of::<S, 2>(s, p, fade, v, width, scale, groups, slots, out, ahead),
                    _ => steps_of::<S, 1>(s, p, fade, v, width, scale, groups, slots, out, ahead),
                };
        }
    }
}

/// [`values_of`] for one query over 8-bit values.
///
/// # Safety
/// As there; at `scale` lie the scales of these channels, those of the next slot `groups` further.
#[inline(always)]
#[allow(clippy::too_many_arguments, reason = "an inner kernel")]
unsafe fn steps_of<S: Simd, const V: usize>(
    s: S,
    p: *const f32,
    fade: f32,
    v: *const i8,
    width: usize,
    scale: *const f32,
    groups: usize,
    slots: Range<usize>,
    out: *mut f32,
    ahead: *const u8,
) -> usize {
    let mut sums = [s.splat(0.0); V];
    for j in 0..V {
        // SAFETY: the caller's promise.
        sums[j] = unsafe { s.mul(s.load(out.add(j * LANES)), s.splat(fade)) };
    }
    for slot in slots {
        // SAFETY: the caller's promise; slots lie below PAGE.
        unsafe {
            let weight = s.splat(*p.add(slot));
            s.prefetch(ahead.wrapping_add(slot * width));
            for j in 0..V {
                let scale = s.splat(*scale.add(slot * groups + j * LANES / cache::GROUP));
                let value = s.mul(s.load_i8(v.add(slot * width + j * LANES)), scale);
                sums[j] = s.fma(weight, value, sums[j]);
            }
        }
    }
    for j in 0..V {
        // SAFETY: the caller's promise.
        unsafe { s.store(out.add(j * LANES), sums[j]) };
    }
    V
}

/// Returns `V`, the vectors done. One query alone fetches as many bytes from `ahead` as it reads.
///
/// # Safety
/// `Q` rows of PAGE weights lie at `p` and `Q` factors at `f`; PAGE rows of `8 V` values at `v` and `Q` rows of state at `out`, each
/// `width` apart.
#[inline(always)]
#[allow(clippy::too_many_arguments, reason = "an inner kernel")]
unsafe fn values_of<S: Simd, E: Element, const Q: usize, const V: usize>(
    s: S,
    p: *const f32,
    f: *const f32,
    v: *const E,
    width: usize,
    slots: Range<usize>,
    out: *mut f32,
    ahead: *const u8,
) -> usize {
    let mut sums = [[s.splat(0.0); V]; Q];
    for i in 0..Q {
        for j in 0..V {
            // SAFETY: the caller's promise.
            sums[i][j] = unsafe { s.mul(s.load(out.add(i * width + j * LANES)), s.splat(*f.add(i))) };
        }
    }
    for slot in slots {
        if Q == 1 && V >= LINE / LANES / size_of::<E>() {
            for line in 0..V * LANES * size_of::<E>() / LINE {
                s.prefetch(ahead.wrapping_add(slot * width * size_of::<E>() + line * LINE));
            }
        }
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
