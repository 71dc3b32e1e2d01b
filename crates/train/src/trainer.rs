//! The loop: one step after another, from wherever the run stands to its end.
//!
//! A step takes the next sequences of the order, adds their gradients piece by piece (reducing them over ranks while the
//! last piece still runs backward), judges loss and norm, and updates the weights. What is due after it (evaluation,
//! samples, a checkpoint) follows from its number alone, so that an interrupted run does again exactly what it would
//! have done.

mod begin;
mod step;
mod watching;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use gptneo_device::Collective;
use gptneo_device::train::TrainDevice;
use gptneo_model::Config;
use gptneo_model::training::{Network, Snapshot};
use gptneo_runs::{Event, Level, Message, Observer};
use gptneo_text::Tokenizer;

use crate::data::Examples;
use crate::error::TrainError;
use crate::files::Files;
use crate::log::{Clock, Line, Log, TaskScore};
use crate::optimizer::Optimizer;
use crate::recipe::Recipe;
use crate::saver::Saver;
use crate::state::State;

pub use begin::First;

/// Whether a run begins or goes on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Resume {
    /// It begins; a folder that holds a run is refused.
    #[default]
    Never,
    /// It goes on from the newest whole checkpoint, or begins where there is none.
    Auto,
}

/// What tasks gave.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Scored {
    /// Scores by `TASK/METRIC`.
    pub scores: BTreeMap<String, TaskScore>,
    /// What somebody who reads them should know.
    pub notes: Vec<String>,
}

/// Measures the tasks of the recipe's `[eval]` on a copy of the weights.
pub type Scores<'a> = &'a mut dyn FnMut(&Snapshot) -> Result<Scored, TrainError>;

/// What a run is given beside its recipe.
pub struct Parts<'a, D: TrainDevice> {
    /// Where it runs.
    pub device: D,
    /// The ranks it runs on.
    pub ranks: Box<dyn Collective<D> + 'a>,
    /// What it learns from.
    pub examples: Box<dyn Examples + 'a>,
    /// Its files.
    pub files: Arc<dyn Files>,
    /// The tokenizer, for samples.
    pub tokenizer: Option<Tokenizer>,
    /// Files that stand beside the weights in every checkpoint: the tokenizer's, by name.
    pub extra: Vec<(String, Vec<u8>)>,
    /// Makes a device for samples.
    pub another_device: &'a mut dyn FnMut() -> Result<D, TrainError>,
    /// Measures tasks, where the recipe asks for some. Only rank 0 calls it.
    pub scores: Option<Scores<'a>>,
    /// Who watches. Only rank 0 says anything.
    pub observer: &'a mut dyn Observer,
    /// Operations a second of all ranks' machines together, where that is known.
    pub peak: Option<f64>,
}

/// How a run ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ended {
    /// All steps are done.
    Finished {
        /// The last checkpoint, on rank 0 of a run that saves.
        checkpoint: Option<std::path::PathBuf>,
    },
    /// It was asked to stop, and has saved.
    Stopped {
        /// Steps done.
        step: u64,
    },
}

/// A run.
pub struct Trainer<'a, D: TrainDevice> {
    recipe: Recipe,
    network: Network<D>,
    optimizer: Optimizer<D>,
    state: State,
    saver: Saver,
    /// On rank 0.
    log: Option<Log>,
    ranks: Box<dyn Collective<D> + 'a>,
    examples: Box<dyn Examples + 'a>,
    files: Arc<dyn Files>,
    tokenizer: Option<Tokenizer>,
    another_device: &'a mut dyn FnMut() -> Result<D, TrainError>,
    scores: Option<Scores<'a>>,
    observer: &'a mut dyn Observer,
    /// Share of the machines' peak that one token a second takes.
    share_of_peak: Option<f64>,
    /// Where the run began, for going back to its very beginning.
    first: begin::First<'a>,
}

