//! How fast a run goes and when it will be done.

use std::collections::VecDeque;
use std::time::Duration;

/// Steps that the pace is taken from.
const WINDOW: usize = 64;

/// The recent steps of a run with their times.
#[derive(Clone, Debug, Default)]
pub(crate) struct Pace {
    recent: VecDeque<(u64, f64)>,
}

impl Pace {
    /// A step was done at `time` (seconds on any clock).
    pub(crate) fn step(&mut self, step: u64, time: f64) {
        // A run that was resumed goes back.
        if self.recent.back().is_some_and(|(last, _)| *last >= step) {
            self.recent.clear();
        }
        if self.recent.len() == WINDOW {
            self.recent.pop_front();
        }
        self.recent.push_back((step, time));
    }

    /// Seconds a step, once two steps are known.
    pub(crate) fn seconds_per_step(&self) -> Option<f64> {
        let ((first, begun), (last, ended)) = (self.recent.front()?, self.recent.back()?);
        (last > first).then(|| (ended - begun).max(0.0) / (last - first) as f64)
    }

    /// The time until step `steps` is done.
    pub(crate) fn left(&self, steps: u64) -> Option<Duration> {
        let (last, _) = self.recent.back()?;
        let left = steps.saturating_sub(*last) as f64 * self.seconds_per_step()?;
        Duration::try_from_secs_f64(left).ok()
    }
}

/// A time for people: `48 s`, `12 m 05 s`, `3 h 20 m`, `2 d 4 h`.
pub(crate) fn duration(time: Duration) -> String {
    let seconds = time.as_secs();
    let (minutes, hours, days) = (seconds / 60, seconds / 3600, seconds / 86_400);
    match seconds {
        0..60 => format!("{seconds} s"),
        60..3600 => format!("{minutes} m {:02} s", seconds % 60),
        3600..86_400 => format!("{hours} h {:02} m", minutes % 60),
        _ => format!("{days} d {} h", hours % 24),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pace_is_that_of_recent_steps() {
        let mut pace = Pace::default();
        assert_eq!(pace.left(10), None);
        for step in 1..=200 {
            // Slow at first.
            pace.step(step, if step <= 100 { step as f64 * 9.0 } else { 900.0 + (step - 100) as f64 * 0.5 });
        }
        assert_eq!(pace.seconds_per_step(), Some(0.5));
        assert_eq!(pace.left(300), Some(Duration::from_secs(50)));
        assert_eq!(pace.left(100), Some(Duration::ZERO));
    }

    #[test]
    fn a_resumed_run_has_a_new_pace() {
        let mut pace = Pace::default();
        pace.step(10, 1.0);
        pace.step(11, 2.0);
        pace.step(5, 90.0);
        assert_eq!(pace.seconds_per_step(), None);
        pace.step(6, 93.0);
        assert_eq!(pace.seconds_per_step(), Some(3.0));
    }

    #[test]
    fn times_read_well() {
        let check = |seconds, text: &str| assert_eq!(duration(Duration::from_secs(seconds)), text);
        check(48, "48 s");
        check(725, "12 m 05 s");
        check(12_000, "3 h 20 m");
        check(187_200, "2 d 4 h");
    }
}
