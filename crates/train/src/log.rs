//! The log of a run: one JSON object a line, the same after any crash and resume but for the fields under `clock`.
//!
//! Losses are written with as many digits as bring them back bit for bit. A checkpoint remembers how long the log was;
//! resuming cuts it there, and the steps that are done again write the same lines again.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use gptneo_runs::{Evaluation, Event, Level, Message, Sample, StepMetrics};
use serde::Serialize;

use crate::error::TrainError;
use crate::files::{Files, Output};

/// What hangs on the machine and the hour alone.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Clock {
    /// Seconds since 1970.
    pub unix: f64,
    /// Seconds that it took.
    pub seconds: f64,
    /// Tokens a second.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tokens_per_s: Option<f64>,
}

/// What a task gave.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct TaskScore {
    /// The score.
    pub value: f64,
    /// Its standard error, where there is one.
    pub error: Option<f64>,
    /// Of how many documents.
    pub count: u64,
}

/// One line.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Line {
    /// A step was made.
    Step {
        /// Counted from 1.
        step: u64,
        /// Mean over the batch's tokens, in nats, z-loss not counted.
        loss: f64,
        /// Global norm before clipping.
        gradient_norm: f64,
        /// Learning rate.
        learning_rate: f64,
        /// Sequences in the batch.
        sequences: u64,
        /// Target tokens seen since the run began.
        tokens: u64,
        /// When, and how fast.
        clock: Clock,
    },
    /// A step was judged bad, and something was done about it.
    Alarm {
        /// Counted from 1.
        step: u64,
        /// What was wrong.
        what: String,
        /// What was done: `skip`, `roll back to step N`, `stop`.
        done: String,
        /// The documents in the piece of the batch with the largest loss.
        documents: Vec<String>,
        /// When.
        clock: Clock,
    },
    /// Held-out text was evaluated.
    Evaluation {
        /// After this step.
        step: u64,
        /// Mean over tokens, in nats.
        loss: f64,
        /// Bits per byte of text.
        bits_per_byte: f64,
        /// Tokens.
        tokens: u64,
        /// What else was measured.
        #[serde(skip_serializing_if = "BTreeMap::is_empty")]
        scores: BTreeMap<String, f64>,
        /// When.
        clock: Clock,
    },
    /// Tasks of the field were measured.
    Eval {
        /// After this step.
        step: u64,
        /// Scores by `TASK/METRIC`.
        scores: BTreeMap<String, TaskScore>,
        /// What to know when reading them.
        #[serde(skip_serializing_if = "Vec::is_empty")]
        notes: Vec<String>,
        /// When.
        clock: Clock,
    },
    /// Text that the model wrote.
    Sample {
        /// After this step.
        step: u64,
        /// What it was given.
        prompt: String,
        /// What it wrote.
        text: String,
        /// When.
        clock: Clock,
    },
}

impl Line {
    /// The same for observers. `share_of_peak` of a token a second, where the machine's peak is known.
    pub fn event(&self, share_of_peak: Option<f64>) -> Event {
        match self {
            Line::Step { step, loss, gradient_norm, learning_rate, sequences, tokens, clock } => {
                let tokens_per_second = clock.tokens_per_s.unwrap_or(0.0);
                Event::Step(StepMetrics {
                    step: *step,
                    tokens: *tokens,
                    loss: *loss,
                    gradient_norm: *gradient_norm,
                    learning_rate: *learning_rate,
                    tokens_per_second,
                    share_of_peak: share_of_peak.map(|share| share * tokens_per_second),
                    more: vec![("sequences".to_owned(), *sequences as f64)],
                })
            }
            Line::Alarm { step, what, done, documents, .. } => {
                let text = format!("step {step}: {what} ({done}); in {}", documents.join(", "));
                Event::Message(Message { level: Level::Warning, step: Some(*step), text })
            }
            Line::Evaluation { step, loss, bits_per_byte, scores, .. } => {
                let own = [("loss".to_owned(), *loss), ("bits_per_byte".to_owned(), *bits_per_byte)];
                let values = own.into_iter().chain(scores.clone()).collect();
                Event::Evaluation(Evaluation { step: *step, on: "held_out".to_owned(), values })
            }
            Line::Eval { step, scores, .. } => {
                let values = scores.iter().map(|(name, score)| (name.clone(), score.value)).collect();
                Event::Evaluation(Evaluation { step: *step, on: "eval".to_owned(), values })
            }
            Line::Sample { step, prompt, text, .. } => {
                Event::Sample(Sample { step: *step, prompt: prompt.clone(), text: text.clone() })
            }
        }
    }
}

