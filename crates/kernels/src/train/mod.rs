//! The CPU as a [`TrainDevice`].
//!
//! Products are [`crate::gemm`]'s; the rest are jobs of the team over rows, heads or columns, whichever gives every sum one order
//! whatever the number of threads. Each file states its definition and its bound, and holds its tests; `tests/it/train.rs` looks at
//! the operations from outside.

mod activation;
mod attention;
#[cfg(test)]
mod attention_tests;
mod dropout;
mod loss;
mod norm;
mod optimiser;
mod tile;
mod vectors;

use std::sync::atomic::AtomicUsize;

use gptneo_device::train::{
    AdaFactor, AdamW, AttentionBackward, AttentionForward, Base, Dropout, Embed, IGNORE, LogProbs, LogitGradients,
    Muon, MuonRoom, NormBackward, NormGradients, NormViews, Order, Product, TrainDevice, Turn, Write,
};
use gptneo_device::{Activation, Heads, View, ViewMut};

use crate::cpu::{Buffer, Cpu};
use crate::finish::Finish;
use crate::gemm::{self, Gemm};
use crate::memory::{Memory, Shared};
use crate::norm::NormRow;
use crate::rotary::{rotate, rotate_back};
use crate::team::lock;

/// Storage of the training operations. It grows to the largest call, and then no operation allocates.
pub(crate) struct Room {
    workers: Memory<f32>,
    panels: Memory<f32>,
}

impl Room {
    pub(crate) const fn new() -> Self {
        Self { workers: Memory::empty(), panels: Memory::empty() }
    }
}

fn values<'a>(view: View<'a, Buffer>, len: usize) -> &'a [f32] {
    &view.buffer.as_slice()[view.start..][..len]
}

fn values_mut<'a>(view: ViewMut<'a, Buffer>, len: usize) -> &'a mut [f32] {
    &mut view.buffer.as_mut_slice()[view.start..][..len]
}

/// Values that the strided rows of an operand span.
fn span(rows: usize, cols: usize, stride: usize) -> usize {
    if rows == 0 { 0 } else { (rows - 1) * stride + cols }
}

impl Cpu {
    fn attention<'a>(&self, args: &AttentionForward<'a, Buffer>) -> attention::Attention<'a> {
        let &AttentionForward { qkv, heads, reach, scale, segments, dropout } = args;
        let len = segments.rows() * 3 * heads.count * heads.size;
        attention::Attention { isa: self.isa(), qkv: values(qkv, len), heads, reach, scale, segments, dropout }
    }

    /// Runs `job` with scratch of `each` values for every worker.
    fn with_scratch(&self, each: usize, job: impl FnOnce(Shared<'_, f32>)) {
        let mut scratch = lock(&self.scratch);
        let room = &mut scratch.training;
        room.workers.reserve(each * self.threads(), "attention in training").expect("scratch, as planned");
        job(room.workers.shared());
    }

    /// Strips of `width` columns for the workers, whole cache lines but for the last.
    fn strips(&self, width: usize, job: impl Fn(std::ops::Range<usize>) + Sync) {
        const UNIT: usize = crate::memory::LINE / size_of::<f32>();
        self.team.run(|worker| {
            let share = worker.share(width.div_ceil(UNIT));
            let (start, end) = (share.start * UNIT, (share.end * UNIT).min(width));
            if start < end {
                job(start..end);
            }
        });
    }
}

impl TrainDevice for Cpu {
    fn training_scratch(&self, longest: usize, heads: Heads, products: &[[usize; 3]]) -> usize {
        let panels = products.iter().map(|&[m, n, k]| gemm::panels_len(self.isa(), m, k, n)).max().unwrap_or(0);
        let worker = attention::scratch_len(longest, heads.size).max(gemm::SCRATCH);
        size_of::<f32>() * (panels + worker * self.threads())
    }

