//! Reading a `config.json`: hostile text, typed look-ups, and no key passed over whose meaning is unknown.

use serde_json::{Map, Value};

use super::{Family, gpt_j, gpt_neo, gpt_neox, gpt2};
use crate::config::{Config, ConfigError};
use gptneo_device::Activation;

/// Longest `config.json` read; real ones have a few kilobytes.
pub const MAX_BYTES: usize = 1 << 20;

/// Keys every configuration may have, none of which changes what the decoder computes.
const COMMON: &[&str] = &[
    "architectures",
    "attention_dropout",
    "attention_probs_dropout_prob",
    "attn_pdrop",
    "auto_map",
    "bad_words_ids",
    "begin_suppress_tokens",
    "bos_token_id",
    "chunk_size_feed_forward",
    "classifier_dropout",
    "cross_attention_hidden_size",
    "decoder_start_token_id",
    "diversity_penalty",
    "do_sample",
    "dtype",
    "early_stopping",
    "embd_pdrop",
    "embed_dropout",
    "encoder_no_repeat_ngram_size",
    "eos_token_id",
    "exponential_decay_length_penalty",
    "finetuning_task",
    "forced_bos_token_id",
    "forced_eos_token_id",
    "gradient_checkpointing",
    "hidden_dropout",
    "id2label",
    "initializer_range",
    "is_decoder",
    "is_encoder_decoder",
    "label2id",
    "length_penalty",
    "max_length",
    "min_length",
    "model_type",
    "no_repeat_ngram_size",
    "num_beam_groups",
    "num_beams",
    "num_labels",
    "num_return_sequences",
    "output_attentions",
    "output_hidden_states",
    "output_scores",
    "pad_token_id",
    "prefix",
    "problem_type",
    "pruned_heads",
    "remove_invalid_values",
    "repetition_penalty",
    "resid_dropout",
    "resid_pdrop",
    "return_dict",
    "return_dict_in_generate",
    "sep_token_id",
    "summary_activation",
    "summary_first_dropout",
    "summary_proj_to_labels",
    "summary_type",
    "summary_use_proj",
    "suppress_tokens",
    "task_specific_params",
    "temperature",
    "tf_legacy_loss",
    "tie_encoder_decoder",
    "tie_word_embeddings",
    "tokenizer_class",
    "top_k",
    "top_p",
    "torch_dtype",
    "torchscript",
    "transformers_version",
    "typical_p",
    "use_bfloat16",
    "use_cache",
    "vocab_size",
];

impl Config {
    /// Reads the text of a `config.json`.
    pub fn from_json(text: &[u8]) -> Result<Self, ConfigError> {
        if text.len() > MAX_BYTES {
            return Err(ConfigError::Json(format!("{} bytes; at most {MAX_BYTES} are read", text.len())));
        }
        let value: Value = serde_json::from_slice(text).map_err(|e| ConfigError::Json(e.to_string()))?;
        let Value::Object(map) = &value else {
            return Err(ConfigError::Json(format!("found {}", shown(&value))));
        };
        let keys = Keys(map);
        let family: Family = match keys.get("model_type") {
            Some(Value::String(name)) => name.parse()?,
            Some(other) => return Err(keys.wrong_type("model_type", "a string", other)),
            None => return Err(ConfigError::Missing("model_type")),
        };
        let own = match family {
            Family::Gpt2 => gpt2::KEYS,
            Family::GptNeo => gpt_neo::KEYS,
            Family::GptJ => gpt_j::KEYS,
            Family::GptNeoX => gpt_neox::KEYS,
        };
        for (key, value) in map {
            let known = key.starts_with('_') || COMMON.contains(&key.as_str()) || own.contains(&key.as_str());
            if !known && !value.is_null() {
                return Err(ConfigError::UnknownKey(key.chars().take(80).collect()));
            }
        }
        let config = match family {
            Family::Gpt2 => gpt2::config(&keys)?,
            Family::GptNeo => gpt_neo::config(&keys)?,
            Family::GptJ => gpt_j::config(&keys)?,
            Family::GptNeoX => gpt_neox::config(&keys)?,
        };
        config.check()?;
        Ok(config)
    }
}

/// Typed look-ups; a null is as good as absent.
#[derive(Clone, Copy)]
pub(super) struct Keys<'a>(&'a Map<String, Value>);

