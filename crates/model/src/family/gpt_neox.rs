//! GPT-NeoX and Pythia: rotary positions over halves, q, k and v fused per head, two parallel branches with two norms.

use super::json::{Keys, shown};
use super::role::Role::*;
use super::table::{Entry, Layout::HeadMajor, entry, laid};
use crate::config::{Biases, Config, ConfigError, Position, Residual, ScoreScale};
use gptneo_device::{Pairing, Reach};

pub(super) const TENSORS: &[Entry] = &[
    entry(Embedding, "embed_in.weight", "token_embd.weight"),
    entry(Norm1Gain, "layers.{i}.input_layernorm.weight", "blk.{i}.attn_norm.weight"),
    entry(Norm1Bias, "layers.{i}.input_layernorm.bias", "blk.{i}.attn_norm.bias"),
    laid(Qkv, HeadMajor, "layers.{i}.attention.query_key_value.weight", "blk.{i}.attn_qkv.weight"),
    laid(QkvBias, HeadMajor, "layers.{i}.attention.query_key_value.bias", "blk.{i}.attn_qkv.bias"),
    entry(AttentionOutput, "layers.{i}.attention.dense.weight", "blk.{i}.attn_output.weight"),
    entry(AttentionOutputBias, "layers.{i}.attention.dense.bias", "blk.{i}.attn_output.bias"),
    entry(Norm2Gain, "layers.{i}.post_attention_layernorm.weight", "blk.{i}.ffn_norm.weight"),
    entry(Norm2Bias, "layers.{i}.post_attention_layernorm.bias", "blk.{i}.ffn_norm.bias"),
    entry(Inner, "layers.{i}.mlp.dense_h_to_4h.weight", "blk.{i}.ffn_up.weight"),
    entry(InnerBias, "layers.{i}.mlp.dense_h_to_4h.bias", "blk.{i}.ffn_up.bias"),
    entry(Outer, "layers.{i}.mlp.dense_4h_to_h.weight", "blk.{i}.ffn_down.weight"),
    entry(OuterBias, "layers.{i}.mlp.dense_4h_to_h.bias", "blk.{i}.ffn_down.bias"),
    entry(FinalGain, "final_layer_norm.weight", "output_norm.weight"),
    entry(FinalBias, "final_layer_norm.bias", "output_norm.bias"),
    entry(Head, "embed_out.weight", "output.weight"),
    entry(Score, "score.weight", "cls.output.weight"),
];

pub(super) const KEYS: &[&str] = &[
    "hidden_size",
    "num_hidden_layers",
    "num_attention_heads",
    "intermediate_size",
    "max_position_embeddings",
    "rotary_pct",
    "rotary_emb_base",
    "rope_theta",
    "rope_scaling",
    "rope_parameters",
    "partial_rotary_factor",
    "hidden_act",
    "layer_norm_eps",
    "use_parallel_residual",
    "attention_bias",
];

pub(super) fn config(keys: &Keys<'_>) -> Result<Config, ConfigError> {
    let width = keys.size("hidden_size")?;
    let heads = keys.size("num_attention_heads")?;
    if let Some(scaling) = keys.get("rope_scaling") {
        return Err(ConfigError::Unsupported(format!("`rope_scaling` {} is not supported", shown(scaling))));
    }
    // Since transformers 5 the rotary settings may stand in an object of their own.
    let rope = keys.object("rope_parameters")?;
    if let Some(kind) = rope.get("rope_type").and_then(|v| v.as_str()).filter(|&kind| kind != "default") {
        return Err(ConfigError::Unsupported(format!("rotary embedding of type `{kind}` is not supported")));
    }
    let fraction = match rope.get("partial_rotary_factor") {
        Some(_) => rope.number("partial_rotary_factor", 0.25)?,
        None => keys.number("rotary_pct", keys.number("partial_rotary_factor", 0.25)?)?,
    };
    let base = match rope.get("rope_theta") {
        Some(_) => rope.number("rope_theta", 10_000.0)?,
        None => keys.number("rotary_emb_base", keys.number("rope_theta", 10_000.0)?)?,
    };
    let bias = keys.flag("attention_bias", true)?;
    Ok(Config {
        family: super::Family::GptNeoX,
        vocab: keys.size("vocab_size")?,
        positions: keys.size("max_position_embeddings")?,
        width,
        heads,
        inner: keys.inner("intermediate_size", width)?,
        eps: keys.number("layer_norm_eps", 1e-5)?,
        activation: keys.activation("hidden_act", "gelu")?,
        position: Position::Rotary {
            dims: ((width / heads.max(1)) as f64 * f64::from(fraction)) as usize,
            pairing: Pairing::Halves,
            base,
        },
        residual: match keys.flag("use_parallel_residual", true)? {
            true => Residual::ParallelTwoNorms,
            false => Residual::Sequential,
        },
        reach: vec![Reach::Global; keys.layers("num_hidden_layers")?],
        scale: ScoreScale::InverseSqrt,
        biases: Biases { qkv: bias, attention_output: bias, head: false },
        tied: keys.flag("tie_word_embeddings", false)?,
        classifier: super::labels::classifier(keys)?,
        bos: keys.token("bos_token_id")?,
        eos: keys.token("eos_token_id")?,
    })
}
