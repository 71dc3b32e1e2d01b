//! One continuation being sampled: from rows of logits to tokens, and from tokens to pieces.

use std::time::Instant;

use gptneo_model::LanguageModel;

use crate::emitter::{Emitter, Outlet};
use crate::error::SamplingError;
use crate::form::Guide;
use crate::generation::{Cause, Generation, Piece, Token};
use crate::logits;
use crate::sampler::Sampler;
use crate::task::Terms;
use crate::track::Track;

/// One continuation being sampled.
pub(crate) struct Sample {
    pub(crate) index: usize,
    pub(crate) track: Track,
    /// Tokens that the draft model holds, and where.
    pub(crate) draft: Option<Track>,
    /// Where it stands in its form.
    pub(crate) guide: Option<Guide>,
    emitter: Emitter,
    /// Pieces joined so far.
    out: Piece,
    cause: Option<Cause>,
    first: Option<Instant>,
    latest: Option<Instant>,
    chosen: usize,
}

impl Sample {
    pub(crate) fn new(index: usize, track: Track, outlet: &Outlet, prompt: &[u32]) -> Self {
        Self {
            index,
            track,
            draft: None,
            guide: None,
            emitter: Emitter::new(outlet.clone(), prompt),
            out: Piece::default(),
            cause: None,
            first: None,
            latest: None,
            chosen: 0,
        }
    }

    pub(crate) fn done(&self) -> bool {
        self.cause.is_some()
    }

    /// Before the first token: lets the echoed prompt out, and ends at once where no token is wanted.
    pub(crate) fn begin(&mut self, terms: &Terms) -> Piece {
        self.guide.clone_from(&terms.guide);
        let (mut piece, mut cause) = self.emitter.echo();
        if cause.is_none() {
            cause = terms.full(0);
        }
        if let Some(cause) = cause {
            self.end(cause, &mut piece);
        }
        self.gave(piece)
    }

    /// Chooses tokens after rows of logits: that of the last certain token, and those of the proposed ones. Proposed
    /// tokens stay as long as the choice falls on them.
    pub(crate) fn advance(
        &mut self,
        terms: &Terms,
        rows: &mut [f32],
        sampler: &mut Sampler,
        model: &mut dyn LanguageModel,
        now: Instant,
    ) -> Result<Piece, SamplingError> {
        let certain = self.track.tokens.len() - self.track.proposed;
        let proposed = self.track.tokens.split_off(certain);
        self.track.proposed = 0;
        let mut agreed = certain;
        let mut out = Piece::default();
        for (row, proposed) in rows.chunks_exact_mut(terms.vocab).zip(proposed.iter().map(Some).chain([None])) {
            let piece = self.choose(terms, row, sampler, now)?;
            join(&mut out, piece);
            if self.track.tokens.get(agreed) != proposed || proposed.is_none() {
                break;
            }
            agreed += 1;
            if self.done() {
                break;
            }
        }
        self.track.hold_only(model, agreed);
        Ok(self.gave(out))
    }

    fn choose(
        &mut self,
        terms: &Terms,
        row: &mut [f32],
        sampler: &mut Sampler,
        now: Instant,
    ) -> Result<Piece, SamplingError> {
        let raw = match terms.request.logprobs {
            Some(top) => Some(Raw { sum: logits::log_sum_exp(row)?, top: logits::top(row, top), row: row.to_vec() }),
            None => None,
        };
        let generated = self.track.tokens.len() - terms.prompt.len();
        let mut allowed = None;
        if let Some(guide) = &mut self.guide {
            allowed = guide.next()?;
            if allowed.is_none() {
                let mut piece = Piece::default();
                self.end(Cause::FormComplete, &mut piece);
                return Ok(piece);
            }
        }
        let id = sampler.choose(&terms.choice(&self.track.tokens, self.index, allowed), row)?;
        self.chosen += 1;
        self.first.get_or_insert(now);
        self.latest = Some(now);
        let mut piece = Piece::default();
        if let Some(cause) = terms.end(id, generated) {
            self.end(cause, &mut piece);
            return Ok(piece);
        }
        self.track.tokens.push(id);
        let complete = match &mut self.guide {
            Some(guide) => guide.take(id)?,
            None => false,
        };
        let token = match raw {
            Some(raw) => raw.token(id),
            None => Token { id, offset: 0, logprob: None, top: Vec::new() },
        };
        self.say(terms, token, generated + 1, complete, &mut piece);
        Ok(piece)
    }

