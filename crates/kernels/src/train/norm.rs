//! Layer normalisation, backward.
//!
//! With `h = (x - mean) rstd` and `g = dy gain`: `dx = rstd (g - mean(g) - h mean(g h))`, `d gain = sum over rows of dy h`,
//! `d bias = sum over rows of dy`. Rows are shared among workers for the first, columns for the others, so that every sum runs in one
//! order. Tested against finite differences in f64.

use crate::isa::{Body, Isa};
use crate::simd::{LANES, Simd};

/// One row of `dx`.
pub(super) struct BackwardRow<'a> {
    pub(super) x: &'a [f32],
    pub(super) dy: &'a [f32],
    pub(super) gain: &'a [f32],
    /// Mean and rstd.
    pub(super) stats: [f32; 2],
    pub(super) dx: &'a mut [f32],
    pub(super) add: bool,
}

impl BackwardRow<'_> {
    pub(super) fn apply(self, isa: Isa) {
        let width = self.x.len();
        assert!(self.dy.len() == width && self.gain.len() == width && self.dx.len() == width, "rows of one width");
        isa.run(self);
    }
}

impl Body for BackwardRow<'_> {
    type Out = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let Self { x, dy, gain, stats: [mean, rstd], dx, add } = self;
        let width = x.len();
        let whole = width - width % LANES;
        let (centre, scale) = (s.splat(mean), s.splat(rstd));
        let mut sums = [[s.splat(0.0); 2]; 2];
        for (turn, i) in (0..whole).step_by(LANES).enumerate() {
            let g = s.mul(load(s, dy, i), load(s, gain, i));
            let h = s.mul(s.sub(load(s, x, i), centre), scale);
            let [sum_g, sum_gh] = &mut sums[turn % 2];
            *sum_g = s.add(*sum_g, g);
            *sum_gh = s.fma(g, h, *sum_gh);
        }
        let mut mean_g = s.sum(s.add(sums[0][0], sums[1][0]));
        let mut mean_gh = s.sum(s.add(sums[0][1], sums[1][1]));
        for i in whole..width {
            let g = dy[i] * gain[i];
            mean_g += g;
            mean_gh += g * ((x[i] - mean) * rstd);
        }
        mean_g /= width as f32;
        mean_gh /= width as f32;
        for i in (0..whole).step_by(LANES) {
            let g = s.mul(load(s, dy, i), load(s, gain, i));
            let h = s.mul(s.sub(load(s, x, i), centre), scale);
            let inner = s.sub(s.sub(g, s.splat(mean_g)), s.mul(h, s.splat(mean_gh)));
            let d = s.mul(inner, scale);
            let d = if add { s.add(load(s, dx, i), d) } else { d };
            // SAFETY: i + 8 <= width, the length of all.
            unsafe { s.store(dx.as_mut_ptr().add(i), d) };
        }
        for i in whole..width {
            let h = (x[i] - mean) * rstd;
            let d = rstd * (dy[i] * gain[i] - mean_g - h * mean_gh);
            dx[i] = if add { dx[i] + d } else { d };
        }
    }
}

/// Eight values from `i` on.
#[inline(always)]
fn load<S: Simd>(s: S, from: &[f32], i: usize) -> S::F {
    debug_assert!(i + LANES <= from.len());
    // SAFETY: the caller's loop ends eight before the end.
    unsafe { s.load(from.as_ptr().add(i)) }
}

/// Gradients of some columns `columns..columns + d_bias.len()` of gain and bias over all rows.
pub(super) struct BackwardColumns<'a> {
    pub(super) width: usize,
    pub(super) columns: usize,
    /// `[N, C]`.
    pub(super) x: &'a [f32],
    /// `[N, C]`.
    pub(super) dy: &'a [f32],
    /// `[N, 2]`.
    pub(super) stats: &'a [f32],
    pub(super) d_gain: Option<&'a mut [f32]>,
    pub(super) d_bias: Option<&'a mut [f32]>,
}

impl Body for BackwardColumns<'_> {
    type Out = ();

    #[inline(always)]
    fn run<S: Simd>(self, _: S) {
        let Self { width, columns, x, dy, stats, d_gain, d_bias } = self;
        if let Some(d_bias) = d_bias {
            sum_columns(width, columns, dy, d_bias);
        }
        let Some(d_gain) = d_gain else { return };
        for ((x, dy), stats) in x.chunks_exact(width).zip(dy.chunks_exact(width)).zip(stats.as_chunks::<2>().0) {
            let (x, dy) = (&x[columns..][..d_gain.len()], &dy[columns..][..d_gain.len()]);
            let &[mean, rstd] = stats;
            for i in 0..d_gain.len() {
                d_gain[i] += dy[i] * ((x[i] - mean) * rstd);
            }
        }
    }
}

