//! Where a model's tensors come from: a checkpoint, whose every name and shape is checked first, or random numbers.

use std::collections::HashMap;
use std::path::PathBuf;

use gptneo_checkpoint::{Checkpoint, Format, TensorInfo, first_non_finite};
use gptneo_device::{Bytes, DType, Matrix};

use crate::config::Config;
use crate::error::LoadError;
use crate::family::{Layout, Meaning, Role, roles};
use crate::layout;
use crate::random::Random;

/// Tensors by role, matrices as plain rows `[O, C]`.
pub trait TensorSource {
    /// The architecture they make up.
    fn config(&self) -> &Config;
    /// Storage type of a matrix.
    fn dtype(&self, role: Role, layer: Option<usize>) -> DType;
    /// A matrix. Dropping it releases what it took.
    fn matrix(&self, role: Role, layer: Option<usize>) -> Result<Matrix, LoadError>;
    /// The bytes of a vector, and their type.
    fn vector(&self, role: Role, layer: Option<usize>) -> Result<(DType, Bytes), LoadError>;
    /// What the tensor is called, for messages.
    fn name(&self, role: Role, layer: Option<usize>) -> String;
}

/// The tensors of a checkpoint that make up a model.
#[derive(Debug)]
pub struct CheckpointSource {
    checkpoint: Checkpoint,
    config: Config,
    /// Index into the checkpoint's tensors, and the layout there.
    found: HashMap<(Role, Option<usize>), (usize, Layout)>,
    /// Whether float values are searched for NaN and infinities.
    check_values: bool,
}

impl CheckpointSource {
    /// Matches the tensors of a checkpoint with what the configuration wants: none missing, none unknown, none of
    /// another shape or a type that holds no weights. Reads no values.
    pub fn new(checkpoint: Checkpoint, config: Config) -> Result<Self, LoadError> {
        let family = config.family;
        let gguf = checkpoint.format() == Format::Gguf;
        let mut found = HashMap::new();
        for (index, tensor) in checkpoint.tensors().iter().enumerate() {
            let file = || checkpoint.path_of(tensor).to_owned();
            let meaning = if gguf { family.read_gguf(&tensor.name) } else { family.read_hf(&tensor.name) };
            let (role, layer, layout) = match meaning {
                Meaning::Tensor { role, layer, layout } => (role, layer, layout),
                Meaning::Ignored => continue,
                Meaning::Unknown => {
                    return Err(LoadError::UnknownTensor { tensor: tensor.name.clone(), file: file(), family });
                }
            };
            // A tied output matrix may be stored all the same: it is the embedding.
            if role == Role::Head && config.output() == Role::Embedding {
                continue;
            }
            if !role.present(&config) || layer.is_some_and(|l| l >= config.layers()) {
                return Err(LoadError::ExtraTensor { tensor: tensor.name.clone(), file: file() });
            }
            check_shape(tensor, role, layout, &config, file)?;
            if let Some((other, _)) = found.insert((role, layer), (index, layout)) {
                let other: &TensorInfo = &checkpoint.tensors()[other];
                return Err(LoadError::RepeatedTensor {
                    first: other.name.clone(),
                    second: tensor.name.clone(),
                    file: file(),
                });
            }
        }
        for (role, layer) in roles(&config) {
            if !found.contains_key(&(role, layer)) {
                let name = if gguf { family.gguf_name(role, layer) } else { family.hf_name(role, layer).map(|n| n.0) };
                let (rows, cols) = role.shape(&config);
                return Err(LoadError::MissingTensor {
                    tensor: name.unwrap_or_else(|| format!("{role:?}")),
                    shape: cols.map_or(vec![rows], |cols| vec![rows, cols]),
                });
            }
        }
        Ok(Self { checkpoint, config, found, check_values: true })
    }

    /// Whether float values are searched for NaN and infinities as they are read (they are, unless told otherwise).
    #[must_use]
    pub fn check_values(mut self, check: bool) -> Self {
        self.check_values = check;
        self
    }

    /// The checkpoint.
    pub fn checkpoint(&self) -> &Checkpoint {
        &self.checkpoint
    }

    fn tensor(&self, role: Role, layer: Option<usize>) -> (&TensorInfo, Layout) {
        let (index, layout) = self.found[&(role, layer)];
        (&self.checkpoint.tensors()[index], layout)
    }

