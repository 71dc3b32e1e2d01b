//! Products of a few tokens with float weights, read in place.
//!
//! `out[t][r] = sum over k of x[t][k] * w[r][k]`, in f32 whatever the storage, in the order of summation of [`crate::gemm`], which
//! multiplies many tokens: a vector accumulator holds the eight chains of a cut, and its lanes are added up in order. So a
//! token has the same bits alone and among many. Four rows at once are read as they lie in memory, and those that follow them fetched
//! meanwhile; each is converted as it is loaded, once for [`tokens`](Typed) at a time, which meet it in registers.
//!
//! The bound on the error is that of [`crate::gemm`].

use std::ops::Range;

use half::{bf16, f16};

use crate::element::Element;
use crate::gemm::KC;
use crate::isa::{Body, Isa};
use crate::memory::LINE;
use crate::simd::{LANES, Simd};
use crate::weight::{FloatKind, FloatRows};

/// Most tokens of one call: with more, packing costs less than what its register tiles gain.
pub(crate) const FEW: usize = 15;

/// Most rows of one call, and the row stride of results.
pub(crate) const PANEL: usize = 64;

/// Rows at once.
const ROWS: usize = 4;

/// f32 of scratch for the results of one call.
pub(crate) const SCRATCH: usize = FEW * PANEL;

/// Some rows of a weight by a few tokens.
pub(crate) struct FloatProduct<'a> {
    /// `[tokens, cols]`.
    pub(crate) x: &'a [f32],
    /// From 1 to [`FEW`].
    pub(crate) tokens: usize,
    pub(crate) weight: &'a FloatRows,
    /// At most [`PANEL`] rows, at least one.
    pub(crate) rows: Range<usize>,
    /// `[tokens][PANEL]`; results lie at the start of each row, what follows them is undefined.
    pub(crate) out: &'a mut [f32],
}

/// Computes the product.
///
/// # Panics
/// If the lengths do not fit together.
pub(crate) fn multiply(isa: Isa, product: FloatProduct<'_>) {
    let (rows, tokens) = (product.rows.len(), product.tokens);
    assert!((1..=PANEL).contains(&rows), "{rows} rows in a panel of {PANEL}");
    assert!((1..=FEW).contains(&tokens), "{tokens} tokens are not few");
    assert_eq!(product.x.len(), tokens * product.weight.cols, "tokens of {} columns", product.weight.cols);
    assert!(product.out.len() >= tokens * PANEL, "room for the results");
    let mut located = [std::ptr::null(); PANEL];
    product.weight.locate(product.rows.clone(), &mut located);
    match product.weight.kind {
        FloatKind::F32 => typed::<f32>(isa, product, &located),
        FloatKind::F16 => typed::<f16>(isa, product, &located),
        FloatKind::Bf16 => typed::<bf16>(isa, product, &located),
    }
}

fn typed<E: Element>(isa: Isa, product: FloatProduct<'_>, located: &[*const u8; PANEL]) {
    let located = located.map(<*const u8>::cast::<E>);
    // Accumulators, operands of the tokens, and a row: 16 registers, or 31 of 32.
    match isa {
        Isa::Avx512 => isa.run(Typed::<E, 6> { product, located }),
        _ => isa.run(Typed::<E, 3> { product, located }),
    }
}

/// A product over rows of one element type, `T` tokens at a time; `located` holds where each row starts, the last
/// repeated.
struct Typed<'a, E, const T: usize> {
    product: FloatProduct<'a>,
    located: [*const E; PANEL],
}

