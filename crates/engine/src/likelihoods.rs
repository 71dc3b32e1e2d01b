//! Log-likelihoods of many continuations, in few passes through the model.
//!
//! The pairs are put in the order of their tokens, so those that begin alike stand together: choices that share a context, contexts that
//! share examples. A batch of them is a tree of spans. Each level of the tree is one pass, in which every span continues a fork of
//! the span before it, so what several pairs share is computed, and kept in the cache, once. Logits are made only for rows
//! that predict a token of a continuation.
//!
//! Held by `tests/engine/likelihoods.rs`: the same answers as alone, whatever is shared, and every sequence closed.

use std::ops::{ControlFlow, Range};

use gptneo_device::PAGE;
use gptneo_model::{LanguageModel, ModelError, Run, SequenceId, Want};

use crate::error::EngineError;
use crate::logits;
use crate::prefix::common;
use crate::race::largest;
use crate::scheduler::LOGIT_ROWS;
use crate::score::{ScoreError, Subject, known};
use crate::track::open;

/// Tokens of a batch that no other pair of it has: several passes' worth, so that the last one is not left with few rows.
const BATCH_TOKENS: usize = 2048;
/// Pairs in a batch.
const BATCH_PAIRS: usize = 512;

/// A continuation whose likelihood is asked for, and what it follows. Neither may be empty.
#[derive(Clone, Copy, Debug)]
pub struct Pair<'a> {
    /// What is given.
    pub context: &'a [u32],
    /// What is scored.
    pub continuation: &'a [u32],
}

/// How likely a continuation is after a context.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Likelihood {
    /// Summed log-probability of the continuation.
    pub logprob: f64,
    /// Whether each of its tokens is the most probable one.
    pub greedy: bool,
}

impl Likelihood {
    /// Of no tokens.
    const NOTHING: Self = Self { logprob: 0.0, greedy: true };
}

/// A pair as the model reads it.
struct Question {
    /// Its place among the pairs.
    index: usize,
    /// The last tokens of context and continuation, as many as there are positions, and one more.
    tokens: Vec<u32>,
    /// The first row of the input that predicts a token of the continuation.
    first: usize,
    found: Likelihood,
}

impl Question {
    /// As the reference harness cuts it.
    fn new(index: usize, pair: &Pair<'_>, positions: usize) -> Self {
        let mut tokens = [pair.context, pair.continuation].concat();
        tokens.drain(..tokens.len().saturating_sub(positions + 1));
        let first = (tokens.len() - 1).saturating_sub(pair.continuation.len());
        Self { index, tokens, first, found: Likelihood::NOTHING }
    }

    /// What the model is given: the last token is only predicted.
    fn input(&self) -> &[u32] {
        &self.tokens[..self.tokens.len() - 1]
    }
}

/// Tokens that some questions share, after those of the span before.
struct Span {
    /// Which questions, in their order.
    members: Range<usize>,
    /// Which tokens of theirs.
    rows: Range<usize>,
    /// The span before, as an index into the level before.
    parent: Option<usize>,
    /// The first row with logits.
    wanted: usize,
}

