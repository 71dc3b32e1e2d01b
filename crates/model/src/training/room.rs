//! The working memory of a network: planned once, sized by the options, allocated before the first step.

use gptneo_device::train::TrainDevice;
use gptneo_device::{DeviceError, Heads};

use crate::config::{Config, Position, Residual};

use super::low_rank::LowRankSizes;
use super::map::Map;
use super::options::{Recompute, TrainOptions};
use super::plan::Plan;

/// Most logits held at once, 128 MiB: enough rows that the gradient of the output matrix is not written too often.
const LOGITS: usize = 32 << 20;

/// Lengths of every buffer, in values.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sizes {
    pub(super) rows: usize,
    pub(super) width: usize,
    pub(super) heads: usize,
    /// Widest activation inside a layer.
    pub(super) wide: usize,
    pub(super) inner: usize,
    /// Rows of logits at once.
    pub(super) head_rows: usize,
    /// Logits of a row.
    pub(super) outputs: usize,
    /// Buffers of layer inputs, the last layer's output among them.
    pub(super) inputs: usize,
    /// Sets of layer activations.
    pub(super) states: usize,
    /// Whether the middle of a layer is kept.
    pub(super) middle: bool,
    /// Whether a branch passes through dropout.
    pub(super) dropped: bool,
    /// Values of the rotary table.
    pub(super) rotary: usize,
    /// Scratch of adapters.
    pub(super) low_rank: LowRankSizes,
}

impl Sizes {
    pub(super) fn new(config: &Config, map: &Map, options: &TrainOptions) -> Self {
        let (layers, rows) = (config.layers(), options.rows);
        let kept = layers - map.floor;
        let chunks = (rows * config.outputs()).div_ceil(LOGITS).clamp(1, rows);
        Self {
            rows,
            width: config.width,
            heads: config.heads,
            wide: config.inner.max(3 * config.width),
            inner: config.inner,
            head_rows: rows.div_ceil(chunks),
            outputs: config.outputs(),
            // Below the floor two suffice; above, each layer keeps its input; and there is the output of the last.
            inputs: map.floor.min(2) + kept + 1,
            states: match options.recompute {
                Recompute::Layers => 1,
                Recompute::Nothing => kept + usize::from(map.floor > 0),
            },
            middle: config.residual == Residual::Sequential,
            dropped: options.dropout.residual > 0.0,
            low_rank: options.trainable.adapters().map_or(LowRankSizes::default(), |adapters| LowRankSizes {
                rank: adapters.rank,
                low: rows * adapters.rank,
                input: if adapters.dropout > 0.0 { rows * config.width.max(config.inner) } else { 0 },
            }),
            rotary: match config.position {
                Position::Rotary { dims, .. } => config.positions * dims,
                Position::Learned => 0,
            },
        }
    }

    /// Values of one set of layer activations.
    fn state(&self) -> usize {
        let middle = if self.middle { self.width } else { 0 };
        self.rows * (4 + 3 * self.width + self.width + self.heads + middle + self.inner)
    }

    /// Values of all that is neither weight nor gradient, and is not a saved activation.
    fn working(&self) -> usize {
        let dropped = if self.dropped { self.width } else { 0 };
        let rows = self.rows * (4 * self.width + dropped + 2 * self.wide + 2);
        rows + self.head_rows * self.outputs + self.rotary + 2 * self.low_rank.low + self.low_rank.input
    }

    /// Every product of a step, `[m, n, k]`.
    fn products(&self) -> Vec<[usize; 3]> {
        let Self { rows, width, inner, outputs, head_rows, .. } = *self;
        let linear = |rows: usize, out: usize, from: usize| [[rows, out, from], [rows, from, out], [out, from, rows]];
        let maps = [(rows, 3 * width, width), (rows, width, width), (rows, inner, width), (rows, width, inner)];
        let maps = maps.into_iter().chain([(head_rows, outputs, width)]);
        let rank = self.low_rank.rank;
        let factors = [3 * width, inner].into_iter().filter(|_| rank > 0).map(|side| (rows, side, rank));
        maps.chain(factors).flat_map(|(rows, out, from)| linear(rows, out, from)).collect()
    }

