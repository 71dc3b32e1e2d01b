//! What every part of a pass over the network shares: the weights, the batch, the dropout of this step; and linear maps.

use std::cell::RefCell;

use gptneo_device::train::{Base, Dropout, NormGradients, NormViews, Order, Product, TrainDevice, Write};
use gptneo_device::{View, ViewMut};

use crate::config::Config;
use crate::random::mix;

use super::batch::Batch;
use super::layout::Layout;
use super::low_rank::LowRankRoom;
use super::map::{LinearMap, Map, NormMap};
use super::network::StepKey;
use super::options::Dropouts;

/// One forward (and backward) pass.
#[derive(Debug)]
pub(super) struct Pass<'a, D: TrainDevice> {
    pub(super) device: &'a D,
    pub(super) config: &'a Config,
    pub(super) layout: &'a Layout,
    pub(super) map: &'a Map,
    pub(super) trained: &'a D::Buffer,
    pub(super) frozen: &'a D::Buffer,
    pub(super) batch: Batch<'a>,
    /// `None` when nothing is dropped: in evaluation.
    pub(super) key: Option<StepKey>,
    pub(super) dropouts: Dropouts,
    /// Scratch of adapters.
    pub(super) low_rank: &'a RefCell<LowRankRoom<D>>,
}

/// Where a step drops.
#[derive(Clone, Copy, Debug)]
pub(super) enum Site {
    Embedding,
    Attention(usize),
    AttentionOutput(usize),
    Mlp(usize),
    /// The input of an adapter: its probability, and the place of its first factor.
    Adapter(f32, usize),
}

/// Gradients on their way: where they go, and whether they are the first.
#[derive(Debug)]
pub(super) struct Gradients<'a, D: TrainDevice> {
    pub(super) buffer: &'a mut D::Buffer,
    pub(super) write: Write,
}

impl<'a, D: TrainDevice> Pass<'a, D> {
    /// N.
    pub(super) fn rows(&self) -> usize {
        self.batch.rows()
    }

    pub(super) fn trains(&self, place: usize) -> bool {
        self.layout.slots()[place].trained
    }

    pub(super) fn view(&self, place: usize) -> View<'a, D::Buffer> {
        let slot = &self.layout.slots()[place];
        View::at(if slot.trained { self.trained } else { self.frozen }, slot.range.start)
    }

    pub(super) fn norm(&self, norm: NormMap) -> NormViews<'a, D::Buffer> {
        NormViews { gain: self.view(norm.gain), bias: self.view(norm.bias), eps: self.config.eps }
    }

    /// The mask of a site, or `None` where nothing is dropped.
    pub(super) fn dropout(&self, site: Site) -> Option<Dropout> {
        let (probability, place) = match site {
            Site::Embedding => (self.dropouts.embedding, 0),
            Site::Attention(layer) => (self.dropouts.attention, 3 * layer as u64 + 1),
            Site::AttentionOutput(layer) => (self.dropouts.residual, 3 * layer as u64 + 2),
            Site::Mlp(layer) => (self.dropouts.residual, 3 * layer as u64 + 3),
            Site::Adapter(probability, place) => (probability, 1 << 32 | place as u64),
        };
        let StepKey { seed, number } = self.key.filter(|_| probability > 0.0)?;
        Some(Dropout { probability, key: mix(mix(mix(seed) ^ number) ^ place) })
    }

    /// `out = base + x W^T + bias`.
    pub(super) fn linear(
        &self,
        map: LinearMap,
        x: View<'_, D::Buffer>,
        base: Base<'_, D::Buffer>,
        out: ViewMut<'_, D::Buffer>,
    ) {
        self.linear_rows(self.rows(), map, x, base, out);
    }

    /// The same for the first `rows` of `x`.
    pub(super) fn linear_rows(
        &self,
        rows: usize,
        map: LinearMap,
        x: View<'_, D::Buffer>,
        base: Base<'_, D::Buffer>,
        mut out: ViewMut<'_, D::Buffer>,
    ) {
        let shape = [rows, map.outputs, map.inputs];
        let product = Product::dense(Order::TransposedB, shape, x, self.view(map.weight));
        let product = Product { bias: map.bias.map(|bias| self.view(bias)), base, ..product };
        self.device.product(product, ViewMut::at(out.buffer, out.start));
        for adapter in map.adapters.iter().flatten() {
            self.adapter_forward(rows, map, *adapter, x, &mut out);
        }
    }

    /// Whether a linear map has anything to learn.
    pub(super) fn learns(&self, map: LinearMap) -> bool {
        let has_adapter = map.adapters.iter().any(Option::is_some);
        has_adapter || self.trains(map.weight) || map.bias.is_some_and(|bias| self.trains(bias))
    }

    /// `dx = base + dy W`.
    pub(super) fn linear_input(
        &self,
        rows: usize,
        map: LinearMap,
        dy: View<'_, D::Buffer>,
        base: Base<'_, D::Buffer>,
        mut dx: ViewMut<'_, D::Buffer>,
    ) {
        let product = Product::dense(Order::Plain, [rows, map.inputs, map.outputs], dy, self.view(map.weight));
        self.device.product(Product { base, ..product }, ViewMut::at(dx.buffer, dx.start));
        for adapter in map.adapters.iter().flatten() {
            self.adapter_input(rows, map, *adapter, dy, &mut dx);
        }
    }

    /// `dW (+)= dy^T x`, and the bias likewise, where they are trained.
    pub(super) fn linear_weights(
        &self,
        rows: usize,
        map: LinearMap,
        x: View<'_, D::Buffer>,
        dy: View<'_, D::Buffer>,
        gradients: &mut Gradients<'_, D>,
    ) {
        let write = gradients.write;
        if self.trains(map.weight) {
            let product = Product::dense(Order::TransposedA, [map.outputs, map.inputs, rows], dy, x);
            let start = self.layout.slots()[map.weight].range.start;
            self.device.product(Product { base: write.base(), ..product }, ViewMut::at(gradients.buffer, start));
        }
        if let Some(bias) = map.bias.filter(|&bias| self.trains(bias)) {
            let start = self.layout.slots()[bias].range.start;
            self.device.column_sums(rows, map.outputs, dy, write, ViewMut::at(gradients.buffer, start));
        }
        for adapter in map.adapters.iter().flatten() {
            self.adapter_weights(rows, map, *adapter, x, dy, gradients);
        }
    }

    /// Where a norm's gradients go, if any is wanted.
    pub(super) fn norm_gradients<'g>(
        &self,
        norm: NormMap,
        gradients: &'g mut Gradients<'_, D>,
    ) -> Option<NormGradients<'g, D::Buffer>> {
        let start = |place: usize| self.trains(place).then(|| self.layout.slots()[place].range.start);
        let (gain, bias) = (start(norm.gain), start(norm.bias));
        let wanted = gain.is_some() || bias.is_some();
        wanted.then_some(NormGradients { gain, bias, write: gradients.write, buffer: gradients.buffer })
    }
}
