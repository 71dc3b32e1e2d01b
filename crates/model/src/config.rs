//! An architecture as choices: everything the decoder needs to know, and nothing about names or files.

use gptneo_device::{Activation, Pairing, Reach};

use crate::classifier::Classifier;
use crate::family::{Family, Role};

/// How a token's position enters the model.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Position {
    /// A learned vector per position, added to the embedding.
    Learned,
    /// Rotary embedding of the first `dims` channels of each head.
    Rotary {
        /// Rotated channels, even.
        dims: usize,
        /// Which channels pair up.
        pairing: Pairing,
        /// Base of the frequencies: channel pair `i` turns by `base^(-2i / dims)` per position.
        base: f32,
    },
}

/// How attention and MLP join the residual stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Residual {
    /// `x += attn(norm_1(x)); x += mlp(norm_2(x))`.
    Sequential,
    /// `x += attn(norm_1(x)) + mlp(norm_1(x))`: GPT-J.
    ParallelSharedNorm,
    /// `x += attn(norm_1(x)) + mlp(norm_2(x))`: GPT-NeoX.
    ParallelTwoNorms,
}

/// What multiplies attention scores.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ScoreScale {
    /// Nothing: GPT-Neo was trained so.
    One,
    /// `1 / sqrt(D)`.
    InverseSqrt,
    /// `1 / (layer + 1)`: GPT-2 with `scale_attn_by_inverse_layer_idx` but without `scale_attn_weights`.
    InverseLayer,
    /// `1 / (sqrt(D) (layer + 1))`: GPT-2 with both.
    InverseSqrtAndLayer,
}

impl ScoreScale {
    /// From GPT-2's two flags: divided by `sqrt(D)`, divided by the layer's number.
    pub fn of(by_head_size: bool, by_inverse_layer: bool) -> Self {
        match (by_head_size, by_inverse_layer) {
            (true, false) => ScoreScale::InverseSqrt,
            (true, true) => ScoreScale::InverseSqrtAndLayer,
            (false, true) => ScoreScale::InverseLayer,
            (false, false) => ScoreScale::One,
        }
    }

    /// The two flags that [`ScoreScale::of`] takes.
    pub fn parts(self) -> (bool, bool) {
        (
            matches!(self, ScoreScale::InverseSqrt | ScoreScale::InverseSqrtAndLayer),
            matches!(self, ScoreScale::InverseLayer | ScoreScale::InverseSqrtAndLayer),
        )
    }

    /// The factor of layer `layer`.
    pub fn factor(self, head_size: usize, layer: usize) -> f32 {
        let (root, depth) = ((head_size as f32).sqrt(), (layer + 1) as f32);
        match self {
            ScoreScale::One => 1.0,
            ScoreScale::InverseSqrt => 1.0 / root,
            ScoreScale::InverseLayer => 1.0 / depth,
            ScoreScale::InverseSqrtAndLayer => 1.0 / (root * depth),
        }
    }
}

/// Which linear maps have a bias.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Biases {
    /// Query, key and value.
    pub qkv: bool,
    /// Attention output.
    pub attention_output: bool,
    /// Output matrix of a language model; that of a classifier never has one.
    pub head: bool,
}

/// One architecture.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// Whose tensor names it has.
    pub family: Family,
    /// V.
    pub vocab: usize,
    /// Longest sequence.
    pub positions: usize,
    /// C; a multiple of `heads`.
    pub width: usize,
    /// H.
    pub heads: usize,
    /// Width inside the MLP.
    pub inner: usize,
    /// Epsilon of every layer norm.
    pub eps: f32,
    /// Non-linearity of the MLP.
    pub activation: Activation,
    /// How positions enter.
    pub position: Position,
    /// How the two branches join.
    pub residual: Residual,
    /// The reach of each layer, `[L]`.
    pub reach: Vec<Reach>,
    /// Scaling of attention scores.
    pub scale: ScoreScale,
    /// Which linear maps have a bias.
    pub biases: Biases,
    /// Whether the output matrix of a language model is the embedding.
    pub tied: bool,
    /// What the head tells of a sequence, where it is a classifier's; `None` for language models.
    pub classifier: Option<Classifier>,
    /// Beginning-of-sequence token.
    pub bos: Option<u32>,
    /// End-of-sequence token.
    pub eos: Option<u32>,
}

impl Config {
    /// L.
    pub fn layers(&self) -> usize {
        self.reach.len()
    }

    /// D.
    pub fn head_size(&self) -> usize {
        self.width / self.heads
    }

    /// Whether the MLP has a norm of its own.
    pub fn has_norm_2(&self) -> bool {
        self.residual != Residual::ParallelSharedNorm
    }

