//! The CPU as a [`Device`].
//!
//! Each operation is one job of the [team](crate::team): rows are prepared in parallel (normalised, and quantised for a quantised
//! weight), then, after a barrier, runs of outputs are claimed until none is left. A fused operation does the arithmetic of its
//! plain ones in the same order: they agree to the bit (`tests/fused.rs`). Results depend on the instruction set, never on
//! the number of threads or on what else is in the batch.

use std::fmt;
use std::ops::Range;
use std::sync::Mutex;
use std::sync::atomic::AtomicUsize;

use gptneo_device::{
    Activation, Attend, CacheShape, DType, Device, DeviceError, Heads, LowRank, Matrix, Norm, NormQkv, Rotary, Rows,
};

use crate::activation;
use crate::attention::{self, Attention};
use crate::cache::Cache;
use crate::finish::Finish;
use crate::float::FEW;
use crate::gemm::{Lines, Panels, Side, Summation};
use crate::inputs::{Inputs, Quantised};
use crate::isa::{Isa, IsaError};
use crate::low_rank;
use crate::memory::{self, Memory, Shared};
use crate::product::{self, Input, Prepared, Product};
use crate::rotary::rotate;
use crate::team::{Team, Worker, lock, physical_cores};
use crate::train;
use crate::weight::{self, Storage, Weight};

/// Values above which an elementwise operation is shared among the workers.
const SHARE: usize = 16 << 10;

/// How a [`Cpu`] is set up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CpuOptions {
    /// Threads that compute, the caller included; one for each physical core if not given.
    pub threads: Option<usize>,
    /// The instruction set; the widest that the machine has if not given.
    pub isa: Option<Isa>,
}

/// Why there is no [`Cpu`].
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CpuError {
    /// The machine lacks the instruction set.
    #[error(transparent)]
    Isa(#[from] IsaError),
    /// No or too many threads were asked for.
    #[error("{0} threads cannot compute: give a number from 1 to {MAX_THREADS}")]
    Threads(usize),
    /// The system refused a thread.
    #[error("the system refused to start {threads} threads")]
    Spawn {
        /// How many were wanted.
        threads: usize,
        /// What it said.
        source: std::io::Error,
    },
}

/// Most threads of one [`Cpu`].
const MAX_THREADS: usize = 1024;

/// f32 activations on the CPU.
pub struct Buffer(Memory<f32>);

impl Buffer {
    /// The values.
    pub fn as_slice(&self) -> &[f32] {
        &self.0
    }

    pub(crate) fn as_mut_slice(&mut self) -> &mut [f32] {
        &mut self.0
    }
}

impl fmt::Debug for Buffer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Buffer({} values)", self.0.len())
    }
}

/// This machine's processor: a thread team, an instruction set, and scratch.
pub struct Cpu {
    isa: Isa,
    pub(crate) team: Team,
    pub(crate) scratch: Mutex<Scratch>,
}

/// Storage between operations. It grows to the largest batch seen, and then no operation allocates.
pub(crate) struct Scratch {
    prepared: Prepared,
    /// q, k and v before they are rotated and stored, `[N, 3C]`.
    qkv: Memory<f32>,
    workers: Memory<f32>,
    attention: attention::Room,
    pub(crate) training: train::Room,
    /// Rows between the two factors of an adapter.
    low_rank: Memory<f32>,
}

impl fmt::Debug for Cpu {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.describe())
    }
}

impl Cpu {
    /// Starts the thread team.
    ///
    /// # Errors
    /// If the machine lacks the instruction set, the number of threads makes no sense, or the system refuses them.
    pub fn new(options: CpuOptions) -> Result<Self, CpuError> {
        let isa = options.isa.unwrap_or_else(Isa::detect);
        if !isa.is_available() {
            return Err(IsaError::Missing(isa).into());
        }
        let threads = options.threads.unwrap_or_else(physical_cores);
        if !(1..=MAX_THREADS).contains(&threads) {
            return Err(CpuError::Threads(threads));
        }
        let team = Team::new(threads).map_err(|source| CpuError::Spawn { threads, source })?;
        let scratch = Scratch {
            prepared: Prepared::new(),
            qkv: Memory::empty(),
            workers: Memory::empty(),
            attention: attention::Room::new(),
            training: train::Room::new(),
            low_rank: Memory::empty(),
        };
        Ok(Self { isa, team, scratch: Mutex::new(scratch) })
    }

