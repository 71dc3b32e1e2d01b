//! Text to ids.
//!
//! Added tokens are cut out, the rest is normalised, split into words and merged word by word. Words repeat, so a small
//! direct-mapped cache keyed by the whole word (not by a hash of it: the ids must be right) answers most of them.

use crate::added::{AddedTokens, Stretch};
use crate::alphabet;
use crate::error::{Result, TextError};
use crate::merges::{MergeScratch, Merges};
use crate::normal::{NormalForm, normalize};
use crate::split::{BLOCK, Splitter};
use crate::vocabulary::Vocabulary;

/// The byte has no token.
pub(crate) const MISSING: u32 = u32::MAX;

/// All that encoding needs besides the vocabulary.
pub(crate) struct Encoder {
    pub(crate) as_given: AddedTokens,
    pub(crate) as_normalised: AddedTokens,
    pub(crate) normal_forms: Vec<NormalForm>,
    pub(crate) prefix_space: bool,
    pub(crate) byte_ids: [u32; 256],
    pub(crate) unknown: Option<u32>,
    pub(crate) fuse_unknown: bool,
    pub(crate) ignore_merges: bool,
    pub(crate) merges: Merges,
}

impl Encoder {
    /// Appends the ids of `text` to `ids`.
    pub(crate) fn encode(
        &self,
        vocabulary: &Vocabulary,
        text: &str,
        plain: bool,
        scratch: &mut Scratch,
        ids: &mut Vec<u32>,
    ) -> Result<()> {
        self.as_given.cut(text, plain, |stretch| match stretch {
            Stretch::Token(id) => {
                ids.push(id);
                Ok(())
            }
            Stretch::Text(text) => {
                let normalised = normalize(&self.normal_forms, text);
                self.as_normalised.cut(&normalised, plain, |stretch| match stretch {
                    Stretch::Token(id) => {
                        ids.push(id);
                        Ok(())
                    }
                    Stretch::Text(text) if self.prefix_space && !text.starts_with(char::is_whitespace) => {
                        self.words(vocabulary, &format!(" {text}"), scratch, ids)
                    }
                    Stretch::Text(text) => self.words(vocabulary, text, scratch, ids),
                })
            }
        })
    }

    fn words(&self, vocabulary: &Vocabulary, text: &str, scratch: &mut Scratch, ids: &mut Vec<u32>) -> Result<()> {
        let Scratch { splitter, cache, symbols, merge } = scratch;
        splitter.each(text, BLOCK, |start, end| {
            let Some(key) = WordCache::key(text.as_bytes(), start, end) else {
                self.word(vocabulary, &text[start..end], symbols, merge)?;
                ids.extend_from_slice(symbols);
                return Ok(());
            };
            let slot = cache.slot(key);
            if slot.key == key {
                ids.extend(slot.ids.iter().take_while(|&&id| id != MISSING));
                return Ok(());
            }
            self.word(vocabulary, &text[start..end], symbols, merge)?;
            ids.extend_from_slice(symbols);
            slot.fill(key, symbols);
            Ok(())
        })
    }

    /// The ids of one word, in `symbols`.
    fn word(
        &self,
        vocabulary: &Vocabulary,
        word: &str,
        symbols: &mut Vec<u32>,
        merge: &mut MergeScratch,
    ) -> Result<()> {
        symbols.clear();
        if self.ignore_merges
            && let Some(id) = vocabulary.id_of(&alphabet::spell(word.as_bytes()))
        {
            symbols.push(id);
            return Ok(());
        }
        let mut after_unknown = false;
        for &byte in word.as_bytes() {
            let id = self.byte_ids[usize::from(byte)];
            if id != MISSING {
                symbols.push(id);
                after_unknown = false;
                continue;
            }
            let Some(unknown) = self.unknown else {
                return Err(TextError::Unencodable { byte, word: word.chars().take(40).collect() });
            };
            if !(self.fuse_unknown && after_unknown) {
                symbols.push(unknown);
            }
            after_unknown = true;
        }
        self.merges.apply(symbols, merge);
        Ok(())
    }
}

/// Buffers and the word cache of one encoding thread.
pub(crate) struct Scratch {
    splitter: Splitter,
    cache: WordCache,
    symbols: Vec<u32>,
    merge: MergeScratch,
}

impl Scratch {
    pub(crate) fn new() -> Self {
        Self {
            splitter: Splitter::default(),
            cache: WordCache::new(),
            symbols: Vec::new(),
            merge: MergeScratch::default(),
        }
    }

    /// Gives back what an unusually long word took.
    pub(crate) fn shrink(&mut self) {
        self.splitter.shrink();
        if self.symbols.capacity() > 4 * BLOCK {
            self.symbols = Vec::new();
            self.merge = MergeScratch::default();
        }
    }
}

/// Words of up to 15 bytes that became up to four tokens.
struct WordCache {
    slots: Vec<Slot>,
}

#[derive(Clone, Copy)]
struct Slot {
    /// The word's bytes, its length in the top byte; 0 is no word.
    key: u128,
    ids: [u32; 4],
}

impl Slot {
    fn fill(&mut self, key: u128, ids: &[u32]) {
        if ids.len() <= self.ids.len() {
            self.key = key;
            self.ids = [MISSING; 4];
            self.ids[..ids.len()].copy_from_slice(ids);
        }
    }
}

impl WordCache {
    const BITS: u32 = 15;
    const LONGEST: usize = 15;

    fn new() -> Self {
        Self { slots: vec![Slot { key: 0, ids: [0; 4] }; 1 << Self::BITS] }
    }

    fn slot(&mut self, key: u128) -> &mut Slot {
        let folded = (key as u64) ^ ((key >> 64) as u64).rotate_left(29).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let hash = (folded ^ folded >> 32).wrapping_mul(0xd6e8_feb8_6659_fd93);
        &mut self.slots[(hash >> (64 - Self::BITS)) as usize]
    }

    /// The word itself as a number, if it is short enough.
    fn key(text: &[u8], start: usize, end: usize) -> Option<u128> {
        let len = end - start;
        if len > Self::LONGEST {
            return None;
        }
        let word = match text.get(start..start + 16) {
            // One load and a mask; the copy below is only for the end of the text.
            Some(sixteen) => {
                let sixteen = u128::from_le_bytes(sixteen.try_into().expect("sixteen bytes"));
                sixteen & ((1 << (8 * len)) - 1)
            }
            None => {
                let mut bytes = [0; 16];
                bytes[..len].copy_from_slice(&text[start..end]);
                u128::from_le_bytes(bytes)
            }
        };
        Some(word | (len as u128) << 120)
    }
}
