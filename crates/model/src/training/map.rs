//! Which slots make up each part of the network.

use gptneo_device::Reach;

use crate::config::Config;
use crate::family::Role;

use super::layout::Layout;

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
    /// The output matrix, which may be the embedding.
    pub(super) head: LinearMap,
    /// The lowest layer with anything to train, in itself or below.
    pub(super) floor: usize,
    /// Whether embeddings are trained other than as the output matrix.
    pub(super) trains_embeddings: bool,
}

impl Map {
    pub(super) fn new(config: &Config, layout: &Layout) -> Self {
        let place = |role, layer| layout.place(role, layer);
        let has = |role, layer| place(role, layer).expect("the layout has every role of the configuration");
        let norm = |gain, bias, layer| NormMap { gain: has(gain, layer), bias: has(bias, layer) };
        let linear = |weight: Role, bias: Role, layer| {
            let (outputs, inputs) = weight.shape(config);
            let inputs = inputs.expect("a matrix");
            LinearMap { weight: has(weight, layer), bias: place(bias, layer), outputs, inputs }
        };
        let layers = (0..config.layers()).map(|index| {
            let layer = Some(index);
            let fused = place(Role::Qkv, layer).is_some();
            let qkv = linear(if fused { Role::Qkv } else { Role::Query }, Role::QkvBias, layer);
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
        let head = linear(if config.tied { Role::Embedding } else { Role::Head }, Role::HeadBias, None);
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