    /// The instruction set in use.
    pub fn isa(&self) -> Isa {
        self.isa
    }

    /// Threads that compute.
    pub fn threads(&self) -> usize {
        self.team.threads()
    }

    /// Runs a product of prepared rows in one job, followed by `then` on every worker. `meanwhile` comes before the product: on
    /// workers that have no row to prepare while others prepare theirs.
    fn product(
        &self,
        job: Job<'_>,
        scratch: &mut Scratch,
        meanwhile: impl Fn(&Worker<'_>) + Sync,
        then: impl Fn(&Worker<'_>) + Sync,
    ) {
        let Job { rows, weight, outputs, finish } = job;
        let tokens = rows.count();
        let cols = weight.cols();
        let panels = Panels::new(self.isa, Side::Left, tokens, cols, Summation::DECODING);
        // Whole lines of memory for each.
        let width = product::scratch_len(weight, tokens).max(panels.unit() * cols).next_multiple_of(memory::LINE);
        let room = scratch.workers.reserve(width * self.team.threads(), "scratch of the workers");
        room.and_then(|()| scratch.prepared.reserve(self.isa, weight, tokens)).expect("scratch for one batch");
        let workers = scratch.workers.shared();
        let floats = scratch.prepared.floats.shared();
        let quantised = Quantised::new(&mut scratch.prepared.quantised);
        let next = AtomicUsize::new(0);
        self.team.run(|worker| {
            // SAFETY: each worker has its own.
            let own = unsafe { workers.part(worker.index() * width, width) };
            let idle = worker.share(tokens).is_empty();
            if idle {
                meanwhile(worker);
            }
            let input = match (&weight.0, rows) {
                (Storage::Float(_), Inputs::Ready { x, .. }) if tokens <= FEW => Input::Few(&x[..tokens * cols]),
                (Storage::Float(_), _) if tokens <= FEW => {
                    for row in worker.share(tokens) {
                        // SAFETY: each row is in one worker's share.
                        rows.prepare(self.isa, row, unsafe { floats.part(row * cols, cols) });
                    }
                    worker.barrier();
                    // SAFETY: after the barrier the rows are only read.
                    Input::Few(unsafe { floats.view(0, tokens * cols) })
                }
                (Storage::Float(_), _) => {
                    for unit in worker.share(tokens.div_ceil(panels.unit())) {
                        let from = unit * panels.unit()..tokens.min((unit + 1) * panels.unit());
                        let (values, first) = match rows {
                            Inputs::Ready { x, .. } => (x, from.start),
                            _ => {
                                for (row, x) in from.zip(own.chunks_exact_mut(cols)) {
                                    rows.prepare(self.isa, row, x);
                                }
                                (&*own, 0)
                            }
                        };
                        let lines = Lines::Along { values, stride: cols };
                        // SAFETY: each unit is in one worker's share; none is read before the barrier.
                        unsafe { panels.pack(unit, lines, first, floats) };
                    }
                    worker.barrier();
                    // SAFETY: after the barrier the panels are only read.
                    Input::Panels(unsafe { floats.view(0, panels.len()) })
                }
                (Storage::Packed(_), _) => {
                    for row in worker.share(tokens) {
                        let x = match rows {
                            Inputs::Ready { x, .. } => &x[row * cols..][..cols],
                            _ => {
                                rows.prepare(self.isa, row, &mut own[..cols]);
                                &own[..cols]
                            }
                        };
                        // SAFETY: each row is in one worker's share; none is read before the barrier.
                        unsafe { quantised.write(self.isa, row, x) };
                    }
                    worker.barrier();
                    // SAFETY: after the barrier the rows are only read.
                    Input::Quantised(unsafe { quantised.read() })
                }
            };
            if !idle {
                meanwhile(worker);
            }
            let outputs = outputs.clone();
            Product { isa: self.isa, weight, outputs, tokens, input, finish, next: &next }.work(worker, own);
            then(worker);
        });
    }

    pub(crate) fn share(&self, count: usize, job: impl Fn(Range<usize>) + Sync) {
        if count < SHARE {
            job(0..count);
        } else {
            self.team.run(|worker| job(worker.share(count)));
        }
    }
}

/// A product and where its rows come from.
struct Job<'a> {
    rows: Inputs<'a>,
    weight: &'a Weight,
    outputs: Range<usize>,
    finish: Finish<'a>,
}

impl Device for Cpu {
    type Weight = Weight;
    type Buffer = Buffer;
    type Cache = Cache;

