//! How a run begins: anew, from given weights, or from a checkpoint.

use std::path::Path;

use gptneo_checkpoint::Checkpoint;
use gptneo_device::train::TrainDevice;
use gptneo_model::training::{Initial, Network};
use gptneo_model::{Adapter, Config, TensorSource};
use gptneo_runs::{Event, Level, Started};

use super::{Parts, Resume, Trainer, check, checkpoints, log_file};
use crate::error::TrainError;
use crate::log::Log;
use crate::optimizer::{Optimizer, StateTensor};
use crate::plan::options;
use crate::recipe::{Initialisation, Recipe, Start};
use crate::saver::{OPTIMIZER, Saver};
use crate::state::State;
use crate::store::{Found, Store, read_state};
use crate::work::operations_per_token;

/// The first weights of a run.
pub enum First<'a> {
    /// Drawn.
    Random(Initialisation),
    /// Given.
    Weights(&'a dyn TensorSource),
}

impl<'a, D: TrainDevice> Trainer<'a, D> {
    /// Makes the network and puts the run where it stands.
    ///
    /// # Errors
    /// Memory, files, a recipe or data other than the checkpoint's.
    pub fn new(
        recipe: Recipe,
        config: Config,
        first: First<'a>,
        resume: Resume,
        parts: Parts<'a, D>,
    ) -> Result<Self, TrainError> {
        let Parts { device, ranks, examples, files, tokenizer, extra, another_device, scores, observer, peak } = parts;
        // Rank 0 alone measures.
        let scored = scores.is_some() || ranks.rank() > 0;
        check(&recipe, &config, examples.labelled(), scored, ranks.size())?;
        let store = Store::new(files.clone(), checkpoints(&recipe.output));
        if resume == Resume::Never && (log_file(&recipe.output).exists() || !store.list()?.is_empty()) {
            return Err(TrainError::Exists { path: recipe.output });
        }
        let options = options(&recipe, &config)?;
        let network = Network::new(device, config, options)?;
        let optimizer =
            Optimizer::new(network.device(), recipe.optimizer, network.layout(), ranks.rank(), ranks.size())?;
        let share_of_peak = peak.map(|peak| operations_per_token(network.config(), recipe.data.sequence) / peak);
        let base = match &recipe.model.start {
            Start::Weights(name) => Some(name.clone()),
            Start::Shape(_) | Start::ConfigFile(_) | Start::Config(_) => None,
        };
        let saver = Saver::new(store, recipe.checkpoint, extra, base);
        let mut trainer = Self {
            recipe,
            network,
            optimizer,
            state: State::default(),
            saver,
            log: None,
            ranks,
            examples,
            files,
            tokenizer,
            another_device,
            scores,
            observer,
            share_of_peak,
            first,
        };
        let newest = trainer.newest()?;
        let moved = match &newest {
            Some(found) => trainer.restore(found)?,
            None => trainer.begin().map(|()| false)?,
        };
        if trainer.ranks.rank() == 0 {
            let output = &trainer.recipe.output;
            trainer.files.create_dir(output).map_err(|error| TrainError::io("create", output, error))?;
            trainer.log = Some(Log::resume(&trainer.files, &log_file(output), trainer.state.log_bytes)?);
        }
        // Every rank has read what it needs before rank 0 writes.
        trainer.ranks.barrier()?;
        trainer.tell_start(newest.as_ref(), moved);
        Ok(trainer)
    }

    /// `moved`: whether its schedule has another end than before.
    fn tell_start(&mut self, from: Option<&Found>, moved: bool) {
        if self.ranks.rank() != 0 {
            return;
        }
        let Recipe { name, schedule, .. } = &self.recipe;
        let started =
            Started { name: name.clone(), after_step: self.state.step, steps: Some(schedule.steps), tokens: None };
        let end = schedule.steps;
        self.observer.observe(&Event::Started(started));
        if let Some(found) = from {
            let end = if moved { format!(", and now ends after {end} steps") } else { String::new() };
            self.say(Level::Info, format!("goes on from {}{end}", found.path.display()));
        }
    }

    /// The newest whole checkpoint. Rank 0 looks, since only it checks every byte; the others take the step it names.
    fn newest(&mut self) -> Result<Option<Found>, TrainError> {
        let found = if self.ranks.rank() == 0 {
            let mut damages = Vec::new();
            let newest = self.saver.store().newest_whole(|damaged, why| {
                damages.push(format!("{} is damaged and passed over: {why}", damaged.path.display()));
            })?;
            damages.into_iter().for_each(|text| self.say(Level::Warning, text));
            newest
        } else {
            None
        };
        // 0 stands for none; a step is told as itself and one more.
        let mut step = [found.as_ref().map_or(0.0, |found| (found.step + 1) as f64)];
        self.ranks.sum(&mut step)?;
        if self.ranks.rank() == 0 || step[0] == 0.0 {
            return Ok(found);
        }
        let step = step[0] as u64 - 1;
        let found = self.saver.store().list()?.into_iter().find(|found| found.step == step);
        found.map(Some).ok_or_else(|| {
            TrainError::Impossible(format!(
                "rank {} does not see the checkpoint of step {step} in {}: all ranks must see the folder of the run",
                self.ranks.rank(),
                self.saver.store().folder().display()
            ))
        })
    }

