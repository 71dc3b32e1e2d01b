//! A product of low rank, added to what is there: the matrices of an adapter.
//!
//! For each row `x` of width `C`: `h = x down^T` of `r` values, then `out += h up`. A value of `h` is summed over `C` in eight
//! lanes and the fixed tree, an output over `r` in order and added once, so that a row gives the same bits alone and in a
//! batch, on any number of threads. All in f32; agrees with [`reference()`] to `2e-6` of the summed magnitudes.

use std::ops::Range;

use gptneo_device::LowRank;

use crate::cpu::Cpu;
use crate::isa::{Body, Isa};
use crate::memory::{Memory, Shared};
use crate::simd::{LANES, Simd};
use crate::team::Team;

/// Rows in a register tile.
const TILE: usize = 4;

/// Values of `h` summed at once.
const QUAD: usize = 4;

/// Outputs that one piece of work holds.
const SPAN: usize = 256;

/// Multiplications below which the caller does everything: a fork costs as much.
const ALONE: usize = 64 << 10;

/// `n` rows, as many as `out` holds.
pub(crate) struct Product<'a> {
    /// `[n, C]`.
    pub(crate) x: &'a [f32],
    /// C.
    pub(crate) width: usize,
    /// `[r, C]`.
    pub(crate) down: &'a [f32],
    /// `[r, O]`.
    pub(crate) up: &'a [f32],
    /// O.
    pub(crate) height: usize,
    /// The outputs wanted, of `0..O`.
    pub(crate) outputs: Range<usize>,
    /// `[n, outputs]`.
    pub(crate) out: &'a mut [f32],
}

impl<'a> Product<'a> {
    /// The rows that `args` names, of `out: [N, outputs]`.
    pub(crate) fn new(args: LowRank<'a, Cpu>, out: &'a mut [f32]) -> Self {
        let LowRank { x, width, rows, factors, down, up, rank, height, outputs } = args;
        let factors = factors.as_slice();
        Self {
            x: &x.as_slice()[rows.start * width..rows.end * width],
            width,
            down: &factors[down..][..rank * width],
            up: &factors[up..][..rank * height],
            height,
            out: &mut out[rows.start * outputs.len()..rows.end * outputs.len()],
            outputs,
        }
    }
}

/// The specification, in f64.
#[cfg(test)]
fn reference(product: &mut Product<'_>) {
    let Product { x, width, down, up, height, outputs, out } = product;
    for (x, out) in x.chunks_exact(*width).zip(out.chunks_exact_mut(outputs.len())) {
        let h: Vec<f64> = down
            .chunks_exact(*width)
            .map(|a| x.iter().zip(a).map(|(&x, &a)| f64::from(x) * f64::from(a)).sum())
            .collect();
        for (out, o) in out.iter_mut().zip(outputs.clone()) {
            let sum: f64 = h.iter().zip(up.chunks_exact(*height)).map(|(h, b)| h * f64::from(b[o])).sum();
            *out = (f64::from(*out) + sum) as f32;
        }
    }
}

/// Adds the product to `out`; `room` is scratch.
///
/// # Panics
/// If the lengths do not describe one product.
pub(crate) fn add(team: &Team, isa: Isa, product: Product<'_>, room: &mut Memory<f32>) {
    let Product { x, width, down, up, height, outputs, out } = product;
    assert!(outputs.start <= outputs.end && outputs.end <= height, "{outputs:?} of {height}");
    if width == 0 || height == 0 || outputs.is_empty() {
        return;
    }
    let (n, rank) = (x.len() / width, down.len() / width);
    assert!(
        x.len() == n * width
            && down.len() == rank * width
            && up.len() == rank * height
            && out.len() == n * outputs.len(),
        "{n} rows of {width} by rank {rank} to {outputs:?} of {height}: {}, {}, {} and {} values",
        x.len(),
        down.len(),
        up.len(),
        out.len()
    );
    room.reserve(n * rank, "rows of an adapter").expect("scratch for one batch");
    let (tiles, quads, spans) = (n.div_ceil(TILE), rank.div_ceil(QUAD), outputs.len().div_ceil(SPAN));
    let (h, out) = (Shared::new(&mut room[..n * rank]), Shared::new(out));
    let rows = |item: usize| item * TILE..n.min((item + 1) * TILE);
    let narrow = |items: Range<usize>| {
        for item in items {
            let ranks = item % quads * QUAD..rank.min((item % quads + 1) * QUAD);
            isa.run(Narrow { x, width, down, rank, rows: rows(item / quads), ranks, h });
        }
    };
    let widen = |items: Range<usize>| {
        for item in items {
            let span = item % spans * SPAN..outputs.len().min((item % spans + 1) * SPAN);
            let first = outputs.start;
            isa.run(Widen { h, rank, up, height, first, rows: rows(item / spans), span, out, stride: outputs.len() });
        }
    };
    if n * rank * (width + outputs.len()) < ALONE {
        narrow(0..tiles * quads);
        widen(0..tiles * spans);
        return;
    }
    team.run(|worker| {
        narrow(worker.share(tiles * quads));
        worker.barrier();
        widen(worker.share(tiles * spans));
    });
}

