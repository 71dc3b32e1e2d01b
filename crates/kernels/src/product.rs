//! A matrix product with a weight inside a job of the team.
//!
//! Workers claim runs of output rows, multiply all tokens, and [finish](Finish) each block of results while it is in the cache. How
//! the rows are dealt out changes no result: see [`gemm`] for float weights ([`float`] for few tokens), and
//! [`packed`](crate::packed).

use std::ops::Range;
use std::sync::atomic::AtomicUsize;

use gptneo_device::DeviceError;

use crate::finish::Finish;
use crate::float::{self, FloatProduct, PANEL};
use crate::gemm::{self, Blocks, Lines, Panels, Side, Summation};
use crate::isa::Isa;
use crate::memory::Memory;
use crate::packed::{Packed, QuantRows, TILE};
use crate::team::Worker;
use crate::weight::{FloatRows, Storage, Weight};

/// Tokens from which arithmetic, and no longer the memory, is what costs.
const MANY: usize = 16;

/// Bytes of weights in the shortest run that is claimed for few tokens: of a small matrix short ones, so that no worker waits
/// long for another; of a large one the waiting is little, and long runs are read faster.
fn least_bytes(matrix: usize) -> usize {
    (matrix / 64).clamp(16 << 10, 64 << 10)
}

/// What the product reads, prepared for the weight.
#[derive(Clone, Copy)]
pub(crate) enum Input<'a> {
    /// `[tokens, C]`, at most [`float::FEW`] tokens.
    Few(&'a [f32]),
    /// Panels of the left operand.
    Panels(&'a [f32]),
    Quantised(&'a QuantRows),
}

/// `tokens` rows times rows `outputs` of a weight.
pub(crate) struct Product<'a> {
    pub(crate) isa: Isa,
    pub(crate) weight: &'a Weight,
    pub(crate) outputs: Range<usize>,
    pub(crate) tokens: usize,
    pub(crate) input: Input<'a>,
    pub(crate) finish: Finish<'a>,
    /// Counts claims; zero when the job starts.
    pub(crate) next: &'a AtomicUsize,
}

/// f32 of scratch that each worker needs for `tokens`.
pub(crate) fn scratch_len(weight: &Weight, tokens: usize) -> usize {
    match &weight.0 {
        Storage::Float(_) if tokens <= float::FEW => float::SCRATCH,
        Storage::Float(_) => gemm::SCRATCH,
        Storage::Packed(_) => tokens * TILE,
    }
}

impl Product<'_> {
    /// Takes part in the product until all of it is claimed. Callers put a barrier after it before results are read.
    pub(crate) fn work(&self, worker: &Worker<'_>, scratch: &mut [f32]) {
        if self.tokens == 0 || self.outputs.is_empty() {
            return;
        }
        match (&self.weight.0, self.input) {
            (Storage::Float(rows), Input::Few(x)) => self.few(worker, rows, x, scratch),
            (Storage::Float(rows), Input::Panels(packed)) => self.many(worker, rows, packed, scratch),
            (Storage::Packed(packed), Input::Quantised(acts)) => self.packed(worker, packed, acts, scratch),
            _ => panic!("rows prepared for another kind of weight"),
        }
    }

    fn few(&self, worker: &Worker<'_>, weight: &FloatRows, x: &[f32], out: &mut [f32]) {
        let least = least_bytes(weight.row_bytes() * self.outputs.len());
        let least = (least / weight.row_bytes().max(1)).clamp(4, PANEL);
        while let Some(run) = worker.claim_run(self.next, self.outputs.len(), 4, least) {
            for start in run.clone().step_by(PANEL) {
                let columns = start..run.end.min(start + PANEL);
                let rows = self.outputs.start + columns.start..self.outputs.start + columns.end;
                float::multiply(self.isa, FloatProduct { x, tokens: self.tokens, weight, rows, out });
                self.finish.apply(self.isa, 0..self.tokens, columns, out, PANEL);
            }
        }
    }

    fn many(&self, worker: &Worker<'_>, weight: &FloatRows, packed: &[f32], scratch: &mut [f32]) {
        let panels = Panels::new(self.isa, Side::Left, self.tokens, weight.cols, Summation::DECODING);
        let own = Lines::Weight { weight, first: self.outputs.start };
        let own_lines = self.outputs.len();
        Blocks { panels, packed, own, own_lines, finish: self.finish, next: self.next }.work(worker, scratch);
    }

    fn packed(&self, worker: &Worker<'_>, weight: &Packed, acts: &QuantRows, scratch: &mut [f32]) {
        let (out, _) = scratch.as_chunks_mut::<TILE>();
        let tiles = self.outputs.start / TILE..self.outputs.end.div_ceil(TILE);
        let least = least_bytes(weight.bytes()) / (weight.bytes() / weight.tiles().max(1)).max(1);
        let least = if self.tokens < MANY { least.max(1) } else { 1 };
        // A chunk of tokens stays in the second-level cache while all tiles pass by: tiles are the fewer bytes.
        let fitting = (CHUNK_BYTES / acts.row(0).len().max(1)).clamp(LEAST_CHUNK, MOST_CHUNK);
        let chunks = self.tokens.div_ceil(fitting);
        while let Some(run) = worker.claim_run(self.next, chunks * tiles.len(), 1, least) {
            for item in run {
                let (chunk, tile) = (item / tiles.len(), tiles.start + item % tiles.len());
                let rows = self.outputs.start.max(tile * TILE)..self.outputs.end.min((tile + 1) * TILE);
                let tokens = self.tokens * chunk / chunks..self.tokens * (chunk + 1) / chunks;
                let out = &mut out[..tokens.len()];
                weight.multiply(self.isa, tile, acts, tokens.clone(), out);
                let sums = &out.as_flattened()[rows.start - tile * TILE..];
                let columns = rows.start - self.outputs.start..rows.end - self.outputs.start;
                self.finish.apply(self.isa, tokens, columns, sums, TILE);
            }
        }
    }
}

/// Bytes of quantised rows that stay in the second-level cache beside a tile and its results.
const CHUNK_BYTES: usize = 192 << 10;

/// Tokens in one call of a packed multiplication, at least where there are so many: fewer, and reading the tiles anew for each
/// chunk costs more than reading rows from the third-level cache.
const LEAST_CHUNK: usize = 48;

/// Tokens in one call at most.
const MOST_CHUNK: usize = 192;

/// Storage for prepared rows, kept from operation to operation.
pub(crate) struct Prepared {
    pub(crate) floats: Memory<f32>,
    pub(crate) quantised: QuantRows,
}

impl Prepared {
    pub(crate) const fn new() -> Self {
        Self { floats: Memory::empty(), quantised: QuantRows::new() }
    }

    /// Makes room for `tokens` rows prepared for `weight`.
    pub(crate) fn reserve(&mut self, isa: Isa, weight: &Weight, tokens: usize) -> Result<(), DeviceError> {
        match &weight.0 {
            Storage::Float(rows) if tokens <= float::FEW => self.floats.reserve(tokens * rows.cols, "activations"),
            Storage::Float(rows) => {
                let panels = Panels::new(isa, Side::Left, tokens, rows.cols, Summation::DECODING);
                self.floats.reserve(panels.len(), "activations")
            }
            Storage::Packed(packed) => self.quantised.reserve(packed.form(), tokens, packed.cols()),
        }
    }
}
