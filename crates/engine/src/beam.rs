//! Beam search as transformers defines it (`GenerationMixin._beam_search`; compared with version 5.23).
//!
//! At every step the best `max(2, 1 + ends) * width` continuations of all running beams are looked at, best first.
//! Those that do not end the sequence run on, `width` of them. Those that do, and stand among the first `width`, become
//! finished hypotheses with the score `summed log-probability / generated length ^ length_penalty` (the ending token
//! counts in both), of which the best `width` are kept. When the search is over is [`EarlyStopping`]'s business.
//! Against an enumeration of all sequences, and all three rules: `tests/engine/beams.rs`; against numbers of
//! transformers: `tests/engine/golden.rs`.

use crate::request::{BeamSettings, EarlyStopping};

/// One continuation of one running beam.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Continuation {
    /// Which running beam.
    pub(crate) parent: usize,
    /// The token after it.
    pub(crate) id: u32,
    /// Summed log-probability.
    pub(crate) score: f64,
}

/// A finished hypothesis.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Hypothesis {
    /// Generated tokens, the ending one included.
    pub(crate) tokens: Vec<u32>,
    /// Length-normalised score.
    pub(crate) score: f64,
}

/// The bookkeeping of a beam search; the running beams' tokens are elsewhere.
#[derive(Debug)]
pub(crate) struct Search {
    settings: BeamSettings,
    /// Tokens that end a hypothesis.
    ends: Vec<u32>,
    /// Most tokens generated.
    longest: usize,
    /// Best first.
    finished: Vec<Hypothesis>,
    over: bool,
}

impl Search {
    pub(crate) fn new(settings: BeamSettings, ends: Vec<u32>, longest: usize) -> Self {
        Self { settings, ends, longest, finished: Vec::new(), over: false }
    }

    /// How many continuations are looked at in a step, and so how many of one beam can matter.
    pub(crate) fn breadth(&self) -> usize {
        self.settings.width * (1 + self.ends.len()).max(2)
    }

    /// Nothing better can be found.
    pub(crate) fn over(&self) -> bool {
        self.over
    }

    /// The finished hypotheses, best first.
    pub(crate) fn into_finished(self) -> Vec<Hypothesis> {
        self.finished
    }

    /// Takes the continuations of all running beams, which have `generated[parent]` behind them; returns those that
    /// run on, best first.
    pub(crate) fn step(&mut self, mut found: Vec<Continuation>, generated: &[&[u32]]) -> Vec<Continuation> {
        let width = self.settings.width;
        found.sort_by(|a, b| b.score.total_cmp(&a.score).then((a.parent, a.id).cmp(&(b.parent, b.id))));
        found.truncate(self.breadth());
        let length = generated.first().map_or(0, |tokens| tokens.len()) + 1;
        let ends = |c: &Continuation| length >= self.longest || self.ends.contains(&c.id);
        let ended: Vec<Continuation> = found.iter().take(width).filter(|c| ends(c)).copied().collect();
        let mut running: Vec<Continuation> = found.iter().filter(|c| !ends(c)).copied().collect();
        running.truncate(width);
        for end in ended {
            let mut tokens = generated[end.parent].to_vec();
            tokens.push(end.id);
            self.finished.push(Hypothesis { tokens, score: end.score / self.norm(length) });
        }
        self.finished.sort_by(|a, b| b.score.total_cmp(&a.score));
        self.finished.truncate(width);
        self.over = match running.first() {
            None => true,
            Some(best) => !self.improvable(best.score, length),
        };
        running
    }

    fn norm(&self, length: usize) -> f64 {
        (length as f64).powf(f64::from(self.settings.length_penalty))
    }

    /// Whether a running beam of this summed log-probability may yet belong to the best.
    fn improvable(&self, best: f64, length: usize) -> bool {
        let full = self.finished.len() == self.settings.width;
        let hopeful = match self.settings.early_stopping {
            EarlyStopping::Yes if full => return false,
            EarlyStopping::Never if self.settings.length_penalty > 0.0 => self.longest,
            _ => length,
        };
        !full || self.finished.last().is_none_or(|worst| best / self.norm(hopeful) > worst.score)
    }
}