pub(crate) fn likelihoods(
    subject: &mut Subject<'_>,
    pairs: &[Pair<'_>],
    answer: &mut dyn FnMut(usize, Likelihood) -> ControlFlow<()>,
) -> Result<(), EngineError> {
    let spec = subject.predicts_tokens()?;
    for pair in pairs {
        let found = pair.context.len().min(pair.continuation.len());
        if found == 0 {
            return Err(ScoreError::TooShort { least: 1, found }.into());
        }
        known(pair.context, spec.vocab)?;
        known(pair.continuation, spec.vocab)?;
    }
    let positions = spec.positions;
    let mut questions: Vec<Question> =
        pairs.iter().enumerate().map(|(index, pair)| Question::new(index, pair, positions)).collect();
    questions.sort_by(|a, b| a.input().cmp(b.input()).then(a.index.cmp(&b.index)));
    let mut most = BATCH_PAIRS;
    let mut at = 0;
    while at < questions.len() {
        let count = batch(subject.model, &questions[at..], most);
        let batch = &mut questions[at..at + count];
        let mut held = Vec::new();
        let outcome = pass_through(subject, batch, &mut held);
        held.drain(..).for_each(|sequence| subject.model.close(sequence));
        match outcome {
            // Room is only estimated: with half as many there is more of it.
            Err(EngineError::Model(error)) if count > 1 && matches!(*error, ModelError::CacheFull { .. }) => {
                most = count / 2;
                batch.iter_mut().for_each(|question| question.found = Likelihood::NOTHING);
                continue;
            }
            outcome => outcome?,
        }
        for question in batch {
            if answer(question.index, question.found).is_break() {
                return Ok(());
            }
        }
        at += count;
    }
    Ok(())
}

/// How many of the questions are answered at once, at most `most`: what the cache has room for even if nothing were shared, and a page is
/// copied for each.
fn batch(model: &dyn LanguageModel, questions: &[Question], most: usize) -> usize {
    let mut tokens = 0;
    let mut growth = Vec::new();
    for (at, question) in questions.iter().enumerate().take(most) {
        let shared = if at == 0 { 0 } else { common(questions[at - 1].input(), question.input()) };
        tokens += question.input().len() - shared;
        growth.push((None, question.input().len() + PAGE));
        if at > 0 && (tokens > BATCH_TOKENS || !model.fits(&growth)) {
            return at;
        }
    }
    questions.len().min(most)
}

/// Level by level; sequences that are open stand in `held`.
fn pass_through(
    subject: &mut Subject<'_>,
    questions: &mut [Question],
    held: &mut Vec<SequenceId>,
) -> Result<(), EngineError> {
    let mut level = spans(questions, 0..questions.len(), 0, None);
    let mut before: Vec<SequenceId> = Vec::new();
    while !level.is_empty() {
        let mut sequences = Vec::with_capacity(level.len());
        for span in &level {
            let sequence = match span.parent {
                None => open(subject.model, subject.adapter)?,
                Some(parent) => subject.model.fork(before[parent], span.rows.start)?,
            };
            held.push(sequence);
            sequences.push(sequence);
        }
        for sequence in before.drain(..) {
            subject.model.close(sequence);
            held.retain(|open| *open != sequence);
        }
        read(subject.model, questions, &level, &sequences)?;
        let mut next = Vec::new();
        for (at, span) in level.iter().enumerate() {
            // Questions that end here stand first.
            let done = span.members.clone().take_while(|&m| questions[m].input().len() == span.rows.end).count();
            next.extend(spans(questions, span.members.start + done..span.members.end, span.rows.end, Some(at)));
        }
        (before, level) = (sequences, next);
    }
    Ok(())
}

/// The spans that begin at row `start` of the questions `members`, which are alike before it and all go on.
fn spans(questions: &[Question], members: Range<usize>, start: usize, parent: Option<usize>) -> Vec<Span> {
    let mut found = Vec::new();
    let mut rest = members;
    while let Some(first) = rest.next() {
        let token = questions[first].tokens[start];
        while rest.start < rest.end && questions[rest.start].tokens[start] == token {
            rest.start += 1;
        }
        let members = first..rest.start;
        // In order, the first and the last differ the most.
        let end = common(questions[first].input(), questions[members.end - 1].input());
        let wanted = questions[members.clone()].iter().map(|question| question.first).min().unwrap_or(end);
        found.push(Span { members, rows: start..end, parent, wanted: wanted.clamp(start, end) });
    }
    found
}

/// Appends the spans of a level to their sequences, and scores what their rows predict.
fn read(
    model: &mut dyn LanguageModel,
    questions: &mut [Question],
    level: &[Span],
    sequences: &[SequenceId],
) -> Result<(), EngineError> {
    let vocab = model.spec().vocab;
    let mut logits = Vec::new();
    let mut begun: Vec<usize> = level.iter().map(|span| span.rows.start).collect();
    let mut from = 0;
    while from < level.len() {
        // As many spans as have their logits in one piece; the last one may be cut.
        let mut runs = Vec::new();
        let mut pieces = Vec::new();
        let mut room = LOGIT_ROWS;
        for (at, span) in level.iter().enumerate().skip(from) {
            if room == 0 {
                break;
            }
            let silent = span.wanted.saturating_sub(begun[at]);
            let end = span.rows.end.min(begun[at] + silent + room);
            let rows = end - begun[at] - silent;
            let tokens = &questions[span.members.start].tokens[begun[at]..end];
            runs.push(Run::tokens(sequences[at], tokens, if rows == 0 { Want::Nothing } else { Want::Tail(rows) }));
            pieces.push((at, end - rows..end));
            room -= rows;
            begun[at] = end;
            if end < span.rows.end {
                break;
            }
            from = at + 1;
        }
        logits.clear();
        model.forward(&runs, &mut logits)?;
        let mut rows = logits.chunks_exact(vocab);
        for (at, wanted) in pieces {
            for (at_row, row) in wanted.zip(&mut rows) {
                predict(&mut questions[level[at].members.clone()], at_row, row)?;
            }
        }
    }
    Ok(())
}

/// Scores the token after row `at` of each question for which it is one of the continuation.
fn predict(questions: &mut [Question], at: usize, row: &[f32]) -> Result<(), EngineError> {
    let sum = logits::log_sum_exp(row)?;
    let (best, _) = largest(row)?;
    for question in questions.iter_mut().filter(|question| question.first <= at) {
        let next = question.tokens[at + 1];
        question.found.logprob += f64::from(row[next as usize]) - sum;
        question.found.greedy &= best == next;
    }
    Ok(())
}
