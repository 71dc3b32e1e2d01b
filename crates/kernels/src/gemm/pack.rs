//! Copies operands into panels: some neighbouring lines side by side, their columns in the order of the chains.
//!
//! A *line* is a row of the left operand or a column of the right one; its *depth* is what is summed over. A panel of `W` lines
//! of a cut in `n` chains is `[n][terms][W]`: column `k` of the cut is term `k / n` of chain `k mod n`. Columns are filled up to
//! a multiple of 8, which every number of chains divides; lines and columns that do not exist are zero.

use std::ops::Range;

use half::{bf16, f16};

use super::{BLOCK, KC};
use crate::element::Element;
use crate::isa::{Body, Isa};
use crate::simd::{LANES, Simd};
use crate::weight::{FloatKind, FloatRows};

/// Lines to be packed.
#[derive(Clone, Copy)]
pub(crate) enum Lines<'a> {
    /// Line `i` starts at `values[i * stride]`, its columns side by side.
    Along { values: &'a [f32], stride: usize },
    /// Column `k` of all lines starts at `values[k * stride]`, the lines side by side.
    Across { values: &'a [f32], stride: usize },
    /// Rows of a weight, from this one.
    Weight { weight: &'a FloatRows, first: usize },
}

/// Some lines, some columns of them, and where they go.
pub(super) struct Pack<'a> {
    pub(super) from: Lines<'a>,
    /// At most [`BLOCK`], at least one.
    pub(super) lines: Range<usize>,
    /// At most [`KC`], at least one.
    pub(super) cut: Range<usize>,
    /// Lines in a panel, a multiple of 8.
    pub(super) width: usize,
    /// Chains of the cut: 1, 2, 4 or 8.
    pub(super) chains: usize,
    /// Whole panels.
    pub(super) out: &'a mut [f32],
}

/// Columns of a cut with those that fill it up.
pub(super) const fn filled(columns: usize) -> usize {
    columns.next_multiple_of(LANES)
}

/// f32 of the panels of `lines` lines, `columns` deep.
pub(super) const fn packed_len(lines: usize, columns: usize, width: usize) -> usize {
    lines.next_multiple_of(width) * filled(columns)
}

/// Packs them.
///
/// # Panics
/// If they do not lie within the values, or the panels have another size.
pub(super) fn pack(isa: Isa, pack: Pack<'_>) {
    let Pack { from, lines, cut, width, chains, out } = pack;
    assert!((1..=BLOCK).contains(&lines.len()) && (1..=KC).contains(&cut.len()), "{lines:?} and {cut:?} of a block");
    assert!(width > 0 && width.is_multiple_of(LANES), "panels of {width} lines");
    assert!(matches!(chains, 1 | 2 | 4 | 8), "{chains} chains");
    assert_eq!(out.len(), packed_len(lines.len(), cut.len(), width), "room for whole panels");
    let (count, len) = (lines.len(), cut.len());
    let panels = Panels { out, width, chains: chains.trailing_zeros(), filled: filled(len) };
    match from {
        Lines::Along { values, stride } => {
            let mut starts = [std::ptr::null(); BLOCK];
            for (start, line) in starts.iter_mut().zip(lines) {
                *start = values[line * stride..][cut.clone()].as_ptr();
            }
            isa.run(Along { starts: &starts[..count], len, panels });
        }
        Lines::Across { values, stride } => {
            assert!((cut.end - 1) * stride + lines.end <= values.len(), "columns {cut:?} of lines {lines:?}");
            let start = values[cut.start * stride + lines.start..].as_ptr();
            isa.run(Across { start, stride, count, len, panels });
        }
        Lines::Weight { weight, first } => {
            assert!(cut.end <= weight.cols, "columns {cut:?} of {}", weight.cols);
            let mut starts = [std::ptr::null(); BLOCK];
            weight.locate(first + lines.start..first + lines.end, &mut starts[..count]);
            for start in &mut starts[..count] {
                *start = start.wrapping_add(cut.start * weight.kind.bytes());
            }
            match weight.kind {
                FloatKind::F32 => isa.run(Along::<f32> { starts: &typed(&starts)[..count], len, panels }),
                FloatKind::F16 => isa.run(Along::<f16> { starts: &typed(&starts)[..count], len, panels }),
                FloatKind::Bf16 => isa.run(Along::<bf16> { starts: &typed(&starts)[..count], len, panels }),
            }
        }
    }
}

fn typed<E>(starts: &[*const u8; BLOCK]) -> [*const E; BLOCK] {
    starts.map(<*const u8>::cast)
}

/// Where vectors of eight lines go.
struct Panels<'a> {
    out: &'a mut [f32],
    width: usize,
    /// Binary logarithm of the number of chains.
    chains: u32,
    filled: usize,
}

