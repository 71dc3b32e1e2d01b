//! From a source of tensors to a decoder on a device, tensor by tensor.

use gptneo_device::{CacheType, Device, Matrix};

use crate::config::{Config, Position};
use crate::decoder::{CacheOptions, Decoder};
use crate::error::LoadError;
use crate::family::Role;
use crate::memory::default_cache;
use crate::source::TensorSource;
use crate::storage::{Fallback, Storage, choose, convert, floats};
use crate::weights::{Layer, Linear, NormWeights, Weights};

/// How a model is loaded.
#[derive(Clone, Copy, Debug, Default)]
pub struct LoadOptions {
    /// Types to convert the matrices to; stored types are kept where `None`.
    pub storage: Option<Storage>,
    /// Longest sequence, if it shall be shorter than the model's own limit.
    pub context: Option<usize>,
    /// Positions in the cache, of all sequences together; the model's context where `None`.
    pub cache_positions: Option<usize>,
    /// Type of cached keys: f32 for f32 weights and f16 otherwise, where `None`.
    pub key: Option<CacheType>,
    /// Type of cached values, likewise.
    pub value: Option<CacheType>,
}

/// How far a long work on tensors has come.
#[derive(Clone, Copy, Debug)]
pub struct Progress {
    /// Values done.
    pub done: u64,
    /// Values in all.
    pub total: u64,
}

/// A loaded decoder, and what had to be done differently.
#[derive(Debug)]
pub struct Loaded<D: Device> {
    /// The model.
    pub decoder: Decoder<D>,
    /// Tensors that could not have the type asked for.
    pub fallbacks: Vec<Fallback>,
}

/// Loads every tensor of `source` onto `device`, converting as it goes; at no time is more than one tensor held
/// outside the device. `progress` is told after each.
pub fn load<D: Device>(
    device: D,
    source: &dyn TensorSource,
    options: &LoadOptions,
    progress: &mut dyn FnMut(Progress),
) -> Result<Loaded<D>, LoadError> {
    let config = source.config().clone();
    let total = config.parameters();
    let mut loader = Loader { device: &device, source, options, fallbacks: Vec::new(), done: 0, total, progress };
    let weights = loader.weights(&config)?;
    let fallbacks = loader.fallbacks;
    let default = default_cache(device.weight_dtype(&weights.layers[0].inner.weight));
    let cache = CacheOptions {
        positions: options.cache_positions.unwrap_or(config.positions),
        key: options.key.unwrap_or(default),
        value: options.value.unwrap_or(default),
    };
    let decoder = Decoder::new(device, config, weights, cache, options.context)?;
    Ok(Loaded { decoder, fallbacks })
}

struct Loader<'a, D: Device> {
    device: &'a D,
    source: &'a dyn TensorSource,
    options: &'a LoadOptions,
    fallbacks: Vec<Fallback>,
    done: u64,
    total: u64,
    progress: &'a mut dyn FnMut(Progress),
}

