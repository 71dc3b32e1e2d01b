//! Prompts and responses, or texts with labels, as the network takes them: each example a sequence of its own length, loss on
//! what is learned alone.
//!
//! Sequence `n` of the run is example `n mod count` of a shuffled order that is another one each epoch. Nothing is padded: a
//! batch is as many rows as its examples have.

use std::ops::Range;

use gptneo_model::training::IGNORE;
use gptneo_text::Example;
use gptneo_text::shards::Permutation;

use crate::data::{Examples, Rows};
use crate::error::TrainError;

/// An example, and what it is called where it has to be named.
pub type Named = (Example, String);

/// Examples to learn from, and to measure on.
#[derive(Debug)]
pub struct Responses {
    train: Vec<Named>,
    held_out: Vec<Named>,
    seed: u64,
    fingerprint: String,
    bytes_per_token: f64,
}

/// What became of examples longer than a sequence.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Cut {
    /// Lost their end.
    pub shortened: usize,
    /// Lost all that was to be learned, and are left out.
    pub dropped: usize,
}

impl Responses {
    /// Examples of at most `sequence` tokens; longer ones lose their end. `fingerprint` is a hash of all of them.
    ///
    /// # Errors
    /// If nothing is left to learn from.
    pub fn new(
        train: Vec<Named>,
        held_out: Vec<Named>,
        sequence: usize,
        seed: u64,
        fingerprint: String,
    ) -> Result<(Self, Cut), TrainError> {
        let mut cut = Cut::default();
        let mut fit = |examples: Vec<Named>| {
            let fits = |(mut example, name): Named| {
                // The last id is a target alone.
                let shortened = example.truncate(sequence.saturating_add(usize::from(example.label().is_none())));
                if example.targets() == 0 {
                    cut.dropped += 1;
                    return None;
                }
                cut.shortened += usize::from(shortened);
                Some((example, name))
            };
            examples.into_iter().filter_map(fits).collect::<Vec<_>>()
        };
        let (train, held_out) = (fit(train), fit(held_out));
        if train.is_empty() {
            return Err(TrainError::Impossible(format!(
                "no example has anything to learn within its first {sequence} tokens: set a larger `data.sequence`"
            )));
        }
        let sum = |of: fn(&Example) -> u64| held_out.iter().map(|(example, _)| of(example)).sum::<u64>() as f64;
        let bytes_per_token = sum(Example::learned_bytes) / sum(|example| example.targets() as u64);
        Ok((Self { train, held_out, seed, fingerprint, bytes_per_token }, cut))
    }

    /// Examples to learn from, and examples to measure on.
    pub fn counts(&self) -> [usize; 2] {
        [self.train.len(), self.held_out.len()]
    }

    fn at(&self, sequence: u64) -> &Named {
        let count = self.train.len() as u64;
        let (epoch, within) = (sequence / count, sequence % count);
        // Seeds are small numbers: spread them, so that epoch 1 of one is not epoch 0 of the next.
        let key = self.seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ epoch;
        &self.train[Permutation::new(count, key).at(within) as usize]
    }
}

impl Examples for Responses {
    fn rows(&self, sequences: Range<u64>) -> Result<Rows, TrainError> {
        let mut rows = Rows::default();
        sequences.for_each(|sequence| push(&mut rows, &self.at(sequence).0));
        Ok(rows)
    }

    fn labelled(&self) -> bool {
        self.train[0].0.label().is_some()
    }

    fn pass(&self) -> Option<u64> {
        Some(self.train.len() as u64)
    }

    fn documents(&self, sequences: Range<u64>, limit: usize) -> Result<Vec<String>, TrainError> {
        let more = (sequences.end - sequences.start).saturating_sub(limit as u64);
        let mut names: Vec<String> = sequences.take(limit).map(|sequence| self.at(sequence).1.clone()).collect();
        if more > 0 {
            names.push(format!("and {more} more"));
        }
        Ok(names)
    }

    fn held_out_windows(&self) -> u64 {
        self.held_out.len() as u64
    }

    fn held_out_rows(&self, index: u64) -> Result<Rows, TrainError> {
        let mut rows = Rows::default();
        push(&mut rows, &self.held_out[index as usize].0);
        Ok(rows)
    }

    fn bytes_per_token(&self) -> f64 {
        self.bytes_per_token
    }

    fn fingerprint(&self) -> String {
        self.fingerprint.clone()
    }
}

