//! The tokenizer keys of a GGUF file (`tokenizer.ggml.*`), read and written by the caller.
//!
//! GGUF has no key for normalisation; it is part of what the pre-tokenizer's name means. The names of GPT-NeoX's
//! tokenizer imply NFC, as in the `tokenizer.json` they were made from.

use super::malformed;
use crate::error::{Result, TextError, shown};
use crate::normal::NormalForm;
use crate::pieces::{AddedToken, Pieces, Roles};

const FILE: &str = "GGUF tokenizer";

/// `tokenizer.ggml.token_type`: an ordinary token.
pub(crate) const NORMAL: i32 = 1;
/// `tokenizer.ggml.token_type`: a control token, special here.
pub(crate) const CONTROL: i32 = 3;
/// `tokenizer.ggml.token_type`: an added token that is not special.
pub(crate) const USER_DEFINED: i32 = 4;
/// `tokenizer.ggml.token_type`: an id that no text has.
pub(crate) const UNUSED: i32 = 5;

/// Pre-tokenizer names under which the split is GPT-2's and nothing is normalised.
const AS_GIVEN: [&str; 3] = ["gpt-2", "gpt2", "default"];
/// Pre-tokenizer names under which the split is GPT-2's and text is in NFC: GPT-NeoX's tokenizer and its copies.
const IN_NFC: [&str; 4] = ["olmo", "mpt", "gpt-neox", "gptneox"];

/// The tokenizer of a GGUF file, borrowed from whoever read it. `S` is `String` or `&str`.
#[derive(Clone, Copy, Debug)]
pub struct GgufTokenizer<'a, S = String> {
    /// `tokenizer.ggml.model`: must be `gpt2`.
    pub model: &'a str,
    /// `tokenizer.ggml.pre`; files from before it existed have none, and then GPT-2's is meant.
    pub pre: Option<&'a str>,
    /// `tokenizer.ggml.tokens`, in order of id.
    pub tokens: &'a [S],
    /// `tokenizer.ggml.merges`, `left right`, best first.
    pub merges: &'a [S],
    /// `tokenizer.ggml.token_type`, one for each token.
    pub token_types: Option<&'a [i32]>,
    /// `tokenizer.ggml.bos_token_id`.
    pub bos: Option<u32>,
    /// `tokenizer.ggml.eos_token_id`.
    pub eos: Option<u32>,
    /// `tokenizer.ggml.unknown_token_id`.
    pub unk: Option<u32>,
    /// `tokenizer.ggml.add_space_prefix`; absent is `false`.
    pub add_space_prefix: bool,
    /// `tokenizer.chat_template`.
    pub chat_template: Option<&'a str>,
}

/// The tokenizer to write into a GGUF file; the fields are those of [`GgufTokenizer`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GgufParts {
    /// `tokenizer.ggml.model`.
    pub model: &'static str,
    /// `tokenizer.ggml.pre`.
    pub pre: &'static str,
    /// `tokenizer.ggml.tokens`, in order of id; a hole in the vocabulary is an unused token `[PADid]`.
    pub tokens: Vec<String>,
    /// `tokenizer.ggml.merges`.
    pub merges: Vec<String>,
    /// `tokenizer.ggml.token_type`.
    pub token_types: Vec<i32>,
    /// `tokenizer.ggml.bos_token_id`.
    pub bos: Option<u32>,
    /// `tokenizer.ggml.eos_token_id`.
    pub eos: Option<u32>,
    /// `tokenizer.ggml.unknown_token_id`.
    pub unk: Option<u32>,
    /// `tokenizer.ggml.add_space_prefix`.
    pub add_space_prefix: bool,
    /// `tokenizer.chat_template`.
    pub chat_template: Option<String>,
}

impl GgufParts {
    /// The same, as [`crate::Tokenizer::from_gguf`] takes it.
    pub fn view(&self) -> GgufTokenizer<'_> {
        GgufTokenizer {
            model: self.model,
            pre: Some(self.pre),
            tokens: &self.tokens,
            merges: &self.merges,
            token_types: Some(&self.token_types),
            bos: self.bos,
            eos: self.eos,
            unk: self.unk,
            add_space_prefix: self.add_space_prefix,
            chat_template: self.chat_template.as_deref(),
        }
    }
}

pub(crate) fn pieces<S: AsRef<str>>(parts: &GgufTokenizer<'_, S>) -> Result<Pieces> {
    let unsupported = |what: String| Err(TextError::Unsupported { file: FILE, what: shown(&what) });
    if parts.model != "gpt2" {
        return unsupported(format!("the tokenizer model {:?}", parts.model));
    }
    let normal_forms = match parts.pre {
        None => Vec::new(),
        Some(pre) if AS_GIVEN.contains(&pre) => Vec::new(),
        Some(pre) if IN_NFC.contains(&pre) => vec![NormalForm::Nfc],
        Some(other) => return unsupported(format!("the pre-tokenizer {other:?}")),
    };
    let count = parts.tokens.len();
    if let Some(types) = parts.token_types.filter(|types| types.len() != count) {
        return Err(malformed(FILE, format!("{count} tokens, but {} token types", types.len())));
    }
    let mut pieces = Pieces { normal_forms, prefix_space: parts.add_space_prefix, ..Pieces::default() };
    for (id, token) in parts.tokens.iter().enumerate() {
        let content = token.as_ref();
        let id = u32::try_from(id).map_err(|_| malformed(FILE, "more tokens than ids"))?;
        let ends = parts.bos == Some(id) || parts.eos == Some(id);
        // A file without types says nothing of control tokens, except by their roles.
        match parts.token_types.map_or(if ends { CONTROL } else { NORMAL }, |types| types[id as usize]) {
            UNUSED => {}
            kind @ (CONTROL | USER_DEFINED) => {
                let special = kind == CONTROL;
                let content = content.into();
                pieces.added.push(AddedToken { id, content, special, normalized: !special, ..AddedToken::default() });
            }
            _ => pieces.vocab.push((content.into(), id)),
        }
    }
    for (at, merge) in parts.merges.iter().enumerate() {
        let merge = merge.as_ref();
        let wrong = || malformed(FILE, format!("merge {at} is {merge:?}, but wanted two tokens"));
        let (left, right) = super::two_tokens(merge).ok_or_else(wrong)?;
        pieces.merges.push((left.into(), right.into()));
    }
    let name = |role, id: Option<u32>| match id {
        None => Ok(None),
        Some(id) => match parts.tokens.get(id as usize) {
            Some(token) => Ok(Some(token.as_ref().to_owned())),
            None => Err(TextError::RoleOutsideVocabulary { role, token: format!("id {id}") }),
        },
    };
    pieces.roles = Roles {
        bos: name("bos_token", parts.bos)?,
        eos: name("eos_token", parts.eos)?,
        unk: name("unk_token", parts.unk)?,
    };
    pieces.chat_template = parts.chat_template.map(str::to_owned);
    Ok(pieces)
}