    fn product(&self, args: Product<'_, Buffer>, out: ViewMut<'_, Buffer>) {
        let Product { m, n, k, order, a, b, stride_a, stride_b, stride_out, bias, base } = args;
        let stored =
            |view, rows, cols, stride| gemm::View::strided(values(view, span(rows, cols, stride)), rows, cols, stride);
        let left = match order {
            Order::TransposedA => stored(a, k, m, stride_a).transposed(),
            Order::Plain | Order::TransposedB => stored(a, m, k, stride_a),
        };
        let right = match order {
            Order::TransposedB => stored(b, n, k, stride_b).transposed(),
            Order::Plain | Order::TransposedA => stored(b, k, n, stride_b),
        };
        let out = Shared::new(values_mut(out, span(m, n, stride_out)));
        let other = match base {
            Base::Other(other) => Some(values(other, span(m, n, stride_out))),
            Base::Zero | Base::Itself => None,
        };
        let add = !matches!(base, Base::Zero);
        let bias = bias.map(|bias| values(bias, n));
        let finish = Finish { bias, activation: None, add, out, stride: stride_out };
        let mut scratch = lock(&self.scratch);
        let Room { workers, panels } = &mut scratch.training;
        let reserved = workers.reserve(gemm::SCRATCH * self.threads(), "products in training");
        let needed = gemm::panels_len(self.isa(), m, k, n);
        reserved.and_then(|()| panels.reserve(needed, "products in training")).expect("scratch, as planned");
        let next = AtomicUsize::new(0);
        let gemm = Gemm { isa: self.isa(), left, right, finish, panels: panels.shared(), next: &next };
        let workers = workers.shared();
        self.team.run(|worker| {
            if let Some(other) = other {
                for row in worker.share(m) {
                    let start = row * stride_out;
                    // SAFETY: each row is in one share; results are added after the barrier inside the product.
                    unsafe { out.part(start, n) }.copy_from_slice(&other[start..][..n]);
                }
            }
            // SAFETY: each worker has its own.
            gemm.work(worker, unsafe { workers.part(worker.index() * gemm::SCRATCH, gemm::SCRATCH) });
        });
    }

    fn column_sums(&self, rows: usize, width: usize, x: View<'_, Buffer>, write: Write, out: ViewMut<'_, Buffer>) {
        let (x, out) = (values(x, rows * width), Shared::new(values_mut(out, width)));
        self.strips(width, |strip| {
            // SAFETY: strips do not meet.
            let out = unsafe { out.part(strip.start, strip.len()) };
            if write == Write::Set {
                out.fill(0.0);
            }
            self.isa().run(norm::ColumnSums { width, columns: strip.start, x, out });
        });
    }

    fn embed_rows(&self, args: Embed<'_, Buffer>, out: ViewMut<'_, Buffer>) {
        let Embed { ids, positions, width, table, position_table } = args;
        assert_eq!(ids.len(), positions.len(), "a position for each id");
        let row = |table: View<'_, Buffer>, id: u32| table.start + id as usize * width;
        let out = Shared::new(values_mut(out, ids.len() * width));
        self.team.run(|worker| {
            for i in worker.share(ids.len()) {
                // SAFETY: each row is in one share.
                let out = unsafe { out.part(i * width, width) };
                out.copy_from_slice(&table.buffer.as_slice()[row(table, ids[i])..][..width]);
                if let Some(table) = position_table {
                    let added = &table.buffer.as_slice()[row(table, positions[i])..][..width];
                    out.iter_mut().zip(added).for_each(|(out, added)| *out += added);
                }
            }
        });
    }

    fn scatter_add(&self, ids: &[u32], width: usize, dy: View<'_, Buffer>, table: ViewMut<'_, Buffer>) {
        let dy = values(dy, ids.len() * width);
        let rows = ids.iter().max().map_or(0, |&id| id as usize + 1);
        let table = Shared::new(values_mut(table, rows * width));
        self.strips(width, |strip| {
            for (id, dy) in ids.iter().zip(dy.chunks_exact(width)) {
                // SAFETY: strips of a row do not meet.
                let row = unsafe { table.part(*id as usize * width + strip.start, strip.len()) };
                row.iter_mut().zip(&dy[strip.clone()]).for_each(|(sum, dy)| *sum += dy);
            }
        });
    }

