//! Whole vectors: scaling, adding, norms; and Newton-Schulz, which is products and these.

use gptneo_device::View;
use gptneo_device::train::{MuonRoom, Order, Product, TrainDevice};

use crate::cpu::{Buffer, Cpu};
use crate::isa::{Body, Isa};
use crate::memory::Shared;
use crate::simd::Simd;
use crate::team::Team;

use super::optimiser::SumOfSquares;

/// `out *= factor`.
pub(super) struct Scale<'a> {
    pub(super) factor: f32,
    pub(super) out: &'a mut [f32],
}

impl Body for Scale<'_> {
    type Out = ();
    #[inline(always)]
    fn run<S: Simd>(self, _: S) {
        self.out.iter_mut().for_each(|out| *out *= self.factor);
    }
}

/// `out += factor x`.
pub(super) struct AddScaled<'a> {
    pub(super) factor: f32,
    pub(super) x: &'a [f32],
    pub(super) out: &'a mut [f32],
}

impl Body for AddScaled<'_> {
    type Out = ();
    #[inline(always)]
    fn run<S: Simd>(self, _: S) {
        self.out.iter_mut().zip(self.x).for_each(|(out, x)| *out += self.factor * x);
    }
}

impl Cpu {
    /// Calls `job(start, part)` for parts of `values`, one for each worker.
    pub(super) fn each_part(&self, values: &mut [f32], job: impl Fn(usize, &mut [f32]) + Sync) {
        let (len, values) = (values.len(), Shared::new(values));
        self.share(len, |share| {
            // SAFETY: shares do not meet.
            job(share.start, unsafe { values.part(share.start, share.len()) });
        });
    }
}

/// Sum of squares: blocks of fixed length, each by one worker, added in order.
pub(super) fn sum_of_squares(team: &Team, isa: Isa, x: &[f32]) -> f64 {
    const BLOCK: usize = 1 << 16;
    let mut sums = vec![0.0f64; x.len().div_ceil(BLOCK)];
    let shared = Shared::new(&mut sums);
    team.run(|worker| {
        for block in worker.share(shared.len()) {
            let x = &x[block * BLOCK..][..BLOCK.min(x.len() - block * BLOCK)];
            // SAFETY: each block is in one share.
            unsafe { shared.part(block, 1)[0] = isa.run(SumOfSquares(x)) };
        }
    });
    sums.iter().sum()
}

/// Makes `room.update: [rows, cols]` nearly orthogonal: five steps `X = a X + (b A + c A^2) X`, `A = X X^T`, from `X / |X|`; where
/// rows are the longer side, with `A = X^T X` from the right.
pub(super) fn orthogonalise(cpu: &Cpu, rows: usize, cols: usize, room: &mut MuonRoom<Buffer>) {
    const STEPS: usize = 5;
    let [a, b, c] = [3.4445, -4.7750, 2.0315];
    let (len, short, deep, tall) = (rows * cols, rows.min(cols), rows.max(cols), rows > cols);
    let square = short * short;
    let MuonRoom { update, next, gram, polynomial } = room;
    let norm = cpu.sum_of_squares(len, (&*update).into()).sqrt() + 1e-7;
    cpu.scale(len, (1.0 / norm) as f32, (&mut *update).into());
    for _ in 0..STEPS {
        let x = View::from(&*update);
        let order = if tall { Order::TransposedA } else { Order::TransposedB };
        cpu.product(Product::dense(order, [short, short, deep], x, x), (&mut *gram).into());
        cpu.product(Product::dense(Order::Plain, [short; 3], &*gram, &*gram), (&mut *polynomial).into());
        cpu.scale(square, c, (&mut *polynomial).into());
        cpu.add_scaled(square, b, (&*gram).into(), (&mut *polynomial).into());
        let (left, right) = if tall { (x, View::from(&*polynomial)) } else { (View::from(&*polynomial), x) };
        cpu.product(Product::dense(Order::Plain, [rows, cols, short], left, right), (&mut *next).into());
        cpu.scale(len, a, (&mut *update).into());
        cpu.add_scaled(len, 1.0, (&*next).into(), (&mut *update).into());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cpu::CpuOptions;
    use gptneo_device::Device;

    #[test]
    fn an_orthogonalised_matrix_has_singular_values_near_one() {
        let cpu = Cpu::new(CpuOptions { threads: Some(2), isa: None }).unwrap();
        for (rows, cols) in [(5, 5), (7, 23), (23, 7), (64, 48)] {
            let mut room = MuonRoom::new(&cpu, rows, cols).unwrap();
            let values: Vec<f32> = (0..rows * cols).map(|i| ((i * i) as f32 * 0.37).sin()).collect();
            cpu.write(&mut room.update, 0, &values);
            orthogonalise(&cpu, rows, cols, &mut room);
            let x = room.update.as_slice();
            // The coefficients trade exactness for speed: singular values end between 0.7 and 1.2, so X X^T is near 1 on the diagonal.
            let short = rows.min(cols);
            let dot = |i: usize, j: usize| {
                let at = |i: usize, k: usize| f64::from(if rows <= cols { x[i * cols + k] } else { x[k * cols + i] });
                (0..rows.max(cols)).map(|k| at(i, k) * at(j, k)).sum::<f64>()
            };
            let trace: f64 = (0..short).map(|i| dot(i, i)).sum();
            assert!((0.6..1.3).contains(&(trace / short as f64)), "{rows}x{cols}: {}", trace / short as f64);
            let norm: f64 =
                (0..short).flat_map(|i| (0..short).map(move |j| (i, j))).map(|(i, j)| dot(i, j).powi(2)).sum();
            // Sum of fourth powers of the singular values, each at most 1.2^4.
            assert!(norm / (short as f64) < 2.1, "{rows}x{cols}: {norm}");
        }
    }
}
