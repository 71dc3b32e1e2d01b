//! Tasks of the field that are measured as a run goes. Names, definitions and data are read before its first step.

use gptneo_device::CacheType;
use gptneo_engine::Engine;
use gptneo_eval::{Answers, Chosen, Judges, Limit, Options, Outcome, Prepared, Score, Subject, fits, prepare};
use gptneo_kernels::Cpu;
use gptneo_model::training::Snapshot;
use gptneo_model::{Classifier, Config, LoadOptions, TensorSource, load};
use gptneo_text::Tokenizer;
use gptneo_train::log::TaskScore;
use gptneo_train::{Recipe, Scored, TASK_POSITIONS, TrainError};

use crate::args::RunFlags;
use crate::failure::Failure;
use crate::pulling::Bars;
use crate::source;
use crate::verbs::{World, eval};

/// Resamples behind a standard error that has no formula: fewer than `gptneo eval` takes, since a run is measured again and again.
const RESAMPLES: usize = 1000;

/// Tasks, ready to be put to weights.
pub(super) struct Tasks {
    prepared: Prepared,
    tokenizer: Tokenizer,
}

impl Tasks {
    /// Reads what the recipe names, if it names any.
    ///
    /// # Errors
    /// A task that nobody knows, data that are nowhere, a task that the model does not fit, a model without a tokenizer.
    pub(super) fn read(
        recipe: &Recipe,
        config: &Config,
        tokenizer: Option<&Tokenizer>,
        flags: &RunFlags,
        world: &World,
    ) -> Result<Option<Self>, Failure> {
        let wanted = &recipe.eval;
        if !wanted.asks() {
            return Ok(None);
        }
        let chosen = eval::catalog(&wanted.include)?.choose(&wanted.tasks)?;
        let labels = config.classifier.as_ref().map(Classifier::labels);
        for one in &chosen {
            if let Chosen::Task(task) = one {
                fits(task, labels)?;
            }
        }
        let tokenizer = tokenizer.cloned().ok_or_else(|| {
            Failure::usage("`eval.tasks` needs a tokenizer").hint("set model.tokenizer to its folder")
        })?;
        let hub = source::hub(&flags.hub, world.environment)?;
        let bars = Bars::new();
        let library = eval::library(&wanted.data, &hub, &bars, world);
        let limit = usize::try_from(wanted.limit).ok().filter(|&limit| limit > 0).map(Limit::Count);
        let num_fewshot = wanted.num_fewshot.map(|shots| usize::try_from(shots).unwrap_or(usize::MAX));
        let options = Options { num_fewshot, limit, bootstrap_iterations: RESAMPLES, ..Options::default() };
        let _heeded = world.interrupt.heed();
        Ok(Some(Self { prepared: prepare(chosen, &library, &options, &Judges::default(), &mut ())?, tokenizer }))
    }

    /// Puts the tasks to weights, on a device of their own.
    ///
    /// # Errors
    /// Too little memory, and what is wrong between a task and the model.
    pub(super) fn measure(&self, device: Cpu, weights: &Snapshot) -> Result<Scored, TrainError> {
        let positions = weights.config().positions;
        let options = LoadOptions {
            context: Some(positions),
            cache_positions: Some(positions.max(TASK_POSITIONS)),
            key: Some(CacheType::F32),
            value: Some(CacheType::F32),
            ..LoadOptions::default()
        };
        let loaded = load(device, weights, &options, &mut |_| ())?;
        let mut engine = Engine::new(Box::new(loaded.decoder), Some(self.tokenizer.clone()));
        let mut subject = Subject { engine: &mut engine, adapter: None };
        let mut judges = Judges::default();
        let measured = self.prepared.measure(&|_| true, &mut subject, Answers::InMemory, &mut judges, &mut ());
        let outcome = measured.and_then(|tasks| self.prepared.outcome(tasks));
        outcome.map(|outcome| scored(&outcome)).map_err(|error| TrainError::Tasks(error.to_string()))
    }
}

fn scored(outcome: &Outcome) -> Scored {
    let mut found = Scored::default();
    let mut take = |of: &str, scores: &[Score]| {
        for score in scores {
            let filter = if score.filter == "none" { String::new() } else { format!(",{}", score.filter) };
            let kept = TaskScore { value: score.value, error: score.standard_error, count: score.count as u64 };
            found.scores.insert(format!("{of}/{}{filter}", score.metric), kept);
        }
    };
    for group in &outcome.groups {
        take(group.group.name(), &group.scores);
    }
    for task in &outcome.tasks {
        take(task.task.name(), &task.scores);
    }
    for task in &outcome.tasks {
        found.notes.extend(task.notes.iter().map(|note| format!("{}: {note}", task.task.name())));
    }
    found
}
