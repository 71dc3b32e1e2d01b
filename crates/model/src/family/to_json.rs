//! A configuration as the `config.json` that transformers reads.

use gptneo_device::Reach;
use serde_json::{Map, Value, json};

use super::Family;
use super::json::activation_name;
use super::labels::CLASS;
use crate::classifier::Classifier;
use crate::config::{Config, Position, Residual};

impl Config {
    /// The text of a `config.json`; `dtype` is what the weights beside it are stored in.
    pub fn to_json(&self, dtype: &str) -> String {
        let (class, own) = match self.family {
            Family::Gpt2 => ("GPT2LMHeadModel", self.gpt2()),
            Family::GptNeo => ("GPTNeoForCausalLM", self.gpt_neo()),
            Family::GptJ => ("GPTJForCausalLM", self.gpt_j()),
            Family::GptNeoX => ("GPTNeoXForCausalLM", self.gpt_neox()),
        };
        let class = match &self.classifier {
            None => class.to_owned(),
            Some(_) => {
                let stem = class.trim_end_matches("LMHeadModel").trim_end_matches("ForCausalLM");
                format!("{stem}{CLASS}")
            }
        };
        let mut map: Map<String, Value> = own.as_object().cloned().unwrap_or_default();
        map.insert("architectures".into(), json!([class]));
        map.insert("model_type".into(), json!(self.family.name()));
        map.insert("vocab_size".into(), json!(self.vocab));
        map.insert("bos_token_id".into(), json!(self.bos));
        map.insert("eos_token_id".into(), json!(self.eos));
        map.insert("tie_word_embeddings".into(), json!(self.tied));
        map.insert("dtype".into(), json!(dtype));
        if let Some(classifier) = &self.classifier {
            map.extend(labels(classifier));
        }
        let mut text = format!("{:#}", Value::Object(map));
        text.push('\n');
        text
    }

    fn gpt2(&self) -> Value {
        let (by_size, by_layer) = self.scale.parts();
        json!({
            "n_embd": self.width, "n_layer": self.layers(), "n_head": self.heads, "n_inner": self.inner,
            "n_positions": self.positions, "activation_function": activation_name(self.activation),
            "layer_norm_epsilon": number(self.eps), "scale_attn_weights": by_size,
            "scale_attn_by_inverse_layer_idx": by_layer,
        })
    }

    fn gpt_neo(&self) -> Value {
        let kinds: Vec<&str> =
            self.reach.iter().map(|r| if *r == Reach::Global { "global" } else { "local" }).collect();
        let window = self.reach.iter().find_map(|r| if let Reach::Local { window } = r { Some(*window) } else { None });
        json!({
            "hidden_size": self.width, "num_layers": self.layers(), "num_heads": self.heads,
            "intermediate_size": self.inner, "max_position_embeddings": self.positions,
            "attention_types": [[kinds, 1]], "attention_layers": kinds, "window_size": window.unwrap_or(256),
            "activation_function": activation_name(self.activation), "layer_norm_epsilon": number(self.eps),
        })
    }

    fn gpt_j(&self) -> Value {
        let Position::Rotary { dims, .. } = self.position else { unreachable!("GPT-J has rotary positions") };
        json!({
            "n_embd": self.width, "n_layer": self.layers(), "n_head": self.heads, "n_inner": self.inner,
            "n_positions": self.positions, "rotary_dim": dims,
            "activation_function": activation_name(self.activation), "layer_norm_epsilon": number(self.eps),
        })
    }

    fn gpt_neox(&self) -> Value {
        let Position::Rotary { dims, base, .. } = self.position else { unreachable!("GPT-NeoX has rotary positions") };
        // transformers truncates `head_size * fraction`: half a channel more keeps the division from falling short.
        let fraction = if dims == self.head_size() { 1.0 } else { (dims as f64 + 0.5) / self.head_size() as f64 };
        let exact = dims as f64 / self.head_size() as f64;
        let fraction = if (self.head_size() as f64 * exact) as usize == dims { exact } else { fraction };
        json!({
            "hidden_size": self.width, "num_hidden_layers": self.layers(), "num_attention_heads": self.heads,
            "intermediate_size": self.inner, "max_position_embeddings": self.positions,
            "rotary_pct": fraction, "rotary_emb_base": number(base), "hidden_act": activation_name(self.activation),
            "layer_norm_eps": number(self.eps), "attention_bias": self.biases.qkv,
            "use_parallel_residual": self.residual == Residual::ParallelTwoNorms,
        })
    }
}

/// The keys of a classifier.
fn labels(classifier: &Classifier) -> Map<String, Value> {
    let labels = || classifier.labels().iter().enumerate();
    let names: Map<String, Value> = labels().map(|(id, label)| (id.to_string(), json!(label))).collect();
    let ids: Map<String, Value> = labels().map(|(id, label)| (label.clone(), json!(id))).collect();
    let problem = if classifier.is_value() { "regression" } else { "single_label_classification" };
    let keys = [
        ("id2label", Value::Object(names)),
        ("label2id", Value::Object(ids)),
        ("problem_type", json!(problem)),
        ("pad_token_id", json!(classifier.pad())),
    ];
    keys.map(|(key, value)| (key.to_owned(), value)).into_iter().collect()
}

/// The shortest decimal that reads back as this f32, rather than its f64 neighbour's seventeen digits.
fn number(value: f32) -> f64 {
    value.to_string().parse().expect("a float prints as a number")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::shapes;

    #[test]
    fn every_shape_reads_back() {
        for name in shapes::names() {
            let config = shapes::config(name).unwrap();
            let text = config.to_json("float32");
            assert_eq!(Config::from_json(text.as_bytes()).unwrap(), config, "{name}\n{text}");
        }
    }
}