/// Adds an example up to the last id that is learned, or all of it with its label at the end.
fn push(rows: &mut Rows, example: &Example) {
    let ids = example.ids();
    if let Some(label) = example.label() {
        let mut targets = vec![IGNORE; ids.len()];
        targets[ids.len() - 1] = label;
        rows.push(ids, &targets);
        return;
    }
    let end = example.learned().last().map_or(0, |range| range.end);
    let mut targets = vec![IGNORE; end - 1];
    for range in example.learned() {
        let learned = range.start.max(1)..range.end;
        targets[learned.start - 1..learned.end - 1].copy_from_slice(&ids[learned]);
    }
    rows.push(&ids[..end - 1], &targets);
}

#[cfg(test)]
mod tests {
    use gptneo_text::{Tokenizer, WordCounts};

    use super::*;

    fn tokenizer() -> Tokenizer {
        WordCounts::new().learn(257, 2).unwrap()
    }

    fn examples(texts: &[(&str, &str)]) -> Vec<Named> {
        let tokenizer = tokenizer();
        let example = |(prompt, response): &(&str, &str)| Example::of_prompt(&tokenizer, prompt, response).unwrap();
        texts.iter().map(|text| (example(text), text.0.to_owned())).collect()
    }

    fn new(train: &[(&str, &str)], held_out: &[(&str, &str)], sequence: usize) -> (Responses, Cut) {
        Responses::new(examples(train), examples(held_out), sequence, 1, "hash".into()).unwrap()
    }

    #[test]
    fn rows_count_what_is_learned_alone() {
        let (responses, cut) = new(&[("ab", "c")], &[("", "xy")], 64);
        assert_eq!(cut, Cut::default());
        let rows = responses.rows(0..1).unwrap();
        let tokenizer = tokenizer();
        let ids = tokenizer.encode("abc").unwrap();
        let batch = rows.batch();
        assert_eq!(batch.ids, ids);
        assert_eq!(batch.targets, [IGNORE, ids[2], tokenizer.eos().unwrap()]);
        assert_eq!((batch.segments, rows.counted()), (&[3][..], 2));
        let held_out = responses.held_out_rows(0).unwrap();
        assert_eq!(held_out.counted(), 2, "y and the end; x has nothing before it");
        assert_eq!(responses.bytes_per_token(), 1.0);
    }

    #[test]
    fn a_label_is_the_target_of_the_last_row() {
        let tokenizer = tokenizer();
        let named = vec![(Example::of_label(&tokenizer, "abcd", 1).unwrap(), "line 1".to_owned())];
        let (responses, cut) = Responses::new(named, Vec::new(), 3, 1, "hash".into()).unwrap();
        assert_eq!(cut, Cut { shortened: 1, dropped: 0 });
        assert!(responses.labelled());
        let rows = responses.rows(0..1).unwrap();
        assert_eq!((rows.batch().targets, rows.counted()), (&[IGNORE, IGNORE, 1][..], 1));
    }

    #[test]
    fn what_is_too_long_loses_its_end_or_is_left_out() {
        let (responses, cut) = new(&[("ab", "cdef"), ("abcdefgh", "i"), ("a", "b")], &[], 4);
        assert_eq!(cut, Cut { shortened: 1, dropped: 1 });
        assert_eq!(responses.counts(), [2, 0]);
        let longest = (0..2).map(|n| responses.rows(n..n + 1).unwrap().batch().ids.len()).max();
        assert_eq!(longest, Some(4));
        let none = Responses::new(examples(&[("abcdef", "g")]), Vec::new(), 4, 1, String::new());
        assert!(matches!(none, Err(TrainError::Impossible(_))));
    }

    #[test]
    fn every_epoch_has_each_example_once_in_an_order_of_its_own() {
        let texts: Vec<String> = (0..50).map(|n| format!("text {n}")).collect();
        let train: Vec<(&str, &str)> = texts.iter().map(|text| (text.as_str(), "x")).collect();
        let (responses, _) = new(&train, &[], 64);
        assert_eq!(responses.pass(), Some(50));
        let epoch = |n: u64| responses.documents(50 * n..50 * (n + 1), 50).unwrap();
        let sorted = |mut names: Vec<String>| {
            names.sort();
            names
        };
        assert_eq!(sorted(epoch(0)), sorted(texts.clone()));
        assert_eq!(sorted(epoch(3)), sorted(texts));
        assert_ne!(epoch(0), epoch(1));
        assert_eq!(responses.documents(0..50, 3).unwrap()[3], "and 47 more");
    }
}
