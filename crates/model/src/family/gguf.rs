//! A configuration as GGUF metadata.
//!
//! `gpt2` and `gptneox` use llama.cpp's keys. `gptneo` and `gptj`, which llama.cpp does not know, use the same keys and
//! these of ours, `{arch}` standing for the architecture:
//!
//! | key | type | meaning |
//! |---|---|---|
//! | `{arch}.activation` | string | transformers' name of the MLP's activation |
//! | `gptneo.attention.layer_types` | strings | `global` or `local`, for each layer |
//! | `gptneo.attention.sliding_window` | u32 | keys that a local layer sees, itself included |
//! | `gptj.rope.dimension_count`, `gptj.rope.freq_base` | u32, f32 | as in `gptneox` |
//! | `gptneox.tie_word_embeddings` | bool | the output matrix, stored for llama.cpp, is the embedding |
//! | `gpt2.attention.scale_by_head_size`, `gpt2.attention.scale_by_inverse_layer` | bool | where not the usual true, false |

use gptneo_checkpoint::Checkpoint;
use gptneo_checkpoint::gguf::{Array, Metadata, Value};
use gptneo_device::{DType, Pairing, Reach};

use super::json::activation;
use super::{Family, Role};
use crate::config::{Biases, Config, ConfigError, Position, Residual, ScoreScale};
use crate::storage::Storage;

impl Family {
    /// `general.architecture` in a GGUF file.
    pub const fn gguf_architecture(self) -> &'static str {
        match self {
            Family::Gpt2 => "gpt2",
            Family::GptNeo => "gptneo",
            Family::GptJ => "gptj",
            Family::GptNeoX => "gptneox",
        }
    }
}

/// Metadata under one architecture's prefix.
struct Keys<'a> {
    metadata: &'a Metadata,
    arch: &'static str,
}

impl Keys<'_> {
    fn key(&self, name: &str) -> String {
        format!("{}.{name}", self.arch)
    }

    fn size(&self, name: &'static str) -> Result<usize, ConfigError> {
        match self.metadata.u64(&self.key(name)) {
            Some(n) if (1..1 << 32).contains(&n) => Ok(n as usize),
            Some(n) => {
                Err(ConfigError::OutOfRange { key: name, value: n.to_string(), range: "1 to 4294967295".into() })
            }
            None => Err(ConfigError::WrongType {
                key: self.key(name),
                wanted: "a positive whole number",
                found: "absent, or of another type".into(),
            }),
        }
    }

    fn number(&self, name: &str, default: f32) -> f32 {
        self.metadata.f64(&self.key(name)).map_or(default, |v| v as f32)
    }

    fn flag(&self, name: &str, default: bool) -> bool {
        self.metadata.bool(&self.key(name)).unwrap_or(default)
    }
}

/// Reads the configuration of a GGUF file.
pub(crate) fn config(checkpoint: &Checkpoint) -> Result<Config, ConfigError> {
    let metadata = checkpoint.gguf().ok_or(ConfigError::Missing("general.architecture"))?;
    let arch = metadata.str("general.architecture").ok_or(ConfigError::Missing("general.architecture"))?;
    let family = Family::ALL
        .into_iter()
        .find(|f| f.gguf_architecture() == arch)
        .ok_or_else(|| super::UnknownFamily(arch.chars().take(80).collect()))?;
    let keys = Keys { metadata, arch: family.gguf_architecture() };
    let has = |role| {
        let layer = Role::per_layer(role).then_some(0);
        family.gguf_name(role, layer).is_some_and(|name| checkpoint.get(&name).is_some())
    };
    let layers = match keys.size("block_count")? {
        n @ 1..=1024 => n,
        n => {
            return Err(ConfigError::OutOfRange {
                key: "block_count",
                value: n.to_string(),
                range: "1 to 1024".into(),
            });
        }
    };
    let (width, heads) = (keys.size("embedding_length")?, keys.size("attention.head_count")?);
    let embedding = checkpoint.get("token_embd.weight").ok_or(ConfigError::Missing("token_embd.weight"))?;
    let rotary = |pairing| -> Result<_, ConfigError> {
        let base = keys.number("rope.freq_base", 10_000.0);
        Ok(Position::Rotary { dims: keys.size("rope.dimension_count")?, pairing, base })
    };
    let (position, residual, usual) = match family {
        Family::Gpt2 | Family::GptNeo => (Position::Learned, Residual::Sequential, "gelu_new"),
        Family::GptJ => (rotary(Pairing::Adjacent)?, Residual::ParallelSharedNorm, "gelu_new"),
        Family::GptNeoX => {
            let parallel = keys.flag("use_parallel_residual", true);
            let residual = if parallel { Residual::ParallelTwoNorms } else { Residual::Sequential };
            (rotary(Pairing::Halves)?, residual, "gelu")
        }
    };
    let token = |key| metadata.u64(key).and_then(|id| u32::try_from(id).ok());
    let config = Config {
        family,
        vocab: embedding.shape.first().copied().unwrap_or(0),
        positions: keys.size("context_length")?,
        width,
        heads,
        inner: keys.size("feed_forward_length")?,
        eps: keys.number("attention.layer_norm_epsilon", 1e-5),
        activation: activation("activation", metadata.str(&keys.key("activation")).unwrap_or(usual))?,
        position,
        residual,
        reach: if family == Family::GptNeo { reach(&keys, layers)? } else { vec![Reach::Global; layers] },
        scale: match family {
            Family::GptNeo => ScoreScale::One,
            _ => ScoreScale::of(
                keys.flag("attention.scale_by_head_size", true),
                keys.flag("attention.scale_by_inverse_layer", false),
            ),
        },
        biases: Biases {
            qkv: has(Role::QkvBias),
            attention_output: has(Role::AttentionOutputBias),
            head: has(Role::HeadBias),
        },
        tied: !has(Role::Head) || keys.flag("tie_word_embeddings", false),
        classifier: None,
        bos: token("tokenizer.ggml.bos_token_id"),
        eos: token("tokenizer.ggml.eos_token_id"),
    };
    config.check()?;
    Ok(config)
}