impl<D: TrainDevice> Trainer<'_, D> {
    /// The network.
    pub fn network(&self) -> &Network<D> {
        &self.network
    }

    /// Where the run stands.
    pub fn state(&self) -> &State {
        &self.state
    }

    /// Trains to the end of the schedule, or until `stop` is set; then the run is saved.
    ///
    /// # Errors
    /// Whatever could not be done. The checkpoints made before stand.
    pub fn run(&mut self, stop: &AtomicBool) -> Result<Ended, TrainError> {
        let steps = self.recipe.schedule.steps;
        let begins = self.state.log_bytes == 0 && self.state.step == 0;
        if self.recipe.evaluation.at_start && begins {
            self.evaluate()?;
        }
        if self.recipe.eval.at_start && begins {
            self.measure_tasks()?;
        }
        while self.state.step < steps {
            let mut asked = [f64::from(u8::from(stop.load(Ordering::SeqCst)))];
            self.ranks.sum(&mut asked)?;
            if asked[0] > 0.0 {
                return self.stop();
            }
            // Gone back, the run stands where everything due was done before.
            if self.step()? {
                self.after_step()?;
            }
        }
        self.flush()?;
        let last = self.saver.store().list()?.into_iter().next();
        Ok(Ended::Finished { checkpoint: last.filter(|last| last.step == self.state.step).map(|last| last.path) })
    }

    /// What is due after a step.
    fn after_step(&mut self) -> Result<(), TrainError> {
        let step = self.state.step;
        let last = step == self.recipe.schedule.steps;
        let due = |every: u64| every > 0 && (step.is_multiple_of(every) || last);
        let saves = due(self.recipe.checkpoint.every);
        self.state.bits_per_byte = None;
        if due(self.recipe.evaluation.every) || (saves && self.recipe.checkpoint.keep_best) {
            self.evaluate()?;
        }
        if due(self.recipe.eval.every) {
            self.measure_tasks()?;
        }
        if due(self.recipe.sample.every) {
            self.sample()?;
        }
        if saves {
            self.state.returns = 0;
            self.save(true)?;
        }
        Ok(())
    }

    /// Saves a run that is asked to stop.
    fn stop(&mut self) -> Result<Ended, TrainError> {
        let step = self.state.step;
        self.flush()?;
        let saved = self.saver.store().list()?.iter().any(|found| found.step == step);
        let mut saved = [f64::from(u8::from(saved && self.ranks.rank() == 0))];
        self.ranks.sum(&mut saved)?;
        if saved[0] == 0.0 && step > 0 {
            self.save(false)?;
            self.flush()?;
        }
        Ok(Ended::Stopped { step })
    }

    /// Saves. One that fails in the background is told when the next begins: the run goes on, and the older checkpoints
    /// stand. The last save of a run must succeed.
    fn save(&mut self, scheduled: bool) -> Result<(), TrainError> {
        self.settle();
        if let Some(log) = &mut self.log {
            self.state.log_bytes = log.sync()?;
        }
        let state = State { scheduled, ..self.state.clone() };
        let background = self.recipe.checkpoint.background;
        let saved = self.saver.save(&self.network, &self.optimizer, self.ranks.as_mut(), state, background);
        let last = self.state.step == self.recipe.schedule.steps || !scheduled;
        match saved {
            Err(error @ TrainError::Io { .. }) if !last && !background => {
                self.say(Level::Warning, format!("a checkpoint could not be saved, the older ones stand: {error}"));
                Ok(())
            }
            other => other.map(|_| ()),
        }
    }

    /// Waits for a save in the background, and for the memory that it holds.
    fn settle(&mut self) {
        if let Err(error) = self.saver.wait() {
            self.say(Level::Warning, format!("a checkpoint could not be saved, the older ones stand: {error}"));
        }
    }

    /// Waits for the last save, which must succeed.
    fn flush(&mut self) -> Result<(), TrainError> {
        if let Some(log) = &mut self.log {
            log.sync()?;
        }
        self.saver.wait().map(|_| ())
    }

    /// Tells observers something that is not a part of the log: a resumed run, a damaged checkpoint, a save that failed.
    fn say(&mut self, level: Level, text: String) {
        if self.ranks.rank() == 0 {
            let step = Some(self.state.step);
            self.observer.observe(&Event::Message(Message { level, step, text }));
        }
    }

    fn write(&mut self, line: &Line) -> Result<(), TrainError> {
        if let Some(log) = &mut self.log {
            log.write(line)?;
            self.observer.observe(&line.event(self.share_of_peak));
        }
        Ok(())
    }
}

/// The clock fields of something that began at `begun`.
fn clock(begun: Instant, tokens: Option<u64>) -> Clock {
    let seconds = begun.elapsed().as_secs_f64();
    // A clock that stands before 1970 is told as 1970.
    let unix = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64();
    Clock { unix, seconds, tokens_per_s: tokens.map(|tokens| tokens as f64 / seconds) }
}

/// Where the checkpoints of a run lie.
pub fn checkpoints(output: &Path) -> std::path::PathBuf {
    output.join("checkpoints")
}

/// Where the log of a run lies.
pub fn log_file(output: &Path) -> std::path::PathBuf {
    output.join("log.jsonl")
}

/// Refuses what a model of this configuration cannot do.
fn check(recipe: &Recipe, config: &Config, labelled: bool, scored: bool, ranks: usize) -> Result<(), TrainError> {
    if recipe.eval.asks() && !scored {
        return Err(TrainError::Impossible("`eval` names tasks, and nobody is there to measure them".into()));
    }
    if recipe.epochs.is_some() {
        return Err(TrainError::Impossible("`schedule.epochs` has not been counted in steps".into()));
    }
    if recipe.data.sequence > config.positions {
        return Err(TrainError::Impossible(format!(
            "`data.sequence` is {}, but the model has {} positions",
            recipe.data.sequence, config.positions
        )));
    }
    match (config.classifier.is_some(), labelled) {
        (true, false) => {
            return Err(TrainError::Impossible(
                "the model is a classifier, which learns labels: text teaches a language model".into(),
            ));
        }
        (false, true) => {
            return Err(TrainError::Impossible(
                "the examples have labels, which a classifier learns: name them in `model.labels`".into(),
            ));
        }
        _ => {}
    }
    let least = recipe.batch.ramp.map_or(recipe.batch.sequences, |ramp| ramp.from);
    if least < ranks as u64 {
        return Err(TrainError::Impossible(format!(
            "a batch of {least} sequences cannot be shared by {ranks} ranks: set `batch.sequences` or `batch.ramp_from` to {ranks} or more"
        )));
    }
    Ok(())
}
