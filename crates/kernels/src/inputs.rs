//! The rows that a product reads: as they are or normalised, as f32 or quantised, prepared by all workers.

use gptneo_device::Norm;

use crate::cpu::Buffer;
use crate::isa::Isa;
use crate::norm::{NormRow, norm};
use crate::packed::{QuantRows, Writer};

/// The rows that a product reads.
#[derive(Clone, Copy)]
pub(crate) enum Inputs<'a> {
    /// As they are, `[count, C]`.
    Ready { x: &'a [f32], count: usize },
    /// Normalised first; row `i` is `chosen[i]` where given.
    Normed { x: &'a [f32], count: usize, chosen: Option<&'a [u32]>, gain: &'a [f32], bias: &'a [f32], eps: f32 },
}

impl<'a> Inputs<'a> {
    pub(crate) fn normed(x: &'a [f32], count: usize, chosen: Option<&'a [u32]>, norm: &Norm<'a, Buffer>) -> Self {
        Inputs::Normed { x, count, chosen, gain: norm.gain.as_slice(), bias: norm.bias.as_slice(), eps: norm.eps }
    }

    pub(crate) fn count(&self) -> usize {
        match self {
            Inputs::Ready { count, .. } | Inputs::Normed { count, .. } => *count,
        }
    }

    pub(crate) fn prepare(&self, isa: Isa, row: usize, y: &mut [f32]) {
        let width = y.len();
        match *self {
            Inputs::Ready { x, .. } => y.copy_from_slice(&x[row * width..][..width]),
            Inputs::Normed { x, chosen, gain, bias, eps, .. } => {
                let from = chosen.map_or(row, |chosen| chosen[row] as usize);
                norm(isa, NormRow { x: &x[from * width..][..width], gain, bias, eps, y });
            }
        }
    }
}

/// Quantised rows, written by several workers, and after a barrier read by all.
pub(crate) struct Quantised<'a> {
    rows: *mut QuantRows,
    writer: Writer<'a>,
}

// SAFETY: `write` goes through the writer, itself made to be shared; `read` is called when no one writes.
unsafe impl Sync for Quantised<'_> {}

impl<'a> Quantised<'a> {
    pub(crate) fn new(rows: &'a mut QuantRows) -> Self {
        let rows: *mut QuantRows = rows;
        // SAFETY: the exclusive borrow lasts as long as `self`; the writer is not used once `read` was called.
        Self { rows, writer: unsafe { (*rows).writer() } }
    }

    /// # Safety
    /// No other worker writes the row, and no one has called `read`.
    pub(crate) unsafe fn write(&self, isa: Isa, row: usize, x: &[f32]) {
        // SAFETY: passed on.
        unsafe { self.writer.quantize_span(isa, row, 0, x) };
    }

    /// # Safety
    /// All writing is over.
    pub(crate) unsafe fn read(&self) -> &'a QuantRows {
        // SAFETY: borrowed exclusively by `self`, and only read from now on.
        unsafe { &*self.rows }
    }
}