/// `h[rows, ranks] = x[rows] down[ranks]^T`.
struct Narrow<'a> {
    x: &'a [f32],
    width: usize,
    down: &'a [f32],
    rank: usize,
    rows: Range<usize>,
    ranks: Range<usize>,
    h: Shared<'a, f32>,
}

impl Body for Narrow<'_> {
    type Out = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        match self.rows.len() {
            TILE => self.tile::<S, TILE>(s),
            _ => self
                .rows
                .clone()
                .for_each(|row| Self { rows: row..row + 1, ranks: self.ranks.clone(), ..self }.tile::<S, 1>(s)),
        }
    }
}

impl Narrow<'_> {
    #[inline(always)]
    fn tile<S: Simd, const T: usize>(&self, s: S) {
        let width = self.width;
        let row = |t: usize| &self.x[(self.rows.start + t) * width..][..width];
        let x: [&[f32]; T] = std::array::from_fn(row);
        // A last group of fewer than four repeats its last.
        let factor = |j: usize| &self.down[(self.ranks.start + j).min(self.ranks.end - 1) * width..][..width];
        let a: [&[f32]; QUAD] = std::array::from_fn(factor);
        let mut sums = [[s.splat(0.0); QUAD]; T];
        let whole = width - width % LANES;
        for k in (0..whole).step_by(LANES) {
            // SAFETY: k + 8 <= width, the length of each row.
            unsafe {
                let a: [S::F; QUAD] = std::array::from_fn(|j| s.load(a[j].as_ptr().add(k)));
                for t in 0..T {
                    let x = s.load(x[t].as_ptr().add(k));
                    for j in 0..QUAD {
                        sums[t][j] = s.fma(x, a[j], sums[t][j]);
                    }
                }
            }
        }
        let rest = width - whole;
        if rest > 0 {
            for t in 0..T {
                // SAFETY: `rest` values remain in each row.
                unsafe {
                    let x = s.load_part(x[t].as_ptr().add(whole), rest);
                    for j in 0..QUAD {
                        sums[t][j] = s.fma(x, s.load_part(a[j].as_ptr().add(whole), rest), sums[t][j]);
                    }
                }
            }
        }
        for t in 0..T {
            let count = self.ranks.len();
            // SAFETY: these rows and ranks are one worker's.
            let h = unsafe { self.h.part((self.rows.start + t) * self.rank + self.ranks.start, count) };
            for j in 0..count {
                h[j] = s.sum(sums[t][j]);
            }
        }
    }
}

/// `out[rows, span] += h[rows] up[.., first + span]`.
struct Widen<'a> {
    h: Shared<'a, f32>,
    rank: usize,
    up: &'a [f32],
    height: usize,
    first: usize,
    rows: Range<usize>,
    span: Range<usize>,
    out: Shared<'a, f32>,
    stride: usize,
}

impl Body for Widen<'_> {
    type Out = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        match self.rows.len() {
            TILE => self.tile::<S, TILE>(s),
            _ => self
                .rows
                .clone()
                .for_each(|row| Self { rows: row..row + 1, span: self.span.clone(), ..self }.tile::<S, 1>(s)),
        }
    }
}

