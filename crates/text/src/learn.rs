//! A byte-level BPE vocabulary learned from text, split into words as GPT-2 does.
//!
//! The definition: begin with the 256 bytes; as long as there is room, make the pair of adjacent tokens that is most
//! frequent within words a token, everywhere; of equally frequent pairs the one with the smaller ids. What comes out depends
//! on the counts of the words alone, so it does not matter in which order, or on how many threads, they were counted.
//! `tests/tokenizers/learning.rs` compares with the definition read literally, and `fixtures/learned_bpe.py` with the
//! Python package `tokenizers`, which agrees merge for merge.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap, HashSet};

use foldhash::fast::RandomState;

use crate::alphabet;
use crate::error::{Result, TextError};
use crate::pieces::{AddedToken, Pieces, Roles};
use crate::split::{BLOCK, Splitter};
use crate::tokenizer::{END_OF_TEXT, Tokenizer};
use crate::vocabulary::ID_LIMIT;

/// Bytes and end-of-text: the least that a vocabulary has.
const LEAST: u32 = 257;

/// Distinct words and their bytes that are held: some gigabytes of text in any one language have fewer.
const WORDS_LIMIT: usize = 1 << 24;
const BYTES_LIMIT: usize = 1 << 30;

/// How often each word stands in a text.
///
/// ```
/// # fn main() -> Result<(), gptneo_text::TextError> {
/// use gptneo_text::WordCounts;
///
/// let mut counts = WordCounts::new();
/// counts.add("hug pug pun bun hugs")?;
/// let tokenizer = counts.learn(259, 2)?;
/// assert_eq!(tokenizer.token(256), Some("ug"));
/// assert_eq!(tokenizer.eos(), Some(258));
/// # Ok(())
/// # }
/// ```
#[derive(Default)]
pub struct WordCounts {
    counts: HashMap<Box<[u8]>, u64, RandomState>,
    bytes: usize,
    splitter: Splitter,
}

impl std::fmt::Debug for WordCounts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("WordCounts").field("words", &self.words()).finish_non_exhaustive()
    }
}

impl WordCounts {
    /// No words.
    pub fn new() -> Self {
        Self::default()
    }

    /// Distinct words.
    pub fn words(&self) -> usize {
        self.counts.len()
    }

    /// Adds the words of a text.
    ///
    /// # Errors
    /// [`TextError::WordTooLong`] for a run of 16 MiB without a word boundary, [`TextError::TooLarge`] for more distinct
    /// words than are held.
    pub fn add(&mut self, text: &str) -> Result<()> {
        let Self { counts, bytes, splitter } = self;
        splitter.each(text, BLOCK, |start, end| add(counts, bytes, &text.as_bytes()[start..end], 1))
    }

    /// Adds the words that another has counted.
    ///
    /// # Errors
    /// [`TextError::TooLarge`] for more distinct words than are held.
    pub fn absorb(&mut self, other: Self) -> Result<()> {
        other.counts.into_iter().try_for_each(|(word, count)| add(&mut self.counts, &mut self.bytes, &word, count))
    }

    /// Learns a vocabulary of `vocab_size` tokens: the bytes, then what was merged, then `<|endoftext|>`. It comes out
    /// smaller if too few pairs stand `least` times in the text.
    ///
    /// # Errors
    /// [`TextError::VocabSize`] for fewer than 257 tokens or more than four million.
    pub fn learn(&self, vocab_size: u32, least: u64) -> Result<Tokenizer> {
        if !(LEAST..=ID_LIMIT).contains(&vocab_size) {
            return Err(TextError::VocabSize { found: vocab_size, least: LEAST, most: ID_LIMIT });
        }
        let mut learner = Learner::new(self);
        while learner.tokens.len() < vocab_size as usize - 1 && learner.merge_next(least) {}
        let mut vocab: Vec<(String, u32)> =
            learner.tokens.iter().enumerate().map(|(id, bytes)| (alphabet::spell(bytes), id as u32)).collect();
        let spelled = |id: u32| vocab[id as usize].0.clone();
        let merges = learner.merges.iter().map(|&(left, right)| (spelled(left), spelled(right))).collect();
        let end = vocab.len() as u32;
        vocab.push((END_OF_TEXT.to_owned(), end));
        let added = vec![AddedToken { id: end, content: END_OF_TEXT.into(), special: true, ..AddedToken::default() }];
        let named = || Some(END_OF_TEXT.to_owned());
        let roles = Roles { bos: named(), eos: named(), unk: named() };
        Tokenizer::build(Pieces { vocab, merges, added, roles, ..Pieces::default() })
    }
}

fn add(counts: &mut HashMap<Box<[u8]>, u64, RandomState>, bytes: &mut usize, word: &[u8], times: u64) -> Result<()> {
    if let Some(count) = counts.get_mut(word) {
        *count = count.saturating_add(times);
        return Ok(());
    }
    let full = |what, limit: usize| Err(TextError::TooLarge { what, found: limit as u64 + 1, limit: limit as u64 });
    if counts.len() == WORDS_LIMIT {
        return full("distinct words to learn from", WORDS_LIMIT);
    }
    *bytes += word.len();
    if *bytes > BYTES_LIMIT {
        return full("bytes of distinct words to learn from", BYTES_LIMIT);
    }
    counts.insert(word.into(), times);
    Ok(())
}