    fn describe(&self) -> String {
        let threads = self.threads();
        format!("CPU ({}, {threads} {})", self.isa, if threads == 1 { "thread" } else { "threads" })
    }

    fn weight(&self, parts: &[Matrix]) -> Result<Weight, DeviceError> {
        Weight::new(&self.team, parts)
    }

    fn weight_dtype(&self, weight: &Weight) -> DType {
        weight.dtype()
    }

    fn weight_bytes(&self, weight: &Weight) -> usize {
        weight.bytes()
    }

    fn buffer(&self, len: usize) -> Result<Buffer, DeviceError> {
        Memory::dense(len, "activations").map(Buffer)
    }

    fn cache(&self, shape: CacheShape) -> Result<Cache, DeviceError> {
        Cache::new(shape)
    }

    fn write(&self, buffer: &mut Buffer, offset: usize, values: &[f32]) {
        buffer.0[offset..][..values.len()].copy_from_slice(values);
    }

    fn read(&self, buffer: &Buffer, offset: usize, values: &mut [f32]) {
        values.copy_from_slice(&buffer.0[offset..][..values.len()]);
    }

    fn append(&self, buffer: &Buffer, len: usize, values: &mut Vec<f32>) {
        values.extend_from_slice(&buffer.0[..len]);
    }

    fn copy_page(&self, cache: &mut Cache, from: u32, to: u32) {
        cache.copy_page(from, to);
    }

    fn quantize(&self, dtype: DType, cols: usize, values: &[f32], out: &mut Vec<u8>) -> Result<(), DeviceError> {
        weight::quantize(&self.team, dtype, cols, values, out)
    }

    fn dequantize(&self, dtype: DType, bytes: &[u8], values: &mut [f32]) -> Result<(), DeviceError> {
        weight::dequantize(&self.team, dtype, bytes, values)
    }

    fn embed(&self, ids: &[u32], table: &Weight, positions: Option<(&[u32], &Weight)>, out: &mut Buffer) {
        let cols = table.cols();
        if let Some((positions, table)) = positions {
            assert!(positions.len() == ids.len() && table.cols() == cols, "one position for each id, of one width");
        }
        let out = Shared::new(&mut out.0[..ids.len() * cols]);
        let row = |i: usize, added: &mut Vec<f32>| {
            // SAFETY: each row is written by one worker.
            let out = unsafe { out.part(i * cols, cols) };
            table.read_row(ids[i] as usize, out);
            if let Some((positions, table)) = positions {
                added.resize(cols, 0.0);
                table.read_row(positions[i] as usize, added);
                for (x, y) in out.iter_mut().zip(&*added) {
                    *x += y;
                }
            }
        };
        if ids.len() * cols < SHARE {
            let mut added = Vec::new();
            (0..ids.len()).for_each(|i| row(i, &mut added));
        } else {
            self.team.run(|worker| {
                let mut added = Vec::new();
                worker.share(ids.len()).for_each(|i| row(i, &mut added));
            });
        }
    }

    fn norm(&self, n: usize, x: &Buffer, norm: Norm<'_, Buffer>, out: &mut Buffer) {
        let width = norm.gain.0.len();
        let rows = Inputs::normed(&x.0, n, None, &norm);
        let out = Shared::new(&mut out.0[..n * width]);
        self.share(n * width, |share| {
            // Shares are of values; a row belongs to the share that holds its first.
            for row in share.start.div_ceil(width)..share.end.div_ceil(width) {
                // SAFETY: each row starts in one share.
                rows.prepare(self.isa, row, unsafe { out.part(row * width, width) });
            }
        });
    }

    fn linear(
        &self,
        n: usize,
        x: &Buffer,
        weight: &Weight,
        bias: Option<&Buffer>,
        outputs: Range<usize>,
        out: &mut Buffer,
    ) {
        assert!(outputs.start <= outputs.end && outputs.end <= weight.rows(), "{outputs:?} of {}", weight.rows());
        let stride = outputs.len();
        let out = Shared::new(&mut out.0[..n * stride]);
        let bias = biases(bias, weight).map(|bias| &bias[outputs.clone()]);
        let finish = Finish { bias, activation: None, add: false, out, stride };
        let job = Job { rows: Inputs::Ready { x: &x.0, count: n }, weight, outputs, finish };
        self.product(job, &mut lock(&self.scratch), |_| {}, |_| {});
    }

