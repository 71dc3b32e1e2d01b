//! Small products of matrices that lie in the near caches: what attention is made of in training.
//!
//! The lanes of a vector are columns of the result; the left operand is read by broadcast, with any strides, so that it may stand
//! transposed. Each element is one chain over `k` in order, on every instruction set.

use crate::simd::{LANES, Simd};

/// Columns of a register tile; `n` of every product is a multiple.
pub(super) const COLUMNS: usize = 2 * LANES;

/// Rows of a register tile: 12 sums, 2 vectors of the right operand and a broadcast fill 15 of 16 registers.
const ROWS: usize = 6;

/// A matrix read by broadcast.
#[derive(Clone, Copy)]
pub(super) struct Left {
    pub(super) start: *const f32,
    /// Values from a row to the next.
    pub(super) row: usize,
    /// Values from a column to the next.
    pub(super) col: usize,
}

/// A matrix read in vectors, or written.
#[derive(Clone, Copy)]
pub(super) struct Rows<P> {
    pub(super) start: P,
    pub(super) stride: usize,
}

/// `C (+)= A B`, `A: [m, k]`, `B: [k, n]`, `C: [m, n]`.
///
/// # Safety
/// All of them may be accessed at these strides, C by no one else; `n` is a multiple of [`COLUMNS`].
#[inline(always)]
pub(super) unsafe fn multiply<S: Simd>(
    s: S,
    [m, n, k]: [usize; 3],
    a: Left,
    b: Rows<*const f32>,
    c: Rows<*mut f32>,
    add: bool,
) {
    debug_assert!(n.is_multiple_of(COLUMNS));
    for column in (0..n).step_by(COLUMNS) {
        for row in (0..m).step_by(ROWS) {
            // SAFETY: within the matrices, as the caller promises.
            unsafe {
                let a = Left { start: a.start.add(row * a.row), ..a };
                let b = Rows { start: b.start.add(column), ..b };
                let c = Rows { start: c.start.add(row * c.stride + column), ..c };
                match m - row {
                    1 => tile::<S, 1>(s, k, a, b, c, add),
                    2 => tile::<S, 2>(s, k, a, b, c, add),
                    3 => tile::<S, 3>(s, k, a, b, c, add),
                    4 => tile::<S, 4>(s, k, a, b, c, add),
                    5 => tile::<S, 5>(s, k, a, b, c, add),
                    _ => tile::<S, ROWS>(s, k, a, b, c, add),
                }
            }
        }
    }
}

#[inline(always)]
unsafe fn tile<S: Simd, const M: usize>(s: S, k: usize, a: Left, b: Rows<*const f32>, c: Rows<*mut f32>, add: bool) {
    let mut sums = [[s.splat(0.0); 2]; M];
    // SAFETY: the caller's promise, for all accesses below.
    unsafe {
        if add {
            for i in 0..M {
                let c = c.start.add(i * c.stride);
                sums[i] = [s.load(c), s.load(c.add(LANES))];
            }
        }
        for p in 0..k {
            let right = b.start.add(p * b.stride);
            let right = [s.load(right), s.load(right.add(LANES))];
            let left = a.start.add(p * a.col);
            for i in 0..M {
                let left = s.splat(*left.add(i * a.row));
                sums[i][0] = s.fma(left, right[0], sums[i][0]);
                sums[i][1] = s.fma(left, right[1], sums[i][1]);
            }
        }
        for i in 0..M {
            let c = c.start.add(i * c.stride);
            s.store(c, sums[i][0]);
            s.store(c.add(LANES), sums[i][1]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::isa::{Body, Isa};

    struct Product<'a> {
        shape: [usize; 3],
        a: &'a [f32],
        transposed: bool,
        b: &'a [f32],
        c: &'a mut [f32],
    }

    impl Body for Product<'_> {
        type Out = ();
        #[inline(always)]
        fn run<S: Simd>(self, s: S) {
            let [m, n, k] = self.shape;
            let (row, col) = if self.transposed { (1, m) } else { (k, 1) };
            let a = Left { start: self.a.as_ptr(), row, col };
            let (b, c) = (Rows { start: self.b.as_ptr(), stride: n }, Rows { start: self.c.as_mut_ptr(), stride: n });
            // SAFETY: the slices have these shapes.
            unsafe { multiply(s, [m, n, k], a, b, c, true) };
        }
    }

    #[test]
    fn agrees_with_sums_in_f64_at_odd_shapes_and_transposed() {
        let values = |len: usize, step: f32| (0..len).map(|i| (i as f32 * step).sin()).collect::<Vec<_>>();
        for isa in Isa::available() {
            for (m, n, k) in [(1, 16, 1), (3, 32, 4), (7, 16, 23), (23, 48, 7), (48, 64, 64), (64, 80, 48)] {
                for transposed in [false, true] {
                    let (a, b, mut c) = (values(m * k, 0.7), values(k * n, 0.3), values(m * n, 0.9));
                    let before = c.clone();
                    isa.run(Product { shape: [m, n, k], a: &a, transposed, b: &b, c: &mut c });
                    for (i, (c, before)) in c.iter().zip(&before).enumerate() {
                        let (row, column) = (i / n, i % n);
                        let left = |p: usize| f64::from(if transposed { a[p * m + row] } else { a[row * k + p] });
                        let sum: f64 = (0..k).map(|p| left(p) * f64::from(b[p * n + column])).sum();
                        let wanted = f64::from(*before) + sum;
                        assert!((f64::from(*c) - wanted).abs() < 1e-5, "{isa} {m}x{n}x{k}: {c}, not {wanted}");
                    }
                }
            }
        }
    }
}
