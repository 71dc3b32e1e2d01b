//! What every source of a tokenizer reduces to, before it is checked and built.

use crate::normal::NormalForm;

/// A token that is found in the text as it stands, before any merging.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct AddedToken {
    pub(crate) id: u32,
    pub(crate) content: String,
    /// Control tokens: left out of decoded text on request, and plain text to `encode_plain`.
    pub(crate) special: bool,
    /// Found in the normalised text rather than in the text as given.
    pub(crate) normalized: bool,
    /// Only where no word character touches it.
    pub(crate) single_word: bool,
    /// Takes the white space before it along.
    pub(crate) lstrip: bool,
    /// Takes the white space after it along.
    pub(crate) rstrip: bool,
}

/// The tokens with a part to play, by name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Roles {
    pub(crate) bos: Option<String>,
    pub(crate) eos: Option<String>,
    pub(crate) unk: Option<String>,
}

/// A tokenizer as read and not yet believed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Pieces {
    pub(crate) vocab: Vec<(String, u32)>,
    pub(crate) merges: Vec<(String, String)>,
    pub(crate) added: Vec<AddedToken>,
    pub(crate) normal_forms: Vec<NormalForm>,
    /// Put a space before text that does not start with white space.
    pub(crate) prefix_space: bool,
    /// A word that is a token is that token, whatever the merges say.
    pub(crate) ignore_merges: bool,
    /// Stands for bytes that have no token.
    pub(crate) unknown: Option<String>,
    /// One unknown token for a run of such bytes.
    pub(crate) fuse_unknown: bool,
    pub(crate) roles: Roles,
    pub(crate) chat_template: Option<String>,
}
