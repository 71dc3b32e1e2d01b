//! Arguments of attention in training.

use crate::{Heads, Reach, View};

use super::Dropout;

/// The lengths of the segments of a batch, one after the other; no row sees another segment.
#[derive(Clone, Copy, Debug)]
pub struct Segments<'a>(pub &'a [usize]);

impl Segments<'_> {
    /// N.
    pub fn rows(&self) -> usize {
        self.0.iter().sum()
    }

    /// Rows of the longest.
    pub fn longest(&self) -> usize {
        self.0.iter().copied().max().unwrap_or(0)
    }
}

/// Arguments of [`TrainDevice::attention_forward`](super::TrainDevice::attention_forward).
#[derive(Debug)]
pub struct AttentionForward<'a, B> {
    /// Queries, keys and values of each row, rotated, heads in order within each: `[N, 3 C]`.
    pub qkv: View<'a, B>,
    /// H and D.
    pub heads: Heads,
    /// Which keys of its segment each query sees.
    pub reach: Reach,
    /// Multiplies every score.
    pub scale: f32,
    /// The batch.
    pub segments: Segments<'a>,
    /// Of the probabilities; row `i H + h` of the mask is query `i` of head `h`, column `j` the `j`-th key of the segment.
    pub dropout: Option<Dropout>,
}

/// Arguments of [`TrainDevice::attention_backward`](super::TrainDevice::attention_backward).
#[derive(Debug)]
pub struct AttentionBackward<'a, B> {
    /// As in the forward pass.
    pub forward: AttentionForward<'a, B>,
    /// What the forward pass gave, `[N, C]`.
    pub out: View<'a, B>,
    /// What the forward pass left, `[N, H]`: the logarithm of each query's sum of exponentials.
    pub log_sums: View<'a, B>,
    /// Gradient of `out`, `[N, C]`.
    pub d_out: View<'a, B>,
}
