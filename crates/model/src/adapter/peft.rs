//! An adapter as a directory in PEFT's layout: `adapter_config.json` and `adapter_model.safetensors`.
//!
//! Tensors are called `base_model.model.MODULE.lora_A.weight` `[r, C]` and `….lora_B.weight` `[O, r]`, with the module's name in
//! transformers. Outputs stand there as the family's checkpoints have them, so GPT-NeoX's fused query, key and value go
//! head by head; GPT-2's transposed matrices are no concern of the factors. The head of a classifier is
//! `base_model.model.score.weight` `[labels, C]`.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};

use gptneo_checkpoint::{Checkpoint, TensorInfo, first_non_finite, safetensors};
use gptneo_device::{DType, Device};

use super::settings::{self, MAX_BYTES, PeftSettings};
use super::{Adapter, AdapterError, LowRank, module, place, shape, targets};
use crate::config::Config;
use crate::error::LoadError;
use crate::family::{Family, Layout, Meaning, Role};
use crate::layout;

/// The settings of an adapter in its directory.
pub const SETTINGS_FILE: &str = "adapter_config.json";

/// The factors of an adapter in its directory.
pub const WEIGHTS_FILE: &str = "adapter_model.safetensors";

/// The factors' file, and what it was before safetensors.
const FACTORS: [&str; 2] = [WEIGHTS_FILE, "adapter_model.bin"];

/// What stands before the module in the name of a tensor.
const PREFIX: &str = "base_model.model.";

/// Which of the two factors.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Factor {
    A,
    B,
}

impl Factor {
    const fn suffix(self) -> &'static str {
        match self {
            Factor::A => ".lora_A.weight",
            Factor::B => ".lora_B.weight",
        }
    }
}

/// By layer and the place of the role, the tensors A and B.
type Factors<'a> = BTreeMap<(usize, usize), (Role, [Option<&'a TensorInfo>; 2])>;

/// What was found in a file: factors, and the head of a classifier.
#[derive(Default)]
struct Found<'a> {
    factors: Factors<'a>,
    score: Option<&'a TensorInfo>,
}

impl Adapter {
    /// Reads the adapter in a directory, for models of this configuration.
    ///
    /// # Errors
    /// Files that are missing or damaged, settings that would change what is computed in a way not supported here, and
    /// factors that do not fit the model; each with file, tensor, wanted and found.
    pub fn open<D: Device>(device: &D, folder: &Path, config: &Config) -> Result<Self, AdapterError> {
        let missing = |found| AdapterError::NotAnAdapter { folder: folder.to_owned(), found };
        fs::read_dir(folder).map_err(|error| AdapterError::Read { file: folder.to_owned(), error })?;
        let file = folder.join(SETTINGS_FILE);
        if file.symlink_metadata().is_err() {
            return Err(missing(SETTINGS_FILE));
        }
        let read = read_settings(&file)?;
        let there = FACTORS.map(|name| folder.join(name)).into_iter().find(|path| path.symlink_metadata().is_ok());
        let checkpoint = Checkpoint::open(&there.ok_or_else(|| missing(FACTORS[0]))?)?;
        let found = sort(&checkpoint, config, &read)?;
        let path = || checkpoint.tensors().first().map_or_else(PathBuf::new, |t| checkpoint.path_of(t).to_owned());
        let mut adapter = Self::new(config, read.settings.clone());
        for (role, layer) in targets(config) {
            let module = module(config, role, layer);
            let absent = |factor: Factor, why| {
                let tensor = format!("{PREFIX}{module}{}", factor.suffix());
                AdapterError::Missing { tensor, why, file: path() }
            };
            let key = (layer, place(config, role, layer).expect("targets have a place"));
            let Some((_, factors)) = found.factors.get(&key) else {
                let named = read.targets.iter().flatten().any(|target| settings::names(target, &module));
                if named && read.complete {
                    return Err(absent(Factor::A, "`target_modules` names its module"));
                }
                continue;
            };
            let [a, b] = *factors;
            let a = a.ok_or_else(|| absent(Factor::A, "the other factor is there"))?;
            let b = b.ok_or_else(|| absent(Factor::B, "the other factor is there"))?;
            let said = |why| AdapterError::Settings { file: file.clone(), why };
            let rank = read.rank(&module).map_err(said)?;
            let (rows, cols) = shape(config, role);
            for (tensor, wanted) in [(a, [rank, cols]), (b, [rows, rank])] {
                if tensor.shape != wanted {
                    return Err(AdapterError::Shape {
                        tensor: tensor.name.clone(),
                        found: tensor.shape.clone(),
                        wanted: format!("{wanted:?} (rank {rank})"),
                        matrix: [rows, cols],
                        file: checkpoint.path_of(tensor).to_owned(),
                    });
                }
            }
            let alpha = read.alpha(&module).map_err(said)?;
            let b = floats(device, &checkpoint, b)?;
            let b = reorder(config, role, &b, layout::thirds)?;
            adapter.insert(role, layer, LowRank { rank, alpha, a: floats(device, &checkpoint, a)?, b })?;
        }
        if let Some(tensor) = found.score {
            if tensor.shape.get(1..) != Some(&[config.width]) {
                return Err(AdapterError::Shape {
                    tensor: tensor.name.clone(),
                    found: tensor.shape.clone(),
                    wanted: format!("[labels, {}]", config.width),
                    matrix: [config.outputs(), config.width],
                    file: checkpoint.path_of(tensor).to_owned(),
                });
            }
            adapter.insert_score(floats(device, &checkpoint, tensor)?)?;
        } else if read.classifies {
            let tensor = format!("{PREFIX}{}", score_name(config));
            return Err(AdapterError::Missing { tensor, why: "`task_type` is SEQ_CLS", file: path() });
        }
        if adapter.pairs.is_empty() {
            return Err(AdapterError::Settings { file, why: "the adapter holds no factors at all".into() });
        }
        Ok(adapter)
    }

