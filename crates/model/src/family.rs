//! Model families as data: how a `config.json` becomes a [`crate::Config`], and how the tensors are called.

pub(crate) mod gguf;
mod gpt2;
mod gpt_j;
mod gpt_neo;
mod gpt_neox;
mod json;
mod labels;
mod role;
mod table;
mod to_json;

pub use json::MAX_BYTES as MAX_CONFIG_BYTES;
pub use role::Role;
pub use table::{Entry, Layout, Meaning, roles};

use std::fmt;
use std::str::FromStr;

/// A line of architectures that share one set of tensor names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Family {
    /// GPT-2.
    Gpt2,
    /// GPT-Neo, 125M to 2.7B.
    GptNeo,
    /// GPT-J 6B.
    GptJ,
    /// GPT-NeoX and Pythia.
    GptNeoX,
}

impl Family {
    /// Every family.
    pub const ALL: [Family; 4] = [Family::Gpt2, Family::GptNeo, Family::GptJ, Family::GptNeoX];

    /// `model_type` in `config.json`.
    pub const fn name(self) -> &'static str {
        match self {
            Family::Gpt2 => "gpt2",
            Family::GptNeo => "gpt_neo",
            Family::GptJ => "gptj",
            Family::GptNeoX => "gpt_neox",
        }
    }
}

impl fmt::Display for Family {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// No family of this name is known.
#[derive(Debug, thiserror::Error)]
#[error("unknown architecture `{0}`: gptneo runs gpt2, gpt_neo, gptj and gpt_neox")]
pub struct UnknownFamily(pub String);

impl FromStr for Family {
    type Err = UnknownFamily;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        Self::ALL.into_iter().find(|f| f.name() == name).ok_or_else(|| UnknownFamily(name.to_owned()))
    }
}
