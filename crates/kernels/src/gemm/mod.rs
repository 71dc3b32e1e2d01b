//! Products of f32 matrices at the speed of the registers: `C (+)= A B`, for any of `A B`, `A Bᵀ` and `Aᵀ B`.
//!
//! Operands are copied into panels ([`pack`]) that an outer product of registers reads from end to end ([`kernel`]): the lanes of a
//! register are columns of `C`, and a row of `C` is a broadcast value. The operand with the fewer lines is packed whole, by all
//! workers; of the other each worker packs, in its own scratch, the block of [`BLOCK`] lines that it claims.
//!
//! **One fixed order of summation** holds for every element of `C`, whatever the instruction set, the number of threads, and the
//! way blocks are claimed: columns are cut at multiples of [`KC`]; a cut is `n` chains, chain `i` the sum from zero of the
//! columns `n j + i` in rising order; all chains are added up in order, cut after cut. The decoder's products have
//! [eight chains](Summation::DECODING): that makes a token's product alone as fast as memory ([`crate::float`]: a vector of a
//! weight's row holds one term of each chain, and nothing is transposed), and a token's sums are the same alone and among others.
//! Training has no such pair, and takes [two](Summation::TRAINING). Chains are a thing of packing here.
//!
//! Error: at most `(L + n c + 1) 2^-24` of the sum of the magnitudes, for `c` cuts of `n` chains of at most `L` terms, tested
//! against f64 and the crate `gemm` (`tests.rs`; with weights of every type, `tests/it/products.rs`).
//!
//! Training calls [`Gemm`] inside a job of the team:
//!
//! ```text
//! // y = x Wᵀ, dx = dy W, dW += dyᵀ x, for x [n, c], W [o, c], dy [n, o].
//! let y  = Gemm { isa, left: View::new(x, n, c), right: View::new(w, o, c).transposed(), finish: set(y), panels, next };
//! let dx = Gemm { isa, left: View::new(dy, n, o), right: View::new(w, o, c), finish: set(dx), panels, next };
//! let dw = Gemm { isa, left: View::new(dy, n, o).transposed(), right: View::new(x, n, c), finish: add(dw), panels, next };
//! team.run(|worker| y.work(worker, scratch_of(worker)));
//! ```

pub mod bench;
mod kernel;
mod pack;
#[cfg(test)]
mod tests;

use std::ops::Range;
use std::sync::atomic::AtomicUsize;

use crate::finish::Finish;
use crate::isa::Isa;
use crate::memory::Shared;
use crate::team::Worker;
use kernel::{Block, Widths};
pub(crate) use pack::Lines;
use pack::{Pack, filled, packed_len};

/// Columns of a cut: eight chains of 96 terms, or two of 384.
pub(crate) const KC: usize = 768;

/// Lines of either operand whose results are computed at once. Whole panels of every width.
const BLOCK: usize = 96;

/// Blocks of the shared operand that one claim runs over at most: so many results wait for the last cut.
const MOST_BLOCKS: usize = 11;

/// f32 of scratch of its own that each worker needs: the panels of a block's cut, and results.
pub(crate) const SCRATCH: usize = BLOCK * KC + MOST_BLOCKS * BLOCK * BLOCK;

/// A matrix `[rows, cols]` in f32, the elements of its rows or of its columns side by side.
#[derive(Clone, Copy)]
pub(crate) struct View<'a> {
    values: &'a [f32],
    rows: usize,
    cols: usize,
    /// Values from a stored row to the next.
    stride: usize,
    /// The stored rows are the columns.
    transposed: bool,
}

impl<'a> View<'a> {
    /// Row after row.
    pub(crate) fn new(values: &'a [f32], rows: usize, cols: usize) -> Self {
        Self::strided(values, rows, cols, cols)
    }

    /// Rows `stride` values apart: some columns of a wider matrix.
    ///
    /// # Panics
    /// If the rows overlap, or do not lie within the values.
    pub(crate) fn strided(values: &'a [f32], rows: usize, cols: usize, stride: usize) -> Self {
        assert!(stride >= cols, "rows of {cols} columns, {stride} apart");
        let needed = if rows == 0 { 0 } else { (rows - 1) * stride + cols };
        assert!(needed <= values.len(), "{rows} rows of {cols}, {stride} apart, in {} values", values.len());
        Self { values, rows, cols, stride, transposed: false }
    }

    /// The same values as `[cols, rows]`.
    pub(crate) fn transposed(self) -> Self {
        Self { rows: self.cols, cols: self.rows, transposed: !self.transposed, ..self }
    }

    /// The rows as lines to be packed.
    fn row_lines(self) -> Lines<'a> {
        let Self { values, stride, .. } = self;
        if self.transposed { Lines::Across { values, stride } } else { Lines::Along { values, stride } }
    }
}