    /// The first weights, and a state of nothing done.
    pub(super) fn begin(&mut self) -> Result<(), TrainError> {
        self.first_weights()?;
        self.network.initialise_adapters(self.recipe.seed);
        let (device, layout, _) = self.network.parts();
        let (rank, size) = (self.ranks.rank(), self.ranks.size());
        self.optimizer = Optimizer::new(device, self.recipe.optimizer, layout, rank, size)?;
        self.state = State { recipe: self.recipe.essence()?, data: self.examples.fingerprint(), ..State::default() };
        Ok(())
    }

    /// Draws the weights that the run begins with, or takes those given.
    fn first_weights(&mut self) -> Result<(), TrainError> {
        match self.first {
            First::Random(how) => {
                let initial = match how {
                    Initialisation::Original => Initial::Original,
                    Initialisation::Transformers => Initial::Transformers,
                };
                Ok(self.network.initialise(initial, self.recipe.seed)?)
            }
            First::Weights(source) => Ok(self.network.load(source, &mut |_| ())?),
        }
    }

    /// Takes the weights of a checkpoint.
    fn saved_weights(&mut self, found: &Found) -> Result<(), TrainError> {
        if self.recipe.adapter.is_some() {
            // The model beside it is in no checkpoint.
            self.first_weights()?;
            let adapter = Adapter::open(self.network.device(), &found.path, self.network.config())?;
            return Ok(self.network.load_adapter(&adapter)?);
        }
        let source = gptneo_model::open(&found.path)?;
        if source.config() != self.network.config() {
            return Err(TrainError::OtherRun {
                path: found.path.clone(),
                what: "another model",
                difference: "its config.json has another architecture than the recipe".into(),
            });
        }
        Ok(self.network.load(&source, &mut |_| ())?)
    }

    /// Puts the run where a checkpoint stands; tells whether its schedule has another end than the checkpoint's.
    pub(super) fn restore(&mut self, found: &Found) -> Result<bool, TrainError> {
        let state: State = read_state(&found.path)?;
        let essence = self.recipe.essence()?;
        if !self.recipe.continues(&state.recipe, state.step)? {
            return Err(TrainError::OtherRun {
                path: found.path.clone(),
                what: "another recipe",
                difference: difference(&state.recipe, &essence),
            });
        }
        if state.data != self.examples.fingerprint() {
            return Err(TrainError::OtherRun {
                path: found.path.clone(),
                what: "other data",
                difference: "its shards have another hash; go on with the same shards, or begin anew elsewhere".into(),
            });
        }
        self.saved_weights(found)?;
        let file = found.path.join(OPTIMIZER);
        let moments = Checkpoint::open(&file)?;
        let (device, layout, _) = self.network.parts();
        self.optimizer.load(device, layout, &mut |wanted, range| values(&moments, &file, wanted, range))?;
        let moved = state.recipe != essence;
        self.state = State { recipe: essence, ..state };
        Ok(moved)
    }
}

/// Some values of a tensor of the optimiser's state.
fn values(
    moments: &Checkpoint,
    file: &Path,
    wanted: &StateTensor,
    range: std::ops::Range<usize>,
) -> Result<Vec<f32>, TrainError> {
    let damaged = |why: String| TrainError::Damaged { path: file.to_owned(), why };
    let tensor = moments.get(&wanted.name).ok_or_else(|| damaged(format!("it has no tensor `{}`", wanted.name)))?;
    if tensor.shape != wanted.shape || tensor.dtype != gptneo_device::DType::F32 {
        return Err(damaged(format!("`{}` has shape {:?}, not {:?} of f32", wanted.name, tensor.shape, wanted.shape)));
    }
    let bytes = moments.bytes(tensor)?;
    let bytes = &bytes[4 * range.start..4 * range.end];
    Ok(bytes.as_chunks::<4>().0.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect())
}

/// The first line in which two recipes differ, and what to do.
fn difference(saved: &str, given: &str) -> String {
    let missing = |from: &str, of: &str| of.lines().find(|line| !from.lines().any(|l| l == *line)).map(str::to_owned);
    let (saved, given) = (missing(given, saved), missing(saved, given));
    let say = |line: Option<String>| line.map_or_else(|| "nothing".to_owned(), |line| format!("`{line}`"));
    format!(
        "it has {}, this recipe {}; give it the same recipe, or begin anew with another `output`",
        say(saved),
        say(given)
    )
}
