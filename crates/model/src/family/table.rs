//! Tensor names: one table per family, read both ways.

use super::{Family, gpt_j, gpt_neo, gpt_neox, gpt2, role::Role};
use crate::config::Config;

/// How a Hugging Face checkpoint lays a tensor out, against the `[O, C]` rows the decoder wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Layout {
    /// As the decoder wants it.
    Plain,
    /// `[in, out]`: GPT-2's Conv1D.
    Transposed,
    /// Rows (or bias values) in the order `[H, 3, D]` instead of `[3, H, D]`: GPT-NeoX.
    HeadMajor,
}

/// One row of a family's table. `{i}` stands for the layer.
#[derive(Clone, Copy, Debug)]
pub struct Entry {
    /// What the tensor is for.
    pub role: Role,
    /// Its name in a Hugging Face checkpoint, without the family's prefix.
    pub hf: &'static str,
    /// How it is laid out there.
    pub layout: Layout,
    /// Its name in a GGUF file, where every tensor is plain.
    pub gguf: &'static str,
}

/// Shorthand for the tables.
pub(super) const fn entry(role: Role, hf: &'static str, gguf: &'static str) -> Entry {
    Entry { role, hf, layout: Layout::Plain, gguf }
}

/// Shorthand for the tables.
pub(super) const fn laid(role: Role, layout: Layout, hf: &'static str, gguf: &'static str) -> Entry {
    Entry { role, hf, layout, gguf }
}

/// What a name in a checkpoint turned out to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Meaning {
    /// A tensor of the model.
    Tensor {
        /// What it is for.
        role: Role,
        /// Which layer's.
        layer: Option<usize>,
        /// How it is laid out.
        layout: Layout,
    },
    /// A buffer that holds nothing trained (causal masks, rotary frequencies).
    Ignored,
    /// Nothing known.
    Unknown,
}

impl Family {
    /// The family's tensors.
    pub fn table(self) -> &'static [Entry] {
        match self {
            Family::Gpt2 => gpt2::TENSORS,
            Family::GptNeo => gpt_neo::TENSORS,
            Family::GptJ => gpt_j::TENSORS,
            Family::GptNeoX => gpt_neox::TENSORS,
        }
    }

    /// What most tensor names of a Hugging Face checkpoint begin with; checkpoints without it are read too.
    pub fn prefix(self) -> &'static str {
        match self {
            Family::GptNeoX => "gpt_neox.",
            _ => "transformer.",
        }
    }

    fn ignored(self) -> &'static [&'static str] {
        match self {
            Family::Gpt2 | Family::GptJ => &["h.{i}.attn.bias", "h.{i}.attn.masked_bias"],
            Family::GptNeo => &["h.{i}.attn.attention.bias", "h.{i}.attn.attention.masked_bias"],
            Family::GptNeoX => &[
                "layers.{i}.attention.bias",
                "layers.{i}.attention.masked_bias",
                "layers.{i}.attention.rotary_emb.inv_freq",
                "rotary_emb.inv_freq",
            ],
        }
    }

    /// What a name in a Hugging Face checkpoint means.
    pub fn read_hf(self, name: &str) -> Meaning {
        let bare = name.strip_prefix(self.prefix()).unwrap_or(name);
        for e in self.table() {
            if let Some(layer) = matches(e.hf, bare, e.role.per_layer()) {
                return Meaning::Tensor { role: e.role, layer, layout: e.layout };
            }
        }
        if self.ignored().iter().any(|pattern| matches(pattern, bare, pattern.contains("{i}")).is_some()) {
            return Meaning::Ignored;
        }
        Meaning::Unknown
    }

    /// What a name in a GGUF file means.
    pub fn read_gguf(self, name: &str) -> Meaning {
        for e in self.table() {
            if let Some(layer) = matches(e.gguf, name, e.role.per_layer()) {
                return Meaning::Tensor { role: e.role, layer, layout: Layout::Plain };
            }
        }
        match name {
            "rope_freqs.weight" => Meaning::Ignored,
            _ => Meaning::Unknown,
        }
    }

    /// The name of a tensor in a Hugging Face checkpoint, and how it is laid out there.
    pub fn hf_name(self, role: Role, layer: Option<usize>) -> Option<(String, Layout)> {
        let e = self.table().iter().find(|e| e.role == role)?;
        let name = fill(e.hf, layer);
        // The output matrix belongs to the language model (or classifier) around the transformer.
        let own = matches!(role, Role::Head | Role::HeadBias | Role::Score);
        Some((if own { name } else { format!("{}{name}", self.prefix()) }, e.layout))
    }

    /// The name of a tensor in a GGUF file.
    pub fn gguf_name(self, role: Role, layer: Option<usize>) -> Option<String> {
        self.table().iter().find(|e| e.role == role).map(|e| fill(e.gguf, layer))
    }
}