    /// Writes it into a directory as PEFT does, factors in f32; the directory is made, files of these names are replaced.
    ///
    /// # Errors
    /// The file system's.
    pub fn save(&self, folder: &Path) -> Result<(), AdapterError> {
        fs::create_dir_all(folder).map_err(|error| AdapterError::Write { file: folder.to_owned(), error })?;
        let named = self.tensors();
        let tensors: Vec<_> = named.iter().map(|(name, shape)| (name, DType::F32, shape)).collect();
        let mut writer = safetensors::Writer::create(&folder.join(WEIGHTS_FILE), &[("format", "pt")], &tensors)?;
        for index in 0..tensors.len() {
            writer.write(&self.tensor_bytes(index)?)?;
        }
        writer.finish()?;
        let file = folder.join(SETTINGS_FILE);
        write_beside(&file, self.peft_settings().as_bytes()).map_err(|error| AdapterError::Write { file, error })
    }

    /// Names and shapes of its tensors in [`WEIGHTS_FILE`]: a classifier's head, then of each pair A and B.
    pub fn tensors(&self) -> Vec<(String, Vec<usize>)> {
        let name =
            |role, layer, factor: Factor| format!("{PREFIX}{}{}", module(&self.config, role, layer), factor.suffix());
        let score = self.score().map(|score| {
            let name = format!("{PREFIX}{}", score_name(&self.config));
            (name, vec![score.len() / self.config.width, self.config.width])
        });
        let factors = self.iter().flat_map(|(role, layer, pair)| {
            let (rows, cols) = shape(&self.config, role);
            [(Factor::A, vec![pair.rank, cols]), (Factor::B, vec![rows, pair.rank])]
                .map(|(factor, shape)| (name(role, layer, factor), shape))
        });
        score.into_iter().chain(factors).collect()
    }

    /// The bytes of tensor `index` of [`Adapter::tensors`], as f32.
    ///
    /// # Errors
    /// If there is no room for them.
    ///
    /// # Panics
    /// If there is no such tensor.
    pub fn tensor_bytes(&self, index: usize) -> Result<Vec<u8>, AdapterError> {
        let index = match (self.score(), index) {
            (Some(score), 0) => return Ok(le_bytes(score)),
            (Some(_), _) => index - 1,
            (None, _) => index,
        };
        let (role, _, pair) = self.iter().nth(index / 2).expect("a tensor of `tensors`");
        if index.is_multiple_of(2) {
            return Ok(le_bytes(&pair.a));
        }
        Ok(le_bytes(&reorder(&self.config, role, &pair.b, layout::head_major)?))
    }

    /// The text of [`SETTINGS_FILE`].
    pub fn peft_settings(&self) -> String {
        let modules = || self.iter().map(|(role, layer, pair)| (module(&self.config, role, layer), pair));
        let ranks: Vec<_> =
            modules().filter(|(_, p)| p.rank != self.settings.rank).map(|(name, p)| (name, p.rank)).collect();
        let alphas: Vec<_> =
            modules().filter(|(_, p)| p.alpha != self.settings.alpha).map(|(name, p)| (name, p.alpha)).collect();
        // The last part of a name stands for every module of that name, where all of them are targeted.
        let all: Vec<String> = targets(&self.config).map(|(role, layer)| module(&self.config, role, layer)).collect();
        let held: Vec<String> = modules().map(|(name, _)| name).collect();
        let last = |name: &str| name.rsplit('.').next().unwrap_or(name).to_owned();
        let whole = |end: &str| all.iter().filter(|name| last(name) == end).all(|name| held.contains(name));
        let mut named: Vec<String> =
            held.iter().map(|name| if whole(&last(name)) { last(name) } else { name.clone() }).collect();
        named.sort_unstable();
        named.dedup();
        let classifies = self.score.is_some();
        settings::to_json(&self.settings, classifies, self.config.family == Family::Gpt2, &named, &ranks, &alphas)
    }
}

fn read_settings(file: &Path) -> Result<PeftSettings, AdapterError> {
    let mut text = Vec::new();
    File::open(file)
        .and_then(|f| f.take(MAX_BYTES as u64 + 1).read_to_end(&mut text))
        .map_err(|error| AdapterError::Read { file: file.to_owned(), error })?;
    PeftSettings::from_json(&text).map_err(|why| AdapterError::Settings { file: file.to_owned(), why })
}

