//! A matrix product inside a job of the team, with what follows it: bias, activation, and where the results go.
//!
//! Workers claim runs of output rows, multiply all tokens, and finish each block of results while it is in the cache. How the rows
//! are dealt out changes no result: see [`float`](crate::float) and [`packed`](crate::packed).

use std::ops::Range;
use std::sync::atomic::AtomicUsize;

use gptneo_device::{Activation, DeviceError};

use crate::activation::activated;
use crate::float::{self, FloatProduct, PANEL};
use crate::isa::{Body, Isa};
use crate::memory::{Memory, Shared};
use crate::packed::{Packed, QuantRows, TILE};
use crate::simd::{LANES, Simd};
use crate::team::Worker;
use crate::weight::{FloatRows, Storage, Weight};

/// Tokens from which arithmetic, and no longer the memory, is what costs.
const MANY: usize = 16;

/// Bytes of weights in the shortest run that is claimed for few tokens.
const LEAST: usize = 64 << 10;

/// What the product reads: rows as f32, or as quantised for the weight.
#[derive(Clone, Copy)]
pub(crate) enum Input<'a> {
    Floats(&'a [f32]),
    Quantised(&'a QuantRows),
}

/// What is done with results: `out[t * stride + o] (+)= activation(sum + bias[o])`, where `o` counts from the first of the
/// product's outputs and `bias` is indexed by rows of the weight.
#[derive(Clone, Copy)]
pub(crate) struct Finish<'a> {
    pub(crate) bias: Option<&'a [f32]>,
    pub(crate) activation: Option<Activation>,
    /// Add to what is there instead of overwriting it.
    pub(crate) add: bool,
    pub(crate) out: Shared<'a, f32>,
    pub(crate) stride: usize,
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
pub(crate) fn scratch_len(tokens: usize) -> usize {
    float::SCRATCH + tokens * PANEL
}

impl Product<'_> {
    /// Takes part in the product until all of it is claimed. Callers put a barrier after it before results are read.
    pub(crate) fn work(&self, worker: &Worker<'_>, scratch: &mut [f32]) {
        if self.tokens == 0 || self.outputs.is_empty() {
            return;
        }
        match &self.weight.0 {
            Storage::Float(rows) => self.float(worker, rows, scratch),
            Storage::Packed(packed) => self.packed(worker, packed, scratch),
        }
    }

    fn float(&self, worker: &Worker<'_>, weight: &FloatRows, scratch: &mut [f32]) {
        let Input::Floats(x) = self.input else { panic!("a float weight multiplies f32 rows") };
        let (panel, out) = scratch.split_at_mut(float::SCRATCH);
        let few = self.outputs.len() < 4 * PANEL * worker.count();
        let (unit, least) = match self.tokens {
            ..MANY => (4, (LEAST / weight.row_bytes().max(1)).clamp(4, PANEL)),
            _ if few => (16, 16),
            _ => (PANEL, PANEL),
        };
        while let Some(run) = worker.claim_run(self.next, self.outputs.len(), unit, least) {
            let run = self.outputs.start + run.start..self.outputs.start + run.end;
            for start in run.clone().step_by(PANEL) {
                let rows = start..run.end.min(start + PANEL);
                let product = FloatProduct { x, tokens: self.tokens, weight, rows: rows.clone(), panel, out };
                float::multiply(self.isa, product);
                self.finish(0..self.tokens, rows.start, rows, out, PANEL);
            }
        }
    }

    fn packed(&self, worker: &Worker<'_>, weight: &Packed, scratch: &mut [f32]) {
        let Input::Quantised(acts) = self.input else { panic!("a packed weight multiplies quantised rows") };
        let (out, _) = scratch.as_chunks_mut::<TILE>();
        let tiles = self.outputs.start / TILE..self.outputs.end.div_ceil(TILE);
        let least = LEAST / (weight.bytes() / weight.tiles().max(1)).max(1);
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
                self.finish(tokens, tile * TILE, rows, out.as_flattened(), TILE);
            }
        }
    }

    /// Finishes `rows` of a block of results `[tokens][width]`, whose first column is row `first`.
    fn finish(&self, tokens: Range<usize>, first: usize, rows: Range<usize>, block: &[f32], width: usize) {
        let Finish { bias, activation, add, out, stride } = self.finish;
        let bias = bias.map(|bias| &bias[rows.clone()]);
        let skip = rows.start - first;
        let column = rows.start - self.outputs.start;
        self.isa.run(FinishBlock {
            tokens,
            block,
            width,
            skip,
            bias,
            activation,
            add,
            out,
            stride,
            column,
            len: rows.len(),
        });
    }
}

/// Bytes of quantised rows that stay in the second-level cache beside a tile and its results.
const CHUNK_BYTES: usize = 192 << 10;

/// Tokens in one call of a packed multiplication, at least where there are so many: fewer, and reading the tiles anew for each
/// chunk costs more than reading rows from the third-level cache.
const LEAST_CHUNK: usize = 48;

/// Tokens in one call at most.
const MOST_CHUNK: usize = 192;

/// The results of `len` neighbouring outputs of some tokens.
struct FinishBlock<'a> {
    tokens: Range<usize>,
    /// `[tokens][width]`, of which columns `skip..skip + len` count.
    block: &'a [f32],
    width: usize,
    skip: usize,
    /// `[len]`.
    bias: Option<&'a [f32]>,
    activation: Option<Activation>,
    add: bool,
    out: Shared<'a, f32>,
    stride: usize,
    /// Where the outputs start in a row of `out`.
    column: usize,
    len: usize,
}

impl Body for FinishBlock<'_> {
    type Out = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let Self { tokens, block, width, skip, bias, activation, add, out, stride, column, len } = self;
        for (i, token) in tokens.enumerate() {
            let sums = &block[i * width + skip..][..len];
            // SAFETY: each (token, output) belongs to one claim, and each claim to one worker.
            let out = unsafe { out.part(token * stride + column, len) };
            for at in (0..len).step_by(LANES) {
                let count = LANES.min(len - at);
                let mut v = load(s, &sums[at..], count);
                if let Some(bias) = bias {
                    v = s.add(v, load(s, &bias[at..], count));
                }
                if let Some(activation) = activation {
                    v = activated(s, activation, v);
                }
                if add {
                    v = s.add(load(s, &out[at..], count), v);
                }
                let out = &mut out[at..];
                assert!(count <= out.len());
                // SAFETY: `count` values lie there.
                unsafe {
                    if count == LANES { s.store(out.as_mut_ptr(), v) } else { s.store_part(out.as_mut_ptr(), v, count) }
                }
            }
        }
    }
}

/// The first `count` values, the other lanes zero.
#[inline(always)]
fn load<S: Simd>(s: S, from: &[f32], count: usize) -> S::F {
    assert!(count <= from.len());
    // SAFETY: `count` values lie there.
    unsafe { if count == LANES { s.load(from.as_ptr()) } else { s.load_part(from.as_ptr(), count) } }
}

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
    pub(crate) fn reserve(&mut self, weight: &Weight, tokens: usize) -> Result<(), DeviceError> {
        match &weight.0 {
            Storage::Float(rows) => self.floats.reserve(tokens * rows.cols, "activations"),
            Storage::Packed(packed) => self.quantised.reserve(packed.form(), tokens, packed.cols()),
        }
    }
}
