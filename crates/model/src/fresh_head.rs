//! A model's body under a new classification head.

use gptneo_device::{Bytes, DType, Matrix};

use crate::classifier::Classifier;
use crate::config::Config;
use crate::error::LoadError;
use crate::family::Role;
use crate::layout;
use crate::random::Random;
use crate::source::TensorSource;

/// Deviation with which transformers draws weights of these families (`initializer_range`).
const DEVIATION: f64 = 0.02;

/// The tensors of a model with a classification head in place of its own head, drawn from the normal distribution of deviation
/// 0.02: how fine-tuning begins. The same seed gives the same head.
pub struct FreshHead<'a> {
    source: &'a dyn TensorSource,
    config: Config,
    seed: u64,
}

impl<'a> FreshHead<'a> {
    /// The body of `source`, a language model or another classifier, for these labels.
    pub fn new(source: &'a dyn TensorSource, classifier: Classifier, seed: u64) -> Self {
        let config = source.config().clone().classifying(classifier);
        Self { source, config, seed }
    }
}

impl TensorSource for FreshHead<'_> {
    fn config(&self) -> &Config {
        &self.config
    }

    fn dtype(&self, role: Role, layer: Option<usize>) -> DType {
        if role == Role::Score { DType::F32 } else { self.source.dtype(role, layer) }
    }

    fn matrix(&self, role: Role, layer: Option<usize>) -> Result<Matrix, LoadError> {
        if role != Role::Score {
            return self.source.matrix(role, layer);
        }
        let (rows, cols) = (self.config.outputs(), self.config.width);
        let random = Random::of(self.seed, role, layer);
        let mut bytes = layout::zeroed(4 * rows * cols)?;
        for (i, bytes) in bytes.as_chunks_mut::<4>().0.iter_mut().enumerate() {
            *bytes = ((random.gaussian(i as u64) * DEVIATION) as f32).to_le_bytes();
        }
        Ok(Matrix::new(DType::F32, rows, cols, bytes.into()).expect("made to measure"))
    }

    fn vector(&self, role: Role, layer: Option<usize>) -> Result<(DType, Bytes), LoadError> {
        self.source.vector(role, layer)
    }

    fn name(&self, role: Role, layer: Option<usize>) -> String {
        if role != Role::Score {
            return self.source.name(role, layer);
        }
        self.config.family.hf_name(role, layer).expect("every family has such a head").0
    }
}
