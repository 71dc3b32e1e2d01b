//! One block, forward and backward.

use gptneo_device::train::{
    AttentionBackward, AttentionForward, Base, NormBackward, Segments, TrainDevice, Turn, Write,
};
use gptneo_device::{Heads, ViewMut};

use crate::config::{Position, Residual};

use super::map::{LayerMap, LinearMap, NormMap};
use super::pass::{Gradients, Pass, Site};
use super::room::{LayerState, Work};

impl<D: TrainDevice> Pass<'_, D> {
    /// Computes block `index` over `x: [N, C]`; fills `state`, and `out` where it is wanted.
    pub(super) fn layer_forward(
        &self,
        index: usize,
        x: &D::Buffer,
        state: &mut LayerState<D>,
        work: &mut Work<D>,
        mut out: Option<&mut D::Buffer>,
    ) {
        let (rows, width, map) = (self.rows(), self.config.width, &self.map.layers[index]);
        self.normalise(map.norm_1, x, &mut work.normed, &mut state.stats_1);
        self.linear(map.qkv, (&work.normed).into(), Base::Zero, (&mut state.qkv).into());
        self.turn(&mut state.qkv, work.rotary.as_ref(), false);
        let LayerState { qkv, attention, log_sums, .. } = state;
        self.device.attention_forward(self.attention(index, qkv), attention.into(), log_sums.into());

        let sequential = self.config.residual == Residual::Sequential;
        if sequential {
            let (output, site) = (map.attention_output, Site::AttentionOutput(index));
            self.branch(output, site, &state.attention, Base::Other(x.into()), &mut state.middle, &mut work.dropped);
            let norm_2 = map.norm_2.unwrap_or(map.norm_1);
            self.normalise(norm_2, &state.middle, &mut work.normed, &mut state.stats_2);
        } else {
            if let Some(out) = out.as_deref_mut() {
                let (output, site) = (map.attention_output, Site::AttentionOutput(index));
                self.branch(output, site, &state.attention, Base::Other(x.into()), out, &mut work.dropped);
            }
            if let Some(norm_2) = map.norm_2 {
                self.normalise(norm_2, x, &mut work.normed, &mut state.stats_2);
            }
        }
        self.linear(map.inner, (&work.normed).into(), Base::Zero, (&mut state.inner).into());
        let Some(out) = out else { return };
        let (len, activation) = (rows * map.inner.outputs, self.config.activation);
        self.device.activate_forward(len, activation, (&state.inner).into(), (&mut work.activated).into());
        debug_assert_eq!(map.outer.outputs, width);
        let base = if sequential { Base::Other((&state.middle).into()) } else { Base::Itself };
        self.branch(map.outer, Site::Mlp(index), &work.activated, base, out, &mut work.dropped);
    }

    /// Turns `work.d_x` from the gradient of the block's output into that of its input, and adds the gradients of its
    /// parameters. Below the lowest trained layer the input's gradient is not computed.
    pub(super) fn layer_backward(
        &self,
        index: usize,
        x: &D::Buffer,
        state: &mut LayerState<D>,
        work: &mut Work<D>,
        gradients: &mut Gradients<'_, D>,
    ) {
        let (rows, map, residual) = (self.rows(), self.map.layers[index], self.config.residual);
        let below = index > self.map.floor || self.map.trains_embeddings;
        if residual == Residual::Sequential {
            self.mlp_backward(index, map, work, state, gradients);
            let norm_2 = map.norm_2.unwrap_or(map.norm_1);
            self.normalise(norm_2, &state.middle, &mut work.normed, &mut state.stats_2);
            self.inner_backward(map.inner, work, gradients);
            let LayerState { middle, stats_2, .. } = &*state;
            self.norm_back(norm_2, middle, stats_2, work, gradients);
            self.attention_output_backward(index, map.attention_output, state, work, gradients);
        } else {
            // Both branches read the gradient of the output before either adds to it.
            self.attention_output_backward(index, map.attention_output, state, work, gradients);
            self.mlp_backward(index, map, work, state, gradients);
            let norm = map.norm_2.unwrap_or(map.norm_1);
            let stats = if map.norm_2.is_some() { &mut state.stats_2 } else { &mut state.stats_1 };
            self.normalise(norm, x, &mut work.normed, stats);
            self.inner_backward(map.inner, work, gradients);
            if let Some(norm_2) = map.norm_2 {
                self.norm_back(norm_2, x, &state.stats_2, work, gradients);
            }
        }
        let LayerState { qkv, attention, log_sums, stats_1, .. } = state;
        let args = AttentionBackward {
            forward: self.attention(index, qkv),
            out: (&*attention).into(),
            log_sums: (&*log_sums).into(),
            d_out: (&work.d_attention).into(),
        };
        self.device.attention_backward(args, (&mut work.d_wide).into());
        self.turn(&mut work.d_wide, work.rotary.as_ref(), true);
        self.normalise(map.norm_1, x, &mut work.normed, stats_1);
        self.linear_weights(rows, map.qkv, (&work.normed).into(), (&work.d_wide).into(), gradients);
        let trains_norm = self.trains(map.norm_1.gain) || self.trains(map.norm_1.bias);
        if below || trains_norm {
            // A shared norm has the MLP's part already.
            let base = if residual == Residual::ParallelSharedNorm { Base::Itself } else { Base::Zero };
            self.linear_input(rows, map.qkv, (&work.d_wide).into(), base, (&mut work.d_normed).into());
            self.norm_back(map.norm_1, x, stats_1, work, gradients);
        }
    }

    pub(super) fn normalise(&self, norm: NormMap, x: &D::Buffer, out: &mut D::Buffer, stats: &mut D::Buffer) {
        let width = self.config.width;
        self.device.norm_forward(self.rows(), width, x.into(), self.norm(norm), out.into(), stats.into());
    }

    /// `out = base + dropout(linear(y))`.
    fn branch(
        &self,
        map: LinearMap,
        site: Site,
        y: &D::Buffer,
        base: Base<'_, D::Buffer>,
        out: &mut D::Buffer,
        dropped: &mut D::Buffer,
    ) {
        let Some(dropout) = self.dropout(site) else {
            return self.linear(map, y.into(), base, out.into());
        };
        self.linear(map, y.into(), Base::Zero, dropped.into());
        self.device.drop_out(self.rows(), map.outputs, dropout, (&*dropped).into(), base, out.into());
    }

    /// Through the second matrix of the MLP and its activation: the gradient before the activation is left in `work.d_wide`.
    fn mlp_backward(
        &self,
        index: usize,
        map: LayerMap,
        work: &mut Work<D>,
        state: &LayerState<D>,
        gradients: &mut Gradients<'_, D>,
    ) {
        let (rows, activation) = (self.rows(), self.config.activation);
        let len = rows * map.inner.outputs;
        self.drop_gradient(Site::Mlp(index), work);
        let Work { activated, d_wide, dropped, d_x, .. } = work;
        let dy = if self.dropout(Site::Mlp(index)).is_some() { &*dropped } else { &*d_x };
        if self.learns(map.outer) {
            self.device.activate_forward(len, activation, (&state.inner).into(), (&mut *activated).into());
            self.linear_weights(rows, map.outer, (&*activated).into(), dy.into(), gradients);
        }
        self.linear_input(rows, map.outer, dy.into(), Base::Zero, (&mut *d_wide).into());
        self.device.activate_backward(len, activation, (&state.inner).into(), d_wide.into());
    }

    /// Through the first matrix of the MLP, from `work.d_wide` and `work.normed` to `work.d_normed`.
    fn inner_backward(&self, map: LinearMap, work: &mut Work<D>, gradients: &mut Gradients<'_, D>) {
        let rows = self.rows();
        self.linear_weights(rows, map, (&work.normed).into(), (&work.d_wide).into(), gradients);
        self.linear_input(rows, map, (&work.d_wide).into(), Base::Zero, (&mut work.d_normed).into());
    }

    /// Through the matrix after attention, to `work.d_attention`.
    fn attention_output_backward(
        &self,
        index: usize,
        map: LinearMap,
        state: &LayerState<D>,
        work: &mut Work<D>,
        gradients: &mut Gradients<'_, D>,
    ) {
        let (rows, site) = (self.rows(), Site::AttentionOutput(index));
        self.drop_gradient(site, work);
        let Work { d_attention, dropped, d_x, .. } = work;
        let dy = if self.dropout(site).is_some() { &*dropped } else { &*d_x };
        self.linear_weights(rows, map, (&state.attention).into(), dy.into(), gradients);
        self.linear_input(rows, map, dy.into(), Base::Zero, d_attention.into());
    }

    /// Where a site drops, `work.dropped` is the gradient of the residual stream behind its mask.
    fn drop_gradient(&self, site: Site, work: &mut Work<D>) {
        if let Some(dropout) = self.dropout(site) {
            let (rows, width) = (self.rows(), self.config.width);
            let (d_x, dropped) = (&work.d_x, &mut work.dropped);
            self.device.drop_out(rows, width, dropout, d_x.into(), Base::Zero, dropped.into());
        }
    }

    /// `d_x += norm'(x)^T d_normed`.
    fn norm_back(
        &self,
        norm: NormMap,
        x: &D::Buffer,
        stats: &D::Buffer,
        work: &mut Work<D>,
        gradients: &mut Gradients<'_, D>,
    ) {
        let Work { d_normed, d_x, .. } = work;
        self.norm_back_onto(norm, x, stats, d_normed, Write::Add, d_x.into(), gradients);
    }

    #[allow(clippy::too_many_arguments, reason = "a norm, what it saw, and where its gradients go")]
    pub(super) fn norm_back_onto(
        &self,
        norm: NormMap,
        x: &D::Buffer,
        stats: &D::Buffer,
        dy: &D::Buffer,
        write: Write,
        d_x: ViewMut<'_, D::Buffer>,
        gradients: &mut Gradients<'_, D>,
    ) {
        let args = NormBackward {
            rows: self.rows(),
            width: self.config.width,
            x: x.into(),
            stats: stats.into(),
            gain: self.view(norm.gain),
            dy: dy.into(),
        };
        self.device.norm_backward(args, write, d_x, self.norm_gradients(norm, gradients));
    }

    fn attention<'b>(&'b self, index: usize, qkv: &'b D::Buffer) -> AttentionForward<'b, D::Buffer> {
        let LayerMap { reach, scale, .. } = self.map.layers[index];
        AttentionForward {
            qkv: qkv.into(),
            heads: self.heads(),
            reach,
            scale,
            segments: Segments(self.batch.segments),
            dropout: self.dropout(Site::Attention(index)),
        }
    }

    fn heads(&self) -> Heads {
        Heads { count: self.config.heads, size: self.config.head_size() }
    }

    fn turn(&self, qkv: &mut D::Buffer, table: Option<&D::Buffer>, back: bool) {
        if let (Position::Rotary { dims, pairing, .. }, Some(table)) = (self.config.position, table) {
            let positions = self.batch.positions;
            let turn = Turn { heads: self.heads(), table, dims, pairing, positions, back };
            self.device.turn(turn, qkv.into());
        }
    }
}