impl<'a> Keys<'a> {
    pub(super) fn get(&self, key: &str) -> Option<&'a Value> {
        self.0.get(key).filter(|v| !v.is_null())
    }

    pub(super) fn wrong_type(&self, key: &str, wanted: &'static str, found: &Value) -> ConfigError {
        ConfigError::WrongType { key: key.to_owned(), wanted, found: shown(found) }
    }

    /// The keys of an object within, none if it is absent.
    pub(super) fn object(&self, key: &str) -> Result<Keys<'a>, ConfigError> {
        static EMPTY: std::sync::LazyLock<Map<String, Value>> = std::sync::LazyLock::new(Map::new);
        match self.get(key) {
            None => Ok(Keys(&EMPTY)),
            Some(Value::Object(map)) => Ok(Keys(map)),
            Some(other) => Err(self.wrong_type(key, "an object", other)),
        }
    }

    pub(super) fn size(&self, key: &'static str) -> Result<usize, ConfigError> {
        self.size_or(key, || Err(ConfigError::Missing(key)))
    }

    pub(super) fn size_or(
        &self,
        key: &'static str,
        otherwise: impl FnOnce() -> Result<usize, ConfigError>,
    ) -> Result<usize, ConfigError> {
        let Some(value) = self.get(key) else { return otherwise() };
        match value.as_u64() {
            // 2^32 is beyond every bound of `Config::check`, and keeps sums of sizes from overflowing before it.
            Some(n) if (1..1 << 32).contains(&n) => Ok(n as usize),
            Some(n) => Err(ConfigError::OutOfRange { key, value: n.to_string(), range: "1 to 4294967295".into() }),
            None => Err(self.wrong_type(key, "a positive whole number", value)),
        }
    }

    /// A number that may be 0, if it is there.
    pub(super) fn count(&self, key: &'static str) -> Result<Option<usize>, ConfigError> {
        let Some(value) = self.get(key) else { return Ok(None) };
        let count = value.as_u64().and_then(|count| usize::try_from(count).ok());
        count.map(Some).ok_or_else(|| self.wrong_type(key, "a whole number", value))
    }

    /// A number of layers, bounded before anything of that length is made.
    pub(super) fn layers(&self, key: &'static str) -> Result<usize, ConfigError> {
        match self.size(key)? {
            n @ 1..=1024 => Ok(n),
            n => Err(ConfigError::OutOfRange { key, value: n.to_string(), range: "1 to 1024".into() }),
        }
    }

    /// The MLP's width: four times the model's where it is not given.
    pub(super) fn inner(&self, key: &'static str, width: usize) -> Result<usize, ConfigError> {
        self.size_or(key, || Ok(width * 4))
    }

    pub(super) fn number(&self, key: &'static str, default: f32) -> Result<f32, ConfigError> {
        match self.get(key) {
            None => Ok(default),
            Some(value) => value.as_f64().map(|v| v as f32).ok_or_else(|| self.wrong_type(key, "a number", value)),
        }
    }

    pub(super) fn flag(&self, key: &'static str, default: bool) -> Result<bool, ConfigError> {
        match self.get(key) {
            None => Ok(default),
            Some(value) => value.as_bool().ok_or_else(|| self.wrong_type(key, "true or false", value)),
        }
    }

    pub(super) fn must_be_false(&self, key: &'static str) -> Result<(), ConfigError> {
        match self.flag(key, false)? {
            false => Ok(()),
            true => Err(ConfigError::Unsupported(format!("`{key}` is true, which is not supported"))),
        }
    }

    pub(super) fn must_be_true(&self, key: &'static str) -> Result<(), ConfigError> {
        match self.flag(key, true)? {
            true => Ok(()),
            false => Err(ConfigError::Unsupported(format!("`{key}` is false, which is not supported"))),
        }
    }

    /// A token id, or the first of a list of them.
    pub(super) fn token(&self, key: &'static str) -> Result<Option<u32>, ConfigError> {
        let Some(value) = self.get(key) else { return Ok(None) };
        let one = value.as_array().and_then(|list| list.first()).unwrap_or(value);
        // Released configurations say -1 where they mean none.
        if one.as_i64() == Some(-1) {
            return Ok(None);
        }
        let id = one.as_u64().and_then(|id| u32::try_from(id).ok());
        id.map(Some).ok_or_else(|| self.wrong_type(key, "a token id", value))
    }

    pub(super) fn activation(&self, key: &'static str, default: &str) -> Result<Activation, ConfigError> {
        let name = match self.get(key) {
            None => default,
            Some(value) => value.as_str().ok_or_else(|| self.wrong_type(key, "a name", value))?,
        };
        activation(key, name)
    }
}