    fn norm_forward(
        &self,
        rows: usize,
        width: usize,
        x: View<'_, Buffer>,
        norm: NormViews<'_, Buffer>,
        out: ViewMut<'_, Buffer>,
        stats: ViewMut<'_, Buffer>,
    ) {
        let (x, gain, bias) = (values(x, rows * width), values(norm.gain, width), values(norm.bias, width));
        let out = Shared::new(values_mut(out, rows * width));
        let stats = Shared::new(values_mut(stats, rows * 2));
        self.team.run(|worker| {
            for row in worker.share(rows) {
                // SAFETY: each row is in one share.
                let (y, stats) = unsafe { (out.part(row * width, width), stats.part(2 * row, 2)) };
                let x = &x[row * width..][..width];
                stats.copy_from_slice(&crate::norm::norm(self.isa(), NormRow { x, gain, bias, eps: norm.eps, y }));
            }
        });
    }

    fn norm_backward(
        &self,
        args: NormBackward<'_, Buffer>,
        write: Write,
        dx: ViewMut<'_, Buffer>,
        gradients: Option<NormGradients<'_, Buffer>>,
    ) {
        let NormBackward { rows, width, x, stats, gain, dy } = args;
        let (x, dy) = (values(x, rows * width), values(dy, rows * width));
        let (stats, gain) = (values(stats, rows * 2), values(gain, width));
        let dx = Shared::new(values_mut(dx, rows * width));
        self.team.run(|worker| {
            for row in worker.share(rows) {
                let at = row * width;
                // SAFETY: each row is in one share.
                let dx = unsafe { dx.part(at, width) };
                let stats = [stats[2 * row], stats[2 * row + 1]];
                let (x, dy) = (&x[at..][..width], &dy[at..][..width]);
                norm::BackwardRow { x, dy, gain, stats, dx, add: write == Write::Add }.apply(self.isa());
            }
        });
        let Some(NormGradients { buffer, gain, bias, write }) = gradients else { return };
        assert!(gain != bias || gain.is_none(), "gain and bias are two vectors");
        let all = Shared::new(buffer.as_mut_slice());
        self.strips(width, |strip| {
            // SAFETY: strips do not meet, nor do gain and bias.
            let part = |start: usize| unsafe { all.part(start + strip.start, strip.len()) };
            let (mut d_gain, mut d_bias) = (gain.map(part), bias.map(part));
            if write == Write::Set {
                [&mut d_gain, &mut d_bias].into_iter().flatten().for_each(|d| d.fill(0.0));
            }
            self.isa().run(norm::BackwardColumns { width, columns: strip.start, x, dy, stats, d_gain, d_bias });
        });
    }

    fn activate_forward(&self, len: usize, activation: Activation, x: View<'_, Buffer>, out: ViewMut<'_, Buffer>) {
        let (x, out) = (values(x, len), Shared::new(values_mut(out, len)));
        self.share(len, |share| {
            // SAFETY: shares do not meet.
            let out = unsafe { out.part(share.start, share.len()) };
            activation::forward(self.isa(), activation, &x[share], out);
        });
    }

    fn activate_backward(&self, len: usize, activation: Activation, x: View<'_, Buffer>, d: ViewMut<'_, Buffer>) {
        let (x, d) = (values(x, len), Shared::new(values_mut(d, len)));
        self.share(len, |share| {
            // SAFETY: shares do not meet.
            let d = unsafe { d.part(share.start, share.len()) };
            activation::backward(self.isa(), activation, &x[share], d);
        });
    }

