//! TER: edits from a text to its reference, for each word of the reference (Snover et al., 2006).
//!
//! An edit inserts, deletes or replaces a word, or moves a run of words. Shortest sequences with moves are beyond reach:
//! TER is what tercom's greedy search finds, and `sacrebleu` 2.6 has its limits ([`shifts`], [`table`]). Of several references
//! the one with the fewest edits counts, over the mean length of all. Held against `sacrebleu` in `tests/similarity.rs`.

mod normal;
mod shifts;
mod table;

use std::ops::AddAssign;

use super::error::Result;
use super::words::Numbers;
use super::{CorpusMetric, SimilarityError, comparable};

/// The most words of a text: the table takes some 600 bytes for each.
const MOST_WORDS: usize = 1 << 18;

/// The TER metric. The default is that of `sacrebleu`: case is ignored and nothing else.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Ter {
    /// Whether punctuation is set apart and XML's entities are read, for Western languages.
    pub normalized: bool,
    /// Whether punctuation is taken out.
    pub no_punctuation: bool,
    /// Whether what is asked above is also done to Chinese and Japanese.
    pub asian_support: bool,
    /// Whether case matters.
    pub case_sensitive: bool,
}

/// What a document gives to TER.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct TerStatistics {
    /// To the nearest reference.
    pub edits: u64,
    /// The mean length of the references, in words.
    pub reference_len: f64,
}

impl CorpusMetric for Ter {
    type Statistics = TerStatistics;

    /// Also fails with [`SimilarityError::TooManyWords`], above 262,144 of them in one text.
    fn statistics(&self, hypothesis: &str, references: &[&str]) -> Result<TerStatistics> {
        comparable(hypothesis, references)?;
        let hypothesis = self.normal(hypothesis);
        // sacrebleu does it twice to references, which matters for `'s's` and `&amp;lt;`.
        let references: Vec<String> = references.iter().map(|reference| self.normal(&self.normal(reference))).collect();
        let mut numbers = Numbers::default();
        let hypothesis = numbers.of_words(&hypothesis);
        let references: Vec<Vec<u32>> = references.iter().map(|reference| numbers.of_words(reference)).collect();
        for words in references.iter().chain([&hypothesis]).map(Vec::len) {
            if words > MOST_WORDS {
                return Err(SimilarityError::TooManyWords { words, limit: MOST_WORDS });
            }
        }
        let edits = references.iter().map(|reference| shifts::edits(&hypothesis, reference)).min().unwrap_or(0);
        let words: usize = references.iter().map(Vec::len).sum();
        Ok(TerStatistics { edits, reference_len: words as f64 / references.len() as f64 })
    }

    fn score(&self, sum: &TerStatistics) -> f64 {
        if sum.reference_len > 0.0 {
            100.0 * (sum.edits as f64 / sum.reference_len)
        } else if sum.edits > 0 {
            100.0
        } else {
            0.0
        }
    }
}

impl AddAssign for TerStatistics {
    fn add_assign(&mut self, other: Self) {
        self.edits += other.edits;
        self.reference_len += other.reference_len;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_move_is_one_edit() {
        let check = |hypothesis, reference, edits| {
            assert_eq!(Ter::default().statistics(hypothesis, &[reference]).unwrap().edits, edits, "{hypothesis}");
        };
        check("a b c d e", "a b c d e", 0);
        check("d e a b c", "a b c d e", 1);
        check("a b c", "", 3);
        check("", "a b c", 3);
    }

    #[test]
    fn refuses_a_text_of_too_many_words() {
        let long = "a ".repeat(MOST_WORDS + 1);
        let expected = Err(SimilarityError::TooManyWords { words: MOST_WORDS + 1, limit: MOST_WORDS });
        assert_eq!(Ter::default().statistics("a", &[&long]), expected);
        assert_eq!(Ter::default().statistics(&long, &["a"]), expected);
    }
}
