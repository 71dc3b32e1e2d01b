//! Products with float weights, read in place.
//!
//! `out[t][r] = sum over k of x[t][k] * w[r][k]`, in f32 whatever the storage. **One fixed order of summation** holds for
//! every output, whatever the number of tokens, threads, or how the work is cut: the columns are cut at multiples of
//! [`CUT`]; within a cut lane `i` of one vector accumulator sums the columns `8 j + i` in rising order; the lanes are
//! added by a fixed tree; and the cuts are added in order. So one token alone (a walk through memory, rows converted as they
//! are loaded) and many tokens together (tiles of 3 tokens by 4 rows in registers, rows copied or converted once to a
//! panel of f32 that stays in the cache) give the same bits.
//!
//! Error: at most `(K / 8 + 16) 2^-24` of the sum of the magnitudes, tested against f64 and against the crate `gemm`.

use std::ops::Range;

use half::{bf16, f16};

use crate::isa::{Body, Isa};
use crate::simd::{LANES, Simd};
use crate::weight::{FloatKind, FloatRows};

/// Columns between two reductions.
pub(crate) const CUT: usize = 768;

/// Most rows of one call, and the row stride of results.
pub(crate) const PANEL: usize = 64;

/// Tokens whose cut is kept in the second-level cache beside the panel, while the next ones are fetched; whole register
/// tiles.
const CHUNK: usize = 42;

/// Tokens and rows of a register tile: 12 accumulators, 3 + 1 vectors of operands.
const TILE_TOKENS: usize = 3;
const TILE_ROWS: usize = 4;

/// f32 of scratch that [`multiply`] needs.
pub(crate) const SCRATCH: usize = PANEL * CUT;

/// Some rows of a weight by some tokens.
pub(crate) struct FloatProduct<'a> {
    /// `[tokens, cols]`.
    pub(crate) x: &'a [f32],
    /// At least 1.
    pub(crate) tokens: usize,
    pub(crate) weight: &'a FloatRows,
    /// At most [`PANEL`] rows, at least one.
    pub(crate) rows: Range<usize>,
    /// [`SCRATCH`] values.
    pub(crate) panel: &'a mut [f32],
    /// `[tokens][PANEL]`; results lie at the start of each row, what follows them is undefined.
    pub(crate) out: &'a mut [f32],
}

/// Computes the product.
///
/// # Panics
/// If the lengths do not fit together.
pub(crate) fn multiply(isa: Isa, product: FloatProduct<'_>) {
    let rows = product.rows.len();
    assert!((1..=PANEL).contains(&rows), "{rows} rows in a panel of {PANEL}");
    assert_eq!(product.x.len(), product.tokens * product.weight.cols, "tokens of {} columns", product.weight.cols);
    assert!(product.out.len() >= product.tokens * PANEL && product.panel.len() >= SCRATCH, "room for the results");
    let mut located = [std::ptr::null(); PANEL];
    product.weight.locate(product.rows.clone(), &mut located);
    match product.weight.kind {
        FloatKind::F32 => isa.run(Typed::<f32> { product, located: located.map(<*const u8>::cast) }),
        FloatKind::F16 => isa.run(Typed::<f16> { product, located: located.map(<*const u8>::cast) }),
        FloatKind::Bf16 => isa.run(Typed::<bf16> { product, located: located.map(<*const u8>::cast) }),
    }
}

/// A stored element.
pub(crate) trait Element: Copy {
    /// # Safety
    /// Eight elements may be read at `p`.
    unsafe fn load<S: Simd>(s: S, p: *const Self) -> S::F;
    /// # Safety
    /// One element may be read at `p`.
    unsafe fn value(p: *const Self) -> f32;
}

macro_rules! element {
    ($type:ty, $load:ident, $value:expr) => {
        impl Element for $type {
            #[inline(always)]
            unsafe fn load<S: Simd>(s: S, p: *const Self) -> S::F {
                // SAFETY: the caller's promise.
                unsafe { s.$load(p) }
            }
            #[inline(always)]
            unsafe fn value(p: *const Self) -> f32 {
                // SAFETY: the caller's promise.
                $value(unsafe { p.read_unaligned() })
            }
        }
    };
}
element!(f32, load, |x: f32| x);
element!(f16, load_f16, |x: f16| x.to_f32_const());
element!(bf16, load_bf16, |x: bf16| x.to_f32_const());

/// A product over rows of one element type; `located` holds where each row starts, the last repeated.
struct Typed<'a, E> {
    product: FloatProduct<'a>,
    located: [*const E; PANEL],
}

impl<E: Element> Body for Typed<'_, E> {
    type Out = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        if self.product.tokens == 1 { self.one_token(s) } else { self.many_tokens(s) }
    }
}