impl<E: Element, const T: usize> Body for Typed<'_, E, T> {
    type Out = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let FloatProduct { x, tokens, rows, out, .. } = self.product;
        let cols = x.len() / tokens;
        let quads = rows.len().div_ceil(ROWS);
        // As few passes over a row as there must be, and those alike.
        let at_once = tokens.div_ceil(tokens.div_ceil(T));
        for (quad, rows) in self.located.as_chunks::<ROWS>().0[..quads].iter().enumerate() {
            for cut in (0..cols).step_by(KC) {
                let len = KC.min(cols - cut);
                let at = rows.map(|p| p.wrapping_add(cut));
                // The rows of a group are neighbours, as a rule, and so is the next group, which is fetched in the
                // order of its bytes.
                let mut ahead = Some(rows[0].wrapping_add(ROWS * (cols + cut)));
                for token in (0..tokens).step_by(at_once) {
                    let args = Dots { x: &x[token * cols + cut..], stride: cols, len, rows: at, ahead: ahead.take() };
                    let out = &mut out[token * PANEL + quad * ROWS..];
                    let first = cut == 0;
                    // SAFETY: so many tokens remain, and `len` columns of them and of each row after `cut`.
                    unsafe {
                        match at_once.min(tokens - token) {
                            1 => args.run::<S, 1>(s, first, out),
                            2 => args.run::<S, 2>(s, first, out),
                            4 if T > 3 => args.run::<S, 4>(s, first, out),
                            5 if T > 3 => args.run::<S, 5>(s, first, out),
                            6 if T > 3 => args.run::<S, 6>(s, first, out),
                            _ => args.run::<S, 3>(s, first, out),
                        }
                    }
                }
            }
        }
    }
}

/// One cut of some tokens by four rows.
struct Dots<'a, E> {
    x: &'a [f32],
    stride: usize,
    len: usize,
    rows: [*const E; ROWS],
    /// From here as many bytes are fetched as are read.
    ahead: Option<*const E>,
}

impl<E: Element> Dots<'_, E> {
    /// Sets or adds at `out[t * PANEL..][..4]`.
    ///
    /// # Safety
    /// `x` holds `N` tokens, `stride` apart; they and each row have `len` elements.
    #[inline(always)]
    unsafe fn run<S: Simd, const N: usize>(self, s: S, first: bool, out: &mut [f32]) {
        // SAFETY: passed on.
        let sums = unsafe {
            match self.ahead {
                Some(ahead) => self.chains::<S, N, true>(s, ahead),
                None => self.chains::<S, N, false>(s, std::ptr::null()),
            }
        };
        for t in 0..N {
            let out = &mut out[t * PANEL..][..ROWS];
            for r in 0..ROWS {
                let [chain, chains @ ..] = s.to_array(sums[t][r]);
                let start = if first { chain } else { out[r] + chain };
                out[r] = chains.into_iter().fold(start, |sum, chain| sum + chain);
            }
        }
    }

    /// The chains, one in each lane.
    ///
    /// # Safety
    /// As for [`run`](Self::run).
    #[inline(always)]
    unsafe fn chains<S: Simd, const N: usize, const FETCH: bool>(&self, s: S, ahead: *const E) -> [[S::F; ROWS]; N] {
        let Self { x, stride, len, rows, .. } = *self;
        let x = x.as_ptr();
        let mut sums = [[s.splat(0.0); ROWS]; N];
        let whole = len - len % LANES;
        let mut tokens = [s.splat(0.0); N];
        for k in (0..whole).step_by(LANES) {
            // SAFETY: k + 8 <= len.
            unsafe {
                if FETCH {
                    for fetched in (0..ROWS * LANES).step_by(LINE / size_of::<E>()) {
                        s.prefetch(ahead.wrapping_add(ROWS * k + fetched));
                    }
                }
                for t in 0..N {
                    tokens[t] = s.load(x.add(t * stride + k));
                }
                for r in 0..ROWS {
                    let row = E::load(s, rows[r].add(k));
                    for t in 0..N {
                        sums[t][r] = s.fma(tokens[t], row, sums[t][r]);
                    }
                }
            }
        }
        if whole < len {
            // SAFETY: `len - whole` values remain of each token, and of each row.
            unsafe {
                for t in 0..N {
                    tokens[t] = s.load_part(x.add(t * stride + whole), len - whole);
                }
                for r in 0..ROWS {
                    let row = E::load_part(s, rows[r].add(whole), len - whole);
                    for t in 0..N {
                        sums[t][r] = s.fma(tokens[t], row, sums[t][r]);
                    }
                }
            }
        }
        sums
    }
}
