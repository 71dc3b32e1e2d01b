//! Scores and labels of text and of token ids, by the model itself or with an adapter.

use std::ops::ControlFlow;

use gptneo_model::AdapterId;
use gptneo_text::Tokenizer;

use crate::classify::{self, Classification};
use crate::error::EngineError;
use crate::likelihoods::{Likelihood, Pair, likelihoods};
use crate::scheduler::Scheduler;
use crate::score::{self, Score, ScoreError, Subject};

/// Scores, borrowed from an [`crate::Engine`].
pub struct Scorer<'a> {
    scheduler: &'a mut Scheduler,
    adapter: Option<AdapterId>,
}

impl<'a> Scorer<'a> {
    pub(crate) fn new(scheduler: &'a mut Scheduler, adapter: Option<&str>) -> Result<Self, EngineError> {
        let adapter = adapter.map(|name| scheduler.adapter(name)).transpose()?;
        Ok(Self { scheduler, adapter })
    }

    fn subject(&mut self) -> Subject<'_> {
        Subject { adapter: self.adapter, model: self.scheduler.model() }
    }

    /// Scores token ids, each but the first given those before; with `top` also the `top` largest logits after each.
    ///
    /// # Errors
    /// More ids than the context holds, ids that the model does not have, fewer than two (one with `top`).
    pub fn tokens(&mut self, tokens: &[u32], top: Option<usize>) -> Result<Score, EngineError> {
        let mut score = score::tokens(&mut self.subject(), tokens, top)?;
        if let Some(tokenizer) = self.scheduler.tokenizer() {
            let bytes = |id: &u32| tokenizer.token_bytes(*id).map_or(0, <[u8]>::len);
            score.bytes = Some(tokens[1..].iter().map(bytes).sum());
        }
        Ok(score)
    }

    /// Scores text, its first token given the model's beginning-of-sequence (else end-of-sequence) token; text beyond
    /// the context in disjoint rolling windows.
    ///
    /// # Errors
    /// No tokenizer, no such token, empty text.
    pub fn text(&mut self, text: &str, top: Option<usize>) -> Result<Score, EngineError> {
        let tokens = self.encode(text)?;
        let beginning = self.scheduler.beginning().ok_or(ScoreError::NoBeginning)?;
        let mut score = score::rolling(&mut self.subject(), beginning, &tokens, top)?;
        score.bytes = Some(text.len());
        Ok(score)
    }

    /// What a classifier says of token ids.
    ///
    /// # Errors
    /// A language model, no ids or more than the context holds, ids that the model does not have.
    pub fn classify_tokens(&mut self, tokens: &[u32]) -> Result<Classification, EngineError> {
        classify::tokens(&mut self.subject(), tokens)
    }

    /// What a classifier says of text.
    ///
    /// # Errors
    /// A language model, no tokenizer, text that is empty or beyond the context.
    pub fn classify_text(&mut self, text: &str) -> Result<Classification, EngineError> {
        let tokens = self.encode(text)?;
        classify::tokens(&mut self.subject(), &tokens)
    }

    fn encode(&self, text: &str) -> Result<Vec<u32>, ScoreError> {
        let tokenizer: &Tokenizer = self.scheduler.tokenizer().ok_or(ScoreError::NoTokenizer)?;
        tokenizer.encode(text).map_err(|error| ScoreError::Encoding(error.to_string()))
    }

    /// How likely `continuation` is after `context`, both not empty; what the context cannot hold is cut from the left.
    ///
    /// # Errors
    /// Either is empty, or has ids that the model does not have.
    pub fn likelihood(&mut self, context: &[u32], continuation: &[u32]) -> Result<Likelihood, EngineError> {
        let mut found = None;
        self.likelihoods(&[Pair { context, continuation }], &mut |_, likelihood| {
            found = Some(likelihood);
            ControlFlow::Continue(())
        })?;
        Ok(found.expect("one answer for each pair"))
    }

    /// [`Scorer::likelihood`] of many at once, each told with its place in `pairs` as soon as it is known, in no certain order; breaking
    /// stops. Pairs that begin alike are computed once as far as they do. Each answer is the one that it would have alone, bit for bit
    /// on a CPU.
    ///
    /// # Errors
    /// As [`Scorer::likelihood`], before anything is computed; or what went wrong in the model.
    pub fn likelihoods(
        &mut self,
        pairs: &[Pair<'_>],
        answer: &mut dyn FnMut(usize, Likelihood) -> ControlFlow<()>,
    ) -> Result<(), EngineError> {
        likelihoods(&mut self.subject(), pairs, answer)
    }
}
