//! Log-probabilities of text that is already there.
//!
//! A row of logits is looked at and dropped, at most 128 at a time, so memory stays small however long the text is.
//! Sums are f64 over the model's f32 logits. Text longer than the context is scored in disjoint rolling windows as the
//! lm-evaluation-harness does (`loglikelihood_rolling`): the first window predicts as many tokens as the context holds
//! from the beginning-of-sequence token on; every later one predicts as many that follow, with one token of context,
//! but the last, which is shifted back to fill the context.
//!
//! Held by `tests/engine/scoring.rs`.

use std::ops::Range;

use gptneo_model::{AdapterId, LanguageModel, Run, Spec, Want};

use crate::error::EngineError;
use crate::logits;
use crate::scheduler::LOGIT_ROWS;
use crate::track::open;

/// Tokens that only fill the cache, in one pass.
const FILL: usize = 512;

/// What cannot be scored.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum ScoreError {
    /// Nothing to score.
    #[error("there is nothing to score: give at least {least} token(s), found {found}")]
    TooShort {
        /// Wanted.
        least: usize,
        /// Found.
        found: usize,
    },
    /// More ids than positions.
    #[error(
        "{tokens} token ids are more than the model's context of {positions}: score them in parts, or give text, which \
         is scored in rolling windows"
    )]
    TooLong {
        /// Ids given.
        tokens: usize,
        /// The model's limit.
        positions: usize,
    },
    /// An id that the model does not have.
    #[error("token id {id} is outside the model's vocabulary of {vocab} (ids 0 to {})", vocab.saturating_sub(1))]
    UnknownToken {
        /// The id.
        id: u32,
        /// V.
        vocab: usize,
    },
    /// No tokenizer.
    #[error("scoring text needs a tokenizer, and this model has none: give token ids")]
    NoTokenizer,
    /// The tokenizer could not encode the text.
    #[error("the text cannot be encoded: {0}")]
    Encoding(String),
    /// Likelihoods of a classifier.
    #[error("the model is a classifier: it tells labels of a text, not how likely the text is")]
    Classifier,
    /// Labels of a language model.
    #[error("the model is a language model: it has no labels to tell of a text")]
    NoClassifier,
    /// A sequence beyond the context, of which a classifier would see a part.
    #[error("{tokens} tokens are more than the classifier's context of {positions}: shorten the text")]
    TooLongToClassify {
        /// Tokens given.
        tokens: usize,
        /// The model's limit.
        positions: usize,
    },
    /// Neither BOS nor EOS.
    #[error("the model names no beginning-of-sequence token for the first token to follow: give token ids")]
    NoBeginning,
}

/// The distribution after one token.
#[derive(Clone, Debug, PartialEq)]
pub struct Position {
    /// `ln(sum(exp(logits)))`.
    pub logsumexp: f64,
    /// The largest logits and their ids, largest first.
    pub top: Vec<(u32, f32)>,
}

/// Log-probabilities of tokens.
#[derive(Clone, Debug, PartialEq)]
pub struct Score {
    /// The tokens.
    pub tokens: Vec<u32>,
    /// Of each token given those before: of text one for each, of token ids one for each but the first.
    pub logprobs: Vec<f64>,
    /// One for each token, if asked for: what may follow it.
    pub positions: Vec<Position>,
    /// Bytes that the scored tokens stand for; `None` without a tokenizer.
    pub bytes: Option<usize>,
}

impl Score {
    /// Summed log-probability.
    pub fn logprob(&self) -> f64 {
        self.logprobs.iter().sum()
    }

    /// Mean negative log-likelihood of a scored token, in nats.
    pub fn nll_per_token(&self) -> f64 {
        -self.logprob() / self.logprobs.len() as f64
    }

    /// `exp(nll_per_token)`.
    pub fn perplexity(&self) -> f64 {
        self.nll_per_token().exp()
    }

    /// Negative log-likelihood in bits, over the UTF-8 bytes of the scored text; `None` without a tokenizer, or where
    /// there are no bytes.
    pub fn bits_per_byte(&self) -> Option<f64> {
        let bytes = self.bytes.filter(|&bytes| bytes > 0)?;
        Some(-self.logprob() / std::f64::consts::LN_2 / bytes as f64)
    }
}

/// Whose log-probabilities they are.
pub(crate) struct Subject<'a> {
    pub(crate) model: &'a mut dyn LanguageModel,
    pub(crate) adapter: Option<AdapterId>,
}

impl Subject<'_> {
    /// Refuses a classifier.
    pub(crate) fn predicts_tokens(&self) -> Result<&Spec, ScoreError> {
        let spec = self.model.spec();
        if spec.classifier.is_some() { Err(ScoreError::Classifier) } else { Ok(spec) }
    }
}

/// Scores token ids, each but the first given those before; with `top` also what may follow each.
pub(crate) fn tokens(subject: &mut Subject<'_>, tokens: &[u32], top: Option<usize>) -> Result<Score, EngineError> {
    let spec = subject.predicts_tokens()?;
    let least = if top.is_some() { 1 } else { 2 };
    if tokens.len() < least {
        return Err(ScoreError::TooShort { least, found: tokens.len() }.into());
    }
    if tokens.len() > spec.positions {
        return Err(ScoreError::TooLong { tokens: tokens.len(), positions: spec.positions }.into());
    }
    known(tokens, spec.vocab)?;
    let mut score = Score { tokens: tokens.to_vec(), logprobs: Vec::new(), positions: Vec::new(), bytes: None };
    let last = if top.is_some() { tokens.len() } else { tokens.len() - 1 };
    rows(subject, &tokens[..last], 0..last, &mut |at, row| {
        let sum = logits::log_sum_exp(row)?;
        if let Some(&next) = tokens.get(at + 1) {
            score.logprobs.push(f64::from(row[next as usize]) - sum);
        }
        if let Some(top) = top {
            score.positions.push(Position { logsumexp: sum, top: logits::top(row, top) });
        }
        Ok(())
    })?;
    Ok(score)
}

