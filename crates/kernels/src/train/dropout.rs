//! Dropout: masks are computed where they are used, from the key, the row and the column.

use gptneo_device::train::Dropout;

use crate::isa::{Body, Isa};
use crate::simd::Simd;

/// What multiplies the elements of columns `column..` of a row: 0, or `1 / (1 - probability)`.
#[inline(always)]
pub(super) fn mask_row(dropout: Dropout, row: u64, column: u32, mask: &mut [f32]) {
    let (key, threshold, factor) = (dropout.row_key(row), dropout.threshold(), dropout.factor());
    for (i, mask) in mask.iter_mut().enumerate() {
        let kept = Dropout::mixed(key, column.wrapping_add(i as u32)) >= threshold;
        *mask = if kept { factor } else { 0.0 };
    }
}

/// What a masked row is added to.
pub(super) enum RowBase<'a> {
    Zero,
    Itself,
    Other(&'a [f32]),
}

/// `out = base + mask x` for one row.
pub(super) struct DropRow<'a> {
    pub(super) dropout: Dropout,
    pub(super) row: u64,
    pub(super) x: &'a [f32],
    pub(super) base: RowBase<'a>,
    pub(super) out: &'a mut [f32],
}

impl DropRow<'_> {
    pub(super) fn apply(self, isa: Isa) {
        isa.run(self);
    }
}

/// Columns masked at once.
const PIECE: usize = 64;

impl Body for DropRow<'_> {
    type Out = ();

    #[inline(always)]
    fn run<S: Simd>(self, _: S) {
        let Self { dropout, row, x, base, out } = self;
        let mut mask = [0.0; PIECE];
        for (piece, x) in x.chunks(PIECE).enumerate() {
            let mask = &mut mask[..x.len()];
            mask_row(dropout, row, (piece * PIECE) as u32, mask);
            let out = &mut out[piece * PIECE..][..x.len()];
            match &base {
                RowBase::Zero => (0..x.len()).for_each(|i| out[i] = x[i] * mask[i]),
                RowBase::Itself => (0..x.len()).for_each(|i| out[i] += x[i] * mask[i]),
                RowBase::Other(base) => {
                    let base = &base[piece * PIECE..][..x.len()];
                    (0..x.len()).for_each(|i| out[i] = base[i] + x[i] * mask[i]);
                }
            }
        }
    }
}