/// The file.
pub struct Log {
    path: PathBuf,
    output: Box<dyn Output>,
    bytes: u64,
}

impl Log {
    /// Goes on after the first `bytes` of the log at `path`; 0 begins a new one.
    ///
    /// # Errors
    /// A log that is shorter than that, and what the system refused.
    pub fn resume(files: &Arc<dyn Files>, path: &Path, bytes: u64) -> Result<Self, TrainError> {
        let there = match fs::metadata(path) {
            Ok(metadata) => metadata.len(),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => 0,
            Err(error) => return Err(TrainError::io("read", path, error)),
        };
        if there < bytes {
            let why = format!("it has {there} bytes, but had {bytes} when the checkpoint was made");
            return Err(TrainError::Damaged { path: path.to_owned(), why });
        }
        let output = files.resume(path, bytes).map_err(|error| TrainError::io("open", path, error))?;
        Ok(Self { path: path.to_owned(), output, bytes })
    }

    /// Appends a line.
    ///
    /// # Errors
    /// What the system refused.
    pub fn write(&mut self, line: &Line) -> Result<(), TrainError> {
        let mut text = serde_json::to_string(line).expect("strings and numbers can be said in JSON");
        text.push('\n');
        let io = |error| TrainError::io("write", &self.path, error);
        self.output.write_all(text.as_bytes()).map_err(io)?;
        self.output.flush().map_err(io)?;
        self.bytes += text.len() as u64;
        Ok(())
    }

    /// Makes what was written durable, and says how long the log is.
    ///
    /// # Errors
    /// What the system refused.
    pub fn sync(&mut self) -> Result<u64, TrainError> {
        self.output.sync().map_err(|error| TrainError::io("make durable", &self.path, error))?;
        Ok(self.bytes)
    }
}

/// The log without the fields under `clock`, for comparing two runs.
///
/// # Errors
/// A line that is no JSON object.
pub fn without_clock(text: &str) -> Result<String, serde_json::Error> {
    text.lines().try_fold(String::new(), |mut out, line| {
        let mut object: serde_json::Map<String, serde_json::Value> = serde_json::from_str(line)?;
        object.remove("clock");
        // Writing to a string cannot fail.
        let _ = writeln!(out, "{}", serde_json::Value::Object(object));
        Ok(out)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::files::Disk;

    fn line(step: u64, unix: f64) -> Line {
        let clock = Clock { unix, seconds: 0.1, tokens_per_s: Some(7.0) };
        Line::Step { step, loss: 0.1 + 0.2, gradient_norm: 1.0, learning_rate: 1e-4, sequences: 2, tokens: 9, clock }
    }

    #[test]
    fn a_resumed_log_is_the_uninterrupted_one() {
        let folder = tempfile::tempdir().unwrap();
        let files: Arc<dyn Files> = Arc::new(Disk);
        let (whole, cut) = (folder.path().join("whole"), folder.path().join("cut"));
        let mut log = Log::resume(&files, &whole, 0).unwrap();
        (1..=4).for_each(|step| log.write(&line(step, 1.0)).unwrap());

        let mut log = Log::resume(&files, &cut, 0).unwrap();
        (1..=2).for_each(|step| log.write(&line(step, 2.0)).unwrap());
        let saved = log.sync().unwrap();
        log.write(&line(3, 3.0)).unwrap();
        fs::write(&cut, [fs::read(&cut).unwrap(), b"{\"half".to_vec()].concat()).unwrap();
        let mut log = Log::resume(&files, &cut, saved).unwrap();
        (3..=4).for_each(|step| log.write(&line(step, 4.0)).unwrap());

        let [whole, cut] = [whole, cut].map(|path| fs::read_to_string(path).unwrap());
        assert_ne!(whole, cut);
        assert_eq!(without_clock(&whole).unwrap(), without_clock(&cut).unwrap());
        assert!(whole.contains("\"loss\":0.30000000000000004"), "{whole}");
    }

    #[test]
    fn a_log_that_lost_lines_is_damaged() {
        let folder = tempfile::tempdir().unwrap();
        let error = Log::resume(&(Arc::new(Disk) as Arc<dyn Files>), &folder.path().join("log"), 10).err().unwrap();
        assert!(matches!(error, TrainError::Damaged { .. }), "{error}");
    }
}