    fn turn(&self, args: Turn<'_, Buffer>, qkv: ViewMut<'_, Buffer>) {
        let Turn { heads, table, dims, pairing, positions, back } = args;
        let width = heads.count * heads.size;
        assert!(dims <= heads.size && dims.is_multiple_of(2), "{dims} of {} channels cannot be turned", heads.size);
        let qkv = Shared::new(values_mut(qkv, positions.len() * 3 * width));
        self.team.run(|worker| {
            for row in worker.share(positions.len()) {
                let angles = &table.as_slice()[positions[row] as usize * dims..][..dims];
                // SAFETY: each row is in one share.
                let queries_and_keys = unsafe { qkv.part(row * 3 * width, 2 * width) };
                for head in queries_and_keys.chunks_exact_mut(heads.size) {
                    if back { rotate_back(head, angles, pairing) } else { rotate(head, angles, pairing) }
                }
            }
        });
    }

    fn attention_forward(
        &self,
        args: AttentionForward<'_, Buffer>,
        out: ViewMut<'_, Buffer>,
        log_sums: ViewMut<'_, Buffer>,
    ) {
        let args = self.attention(&args);
        let rows = args.segments.rows();
        let out = Shared::new(values_mut(out, rows * args.heads.count * args.heads.size));
        let log_sums = Shared::new(values_mut(log_sums, rows * args.heads.count));
        self.with_scratch(attention::scratch_len(args.segments.longest(), args.heads.size), |scratch| {
            attention::forward(&self.team, &args, out, log_sums, scratch);
        });
    }

    fn attention_backward(&self, args: AttentionBackward<'_, Buffer>, d_qkv: ViewMut<'_, Buffer>) {
        let AttentionBackward { forward, out, log_sums, d_out } = args;
        let args = self.attention(&forward);
        let (rows, heads) = (args.segments.rows(), args.heads);
        let len = rows * heads.count * heads.size;
        let given = attention::Given {
            out: values(out, len),
            log_sums: values(log_sums, rows * heads.count),
            d_out: values(d_out, len),
        };
        let d_qkv = Shared::new(values_mut(d_qkv, 3 * len));
        self.with_scratch(attention::scratch_len(args.segments.longest(), heads.size), |scratch| {
            attention::backward(&self.team, &args, given, d_qkv, scratch);
        });
    }

    fn drop_out(
        &self,
        rows: usize,
        width: usize,
        dropout: Dropout,
        x: View<'_, Buffer>,
        base: Base<'_, Buffer>,
        out: ViewMut<'_, Buffer>,
    ) {
        let (x, out) = (values(x, rows * width), Shared::new(values_mut(out, rows * width)));
        self.team.run(|worker| {
            for row in worker.share(rows) {
                let at = row * width;
                // SAFETY: each row is in one share.
                let out = unsafe { out.part(at, width) };
                let base = match base {
                    Base::Zero => dropout::RowBase::Zero,
                    Base::Itself => dropout::RowBase::Itself,
                    Base::Other(base) => dropout::RowBase::Other(&values(base, rows * width)[at..][..width]),
                };
                dropout::DropRow { dropout, row: row as u64, x: &x[at..][..width], base, out }.apply(self.isa());
            }
        });
    }

    fn log_probs(&self, vocab: usize, targets: &[u32], logits: View<'_, Buffer>, out: LogProbs<'_>) {
        let logits = values(logits, targets.len() * vocab);
        assert!(out.log_probs.len() == targets.len() && out.log_z.len() == targets.len(), "a result for each target");
        let (log_probs, log_zs) = (Shared::new(out.log_probs), Shared::new(out.log_z));
        self.team.run(|worker| {
            for row in worker.share(targets.len()) {
                let logits = &logits[row * vocab..][..vocab];
                let log_z = self.isa().run(loss::LogZ(logits));
                // SAFETY: each row is in one share.
                let (log_prob, out) = unsafe { (log_probs.part(row, 1), log_zs.part(row, 1)) };
                out[0] = log_z;
                log_prob[0] = if targets[row] == IGNORE { 0.0 } else { logits[targets[row] as usize] - log_z };
            }
        });
    }