    fn rotate(&self, x: &mut Buffer, heads: Heads, rotary: Rotary<'_, Buffer>, positions: &[u32]) {
        let (width, dims) = (heads.count * heads.size, rotary.dims);
        assert!(dims <= heads.size && dims.is_multiple_of(2), "{dims} of {} channels cannot be turned", heads.size);
        for (row, &position) in x.0[..positions.len() * width].chunks_exact_mut(width.max(1)).zip(positions) {
            let angles = &rotary.table.0[position as usize * dims..][..dims];
            row.chunks_exact_mut(heads.size).for_each(|head| rotate(head, angles, rotary.pairing));
        }
    }

    fn store(&self, key: &Buffer, value: &Buffer, rows: Rows<'_>, cache: &mut Cache) {
        check_rows(rows);
        let (count, size) = (cache.shape.heads, cache.shape.head_size);
        let (key, value) = (&key.0[..rows.len() * count * size], &value.0[..rows.len() * count * size]);
        let writer = cache.writer();
        self.share(rows.len() * count * size, |share| {
            for item in share.start.div_ceil(size)..share.end.div_ceil(size) {
                let (row, head) = (item / count, item % count);
                let table = rows.tables[rows.sequences[row] as usize];
                let (key, value) = (&key[item * size..][..size], &value[item * size..][..size]);
                // SAFETY: each head of each row is in one share; rows are distinct positions of their sequences.
                unsafe { writer.store(table, rows.positions[row] as usize, head, key, value) };
            }
        });
    }

    fn attend(&self, args: Attend<'_, Self>, out: &mut Buffer) {
        let Attend { query, cache, heads, reach, scale, rows } = args;
        check_rows(rows);
        assert!(heads.count == cache.shape.heads && heads.size == cache.shape.head_size, "heads as in the cache");
        let len = rows.len() * heads.count * heads.size;
        if len == 0 {
            return;
        }
        let (query, out) = (&query.0[..len], Shared::new(&mut out.0[..len]));
        let attention = Attention { isa: self.isa, query, cache, heads, reach, scale, rows, out };
        attention::attend(&self.team, &attention, &mut lock(&self.scratch).attention);
    }

    fn activate(&self, len: usize, activation: Activation, x: &mut Buffer) {
        let x = Shared::new(&mut x.0[..len]);
        self.share(len, |share| {
            // SAFETY: shares do not meet.
            activation::activate(self.isa, activation, unsafe { x.part(share.start, share.len()) });
        });
    }

    fn keep_rows(&self, width: usize, rows: &[u32], x: &mut Buffer) {
        assert!(rows.is_sorted_by(|a, b| a < b), "rows that rise");
        for (to, &from) in rows.iter().enumerate() {
            let from = from as usize * width;
            x.0.copy_within(from..from + width, to * width);
        }
    }

    fn add(&self, len: usize, y: &Buffer, x: &mut Buffer) {
        let (y, x) = (&y.0[..len], Shared::new(&mut x.0[..len]));
        self.share(len, |share| {
            // SAFETY: shares do not meet.
            let x = unsafe { x.part(share.start, share.len()) };
            x.iter_mut().zip(&y[share]).for_each(|(x, y)| *x += y);
        });
    }

    fn add_low_rank(&self, args: LowRank<'_, Self>, out: &mut Buffer) {
        let product = low_rank::Product::new(args, &mut out.0);
        low_rank::add(&self.team, self.isa, product, &mut lock(&self.scratch).low_rank);
    }

