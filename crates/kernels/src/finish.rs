//! What becomes of the sums of a product: bias, activation, and where they go.

use std::ops::Range;

use gptneo_device::Activation;

use crate::activation::activated;
use crate::isa::{Body, Isa};
use crate::memory::{LINE, Shared};
use crate::simd::{LANES, Simd};

/// What is done with results: `out[row * stride + column] (+)= activation(sum + bias[column])`.
#[derive(Clone, Copy)]
pub(crate) struct Finish<'a> {
    /// A value for each column.
    pub(crate) bias: Option<&'a [f32]>,
    pub(crate) activation: Option<Activation>,
    /// Add to what is there instead of overwriting it.
    pub(crate) add: bool,
    pub(crate) out: Shared<'a, f32>,
    /// Values of `out` from a row to the next.
    pub(crate) stride: usize,
}

impl Finish<'_> {
    /// Finishes a block of sums, whose rows lie `width` apart. Each result must belong to one call, in one worker.
    pub(crate) fn apply(&self, isa: Isa, rows: Range<usize>, columns: Range<usize>, block: &[f32], width: usize) {
        isa.run(FinishBlock { finish: *self, rows, columns, block, width });
    }
}

/// Rows of results that are fetched ahead of those that are finished.
const AHEAD: usize = 6;

struct FinishBlock<'a> {
    finish: Finish<'a>,
    rows: Range<usize>,
    columns: Range<usize>,
    block: &'a [f32],
    width: usize,
}

impl Body for FinishBlock<'_> {
    type Out = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let Self { finish: Finish { bias, activation, add, out, stride }, rows, columns, block, width } = self;
        let len = columns.len();
        let bias = bias.map(|bias| &bias[columns.clone()]);
        let last = rows.end;
        for (i, row) in rows.enumerate() {
            // Rows lie far apart, where no hardware looks ahead.
            if row + AHEAD < last {
                let ahead = out.address((row + AHEAD) * stride + columns.start);
                (0..len).step_by(LINE / size_of::<f32>()).for_each(|at| s.prefetch(ahead.wrapping_add(at)));
            }
            let sums = &block[i * width..][..len];
            // SAFETY: each result belongs to one call, and each call to one worker.
            let out = unsafe { out.part(row * stride + columns.start, len) };
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
