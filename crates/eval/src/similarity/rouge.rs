//! ROUGE: n-grams and subsequences that a summary shares with a target (Lin, 2004).
//!
//! A word is a run of `a-z` and `0-9` in lower case; all else separates. Definition: `rouge-score` 0.1.2 (Google's), held
//! against it in `tests/similarity.rs`. Scores are from 0 to 1 and belong to one document: a corpus has their mean.

use std::collections::HashMap;

use super::error::Result;
use super::grams::Grams;
use super::lcs::Columns;
use super::words::Numbers;
use super::{SimilarityError, bounded, porter};

/// The most additions of 64 bits that a pair of texts may take: some ten seconds.
const MOST_WORK: u64 = 1 << 33;

/// What is compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RougeKind {
    /// `rouge1`: words.
    One,
    /// `rouge2`: pairs of words.
    Two,
    /// `rougeL`: the longest common subsequence of the texts.
    L,
    /// `rougeLsum`: for each line of the target, the words in a longest common subsequence with any line of the prediction.
    /// No word counts more often than either text has it.
    LSum,
}

/// The ROUGE metric. The default stems nothing, as that of `rouge-score`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Rouge {
    /// Whether words of more than 3 letters are reduced to their stems (Porter's, with NLTK's extensions).
    pub stemmed: bool,
}

/// How much of a prediction is in its target and the other way round, from 0 to 1.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct RougeScore {
    /// Shared, of the prediction.
    pub precision: f64,
    /// Shared, of the target.
    pub recall: f64,
    /// Their harmonic mean.
    pub f_measure: f64,
}

impl Rouge {
    /// A score for each of `kinds`.
    ///
    /// # Errors
    /// [`SimilarityError::TooLong`] above [`LONGEST_TEXT`](super::LONGEST_TEXT); [`SimilarityError::TooMuchWork`] for a
    /// subsequence of some 700,000 words with as many, or more.
    pub fn score(&self, kinds: &[RougeKind], target: &str, prediction: &str) -> Result<Vec<RougeScore>> {
        bounded([target, prediction])?;
        let [target, prediction] = [target, prediction].map(str::to_lowercase);
        let mut lexicon = Lexicon { stemmed: self.stemmed, ..Lexicon::default() };
        let target = lexicon.lines(&target);
        let prediction = lexicon.lines(&prediction);
        kinds.iter().map(|kind| kind.score(&target, &prediction)).collect()
    }

    /// For each of `kinds` the score of the target with the best F-measure, the first of equals.
    ///
    /// # Errors
    /// Those of [`score`](Self::score), and [`SimilarityError::NoReference`] without a target.
    pub fn score_best(&self, kinds: &[RougeKind], targets: &[&str], prediction: &str) -> Result<Vec<RougeScore>> {
        let mut best = Vec::new();
        for target in targets {
            let scores = self.score(kinds, target, prediction)?;
            if best.is_empty() {
                best = scores;
                continue;
            }
            for (best, score) in best.iter_mut().zip(scores) {
                if score.f_measure > best.f_measure {
                    *best = score;
                }
            }
        }
        if targets.is_empty() { Err(SimilarityError::NoReference) } else { Ok(best) }
    }
}

impl RougeKind {
    fn score(self, target: &Lines, prediction: &Lines) -> Result<RougeScore> {
        let words = (target.words.len(), prediction.words.len());
        Ok(match self {
            Self::One => grams(target, prediction, 1),
            Self::Two => grams(target, prediction, 2),
            Self::L => RougeScore::of(subsequence(target, prediction)?, words),
            Self::LSum => RougeScore::of(union(target, prediction)?, words),
        })
    }
}

impl RougeScore {
    /// From what is shared, and the sizes of target and prediction.
    fn of(shared: usize, (target, prediction): (usize, usize)) -> Self {
        let precision = shared as f64 / prediction.max(1) as f64;
        let recall = shared as f64 / target.max(1) as f64;
        let f_measure = if precision + recall > 0.0 { 2.0 * precision * recall / (precision + recall) } else { 0.0 };
        Self { precision, recall, f_measure }
    }
}

fn grams(target: &Lines, prediction: &Lines, order: usize) -> RougeScore {
    let [target, prediction] = [target, prediction].map(|lines| Grams::of_words(&lines.words));
    let shared = target.clipped(&[&prediction], order);
    RougeScore::of(shared as usize, (target.count(order) as usize, prediction.count(order) as usize))
}

fn subsequence(target: &Lines, prediction: &Lines) -> Result<usize> {
    let (short, long) = if target.words.len() < prediction.words.len() {
        (&target.words, &prediction.words)
    } else {
        (&prediction.words, &target.words)
    };
    let columns = Columns::new(short);
    affordable(columns.blocks(), target, prediction, long.len())?;
    Ok(columns.length(long))
}

