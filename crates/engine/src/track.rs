//! A sequence of tokens, and how much of it the model holds.
//!
//! Prefill, decode, speculation and computing again after a shortage of memory are one thing: tokens that the model
//! does not hold yet are appended, and where they end a choice is made.

use gptneo_model::{LanguageModel, SequenceId};

/// A sequence of tokens, and how much of it the model holds.
#[derive(Debug)]
pub(crate) struct Track {
    /// Certain tokens, then proposed ones.
    pub(crate) tokens: Vec<u32>,
    /// How many at the end are only proposed.
    pub(crate) proposed: usize,
    /// Where the model holds it.
    pub(crate) sequence: Option<SequenceId>,
    /// How many tokens the model holds.
    pub(crate) held: usize,
    /// Waits for memory.
    pub(crate) parked: bool,
}

impl Track {
    pub(crate) fn new(tokens: Vec<u32>) -> Self {
        Self { tokens, proposed: 0, sequence: None, held: 0, parked: false }
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
        Self { tokens: self.tokens.clone(), proposed: 0, sequence, held, parked: false }
    }
}
