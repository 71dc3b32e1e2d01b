//! One step of training.

use std::ops::Range;
use std::time::Instant;

use gptneo_device::collective::{CollectiveError, Pending};
use gptneo_device::train::TrainDevice;
use gptneo_device::{Collective, View};
use gptneo_model::training::{NextToken, StepKey, Write};
use gptneo_runs::Level;
use gptneo_text::shards::share;

use super::{Trainer, clock};
use crate::batch::{pieces, sequences};
use crate::data::Rows;
use crate::error::TrainError;
use crate::guard::{Alarm, Policy};
use crate::log::Line;
use crate::optimizer::Update;

/// Values that are reduced over ranks at once: enough to hide latency, few enough to begin early.
const BUCKET: usize = 1 << 22;
/// Documents that a bad step names.
const NAMED: usize = 20;

/// What the pieces of a step found, over all ranks.
#[derive(Clone, Debug)]
struct Found {
    /// Mean over tokens, z-loss not counted.
    loss: f64,
    /// The objective's own loss: not finite if anything in it is not.
    objective: f64,
    tokens: u64,
    norm: f64,
    /// Of each piece of this rank: its mean loss, and its sequences.
    pieces: Vec<(f64, Range<u64>)>,
}

impl<D: TrainDevice> Trainer<'_, D> {
    /// Takes the next sequences, and updates the weights unless the guard objects. Says whether the run has gone on (and
    /// not back).
    pub(super) fn step(&mut self) -> Result<bool, TrainError> {
        let begun = Instant::now();
        let count = sequences(self.recipe.batch.sequences, self.recipe.batch.ramp, self.state.step);
        let taken = self.state.next_sequence..self.state.next_sequence + count;
        let found = self.gradients(taken.clone())?;
        let mut judged = found.loss;
        if !found.objective.is_finite() {
            judged = f64::NAN;
        }
        let verdict = self.state.watch.judge(&self.recipe.guard, judged, found.norm);
        self.state.next_sequence = taken.end;
        if let Err(alarm) = verdict {
            return self.alarm(alarm, &found, begun);
        }
        let rate = self.recipe.optimizer.lr * self.recipe.schedule.factor(self.state.step);
        self.update(rate, found.norm)?;
        self.state.step += 1;
        self.state.tokens += found.tokens;
        let line = Line::Step {
            step: self.state.step,
            loss: found.loss,
            gradient_norm: found.norm,
            learning_rate: rate,
            sequences: count,
            tokens: self.state.tokens,
            clock: clock(begun, Some(found.tokens)),
        };
        self.write(&line)?;
        Ok(true)
    }

    /// Computes the gradient of the mean loss over all ranks' sequences, and its norm.
    fn gradients(&mut self, taken: Range<u64>) -> Result<Found, TrainError> {
        let mine = share(taken, self.ranks.rank() as u64, self.ranks.size() as u64);
        let parts: Vec<Range<u64>> = pieces(mine, self.recipe.batch.micro).collect();
        let rows = parts.iter().map(|part| self.examples.rows(part.clone())).collect::<Result<Vec<Rows>, _>>()?;
        let mut counted = [rows.iter().map(Rows::counted).sum::<usize>() as f64];
        self.ranks.sum(&mut counted)?;
        let factor = (1.0 / counted[0].max(1.0)) as f32;

        let mut objective = NextToken { factor, z_loss: self.recipe.z_loss };
        let mut sums = [0.0, 0.0];
        let mut found = Vec::with_capacity(parts.len());
        let mut reduction = Reduction::default();
        for (index, (part, rows)) in parts.iter().zip(&rows).enumerate() {
            let key = StepKey { seed: self.recipe.seed, number: part.start };
            let write = if index == 0 { Write::Set } else { Write::Add };
            let last = index + 1 == parts.len();
            let ranks = self.ranks.as_mut();
            let outcome =
                self.network.step(&rows.batch(), &mut objective, key, write, &mut |device, gradients, range| {
                    if last {
                        reduction.ready(ranks, device, gradients, range);
                    }
                })?;
            sums[0] += outcome.nll;
            sums[1] += outcome.loss;
            found.push((outcome.nll / outcome.counted.max(1) as f64, part.clone()));
        }
        let (device, _, parameters) = self.network.parts();
        reduction.finish(self.ranks.as_mut(), device, &mut parameters.gradients)?;
        let norm = self.norm()?;
        self.ranks.sum(&mut sums)?;
        Ok(Found {
            loss: sums[0] / counted[0].max(1.0),
            objective: sums[1],
            tokens: counted[0] as u64,
            norm,
            pieces: found,
        })
    }

    /// The norm of the whole gradient: each rank sums the squares of a part.
    fn norm(&mut self) -> Result<f64, TrainError> {
        let (device, layout, parameters) = self.network.parts();
        let part = share(0..layout.trained() as u64, self.ranks.rank() as u64, self.ranks.size() as u64);
        let gradients = View::at(&parameters.gradients, part.start as usize);
        let mut squares = [device.sum_of_squares((part.end - part.start) as usize, gradients)];
        self.ranks.sum(&mut squares)?;
        Ok(squares[0].sqrt())
    }

    /// Clips, updates this rank's shard, and gathers the weights.
    fn update(&mut self, rate: f64, norm: f64) -> Result<(), TrainError> {
        self.state.updates += 1;
        let clip = f64::from(self.recipe.optimizer.clip);
        // As PyTorch clips.
        let gradient_scale = if clip > 0.0 { (clip / (norm + 1e-6)).min(1.0) } else { 1.0 };
        let update = Update { number: self.state.updates, rate, gradient_scale };
        let (device, layout, parameters) = self.network.parts();
        self.optimizer.step(device, layout, parameters, update);
        if self.optimizer.is_sharded() {
            self.ranks.all_gather(device, &mut parameters.trained, self.optimizer.shards())?;
        }
        Ok(())
    }

    /// Does what the policy says about a bad step, and names the documents.
    fn alarm(&mut self, alarm: Alarm, found: &Found, begun: Instant) -> Result<bool, TrainError> {
        let step = self.state.step + 1;
        let worst = self.worst(&found.pieces)?;
        let documents = self.examples.documents(worst, NAMED)?;
        let guard = self.recipe.guard;
        let too_often = match guard.policy {
            Policy::Skip => self.state.watch.in_a_row >= guard.limit,
            Policy::RollBack => self.state.returns >= guard.limit,
            Policy::Stop => true,
        };
        let target = (guard.policy == Policy::RollBack && !too_often).then(|| self.target()).transpose()?;
        let done = match (guard.policy, &target) {
            _ if too_often => "stop".to_owned(),
            (_, Some(target)) => format!("roll back to step {}", target.as_ref().map_or(0, |found| found.step)),
            _ => "skip".to_owned(),
        };
        let line = Line::Alarm { step, what: alarm.to_string(), done, documents, clock: clock(begun, None) };
        self.write(&line)?;
        if too_often {
            // The bad step has changed no weights.
            let saved = self.state.step;
            let why = match guard.policy {
                Policy::Stop => "the policy is to stop".to_owned(),
                Policy::Skip => format!("{} steps in a row were bad", guard.limit),
                Policy::RollBack => format!("the run has gone back {} times", guard.limit),
            };
            self.save(false)?;
            self.flush()?;
            return Err(TrainError::Diverged { step, alarm, why, saved });
        }
        match target {
            Some(target) => {
                self.roll_back(target.as_ref(), guard.skip_batches)?;
                Ok(false)
            }
            None => {
                self.state.step += 1;
                self.state.tokens += found.tokens;
                Ok(true)
            }
        }
    }

    /// The sequences of the piece with the largest loss, over all ranks.
    fn worst(&mut self, pieces: &[(f64, Range<u64>)]) -> Result<Range<u64>, TrainError> {
        // NaN counts as the largest.
        let rank = |loss: f64| if loss.is_nan() { f64::INFINITY } else { loss };
        let worst = pieces.iter().max_by(|a, b| rank(a.0).total_cmp(&rank(b.0)));
        let mut all = vec![0.0; 3 * self.ranks.size()];
        if let Some((loss, range)) = worst {
            let at = 3 * self.ranks.rank();
            all[at..at + 3].copy_from_slice(&[rank(*loss), range.start as f64, range.end as f64]);
        }
        self.ranks.sum(&mut all)?;
        let worst = all.chunks_exact(3).max_by(|a, b| a[0].total_cmp(&b[0])).unwrap_or(&[0.0; 3]);
        Ok(worst[1] as u64..worst[2] as u64)
    }

    /// The checkpoint to go back to: the newest whole one that was due; `None` is the beginning of the run.
    fn target(&mut self) -> Result<Option<crate::store::Found>, TrainError> {
        if let Err(error) = self.saver.wait() {
            self.say(Level::Warning, format!("a checkpoint could not be saved, the older ones stand: {error}"));
        }
        // Rank 0 may still have been writing.
        self.ranks.barrier()?;
        for found in self.saver.store().list()? {
            let state: Result<crate::state::State, _> = crate::store::read_state(&found.path);
            if state.is_ok_and(|state| state.scheduled) && crate::store::check(&found.path).is_ok() {
                return Ok(Some(found));
            }
        }
        Ok(None)
    }

    /// Puts weights and moments back, and passes over what was taken since and some batches more.
    fn roll_back(&mut self, target: Option<&crate::store::Found>, skip_batches: u64) -> Result<(), TrainError> {
        let (reached, returns) = (self.state.next_sequence, self.state.returns + 1);
        match target {
            Some(target) => self.restore(target).map(drop)?,
            None => self.begin()?,
        }
        let skipped = skip_batches.saturating_mul(self.recipe.batch.sequences);
        self.state.next_sequence = reached.saturating_add(skipped);
        self.state.returns = returns;
        Ok(())
    }
}