    /// Lets a chosen token out, and ends where it is the last; `complete`: nothing may follow it.
    fn say(&mut self, terms: &Terms, token: Token, generated: usize, complete: bool, piece: &mut Piece) {
        let (more, mut cause) = self.emitter.push(token, generated >= terms.request.min_tokens);
        join(piece, more);
        if cause.is_none() {
            cause = if complete { Some(Cause::FormComplete) } else { terms.full(generated) };
        }
        if let Some(cause) = cause {
            self.end(cause, piece);
        }
    }

    /// Says the tokens of a finished beam all at once.
    pub(crate) fn recite(&mut self, terms: &Terms, tokens: Vec<Token>, now: Instant) -> Piece {
        let mut out = self.begin(terms);
        self.first = Some(now);
        self.latest = Some(now);
        self.chosen = tokens.len();
        let mut said = Piece::default();
        for (generated, token) in (0..).zip(tokens) {
            if self.done() {
                break;
            }
            match terms.end(token.id, generated) {
                Some(cause) => self.end(cause, &mut said),
                None => {
                    self.track.tokens.push(token.id);
                    self.say(terms, token, generated + 1, false, &mut said);
                }
            }
        }
        if !self.done() {
            self.end(Cause::MaxTokens, &mut said);
        }
        join(&mut out, self.gave(said));
        out
    }

    /// Ends here, letting out what was held back.
    fn end(&mut self, cause: Cause, piece: &mut Piece) {
        let cut = matches!(cause, Cause::StopString(_) | Cause::Rail { .. });
        self.cause = Some(cause);
        if !cut {
            let (rest, cut) = self.emitter.finish();
            join(piece, rest);
            // What was called off stays so, whatever its last words were.
            if self.cause != Some(Cause::Cancelled) {
                self.cause = cut.or(self.cause.take());
            }
        }
    }

    /// Ends from outside.
    pub(crate) fn cancel(&mut self) -> Piece {
        let mut piece = Piece::default();
        if !self.done() {
            self.end(Cause::Cancelled, &mut piece);
        }
        self.gave(piece)
    }

    fn gave(&mut self, mut piece: Piece) -> Piece {
        piece.sample = self.index;
        self.out.text.push_str(&piece.text);
        self.out.tokens.extend_from_slice(&piece.tokens);
        piece
    }

    /// What came out, once it is done.
    pub(crate) fn generation(&mut self, terms: &Terms) -> Option<Generation> {
        let cause = self.cause.clone()?;
        let out = std::mem::take(&mut self.out);
        Some(Generation {
            sample: self.index,
            text: out.text,
            tokens: out.tokens,
            prompt: if terms.request.echo { terms.prompt_tokens.clone() } else { Vec::new() },
            cause,
            prompt_tokens: terms.prompt.len(),
            beam_score: None,
            timings: terms.clock.timings(self.first, self.latest, self.chosen),
        })
    }
}

/// What the model itself said, before anything changed it.
struct Raw {
    sum: f64,
    top: Vec<(u32, f32)>,
    row: Vec<f32>,
}

impl Raw {
    fn token(self, id: u32) -> Token {
        let logprob = |logit: f32| f64::from(logit) - self.sum;
        let top = self.top.iter().map(|&(id, logit)| (id, logprob(logit))).collect();
        Token { id, offset: 0, logprob: self.row.get(id as usize).map(|&logit| logprob(logit)), top }
    }
}

/// A token with its log-probability under `row`.
pub(crate) fn judged(id: u32, row: &[f32], top: usize) -> Result<Token, SamplingError> {
    Ok(Raw { sum: logits::log_sum_exp(row)?, top: logits::top(row, top), row: row.to_vec() }.token(id))
}

/// Adds `more` to `piece`.
pub(crate) fn join(piece: &mut Piece, more: Piece) {
    piece.text.push_str(&more.text);
    piece.tokens.extend(more.tokens);
}
