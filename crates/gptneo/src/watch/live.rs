//! The live line of a run: step, loss, speed, share of the peak, gradient norm, learning rate, time left.
//!
//! On a terminal it is one line that changes, with samples, evaluations and messages above it. Elsewhere it is a plain
//! line now and then, so that a log file tells how the run goes.

use std::time::{Duration, Instant};

use gptneo_runs::{Event, Level, Observer, Started, State, StepMetrics, now};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::pace::{Pace, duration};
use crate::terminal;

/// How often a plain line is written where nobody watches.
const SELDOM: Duration = Duration::from_secs(30);
/// Letters of a sample that are shown.
const SAMPLE: usize = 400;

/// An observer that writes to standard error.
pub(crate) struct LiveLine {
    bar: Option<ProgressBar>,
    last_plain: Option<Instant>,
    started: Option<Started>,
    pace: Pace,
    metrics: Option<StepMetrics>,
}

impl LiveLine {
    /// A line for the run that is about to begin.
    pub(crate) fn new() -> Self {
        let bar = terminal::watched().then(|| {
            let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr());
            bar.set_style(ProgressStyle::with_template("{msg}").unwrap_or_else(|_| ProgressStyle::default_spinner()));
            bar
        });
        Self { bar, last_plain: None, started: None, pace: Pace::default(), metrics: None }
    }

    /// Writes something that stays, above the line.
    fn above(&self, text: &str) {
        match &self.bar {
            Some(bar) => bar.suspend(|| terminal::say(text)),
            None => terminal::say(text),
        }
    }

    fn redraw(&mut self) {
        let Some(metrics) = &self.metrics else { return };
        let line = line(metrics, self.started.as_ref().and_then(|started| started.steps), &self.pace);
        match &self.bar {
            Some(bar) => {
                bar.set_message(line);
                bar.tick();
            }
            None if self.last_plain.is_none_or(|last| last.elapsed() >= SELDOM) => {
                self.last_plain = Some(Instant::now());
                terminal::say(&line);
            }
            None => {}
        }
    }
}

impl Observer for LiveLine {
    fn observe(&mut self, event: &Event) {
        self.observe_at(event, now());
    }
}

impl LiveLine {
    /// The same for an event that happened at `time` (seconds since 1970).
    pub(crate) fn observe_at(&mut self, event: &Event, time: f64) {
        match event {
            Event::Started(started) => {
                if let Some(text) = beginning(started) {
                    self.above(&text);
                }
                self.pace = Pace::default();
                self.started = Some(started.clone());
            }
            Event::Step(metrics) => {
                self.pace.step(metrics.step, time);
                self.metrics = Some(metrics.clone());
                self.redraw();
            }
            Event::Ended(_) => {
                // Where there is no line that changes, the last step is told whatever the clock says.
                self.last_plain = None;
                self.redraw();
                if let Some(bar) = &self.bar {
                    bar.abandon();
                }
                if let Some(text) = said(event) {
                    terminal::say(&text);
                }
            }
            _ => {
                if let Some(text) = said(event) {
                    self.above(&text);
                }
            }
        }
    }
}

/// What the first line says of a run that goes on.
fn beginning(started: &Started) -> Option<String> {
    let after = started.after_step;
    (after > 0).then(|| format!("{} goes on after step {}", started.name, terminal::grouped(after)))
}

/// The line. It fits 100 columns in every run that people make.
pub(crate) fn line(metrics: &StepMetrics, steps: Option<u64>, pace: &Pace) -> String {
    let of = steps.map_or_else(String::new, |steps| format!("/{}", terminal::grouped(steps)));
    let mut parts = vec![
        format!("step {}{of}", terminal::grouped(metrics.step)),
        format!("loss {:.4}", metrics.loss),
        format!("{} tok/s", speed(metrics.tokens_per_second)),
    ];
    parts.extend(metrics.share_of_peak.map(|share| format!("{:.0} % of peak", share * 100.0)));
    parts.push(format!("norm {:.3}", metrics.gradient_norm));
    parts.push(format!("lr {:.2e}", metrics.learning_rate));
    parts.extend(steps.and_then(|steps| pace.left(steps)).map(|left| format!("{} left", duration(left))));
    parts.join("  ")
}

