//! Prompts that nobody has asked before, so that no beginning is shared.

use sha2::{Digest, Sha256};

/// What one request asks to be continued.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(untagged)]
pub enum Prompt {
    /// Text.
    Text(String),
    /// Token ids, for models without a tokenizer.
    Tokens(Vec<u32>),
}

/// Numbers drawn from a seed.
pub(super) struct Draw {
    seed: u64,
    count: u64,
}

impl Draw {
    pub(super) fn new(seed: u64) -> Self {
        Self { seed, count: 0 }
    }

    pub(super) fn number(&mut self) -> u64 {
        self.count += 1;
        let digest = Sha256::digest(format!("{} {}", self.seed, self.count));
        digest.iter().take(8).fold(0, |number, &byte| (number << 8) | u64::from(byte))
    }

    /// From 0, to less than 1.
    pub(super) fn fraction(&mut self) -> f64 {
        (self.number() >> 11) as f64 / (1u64 << 53) as f64
    }
}

/// Words that are one token in most vocabularies of English.
const WORDS: [&str; 64] = [
    "the", "of", "and", "to", "in", "a", "is", "that", "for", "it", "was", "on", "with", "as", "be", "at", "by",
    "this", "had", "not", "are", "but", "from", "or", "have", "an", "they", "which", "one", "you", "were", "all",
    "her", "she", "there", "would", "their", "we", "him", "been", "has", "when", "who", "will", "no", "more", "if",
    "out", "so", "up", "said", "what", "its", "about", "than", "into", "them", "can", "only", "other", "time", "new",
    "some", "could",
];

/// `count` prompts of about `length` tokens each, no two alike.
pub fn words(count: usize, length: usize, seed: u64) -> Vec<Prompt> {
    let mut draw = Draw::new(seed);
    let mut one =
        || (0..length.max(1)).map(|_| WORDS[draw.number() as usize % WORDS.len()]).collect::<Vec<_>>().join(" ");
    (0..count).map(|_| Prompt::Text(one())).collect()
}

/// `count` prompts of `length` token ids below `vocab` each.
pub fn ids(count: usize, length: usize, vocab: u32, seed: u64) -> Vec<Prompt> {
    let mut draw = Draw::new(seed);
    let mut one = || (0..length.max(1)).map(|_| (draw.number() % u64::from(vocab.max(1))) as u32).collect();
    (0..count).map(|_| Prompt::Tokens(one())).collect()
}