impl Panels<'_> {
    /// Where `line` (a multiple of 8) lies at the first term of the first chain.
    #[inline(always)]
    fn place(&self, line: usize) -> usize {
        let within = line % self.width;
        (line - within) * self.filled + within
    }

    /// Writes eight lines of a column.
    #[inline(always)]
    fn put<S: Simd>(&mut self, s: S, place: usize, column: usize, v: S::F) {
        let (chain, term) = (column & ((1 << self.chains) - 1), column >> self.chains);
        let out = &mut self.out[place + (chain * (self.filled >> self.chains) + term) * self.width..][..LANES];
        // SAFETY: eight values.
        unsafe { s.store(out.as_mut_ptr(), v) };
    }
}

/// Columns that are fetched ahead of those that are packed.
const AHEAD: usize = 32;

/// Lines of eight at which a block has vectors.
const GROUPS: usize = BLOCK / LANES;

/// Lines whose columns are neighbours: blocks of eight by eight are transposed in registers.
struct Along<'a, E> {
    /// `len` elements lie at each.
    starts: &'a [*const E],
    len: usize,
    panels: Panels<'a>,
}

impl<E: Element> Body for Along<'_, E> {
    type Out = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let Self { starts, len, mut panels } = self;
        let groups = starts.len().next_multiple_of(panels.width) / LANES;
        let places: [usize; GROUPS] = std::array::from_fn(|group| panels.place(group * LANES));
        for column in (0..panels.filled).step_by(LANES) {
            for (group, &place) in places[..groups].iter().enumerate() {
                let line = group * LANES;
                let mut rows = [s.splat(0.0); LANES];
                for (row, start) in rows.iter_mut().zip(starts.get(line..).unwrap_or(&[])) {
                    s.prefetch(start.wrapping_add(column + AHEAD));
                    // SAFETY: `len - column` elements of the line remain.
                    *row = unsafe {
                        match len - column {
                            LANES.. => E::load(s, start.add(column)),
                            rest => E::load_part(s, start.add(column), rest),
                        }
                    };
                }
                let columns = s.transpose(rows);
                for i in 0..LANES {
                    panels.put(s, place, column + i, columns[i]);
                }
            }
        }
    }
}

/// Lines that are neighbours themselves.
struct Across<'a> {
    /// `count` values lie here, and `stride` further, `len` times.
    start: *const f32,
    stride: usize,
    count: usize,
    len: usize,
    panels: Panels<'a>,
}

impl Body for Across<'_> {
    type Out = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let Self { start, stride, count, len, mut panels } = self;
        let groups = count.next_multiple_of(panels.width) / LANES;
        let places: [usize; GROUPS] = std::array::from_fn(|group| panels.place(group * LANES));
        for column in 0..panels.filled {
            for (group, &place) in places[..groups].iter().enumerate() {
                let line = group * LANES;
                if group % 2 == 0 {
                    s.prefetch(start.wrapping_add((column + AHEAD) * stride + line));
                }
                // SAFETY: `count` values lie at each of the `len` columns.
                let v = unsafe {
                    let at = start.wrapping_add(column * stride + line);
                    match count.saturating_sub(line) {
                        _ if column >= len => s.splat(0.0),
                        0 => s.splat(0.0),
                        rest @ 1..LANES => s.load_part(at, rest),
                        _ => s.load(at),
                    }
                };
                panels.put(s, place, column, v);
            }
        }
    }
}
