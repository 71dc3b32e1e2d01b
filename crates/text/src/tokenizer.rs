//! The tokenizer itself: checked once when it is built, then shared and read-only.

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use crate::added::AddedTokens;
use crate::alphabet;
use crate::decode::{self, Special, TextStream};
use crate::encode::{Encoder, MISSING, Scratch};
use crate::error::{Result, TextError, shown};
use crate::fingerprint;
use crate::merges::Merges;
use crate::pieces::{AddedToken, Pieces};
use crate::read;
use crate::read::gguf::{GgufParts, GgufTokenizer};
use crate::vocabulary::Vocabulary;
use crate::write;

/// The token that the reference classes of this line take for beginning, end and unknown unless told otherwise.
pub(crate) const END_OF_TEXT: &str = "<|endoftext|>";

/// Added tokens are searched for by an automaton many times their size.
const ADDED_LIMIT: usize = 1 << 16;
const ADDED_BYTES_LIMIT: usize = 1 << 20;

/// Idle sets of encoding buffers that are kept, up to 5 MiB each.
const SCRATCH_KEPT: usize = 8;

/// A byte-level BPE tokenizer of the GPT-Neo line: strings to ids and back.
///
/// Cloning shares it; encoding from many threads at once is fine.
///
/// ```
/// # fn main() -> Result<(), gptneo_text::TextError> {
/// use gptneo_text::{Special, Tokenizer};
///
/// let vocab = br#"{"h": 0, "i": 1, "hi": 2, "<|endoftext|>": 3}"#;
/// let tokenizer = Tokenizer::from_bpe(vocab, b"h i")?;
/// assert_eq!(tokenizer.encode("hihi<|endoftext|>")?, [2, 2, 3]);
/// assert_eq!(tokenizer.decode(&[2, 3], Special::Skip)?, "hi");
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Tokenizer {
    shared: Arc<Shared>,
}

struct Shared {
    pieces: Pieces,
    vocabulary: Vocabulary,
    encoder: Encoder,
    bos: Option<u32>,
    eos: Option<u32>,
    unk: Option<u32>,
    scratch: Mutex<Vec<Scratch>>,
}

impl std::fmt::Debug for Tokenizer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Tokenizer").field("vocab_size", &self.vocab_size()).finish_non_exhaustive()
    }
}

impl Tokenizer {
    /// The tokenizer in a model directory of the Hugging Face layout: `tokenizer.json`, or else `vocab.json` with
    /// `merges.txt`, `added_tokens.json` and `special_tokens_map.json`; with either, `tokenizer_config.json` and
    /// `chat_template.jinja`.
    ///
    /// # Errors
    /// [`TextError::NoTokenizer`] if there is none, [`TextError::Read`], and what [`from_json`](Self::from_json) and
    /// [`from_bpe`](Self::from_bpe) refuse.
    pub fn open(dir: &Path) -> Result<Self> {
        read::directory::pieces(dir).and_then(Self::build)
    }

    /// From the bytes of a `tokenizer.json`. Its truncation, padding and post-processing are not applied: nothing is
    /// cut and nothing is added behind the caller's back.
    ///
    /// # Errors
    /// Broken or hostile JSON, and any component that this crate would not reproduce exactly.
    pub fn from_json(bytes: &[u8]) -> Result<Self> {
        read::tokenizer_json::pieces(bytes).and_then(Self::build)
    }

    /// From the bytes of a `vocab.json` and a `merges.txt`, split as GPT-2 does; `<|endoftext|>`, if there, is special.
    ///
    /// # Errors
    /// Broken or hostile files, merges that name absent tokens, ids claimed twice.
    pub fn from_bpe(vocab: &[u8], merges: &[u8]) -> Result<Self> {
        let mut pieces = read::bpe_files::pieces(vocab, merges)?;
        read::bpe_files::add_end_of_text(&mut pieces, END_OF_TEXT);
        Self::build(pieces)
    }

    /// From the tokenizer keys of a GGUF file, read by the caller.
    ///
    /// # Errors
    /// A model other than `gpt2`, a pre-tokenizer that is not GPT-2's, and what [`from_bpe`](Self::from_bpe) refuses.
    pub fn from_gguf<S: AsRef<str>>(parts: &GgufTokenizer<'_, S>) -> Result<Self> {
        read::gguf::pieces(parts).and_then(Self::build)
    }

    /// What to write into a GGUF file.
    ///
    /// # Errors
    /// [`TextError::Unsupported`] if the tokenizer has something that those keys cannot say.
    pub fn gguf(&self) -> Result<GgufParts> {
        let Shared { pieces, vocabulary, bos, eos, unk, .. } = &*self.shared;
        write::gguf(pieces, vocabulary, [*bos, *eos, *unk])
    }