    fn norm_qkv(&self, args: NormQkv<'_, Self>, cache: &mut Cache, query: &mut Buffer) {
        let NormQkv { x, norm, weight, bias, heads, rotary, rows } = args;
        check_rows(rows);
        let (n, size, width) = (rows.len(), heads.size, heads.count * heads.size);
        assert!(weight.rows() == 3 * width && weight.cols() == width, "q, k and v of {width} channels");
        assert!(heads.count == cache.shape.heads && size == cache.shape.head_size, "heads as in the cache");
        let mut scratch = lock(&self.scratch);
        scratch.qkv.reserve(n * 3 * width, "queries, keys and values").expect("scratch for one batch");
        let mut room = std::mem::replace(&mut scratch.qkv, Memory::empty());
        let qkv = room.shared();
        let query = Shared::new(&mut query.0[..n * width]);
        let writer = cache.writer();
        let finish = Finish { bias: biases(bias, weight), activation: None, add: false, out: qkv, stride: 3 * width };
        let job = Job { rows: Inputs::normed(&x.0, n, None, &norm), weight, outputs: 0..3 * width, finish };
        let fetch = |worker: &Worker<'_>| {
            // Of many rows, what is fetched now would be gone when it is written.
            let items = if n <= FEW { worker.share(n * heads.count) } else { 0..0 };
            for item in items {
                let (row, head) = (item / heads.count, item % heads.count);
                let table = rows.tables[rows.sequences[row] as usize];
                writer.fetch(self.isa, table, rows.positions[row] as usize, head);
            }
        };
        self.product(job, &mut scratch, fetch, |worker| {
            worker.barrier();
            for item in worker.share(n * heads.count) {
                let (row, head) = (item / heads.count, item % heads.count);
                let position = rows.positions[row] as usize;
                let start = row * 3 * width + head * size;
                // SAFETY: each head of each row is in one worker's share; rows are distinct positions of their
                // sequences; the barrier ended the product.
                unsafe {
                    let (q, k) = (qkv.part(start, size), qkv.part(start + width, size));
                    let v = qkv.view(start + 2 * width, size);
                    if let Some(Rotary { table, dims, pairing }) = rotary {
                        let angles = &table.0[position * dims..][..dims];
                        rotate(q, angles, pairing);
                        rotate(k, angles, pairing);
                    }
                    query.part(row * width + head * size, size).copy_from_slice(q);
                    writer.store(rows.tables[rows.sequences[row] as usize], position, head, k, v);
                }
            }
        });
        scratch.qkv = room;
    }

    fn project_add(&self, n: usize, x: &Buffer, weight: &Weight, bias: Option<&Buffer>, residual: &mut Buffer) {
        let stride = weight.rows();
        let out = Shared::new(&mut residual.0[..n * stride]);
        let finish = Finish { bias: biases(bias, weight), activation: None, add: true, out, stride };
        let job = Job { rows: Inputs::Ready { x: &x.0, count: n }, weight, outputs: 0..stride, finish };
        self.product(job, &mut lock(&self.scratch), |_| {}, |_| {});
    }

    fn norm_linear_activate(
        &self,
        n: usize,
        x: &Buffer,
        norm: Norm<'_, Buffer>,
        weight: &Weight,
        bias: Option<&Buffer>,
        activation: Activation,
        out: &mut Buffer,
    ) {
        let stride = weight.rows();
        let out = Shared::new(&mut out.0[..n * stride]);
        let finish = Finish { bias: biases(bias, weight), activation: Some(activation), add: false, out, stride };
        let job = Job { rows: Inputs::normed(&x.0, n, None, &norm), weight, outputs: 0..stride, finish };
        self.product(job, &mut lock(&self.scratch), |_| {}, |_| {});
    }

    fn norm_logits(
        &self,
        x: &Buffer,
        rows: &[u32],
        norm: Norm<'_, Buffer>,
        weight: &Weight,
        bias: Option<&Buffer>,
        out: &mut Buffer,
    ) {
        let stride = weight.rows();
        let out = Shared::new(&mut out.0[..rows.len() * stride]);
        let finish = Finish { bias: biases(bias, weight), activation: None, add: false, out, stride };
        let inputs = Inputs::normed(&x.0, rows.len(), Some(rows), &norm);
        let job = Job { rows: inputs, weight, outputs: 0..stride, finish };
        self.product(job, &mut lock(&self.scratch), |_| {}, |_| {});
    }
}

/// The bias of every row of a weight.
fn biases<'a>(bias: Option<&'a Buffer>, weight: &Weight) -> Option<&'a [f32]> {
    bias.map(|bias| &bias.0[..weight.rows()])
}

fn check_rows(rows: Rows<'_>) {
    assert_eq!(rows.positions.len(), rows.sequences.len(), "a position and a sequence for each row");
}
