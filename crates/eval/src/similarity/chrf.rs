//! chrF and chrF++: an F-score of n-grams of 1 to 6 characters, and of 1 and 2 words (Popović, 2015 and 2017).
//!
//! `F = 5 P R / (4 P + R)`: recall weighs twice. `P` and `R` are means over the orders for which both texts are long enough.
//! Of several references the one with the best F counts. Definition: `sacrebleu` 2.6, held against it in
//! `tests/similarity.rs`.

use std::borrow::Cow;
use std::ops::AddAssign;

use super::error::Result;
use super::grams::Grams;
use super::words::{Numbers, is_space, words};
use super::{CorpusMetric, comparable};

const CHARACTER_ORDERS: usize = 6;
const WORD_ORDERS: usize = 2;
const ORDERS: usize = CHARACTER_ORDERS + WORD_ORDERS;

/// The square of how much more recall weighs.
const BETA_SQUARED: f64 = 4.0;

/// What stands for nothing where zero would divide.
const EPSILON: f64 = 1e-16;

/// Whether words count beside characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ChrfVariant {
    /// chrF: characters alone. The default.
    #[default]
    Characters,
    /// chrF++: words and pairs of words too.
    PlusPlus,
}

/// The chrF metric. The default is that of `sacrebleu`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Chrf {
    /// Which of the two.
    pub variant: ChrfVariant,
    /// Whether case is ignored.
    pub lowercase: bool,
    /// Whether white space counts as characters.
    pub whitespace: bool,
    /// Whether every order counts, the impossible ones with next to nothing, and the F-scores are averaged, as in Popović's
    /// own program.
    pub epsilon_smoothing: bool,
}

/// What a document gives to chrF.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ChrfStatistics {
    /// For 1 to 6 characters, then 1 and 2 words.
    orders: [Order; ORDERS],
}

/// N-grams of one order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Order {
    /// Of the hypothesis; 0 where the reference has none.
    hypothesis: u64,
    reference: u64,
    matches: u64,
}

/// The n-grams of a text.
struct Text {
    characters: Grams,
    words: Option<Grams>,
}

impl Chrf {
    fn orders(&self) -> usize {
        match self.variant {
            ChrfVariant::Characters => CHARACTER_ORDERS,
            ChrfVariant::PlusPlus => ORDERS,
        }
    }

    fn cased<'a>(&self, text: &'a str) -> Cow<'a, str> {
        if self.lowercase { Cow::Owned(text.to_lowercase()) } else { Cow::Borrowed(text) }
    }

    fn text<'a>(&self, text: &'a str, numbers: &mut Numbers<'a>) -> Text {
        let characters = if self.whitespace {
            Grams::of_characters(text.chars())
        } else {
            Grams::of_characters(text.chars().filter(|c| !is_space(*c)))
        };
        let words = (self.variant == ChrfVariant::PlusPlus).then(|| {
            let apart: Vec<u32> =
                words(text).flat_map(apart).filter(|part| !part.is_empty()).map(|part| numbers.of(part)).collect();
            Grams::of_words(&apart)
        });
        Text { characters, words }
    }

    fn score(&self, orders: &[Order; ORDERS]) -> f64 {
        let (mut precisions, mut recalls, mut scores, mut possible) = (0.0, 0.0, 0.0, 0.0);
        for order in &orders[..self.orders()] {
            let share = |of: u64| if of > 0 { order.matches as f64 / of as f64 } else { EPSILON };
            let (precision, recall) = (share(order.hypothesis), share(order.reference));
            let weighed = BETA_SQUARED * precision + recall;
            scores += if weighed > 0.0 { (1.0 + BETA_SQUARED) * precision * recall / weighed } else { EPSILON };
            if order.hypothesis > 0 && order.reference > 0 {
                precisions += precision;
                recalls += recall;
                possible += 1.0;
            }
        }
        if self.epsilon_smoothing {
            return 100.0 * scores / self.orders() as f64;
        }
        if precisions + recalls == 0.0 {
            return 0.0;
        }
        let (precision, recall) = (precisions / possible, recalls / possible);
        100.0 * (1.0 + BETA_SQUARED) * precision * recall / (BETA_SQUARED * precision + recall)
    }
}

impl CorpusMetric for Chrf {
    type Statistics = ChrfStatistics;

    fn statistics(&self, hypothesis: &str, references: &[&str]) -> Result<ChrfStatistics> {
        comparable(hypothesis, references)?;
        let hypothesis = self.cased(hypothesis);
        let references: Vec<Cow<str>> = references.iter().map(|reference| self.cased(reference)).collect();
        let mut numbers = Numbers::default();
        let hypothesis = self.text(&hypothesis, &mut numbers);
        let mut best = (f64::NEG_INFINITY, ChrfStatistics::default());
        for reference in &references {
            let orders = hypothesis.compared(&self.text(reference, &mut numbers));
            let score = self.score(&orders);
            if score > best.0 {
                best = (score, ChrfStatistics { orders });
            }
        }
        Ok(best.1)
    }

    fn score(&self, sum: &ChrfStatistics) -> f64 {
        self.score(&sum.orders)
    }
}

impl Text {
    fn compared(&self, reference: &Self) -> [Order; ORDERS] {
        let order = |hypothesis: &Grams, reference: &Grams, order: usize| {
            let in_reference = reference.count(order);
            Order {
                hypothesis: if in_reference > 0 { hypothesis.count(order) } else { 0 },
                reference: in_reference,
                matches: hypothesis.clipped(&[reference], order),
            }
        };
        std::array::from_fn(|at| match (&self.words, &reference.words) {
            _ if at < CHARACTER_ORDERS => order(&self.characters, &reference.characters, at + 1),
            (Some(hypothesis), Some(reference)) => order(hypothesis, reference, at + 1 - CHARACTER_ORDERS),
            _ => Order::default(),
        })
    }
}

impl AddAssign for ChrfStatistics {
    fn add_assign(&mut self, other: Self) {
        for (sum, order) in self.orders.iter_mut().zip(other.orders) {
            sum.hypothesis += order.hypothesis;
            sum.reference += order.reference;
            sum.matches += order.matches;
        }
    }
}

/// A word with one mark of ASCII punctuation taken off: the last, else the first. The rest may be empty.
fn apart(word: &str) -> [&str; 2] {
    let mut characters = word.char_indices();
    let (Some((_, first)), Some((at, last))) = (characters.next(), characters.next_back()) else {
        return [word, ""];
    };
    let (before, after) = if last.is_ascii_punctuation() {
        word.split_at(at)
    } else if first.is_ascii_punctuation() {
        word.split_at(first.len_utf8())
    } else {
        (word, "")
    };
    [before, after]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_one_mark_off_a_word() {
        let check = |word, expected: [&str; 2]| assert_eq!(apart(word), expected, "{word}");
        check("(hi)", ["(hi", ")"]);
        check("(hi", ["(", "hi"]);
        check("hi", ["hi", ""]);
        check(".", [".", ""]);
        check("..", [".", "."]);
        check("é。", ["é。", ""]);
    }

    #[test]
    fn no_documents_score_nothing() {
        assert_eq!(CorpusMetric::score(&Chrf::default(), &ChrfStatistics::default()), 0.0);
    }
}
