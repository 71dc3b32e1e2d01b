//! What is looked at between steps: held-out text, tasks, and samples.

use std::time::Instant;

use gptneo_device::train::TrainDevice;
use gptneo_runs::Level;
use gptneo_text::shards::share;

use super::{Scored, Trainer, clock};
use crate::error::TrainError;
use crate::log::Line;
use crate::sample::samples;

impl<D: TrainDevice> Trainer<'_, D> {
    /// Measures held-out text: nats per token, and bits per byte; of a classifier nats and bits per label, and how many of the
    /// labels are right.
    pub(super) fn evaluate(&mut self) -> Result<(), TrainError> {
        let begun = Instant::now();
        let all = self.examples.held_out_windows();
        let taken = match self.recipe.evaluation.sequences {
            0 => all,
            limit => all.min(limit),
        };
        let classifies = self.network.config().classifier.is_some();
        let mut sums = [0.0, 0.0, 0.0];
        for index in share(0..taken, self.ranks.rank() as u64, self.ranks.size() as u64) {
            // Evenly spread over all.
            let window = (u128::from(index) * u128::from(all) / u128::from(taken)) as u64;
            let rows = self.examples.held_out_rows(window)?;
            let batch = rows.batch();
            let found = if classifies {
                let mut right = 0;
                let found = self.network.evaluate_logits(&batch, &mut |row, logits| {
                    right += u32::from(largest(logits) == Some(batch.targets[row]));
                })?;
                sums[2] += f64::from(right);
                found
            } else {
                self.network.evaluate(&batch)?
            };
            sums[0] += found.nll;
            sums[1] += found.counted as f64;
        }
        self.ranks.sum(&mut sums)?;
        let [nll, tokens, right] = sums;
        let bits_per_byte = nll / std::f64::consts::LN_2 / (tokens * self.examples.bytes_per_token());
        self.state.bits_per_byte = Some(bits_per_byte);
        let scores = classifies.then(|| ("accuracy".to_owned(), right / tokens)).into_iter().collect();
        let (step, clock) = (self.state.step, clock(begun, Some(tokens as u64)));
        self.write(&Line::Evaluation { step, loss: nll / tokens, bits_per_byte, tokens: tokens as u64, scores, clock })
    }

    /// Has the tasks of the recipe measured. Only rank 0 does, on a copy of the weights; it is not stopped halfway, so that a run that
    /// goes on has every measurement once.
    pub(super) fn measure_tasks(&mut self) -> Result<(), TrainError> {
        if self.ranks.rank() != 0 {
            return Ok(());
        }
        // Copies to be saved and copies to be measured are never held at once.
        self.settle();
        let Some(scores) = &mut self.scores else { return Ok(()) };
        let begun = Instant::now();
        let weights = self.network.snapshot()?;
        let Scored { scores, notes } = scores(&weights)?;
        let (step, clock) = (self.state.step, clock(begun, None));
        notes.iter().for_each(|note| self.say(Level::Warning, note.clone()));
        self.write(&Line::Eval { step, scores, notes, clock })
    }

    /// Lets the model write. Only rank 0 does, on a device of its own.
    pub(super) fn sample(&mut self) -> Result<(), TrainError> {
        if self.ranks.rank() != 0 {
            return Ok(());
        }
        // Copies to be saved and copies to be sampled from are never held at once.
        self.settle();
        let Some(tokenizer) = &self.tokenizer else { return Ok(()) };
        let begun = Instant::now();
        let weights = self.network.snapshot()?;
        let device = (self.another_device)()?;
        let texts = samples(device, &weights, tokenizer, &self.recipe.sample, self.recipe.seed)?;
        let (step, clock) = (self.state.step, clock(begun, None));
        for (prompt, text) in self.recipe.sample.prompts.clone().into_iter().zip(texts) {
            self.write(&Line::Sample { step, prompt, text, clock })?;
        }
        Ok(())
    }
}

/// The place of the largest logit, the first of equal ones.
fn largest(logits: &[f32]) -> Option<u32> {
    let mut best: Option<(u32, f32)> = None;
    for (place, &logit) in (0u32..).zip(logits) {
        if best.is_none_or(|(_, most)| logit > most) {
            best = Some((place, logit));
        }
    }
    best.map(|(place, _)| place)
}