fn reach(keys: &Keys<'_>, layers: usize) -> Result<Vec<Reach>, ConfigError> {
    let key = keys.key("attention.layer_types");
    let wrong =
        |found: String| ConfigError::WrongType { key: key.clone(), wanted: "`global` or `local` per layer", found };
    let kinds = keys.metadata.strings(&key).ok_or_else(|| wrong("absent, or of another type".into()))?;
    if kinds.len() != layers {
        return Err(wrong(format!("{} names for {layers} layers", kinds.len())));
    }
    let one = |kind: &String| match kind.as_str() {
        "global" => Ok(Reach::Global),
        "local" => Ok(Reach::Local { window: keys.size("attention.sliding_window")? }),
        other => Err(wrong(other.chars().take(40).collect())),
    };
    kinds.iter().map(one).collect()
}

/// The metadata of a model stored as `storage`.
pub(crate) fn metadata(config: &Config, storage: Storage) -> Metadata {
    let arch = config.family.gguf_architecture();
    let mut metadata = Metadata::new();
    metadata.set("general.architecture", arch.to_owned());
    metadata.set("general.file_type", file_type(storage.layers));
    metadata.set("general.quantization_version", 2u32);
    let mut set = |name: &str, value: Value| {
        metadata.set(format!("{arch}.{name}"), value);
    };
    // llama.cpp takes the size from here where a file has no tokenizer, and wants that said.
    set("vocab_size", Value::U32(config.vocab as u32));
    set("context_length", Value::U32(config.positions as u32));
    set("embedding_length", Value::U32(config.width as u32));
    set("block_count", Value::U32(config.layers() as u32));
    set("feed_forward_length", Value::U32(config.inner as u32));
    set("attention.head_count", Value::U32(config.heads as u32));
    set("attention.layer_norm_epsilon", Value::F32(config.eps));
    set("activation", Value::String(super::json::activation_name(config.activation).to_owned()));
    if let Position::Rotary { dims, base, .. } = config.position {
        set("rope.dimension_count", Value::U32(dims as u32));
        set("rope.freq_base", Value::F32(base));
    }
    if config.family == Family::GptNeoX {
        set("use_parallel_residual", Value::Bool(config.residual == Residual::ParallelTwoNorms));
        if config.tied {
            set("tie_word_embeddings", Value::Bool(true));
        }
    }
    if config.family == Family::GptNeo {
        let kind = |r: &Reach| if *r == Reach::Global { "global" } else { "local" }.to_owned();
        set("attention.layer_types", Value::Array(Array::String(config.reach.iter().map(kind).collect())));
        let window =
            config.reach.iter().find_map(|r| if let Reach::Local { window } = r { Some(*window) } else { None });
        if let Some(window) = window {
            set("attention.sliding_window", Value::U32(window as u32));
        }
    }
    if config.family == Family::Gpt2 {
        let (by_size, by_layer) = config.scale.parts();
        if (by_size, by_layer) != (true, false) {
            set("attention.scale_by_head_size", Value::Bool(by_size));
            set("attention.scale_by_inverse_layer", Value::Bool(by_layer));
        }
    }
    metadata.set("tokenizer.ggml.model", "no_vocab".to_owned());
    for (key, id) in [("tokenizer.ggml.bos_token_id", config.bos), ("tokenizer.ggml.eos_token_id", config.eos)] {
        if let Some(id) = id {
            metadata.set(key, id);
        }
    }
    metadata
}

/// llama.cpp's number for a file mostly of this type.
fn file_type(dtype: DType) -> u32 {
    match dtype {
        DType::F16 => 1,
        DType::Q4_0 => 2,
        DType::Q8_0 => 7,
        DType::Q4_K => 15,
        DType::Q6_K => 18,
        DType::BF16 => 32,
        _ => 0,
    }
}