    /// The matrix from which logits come.
    pub fn output(&self) -> Role {
        match (&self.classifier, self.tied) {
            (Some(_), _) => Role::Score,
            (None, true) => Role::Embedding,
            (None, false) => Role::Head,
        }
    }

    /// Logits of a row: V, or the number of labels.
    pub fn outputs(&self) -> usize {
        self.classifier.as_ref().map_or(self.vocab, |classifier| classifier.labels().len())
    }

    /// The same body under the head of a classifier.
    #[must_use]
    pub fn classifying(self, classifier: Classifier) -> Self {
        Self { classifier: Some(classifier), ..self }
    }

    /// Trained numbers, tied ones once.
    pub fn parameters(&self) -> u64 {
        crate::family::roles(self)
            .map(|(role, layer)| {
                debug_assert!(layer.is_none_or(|l| l < self.layers()));
                let (rows, cols) = role.shape(self);
                rows as u64 * cols.unwrap_or(1) as u64
            })
            .sum()
    }

    /// Checks that the numbers make a model, with bounds that keep every product within 64 bits.
    pub fn check(&self) -> Result<(), ConfigError> {
        let bound = |key, value: usize, limit: usize| {
            if value == 0 || value > limit {
                Err(ConfigError::OutOfRange { key, value: value.to_string(), range: format!("1 to {limit}") })
            } else {
                Ok(())
            }
        };
        bound("number of layers", self.layers(), 1 << 10)?;
        bound("width", self.width, 1 << 16)?;
        bound("number of heads", self.heads, 1 << 12)?;
        bound("inner width", self.inner, 1 << 18)?;
        bound("vocabulary size", self.vocab, 1 << 22)?;
        bound("number of positions", self.positions, 1 << 22)?;
        if !self.width.is_multiple_of(self.heads) {
            return Err(ConfigError::Indivisible { width: self.width, heads: self.heads });
        }
        if !(self.eps.is_finite() && self.eps > 0.0) {
            return Err(ConfigError::OutOfRange {
                key: "layer norm epsilon",
                value: self.eps.to_string(),
                range: "a positive number".into(),
            });
        }
        if let Position::Rotary { dims, base, .. } = self.position {
            if dims == 0 || dims % 2 != 0 || dims > self.head_size() {
                return Err(ConfigError::OutOfRange {
                    key: "rotary dimensions",
                    value: dims.to_string(),
                    range: format!("an even number from 2 to the head size, {}", self.head_size()),
                });
            }
            if !(base.is_finite() && base > 1.0) {
                return Err(ConfigError::OutOfRange {
                    key: "rotary base",
                    value: base.to_string(),
                    range: "a number above 1".into(),
                });
            }
        }
        // Of a language model the padding token is never asked for.
        let pad = self.classifier.as_ref().and_then(Classifier::pad);
        for id in [self.bos, self.eos, pad].into_iter().flatten() {
            if id as usize >= self.vocab {
                return Err(ConfigError::OutOfRange {
                    key: "bos_token_id / eos_token_id / pad_token_id",
                    value: id.to_string(),
                    range: format!("0 to {}", self.vocab - 1),
                });
            }
        }
        Ok(())
    }
}

/// Why a configuration is no model.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// The text is no JSON object.
    #[error("not a JSON object: {0}")]
    Json(String),
    /// A key is absent.
    #[error("key `{0}` is missing")]
    Missing(&'static str),
    /// A key has a value of the wrong type.
    #[error("key `{key}` is {found}, but {wanted} is wanted")]
    WrongType {
        /// The key.
        key: String,
        /// What is wanted.
        wanted: &'static str,
        /// What stands there.
        found: String,
    },
    /// A number is outside what a model can have.
    #[error("the {key} is {value}; it must be {range}")]
    OutOfRange {
        /// What is wrong.
        key: &'static str,
        /// The value.
        value: String,
        /// What it may be.
        range: String,
    },
    /// Heads do not divide the width.
    #[error("the width {width} is not a multiple of the {heads} heads")]
    Indivisible {
        /// C.
        width: usize,
        /// H.
        heads: usize,
    },
    /// A choice that is not known.
    #[error("key `{key}` is `{value}`; known are {known}")]
    UnknownChoice {
        /// The key.
        key: &'static str,
        /// The value.
        value: String,
        /// What is known.
        known: &'static str,
    },
    /// A key whose meaning is not known, and which may change the architecture.
    #[error("key `{0}` is not known to gptneo and may change the architecture; remove it if it does not")]
    UnknownKey(String),
    /// Two keys contradict each other, or ask for what is not supported.
    #[error("{0}")]
    Unsupported(String),
    /// The architecture is none of ours.
    #[error(transparent)]
    Family(#[from] crate::family::UnknownFamily),
}
