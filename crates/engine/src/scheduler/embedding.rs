//! What a text is to the model, as one vector: the mean over its tokens of what the last layer leaves, after the final norm.
//!
//! Models of this line were not trained to embed; the mean is what is usually made of them. A text is read in pieces, each as long as a step
//! may be, so that generations go on between them. There is one at a time. Its memory is the first that gives way where generations
//! need it: then the text is read again from its beginning.

use gptneo_model::probe::{Activation, Probe};
use gptneo_model::{AdapterId, LanguageModel, Run, SequenceId, Want};

use super::{LOGIT_ROWS, Scheduler};
use crate::error::{EngineError, RequestError};
use crate::score::known;
use crate::track::open;

/// How often a text is read again before there is no room for it.
const RESTARTS: usize = 3;

/// A text on its way.
#[derive(Debug)]
pub(super) struct Embedding {
    tokens: Vec<u32>,
    adapter: Option<AdapterId>,
    sequence: Option<SequenceId>,
    held: usize,
    /// Of the final hidden states so far, `[C]`.
    sums: Vec<f64>,
    restarts: usize,
}

/// Sums the rows of the last activation before the logits.
struct Sum<'a>(&'a mut [f64]);

impl Probe for Sum<'_> {
    fn wants(&mut self, name: &str) -> bool {
        name == "final"
    }

    fn see(&mut self, activation: Activation<'_>) -> bool {
        for row in activation.values.chunks_exact(activation.width) {
            self.0.iter_mut().zip(row).for_each(|(sum, &value)| *sum += f64::from(value));
        }
        false
    }
}

impl Scheduler {
    /// Begins to read a text for its vector, by the model or with an adapter; one that was being read is given up.
    ///
    /// # Errors
    /// No tokens, or more than the context holds; ids that the model does not have; an unknown adapter.
    pub fn begin_embedding(&mut self, tokens: Vec<u32>, adapter: Option<&str>) -> Result<(), EngineError> {
        self.abandon_embedding();
        let adapter = adapter.map(|name| self.adapter(name)).transpose()?;
        let spec = self.model.spec();
        if tokens.is_empty() {
            return Err(RequestError::EmptyPrompt.into());
        }
        if tokens.len() > spec.positions {
            return Err(RequestError::PromptTooLong { prompt: tokens.len(), positions: spec.positions }.into());
        }
        known(&tokens, spec.vocab)?;
        let sums = vec![0.0; spec.width];
        self.embedding = Some(Embedding { tokens, adapter, sequence: None, held: 0, sums, restarts: 0 });
        Ok(())
    }

    /// Reads the next piece of the text; at its end, the mean over its tokens of the final hidden states, `[C]`.
    ///
    /// # Errors
    /// No room in the cache beside what is being served, or no text: it is given up.
    pub fn continue_embedding(&mut self) -> Result<Option<Vec<f32>>, EngineError> {
        let most = self.pace.tokens(self.options.step_time, 0, LOGIT_ROWS);
        let Some(mut embedding) = self.embedding.take() else { return Err(RequestError::EmptyPrompt.into()) };
        if embedding.restarts > RESTARTS {
            return Err(RequestError::TooLargeForCache { tokens: embedding.tokens.len() }.into());
        }
        let piece = most.min(embedding.tokens.len() - embedding.held);
        let growth = [(embedding.sequence, piece)];
        while !self.model.fits(&growth) && self.retained.drop_oldest(self.model.as_mut()) {}
        let outcome = embedding.read(self.model.as_mut(), piece);
        if outcome.is_ok() && embedding.held < embedding.tokens.len() {
            self.embedding = Some(embedding);
            return Ok(None);
        }
        embedding.close(self.model.as_mut());
        outcome?;
        let count = embedding.tokens.len() as f64;
        Ok(Some(embedding.sums.into_iter().map(|sum| (sum / count) as f32).collect()))
    }

    /// Gives up the text that is being read, if there is one.
    pub fn abandon_embedding(&mut self) {
        if let Some(mut embedding) = self.embedding.take() {
            embedding.close(self.model.as_mut());
        }
    }

    /// Frees the memory of the text that is being read; returns whether there was some.
    pub(super) fn restart_embedding(&mut self) -> bool {
        let Some(embedding) = self.embedding.as_mut().filter(|embedding| embedding.sequence.is_some()) else {
            return false;
        };
        embedding.close(self.model.as_mut());
        embedding.held = 0;
        embedding.sums.fill(0.0);
        embedding.restarts += 1;
        true
    }
}

impl Embedding {
    /// Takes `count` more tokens in.
    fn read(&mut self, model: &mut dyn LanguageModel, count: usize) -> Result<(), EngineError> {
        let sequence = match self.sequence {
            Some(sequence) => sequence,
            None => *self.sequence.insert(open(model, self.adapter)?),
        };
        let piece = &self.tokens[self.held..self.held + count];
        let mut logits = Vec::new();
        model.forward_probed(&[Run::tokens(sequence, piece, Want::All)], &mut logits, &mut Sum(&mut self.sums))?;
        self.held += count;
        Ok(())
    }

    fn close(&mut self, model: &mut dyn LanguageModel) {
        if let Some(sequence) = self.sequence.take() {
            model.close(sequence);
        }
    }
}