/// Every tensor that a model of this configuration has, in the order of the table, layer by layer.
pub fn roles(config: &Config) -> impl Iterator<Item = (Role, Option<usize>)> + '_ {
    let has = |e: &&Entry| e.role.present(config);
    let table = config.family.table();
    let before = table.iter().take_while(|e| !e.role.per_layer()).filter(has).map(|e| (e.role, None));
    let after = table.iter().skip_while(|e| !e.role.per_layer()).filter(|e| !e.role.per_layer());
    let layers = (0..config.layers()).flat_map(move |layer| {
        table.iter().filter(|e| e.role.per_layer()).filter(has).map(move |e| (e.role, Some(layer)))
    });
    before.chain(layers).chain(after.filter(has).map(|e| (e.role, None)))
}

fn fill(pattern: &str, layer: Option<usize>) -> String {
    match layer {
        Some(layer) => pattern.replace("{i}", &layer.to_string()),
        None => pattern.to_owned(),
    }
}

/// The layer of `name` if it follows `pattern`: `Some(None)` for a pattern without a layer.
#[allow(clippy::option_option, reason = "matching, and the layer, are two questions")]
fn matches(pattern: &str, name: &str, per_layer: bool) -> Option<Option<usize>> {
    if !per_layer {
        return (pattern == name).then_some(None);
    }
    let (head, tail) = pattern.split_once("{i}")?;
    let digits = name.strip_prefix(head)?.strip_suffix(tail)?;
    let canonical = !digits.is_empty() && digits.len() < 9 && digits.bytes().all(|b| b.is_ascii_digit());
    (canonical && (digits.len() == 1 || !digits.starts_with('0'))).then(|| digits.parse().ok())?.map(Some)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_reads_back_as_its_role() {
        for family in Family::ALL {
            for e in family.table() {
                let layer = e.role.per_layer().then_some(17);
                let wanted = |layout| Meaning::Tensor { role: e.role, layer, layout };
                let (hf, layout) = family.hf_name(e.role, layer).unwrap();
                assert_eq!(family.read_hf(&hf), wanted(layout), "{hf}");
                assert_eq!(family.read_hf(hf.trim_start_matches(family.prefix())), wanted(layout), "{hf} bare");
                let gguf = family.gguf_name(e.role, layer).unwrap();
                assert_eq!(family.read_gguf(&gguf), wanted(Layout::Plain), "{gguf}");
            }
        }
    }

    #[test]
    fn refuses_names_that_only_look_right() {
        for name in
            ["h.01.ln_1.weight", "h..ln_1.weight", "h.-1.ln_1.weight", "h.1.ln_1.weights", "h.9999999999.ln_1.weight"]
        {
            assert_eq!(Family::GptNeo.read_hf(name), Meaning::Unknown, "{name}");
        }
    }

    #[test]
    fn mask_buffers_are_ignored() {
        assert_eq!(Family::GptNeo.read_hf("transformer.h.3.attn.attention.bias"), Meaning::Ignored);
        assert_eq!(Family::GptNeoX.read_hf("gpt_neox.layers.0.attention.rotary_emb.inv_freq"), Meaning::Ignored);
    }
}
