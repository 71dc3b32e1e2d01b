//! What a classifier says of a sequence.
//!
//! The sequence is what the tokenizer makes of the text, nothing before or after it, as transformers feeds its
//! `…ForSequenceClassification`; the row that counts is the last that is no padding ([`Classifier::pooled`]).
//!
//! Held by `tests/engine/classifying.rs`, and against transformers by `fixtures/classifiers.py`.

use gptneo_model::{Classifier, Run, Want};

use crate::error::EngineError;
use crate::logits;
use crate::score::{ScoreError, Subject};
use crate::track::open;

/// What a classifier says of a sequence.
#[derive(Clone, Debug, PartialEq)]
pub struct Classification {
    /// The sequence.
    pub tokens: Vec<u32>,
    /// One for each label, in their order; of a value (regression) that value alone.
    pub logits: Vec<f32>,
    /// Of each label; of a value none.
    pub probabilities: Option<Vec<f64>>,
}

impl Classification {
    /// The likeliest label's place, of equal ones the first; of a value none.
    pub fn label(&self) -> Option<usize> {
        self.probabilities.as_ref()?;
        logits::top(&self.logits, 1).first().map(|&(label, _)| label as usize)
    }
}

/// Classifies token ids.
pub(crate) fn tokens(subject: &mut Subject<'_>, tokens: &[u32]) -> Result<Classification, EngineError> {
    let spec = subject.model.spec();
    let classifier: Classifier = spec.classifier.clone().ok_or(ScoreError::NoClassifier)?;
    if tokens.is_empty() {
        return Err(ScoreError::TooShort { least: 1, found: 0 }.into());
    }
    if tokens.len() > spec.positions {
        return Err(ScoreError::TooLongToClassify { tokens: tokens.len(), positions: spec.positions }.into());
    }
    // What follows the pooled row cannot change it.
    let read = &tokens[..=classifier.pooled(tokens)];
    let sequence = open(subject.model, subject.adapter)?;
    let mut found = Vec::new();
    let outcome = subject.model.forward(&[Run::tokens(sequence, read, Want::Last)], &mut found);
    subject.model.close(sequence);
    outcome?;
    let sum = logits::log_sum_exp(&found)?;
    let probabilities = || found.iter().map(|&logit| (f64::from(logit) - sum).exp()).collect();
    let probabilities = (!classifier.is_value()).then(probabilities);
    Ok(Classification { tokens: tokens.to_vec(), logits: found, probabilities })
}