/// Scores `tokens` after `beginning`, in rolling windows; with `top` also what may follow each (after the last token:
/// given as many before it as the context holds).
pub(crate) fn rolling(
    subject: &mut Subject<'_>,
    beginning: u32,
    tokens: &[u32],
    top: Option<usize>,
) -> Result<Score, EngineError> {
    if tokens.is_empty() {
        return Err(ScoreError::TooShort { least: 1, found: 0 }.into());
    }
    let spec = subject.predicts_tokens()?;
    known(tokens, spec.vocab)?;
    let positions = spec.positions;
    let mut all = Vec::with_capacity(tokens.len() + 1);
    all.push(beginning);
    all.extend_from_slice(tokens);
    let mut score = Score { tokens: tokens.to_vec(), logprobs: Vec::new(), positions: Vec::new(), bytes: None };
    for window in windows(tokens.len(), positions) {
        let input = &all[window.input.clone()];
        rows(subject, input, window.skipped..input.len(), &mut |at, row| {
            let next = all[window.input.start + at + 1];
            let sum = logits::log_sum_exp(row)?;
            score.logprobs.push(f64::from(row[next as usize]) - sum);
            if let Some(top) = top
                && window.input.start + at > 0
            {
                score.positions.push(Position { logsumexp: sum, top: logits::top(row, top) });
            }
            Ok(())
        })?;
    }
    if let Some(top) = top {
        let input = &all[all.len().saturating_sub(positions)..];
        rows(subject, input, input.len() - 1..input.len(), &mut |_, row| {
            score.positions.push(Position { logsumexp: logits::log_sum_exp(row)?, top: logits::top(row, top) });
            Ok(())
        })?;
    }
    Ok(score)
}

/// One window over the beginning token and the tokens of a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Window {
    /// What the model is given, as indices where 0 is the beginning token and 1 the first of the text.
    pub input: Range<usize>,
    /// How many of these, from the first, predict nothing new.
    pub skipped: usize,
}

impl Window {
    /// The tokens up to the first that is not scored: a context in the sense of [`crate::Pair`].
    pub fn context(&self) -> Range<usize> {
        self.input.start..self.input.start + self.skipped + 1
    }

    /// The tokens that are scored.
    pub fn continuation(&self) -> Range<usize> {
        self.context().end..self.input.end + 1
    }
}

/// The disjoint rolling windows in which a text of `len` tokens is scored by a model of so many positions.
pub fn windows(len: usize, positions: usize) -> Vec<Window> {
    let mut found = Vec::new();
    let mut predicted = 0;
    while predicted < len {
        let end = len.min(predicted + positions);
        // The inputs end one before the last predicted token; index 0 is the beginning token.
        let start = if predicted == 0 { 0 } else { end - positions };
        found.push(Window { input: start..end, skipped: predicted - start });
        predicted = end;
    }
    found
}

pub(crate) fn known(tokens: &[u32], vocab: usize) -> Result<(), ScoreError> {
    match tokens.iter().find(|&&id| id as usize >= vocab) {
        Some(&id) => Err(ScoreError::UnknownToken { id, vocab }),
        None => Ok(()),
    }
}

/// Is given a row and its logits.
type Visit<'a> = dyn FnMut(usize, &[f32]) -> Result<(), EngineError> + 'a;

/// Shows `visit` the rows of logits after the tokens in `wanted`.
fn rows(
    subject: &mut Subject<'_>,
    tokens: &[u32],
    wanted: Range<usize>,
    visit: &mut Visit<'_>,
) -> Result<(), EngineError> {
    let model = &mut *subject.model;
    let sequence = open(model, subject.adapter)?;
    let vocab = model.spec().vocab;
    let mut logits = Vec::new();
    let mut run = || {
        let mut at = 0;
        while at < wanted.end {
            let silent = at < wanted.start;
            let end = if silent { wanted.start.min(at + FILL) } else { wanted.end.min(at + LOGIT_ROWS) };
            let want = if silent { Want::Nothing } else { Want::All };
            logits.clear();
            model.forward(&[Run::tokens(sequence, &tokens[at..end], want)], &mut logits)?;
            for (row, logits) in (at..).zip(logits.chunks_exact(vocab)) {
                visit(row, logits)?;
            }
            at = end;
        }
        Ok(())
    };
    let outcome = run();
    model.close(sequence);
    outcome
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The reference: inputs and predictions as slices of the beginning token and the text.
    fn harness(len: usize, max: usize) -> Vec<(Range<usize>, Range<usize>)> {
        let mut found = vec![(0..len.min(max), 1..len.min(max) + 1)];
        let mut predicted = len.min(max);
        while predicted < len {
            let count = (len - predicted).min(max);
            let end = predicted + count;
            // token_list[i] is index i + 1 here.
            found.push((end - max..end, end - count + 1..end + 1));
            predicted += count;
        }
        found
    }

    #[test]
    fn windows_are_those_of_the_harness() {
        for max in [1, 2, 3, 7, 16] {
            for len in 1..60 {
                let found: Vec<_> =
                    windows(len, max).into_iter().map(|window| (window.input.clone(), window.continuation())).collect();
                assert_eq!(found, harness(len, max), "{len} tokens, context {max}");
            }
        }
    }
}