/// Adds columns `columns..columns + out.len()` of all rows to `out`.
pub(super) struct ColumnSums<'a> {
    pub(super) width: usize,
    pub(super) columns: usize,
    pub(super) x: &'a [f32],
    pub(super) out: &'a mut [f32],
}

impl Body for ColumnSums<'_> {
    type Out = ();

    #[inline(always)]
    fn run<S: Simd>(self, _: S) {
        sum_columns(self.width, self.columns, self.x, self.out);
    }
}

/// Rows are added in fours, so that the sums are read and written a quarter as often.
#[inline(always)]
fn sum_columns(width: usize, columns: usize, x: &[f32], out: &mut [f32]) {
    let len = out.len();
    let mut fours = x.chunks_exact(4 * width);
    for rows in &mut fours {
        let row = |i: usize| &rows[i * width + columns..][..len];
        let (a, b, c, d) = (row(0), row(1), row(2), row(3));
        for i in 0..len {
            out[i] += (a[i] + b[i]) + (c[i] + d[i]);
        }
    }
    for row in fours.remainder().chunks_exact(width) {
        let row = &row[columns..][..len];
        (0..len).for_each(|i| out[i] += row[i]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::norm::{NormRow, norm};

    /// `sum(dy norm(x))` in f64.
    fn value(x: &[f64], gain: &[f64], bias: &[f64], dy: &[f64]) -> f64 {
        let count = x.len() as f64;
        let mean = x.iter().sum::<f64>() / count;
        let variance = x.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / count;
        let rstd = 1.0 / (variance + 1e-5).sqrt();
        (0..x.len()).map(|i| dy[i] * ((x[i] - mean) * rstd * gain[i] + bias[i])).sum()
    }

    fn values(len: usize, seed: f32) -> Vec<f32> {
        (0..len).map(|i| ((i as f32 + 1.0) * seed).sin() * 2.0).collect()
    }

    fn wide(values: &[f32]) -> Vec<f64> {
        values.iter().map(|&v| f64::from(v)).collect()
    }

    #[test]
    fn agrees_with_finite_differences_at_odd_widths() {
        for isa in Isa::available() {
            for width in [1, 3, 4, 7, 8, 23, 40, 65] {
                let (x, gain, bias, dy) =
                    (values(width, 0.7), values(width, 1.3), values(width, 0.2), values(width, 2.1));
                let mut y = vec![0.0; width];
                let stats = norm(isa, NormRow { x: &x, gain: &gain, bias: &bias, eps: 1e-5, y: &mut y });
                let (mut dx, mut d_gain, mut d_bias) = (vec![1.0; width], vec![0.5; width], vec![0.25; width]);
                BackwardRow { x: &x, dy: &dy, gain: &gain, stats, dx: &mut dx, add: true }.apply(isa);
                isa.run(BackwardColumns {
                    width,
                    columns: 0,
                    x: &x,
                    dy: &dy,
                    stats: &stats,
                    d_gain: Some(&mut d_gain),
                    d_bias: Some(&mut d_bias),
                });
                let args = [wide(&x), wide(&gain), wide(&bias), wide(&dy)];
                let slope = |which: usize, i: usize| {
                    let at = |h: f64| {
                        let mut args = args.clone();
                        args[which][i] += h;
                        value(&args[0], &args[1], &args[2], &args[3])
                    };
                    (at(1e-5) - at(-1e-5)) / 2e-5
                };
                for i in 0..width {
                    for (found, base, which) in [(&dx, 1.0, 0), (&d_gain, 0.5, 1), (&d_bias, 0.25, 2)] {
                        let wanted = base + slope(which, i);
                        // A single channel has no variance: its rstd is 300.
                        let bound = if width == 1 { 1e-3 } else { 2e-5 * (1.0 + wanted.abs()) };
                        let error = (f64::from(found[i]) - wanted).abs();
                        assert!(error < bound, "{isa} width {width} argument {which}: {} not {wanted}", found[i]);
                    }
                }
            }
        }
    }

    #[test]
    fn columns_of_many_rows_add_up_in_any_strips() {
        for isa in Isa::available() {
            for rows in [1, 3, 4, 7, 23] {
                let (width, x) = (19, values(rows * 19, 0.37));
                let mut together = vec![0.0; width];
                isa.run(ColumnSums { width, columns: 0, x: &x, out: &mut together });
                let mut apart = vec![0.0; width];
                for (columns, part) in apart.chunks_mut(5).enumerate() {
                    isa.run(ColumnSums { width, columns: columns * 5, x: &x, out: part });
                }
                assert_eq!(together, apart);
                for (i, sum) in together.iter().enumerate() {
                    let wanted: f64 = (0..rows).map(|row| f64::from(x[row * width + i])).sum();
                    assert!((f64::from(*sum) - wanted).abs() < 1e-5);
                }
            }
        }
    }
}