fn speed(tokens_per_second: f64) -> String {
    if tokens_per_second < 100.0 {
        format!("{tokens_per_second:.1}")
    } else {
        terminal::grouped(tokens_per_second.round() as u64)
    }
}

/// What other events say, in words; nothing for those that are only numbers to be drawn.
pub(crate) fn said(event: &Event) -> Option<String> {
    match event {
        Event::Evaluation(evaluation) => {
            let values: Vec<String> =
                evaluation.values.iter().map(|(name, value)| format!("{name} {value:.4}")).collect();
            let step = terminal::grouped(evaluation.step);
            Some(format!("step {step}: {} {}", evaluation.on, values.join(", ")))
        }
        Event::Sample(sample) => {
            let text = terminal::harmless(&sample.text);
            let mut shown: String = text.chars().take(SAMPLE).collect();
            if shown.len() < text.len() {
                shown.push_str(" [...]");
            }
            let (step, prompt) = (terminal::grouped(sample.step), terminal::harmless(&sample.prompt));
            Some(format!("step {step}: {}{shown}", terminal::bold(&prompt)))
        }
        Event::Artifact(artifact) => {
            let at = artifact.step.map_or_else(String::new, |step| format!("step {}: ", terminal::grouped(step)));
            Some(format!("{at}{} in {} ({})", artifact.name, artifact.path, terminal::size(artifact.bytes)))
        }
        Event::Message(message) => {
            let at = message.step.map_or_else(String::new, |step| format!("step {}: ", terminal::grouped(step)));
            let text = terminal::harmless(&message.text);
            Some(match message.level {
                Level::Info => format!("{at}{text}"),
                Level::Warning => format!("{at}{} {text}", terminal::yellow("warning:")),
                Level::Error => format!("{at}{} {text}", terminal::red("error:")),
            })
        }
        Event::Ended(State::Failed) => Some("the run has failed".to_owned()),
        Event::Ended(State::Stopped) => Some("the run was stopped".to_owned()),
        Event::Ended(_) | Event::Started(_) | Event::Step(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use gptneo_runs::{Evaluation, Sample};

    use super::*;

    fn metrics() -> StepMetrics {
        StepMetrics {
            step: 1_200,
            tokens: 1_228_800,
            loss: 2.345_67,
            gradient_norm: 0.912_3,
            learning_rate: 6e-4,
            tokens_per_second: 12_345.6,
            share_of_peak: Some(0.812),
            more: Vec::new(),
        }
    }

    #[test]
    fn the_line_tells_everything_asked_for() {
        let mut pace = Pace::default();
        pace.step(1_199, 10.0);
        pace.step(1_200, 10.5);
        assert_eq!(
            line(&metrics(), Some(10_000), &pace),
            "step 1,200/10,000  loss 2.3457  12,346 tok/s  81 % of peak  norm 0.912  lr 6.00e-4  1 h 13 m left"
        );
    }

    #[test]
    fn what_is_unknown_is_left_out() {
        let metrics = StepMetrics { share_of_peak: None, ..metrics() };
        let line = line(&metrics, None, &Pace::default());
        assert_eq!(line, "step 1,200  loss 2.3457  12,346 tok/s  norm 0.912  lr 6.00e-4");
    }

    #[test]
    fn a_sample_cannot_command_the_terminal_and_says_where_it_was_cut() {
        let sample = |text: String| Event::Sample(Sample { step: 5, prompt: "Once".to_owned(), text });
        let told = said(&sample(" upon\u{1b}[2J".to_owned())).unwrap();
        assert!(told.ends_with(" upon\u{fffd}[2J"), "{told:?}");
        assert!(said(&sample("x".repeat(500))).unwrap().ends_with("xxx [...]"));
        assert!(said(&sample("x".repeat(400))).unwrap().ends_with("xxx"));
    }

    #[test]
    fn evaluations_are_told_with_their_names() {
        let values = vec![("loss".to_owned(), 2.0), ("bits_per_byte".to_owned(), 0.51)];
        let event = Event::Evaluation(Evaluation { step: 1_000, on: "held_out".to_owned(), values });
        assert_eq!(said(&event).unwrap(), "step 1,000: held_out loss 2.0000, bits_per_byte 0.5100");
    }
}