    fn logit_gradients(&self, args: LogitGradients<'_>, logits: ViewMut<'_, Buffer>) {
        let LogitGradients { vocab, targets, log_z, d_log_probs, d_log_z } = args;
        let logits = Shared::new(values_mut(logits, targets.len() * vocab));
        self.team.run(|worker| {
            for row in worker.share(targets.len()) {
                // SAFETY: each row is in one share.
                let logits = unsafe { logits.part(row * vocab, vocab) };
                let (d, d_z) = (d_log_probs[row], d_log_z[row]);
                self.isa().run(loss::Softmax { logits, log_z: log_z[row], factor: d_z - d });
                if targets[row] != IGNORE {
                    logits[targets[row] as usize] += d;
                }
            }
        });
    }

    fn fill(&self, len: usize, value: f32, out: ViewMut<'_, Buffer>) {
        self.each_part(values_mut(out, len), |_, out| out.fill(value));
    }

    fn scale(&self, len: usize, factor: f32, out: ViewMut<'_, Buffer>) {
        self.each_part(values_mut(out, len), |_, out| self.isa().run(vectors::Scale { factor, out }));
    }

    fn add_scaled(&self, len: usize, factor: f32, x: View<'_, Buffer>, out: ViewMut<'_, Buffer>) {
        let x = values(x, len);
        self.each_part(values_mut(out, len), |at, out| {
            self.isa().run(vectors::AddScaled { factor, x: &x[at..][..out.len()], out });
        });
    }

    fn copy(&self, len: usize, x: View<'_, Buffer>, out: ViewMut<'_, Buffer>) {
        let x = values(x, len);
        self.each_part(values_mut(out, len), |at, out| out.copy_from_slice(&x[at..][..out.len()]));
    }

    fn sum_of_squares(&self, len: usize, x: View<'_, Buffer>) -> f64 {
        vectors::sum_of_squares(&self.team, self.isa(), values(x, len))
    }

    fn adam_w(
        &self,
        len: usize,
        step: AdamW,
        gradient: View<'_, Buffer>,
        weight: ViewMut<'_, Buffer>,
        first: ViewMut<'_, Buffer>,
        second: ViewMut<'_, Buffer>,
    ) {
        let (gradient, first, second) = (values(gradient, len), values_mut(first, len), values_mut(second, len));
        let (first, second) = (Shared::new(first), Shared::new(second));
        self.each_part(values_mut(weight, len), |at, weight| {
            let len = weight.len();
            // SAFETY: parts do not meet.
            let (first, second) = unsafe { (first.part(at, len), second.part(at, len)) };
            self.isa().run(optimiser::AdamWStep { step, gradient: &gradient[at..][..len], weight, first, second });
        });
    }

    fn ada_factor(
        &self,
        rows: usize,
        cols: usize,
        step: AdaFactor,
        gradient: View<'_, Buffer>,
        weight: ViewMut<'_, Buffer>,
        state: ViewMut<'_, Buffer>,
    ) {
        let (len, state_len) = (rows * cols, AdaFactor::state_len(rows, cols));
        let (weight, state) = (values_mut(weight, len), values_mut(state, state_len));
        optimiser::ada_factor(rows, cols, step, values(gradient, len), weight, state);
    }

    fn muon(
        &self,
        rows: usize,
        cols: usize,
        step: Muon,
        gradient: View<'_, Buffer>,
        weight: ViewMut<'_, Buffer>,
        momentum: ViewMut<'_, Buffer>,
        room: &mut MuonRoom<Buffer>,
    ) {
        let len = rows * cols;
        let gradient = values(gradient, len);
        let update = Shared::new(values_mut((&mut room.update).into(), len));
        self.each_part(values_mut(momentum, len), |at, momentum| {
            // SAFETY: parts do not meet.
            let update = unsafe { update.part(at, momentum.len()) };
            optimiser::muon_momentum(step, &gradient[at..][..momentum.len()], momentum, update);
        });
        vectors::orthogonalise(self, rows, cols, room);
        let factor = step.rate * 0.2 * (rows.max(cols) as f32).sqrt();
        let update = values((&room.update).into(), len);
        self.each_part(values_mut(weight, len), |at, weight| {
            let keep = 1.0 - step.rate * step.decay;
            weight.iter_mut().zip(&update[at..]).for_each(|(w, u)| *w = *w * keep - factor * u);
        });
    }
}
