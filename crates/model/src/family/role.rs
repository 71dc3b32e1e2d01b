//! What each tensor of a model is for, whatever a checkpoint calls it.

use crate::config::{Config, Position};

/// The role of one tensor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[allow(missing_docs, reason = "the names are the definition; shapes are in `Role::shape`")]
pub enum Role {
    Embedding,
    Positions,
    Norm1Gain,
    Norm1Bias,
    /// Separate matrices, stacked by the loader.
    Query,
    Key,
    Value,
    /// Fused: q, k and v in thirds once loaded.
    Qkv,
    QkvBias,
    AttentionOutput,
    AttentionOutputBias,
    Norm2Gain,
    Norm2Bias,
    Inner,
    InnerBias,
    Outer,
    OuterBias,
    FinalGain,
    FinalBias,
    Head,
    HeadBias,
    /// In a classifier, in place of the output matrix.
    Score,
}

impl Role {
    /// Shape once loaded: `(rows, Some(cols))` of a matrix `[O, C]`, `(len, None)` of a vector.
    pub fn shape(self, config: &Config) -> (usize, Option<usize>) {
        let Config { vocab, positions, width, inner, .. } = *config;
        match self {
            Role::Embedding | Role::Head => (vocab, Some(width)),
            Role::Positions => (positions, Some(width)),
            Role::Query | Role::Key | Role::Value | Role::AttentionOutput => (width, Some(width)),
            Role::Qkv => (3 * width, Some(width)),
            Role::Inner => (inner, Some(width)),
            Role::Outer => (width, Some(inner)),
            Role::QkvBias => (3 * width, None),
            Role::InnerBias => (inner, None),
            Role::HeadBias => (vocab, None),
            Role::Score => (config.outputs(), Some(width)),
            Role::Norm1Gain
            | Role::Norm1Bias
            | Role::Norm2Gain
            | Role::Norm2Bias
            | Role::AttentionOutputBias
            | Role::OuterBias
            | Role::FinalGain
            | Role::FinalBias => (width, None),
        }
    }

    /// Whether there is one per layer.
    pub fn per_layer(self) -> bool {
        !matches!(
            self,
            Role::Embedding
                | Role::Positions
                | Role::FinalGain
                | Role::FinalBias
                | Role::Head
                | Role::HeadBias
                | Role::Score
        )
    }

    /// Whether a model of this configuration has it.
    pub fn present(self, config: &Config) -> bool {
        match self {
            Role::Positions => config.position == Position::Learned,
            Role::QkvBias => config.biases.qkv,
            Role::AttentionOutputBias => config.biases.attention_output,
            Role::Norm2Gain | Role::Norm2Bias => config.has_norm_2(),
            Role::Head => config.output() == Role::Head,
            Role::HeadBias => config.classifier.is_none() && config.biases.head,
            Role::Score => config.output() == Role::Score,
            _ => true,
        }
    }
}