type Pair = (u32, u32);

/// A pair's count within words, and the words that may have it.
#[derive(Default)]
struct Found {
    count: u64,
    words: Vec<u32>,
}

/// The words as tokens so far.
struct Learner {
    words: Vec<(Vec<u32>, u64)>,
    pairs: HashMap<Pair, Found, RandomState>,
    /// The most frequent first, then the smallest. Counts that fell since are put right when they come up.
    queue: BinaryHeap<(u64, Reverse<Pair>)>,
    tokens: Vec<Vec<u8>>,
    ids: HashMap<Vec<u8>, u32, RandomState>,
    merges: Vec<Pair>,
    listed: HashSet<Pair, RandomState>,
}

impl Learner {
    fn new(counts: &WordCounts) -> Self {
        // Ids of bytes in the order of their characters, as GPT-2 has them.
        let mut order: Vec<u8> = (0..=255).collect();
        order.sort_by_key(|&byte| alphabet::CHARS[usize::from(byte)]);
        let mut ids = [0; 256];
        order.iter().enumerate().for_each(|(id, &byte)| ids[usize::from(byte)] = id as u32);
        let words: Vec<(Vec<u32>, u64)> = counts
            .counts
            .iter()
            .filter(|(word, _)| word.len() > 1)
            .map(|(word, &count)| (word.iter().map(|&byte| ids[usize::from(byte)]).collect(), count))
            .collect();
        let mut pairs: HashMap<Pair, Found, RandomState> = HashMap::default();
        for (at, (word, count)) in words.iter().enumerate() {
            for pair in word.windows(2) {
                let found = pairs.entry((pair[0], pair[1])).or_default();
                found.count += count;
                if found.words.last() != Some(&(at as u32)) {
                    found.words.push(at as u32);
                }
            }
        }
        let queue = pairs.iter().map(|(&pair, found)| (found.count, Reverse(pair))).collect();
        let tokens: Vec<Vec<u8>> = order.iter().map(|&byte| vec![byte]).collect();
        let ids = tokens.iter().enumerate().map(|(id, token)| (token.clone(), id as u32)).collect();
        Self { words, pairs, queue, tokens, ids, merges: Vec::new(), listed: HashSet::default() }
    }

    /// Merges the pair whose turn it is; `false` if none stands `least` times.
    fn merge_next(&mut self, least: u64) -> bool {
        let pair = loop {
            let Some((count, Reverse(pair))) = self.queue.pop() else { return false };
            let now = self.pairs.get(&pair).map_or(0, |found| found.count);
            if count != now {
                // It fell: back to its true place.
                if now > 0 {
                    self.queue.push((now, Reverse(pair)));
                }
                continue;
            }
            if count < least.max(1) {
                return false;
            }
            break pair;
        };
        let token = [&self.tokens[pair.0 as usize][..], &self.tokens[pair.1 as usize][..]].concat();
        // Another pair may have spelled the same bytes before.
        let next = self.tokens.len() as u32;
        let id = *self.ids.entry(token.clone()).or_insert(next);
        if id == next {
            self.tokens.push(token);
        }
        // A pair can come back through another spelling of one of its tokens; the list has its rank already.
        if self.listed.insert(pair) {
            self.merges.push(pair);
        }
        let Some(found) = self.pairs.remove(&pair) else { return true };
        let mut risen: Vec<Pair> = Vec::new();
        for at in found.words {
            let (word, count) = &mut self.words[at as usize];
            let merged = merge(word, pair, id);
            if merged.len() == word.len() {
                continue;
            }
            for old in word.windows(2).filter(|old| (old[0], old[1]) != pair) {
                if let Some(found) = self.pairs.get_mut(&(old[0], old[1])) {
                    found.count -= *count;
                }
            }
            for new in merged.windows(2) {
                let new = (new[0], new[1]);
                if new == pair {
                    continue;
                }
                let found = self.pairs.entry(new).or_default();
                found.count += *count;
                if new.0 == id || new.1 == id {
                    found.words.push(at);
                    risen.push(new);
                }
            }
            *word = merged;
        }
        risen.sort_unstable();
        risen.dedup();
        for pair in risen {
            let found = self.pairs.get_mut(&pair).expect("counted above");
            found.words.sort_unstable();
            found.words.dedup();
            self.queue.push((found.count, Reverse(pair)));
        }
        true
    }
}

/// The word with the pair made one, from the left.
fn merge(word: &[u32], pair: Pair, id: u32) -> Vec<u32> {
    let mut merged = Vec::with_capacity(word.len());
    let mut at = 0;
    while at < word.len() {
        if at + 1 < word.len() && (word[at], word[at + 1]) == pair {
            merged.push(id);
            at += 2;
        } else {
            merged.push(word[at]);
            at += 1;
        }
    }
    merged
}
