//! What a run reports while it goes on, as plain values.
//!
//! Whoever works (training, evaluation) makes [`Event`]s; whoever watches is an [`Observer`]: the store's
//! [`Recorder`](crate::Recorder), a line in a terminal, a dashboard. Events carry no time; each observer takes its own.

use serde::{Deserialize, Serialize};

/// One thing that happened in a run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Event {
    /// The run begins, or goes on after an interruption.
    Started(Started),
    /// A step of the optimiser was taken.
    Step(StepMetrics),
    /// The model was measured on something held out.
    Evaluation(Evaluation),
    /// The model was asked to write.
    Sample(Sample),
    /// A file or folder of the run is complete.
    Artifact(Artifact),
    /// Something that a person should read.
    Message(Message),
    /// The run is over.
    Ended(State),
}

impl Event {
    /// The step at which it happened, if it belongs to one.
    pub fn step(&self) -> Option<u64> {
        match self {
            Event::Started(started) => Some(started.after_step),
            Event::Step(metrics) => Some(metrics.step),
            Event::Evaluation(evaluation) => Some(evaluation.step),
            Event::Sample(sample) => Some(sample.step),
            Event::Artifact(artifact) => artifact.step,
            Event::Message(message) => message.step,
            Event::Ended(_) => None,
        }
    }
}

/// Where a run begins and where it wants to go.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Started {
    /// The name of the run.
    pub name: String,
    /// Steps already taken: 0 for a new run.
    pub after_step: u64,
    /// Steps planned in all, where that is known.
    pub steps: Option<u64>,
    /// Tokens planned in all, where that is known.
    pub tokens: Option<u64>,
}

/// What one step of the optimiser did.
///
/// Steps are counted from 1: after step `n`, `n` updates have been made.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct StepMetrics {
    /// The step.
    pub step: u64,
    /// Tokens read since the beginning of the run, over all ranks.
    pub tokens: u64,
    /// Mean loss per token of this step's batch, in nats.
    pub loss: f64,
    /// Norm of the gradient before clipping.
    pub gradient_norm: f64,
    /// Learning rate of this step.
    pub learning_rate: f64,
    /// Tokens read per second over this step, over all ranks.
    pub tokens_per_second: f64,
    /// Arithmetic done over what the machine can do, 0 to 1, where the latter is known.
    pub share_of_peak: Option<f64>,
    /// Other figures by name, such as `z_loss` or `skipped`.
    pub more: Vec<(String, f64)>,
}

impl StepMetrics {
    /// The figures by the names that the store knows them by.
    pub fn values(&self) -> impl Iterator<Item = (&str, f64)> {
        let own = [
            ("loss", Some(self.loss)),
            ("gradient_norm", Some(self.gradient_norm)),
            ("learning_rate", Some(self.learning_rate)),
            ("tokens", Some(self.tokens as f64)),
            ("tokens_per_second", Some(self.tokens_per_second)),
            ("share_of_peak", self.share_of_peak),
        ];
        let own = own.into_iter().filter_map(|(name, value)| Some((name, value?)));
        own.chain(self.more.iter().map(|(name, value)| (name.as_str(), *value)))
    }
}

/// Names of metrics that depend on the clock: they differ between two runs that are otherwise the same.
pub const CLOCK_METRICS: [&str; 2] = ["tokens_per_second", "share_of_peak"];

/// Figures on held-out data.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Evaluation {
    /// The step after which the model was measured.
    pub step: u64,
    /// What it was measured on, such as `held_out`.
    pub on: String,
    /// The figures by name, such as `loss` and `bits_per_byte`. In the store they are `held_out/loss` and so on.
    pub values: Vec<(String, f64)>,
}

/// Something the model wrote.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sample {
    /// The step after which it was written.
    pub step: u64,
    /// What it was given.
    pub prompt: String,
    /// What it wrote, without the prompt.
    pub text: String,
}

/// A file or folder that a run has made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Artifact {
    /// The step after which it was made, if it belongs to one.
    pub step: Option<u64>,
    /// What it is, such as `checkpoint`.
    pub name: String,
    /// Where it is.
    pub path: String,
    /// Its size in bytes.
    pub bytes: u64,
    /// Its SHA-256 in hexadecimal digits, where it was taken.
    pub sha256: Option<String>,
}

/// Words for a person.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Message {
    /// How much they matter.
    pub level: Level,
    /// The step they belong to, if any.
    pub step: Option<u64>,
    /// The words, without a line break at the end.
    pub text: String,
}

/// How much a message matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Level {
    /// Good to know.
    Info,
    /// Something is not as it should be, and the run goes on.
    Warning,
    /// Something that ends the run or loses work.
    Error,
}

impl Level {
    /// Its name in the store.
    pub fn name(self) -> &'static str {
        match self {
            Level::Info => "info",
            Level::Warning => "warning",
            Level::Error => "error",
        }
    }

    /// The level of that name; an unknown one counts as [`Level::Info`].
    pub fn of(name: &str) -> Level {
        [Level::Warning, Level::Error].into_iter().find(|level| level.name() == name).unwrap_or(Level::Info)
    }
}

/// How a run stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// Its process works on it.
    Running,
    /// It did all it was to do.
    Finished,
    /// Someone stopped it; it can go on.
    Stopped,
    /// It ended with an error; it may be able to go on.
    Failed,
}

impl State {
    /// All of them.
    pub const ALL: [State; 4] = [State::Running, State::Finished, State::Stopped, State::Failed];

    /// Its name in the store and on the command line.
    pub fn name(self) -> &'static str {
        match self {
            State::Running => "running",
            State::Finished => "finished",
            State::Stopped => "stopped",
            State::Failed => "failed",
        }
    }

    /// The state of that name.
    pub fn of(name: &str) -> Option<State> {
        State::ALL.into_iter().find(|state| state.name() == name)
    }
}

/// Someone who is told what happens in a run. Never fails and never keeps the run waiting.
pub trait Observer: Send {
    /// Takes notice of one event.
    fn observe(&mut self, event: &Event);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_lead_back() {
        for state in State::ALL {
            assert_eq!(State::of(state.name()), Some(state));
        }
        for level in [Level::Info, Level::Warning, Level::Error] {
            assert_eq!(Level::of(level.name()), level);
        }
        assert_eq!(State::of("dead"), None);
    }

    #[test]
    fn a_step_has_no_share_where_the_peak_is_unknown() {
        let mut metrics = StepMetrics { loss: 2.0, more: vec![("z_loss".to_owned(), 0.5)], ..StepMetrics::default() };
        let names = |metrics: &StepMetrics| metrics.values().map(|(name, _)| name.to_owned()).collect::<Vec<_>>();
        assert!(!names(&metrics).contains(&"share_of_peak".to_owned()));
        assert_eq!(names(&metrics).last().unwrap(), "z_loss");
        metrics.share_of_peak = Some(0.5);
        assert!(metrics.values().any(|pair| pair == ("share_of_peak", 0.5)));
    }
}
