//! Tells how a run goes on standard error, and remembers its curve.

use std::time::{Duration, Instant};

use gptneo_runs::{Event, Level, Observer, StepMetrics};

use crate::terminal;

/// How often a step is told.
const OFTEN: Duration = Duration::from_secs(2);
/// Letters of a sample that are told.
const SAMPLE: usize = 400;
/// Columns of the curve.
const COLUMNS: usize = 60;

/// Watches a run.
pub(super) struct Watcher {
    steps: Option<u64>,
    losses: Vec<f64>,
    bits_per_byte: Option<f64>,
    told: Option<Instant>,
    last: Option<StepMetrics>,
}

impl Watcher {
    pub(super) fn new() -> Self {
        Self { steps: None, losses: Vec::new(), bits_per_byte: None, told: None, last: None }
    }

    /// Tells the last step, if it was not told.
    pub(super) fn finish(&mut self) {
        self.tell();
    }

    pub(super) fn last_loss(&self) -> Option<f64> {
        self.losses.last().copied()
    }

    pub(super) fn last_bits_per_byte(&self) -> Option<f64> {
        self.bits_per_byte
    }

    /// The loss over the steps, as a row of bars: each column the mean of its steps, the tallest the largest.
    pub(super) fn curve(&self) -> Option<String> {
        const BARS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
        let (first, last) = (self.losses.first()?, self.losses.last()?);
        let columns = COLUMNS.min(self.losses.len());
        let mean = |column: usize| {
            let edge = |column: usize| column * self.losses.len() / columns;
            let part = &self.losses[edge(column)..edge(column + 1)];
            part.iter().sum::<f64>() / part.len() as f64
        };
        let means: Vec<f64> = (0..columns).map(mean).collect();
        let (low, high) = means.iter().fold((f64::MAX, f64::MIN), |(low, high), v| (low.min(*v), high.max(*v)));
        let scale = 7.999 / (high - low).max(f64::MIN_POSITIVE);
        let bars: String = means.iter().map(|v| BARS[(((v - low) * scale) as usize).min(7)]).collect();
        Some(format!("loss {first:.3} {bars} {last:.3}"))
    }

    fn tell(&mut self) {
        let Some(metrics) = self.last.take() else { return };
        let StepMetrics { step, loss, gradient_norm, learning_rate, tokens_per_second, share_of_peak, .. } = metrics;
        let steps = self.steps.map_or_else(String::new, |steps| format!("/{steps}"));
        let peak = share_of_peak.map_or_else(String::new, |share| format!(" ({:.0} % of peak)", share * 100.0));
        terminal::say(&format!(
            "step {step}{steps}  loss {loss:.4}  norm {gradient_norm:.3}  lr {learning_rate:.2e}  {tokens_per_second:.0} tok/s{peak}"
        ));
        self.told = Some(Instant::now());
    }
}

impl Observer for Watcher {
    fn observe(&mut self, event: &Event) {
        match event {
            Event::Started(started) => self.steps = started.steps,
            Event::Step(metrics) => {
                self.losses.push(metrics.loss);
                self.last = Some(metrics.clone());
                if self.told.is_none_or(|told| told.elapsed() >= OFTEN) {
                    self.tell();
                }
            }
            Event::Evaluation(evaluation) => {
                self.tell();
                let values: Vec<String> = evaluation.values.iter().map(|(name, v)| format!("{name} {v:.4}")).collect();
                let bits = evaluation.values.iter().find(|(name, _)| name == "bits_per_byte");
                self.bits_per_byte = bits.map(|(_, bits)| *bits).or(self.bits_per_byte);
                terminal::say(&format!("step {}  {}: {}", evaluation.step, evaluation.on, values.join(", ")));
            }
            Event::Sample(sample) => {
                let text: String = sample.text.chars().take(SAMPLE).collect();
                terminal::say(&format!("step {}  {}{}", sample.step, terminal::bold(&sample.prompt), text));
            }
            Event::Message(message) if message.level == Level::Info => terminal::say(&message.text),
            Event::Message(message) => terminal::warn(&message.text),
            Event::Artifact(_) | Event::Ended(_) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_curve_falls_as_the_loss_does() {
        let mut watcher = Watcher::new();
        assert_eq!(watcher.curve(), None);
        watcher.losses = (0..8).map(|i| 8.0 - f64::from(i)).collect();
        assert_eq!(watcher.curve().unwrap(), "loss 8.000 █▇▆▅▄▃▂▁ 1.000");
        watcher.losses = vec![2.0; 300];
        assert_eq!(watcher.curve().unwrap().chars().filter(|c| *c == '▁').count(), COLUMNS);
    }
}
