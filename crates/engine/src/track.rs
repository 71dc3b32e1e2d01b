//! A sequence of tokens, and how much of it the model holds.
//!
//! Prefill, decode, speculation and computing again after a shortage of memory are one thing: tokens that the model
//! does not hold yet are appended, and where they end a choice is made.

use gptneo_model::{AdapterId, LanguageModel, ModelError, SequenceId};

/// A sequence of tokens, and how much of it the model holds.
#[derive(Debug)]
pub(crate) struct Track {
    /// Certain tokens, then proposed ones.
    pub(crate) tokens: Vec<u32>,
    /// How many at the end are only proposed.
    pub(crate) proposed: usize,
    /// What the model applies to every token of it.
    pub(crate) adapter: Option<AdapterId>,
    /// Where the model holds it.
    pub(crate) sequence: Option<SequenceId>,
    /// How many tokens the model holds.
    pub(crate) held: usize,
    /// Waits for memory.
    pub(crate) parked: bool,
}

impl Track {
    pub(crate) fn new(tokens: Vec<u32>) -> Self {
        Self { tokens, proposed: 0, adapter: None, sequence: None, held: 0, parked: false }
    }

    /// Opens it in the model, where it is not.
    pub(crate) fn open(&mut self, model: &mut dyn LanguageModel) -> Result<(), ModelError> {
        if self.sequence.is_none() {
            self.sequence = Some(open(model, self.adapter)?);
        }
        Ok(())
    }

    /// Tokens that the model does not hold.
    pub(crate) fn pending(&self) -> usize {
        self.tokens.len() - self.held
    }

    /// Forgets proposals.
    pub(crate) fn unpropose(&mut self) {
        self.tokens.truncate(self.tokens.len() - self.proposed);
        self.proposed = 0;
    }

    /// Frees what the model holds.
    pub(crate) fn close(&mut self, model: &mut dyn LanguageModel) {
        self.unpropose();
        if let Some(sequence) = self.sequence.take() {
            model.close(sequence);
        }
        self.held = 0;
    }

    /// Cuts what the model holds back to `len` tokens; where it cannot be cut there, it is computed again.
    pub(crate) fn hold_only(&mut self, model: &mut dyn LanguageModel, len: usize) {
        if self.held <= len {
            return;
        }
        let cut = self.sequence.map(|sequence| model.truncate(sequence, len));
        match cut {
            Some(Ok(())) => self.held = len,
            _ => self.close(model),
        }
    }

    /// Another track with the same tokens, sharing what the model holds if it can be shared.
    pub(crate) fn fork(&self, model: &mut dyn LanguageModel) -> Self {
        let sequence = self.sequence.and_then(|sequence| model.fork(sequence, self.held).ok());
        let held = if sequence.is_some() { self.held } else { 0 };
        Self { tokens: self.tokens.clone(), proposed: 0, adapter: self.adapter, sequence, held, parked: false }
    }
}

/// An empty sequence, with an adapter if one is named.
pub(crate) fn open(model: &mut dyn LanguageModel, adapter: Option<AdapterId>) -> Result<SequenceId, ModelError> {
    match adapter {
        Some(adapter) => model.open_adapted(adapter),
        None => Ok(model.open()),
    }
}