/// Sums over ranks that begin while the backward pass still runs.
#[derive(Debug, Default)]
struct Reduction {
    /// Ready, but too little to be sent.
    gathered: Option<Range<usize>>,
    pending: Vec<Pending>,
    failed: Option<CollectiveError>,
}

impl Reduction {
    fn ready<D: TrainDevice>(
        &mut self,
        ranks: &mut dyn Collective<D>,
        device: &D,
        gradients: &D::Buffer,
        range: Range<usize>,
    ) {
        let gathered = match self.gathered.take() {
            Some(before) if before.end == range.start => before.start..range.end,
            Some(before) => {
                self.start(ranks, device, gradients, before);
                range
            }
            None => range,
        };
        if gathered.len() >= BUCKET {
            self.start(ranks, device, gradients, gathered);
        } else {
            self.gathered = Some(gathered);
        }
    }

    fn start<D: TrainDevice>(
        &mut self,
        ranks: &mut dyn Collective<D>,
        device: &D,
        gradients: &D::Buffer,
        range: Range<usize>,
    ) {
        if self.failed.is_some() {
            return;
        }
        match ranks.all_reduce_start(device, gradients, range) {
            Ok(pending) => self.pending.push(pending),
            Err(error) => self.failed = Some(error),
        }
    }

    fn finish<D: TrainDevice>(
        mut self,
        ranks: &mut dyn Collective<D>,
        device: &D,
        gradients: &mut D::Buffer,
    ) -> Result<(), TrainError> {
        if let Some(rest) = self.gathered.take() {
            self.start(ranks, device, gradients, rest);
        }
        if let Some(error) = self.failed {
            return Err(error.into());
        }
        for pending in self.pending {
            ranks.all_reduce_wait(device, gradients, pending)?;
        }
        Ok(())
    }
}
