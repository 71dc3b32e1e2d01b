//! Watches losses and gradients, and says in the same step when one is no number or far from the last ones.
//!
//! Far is measured in deviations of the last accepted steps. The watch is a part of a checkpoint, so a resumed run
//! judges as the uninterrupted one would.

use std::collections::VecDeque;
use std::fmt;

use serde::{Deserialize, Serialize};

/// What is done about a bad step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Policy {
    /// Its gradient is dropped, and the next batch is taken.
    Skip,
    /// The run goes back to the last checkpoint, and passes over some batches.
    RollBack,
    /// The run ends, the last good weights saved.
    Stop,
}

/// `[guard]` of a recipe.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Guard {
    /// `policy`.
    pub policy: Policy,
    /// `window`: accepted steps that a new one is compared with.
    pub window: usize,
    /// `deviations` above the mean that are too many; 0 watches for numbers alone.
    pub deviations: f64,
    /// `limit`: bad steps in a row, or returns to one checkpoint, after which the run ends.
    pub limit: u64,
    /// `skip_batches` passed over after going back.
    pub skip_batches: u64,
}

/// What was wrong with a step.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Alarm {
    /// The loss is NaN or infinite.
    LossNotFinite,
    /// The gradient holds NaN or infinity.
    NormNotFinite,
    /// The loss is far above the last ones.
    LossSpike {
        /// The loss.
        value: f64,
        /// Mean of the window.
        mean: f64,
        /// Deviations above it.
        deviations: f64,
    },
    /// The norm of the gradient is far above the last ones.
    NormSpike {
        /// The norm.
        value: f64,
        /// Mean of the window.
        mean: f64,
        /// Deviations above it.
        deviations: f64,
    },
}

impl fmt::Display for Alarm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Alarm::LossNotFinite => f.write_str("the loss is not a finite number"),
            Alarm::NormNotFinite => f.write_str("the gradient is not finite"),
            Alarm::LossSpike { value, mean, deviations } => {
                write!(f, "the loss is {value:.4}, {deviations:.1} deviations above its mean of {mean:.4}")
            }
            Alarm::NormSpike { value, mean, deviations } => {
                write!(f, "the gradient's norm is {value:.4}, {deviations:.1} deviations above its mean of {mean:.4}")
            }
        }
    }
}

/// The last accepted steps.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Watch {
    losses: VecDeque<f64>,
    norms: VecDeque<f64>,
    /// Bad steps since the last good one.
    pub in_a_row: u64,
}

impl Watch {
    /// Judges a step by its loss and the norm of its gradient before clipping, and remembers it if it is good.
    pub fn judge(&mut self, guard: &Guard, loss: f64, norm: f64) -> Result<(), Alarm> {
        let verdict = self.verdict(guard, loss, norm);
        match verdict {
            Ok(()) => {
                self.in_a_row = 0;
                remember(&mut self.losses, loss, guard.window);
                remember(&mut self.norms, norm, guard.window);
            }
            Err(_) => self.in_a_row += 1,
        }
        verdict
    }

    fn verdict(&self, guard: &Guard, loss: f64, norm: f64) -> Result<(), Alarm> {
        if !loss.is_finite() {
            return Err(Alarm::LossNotFinite);
        }
        if !norm.is_finite() {
            return Err(Alarm::NormNotFinite);
        }
        if let Some((mean, deviations)) = far(&self.losses, guard, loss, 0.02) {
            return Err(Alarm::LossSpike { value: loss, mean, deviations });
        }
        // Norms of good batches differ more than their losses.
        if let Some((mean, deviations)) = far(&self.norms, guard, norm, 0.25) {
            return Err(Alarm::NormSpike { value: norm, mean, deviations });
        }
        Ok(())
    }
}

fn remember(values: &mut VecDeque<f64>, value: f64, window: usize) {
    values.push_back(value);
    while values.len() > window {
        values.pop_front();
    }
}

/// Mean of the window and deviations above it, if the value is too far. A window that is not full yet judges nothing; a
/// deviation counts as at least `least` of the mean.
fn far(values: &VecDeque<f64>, guard: &Guard, value: f64, least: f64) -> Option<(f64, f64)> {
    if guard.deviations == 0.0 || values.len() < guard.window {
        return None;
    }
    let count = values.len() as f64;
    let mean = values.iter().sum::<f64>() / count;
    let variance = values.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / count;
    // A window of nearly equal values must not make every change a spike.
    let deviation = variance.sqrt().max(least * mean.abs());
    let deviations = (value - mean) / deviation;
    (deviations > guard.deviations).then_some((mean, deviations))
}

#[cfg(test)]
mod tests {
    use super::*;

    const GUARD: Guard = Guard { policy: Policy::Skip, window: 10, deviations: 6.0, limit: 3, skip_batches: 1 };

    fn calm() -> Watch {
        let mut watch = Watch::default();
        for step in 0..20 {
            watch.judge(&GUARD, 3.0 + 0.1 * f64::from(step % 3), 1.0 + 0.1 * f64::from(step % 2)).unwrap();
        }
        watch
    }

    #[test]
    fn what_is_no_number_is_seen_at_once() {
        for bad in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
            assert_eq!(Watch::default().judge(&GUARD, bad, 1.0), Err(Alarm::LossNotFinite));
            assert_eq!(Watch::default().judge(&GUARD, 1.0, bad), Err(Alarm::NormNotFinite));
        }
    }

    #[test]
    fn spikes_are_seen_in_their_step_and_do_not_move_the_mean() {
        let mut watch = calm();
        let before = watch.clone();
        assert!(matches!(watch.judge(&GUARD, 9.0, 1.0), Err(Alarm::LossSpike { .. })));
        assert!(matches!(watch.judge(&GUARD, 3.0, 1000.0), Err(Alarm::NormSpike { .. })));
        assert_eq!(watch.in_a_row, 2);
        assert_eq!((watch.losses.clone(), watch.norms.clone()), (before.losses, before.norms));
        assert_eq!(watch.judge(&GUARD, 3.1, 1.0), Ok(()));
        assert_eq!(watch.in_a_row, 0);
    }

    #[test]
    fn a_loss_that_falls_is_no_spike() {
        assert_eq!(calm().judge(&GUARD, 0.1, 0.01), Ok(()));
    }

    #[test]
    fn nothing_is_judged_before_the_window_is_full() {
        let mut watch = Watch::default();
        watch.judge(&GUARD, 1.0, 1.0).unwrap();
        assert_eq!(watch.judge(&GUARD, 100.0, 1.0), Ok(()));
    }

    #[test]
    fn equal_values_leave_room_for_small_changes() {
        let mut watch = Watch::default();
        for _ in 0..20 {
            watch.judge(&GUARD, 2.0, 1.0).unwrap();
        }
        assert_eq!(watch.judge(&GUARD, 2.05, 1.02), Ok(()));
    }
}
