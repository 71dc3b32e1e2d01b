//! The front door: one request at a time, and scores.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::sync::Arc;

use gptneo_model::{Adapter, LanguageModel, Spec};
use gptneo_text::{Special, Tokenizer};

use crate::error::{EngineError, RequestError};
use crate::generation::{Generation, Piece};
use crate::likelihoods::Likelihood;
use crate::rail::Rail;
use crate::request::Request;
use crate::scheduler::{Event, Scheduler, SchedulerOptions, Ticket};
use crate::score::Score;
use crate::scorer::Scorer;

/// Requests of [`Engine::generate_many`] that are served or wait at once.
const IN_FLIGHT: usize = 128;

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

    /// The token that stands before everything: the model's BOS, else its EOS.
    pub fn beginning(&self) -> Option<u32> {
        self.scheduler.beginning()
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

    /// Serves many requests at once, and tells `done` of each, by its place among them, when all its samples have ended, in no certain
    /// order; breaking calls off the rest.
    ///
    /// # Errors
    /// What is wrong with the first request that is; those before it are called off.
    pub fn generate_many(
        &mut self,
        requests: impl IntoIterator<Item = Request>,
        done: &mut dyn FnMut(usize, Result<Vec<Generation>, EngineError>) -> ControlFlow<()>,
    ) -> Result<(), EngineError> {
        let mut requests = requests.into_iter().enumerate();
        let mut live: BTreeMap<Ticket, (usize, Vec<Generation>)> = BTreeMap::new();
        let mut outcome = Ok(());
        let mut going = true;
        loop {
            while going && live.len() < IN_FLIGHT {
                let Some((place, request)) = requests.next() else { break };
                match self.scheduler.submit(request) {
                    Ok(ticket) => drop(live.insert(ticket, (place, Vec::new()))),
                    Err(error) => (going, outcome) = (false, Err(error.into())),
                }
            }
            if !going {
                live.keys().for_each(|&ticket| self.scheduler.cancel(ticket));
            }
            if live.is_empty() {
                return outcome;
            }
            for (ticket, event) in self.scheduler.step() {
                let ended = match event {
                    Event::Piece(_) => continue,
                    Event::Finished(generation) => {
                        live.entry(ticket).and_modify(|(_, finished)| finished.push(generation));
                        continue;
                    }
                    Event::Failed(error) => Err(error),
                    Event::Done => Ok(()),
                };
                let Some((place, mut finished)) = live.remove(&ticket) else { continue };
                finished.sort_by_key(|generation| generation.sample);
                going = going && done(place, ended.map(|()| finished)).is_continue();
            }
        }
    }

    /// Takes in an adapter, which requests and scores may name from now on.
    ///
    /// # Errors
    /// If there is one of this name, it was made for another model, or there is no room for it.
    pub fn add_adapter(&mut self, name: &str, adapter: &Adapter) -> Result<(), EngineError> {
        self.scheduler.add_adapter(name, adapter)
    }

    /// Forgets an adapter.
    ///
    /// # Errors
    /// If there is none of this name.
    pub fn remove_adapter(&mut self, name: &str) -> Result<(), EngineError> {
        self.scheduler.remove_adapter(name)
    }

    /// Names of the adapters, in order.
    pub fn adapters(&self) -> impl Iterator<Item = &str> {
        self.scheduler.adapters()
    }

    /// Scores by the model with an adapter, or by the model itself.
    ///
    /// # Errors
    /// If there is no adapter of this name.
    pub fn scorer(&mut self, adapter: Option<&str>) -> Result<Scorer<'_>, EngineError> {
        Scorer::new(&mut self.scheduler, adapter)
    }

    /// [`Scorer::tokens`] by the model itself.
    ///
    /// # Errors
    /// As there.
    pub fn score_tokens(&mut self, tokens: &[u32], top: Option<usize>) -> Result<Score, EngineError> {
        self.scorer(None)?.tokens(tokens, top)
    }

    /// [`Scorer::text`] by the model itself.
    ///
    /// # Errors
    /// As there.
    pub fn score_text(&mut self, text: &str, top: Option<usize>) -> Result<Score, EngineError> {
        self.scorer(None)?.text(text, top)
    }

    /// [`Scorer::likelihood`] by the model itself.
    ///
    /// # Errors
    /// As there.
    pub fn likelihood(&mut self, context: &[u32], continuation: &[u32]) -> Result<Likelihood, EngineError> {
        self.scorer(None)?.likelihood(context, continuation)
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
