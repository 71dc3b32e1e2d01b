//! What a text is to the model, as one vector: the mean over its tokens of what the last layer leaves, after the final norm.
//!
//! Models of this line were not trained to embed; the mean is what is usually made of them.

use gptneo_model::probe::{Activation, Probe};
use gptneo_model::{Run, Want};

use super::{LOGIT_ROWS, Scheduler};
use crate::error::{EngineError, RequestError};
use crate::score::known;
use crate::track::open;

/// Sums the rows of the last activation before the logits.
struct Sum(Vec<f64>);

impl Probe for Sum {
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
    /// The mean over `tokens` of the final hidden states, `[C]`, by the model or with an adapter.
    ///
    /// # Errors
    /// No tokens, or more than the context holds; ids that the model does not have; an unknown adapter; no room in the cache
    /// beside what is being served.
    pub fn embed(&mut self, tokens: &[u32], adapter: Option<&str>) -> Result<Vec<f32>, EngineError> {
        let adapter = adapter.map(|name| self.adapter(name)).transpose()?;
        let spec = self.model.spec();
        if tokens.is_empty() {
            return Err(RequestError::EmptyPrompt.into());
        }
        if tokens.len() > spec.positions {
            return Err(RequestError::PromptTooLong { prompt: tokens.len(), positions: spec.positions }.into());
        }
        known(tokens, spec.vocab)?;
        let mut sum = Sum(vec![0.0; spec.width]);
        while !self.model.fits(&[(None, tokens.len())]) && self.retained.drop_oldest(self.model.as_mut()) {}
        let sequence = open(self.model.as_mut(), adapter)?;
        let mut logits = Vec::new();
        let outcome = tokens.chunks(LOGIT_ROWS).try_for_each(|piece| {
            logits.clear();
            self.model.forward_probed(&[Run::tokens(sequence, piece, Want::All)], &mut logits, &mut sum)
        });
        self.model.close(sequence);
        outcome?;
        Ok(sum.0.into_iter().map(|sum| (sum / tokens.len() as f64) as f32).collect())
    }
}
