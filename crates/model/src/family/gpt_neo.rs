//! GPT-Neo: learned positions, separate q, k and v without bias, unscaled scores, global and local layers in turn.

use super::json::Keys;
use super::role::Role::*;
use super::table::{Entry, entry};
use crate::config::{Biases, Config, ConfigError, Position, Residual, ScoreScale};
use gptneo_device::Reach;
use serde_json::Value as Json;

pub(super) const TENSORS: &[Entry] = &[
    entry(Embedding, "wte.weight", "token_embd.weight"),
    entry(Positions, "wpe.weight", "position_embd.weight"),
    entry(Norm1Gain, "h.{i}.ln_1.weight", "blk.{i}.attn_norm.weight"),
    entry(Norm1Bias, "h.{i}.ln_1.bias", "blk.{i}.attn_norm.bias"),
    entry(Query, "h.{i}.attn.attention.q_proj.weight", "blk.{i}.attn_q.weight"),
    entry(Key, "h.{i}.attn.attention.k_proj.weight", "blk.{i}.attn_k.weight"),
    entry(Value, "h.{i}.attn.attention.v_proj.weight", "blk.{i}.attn_v.weight"),
    entry(AttentionOutput, "h.{i}.attn.attention.out_proj.weight", "blk.{i}.attn_output.weight"),
    entry(AttentionOutputBias, "h.{i}.attn.attention.out_proj.bias", "blk.{i}.attn_output.bias"),
    entry(Norm2Gain, "h.{i}.ln_2.weight", "blk.{i}.ffn_norm.weight"),
    entry(Norm2Bias, "h.{i}.ln_2.bias", "blk.{i}.ffn_norm.bias"),
    entry(Inner, "h.{i}.mlp.c_fc.weight", "blk.{i}.ffn_up.weight"),
    entry(InnerBias, "h.{i}.mlp.c_fc.bias", "blk.{i}.ffn_up.bias"),
    entry(Outer, "h.{i}.mlp.c_proj.weight", "blk.{i}.ffn_down.weight"),
    entry(OuterBias, "h.{i}.mlp.c_proj.bias", "blk.{i}.ffn_down.bias"),
    entry(FinalGain, "ln_f.weight", "output_norm.weight"),
    entry(FinalBias, "ln_f.bias", "output_norm.bias"),
    entry(Head, "lm_head.weight", "output.weight"),
    entry(Score, "score.weight", "cls.output.weight"),
];

pub(super) const KEYS: &[&str] = &[
    "hidden_size",
    "num_layers",
    "num_heads",
    "intermediate_size",
    "max_position_embeddings",
    "attention_types",
    "attention_layers",
    "window_size",
    "activation_function",
    "layer_norm_epsilon",
];

pub(super) fn config(keys: &Keys<'_>) -> Result<Config, ConfigError> {
    let width = keys.size("hidden_size")?;
    let layers = keys.layers("num_layers")?;
    Ok(Config {
        family: super::Family::GptNeo,
        vocab: keys.size("vocab_size")?,
        positions: keys.size("max_position_embeddings")?,
        width,
        heads: keys.size("num_heads")?,
        inner: keys.inner("intermediate_size", width)?,
        eps: keys.number("layer_norm_epsilon", 1e-5)?,
        activation: keys.activation("activation_function", "gelu_new")?,
        position: Position::Learned,
        residual: Residual::Sequential,
        reach: reach(keys, layers)?,
        scale: ScoreScale::One,
        biases: Biases { qkv: false, attention_output: true, head: false },
        tied: keys.flag("tie_word_embeddings", true)?,
        classifier: super::labels::classifier(keys)?,
        bos: keys.token("bos_token_id")?,
        eos: keys.token("eos_token_id")?,
    })
}

/// `attention_types` is a list of `[kinds, repeats]`, each expanded in turn; together they name every layer.
fn reach(keys: &Keys<'_>, layers: usize) -> Result<Vec<Reach>, ConfigError> {
    const KEY: &str = "attention_types";
    let wrong = |found: &Json| keys.wrong_type(KEY, "a list of [[kinds], repeats]", found);
    let groups = keys.get(KEY).ok_or(ConfigError::Missing(KEY))?;
    let mut reach = Vec::new();
    for group in groups.as_array().ok_or_else(|| wrong(groups))? {
        let [kinds, repeats] = group.as_array().map(Vec::as_slice).unwrap_or_default() else {
            return Err(wrong(group));
        };
        let kinds = kinds.as_array().ok_or_else(|| wrong(kinds))?;
        let repeats = repeats.as_u64().ok_or_else(|| wrong(repeats))?;
        for _ in 0..repeats {
            // Checked as it grows: a hostile count must not fill the memory.
            if kinds.is_empty() || reach.len() > layers {
                break;
            }
            for kind in kinds {
                reach.push(match kind.as_str() {
                    Some("global") => Reach::Global,
                    Some("local") => Reach::Local { window: keys.size("window_size")? },
                    _ => {
                        return Err(ConfigError::UnknownChoice {
                            key: KEY,
                            value: super::json::shown(kind),
                            known: "`global` and `local`",
                        });
                    }
                });
            }
        }
    }
    if reach.len() != layers {
        let count = if reach.len() > layers { "more layers".to_owned() } else { format!("{} layers", reach.len()) };
        return Err(ConfigError::Unsupported(format!(
            "`attention_types` names {count}, but `num_layers` is {layers}; the two must agree"
        )));
    }
    Ok(reach)
}