/// Finds out which factor each tensor is.
fn sort<'a>(checkpoint: &'a Checkpoint, config: &Config, read: &PeftSettings) -> Result<Found<'a>, AdapterError> {
    let mut found = Found::default();
    for tensor in checkpoint.tensors() {
        let refuse = |why: String| AdapterError::Tensor {
            tensor: tensor.name.clone(),
            why,
            file: checkpoint.path_of(tensor).to_owned(),
        };
        let bare = tensor.name.strip_prefix(PREFIX).unwrap_or(&tensor.name);
        if bare == score_name(config) {
            if !read.classifies {
                return Err(refuse("is the head of a classifier, but `task_type` is not SEQ_CLS".into()));
            }
            if found.score.replace(tensor).is_some() {
                return Err(refuse("is there twice, once without the usual prefix".into()));
            }
            continue;
        }
        let of = |factor: Factor| bare.strip_suffix(factor.suffix()).map(|module| (module, factor));
        let Some((module, factor)) = of(Factor::A).or_else(|| of(Factor::B)) else {
            return Err(refuse(match bare {
                _ if bare.contains(".lora_embedding_") => "adapts an embedding, which is not supported".into(),
                _ if bare.contains(".lora_magnitude_vector") => "belongs to DoRA, which is not supported".into(),
                _ => "is no factor of an adapter: wanted a name that ends in .lora_A.weight or .lora_B.weight".into(),
            }));
        };
        let meaning = config.family.read_hf(&format!("{module}.weight"));
        let Meaning::Tensor { role, layer: Some(layer), .. } = meaning else {
            return Err(refuse(match meaning {
                Meaning::Tensor { .. } => "adapts an embedding or output matrix, which is not supported".into(),
                _ => format!("adapts a module that a {} model does not have", config.family),
            }));
        };
        let Some(place) = place(config, role, layer) else {
            return Err(refuse(format!("adapts layer {layer}, but the model has {} layers", config.layers())));
        };
        if read.targets.as_ref().is_some_and(|list| !list.iter().any(|target| settings::names(target, module))) {
            return Err(refuse("belongs to a module that `target_modules` does not name".into()));
        }
        let (_, factors) = found.factors.entry((layer, place)).or_insert((role, [None; 2]));
        if factors[factor as usize].replace(tensor).is_some() {
            return Err(refuse("is there twice, once without the usual prefix".into()));
        }
    }
    Ok(found)
}

/// What transformers calls the head of a classifier.
fn score_name(config: &Config) -> String {
    config.family.hf_name(Role::Score, None).expect("every family has such a head").0
}

/// A factor as f32.
fn floats<D: Device>(device: &D, checkpoint: &Checkpoint, tensor: &TensorInfo) -> Result<Vec<f32>, AdapterError> {
    let file = || checkpoint.path_of(tensor).to_owned();
    if !tensor.dtype.is_float() {
        return Err(AdapterError::Type { tensor: tensor.name.clone(), found: tensor.dtype, file: file() });
    }
    let bytes = checkpoint.bytes(tensor)?;
    if let Some(index) = first_non_finite(tensor.dtype, &bytes) {
        return Err(AdapterError::NotFinite { tensor: tensor.name.clone(), index, file: file() });
    }
    let mut values = Vec::new();
    let len = tensor.elements();
    values.try_reserve_exact(len).map_err(|_| AdapterError::OutOfMemory { bytes: len.saturating_mul(4) })?;
    values.resize(len, 0.0);
    device.dequantize(tensor.dtype, &bytes, &mut values)?;
    Ok(values)
}

/// Between thirds and heads: bytes, heads, and the length of a block of one head's outputs.
type Order = fn(&[u8], usize, usize) -> Result<Vec<u8>, LoadError>;

/// Puts the outputs of a B in another order, where the family's checkpoints have one of their own.
fn reorder(config: &Config, role: Role, b: &[f32], order: Order) -> Result<Vec<f32>, AdapterError> {
    let entry = config.family.table().iter().find(|entry| entry.role == role);
    if entry.is_none_or(|entry| entry.layout != Layout::HeadMajor) {
        return Ok(b.to_vec());
    }
    let bytes = le_bytes(b);
    let block = bytes.len() / (3 * config.heads);
    let turned = order(&bytes, config.heads, block).map_err(|_| AdapterError::OutOfMemory { bytes: bytes.len() })?;
    Ok(turned.as_chunks::<4>().0.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect())
}

fn le_bytes(values: &[f32]) -> Vec<u8> {
    values.iter().flat_map(|value| value.to_le_bytes()).collect()
}

/// Writes a small file so that it is there whole or not at all.
fn write_beside(file: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let temporary = file.with_extension("partial");
    let written = File::create(&temporary).and_then(|mut f| f.write_all(bytes).and_then(|()| f.sync_all()));
    written.and_then(|()| fs::rename(&temporary, file)).inspect_err(|_| drop(fs::remove_file(&temporary)))
}