/// The activation that transformers calls `name`.
pub(super) fn activation(key: &'static str, name: &str) -> Result<Activation, ConfigError> {
    Ok(match name {
        "gelu" | "gelu_python" => Activation::GeluErf,
        // Three spellings of one formula.
        "gelu_new" | "gelu_fast" | "gelu_pytorch_tanh" => Activation::GeluTanh,
        "quick_gelu" => Activation::GeluQuick,
        "relu" => Activation::Relu,
        "silu" | "swish" => Activation::Silu,
        other => {
            return Err(ConfigError::UnknownChoice {
                key,
                value: other.chars().take(80).collect(),
                known: "gelu, gelu_new, gelu_fast, gelu_pytorch_tanh, quick_gelu, relu, silu",
            });
        }
    })
}

/// What transformers calls an activation.
pub(super) const fn activation_name(activation: Activation) -> &'static str {
    match activation {
        Activation::GeluErf => "gelu",
        Activation::GeluTanh => "gelu_new",
        Activation::GeluQuick => "quick_gelu",
        Activation::Relu => "relu",
        Activation::Silu => "silu",
    }
}

/// A value as it may stand in a message: short.
pub(super) fn shown(value: &Value) -> String {
    let text = value.to_string();
    match text.char_indices().nth(60) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Position, Residual};
    use gptneo_device::Reach;

    const NEO: &str = r#"{"model_type": "gpt_neo", "hidden_size": 64, "num_layers": 4, "num_heads": 4, "vocab_size": 100,
        "max_position_embeddings": 32, "window_size": 8, "attention_types": [[["global", "local"], 2]],
        "intermediate_size": null, "activation_function": "gelu_new", "bos_token_id": 99, "eos_token_id": 99}"#;

    fn with(key: &str, value: Value) -> Result<Config, ConfigError> {
        let mut config: Value = serde_json::from_str(NEO).unwrap();
        config[key] = value;
        Config::from_json(config.to_string().as_bytes())
    }

    #[test]
    fn reads_gpt_neo() {
        let config = Config::from_json(NEO.as_bytes()).unwrap();
        assert_eq!(config.inner, 256);
        assert_eq!(config.reach[..2], [Reach::Global, Reach::Local { window: 8 }]);
        assert!(config.tied);
        assert_eq!(config.residual, Residual::Sequential);
        assert_eq!(config.position, Position::Learned);
    }

    #[test]
    fn refuses_hostile_values() {
        let cases = [
            ("num_layers", "1000000000".parse().unwrap()),
            ("num_layers", 3.into()),
            ("num_heads", 0.into()),
            ("num_heads", 7.into()),
            ("hidden_size", (-4).into()),
            ("window_size", 0.into()),
            ("window_size", (-1).into()),
            ("vocab_size", "x".into()),
            ("vocab_size", 50.into()),
            ("attention_types", serde_json::json!([[["global"], 18446744073709551615_u64]])),
            ("attention_types", serde_json::json!([[["sideways"], 4]])),
            ("attention_types", serde_json::json!([[[], 4]])),
            ("activation_function", "sine".into()),
            ("layer_norm_epsilon", 0.into()),
            ("layer_norm_epsilon", "small".into()),
            ("quantization_config", serde_json::json!({})),
            ("rotary_pct", 0.25.into()),
            ("model_type", "llama".into()),
            ("model_type", 4.into()),
            ("tie_word_embeddings", "yes".into()),
            ("max_position_embeddings", 4294967296_u64.into()),
        ];
        for (key, value) in cases {
            assert!(with(key, value.clone()).is_err(), "{key} = {value} was accepted");
        }
        assert!(with("auto_map", serde_json::json!({"AutoModel": "evil.py"})).is_ok(), "never acted upon");
        assert!(Config::from_json(b"[]").is_err());
        assert!(Config::from_json("[".repeat(1 << 20).as_bytes()).is_err());
    }

    #[test]
    fn reads_neox_settings_of_both_ages() {
        let old = serde_json::json!({"model_type": "gpt_neox", "hidden_size": 64, "num_hidden_layers": 2,
            "num_attention_heads": 4, "intermediate_size": 256, "vocab_size": 128, "max_position_embeddings": 64,
            "rotary_pct": 0.25, "rotary_emb_base": 10000, "hidden_act": "gelu", "use_parallel_residual": true});
        let mut new = old.clone();
        new.as_object_mut().unwrap().remove("rotary_pct");
        new["rope_parameters"] =
            serde_json::json!({"rope_type": "default", "rope_theta": 10000, "partial_rotary_factor": 0.25});
        let read = |v: &Value| Config::from_json(v.to_string().as_bytes()).unwrap();
        assert_eq!(read(&old), read(&new));
        assert!(matches!(read(&old).position, Position::Rotary { dims: 4, .. }));
    }
}
