//! GPT-2: learned positions, fused transposed q, k and v, a bias everywhere, a tied output matrix.

use super::json::Keys;
use super::role::Role::*;
use super::table::{Entry, Layout::Transposed, entry, laid};
use crate::config::{Biases, Config, ConfigError, Position, Residual, ScoreScale};
use gptneo_device::Reach;

pub(super) const TENSORS: &[Entry] = &[
    entry(Embedding, "wte.weight", "token_embd.weight"),
    entry(Positions, "wpe.weight", "position_embd.weight"),
    entry(Norm1Gain, "h.{i}.ln_1.weight", "blk.{i}.attn_norm.weight"),
    entry(Norm1Bias, "h.{i}.ln_1.bias", "blk.{i}.attn_norm.bias"),
    laid(Qkv, Transposed, "h.{i}.attn.c_attn.weight", "blk.{i}.attn_qkv.weight"),
    entry(QkvBias, "h.{i}.attn.c_attn.bias", "blk.{i}.attn_qkv.bias"),
    laid(AttentionOutput, Transposed, "h.{i}.attn.c_proj.weight", "blk.{i}.attn_output.weight"),
    entry(AttentionOutputBias, "h.{i}.attn.c_proj.bias", "blk.{i}.attn_output.bias"),
    entry(Norm2Gain, "h.{i}.ln_2.weight", "blk.{i}.ffn_norm.weight"),
    entry(Norm2Bias, "h.{i}.ln_2.bias", "blk.{i}.ffn_norm.bias"),
    laid(Inner, Transposed, "h.{i}.mlp.c_fc.weight", "blk.{i}.ffn_up.weight"),
    entry(InnerBias, "h.{i}.mlp.c_fc.bias", "blk.{i}.ffn_up.bias"),
    laid(Outer, Transposed, "h.{i}.mlp.c_proj.weight", "blk.{i}.ffn_down.weight"),
    entry(OuterBias, "h.{i}.mlp.c_proj.bias", "blk.{i}.ffn_down.bias"),
    entry(FinalGain, "ln_f.weight", "output_norm.weight"),
    entry(FinalBias, "ln_f.bias", "output_norm.bias"),
    entry(Head, "lm_head.weight", "output.weight"),
    entry(Score, "score.weight", "cls.output.weight"),
];

pub(super) const KEYS: &[&str] = &[
    "n_embd",
    "n_layer",
    "n_head",
    "n_inner",
    "n_positions",
    "n_ctx",
    "activation_function",
    "layer_norm_epsilon",
    "scale_attn_weights",
    "scale_attn_by_inverse_layer_idx",
    "reorder_and_upcast_attn",
    "add_cross_attention",
];

pub(super) fn config(keys: &Keys<'_>) -> Result<Config, ConfigError> {
    keys.must_be_false("add_cross_attention")?;
    let width = keys.size("n_embd")?;
    let by_layer = keys.flag("scale_attn_by_inverse_layer_idx", false)?;
    // `reorder_and_upcast_attn` asks for scores in f32, which is what always happens here.
    keys.flag("reorder_and_upcast_attn", false)?;
    Ok(Config {
        family: super::Family::Gpt2,
        vocab: keys.size("vocab_size")?,
        positions: keys.size_or("n_positions", || keys.size("n_ctx"))?,
        width,
        heads: keys.size("n_head")?,
        inner: keys.inner("n_inner", width)?,
        eps: keys.number("layer_norm_epsilon", 1e-5)?,
        activation: keys.activation("activation_function", "gelu_new")?,
        position: Position::Learned,
        residual: Residual::Sequential,
        reach: vec![Reach::Global; keys.layers("n_layer")?],
        scale: ScoreScale::of(keys.flag("scale_attn_weights", true)?, by_layer),
        biases: Biases { qkv: true, attention_output: true, head: false },
        tied: keys.flag("tie_word_embeddings", true)?,
        classifier: super::labels::classifier(keys)?,
        bos: keys.token("bos_token_id")?,
        eos: keys.token("eos_token_id")?,
    })
}