impl<E: Element> Typed<'_, E> {
    #[inline(always)]
    fn one_token<S: Simd>(self, s: S) {
        let FloatProduct { x, rows, out, .. } = self.product;
        let cols = x.len();
        let quads = rows.len().div_ceil(TILE_ROWS);
        for (quad, rows) in self.located.as_chunks::<TILE_ROWS>().0[..quads].iter().enumerate() {
            let mut totals = [0.0; TILE_ROWS];
            for cut in (0..cols).step_by(CUT) {
                let len = CUT.min(cols - cut);
                let at = rows.map(|p| p.wrapping_add(cut));
                // The rows of a group are neighbours, as a rule, and so is the next group, which is fetched in the
                // order of its bytes.
                let ahead = rows[0].wrapping_add(TILE_ROWS * (cols + cut));
                // SAFETY: each row has `cols` elements, of which `len` remain after `cut`.
                let sums = unsafe { dots(s, &x[cut..cut + len], at, ahead) };
                for (total, sum) in totals.iter_mut().zip(sums) {
                    *total = if cut == 0 { sum } else { *total + sum };
                }
            }
            out[quad * TILE_ROWS..][..TILE_ROWS].copy_from_slice(&totals);
        }
    }

    #[inline(always)]
    fn many_tokens<S: Simd>(self, s: S) {
        let FloatProduct { x, tokens, weight, rows, panel, out } = self.product;
        let cols = weight.cols;
        let quads = rows.len().div_ceil(TILE_ROWS);
        for cut in (0..cols).step_by(CUT) {
            let len = CUT.min(cols - cut);
            let located = &self.located[..quads * TILE_ROWS];
            for (row, p) in located.iter().enumerate() {
                let ahead = located[(row + 4).min(located.len() - 1)].wrapping_add(cut);
                // SAFETY: `len` elements of the row remain after `cut`.
                unsafe { widen(s, p.add(cut), ahead, len, &mut panel[row * CUT..][..CUT]) };
            }
            for chunk in (0..tokens).step_by(CHUNK) {
                let end = tokens.min(chunk + CHUNK);
                let mut ahead = Ahead::new(x, cols, cut, chunk, end, quads);
                for quad in 0..quads {
                    let w = panel[quad * TILE_ROWS * CUT..][..TILE_ROWS * CUT].as_ptr();
                    let mut token = chunk;
                    while token < end {
                        ahead.fetch(s);
                        let x = x[token * cols + cut..].as_ptr();
                        let out = &mut out[token * PANEL + quad * TILE_ROWS..];
                        let count = TILE_TOKENS.min(end - token);
                        // SAFETY: `count` tokens remain, each with `len` columns after `cut`; the panel's rows are
                        // CUT values each, zero from `len` to the next multiple of 8.
                        unsafe {
                            match count {
                                1 => tile::<S, 1>(s, x, cols, w, len, cut == 0, out),
                                2 => tile::<S, 2>(s, x, cols, w, len, cut == 0, out),
                                _ => tile::<S, TILE_TOKENS>(s, x, cols, w, len, cut == 0, out),
                            }
                        }
                        token += count;
                    }
                }
            }
        }
    }
}

/// The values that the next chunk of tokens will read, fetched a few lines for each register tile of this one.
struct Ahead {
    start: *const f32,
    stride: usize,
    lines_of_row: usize,
    lines: usize,
    line: usize,
    step: usize,
}

impl Ahead {
    #[inline(always)]
    fn new(x: &[f32], cols: usize, cut: usize, chunk: usize, end: usize, quads: usize) -> Self {
        let tokens = x.len() / cols;
        // The next tokens of this cut, or the first of the next cut.
        let (token, cut) = if end < tokens { (end, cut) } else { (0, cut + CUT) };
        let rows = if cut < cols { CHUNK.min(tokens - token) } else { 0 };
        let lines_of_row = CUT.min(cols.saturating_sub(cut)).div_ceil(LINE);
        let lines = rows * lines_of_row;
        let tiles = quads * (end - chunk).div_ceil(TILE_TOKENS);
        let start = x.as_ptr().wrapping_add(token * cols + cut);
        Self { start, stride: cols, lines_of_row: lines_of_row.max(1), lines, line: 0, step: lines.div_ceil(tiles) }
    }

    #[inline(always)]
    fn fetch<S: Simd>(&mut self, s: S) {
        let end = self.lines.min(self.line + self.step);
        while self.line < end {
            let (row, line) = (self.line / self.lines_of_row, self.line % self.lines_of_row);
            s.prefetch(self.start.wrapping_add(row * self.stride + line * LINE));
            self.line += 1;
        }
    }
}

/// f32 in a cache line.
const LINE: usize = 16;