impl Widen<'_> {
    #[inline(always)]
    fn tile<S: Simd, const T: usize>(&self, s: S) {
        // SAFETY: all of `h` was written before the barrier, and is only read now.
        let row = |t: usize| unsafe { self.h.view((self.rows.start + t) * self.rank, self.rank) };
        let h: [&[f32]; T] = std::array::from_fn(row);
        for at in self.span.clone().step_by(LANES) {
            let count = LANES.min(self.span.end - at);
            let mut sums = [s.splat(0.0); T];
            for (j, up) in self.up.chunks_exact(self.height).enumerate() {
                let up = &up[self.first + at..][..count];
                // SAFETY: `count` values lie there.
                let up = unsafe { if count == LANES { s.load(up.as_ptr()) } else { s.load_part(up.as_ptr(), count) } };
                for t in 0..T {
                    sums[t] = s.fma(s.splat(h[t][j]), up, sums[t]);
                }
            }
            for t in 0..T {
                // SAFETY: these rows and outputs are one worker's; `count` values lie there.
                unsafe {
                    let out = self.out.part((self.rows.start + t) * self.stride + at, count).as_mut_ptr();
                    if count == LANES {
                        s.store(out, s.add(s.load(out), sums[t]));
                    } else {
                        s.store_part(out, s.add(s.load_part(out, count), sums[t]), count);
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn noise(seed: u32, len: usize) -> Vec<f32> {
        (0..len).map(|i| ((i as f32 + seed as f32 * 7.3) * 12.9898).sin()).collect()
    }

    /// One product on one machine, and the specification's.
    fn check(team: &Team, isa: Isa, n: usize, [width, rank, height]: [usize; 3], outputs: Range<usize>) -> Vec<f32> {
        let (x, down, up) = (noise(1, n * width), noise(2, rank * width), noise(3, rank * height));
        let before = noise(4, n * outputs.len());
        let (mut found, mut wanted) = (before.clone(), before);
        let product = |out| Product { x: &x, width, down: &down, up: &up, height, outputs: outputs.clone(), out };
        add(team, isa, product(&mut found), &mut Memory::empty());
        reference(&mut product(&mut wanted));
        // Every sine is at most 1.
        let bound = 2e-6 * (1 + width * rank) as f32;
        for (found, wanted) in found.iter().zip(&wanted) {
            assert!((found - wanted).abs() <= bound, "{isa} {n} x {width}, {rank}, {height}: {found}, not {wanted}");
        }
        found
    }

    #[test]
    fn adds_the_product_of_its_factors_at_odd_sizes_and_the_same_bits_on_any_team() {
        let teams = [1, 2, 4].map(|threads| Team::new(threads).unwrap());
        for isa in Isa::available() {
            for n in [0, 1, 3, 4, 7, 23] {
                for [width, rank, height] in [[1, 1, 1], [3, 4, 7], [23, 5, 300], [512, 16, 513], [96, 1, 8]] {
                    for outputs in [0..height, height / 3..height - height / 4] {
                        let shape = [width, rank, height];
                        let one = check(&teams[0], isa, n, shape, outputs.clone());
                        for team in &teams[1..] {
                            assert_eq!(check(team, isa, n, shape, outputs.clone()), one, "{isa} {n} {shape:?}");
                        }
                    }
                }
            }
        }
    }

    #[test]
    fn a_row_gives_the_same_bits_alone_and_among_others() {
        let (team, [width, rank, height]) = (Team::new(2).unwrap(), [130, 6, 270]);
        for isa in Isa::available() {
            let (x, down, up) = (noise(5, 9 * width), noise(6, rank * width), noise(7, rank * height));
            let run = |x: &[f32]| {
                let mut out = vec![0.5; x.len() / width * height];
                let product = Product { x, width, down: &down, up: &up, height, outputs: 0..height, out: &mut out };
                add(&team, isa, product, &mut Memory::empty());
                out
            };
            let all = run(&x);
            for row in 0..9 {
                assert_eq!(run(&x[row * width..][..width]), all[row * height..][..height], "{isa} row {row}");
            }
        }
    }
}
