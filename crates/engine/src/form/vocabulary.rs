//! A tokenizer's vocabulary as a tree of bytes, made once and then read-only.

use std::fmt;
use std::sync::Arc;

use gptneo_text::Tokenizer;
use llguidance::earley::SlicedBiasComputer;
use llguidance::toktrie::{ApproximateTokEnv, INVALID_TOKEN, InferenceCapabilities, TokEnv, TokRxInfo, TokTrie};
use llguidance::{Matcher, ParserFactory};

use super::{Form, compile};

/// Bytes of the longest token that may follow under a form: the tree has room for no longer ones.
const LONGEST_TOKEN: usize = 1000;
/// Most bytes of all tokens together.
const MOST_BYTES: usize = 4_000_000;

/// A vocabulary that forms can be compiled for.
pub(crate) struct Vocabulary {
    factory: ParserFactory,
}

impl fmt::Debug for Vocabulary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Vocabulary({} tokens)", self.factory.tok_env().tok_trie().vocab_size())
    }
}

impl Vocabulary {
    /// The tokens of `tokenizer`, for a model with `vocab` logits. Control tokens, and ids without a token, have no bytes
    /// and never follow.
    ///
    /// # Errors
    /// In words, if the vocabulary is too large.
    pub(crate) fn new(tokenizer: &Tokenizer, vocab: usize) -> Result<Self, String> {
        let words: Vec<Vec<u8>> = (0..vocab as u32).map(|id| bytes(tokenizer, id)).collect();
        let total: usize = words.iter().map(Vec::len).sum();
        if total > MOST_BYTES {
            return Err(format!("the tokens of the vocabulary have {total} bytes, more than {MOST_BYTES}"));
        }
        // Ends are ours: which tokens they are depends on the request.
        let info = TokRxInfo::new(vocab as u32, INVALID_TOKEN);
        let environment: TokEnv = Arc::new(ApproximateTokEnv::new(TokTrie::from(&info, &words)));
        let slices = SlicedBiasComputer::general_slices();
        let factory = ParserFactory::new(&environment, InferenceCapabilities::default(), &slices);
        let mut factory = factory.map_err(|error| compile::words(&error.to_string()))?;
        factory.quiet();
        *factory.limits_mut() = compile::limits();
        Ok(Self { factory })
    }

    /// Compiles a form.
    ///
    /// # Errors
    /// In words, what is wrong with it.
    pub(crate) fn matcher(&self, form: &Form) -> Result<Matcher, String> {
        compile::matcher(&self.factory, form)
    }
}

fn bytes(tokenizer: &Tokenizer, id: u32) -> Vec<u8> {
    let special = tokenizer.is_special(id);
    match tokenizer.token_bytes(id) {
        // The mark sets control tokens apart from text. A token of text that begins with it is in no text of UTF-8.
        Some(bytes) if special && bytes.len() < LONGEST_TOKEN => [&[TokTrie::SPECIAL_TOKEN_MARKER], bytes].concat(),
        Some(bytes)
            if !special && bytes.len() < LONGEST_TOKEN && bytes.first() != Some(&TokTrie::SPECIAL_TOKEN_MARKER) =>
        {
            bytes.to_vec()
        }
        _ => Vec::new(),
    }
}