    fn bytes(&self, tensor: &TensorInfo) -> Result<Bytes, LoadError> {
        let bytes = self.checkpoint.bytes(tensor)?;
        if self.check_values
            && let Some(index) = first_non_finite(tensor.dtype, &bytes)
        {
            let file: PathBuf = self.checkpoint.path_of(tensor).to_owned();
            return Err(LoadError::NotFinite { tensor: tensor.name.clone(), index, file });
        }
        Ok(bytes)
    }
}

fn check_shape(
    tensor: &TensorInfo,
    role: Role,
    layout: Layout,
    config: &Config,
    file: impl FnOnce() -> PathBuf,
) -> Result<(), LoadError> {
    let (rows, cols) = role.shape(config);
    let wanted = match (cols, layout) {
        (None, _) => vec![rows],
        (Some(cols), Layout::Transposed) => vec![cols, rows],
        (Some(cols), _) => vec![rows, cols],
    };
    if tensor.shape != wanted {
        let (tensor, found) = (tensor.name.clone(), tensor.shape.clone());
        return Err(LoadError::Shape { tensor, found, wanted, file: file() });
    }
    let weights = tensor.dtype.is_float() || (tensor.dtype.is_quantised() && layout == Layout::Plain && cols.is_some());
    if !weights {
        return Err(LoadError::Type { tensor: tensor.name.clone(), found: tensor.dtype, file: file() });
    }
    Ok(())
}

impl TensorSource for CheckpointSource {
    fn config(&self) -> &Config {
        &self.config
    }

    fn dtype(&self, role: Role, layer: Option<usize>) -> DType {
        self.tensor(role, layer).0.dtype
    }

    fn matrix(&self, role: Role, layer: Option<usize>) -> Result<Matrix, LoadError> {
        let (tensor, layout) = self.tensor(role, layer);
        let (rows, cols) = role.shape(&self.config);
        let cols = cols.expect("only matrices are asked for");
        let bytes = self.bytes(tensor)?;
        let element = tensor.dtype.block_bytes();
        let bytes = match layout {
            Layout::Plain => bytes,
            Layout::Transposed => layout::transpose(&bytes, cols, rows, element)?.into(),
            Layout::HeadMajor => {
                layout::thirds(&bytes, self.config.heads, self.config.head_size() * cols * element)?.into()
            }
        };
        Ok(Matrix::new(tensor.dtype, rows, cols, bytes).expect("the shape was checked"))
    }

    fn vector(&self, role: Role, layer: Option<usize>) -> Result<(DType, Bytes), LoadError> {
        let (tensor, layout) = self.tensor(role, layer);
        let bytes = self.bytes(tensor)?;
        let bytes = match layout {
            Layout::HeadMajor => {
                let element = tensor.dtype.block_bytes();
                layout::thirds(&bytes, self.config.heads, self.config.head_size() * element)?.into()
            }
            _ => bytes,
        };
        Ok((tensor.dtype, bytes))
    }

    fn name(&self, role: Role, layer: Option<usize>) -> String {
        self.tensor(role, layer).0.name.clone()
    }
}

/// Random weights of a shape, for benchmarks: as transformers initialises them, normal with deviation 0.02.
#[derive(Debug)]
pub struct RandomSource {
    config: Config,
    seed: u64,
}

impl RandomSource {
    /// Weights of this architecture, the same for the same seed.
    pub fn new(config: Config, seed: u64) -> Self {
        Self { config, seed }
    }
}

impl TensorSource for RandomSource {
    fn config(&self) -> &Config {
        &self.config
    }

    fn dtype(&self, _: Role, _: Option<usize>) -> DType {
        DType::F32
    }

    fn matrix(&self, role: Role, layer: Option<usize>) -> Result<Matrix, LoadError> {
        let (rows, cols) = role.shape(&self.config);
        let cols = cols.expect("only matrices are asked for");
        let bytes = Random::of(self.seed, role, layer).normal_bytes(rows * cols, 0.02)?;
        Ok(Matrix::new(DType::F32, rows, cols, bytes).expect("made to measure"))
    }

    fn vector(&self, role: Role, _: Option<usize>) -> Result<(DType, Bytes), LoadError> {
        let (len, _) = role.shape(&self.config);
        let value: f32 = if matches!(role, Role::Norm1Gain | Role::Norm2Gain | Role::FinalGain) { 1.0 } else { 0.0 };
        Ok((DType::F32, value.to_le_bytes().repeat(len).into()))
    }

    fn name(&self, role: Role, layer: Option<usize>) -> String {
        self.config.family.hf_name(role, layer).map_or_else(|| format!("{role:?}"), |(name, _)| name)
    }
}
