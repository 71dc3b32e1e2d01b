//! Ids to text, all at once or one at a time.
//!
//! A token's bytes need not be whole characters. [`TextStream`] gives out text as soon as no later token can change it,
//! and never half a character; the sum of what it gives out is what [`crate::Tokenizer::decode`] gives at once
//! (`a_stream_adds_up_to_decode`).

use crate::error::{Result, TextError};
use crate::tokenizer::Tokenizer;
use crate::vocabulary::Vocabulary;

/// What becomes of control tokens, such as `<|endoftext|>`, in decoded text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Special {
    /// They are spelled out.
    Keep,
    /// They are left out.
    Skip,
}

const REPLACEMENT: char = char::REPLACEMENT_CHARACTER;

pub(crate) fn bytes(vocabulary: &Vocabulary, ids: &[u32], special: Special) -> Result<Vec<u8>> {
    let mut bytes = Vec::with_capacity(ids.len().saturating_mul(4));
    for &id in ids {
        bytes.extend_from_slice(visible(vocabulary, id, special)?);
    }
    Ok(bytes)
}

pub(crate) fn decode(vocabulary: &Vocabulary, ids: &[u32], special: Special) -> Result<String> {
    let bytes = bytes(vocabulary, ids, special)?;
    Ok(String::from_utf8(bytes).unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned()))
}

fn visible(vocabulary: &Vocabulary, id: u32, special: Special) -> Result<&[u8]> {
    let unknown = || TextError::UnknownId { id, vocab_size: vocabulary.size() };
    let bytes = vocabulary.bytes(id).ok_or_else(unknown)?;
    Ok(if special == Special::Skip && vocabulary.is_special(id) { &[] } else { bytes })
}

/// Decodes ids one at a time, in time proportional to their bytes.
#[derive(Clone, Debug)]
pub struct TextStream {
    tokenizer: Tokenizer,
    special: Special,
    /// Bytes that begin a character which has not ended: at most three between calls.
    held: Vec<u8>,
    ready: String,
}

impl TextStream {
    pub(crate) fn new(tokenizer: Tokenizer, special: Special) -> Self {
        Self { tokenizer, special, held: Vec::new(), ready: String::new() }
    }

    /// Takes the next id; returns the text that is now certain, often nothing and never half a character.
    ///
    /// # Errors
    /// [`TextError::UnknownId`] for an id without a token; the stream is as it was before.
    pub fn push(&mut self, id: u32) -> Result<&str> {
        let bytes = visible(self.tokenizer.vocabulary(), id, self.special)?;
        self.held.extend_from_slice(bytes);
        self.ready.clear();
        let mut rest = &self.held[..];
        let unfinished = loop {
            match std::str::from_utf8(rest) {
                Ok(text) => {
                    self.ready.push_str(text);
                    break 0;
                }
                Err(error) => {
                    let (text, after) = rest.split_at(error.valid_up_to());
                    self.ready.push_str(std::str::from_utf8(text).expect("valid up to here"));
                    let Some(wrong) = error.error_len() else { break after.len() };
                    self.ready.push(REPLACEMENT);
                    rest = &after[wrong..];
                }
            }
        };
        self.held.drain(..self.held.len() - unfinished);
        Ok(&self.ready)
    }

    /// How many bytes wait for the rest of their character: 0 to 3.
    pub fn held_bytes(&self) -> usize {
        self.held.len()
    }

    /// Ends the text: U+FFFD if a character never came to its end. The stream is then as new.
    pub fn finish(&mut self) -> &str {
        self.ready.clear();
        if !self.held.is_empty() {
            self.held.clear();
            self.ready.push(REPLACEMENT);
        }
        &self.ready
    }
}
