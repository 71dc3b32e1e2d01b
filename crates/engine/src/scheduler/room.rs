//! Who takes part in a step: admission, sharing, and what gives way when memory runs out.

use std::time::Instant;

use gptneo_model::SequenceId;

use super::Scheduler;
use crate::prefix::common;
use crate::task::Task;
use crate::track::Track;

/// Positions that must be free beyond a sequence's own before it joins others.
const SLACK: usize = gptneo_device::PAGE;

impl Scheduler {
    /// What every unparked live track still owes the model, as [`LanguageModel::fits`] wants it.
    fn owed(&self) -> Vec<(Option<SequenceId>, usize)> {
        let tasks = self.live.iter();
        let tracks = tasks.flat_map(|task| (0..task.track_count()).map(move |i| (task, i)));
        let going = tracks.filter(|(task, i)| task.wants(*i) && !task.track(*i).parked);
        going.map(|(task, i)| (task.track(i).sequence, task.track(i).pending())).collect()
    }

    /// Whether `tokens` more tokens, after `sequence`, fit beside all that is going on; kept beginnings give way.
    fn fits_beside(&mut self, sequence: Option<SequenceId>, tokens: usize, slack: usize) -> bool {
        let mut growth = self.owed();
        growth.push((sequence, tokens));
        if slack > 0 {
            growth.push((None, slack));
        }
        loop {
            if self.model.fits(&growth) {
                return true;
            }
            if !self.retained.drop_oldest(self.model.as_mut()) {
                return false;
            }
        }
    }

    /// Lets parked tracks, and then waiting requests, take part again or begin, oldest first.
    pub(super) fn admit(&mut self) {
        while let Some((task, track)) = self.first(|_, track| track.parked) {
            let tokens = self.live[task].track(track).tokens.len();
            let slack = if self.owed().is_empty() { 0 } else { SLACK };
            if !self.fits_beside(None, tokens, slack) {
                return;
            }
            self.live[task].track_mut(track).parked = false;
        }
        while let Some(task) = self.waiting.front() {
            let sequences: usize = self.live.iter().map(Task::branches).sum();
            let wanted = task.branches();
            if !self.live.is_empty() && sequences + wanted > self.options.max_sequences {
                return;
            }
            let prompt = task.terms.prompt.len();
            let judged = task.terms.judges_prompt();
            // Forked before room is made, so that making room cannot drop what is shared.
            let shared = if judged { None } else { self.share() };
            let (sequence, held) = shared.map_or((None, 0), |(sequence, held)| (Some(sequence), held));
            let slack = if self.live.is_empty() { 0 } else { SLACK };
            if !self.live.is_empty() && !self.fits_beside(sequence, prompt - held, slack) {
                if let Some(sequence) = sequence {
                    self.model.close(sequence);
                }
                return;
            }
            let Some(mut task) = self.waiting.pop_front() else { return };
            task.terms.clock.started = Some(Instant::now());
            task.terms.clock.computed = prompt - held;
            let track = task.track_mut(0);
            (track.sequence, track.held) = (sequence, held);
            self.live.push(task);
        }
    }

    /// The first live track, oldest first, that still wants something and satisfies `which`.
    fn first(&self, which: impl Fn(&Task, &Track) -> bool) -> Option<(usize, usize)> {
        self.live.iter().enumerate().find_map(|(at, task)| {
            let track = (0..task.track_count()).find(|&i| task.wants(i) && which(task, task.track(i)));
            track.map(|track| (at, track))
        })
    }

    /// Forks the sequence that has most in common with the first waiting prompt, of those with its adapter.
    fn share(&mut self) -> Option<(SequenceId, usize)> {
        let terms = &self.waiting.front()?.terms;
        let (prompt, adapter) = (&terms.prompt, terms.adapter);
        let model = self.model.as_mut();
        let kept = self.retained.longest(model, prompt, adapter);
        let tracks = self.live.iter().flat_map(Task::tracks).filter(|track| track.adapter == adapter);
        let live = tracks.filter_map(|track| {
            let len = common(&track.tokens[..track.held], prompt).min(prompt.len() - 1);
            let sequence = track.sequence.filter(|&sequence| len > 0 && model.can_cut(sequence, len))?;
            Some((sequence, len))
        });
        let (donor, len) = kept.into_iter().chain(live).max_by_key(|(_, len)| *len)?;
        let sequence = model.fork(donor, len).ok()?;
        self.retained.touch(donor);
        Some((sequence, len))
    }

    /// Gives up something that the next step can do without.
    pub(super) fn make_room(&mut self) -> bool {
        if self.retained.drop_oldest(self.model.as_mut()) || self.restart_embedding() {
            return true;
        }
        let live = &mut self.live;
        let proposing = |task: &Task| task.tracks().iter().any(|track| track.proposed > 0);
        if let Some(task) = live.iter_mut().rev().find(|task| proposing(task)) {
            (0..task.track_count()).for_each(|index| task.track_mut(index).unpropose());
            return true;
        }
        let Some((oldest, first)) = self.first(|_, track| !track.parked) else { return false };
        for at in (0..self.live.len()).rev() {
            for index in (0..self.live[at].track_count()).rev() {
                let wants = self.live[at].wants(index);
                let track = self.live[at].track_mut(index);
                // One that takes part may hold nothing yet; one that waits for its fellow beams takes no part.
                if (at, index) == (oldest, first) || track.parked || !(wants || track.held > 0) {
                    continue;
                }
                track.close(self.model.as_mut());
                track.parked = wants;
                return true;
            }
        }
        false
    }

    /// Nothing can go on: beams that wait for a parked one give up their memory to it.
    pub(super) fn unblock(&mut self) -> bool {
        let Some((task, track)) = self.first(|_, track| track.parked) else { return false };
        loop {
            let tokens = self.live[task].track(track).tokens.len();
            if self.fits_beside(None, tokens, 0) || !self.close_one_idle() {
                // If it still does not fit, the step finds so, and says so.
                self.live[task].track_mut(track).parked = false;
                return true;
            }
        }
    }

    fn close_one_idle(&mut self) -> bool {
        for task in self.live.iter_mut().rev() {
            for index in (0..task.track_count()).rev() {
                if !task.wants(index) && task.track(index).sequence.is_some() {
                    task.track_mut(index).close(self.model.as_mut());
                    return true;
                }
            }
        }
        false
    }
}
