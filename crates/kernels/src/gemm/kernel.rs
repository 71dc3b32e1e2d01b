//! The inner loops: a block of results from packed panels, register tile by register tile. The chains of a tile follow each other,
//! so that its results stay in the first-level cache while they are added up.

use crate::isa::Isa;
use crate::lanes::{Lanes, WideBody};

/// How wide the panels of the two operands are: multiples of 8 that divide a block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Widths {
    /// Rows of results, each a broadcast value: of one register tile, or of several.
    pub(super) left: usize,
    /// Columns of results, the lanes of one register tile.
    pub(super) right: usize,
}

impl Widths {
    pub(super) const fn of(isa: Isa) -> Self {
        match isa {
            Isa::Plain => Self { left: 8, right: 8 },
            Isa::Avx2 => Self { left: 24, right: 16 },
            Isa::Avx512 => Self { left: 8, right: 48 },
        }
    }
}

/// One cut of a block: `out (+)= left right`, chain after chain.
pub(super) struct Block<'a> {
    pub(super) widths: Widths,
    /// `[panels][chains][steps][widths.left]`.
    pub(super) left: &'a [f32],
    /// `[panels][chains][steps][widths.right]`.
    pub(super) right: &'a [f32],
    pub(super) chains: usize,
    /// Terms of a chain, at least one.
    pub(super) steps: usize,
    /// Rows of results. (One more may be computed, from the zeros that fill the last panel.)
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
        // Accumulators, a row of operands and a broadcast value fill the registers.
        match L::WIDTH {
            16 => self.cover::<L, 8, 3>(l),
            _ if self.widths.right == 16 => self.cover::<L, 6, 2>(l),
            _ => self.cover::<L, 4, 1>(l),
        }
    }
}

impl Block<'_> {
    /// With tiles of `R` rows by `V` registers.
    #[inline(always)]
    fn cover<L: Lanes, const R: usize, const V: usize>(self, l: L) {
        let Self { widths: Widths { left: width, right: across }, left, right, chains, steps, rows, out, first } = self;
        assert!(across == V * L::WIDTH && width.is_multiple_of(R), "panels packed for another instruction set");
        let (left_chain, right_chain) = (steps * width, steps * across);
        let (left_panel, right_panel) = (chains * left_chain, chains * right_chain);
        assert!(
            steps > 0 && left.len() >= rows.div_ceil(width) * left_panel && right.len().is_multiple_of(right_panel)
        );
        let columns = right.len() / right_panel;
        let stride = columns * across;
        assert!(out.len() >= rows.next_multiple_of(R) * stride, "room for whole tiles");
        for column in 0..columns {
            for row in (0..rows).step_by(R) {
                for chain in 0..chains {
                    let first = first && chain == 0;
                    // SAFETY: each panel holds `steps` values of its width for each chain; `out` has room for whole tiles.
                    unsafe {
                        let a = left.as_ptr().add(row / width * left_panel + chain * left_chain + row % width);
                        let b = right.as_ptr().add(column * right_panel + chain * right_chain);
                        let c = out.as_mut_ptr().add(row * stride + column * across);
                        match rows - row {
                            1 => multiply::<L, 1, V>(l, steps, a, width, b, c, stride, first),
                            2 => multiply::<L, 2, V>(l, steps, a, width, b, c, stride, first),
                            3 | 4 => multiply::<L, 4, V>(l, steps, a, width, b, c, stride, first),
                            5 | 6 if R > 4 => multiply::<L, 6, V>(l, steps, a, width, b, c, stride, first),
                            _ => multiply::<L, R, V>(l, steps, a, width, b, c, stride, first),
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
/// At `a` lie `steps` groups of `M` values, `width` apart, at `b` as many of `V` registers; at `c` are `M` rows of `V`
/// registers, `stride` apart.
#[inline(always)]
#[allow(clippy::too_many_arguments, reason = "an inner kernel")]
unsafe fn multiply<L: Lanes, const M: usize, const V: usize>(
    l: L,
    steps: usize,
    mut a: *const f32,
    width: usize,
    mut b: *const f32,
    c: *mut f32,
    stride: usize,
    first: bool,
) {
    let mut sums = [[l.splat(0.0); V]; M];
    for _ in 0..steps {
        // SAFETY: the caller's promise; `a` is not read once it is beyond the last group.
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
            a = a.wrapping_add(width);
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
