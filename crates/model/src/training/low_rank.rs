//! Adapters beside linear maps, forward and backward: `y += scale B (A x')`, `x'` the input behind dropout.
//!
//! With `u = A x'` and `du = scale B^T dy`: `dB = scale dy u^T`, `dA = du x'^T`, `dx += mask(A^T du)`. `u` and `du` are computed where they are
//! needed: they cost `r / O` of the product beside which they stand. Held in `tests/low_rank.rs` against the gradient of the
//! merged matrix, whose projections they are.

use gptneo_device::train::{Base, Dropout, Order, Product, TrainDevice};
use gptneo_device::{DeviceError, View, ViewMut};

use super::map::{AdapterMap, LinearMap};
use super::pass::{Gradients, Pass, Site};

/// Lengths of the scratch, 0 without adapters.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct LowRankSizes {
    /// r.
    pub(super) rank: usize,
    /// Of `u` and of `du`.
    pub(super) low: usize,
    /// Of an input behind dropout.
    pub(super) input: usize,
}

/// Scratch that every adapter uses in turn.
#[derive(Debug)]
pub(super) struct LowRankRoom<D: TrainDevice> {
    /// `scale u`, `[N, r]`.
    low: D::Buffer,
    /// `du`, `[N, r]`.
    d_low: D::Buffer,
    /// `[N, C]`; empty without dropout.
    input: D::Buffer,
}

impl<D: TrainDevice> LowRankRoom<D> {
    pub(super) fn new(device: &D, sizes: LowRankSizes) -> Result<Self, DeviceError> {
        let LowRankSizes { low, input, .. } = sizes;
        Ok(Self { low: device.buffer(low)?, d_low: device.buffer(low)?, input: device.buffer(input)? })
    }
}

impl<D: TrainDevice> Pass<'_, D> {
    /// `out += scale B (A x')` over the adapter's outputs.
    pub(super) fn adapter_forward(
        &self,
        rows: usize,
        map: LinearMap,
        adapter: AdapterMap,
        x: View<'_, D::Buffer>,
        out: &mut ViewMut<'_, D::Buffer>,
    ) {
        let mut room = self.low_rank.borrow_mut();
        self.low(rows, map, adapter, x, &mut room);
        let shape = [rows, adapter.outputs, adapter.rank];
        let product = Product::dense(Order::TransposedB, shape, &room.low, self.view(adapter.up));
        let product = Product { stride_out: map.outputs, base: Base::Itself, ..product };
        self.device.product(product, ViewMut::at(out.buffer, out.start + adapter.start));
    }

    /// The gradients of both factors.
    pub(super) fn adapter_weights(
        &self,
        rows: usize,
        map: LinearMap,
        adapter: AdapterMap,
        x: View<'_, D::Buffer>,
        dy: View<'_, D::Buffer>,
        gradients: &mut Gradients<'_, D>,
    ) {
        let mut room = self.low_rank.borrow_mut();
        let AdapterMap { rank, outputs, down, up, .. } = adapter;
        self.low(rows, map, adapter, x, &mut room);
        self.d_low(rows, map, adapter, dy, &mut room);
        let start = |place: usize| self.layout.slots()[place].range.start;
        let write = gradients.write;
        let dy = View::at(dy.buffer, dy.start + adapter.start);
        let product = Product::dense(Order::TransposedA, [outputs, rank, rows], dy, &room.low);
        let product = Product { stride_a: map.outputs, base: write.base(), ..product };
        self.device.product(product, ViewMut::at(gradients.buffer, start(up)));
        let x = if self.adapter_dropout(adapter).is_some() { View::from(&room.input) } else { x };
        let product = Product::dense(Order::TransposedA, [rank, map.inputs, rows], &room.d_low, x);
        let product = Product { base: write.base(), ..product };
        self.device.product(product, ViewMut::at(gradients.buffer, start(down)));
    }

    /// `dx += mask(A^T du)`.
    pub(super) fn adapter_input(
        &self,
        rows: usize,
        map: LinearMap,
        adapter: AdapterMap,
        dy: View<'_, D::Buffer>,
        dx: &mut ViewMut<'_, D::Buffer>,
    ) {
        let mut room = self.low_rank.borrow_mut();
        self.d_low(rows, map, adapter, dy, &mut room);
        let LowRankRoom { d_low, input, .. } = &mut *room;
        let shape = [rows, map.inputs, adapter.rank];
        let product = Product::dense(Order::Plain, shape, &*d_low, self.view(adapter.down));
        let dx = ViewMut::at(&mut *dx.buffer, dx.start);
        let Some(dropout) = self.adapter_dropout(adapter) else {
            return self.device.product(Product { base: Base::Itself, ..product }, dx);
        };
        self.device.product(product, (&mut *input).into());
        self.device.drop_out(rows, map.inputs, dropout, (&*input).into(), Base::Itself, dx);
    }

    /// `low = scale A x'`; with dropout `x'` is left in the room.
    fn low(&self, rows: usize, map: LinearMap, adapter: AdapterMap, x: View<'_, D::Buffer>, room: &mut LowRankRoom<D>) {
        let LowRankRoom { low, input, .. } = room;
        let dropped = self.adapter_dropout(adapter);
        if let Some(dropout) = dropped {
            self.device.drop_out(rows, map.inputs, dropout, x, Base::Zero, (&mut *input).into());
        }
        let x = if dropped.is_some() { View::from(&*input) } else { x };
        let shape = [rows, adapter.rank, map.inputs];
        let product = Product::dense(Order::TransposedB, shape, x, self.view(adapter.down));
        self.device.product(product, (&mut *low).into());
        self.device.scale(rows * adapter.rank, adapter.scale, low.into());
    }

    /// `d_low = scale dy B`.
    fn d_low(
        &self,
        rows: usize,
        map: LinearMap,
        adapter: AdapterMap,
        dy: View<'_, D::Buffer>,
        room: &mut LowRankRoom<D>,
    ) {
        let dy = View::at(dy.buffer, dy.start + adapter.start);
        let shape = [rows, adapter.rank, adapter.outputs];
        let product = Product::dense(Order::Plain, shape, dy, self.view(adapter.up));
        self.device.product(Product { stride_a: map.outputs, ..product }, (&mut room.d_low).into());
        self.device.scale(rows * adapter.rank, adapter.scale, (&mut room.d_low).into());
    }

    fn adapter_dropout(&self, adapter: AdapterMap) -> Option<Dropout> {
        self.dropout(Site::Adapter(adapter.dropout, adapter.down))
    }
}
