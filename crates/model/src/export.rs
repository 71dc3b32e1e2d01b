//! Writing models: quantised into a GGUF file, or converted into a directory in Hugging Face layout.
//!
//! Tensors stream from the source to the file one at a time, quantised ones a chunk of rows at a time, so a model of
//! any size takes the memory of its largest tensor at most.

use std::fs;
use std::path::Path;

use gptneo_checkpoint::{gguf, safetensors};
use gptneo_device::{DType, Device};

use crate::error::LoadError;
use crate::family::{Family, Layout, Role, gguf as names, roles};
use crate::layout;
use crate::load::Progress;
use crate::source::TensorSource;
use crate::storage::{Fallback, Storage, choose, convert, floats, for_chunks};

/// What was written.
#[derive(Debug, Default)]
pub struct Written {
    /// Bytes of the weights file.
    pub bytes: u64,
    /// Tensors that could not have the type asked for.
    pub fallbacks: Vec<Fallback>,
}

/// Writes a GGUF file (version 3) at `path`. Matrices are converted to `storage`, or keep their type where `None`;
/// vectors are f32. `extra` metadata (the tokenizer's) is added, and wins over what the configuration says. Classifiers are refused.
pub fn write_gguf<D: Device>(
    device: &D,
    source: &dyn TensorSource,
    storage: Option<Storage>,
    extra: &gguf::Metadata,
    path: &Path,
    progress: &mut dyn FnMut(Progress),
) -> Result<Written, LoadError> {
    let config = source.config();
    let family = config.family;
    if config.classifier.is_some() {
        return Err(LoadError::ClassifierInGguf);
    }
    let mut written = Written::default();
    let mut stored: Vec<_> = roles(config).map(|(role, layer)| (role, role, layer)).collect();
    if config.tied && family == Family::GptNeoX {
        // llama.cpp knows no tied matrix in this family: it is stored once more, and the metadata say so.
        stored.push((Role::Head, Role::Embedding, None));
    }
    let mut tensors = Vec::new();
    for &(named, role, layer) in &stored {
        let name = family.gguf_name(named, layer).expect("roles come from the family's table");
        let (rows, cols) = role.shape(config);
        let Some(cols) = cols else {
            tensors.push((name, DType::F32, vec![rows]));
            continue;
        };
        let kept = match source.dtype(role, layer) {
            // The other programs that read GGUF know no f64.
            DType::F64 => DType::F32,
            kept => kept,
        };
        let target = choose(storage, role, cols, kept, || name.clone(), &mut written.fallbacks);
        tensors.push((name, target, vec![rows, cols]));
    }
    let layers = storage.map_or_else(|| source.dtype(Role::Inner, Some(0)), |s| s.layers);
    let mut metadata = names::metadata(config, Storage { layers, output: layers });
    for (key, value) in extra.iter() {
        metadata.set(key, value.clone());
    }
    let mut writer = gguf::Writer::create(path, &metadata, &tensors)?;
    let values = |shape: &[usize]| shape.iter().product::<usize>() as u64;
    let (mut done, total) = (0, tensors.iter().map(|(_, _, shape)| values(shape)).sum());
    for (&(_, role, layer), (_, dtype, shape)) in stored.iter().zip(&tensors) {
        if shape.len() == 1 {
            writer.write(&le_bytes(&floats(device, source, role, layer)?))?;
        } else {
            let stored = source.matrix(role, layer)?;
            if stored.dtype() == *dtype {
                writer.write(stored.bytes())?;
            } else {
                let mut chunk = Vec::new();
                for_chunks(device, &stored, |values| {
                    chunk.clear();
                    device.quantize(*dtype, stored.cols(), values, &mut chunk)?;
                    Ok(writer.write(&chunk)?)
                })?;
            }
        }
        done += values(shape);
        progress(Progress { done, total });
    }
    writer.finish()?;
    written.bytes = fs::metadata(path).map_err(|error| LoadError::Read { file: path.to_owned(), error })?.len();
    Ok(written)
}

/// Writes `model.safetensors` and `config.json` into `folder`, every tensor as `dtype` (f32, f16 or bf16), named and
/// laid out as transformers does.
pub fn write_hf<D: Device>(
    device: &D,
    source: &dyn TensorSource,
    dtype: DType,
    folder: &Path,
    progress: &mut dyn FnMut(Progress),
) -> Result<Written, LoadError> {
    let transformers_name = match dtype {
        DType::F32 => "float32",
        DType::F16 => "float16",
        DType::BF16 => "bfloat16",
        other => return Err(LoadError::UnsupportedTarget(other)),
    };
    let config = source.config();
    let mut tensors = Vec::new();
    for (role, layer) in roles(config) {
        let (name, layout) = config.family.hf_name(role, layer).expect("roles come from the family's table");
        let shape = match (role.shape(config), layout) {
            ((rows, None), _) => vec![rows],
            ((rows, Some(cols)), Layout::Transposed) => vec![cols, rows],
            ((rows, Some(cols)), _) => vec![rows, cols],
        };
        tensors.push((name, dtype, shape));
    }
    fs::create_dir_all(folder).map_err(|error| LoadError::Read { file: folder.to_owned(), error })?;
    let path = folder.join("model.safetensors");
    let format = [("format", "pt")];
    let mut writer = safetensors::Writer::create(&path, &format, &tensors)?;
    let (mut done, total) = (0, config.parameters());
    for ((role, layer), (_, _, shape)) in roles(config).zip(&tensors) {
        let (_, layout) = config.family.hf_name(role, layer).expect("named before");
        writer.write(&hf_bytes(device, source, role, layer, layout, dtype)?)?;
        done += shape.iter().product::<usize>() as u64;
        progress(Progress { done, total });
    }
    writer.finish()?;
    let file = folder.join("config.json");
    fs::write(&file, config.to_json(transformers_name)).map_err(|error| LoadError::Read { file, error })?;
    let bytes = fs::metadata(&path).map_err(|error| LoadError::Read { file: path, error })?.len();
    Ok(Written { bytes, fallbacks: Vec::new() })
}

fn hf_bytes<D: Device>(
    device: &D,
    source: &dyn TensorSource,
    role: Role,
    layer: Option<usize>,
    layout: Layout,
    dtype: DType,
) -> Result<Vec<u8>, LoadError> {
    let config = source.config();
    let (heads, head_size, element) = (config.heads, config.head_size(), dtype.block_bytes());
    let (rows, cols) = role.shape(config);
    let Some(cols) = cols else {
        let values = floats(device, source, role, layer)?;
        let mut bytes = Vec::new();
        device.quantize(dtype, values.len(), &values, &mut bytes)?;
        return match layout {
            Layout::HeadMajor => layout::head_major(&bytes, heads, head_size * element),
            _ => Ok(bytes),
        };
    };
    let plain = convert(device, &source.matrix(role, layer)?, dtype)?;
    match layout {
        Layout::Plain => Ok(plain.bytes().to_vec()),
        Layout::Transposed => layout::transpose(plain.bytes(), rows, cols, element),
        Layout::HeadMajor => layout::head_major(plain.bytes(), heads, head_size * cols * element),
    }
}

fn le_bytes(values: &[f32]) -> Vec<u8> {
    values.iter().flat_map(|v| v.to_le_bytes()).collect()
}
