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
            if let Some(slot) = cache.find(key) {
                slot.append_to(ids);
                return Ok(());
            }
            self.word(vocabulary, &text[start..end], symbols, merge)?;
            ids.extend_from_slice(symbols);
            cache.insert(key, symbols);
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

/// Words of up to 15 bytes that became up to four tokens. It grows with the text, so that a prompt does not pay for what
/// a corpus needs.
struct WordCache {
    slots: Vec<Slot>,
    /// The slot of a word is its hash shifted right by this.
    shift: u32,
    filled: usize,
}

#[derive(Clone, Copy)]
#[repr(align(32))]
struct Slot {
    /// The word's bytes, its length in the top byte; 0 is no word.
    key: u128,
    /// The ids; how many there are stands above the last.
    ids: [u32; 4],
}

const COUNT_SHIFT: u32 = 24;
const _: () = assert!(crate::vocabulary::ID_LIMIT <= 1 << COUNT_SHIFT);

impl Slot {
    const EMPTY: Self = Self { key: 0, ids: [0; 4] };

    fn new(key: u128, ids: &[u32]) -> Option<Self> {
        let mut slot = Self { key, ..Self::EMPTY };
        slot.ids.get_mut(..ids.len())?.copy_from_slice(ids);
        slot.ids[3] |= (ids.len() as u32) << COUNT_SHIFT;
        Some(slot)
    }

    /// Appends the ids: all four at once, and then only as many as there are.
    fn append_to(&self, ids: &mut Vec<u32>) {
        let [a, b, c, last] = self.ids;
        let count = (last >> COUNT_SHIFT) as usize;
        let from = ids.len();
        ids.extend_from_slice(&[a, b, c, last & ((1 << COUNT_SHIFT) - 1)]);
        ids.truncate(from + count);
    }
}

impl WordCache {
    const SMALLEST: u32 = 10;
    /// 4 MiB, which holds the words of most English text.
    const LARGEST: u32 = 17;
    const LONGEST: usize = 15;

    fn new() -> Self {
        Self { slots: vec![Slot::EMPTY; 1 << Self::SMALLEST], shift: 64 - Self::SMALLEST, filled: 0 }
    }

    fn place(&self, key: u128) -> usize {
        let folded = (key as u64) ^ ((key >> 64) as u64).rotate_left(29).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let hash = (folded ^ folded >> 32).wrapping_mul(0xd6e8_feb8_6659_fd93);
        (hash >> self.shift) as usize
    }

    /// The slot of the word, if it is in it.
    fn find(&self, key: u128) -> Option<&Slot> {
        let slot = &self.slots[self.place(key)];
        (slot.key == key).then_some(slot)
    }

    fn insert(&mut self, key: u128, ids: &[u32]) {
        let Some(slot) = Slot::new(key, ids) else { return };
        if self.filled > self.slots.len() / 2 && self.shift > 64 - Self::LARGEST {
            self.shift -= 1;
            let larger = vec![Slot::EMPTY; 2 * self.slots.len()];
            self.filled = 0;
            for slot in std::mem::replace(&mut self.slots, larger).into_iter().filter(|slot| slot.key != 0) {
                self.put(slot);
            }
        }
        self.put(slot);
    }

    fn put(&mut self, slot: Slot) {
        let at = self.place(slot.key);
        self.filled += usize::from(self.slots[at].key == 0);
        self.slots[at] = slot;
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cache_forgets_but_never_lies() {
        let mut cache = WordCache::new();
        let words: Vec<String> = (0..300_000).map(|i| format!("w{i}")).collect();
        let key = |word: &str| WordCache::key(word.as_bytes(), 0, word.len()).unwrap();
        let ids = |i: usize| [i as u32, 7, 1 << 20, 9][..=i % 4].to_vec();
        for (i, word) in words.iter().enumerate() {
            cache.insert(key(word), &ids(i));
        }
        let mut kept = 0;
        for (i, word) in words.iter().enumerate() {
            let mut found = vec![5];
            if let Some(slot) = cache.find(key(word)) {
                slot.append_to(&mut found);
                assert_eq!(found[1..], ids(i));
                kept += 1;
            }
        }
        assert_eq!(cache.slots.len(), 1 << WordCache::LARGEST);
        assert!(kept > 100_000, "{kept}");
    }

    #[test]
    fn a_key_is_the_word_and_nothing_around_it() {
        let key = |text: &str, start, end| WordCache::key(text.as_bytes(), start, end);
        assert_eq!(key("xxabcxxxxxxxxxxxxxxxxxxxxxx", 2, 5), key("abc", 0, 3));
        assert_ne!(key("a", 0, 1), key("a\0", 0, 2));
        assert_eq!(key(&"y".repeat(40), 3, 18), key(&"y".repeat(15), 0, 15));
        assert_eq!(key(&"y".repeat(40), 3, 19), None);
    }
}
