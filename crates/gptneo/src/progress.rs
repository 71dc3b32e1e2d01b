//! Bars on standard error: silent when nobody watches, and for what is over before one would look.

use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::terminal;

/// How long something may take before it is shown.
const PATIENCE: Duration = Duration::from_millis(700);

/// What the numbers of a bar count.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Unit {
    /// Bytes.
    Bytes,
    /// Parameters of a model.
    Parameters,
    /// Tokens.
    Tokens,
    /// Requests of a model.
    Requests,
}

impl Unit {
    /// Every bar fits 80 columns.
    fn template(self) -> &'static str {
        match self {
            Unit::Bytes => {
                "{msg:16!} {bar:20} {decimal_bytes:>9}/{decimal_total_bytes:9} {decimal_bytes_per_sec:>11}  {eta:>4}"
            }
            Unit::Parameters => "{msg:16!} {bar:20} {percent:>3} %  {eta:>4}",
            Unit::Tokens | Unit::Requests => "{msg:16!} {bar:20} {human_pos:>9}/{human_len:9} {per_sec:>11}  {eta:>4}",
        }
    }
}

/// One piece of work whose end is known; the bar goes away when this is dropped.
pub(crate) struct Progress {
    bar: ProgressBar,
    begun: Instant,
    unit: Unit,
    shown: bool,
}

impl Progress {
    /// Work of `total` units; drawn once it has taken longer than a moment.
    pub(crate) fn new(what: &str, total: u64, unit: Unit) -> Self {
        let bar = ProgressBar::with_draw_target(Some(total), ProgressDrawTarget::hidden());
        bar.set_message(what.to_owned());
        Self { bar, begun: Instant::now(), unit, shown: false }
    }

    /// So much was done before we began: it does not count for the rate.
    pub(crate) fn begin_at(&mut self, done: u64) {
        self.bar.set_position(done);
        self.bar.reset_eta();
    }

    /// So much is done in all.
    pub(crate) fn at(&mut self, done: u64) {
        if !self.shown && terminal::watched() && self.begun.elapsed() > PATIENCE {
            self.shown = true;
            let style = ProgressStyle::with_template(self.unit.template());
            self.bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()).progress_chars("=> "));
            self.bar.set_draw_target(ProgressDrawTarget::stderr());
        }
        self.bar.set_position(done);
    }

    /// The work has grown or shrunk.
    pub(crate) fn of(&mut self, total: u64) {
        self.bar.set_length(total);
    }

    /// Writes something above the bar.
    pub(crate) fn above(&self, write: impl FnOnce()) {
        self.bar.suspend(write);
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_template_is_one() {
        for unit in [Unit::Bytes, Unit::Parameters, Unit::Tokens, Unit::Requests] {
            assert!(ProgressStyle::with_template(unit.template()).is_ok(), "{unit:?}");
        }
    }
}