impl<D: Device> Loader<'_, D> {
    fn weights(&mut self, config: &Config) -> Result<Weights<D>, LoadError> {
        let embedding = self.weight(&[Role::Embedding], None)?;
        let positions = match config.position {
            Position::Learned => Some(self.weight(&[Role::Positions], None)?),
            Position::Rotary { .. } => None,
        };
        let rotary = match config.position {
            Position::Learned => None,
            Position::Rotary { dims, base, .. } => {
                let table = rotary_table(config.positions, dims, base);
                let mut buffer = self.device.buffer(table.len())?;
                self.device.write(&mut buffer, 0, &table);
                Some(buffer)
            }
        };
        let layers = (0..config.layers()).map(|index| self.layer(config, index)).collect::<Result<_, _>>()?;
        let final_norm = self.norm(Role::FinalGain, Role::FinalBias, None)?;
        let head = match config.output() {
            Role::Embedding => None,
            own => Some(self.weight(&[own], None)?),
        };
        let head_bias = self.bias(config, Role::HeadBias, None)?;
        Ok(Weights { embedding, positions, rotary, layers, final_norm, head, head_bias })
    }

    fn layer(&mut self, config: &Config, index: usize) -> Result<Layer<D>, LoadError> {
        let layer = Some(index);
        let fused = config.family.table().iter().any(|e| e.role == Role::Qkv);
        let qkv: &[Role] = if fused { &[Role::Qkv] } else { &[Role::Query, Role::Key, Role::Value] };
        Ok(Layer {
            norm_1: self.norm(Role::Norm1Gain, Role::Norm1Bias, layer)?,
            qkv: Linear { weight: self.weight(qkv, layer)?, bias: self.bias(config, Role::QkvBias, layer)? },
            attention_output: Linear {
                weight: self.weight(&[Role::AttentionOutput], layer)?,
                bias: self.bias(config, Role::AttentionOutputBias, layer)?,
            },
            norm_2: match config.has_norm_2() {
                true => Some(self.norm(Role::Norm2Gain, Role::Norm2Bias, layer)?),
                false => None,
            },
            inner: Linear {
                weight: self.weight(&[Role::Inner], layer)?,
                bias: self.bias(config, Role::InnerBias, layer)?,
            },
            outer: Linear {
                weight: self.weight(&[Role::Outer], layer)?,
                bias: self.bias(config, Role::OuterBias, layer)?,
            },
            reach: config.reach[index],
            scale: config.scale.factor(config.head_size(), index),
        })
    }

    fn norm(&mut self, gain: Role, bias: Role, layer: Option<usize>) -> Result<NormWeights<D>, LoadError> {
        Ok(NormWeights { gain: self.vector(gain, layer)?, bias: self.vector(bias, layer)? })
    }

    fn bias(&mut self, config: &Config, role: Role, layer: Option<usize>) -> Result<Option<D::Buffer>, LoadError> {
        let has = role.present(config) && config.family.table().iter().any(|e| e.role == role);
        if has { self.vector(role, layer).map(Some) } else { Ok(None) }
    }

    fn vector(&mut self, role: Role, layer: Option<usize>) -> Result<D::Buffer, LoadError> {
        let values = floats(self.device, self.source, role, layer)?;
        let mut buffer = self.device.buffer(values.len())?;
        self.device.write(&mut buffer, 0, &values);
        self.advance(values.len());
        Ok(buffer)
    }

    /// The matrices of these roles, one below the other, in the types the options ask for.
    fn weight(&mut self, roles: &[Role], layer: Option<usize>) -> Result<D::Weight, LoadError> {
        let mut parts: Vec<Matrix> = Vec::with_capacity(roles.len());
        for &role in roles {
            let stored = self.source.matrix(role, layer)?;
            let Self { source, options, fallbacks, .. } = self;
            let name = || source.name(role, layer);
            let target = choose(options.storage, role, stored.cols(), stored.dtype(), name, fallbacks);
            let elements = stored.rows() * stored.cols();
            parts.push(convert(self.device, &stored, target)?);
            self.advance(elements);
        }
        // Stacked parts have one type: where a checkpoint mixes them, the first decides.
        let first = parts[0].dtype();
        for part in &mut parts {
            if part.dtype() != first {
                *part = convert(self.device, part, first)?;
            }
        }
        Ok(self.device.weight(&parts)?)
    }

    fn advance(&mut self, values: usize) {
        self.done += values as u64;
        (self.progress)(Progress { done: self.done, total: self.total });
    }
}

/// `[positions, dims]`: `dims / 2` cosines, then as many sines, in f32 as transformers computes them.
pub(crate) fn rotary_table(positions: usize, dims: usize, base: f32) -> Vec<f32> {
    let half = dims / 2;
    let frequency = |i: usize| (1.0 / f64::from(base).powf((2 * i) as f64 / dims as f64)) as f32;
    let frequencies: Vec<f32> = (0..half).map(frequency).collect();
    let mut table = Vec::with_capacity(positions * dims);
    for position in 0..positions {
        let angles = frequencies.iter().map(|f| f64::from(position as f32 * f));
        table.extend(angles.clone().map(|a| a.cos() as f32));
        table.extend(angles.map(|a| a.sin() as f32));
    }
    table
}