/// Which operand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Side {
    Left,
    Right,
}

impl Side {
    fn width(self, isa: Isa) -> usize {
        let widths = Widths::of(isa);
        match self {
            Self::Left => widths.left,
            Self::Right => widths.right,
        }
    }
}

/// In what order the terms of a result are added up.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Summation {
    /// Of a cut: 1, 2, 4 or 8.
    chains: usize,
}

impl Summation {
    /// As a token's product alone has it.
    pub(crate) const DECODING: Self = Self { chains: 8 };

    /// Fewer, so that results are loaded, added to and stored less often; one would be no faster, and less exact.
    pub(crate) const TRAINING: Self = Self { chains: 2 };
}

/// The cuts of `depth` columns.
fn cuts(depth: usize) -> impl Iterator<Item = Range<usize>> {
    (0..depth).step_by(KC).map(move |start| start..depth.min(start + KC))
}

/// An operand packed whole: `[cuts][panels][chains][terms][width]`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Panels {
    isa: Isa,
    side: Side,
    lines: usize,
    depth: usize,
    summation: Summation,
}

impl Panels {
    pub(crate) const fn new(isa: Isa, side: Side, lines: usize, depth: usize, summation: Summation) -> Self {
        Self { isa, side, lines, depth, summation }
    }

    fn width(self) -> usize {
        self.side.width(self.isa)
    }

    /// f32 of all panels.
    pub(crate) fn len(self) -> usize {
        packed_len(self.lines, self.depth, self.width())
    }

    /// Lines that are packed together.
    pub(crate) fn unit(self) -> usize {
        self.width()
    }

    /// Packs the lines `unit * self.unit()..`, which are the lines from `first` of `from`.
    ///
    /// # Safety
    /// No one else reads or writes these panels.
    pub(crate) unsafe fn pack(self, unit: usize, from: Lines<'_>, first: usize, out: Shared<'_, f32>) {
        let start = unit * self.unit();
        let count = self.unit().min(self.lines - start);
        for cut in cuts(self.depth) {
            let (at, len) = (self.offset(&cut, start), packed_len(count, cut.len(), self.width()));
            // SAFETY: the caller's promise; units are whole panels.
            let out = unsafe { out.part(at, len) };
            let (width, chains) = (self.width(), self.summation.chains);
            pack::pack(self.isa, Pack { from, lines: first..first + count, cut, width, chains, out });
        }
    }

    /// Where the panel that `line` begins lies within a cut.
    fn offset(self, cut: &Range<usize>, line: usize) -> usize {
        self.lines.next_multiple_of(self.width()) * cut.start + line * filled(cut.len())
    }
}

/// `C (+)= left right`.
pub(crate) struct Gemm<'a> {
    pub(crate) isa: Isa,
    /// `[M, K]`.
    pub(crate) left: View<'a>,
    /// `[K, N]`.
    pub(crate) right: View<'a>,
    /// What becomes of `C: [M, N]`: it is set, or added to; a bias has a value for each column.
    pub(crate) finish: Finish<'a>,
    /// Room for the panels of one operand: [`panels_len`].
    pub(crate) panels: Shared<'a, f32>,
    /// Counts claims; zero when the job starts.
    pub(crate) next: &'a AtomicUsize,
}

/// The operand that is packed whole, of a product `[m, k] [k, n]`.
fn shared_panels(isa: Isa, m: usize, k: usize, n: usize) -> Panels {
    let (side, lines) = if m <= n { (Side::Left, m) } else { (Side::Right, n) };
    Panels::new(isa, side, lines, k, Summation::TRAINING)
}

/// f32 that all workers share for a product `[m, k] [k, n]`: the smaller operand, in whole panels.
pub(crate) fn panels_len(isa: Isa, m: usize, k: usize, n: usize) -> usize {
    shared_panels(isa, m, k, n).len()
}

impl Gemm<'_> {
    /// Takes part in the product until all of it is claimed; every worker of the job must. There is one barrier inside, after
    /// which the panels are filled. Callers put a barrier after it before results are read, or the panels are used again.
    ///
    /// # Panics
    /// If the shapes do not fit together, or [`SCRATCH`] or the panels' room is short.
    pub(crate) fn work(&self, worker: &Worker<'_>, scratch: &mut [f32]) {
        let Self { isa, left, right, finish, .. } = *self;
        let (m, k, n) = (left.rows, left.cols, right.cols);
        assert_eq!(k, right.rows, "columns of the left operand, and rows of the right one");
        let panels = shared_panels(isa, m, k, n);
        let lines = [left.row_lines(), right.transposed().row_lines()];
        let (shared, own, own_lines) = match panels.side {
            Side::Left => (lines[0], lines[1], n),
            Side::Right => (lines[1], lines[0], m),
        };
        for unit in worker.share(panels.lines.div_ceil(panels.unit())) {
            // SAFETY: each unit is in one worker's share.
            unsafe { panels.pack(unit, shared, unit * panels.unit(), self.panels) };
        }
        worker.barrier();
        // SAFETY: after the barrier the panels are only read.
        let packed = unsafe { self.panels.view(0, panels.len()) };
        Blocks { panels, packed, own, own_lines, finish, next: self.next }.work(worker, scratch);
    }
}

