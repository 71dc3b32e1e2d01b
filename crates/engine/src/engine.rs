//! The front door: one request at a time, and scores.

use std::ops::ControlFlow;
use std::sync::Arc;

use gptneo_model::{LanguageModel, Spec};
use gptneo_text::{Special, Tokenizer};

use crate::error::{EngineError, RequestError};
use crate::generation::{Generation, Piece};
use crate::rail::Rail;
use crate::request::Request;
use crate::scheduler::{Event, Scheduler, SchedulerOptions};
use crate::score::{self, Likelihood, Score, ScoreError};

/// A model, its tokenizer and the rails that every request passes.
pub struct Engine {
    scheduler: Scheduler,
}

impl Engine {
    /// Serves `model`; without a tokenizer prompts are token ids and no text comes out.
    pub fn new(model: Box<dyn LanguageModel>, tokenizer: Option<Tokenizer>) -> Self {
        Self::with_rails(model, tokenizer, Vec::new(), SchedulerOptions::default())
    }

    /// As [`Engine::new`], with rails that every request passes.
    pub fn with_rails(
        model: Box<dyn LanguageModel>,
        tokenizer: Option<Tokenizer>,
        rails: Vec<Arc<dyn Rail>>,
        options: SchedulerOptions,
    ) -> Self {
        Self { scheduler: Scheduler::new(model, tokenizer, rails, options) }
    }

    /// Gives it a draft model with the same tokenizer, for [`crate::Speculation::Draft`].
    ///
    /// # Errors
    /// A vocabulary of another size.
    pub fn with_draft(self, draft: Box<dyn LanguageModel>) -> Result<Self, EngineError> {
        Ok(Self { scheduler: self.scheduler.with_draft(draft)? })
    }

    /// What the model is.
    pub fn spec(&self) -> &Spec {
        self.scheduler.spec()
    }

    /// The model's tokenizer.
    pub fn tokenizer(&self) -> Option<&Tokenizer> {
        self.scheduler.tokenizer()
    }

    /// Hands over to continuous batching.
    pub fn into_scheduler(self) -> Scheduler {
        self.scheduler
    }

    /// Continues the prompt. `on_piece` is given text as it becomes certain, and calls the request off by breaking.
    /// Returns one generation per sample, in their order.
    ///
    /// # Errors
    /// What is wrong with the request, or went wrong in the model. A request that was called off is no error.
    pub fn generate(
        &mut self,
        request: Request,
        on_piece: &mut dyn FnMut(&Piece) -> ControlFlow<()>,
    ) -> Result<Vec<Generation>, EngineError> {
        let ticket = self.scheduler.submit(request)?;
        let mut finished = Vec::new();
        let mut going = true;
        loop {
            for (_, event) in self.scheduler.step() {
                match event {
                    Event::Piece(piece) if going => going = on_piece(&piece).is_continue(),
                    Event::Piece(_) => {}
                    Event::Finished(generation) => finished.push(generation),
                    Event::Failed(error) => return Err(error),
                    Event::Done => {
                        finished.sort_by_key(|generation| generation.sample);
                        return Ok(finished);
                    }
                }
            }
            if !going {
                self.scheduler.cancel(ticket);
            }
        }
    }

    /// Scores token ids, each but the first given those before; with `top` also the `top` largest logits after each.
    ///
    /// # Errors
    /// More ids than the context holds, ids that the model does not have, fewer than two (one with `top`).
    pub fn score_tokens(&mut self, tokens: &[u32], top: Option<usize>) -> Result<Score, EngineError> {
        let mut score = score::tokens(self.scheduler.model(), tokens, top)?;
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
    pub fn score_text(&mut self, text: &str, top: Option<usize>) -> Result<Score, EngineError> {
        let tokenizer = self.scheduler.tokenizer().ok_or(ScoreError::NoTokenizer)?;
        let tokens = tokenizer.encode(text).map_err(|error| ScoreError::Encoding(error.to_string()))?;
        let beginning = self.scheduler.beginning().ok_or(ScoreError::NoBeginning)?;
        let mut score = score::rolling(self.scheduler.model(), beginning, &tokens, top)?;
        score.bytes = Some(text.len());
        Ok(score)
    }

    /// How likely `continuation` is after `context`, both not empty; what the context cannot hold is cut from the left.
    ///
    /// # Errors
    /// Either is empty, or has ids that the model does not have.
    pub fn likelihood(&mut self, context: &[u32], continuation: &[u32]) -> Result<Likelihood, EngineError> {
        score::likelihood(self.scheduler.model(), context, continuation)
    }

    /// The text of ids, without control tokens.
    ///
    /// # Errors
    /// No tokenizer, or an id that it does not know.
    pub fn decode(&self, ids: &[u32]) -> Result<String, EngineError> {
        let tokenizer = self.tokenizer().ok_or(RequestError::NoTokenizer { what: "decoding" })?;
        tokenizer.decode(ids, Special::Skip).map_err(|error| RequestError::Encoding(error.to_string()).into())
    }
}