    /// A `tokenizer.json` of this tokenizer. The roles and the chat template go into
    /// [`config_json`](Self::config_json).
    pub fn json(&self) -> String {
        write::tokenizer_json(&self.shared.pieces)
    }

    /// A `tokenizer_config.json` of this tokenizer: roles and chat template.
    pub fn config_json(&self) -> String {
        let name = |id: Option<u32>| id.and_then(|id| self.token(id));
        write::config_json(&self.shared.pieces, [name(self.bos()), name(self.eos()), name(self.unk())])
    }

    /// The ids of `text`; nothing is added around it. Added tokens that stand in the text, special ones included,
    /// become their ids, which is what the reference does by default; see [`encode_plain`](Self::encode_plain) for
    /// text that is not trusted.
    ///
    /// # Errors
    /// [`TextError::Unencodable`] for a byte that a pruned vocabulary lacks, [`TextError::WordTooLong`] for a run of
    /// 16 MiB without a word boundary.
    pub fn encode(&self, text: &str) -> Result<Vec<u32>> {
        self.encode_as(text, false)
    }

    /// As [`encode`](Self::encode), but special tokens in the text are text: `<|endoftext|>` becomes seven tokens.
    /// Added tokens that are not special (runs of spaces, in GPT-NeoX) are found all the same.
    ///
    /// # Errors
    /// As [`encode`](Self::encode).
    pub fn encode_plain(&self, text: &str) -> Result<Vec<u32>> {
        self.encode_as(text, true)
    }

    fn encode_as(&self, text: &str, plain: bool) -> Result<Vec<u32>> {
        let Shared { vocabulary, encoder, scratch: idle, .. } = &*self.shared;
        let taken = idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let mut scratch = taken.unwrap_or_else(Scratch::new);
        let mut ids = Vec::with_capacity(text.len() / 4 + 1);
        let outcome = encoder.encode(vocabulary, text, plain, &mut scratch, &mut ids);
        scratch.shrink();
        let mut idle = idle.lock().unwrap_or_else(PoisonError::into_inner);
        if idle.len() < SCRATCH_KEPT {
            idle.push(scratch);
        }
        outcome.map(|()| ids)
    }

    /// The text of `ids`. Bytes that do not form characters become U+FFFD, as in the reference.
    ///
    /// # Errors
    /// [`TextError::UnknownId`] for an id without a token, such as the unused rows of a padded output matrix.
    pub fn decode(&self, ids: &[u32], special: Special) -> Result<String> {
        decode::decode(&self.shared.vocabulary, ids, special)
    }

    /// The true bytes of `ids`, which need not be UTF-8.
    ///
    /// # Errors
    /// As [`decode`](Self::decode).
    pub fn decode_bytes(&self, ids: &[u32], special: Special) -> Result<Vec<u8>> {
        decode::bytes(&self.shared.vocabulary, ids, special)
    }

    /// A decoder that takes ids one at a time.
    pub fn stream(&self, special: Special) -> TextStream {
        TextStream::new(self.clone(), special)
    }

    pub(crate) fn vocabulary(&self) -> &Vocabulary {
        &self.shared.vocabulary
    }

    /// One more than the largest id. A model's output is often wider: its matrix is padded.
    pub fn vocab_size(&self) -> usize {
        self.shared.vocabulary.size()
    }

    /// How many ids have a token: [`vocab_size`](Self::vocab_size) less the holes.
    pub fn token_count(&self) -> usize {
        self.shared.vocabulary.count()
    }

    /// A token as the files spell it: `Ġworld`.
    pub fn token(&self, id: u32) -> Option<&str> {
        self.shared.vocabulary.name(id)
    }

    /// The true bytes of a token: ` world`. One token need not be whole characters.
    pub fn token_bytes(&self, id: u32) -> Option<&[u8]> {
        self.shared.vocabulary.bytes(id)
    }

    /// The id of a token as the files spell it.
    pub fn id_of(&self, token: &str) -> Option<u32> {
        self.shared.vocabulary.id_of(token)
    }

    /// The token that begins a document.
    pub fn bos(&self) -> Option<u32> {
        self.shared.bos
    }

    /// The token that ends a document.
    pub fn eos(&self) -> Option<u32> {
        self.shared.eos
    }

    /// The token for what has none.
    pub fn unk(&self) -> Option<u32> {
        self.shared.unk
    }