    /// The plan: bytes of everything.
    pub(super) fn plan<D: TrainDevice>(
        &self,
        device: &D,
        config: &Config,
        longest: usize,
        parameters: [usize; 2],
    ) -> Plan {
        let bytes = |values: usize| 4 * values as u64;
        let [trained, frozen] = parameters;
        let heads = Heads { count: config.heads, size: config.head_size() };
        let device_scratch = device.training_scratch(longest, heads, &self.products());
        Plan {
            weights: bytes(trained + frozen),
            gradients: bytes(trained),
            activations: bytes(self.inputs * self.rows * self.width + self.states * self.state()),
            scratch: bytes(self.working()) + device_scratch as u64,
            trained: trained as u64,
        }
    }
}

/// What one layer's backward pass needs beside its input.
#[derive(Debug)]
pub(super) struct LayerState<D: TrainDevice> {
    /// `[N, 2]` each.
    pub(super) stats_1: D::Buffer,
    pub(super) stats_2: D::Buffer,
    /// Rotated, `[N, 3 C]`.
    pub(super) qkv: D::Buffer,
    /// `[N, C]`.
    pub(super) attention: D::Buffer,
    /// `[N, H]`.
    pub(super) log_sums: D::Buffer,
    /// Residual stream between the branches where they follow each other, `[N, C]`; empty where not.
    pub(super) middle: D::Buffer,
    /// The MLP before its activation, `[N, inner]`.
    pub(super) inner: D::Buffer,
}

/// All activations.
#[derive(Debug)]
pub(super) struct Room<D: TrainDevice> {
    pub(super) sizes: Sizes,
    /// Inputs of layers, and the last one's output: `[N, C]` each.
    pub(super) inputs: Vec<D::Buffer>,
    pub(super) states: Vec<LayerState<D>>,
    pub(super) work: Work<D>,
}

/// Activations that every layer uses in turn.
#[derive(Debug)]
pub(super) struct Work<D: TrainDevice> {
    /// A norm's output, `[N, C]`.
    pub(super) normed: D::Buffer,
    /// Gradient of a norm's output, `[N, C]`.
    pub(super) d_normed: D::Buffer,
    /// Gradient of the residual stream, `[N, C]`.
    pub(super) d_x: D::Buffer,
    /// Gradient of attention's result, `[N, C]`.
    pub(super) d_attention: D::Buffer,
    /// A branch before or after dropout, `[N, C]`; empty without dropout.
    pub(super) dropped: D::Buffer,
    /// The MLP after its activation, `[N, inner]`.
    pub(super) activated: D::Buffer,
    /// Gradient of the MLP's inside, or of queries, keys and values: `[N, max(inner, 3 C)]`.
    pub(super) d_wide: D::Buffer,
    /// `[R, V]`, or as wide as there are labels.
    pub(super) logits: D::Buffer,
    /// Of the final norm, `[N, 2]`.
    pub(super) final_stats: D::Buffer,
    /// `[positions, dims]`, where positions are rotary.
    pub(super) rotary: Option<D::Buffer>,
}

impl<D: TrainDevice> Room<D> {
    pub(super) fn new(device: &D, sizes: Sizes) -> Result<Self, DeviceError> {
        let Sizes { rows, width, heads, wide, inner, head_rows, outputs, .. } = sizes;
        let buffer = |len| device.buffer(len);
        let optional = |len, wanted| buffer(if wanted { len } else { 0 });
        let state = |_| {
            Ok(LayerState {
                stats_1: buffer(2 * rows)?,
                stats_2: buffer(2 * rows)?,
                qkv: buffer(rows * 3 * width)?,
                attention: buffer(rows * width)?,
                log_sums: buffer(rows * heads)?,
                middle: optional(rows * width, sizes.middle)?,
                inner: buffer(rows * inner)?,
            })
        };
        Ok(Self {
            inputs: (0..sizes.inputs).map(|_| buffer(rows * width)).collect::<Result<_, _>>()?,
            states: (0..sizes.states).map(state).collect::<Result<_, DeviceError>>()?,
            work: Work {
                normed: buffer(rows * width)?,
                d_normed: buffer(rows * width)?,
                d_x: buffer(rows * width)?,
                d_attention: buffer(rows * width)?,
                dropped: optional(rows * width, sizes.dropped)?,
                activated: buffer(rows * wide)?,
                d_wide: buffer(rows * wide)?,
                logits: buffer(head_rows * outputs)?,
                final_stats: buffer(2 * rows)?,
                rotary: if sizes.rotary > 0 { Some(buffer(sizes.rotary)?) } else { None },
            },
            sizes,
        })
    }
}