fn union(target: &Lines, prediction: &Lines) -> Result<usize> {
    let columns: Vec<Columns> = prediction.lines().map(Columns::new).collect();
    affordable(columns.iter().map(Columns::blocks).sum(), target, prediction, target.words.len())?;
    let numbers = target.words.iter().chain(&prediction.words).max().map_or(0, |last| *last as usize + 1);
    let mut in_target = vec![0_u32; numbers];
    let mut in_prediction = vec![0_u32; numbers];
    target.words.iter().for_each(|word| in_target[*word as usize] += 1);
    prediction.words.iter().for_each(|word| in_prediction[*word as usize] += 1);
    let mut hits = 0;
    for line in target.lines() {
        let mut marked = vec![false; line.len()];
        for columns in &columns {
            columns.mark(line, &mut marked);
        }
        for (word, _) in line.iter().zip(marked).filter(|(_, marked)| *marked) {
            let word = *word as usize;
            if in_target[word] > 0 && in_prediction[word] > 0 {
                in_target[word] -= 1;
                in_prediction[word] -= 1;
                hits += 1;
            }
        }
    }
    Ok(hits)
}

/// Refuses a table of `rows`, each of so many blocks, that would take hours.
fn affordable(blocks: usize, target: &Lines, prediction: &Lines, rows: usize) -> Result<()> {
    if (blocks as u64).saturating_mul(rows as u64) > MOST_WORK {
        let (target, prediction) = (target.words.len(), prediction.words.len());
        return Err(SimilarityError::TooMuchWork { target, prediction });
    }
    Ok(())
}

/// The words of a text as numbers from 1, and where its lines end.
struct Lines {
    words: Vec<u32>,
    /// Ends of the lines that have words.
    ends: Vec<usize>,
}

impl Lines {
    fn lines(&self) -> impl Iterator<Item = &[u32]> {
        let starts = std::iter::once(0).chain(self.ends.iter().copied());
        starts.zip(&self.ends).map(|(start, end)| &self.words[start..*end])
    }
}

/// Numbers for words, the same for all words of a stem.
#[derive(Default)]
struct Lexicon<'a> {
    stemmed: bool,
    words: Numbers<'a>,
    /// By the number of a word: that of its stem.
    stems: HashMap<u32, u32>,
    by_stem: HashMap<String, u32>,
}

impl<'a> Lexicon<'a> {
    /// Cuts a text that is in lower case already.
    fn lines(&mut self, text: &'a str) -> Lines {
        let mut lines = Lines { words: Vec::new(), ends: Vec::new() };
        for line in text.split('\n') {
            let words = line.split(|c: char| !(c.is_ascii_lowercase() || c.is_ascii_digit()));
            lines.words.extend(words.filter(|word| !word.is_empty()).map(|word| self.number(word)));
            if lines.words.len() > lines.ends.last().copied().unwrap_or(0) {
                lines.ends.push(lines.words.len());
            }
        }
        lines
    }

    fn number(&mut self, word: &'a str) -> u32 {
        let number = self.words.of(word);
        if !self.stemmed {
            return number;
        }
        *self.stems.entry(number).or_insert_with(|| {
            let stem = if word.len() > 3 { porter::stem(word) } else { word.to_owned() };
            *self.by_stem.entry(stem).or_insert(number)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: [RougeKind; 4] = [RougeKind::One, RougeKind::Two, RougeKind::L, RougeKind::LSum];

    #[test]
    fn refuses_what_would_take_hours() {
        let text = "a ".repeat(1 << 20);
        let refused = Rouge::default().score(&[RougeKind::L], &text, &text);
        assert_eq!(refused, Err(SimilarityError::TooMuchWork { target: 1 << 20, prediction: 1 << 20 }));
        let refused = Rouge::default().score(&[RougeKind::LSum], &text, &text);
        assert!(matches!(refused, Err(SimilarityError::TooMuchWork { .. })));
        let refused = Rouge::default().score(&[RougeKind::One], &text.repeat(3), &text.repeat(2));
        assert!(matches!(refused, Err(SimilarityError::TooLong { .. })));
    }

    #[test]
    fn a_long_text_is_all_of_itself() {
        let text: String = (0..20_000).map(|at| format!("w{} x\n", at % 777)).collect();
        let one_line = text.replace('\n', " ");
        for score in Rouge::default().score(&ALL, &one_line, &one_line).unwrap() {
            assert_eq!(score, RougeScore { precision: 1.0, recall: 1.0, f_measure: 1.0 });
        }
    }

    #[test]
    fn a_target_is_needed() {
        assert_eq!(Rouge::default().score_best(&ALL, &[], "a"), Err(SimilarityError::NoReference));
    }
}