    /// Whether `id` is a control token, such as `<|endoftext|>`.
    pub fn is_special(&self, id: u32) -> bool {
        self.shared.vocabulary.is_special(id)
    }

    /// The chat template that came with the tokenizer, as Jinja source. It is never applied unasked.
    pub fn chat_template(&self) -> Option<&str> {
        self.shared.pieces.chat_template.as_deref()
    }

    /// The SHA-256 of what decides the ids of a text: tokens, merges, added tokens, normal forms and flags. Roles and chat
    /// template are not in it, nor is the kind of file it was read from.
    pub fn fingerprint(&self) -> [u8; 32] {
        fingerprint::of(&self.shared.pieces, &self.shared.vocabulary)
    }

    /// Checks the pieces against one another and builds what encoding needs. Every source ends here.
    pub(crate) fn build(pieces: Pieces) -> Result<Self> {
        let mut vocabulary = Vocabulary::default();
        for (token, id) in &pieces.vocab {
            vocabulary.add(token, *id)?;
        }
        let byte_ids = alphabet::CHARS.map(|c| vocabulary.id_of(c.encode_utf8(&mut [0; 4])).unwrap_or(MISSING));
        let unknown = role(&vocabulary, "unk_token", pieces.unknown.as_deref())?;
        let merges = Merges::new(&merge_ids(&vocabulary, &pieces.merges)?);
        check_added(&pieces.added)?;
        for token in &pieces.added {
            vocabulary.add_literal(&token.content, token.id, token.special)?;
        }
        // The content of a token that is matched in normalised text must itself be normalised to be found.
        let forms = &pieces.normal_forms;
        let (normalised, given): (Vec<_>, Vec<_>) = pieces.added.iter().cloned().partition(|token| token.normalized);
        let normalised = normalised
            .into_iter()
            .map(|token| AddedToken { content: crate::normal::normalize(forms, &token.content).into_owned(), ..token });
        let encoder = Encoder {
            as_given: AddedTokens::new(given)?,
            as_normalised: AddedTokens::new(normalised.collect())?,
            normal_forms: pieces.normal_forms.clone(),
            prefix_space: pieces.prefix_space,
            byte_ids,
            unknown,
            fuse_unknown: pieces.fuse_unknown,
            ignore_merges: pieces.ignore_merges,
            merges,
        };
        let usual = vocabulary.id_of(END_OF_TEXT);
        let roles = &pieces.roles;
        let bos = role(&vocabulary, "bos_token", roles.bos.as_deref())?.or(usual);
        let eos = role(&vocabulary, "eos_token", roles.eos.as_deref())?.or(usual);
        let unk = role(&vocabulary, "unk_token", roles.unk.as_deref())?.or(unknown).or(usual);
        let scratch = Mutex::new(Vec::new());
        Ok(Self { shared: Arc::new(Shared { pieces, vocabulary, encoder, bos, eos, unk, scratch }) })
    }
}

fn role(vocabulary: &Vocabulary, role: &'static str, token: Option<&str>) -> Result<Option<u32>> {
    let Some(token) = token else { return Ok(None) };
    let missing = || TextError::RoleOutsideVocabulary { role, token: shown(token) };
    vocabulary.id_of(token).ok_or_else(missing).map(Some)
}

fn merge_ids(vocabulary: &Vocabulary, merges: &[(String, String)]) -> Result<Vec<(u32, u32, u32)>> {
    let mut product = String::new();
    let mut ids = Vec::with_capacity(merges.len());
    for (index, (left, right)) in merges.iter().enumerate() {
        let id = |token: &str| {
            let missing = || TextError::MergeOutsideVocabulary { index, token: shown(token) };
            vocabulary.id_of(token).ok_or_else(missing)
        };
        product.clear();
        product.push_str(left);
        product.push_str(right);
        ids.push((id(left)?, id(right)?, id(&product)?));
    }
    Ok(ids)
}

fn check_added(added: &[AddedToken]) -> Result<()> {
    let too_large =
        |what, found: usize, limit: usize| Err(TextError::TooLarge { what, found: found as u64, limit: limit as u64 });
    let bytes = added.iter().map(|token| token.content.len()).sum();
    if added.len() > ADDED_LIMIT {
        return too_large("added tokens", added.len(), ADDED_LIMIT);
    }
    if bytes > ADDED_BYTES_LIMIT {
        return too_large("bytes of added tokens", bytes, ADDED_BYTES_LIMIT);
    }
    if added.iter().any(|token| token.content.is_empty()) {
        return Err(TextError::Malformed { file: "added tokens", detail: "one of them is empty".into() });
    }
    Ok(())
}
