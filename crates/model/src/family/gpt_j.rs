//! GPT-J: rotary positions over adjacent pairs, one norm for two parallel branches, an output matrix with bias.

use super::json::Keys;
use super::role::Role::*;
use super::table::{Entry, entry};
use crate::config::{Biases, Config, ConfigError, Position, Residual, ScoreScale};
use gptneo_device::{Pairing, Reach};

pub(super) const TENSORS: &[Entry] = &[
    entry(Embedding, "wte.weight", "token_embd.weight"),
    entry(Norm1Gain, "h.{i}.ln_1.weight", "blk.{i}.attn_norm.weight"),
    entry(Norm1Bias, "h.{i}.ln_1.bias", "blk.{i}.attn_norm.bias"),
    entry(Query, "h.{i}.attn.q_proj.weight", "blk.{i}.attn_q.weight"),
    entry(Key, "h.{i}.attn.k_proj.weight", "blk.{i}.attn_k.weight"),
    entry(Value, "h.{i}.attn.v_proj.weight", "blk.{i}.attn_v.weight"),
    entry(AttentionOutput, "h.{i}.attn.out_proj.weight", "blk.{i}.attn_output.weight"),
    entry(Inner, "h.{i}.mlp.fc_in.weight", "blk.{i}.ffn_up.weight"),
    entry(InnerBias, "h.{i}.mlp.fc_in.bias", "blk.{i}.ffn_up.bias"),
    entry(Outer, "h.{i}.mlp.fc_out.weight", "blk.{i}.ffn_down.weight"),
    entry(OuterBias, "h.{i}.mlp.fc_out.bias", "blk.{i}.ffn_down.bias"),
    entry(FinalGain, "ln_f.weight", "output_norm.weight"),
    entry(FinalBias, "ln_f.bias", "output_norm.bias"),
    entry(Head, "lm_head.weight", "output.weight"),
    entry(HeadBias, "lm_head.bias", "output.bias"),
    entry(Score, "score.weight", "cls.output.weight"),
];

pub(super) const KEYS: &[&str] = &[
    "n_embd",
    "n_layer",
    "n_head",
    "n_inner",
    "n_positions",
    "n_ctx",
    "rotary_dim",
    "rotary",
    "activation_function",
    "layer_norm_epsilon",
    "scale_attn_weights",
];

pub(super) fn config(keys: &Keys<'_>) -> Result<Config, ConfigError> {
    let width = keys.size("n_embd")?;
    let heads = keys.size("n_head")?;
    // Older configurations say these, always with these values.
    keys.must_be_true("rotary")?;
    keys.must_be_true("scale_attn_weights")?;
    Ok(Config {
        family: super::Family::GptJ,
        vocab: keys.size("vocab_size")?,
        positions: keys.size_or("n_positions", || keys.size("n_ctx"))?,
        width,
        heads,
        inner: keys.inner("n_inner", width)?,
        eps: keys.number("layer_norm_epsilon", 1e-5)?,
        activation: keys.activation("activation_function", "gelu_new")?,
        position: Position::Rotary {
            dims: keys.size_or("rotary_dim", || Ok(width / heads.max(1)))?,
            pairing: Pairing::Adjacent,
            base: 10_000.0,
        },
        residual: Residual::ParallelSharedNorm,
        reach: vec![Reach::Global; keys.layers("n_layer")?],
        scale: ScoreScale::InverseSqrt,
        biases: Biases { qkv: false, attention_output: false, head: true },
        tied: keys.flag("tie_word_embeddings", false)?,
        classifier: super::labels::classifier(keys)?,
        bos: keys.token("bos_token_id")?,
        eos: keys.token("eos_token_id")?,
    })
}
