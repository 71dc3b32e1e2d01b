//! Who watches a run: a line or a dashboard, the store, and the summary that is told at its end.

use std::collections::BTreeMap;

use gptneo_runs::{Event, Observer, State};

use super::recording::Recording;
use crate::watch::{LiveLine, Tui};

/// Columns of the curve.
const COLUMNS: usize = 60;

/// Watches a run.
pub(super) struct Watcher {
    losses: Vec<f64>,
    bits_per_byte: Option<f64>,
    accuracy: Option<f64>,
    tasks: BTreeMap<String, f64>,
    line: LiveLine,
    tui: Option<Tui>,
    recording: Recording,
}

impl Watcher {
    pub(super) fn new(tui: Option<Tui>, recording: Recording) -> Self {
        let (losses, tasks) = (Vec::new(), BTreeMap::new());
        Self { losses, bits_per_byte: None, accuracy: None, tasks, line: LiveLine::new(), tui, recording }
    }

    /// The run has ended so: the dashboard gives the terminal back, and the store is told.
    pub(super) fn finish(&mut self, state: State) {
        drop(self.tui.take());
        self.line.observe(&Event::Ended(state));
        self.recording.finish(state);
    }

    pub(super) fn last_loss(&self) -> Option<f64> {
        self.losses.last().copied()
    }

    pub(super) fn last_bits_per_byte(&self) -> Option<f64> {
        self.bits_per_byte
    }

    pub(super) fn last_accuracy(&self) -> Option<f64> {
        self.accuracy
    }

    /// Of tasks of the field the last scores, by `TASK/METRIC`.
    pub(super) fn last_tasks(&self) -> BTreeMap<String, f64> {
        self.tasks.clone()
    }

    /// The loss over the steps, as a row of bars: each column the mean of its steps, the tallest the largest.
    pub(super) fn curve(&self) -> Option<String> {
        curve(&self.losses)
    }
}

impl Observer for Watcher {
    fn observe(&mut self, event: &Event) {
        match event {
            Event::Step(metrics) => self.losses.push(metrics.loss),
            Event::Evaluation(evaluation) if evaluation.on == "eval" => {
                self.tasks = evaluation.values.iter().cloned().collect();
            }
            Event::Evaluation(evaluation) => {
                let value = |wanted: &str| evaluation.values.iter().find(|(name, _)| name == wanted).map(|(_, v)| *v);
                self.bits_per_byte = value("bits_per_byte").or(self.bits_per_byte);
                self.accuracy = value("accuracy").or(self.accuracy);
            }
            _ => {}
        }
        // After `q` the line takes over, and must know how the run began.
        let both = matches!(event, Event::Started(_));
        match &mut self.tui {
            Some(tui) if tui.is_open() => {
                tui.observe(event);
                if both {
                    self.line.observe(event);
                }
            }
            _ => self.line.observe(event),
        }
        self.recording.observe(event);
    }
}

fn curve(losses: &[f64]) -> Option<String> {
    const BARS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
    let (first, last) = (losses.first()?, losses.last()?);
    let columns = COLUMNS.min(losses.len());
    let mean = |column: usize| {
        let edge = |column: usize| column * losses.len() / columns;
        let part = &losses[edge(column)..edge(column + 1)];
        part.iter().sum::<f64>() / part.len() as f64
    };
    let means: Vec<f64> = (0..columns).map(mean).collect();
    let (low, high) = means.iter().fold((f64::MAX, f64::MIN), |(low, high), v| (low.min(*v), high.max(*v)));
    let scale = 7.999 / (high - low).max(f64::MIN_POSITIVE);
    let bars: String = means.iter().map(|v| BARS[(((v - low) * scale) as usize).min(7)]).collect();
    Some(format!("loss {first:.3} {bars} {last:.3}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_curve_falls_as_the_loss_does() {
        assert_eq!(curve(&[]), None);
        let falling: Vec<f64> = (0..8).map(|i| 8.0 - f64::from(i)).collect();
        assert_eq!(curve(&falling).unwrap(), "loss 8.000 █▇▆▅▄▃▂▁ 1.000");
        assert_eq!(curve(&vec![2.0; 300]).unwrap().chars().filter(|c| *c == '▁').count(), COLUMNS);
    }
}
