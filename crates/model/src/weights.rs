//! The tensors of a model as the decoder holds them, on a device.

use gptneo_device::{Device, Norm, Reach};

/// A layer norm's gain and bias, `[C]` each.
#[derive(Debug)]
pub(crate) struct NormWeights<D: Device> {
    pub(crate) gain: D::Buffer,
    pub(crate) bias: D::Buffer,
}

impl<D: Device> NormWeights<D> {
    pub(crate) fn with(&self, eps: f32) -> Norm<'_, D::Buffer> {
        Norm { gain: &self.gain, bias: &self.bias, eps }
    }
}

/// A matrix `[O, C]` and its bias `[O]`.
#[derive(Debug)]
pub(crate) struct Linear<D: Device> {
    pub(crate) weight: D::Weight,
    pub(crate) bias: Option<D::Buffer>,
}

/// One block.
#[derive(Debug)]
pub(crate) struct Layer<D: Device> {
    pub(crate) norm_1: NormWeights<D>,
    /// `[3 C, C]`: q, k, v.
    pub(crate) qkv: Linear<D>,
    pub(crate) attention_output: Linear<D>,
    /// Absent where both branches share `norm_1`.
    pub(crate) norm_2: Option<NormWeights<D>>,
    pub(crate) inner: Linear<D>,
    pub(crate) outer: Linear<D>,
    pub(crate) reach: Reach,
    pub(crate) scale: f32,
}

/// A whole model.
#[derive(Debug)]
pub(crate) struct Weights<D: Device> {
    pub(crate) embedding: D::Weight,
    /// `[positions, C]`, where positions are learned.
    pub(crate) positions: Option<D::Weight>,
    /// `[positions, dims]`, where they are rotary.
    pub(crate) rotary: Option<D::Buffer>,
    pub(crate) layers: Vec<Layer<D>>,
    pub(crate) final_norm: NormWeights<D>,
    /// The output matrix; the embedding where absent.
    pub(crate) head: Option<D::Weight>,
    pub(crate) head_bias: Option<D::Buffer>,
}

impl<D: Device> Weights<D> {
    pub(crate) fn output(&self) -> &D::Weight {
        self.head.as_ref().unwrap_or(&self.embedding)
    }
}
