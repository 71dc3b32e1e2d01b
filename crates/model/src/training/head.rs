//! The output matrix or a classifier's head, the loss, and the way back to the final norm: some rows of logits at a time.

use std::ops::Range;

use gptneo_device::train::{Base, IGNORE, LogProbs, LogitGradients, TrainDevice, Write};
use gptneo_device::{View, ViewMut};

use super::network::OnLogits;
use super::objective::{Derivatives, Objective, Scope, Scored};
use super::pass::{Gradients, Pass};
use super::room::Work;

/// What the targets of a batch scored, on the host.
#[derive(Debug, Default)]
pub(super) struct Scores {
    pub(super) log_probs: Vec<f32>,
    pub(super) log_z: Vec<f32>,
    d_log_probs: Vec<f32>,
    d_log_z: Vec<f32>,
}

impl Scores {
    fn reset(&mut self, rows: usize) {
        for values in [&mut self.log_probs, &mut self.log_z, &mut self.d_log_probs, &mut self.d_log_z] {
            values.clear();
            values.resize(rows, 0.0);
        }
    }

    fn weigh(&mut self, objective: &mut dyn Objective, targets: &[u32], rows: Range<usize>) -> f64 {
        let scored = Scored {
            first: rows.start,
            targets: &targets[rows.clone()],
            log_probs: &self.log_probs[rows.clone()],
            log_z: &self.log_z[rows.clone()],
        };
        let mut derivatives =
            Derivatives { log_probs: &mut self.d_log_probs[rows.clone()], log_z: &mut self.d_log_z[rows] };
        objective.weigh(&scored, &mut derivatives)
    }
}

impl<D: TrainDevice> Pass<'_, D> {
    /// Scores the targets from the final norm's output in `work.normed`; `see` is shown the logits of each row that counts.
    pub(super) fn score(
        &self,
        head_rows: usize,
        work: &mut Work<D>,
        scores: &mut Scores,
        mut see: Option<&mut OnLogits<'_>>,
    ) {
        scores.reset(self.rows());
        let mut logits = Vec::new();
        for rows in chunks(self.rows(), head_rows) {
            if !self.counts(&rows) {
                continue;
            }
            self.chunk_logits(rows.clone(), work, scores);
            let Some(see) = see.as_deref_mut() else { continue };
            logits.resize(self.map.head.outputs, 0.0);
            for row in rows.clone().filter(|&row| self.batch.targets[row] != IGNORE) {
                self.device.read(&work.logits, (row - rows.start) * logits.len(), &mut logits);
                see(row, &logits);
            }
        }
    }

    /// Scores, weighs, and goes back through the output matrix: `work.d_normed` is the gradient of the final norm's output.
    /// Returns the loss.
    pub(super) fn head(
        &self,
        head_rows: usize,
        objective: &mut dyn Objective,
        work: &mut Work<D>,
        scores: &mut Scores,
        gradients: &mut Gradients<'_, D>,
    ) -> f64 {
        let (all, targets, width) = (self.rows(), self.batch.targets, self.config.width);
        let whole = objective.scope() == Scope::Batch;
        let mut loss = 0.0;
        if whole {
            self.score(head_rows, work, scores, None);
            loss += scores.weigh(objective, targets, 0..all);
        } else {
            scores.reset(all);
        }
        let write = gradients.write;
        for rows in chunks(all, head_rows) {
            let at = rows.start * width;
            if !self.counts(&rows) {
                self.device.fill(rows.len() * width, 0.0, ViewMut::at(&mut work.d_normed, at));
                continue;
            }
            self.chunk_logits(rows.clone(), work, scores);
            if !whole {
                loss += scores.weigh(objective, targets, rows.clone());
            }
            let args = LogitGradients {
                vocab: self.map.head.outputs,
                targets: &targets[rows.clone()],
                log_z: &scores.log_z[rows.clone()],
                d_log_probs: &scores.d_log_probs[rows.clone()],
                d_log_z: &scores.d_log_z[rows.clone()],
            };
            self.device.logit_gradients(args, (&mut work.logits).into());
            let (logits, normed) = (View::from(&work.logits), View::at(&work.normed, at));
            self.linear_weights(rows.len(), self.map.head, normed, logits, gradients);
            gradients.write = Write::Add;
            self.linear_input(rows.len(), self.map.head, logits, Base::Zero, ViewMut::at(&mut work.d_normed, at));
        }
        if gradients.write == Write::Set {
            // No target counted: what would have been written is nothing.
            for place in [Some(self.map.head.weight), self.map.head.bias].into_iter().flatten() {
                if self.trains(place) {
                    let range = self.layout.slots()[place].range.clone();
                    self.device.fill(range.len(), 0.0, ViewMut::at(gradients.buffer, range.start));
                }
            }
        }
        gradients.write = write;
        loss
    }

    fn counts(&self, rows: &Range<usize>) -> bool {
        self.batch.targets[rows.clone()].iter().any(|&target| target != IGNORE)
    }

    /// Logits of some rows, and what their targets score.
    fn chunk_logits(&self, rows: Range<usize>, work: &mut Work<D>, scores: &mut Scores) {
        let normed = View::at(&work.normed, rows.start * self.config.width);
        self.linear_rows(rows.len(), self.map.head, normed, Base::Zero, (&mut work.logits).into());
        let out = LogProbs { log_probs: &mut scores.log_probs[rows.clone()], log_z: &mut scores.log_z[rows.clone()] };
        self.device.log_probs(self.map.head.outputs, &self.batch.targets[rows], (&work.logits).into(), out);
    }
}

fn chunks(rows: usize, most: usize) -> impl Iterator<Item = Range<usize>> {
    (0..rows).step_by(most).map(move |start| start..rows.min(start + most))
}
