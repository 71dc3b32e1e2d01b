//! The inner loops: a block of results from packed panels, register tile by register tile.

use crate::isa::Isa;
use crate::lanes::{Lanes, WideBody};

/// Chains that a cut is divided into: column `k` of a cut belongs to chain `k mod 8`.
pub(super) const CHAINS: usize = 8;

/// A register tile: what the panels of the two operands are wide.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Tile {
    /// Rows of results, each a broadcast value: the width of a panel of the left operand.
    pub(crate) rows: usize,
    /// Columns of results, the lanes: the width of a panel of the right operand.
    pub(crate) cols: usize,
}

impl Tile {
    /// The tile of an instruction set: it fills the registers but for a broadcast value and a row of operands.
    pub(crate) const fn of(isa: Isa) -> Self {
        match isa {
            Isa::Plain => Self { rows: 4, cols: 8 },
            Isa::Avx2 => Self { rows: 4, cols: 24 },
            Isa::Avx512 => Self { rows: 8, cols: 48 },
        }
    }
}

/// One cut of a block: `out (+)= left right`, chain after chain.
pub(super) struct Block<'a> {
    pub(super) tile: Tile,
    /// Panels of [`Tile::rows`] rows, `[panels][CHAINS][steps][tile.rows]`.
    pub(super) left: &'a [f32],
    /// Panels of [`Tile::cols`] columns, `[panels][CHAINS][steps][tile.cols]`.
    pub(super) right: &'a [f32],
    /// Terms of a chain, at least one.
    pub(super) steps: usize,
    /// Rows of results; those of the last panel that are beyond are not computed (at most one is, and is dropped).
    pub(super) rows: usize,
    /// `[rows in whole panels][columns in whole panels]`.
    pub(super) out: &'a mut [f32],
    /// The first cut sets, others add.
    pub(super) first: bool,
}

/// Computes it.
///
/// # Panics
/// If the lengths do not fit together.
pub(super) fn run(isa: Isa, block: Block<'_>) {
    isa.run_wide(block);
}

impl WideBody for Block<'_> {
    type Out = ();

    #[inline(always)]
    fn run<L: Lanes>(self, l: L) {
        match (L::WIDTH, L::REGISTERS) {
            (16, _) => self.cover::<L, 8, 3>(l),
            (_, 16) if self.tile.cols == 24 => self.cover::<L, 4, 3>(l),
            _ => self.cover::<L, 4, 1>(l),
        }
    }
}

impl Block<'_> {
    /// With tiles of `R` rows by `V` registers.
    #[inline(always)]
    fn cover<L: Lanes, const R: usize, const V: usize>(self, l: L) {
        let Self { tile, left, right, steps, rows, out, first } = self;
        assert_eq!(tile, Tile { rows: R, cols: V * L::WIDTH }, "panels packed for another instruction set");
        let (left_panel, right_panel) = (CHAINS * steps * tile.rows, CHAINS * steps * tile.cols);
        let panels = rows.div_ceil(R);
        assert!(steps > 0 && left.len() >= panels * left_panel && right.len().is_multiple_of(right_panel));
        let across = right.len() / right_panel;
        let stride = across * tile.cols;
        assert!(out.len() >= panels * R * stride, "room for whole panels");
        for chain in 0..CHAINS {
            for column in 0..across {
                for panel in 0..panels {
                    // SAFETY: each panel holds `steps` values of its width for each chain; `out` has room for whole panels.
                    unsafe {
                        let a = left.as_ptr().add(panel * left_panel + chain * steps * tile.rows);
                        let b = right.as_ptr().add(column * right_panel + chain * steps * tile.cols);
                        let c = out.as_mut_ptr().add(panel * R * stride + column * tile.cols);
                        let first = first && chain == 0;
                        match rows - panel * R {
                            1 => multiply::<L, R, 1, V>(l, steps, a, b, c, stride, first),
                            2 => multiply::<L, R, 2, V>(l, steps, a, b, c, stride, first),
                            3 | 4 => multiply::<L, R, 4, V>(l, steps, a, b, c, stride, first),
                            5 | 6 if R > 4 => multiply::<L, R, 6, V>(l, steps, a, b, c, stride, first),
                            _ => multiply::<L, R, R, V>(l, steps, a, b, c, stride, first),
                        }
                    }
                }
            }
        }
    }
}

/// The first `M` rows of a tile: one chain from zero in registers, then set or added at `c`.
///
/// # Safety
/// At `a` lie `steps` groups of `R >= M` values, at `b` as many of `V` registers; at `c` are `M` rows of `V` registers, `stride`
/// values apart.
#[inline(always)]
unsafe fn multiply<L: Lanes, const R: usize, const M: usize, const V: usize>(
    l: L,
    steps: usize,
    mut a: *const f32,
    mut b: *const f32,
    c: *mut f32,
    stride: usize,
    first: bool,
) {
    let mut sums = [[l.splat(0.0); V]; M];
    for _ in 0..steps {
        // SAFETY: the caller's promise; the pointers end one past the last group.
        unsafe {
            let mut row = [l.splat(0.0); V];
            for v in 0..V {
                row[v] = l.load(b.add(v * L::WIDTH));
            }
            for m in 0..M {
                let value = l.splat(*a.add(m));
                for v in 0..V {
                    sums[m][v] = l.fma(value, row[v], sums[m][v]);
                }
            }
            a = a.add(R);
            b = b.add(V * L::WIDTH);
        }
    }
    for m in 0..M {
        for v in 0..V {
            // SAFETY: the caller's promise.
            unsafe {
                let c = c.add(m * stride + v * L::WIDTH);
                let sum = if first { sums[m][v] } else { l.add(l.load(c), sums[m][v]) };
                l.store(c, sum);
            }
        }
    }
}