/// Dot products of one cut of one token with four rows. From `ahead`, as many bytes are fetched as are read.
///
/// # Safety
/// Each of `w` has `x.len()` elements.
#[inline(always)]
unsafe fn dots<S: Simd, E: Element>(s: S, x: &[f32], w: [*const E; TILE_ROWS], ahead: *const E) -> [f32; TILE_ROWS] {
    let mut sums = [s.splat(0.0); TILE_ROWS];
    let whole = x.len() - x.len() % LANES;
    let line = LINE * 4 / size_of::<E>();
    for k in (0..whole).step_by(LANES) {
        // SAFETY: k + 8 <= x.len(), which each row has too.
        unsafe {
            for fetched in (0..TILE_ROWS * LANES).step_by(line) {
                s.prefetch(ahead.wrapping_add(TILE_ROWS * k + fetched));
            }
            let x = s.load(x.as_ptr().add(k));
            for r in 0..TILE_ROWS {
                sums[r] = s.fma(x, E::load(s, w[r].add(k)), sums[r]);
            }
        }
    }
    let rest = x.len() - whole;
    if rest > 0 {
        // SAFETY: `rest` elements remain in the token and in each row.
        unsafe {
            let x = s.load_part(x.as_ptr().add(whole), rest);
            for r in 0..TILE_ROWS {
                sums[r] = s.fma(x, part(s, w[r].add(whole), rest), sums[r]);
            }
        }
    }
    s.sums(sums)
}

/// The first `len < 8` elements, the others zero.
///
/// # Safety
/// `len` elements may be read at `p`.
#[inline(always)]
unsafe fn part<S: Simd, E: Element>(s: S, p: *const E, len: usize) -> S::F {
    let mut lanes = [0.0; LANES];
    for (i, lane) in lanes.iter_mut().enumerate().take(len) {
        // SAFETY: i < len.
        *lane = unsafe { E::value(p.add(i)) };
    }
    s.vector(lanes)
}

/// Writes `len` elements as f32, and zeroes up to the next multiple of 8; fetches as many from `ahead`.
///
/// # Safety
/// `len` elements may be read at `p`; `out` has room for them rounded up to 8.
#[inline(always)]
unsafe fn widen<S: Simd, E: Element>(s: S, p: *const E, ahead: *const E, len: usize, out: &mut [f32]) {
    let whole = len - len % LANES;
    assert!(len.next_multiple_of(LANES) <= out.len());
    for k in (0..whole).step_by(LANES) {
        s.prefetch(ahead.wrapping_add(k));
        // SAFETY: k + 8 <= len <= out.len().
        unsafe { s.store(out.as_mut_ptr().add(k), E::load(s, p.add(k))) };
    }
    if whole < len {
        // SAFETY: len - whole elements remain; out has a whole vector there.
        unsafe { s.store(out.as_mut_ptr().add(whole), part(s, p.add(whole), len - whole)) };
    }
}

/// `T` tokens by four rows of a cut, set or added at `out[t * PANEL..][..4]`.
///
/// # Safety
/// `T` tokens of `len` values lie at `x`, `stride` apart; at `w` four rows of `len` values rounded up to 8, [`CUT`] apart,
/// zero after `len`.
#[inline(always)]
unsafe fn tile<S: Simd, const T: usize>(
    s: S,
    x: *const f32,
    stride: usize,
    w: *const f32,
    len: usize,
    first: bool,
    out: &mut [f32],
) {
    let mut sums = [[s.splat(0.0); TILE_ROWS]; T];
    let whole = len - len % LANES;
    let mut k = 0;
    while k < whole {
        // SAFETY: k + 8 <= len.
        unsafe {
            let mut tokens = [s.splat(0.0); T];
            for t in 0..T {
                tokens[t] = s.load(x.add(t * stride + k));
            }
            for r in 0..TILE_ROWS {
                let row = s.load(w.add(r * CUT + k));
                for t in 0..T {
                    sums[t][r] = s.fma(tokens[t], row, sums[t][r]);
                }
            }
        }
        k += LANES;
    }
    if whole < len {
        // SAFETY: `len - whole` values remain of each token, and a whole vector of each row.
        unsafe {
            for t in 0..T {
                let token = s.load_part(x.add(t * stride + whole), len - whole);
                for r in 0..TILE_ROWS {
                    sums[t][r] = s.fma(token, s.load(w.add(r * CUT + whole)), sums[t][r]);
                }
            }
        }
    }
    for t in 0..T {
        let sums = s.sums(sums[t]);
        let out = &mut out[t * PANEL..][..TILE_ROWS];
        for r in 0..TILE_ROWS {
            out[r] = if first { sums[r] } else { out[r] + sums[r] };
        }
    }
}
