//! Which slots make up each part of the network.

use gptneo_device::Reach;

use crate::config::Config;
use crate::family::Role;

use super::layout::{Layout, Part};
use super::options::Adapters;

/// A norm: places of gain and bias in the layout.
#[derive(Clone, Copy, Debug)]
pub(super) struct NormMap {
    pub(super) gain: usize,
    pub(super) bias: usize,
}

/// A linear map: places of the matrix (the first of stacked ones) and the bias, and its shape.
#[derive(Clone, Copy, Debug)]
pub(super) struct LinearMap {
    pub(super) weight: usize,
    pub(super) bias: Option<usize>,
    pub(super) outputs: usize,
    pub(super) inputs: usize,
    /// Beside stacked matrices each may have its own.
    pub(super) adapters: [Option<AdapterMap>; 3],
}

/// An adapter beside some outputs of a linear map: places of its factors, and which outputs.
#[derive(Clone, Copy, Debug)]
pub(super) struct AdapterMap {
    pub(super) down: usize,
    pub(super) up: usize,
    pub(super) rank: usize,
    pub(super) scale: f32,
    /// The first output.
    pub(super) start: usize,
    /// How many.
    pub(super) outputs: usize,
    /// Of the inputs.
    pub(super) dropout: f32,
}

/// One block.
#[derive(Clone, Copy, Debug)]
pub(super) struct LayerMap {
    pub(super) norm_1: NormMap,
    /// `[3 C, C]`.
    pub(super) qkv: LinearMap,
    pub(super) attention_output: LinearMap,
    /// Absent where both branches share `norm_1`.
    pub(super) norm_2: Option<NormMap>,
    pub(super) inner: LinearMap,
    pub(super) outer: LinearMap,
    pub(super) reach: Reach,
    pub(super) scale: f32,
}

/// The whole network.
#[derive(Clone, Debug)]
pub(super) struct Map {
    pub(super) embedding: usize,
    pub(super) positions: Option<usize>,
    pub(super) layers: Vec<LayerMap>,
    pub(super) final_norm: NormMap,
    /// The output matrix, which may be the embedding, or a classifier's head.
    pub(super) head: LinearMap,
    /// The lowest layer with anything to train, in itself or below.
    pub(super) floor: usize,
    /// Whether embeddings are trained other than as the output matrix.
    pub(super) trains_embeddings: bool,
}

impl Map {
    pub(super) fn new(config: &Config, layout: &Layout, adapters: Option<&Adapters>) -> Self {
        let place = |role, layer| layout.place(role, layer);
        let has = |role, layer| place(role, layer).expect("the layout has every role of the configuration");
        let norm = |gain, bias, layer| NormMap { gain: has(gain, layer), bias: has(bias, layer) };
        let linear = |weight: Role, bias: Role, layer| {
            let (outputs, inputs) = weight.shape(config);
            let inputs = inputs.expect("a matrix");
            let own = adapters.and_then(|adapters| adapter(config, layout, adapters, weight, layer, 0));
            let adapters = [own, None, None];
            LinearMap { weight: has(weight, layer), bias: place(bias, layer), outputs, inputs, adapters }
        };
        let layers = (0..config.layers()).map(|index| {
            let layer = Some(index);
            let fused = place(Role::Qkv, layer).is_some();
            let mut qkv = linear(if fused { Role::Qkv } else { Role::Query }, Role::QkvBias, layer);
            for (i, role) in [(1, Role::Key), (2, Role::Value)] {
                let start = i * config.width;
                qkv.adapters[i] = adapters.and_then(|adapters| adapter(config, layout, adapters, role, layer, start));
            }
            LayerMap {
                norm_1: norm(Role::Norm1Gain, Role::Norm1Bias, layer),
                qkv: LinearMap { outputs: 3 * config.width, ..qkv },
                attention_output: linear(Role::AttentionOutput, Role::AttentionOutputBias, layer),
                norm_2: config.has_norm_2().then(|| norm(Role::Norm2Gain, Role::Norm2Bias, layer)),
                inner: linear(Role::Inner, Role::InnerBias, layer),
                outer: linear(Role::Outer, Role::OuterBias, layer),
                reach: config.reach[index],
                scale: config.scale.factor(config.head_size(), index),
            }
        });
        let head = linear(config.output(), Role::HeadBias, None);
        let trained = |place: usize| layout.slots()[place].trained;
        let (embedding, positions) = (has(Role::Embedding, None), place(Role::Positions, None));
        let trains_embeddings = trained(embedding) || positions.is_some_and(trained);
        let lowest = layout.trained_slots().filter_map(|slot| slot.layer).min().unwrap_or(config.layers());
        Self {
            embedding,
            positions,
            layers: layers.collect(),
            final_norm: norm(Role::FinalGain, Role::FinalBias, None),
            head,
            floor: if trains_embeddings { 0 } else { lowest },
            trains_embeddings,
        }
    }
}

/// The adapter beside a matrix whose outputs begin at `start` of a linear map, if there is one.
fn adapter(
    config: &Config,
    layout: &Layout,
    adapters: &Adapters,
    role: Role,
    layer: Option<usize>,
    start: usize,
) -> Option<AdapterMap> {
    let down = layout.place_of(role, layer, Part::Down)?;
    let up = layout.place_of(role, layer, Part::Up)?;
    let Adapters { rank, dropout, .. } = *adapters;
    let (outputs, _) = role.shape(config);
    Some(AdapterMap { down, up, rank, scale: adapters.scale(), start, outputs, dropout })
}