/// A product whose one operand is packed.
pub(crate) struct Blocks<'a> {
    pub(crate) panels: Panels,
    /// The panels.
    pub(crate) packed: &'a [f32],
    /// The other operand, as deep.
    pub(crate) own: Lines<'a>,
    pub(crate) own_lines: usize,
    pub(crate) finish: Finish<'a>,
    /// Counts claims; zero when the job starts.
    pub(crate) next: &'a AtomicUsize,
}

impl Blocks<'_> {
    /// Takes part in the product until all of it is claimed. Callers put a barrier after it before results are read.
    ///
    /// # Panics
    /// If the lengths do not fit together, or [`SCRATCH`] is short.
    pub(crate) fn work(&self, worker: &Worker<'_>, scratch: &mut [f32]) {
        if self.own_lines == 0 || self.panels.lines == 0 {
            return;
        }
        let (own_lines, shared_blocks) = deal(self.own_lines, self.panels.lines, worker.count());
        let shared_lines = shared_blocks * BLOCK;
        let across = self.panels.lines.div_ceil(shared_lines);
        while let Some(item) = worker.claim(self.next, self.own_lines.div_ceil(own_lines) * across) {
            let own = item / across * own_lines;
            let shared = item % across * shared_lines;
            let own = own..self.own_lines.min(own + own_lines);
            self.claim(own, shared..self.panels.lines.min(shared + shared_lines), scratch);
        }
    }

    /// The results of some lines, at most a block of our own and [`MOST_BLOCKS`] shared ones.
    fn claim(&self, own: Range<usize>, shared: Range<usize>, scratch: &mut [f32]) {
        let Panels { isa, side, depth, summation, .. } = self.panels;
        let widths = Widths::of(isa);
        let own_width = if side == Side::Left { widths.right } else { widths.left };
        let (panel, out) = scratch.split_at_mut(BLOCK * KC);
        let regions = || shared.clone().step_by(BLOCK).map(|start| start..shared.end.min(start + BLOCK));
        let sides =
            |region: Range<usize>| if side == Side::Left { (region, own.clone()) } else { (own.clone(), region) };
        if depth == 0 {
            out[..regions().count() * BLOCK * BLOCK].fill(0.0);
        }
        let chains = summation.chains;
        for cut in cuts(depth) {
            let steps = filled(cut.len()) / chains;
            let panel = &mut panel[..packed_len(own.len(), cut.len(), own_width)];
            pack::pack(
                isa,
                Pack { from: self.own, lines: own.clone(), cut: cut.clone(), width: own_width, chains, out: panel },
            );
            for (region, out) in regions().zip(out.chunks_exact_mut(BLOCK * BLOCK)) {
                let packed = &self.packed[self.panels.offset(&cut, region.start)..];
                let packed = &packed[..packed_len(region.len(), cut.len(), self.panels.width())];
                let (left, right) = if side == Side::Left { (packed, &*panel) } else { (&*panel, packed) };
                let (rows, _) = sides(region);
                kernel::run(
                    isa,
                    Block { widths, left, right, chains, steps, rows: rows.len(), out, first: cut.start == 0 },
                );
            }
        }
        for (region, out) in regions().zip(out.chunks_exact(BLOCK * BLOCK)) {
            let (rows, cols) = sides(region);
            let width = cols.len().next_multiple_of(widths.right);
            self.finish.apply(isa, rows, cols, out, width);
        }
    }
}

/// Lines of our own and shared blocks in one claim: the largest that give every worker several claims.
fn deal(own: usize, shared: usize, workers: usize) -> (usize, usize) {
    let (mut lines, mut blocks) = (BLOCK, shared.div_ceil(BLOCK).min(MOST_BLOCKS));
    let few = |lines: usize, blocks: usize| own.div_ceil(lines) * shared.div_ceil(blocks * BLOCK) < 4 * workers;
    if workers > 1 && few(lines, blocks) {
        lines /= 2;
        while few(lines, blocks) && blocks > 1 {
            blocks = blocks.div_ceil(2);
        }
    }
    (lines, blocks)
}
