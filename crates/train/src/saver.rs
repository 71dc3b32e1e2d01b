//! Saving: what is copied while training waits, what is written while it goes on, and what is kept.

use std::path::PathBuf;
use std::thread::{self, JoinHandle};

use gptneo_device::Collective;
use gptneo_device::train::TrainDevice;
use gptneo_model::adapter::{SETTINGS_FILE, WEIGHTS_FILE};
use gptneo_model::training::{Layout, Network, file_bytes, file_shape};
use gptneo_model::{Adapter, Config};

use crate::error::TrainError;
use crate::optimizer::Optimizer;
use crate::recipe::CheckpointRecipe;
use crate::state::State;
use crate::store::{Found, Store, read_state};

/// The optimiser's tensors in a checkpoint.
pub(crate) const OPTIMIZER: &str = "optimizer.safetensors";

/// Writes checkpoints, one at a time.
#[derive(Debug)]
pub(crate) struct Saver {
    store: Store,
    recipe: CheckpointRecipe,
    /// Files that stand in every checkpoint as they are: the tokenizer's.
    extra: Vec<(String, Vec<u8>)>,
    /// What the model beside an adapter is called.
    base: Option<String>,
    under_way: Option<JoinHandle<Result<PathBuf, TrainError>>>,
}

/// The tensors of one file, copied.
struct Copied {
    described: Vec<(String, Vec<usize>)>,
    values: Vec<Vec<f32>>,
}

/// What of the model a checkpoint holds.
enum Weights<'a> {
    /// All of it: names and shapes in `model.safetensors`, and the values of each parameter.
    Model { described: &'a [(String, Vec<usize>)], values: Values<'a> },
    /// The adapter beside it.
    Adapter(&'a Adapter),
}

impl Saver {
    pub(crate) fn new(
        store: Store,
        recipe: CheckpointRecipe,
        extra: Vec<(String, Vec<u8>)>,
        base: Option<String>,
    ) -> Self {
        Self { store, recipe, extra, base, under_way: None }
    }

    pub(crate) fn store(&self) -> &Store {
        &self.store
    }

    /// Waits for the save that is under way, if one is.
    ///
    /// # Errors
    /// Its own.
    pub(crate) fn wait(&mut self) -> Result<Option<PathBuf>, TrainError> {
        let Some(writer) = self.under_way.take() else { return Ok(None) };
        match writer.join() {
            Ok(written) => written.map(Some),
            Err(panic) => std::panic::resume_unwind(panic),
        }
    }

    /// Saves; `background` returns as soon as everything is copied. All ranks call this, rank 0 writes.
    ///
    /// # Errors
    /// What the system refused; in the background it comes from [`Saver::wait`].
    pub(crate) fn save<D: TrainDevice>(
        &mut self,
        network: &Network<D>,
        optimizer: &Optimizer<D>,
        ranks: &mut dyn Collective<D>,
        state: State,
        background: bool,
    ) -> Result<Option<PathBuf>, TrainError> {
        assert!(self.under_way.is_none(), "one save at a time");
        let (device, layout, config) = (network.device(), network.layout(), network.config());
        let moments: Vec<_> = optimizer.described(layout).into_iter().map(|t| (t.name, t.shape)).collect();
        if ranks.rank() != 0 {
            for index in 0..moments.len() {
                optimizer.tensor(device, layout, ranks, index)?;
            }
            return Ok(None);
        }
        let adapter = network.adapter(self.base.as_deref())?;
        let weights = if adapter.is_some() { Vec::new() } else { described(config, layout) };
        if background {
            let weights = Copied { values: (0..weights.len()).map(|i| slot(network, i)).collect(), described: weights };
            let values =
                (0..moments.len()).map(|i| optimizer.tensor(device, layout, ranks, i)).collect::<Result<_, _>>()?;
            let moments = Copied { described: moments, values };
            let (config, layout) = (config.clone(), layout.clone());
            let (store, recipe, extra) = (self.store.clone(), self.recipe, self.extra.clone());
            self.under_way = Some(thread::spawn(move || {
                let job = Job { store: &store, extra: &extra, config: &config, layout: &layout, recipe };
                let mut values = |i: usize| Ok(weights.values[i].clone());
                let weights = match &adapter {
                    Some(adapter) => Weights::Adapter(adapter),
                    None => Weights::Model { described: &weights.described, values: &mut values },
                };
                job.write(&state, weights, (&moments.described, &mut |i| Ok(moments.values[i].clone())))
            }));
            return Ok(None);
        }
        let job = Job { store: &self.store, extra: &self.extra, config, layout, recipe: self.recipe };
        let mut taken = 0;
        let mut moment = |i: usize| {
            taken = i + 1;
            optimizer.tensor(device, layout, &mut *ranks, i)
        };
        let mut values = |i| Ok(slot(network, i));
        let weights = match &adapter {
            Some(adapter) => Weights::Adapter(adapter),
            None => Weights::Model { described: &weights, values: &mut values },
        };
        let written = job.write(&state, weights, (&moments, &mut moment)).map(Some);
        // The others give all of it, whatever became of the file.
        for index in taken..moments.len() {
            optimizer.tensor(device, layout, ranks, index)?;
        }
        written
    }
}

type Values<'a> = &'a mut dyn FnMut(usize) -> Result<Vec<f32>, TrainError>;

struct Job<'a> {
    store: &'a Store,
    extra: &'a [(String, Vec<u8>)],
    config: &'a Config,
    layout: &'a Layout,
    recipe: CheckpointRecipe,
}

impl Job<'_> {
    fn write(
        &self,
        state: &State,
        weights: Weights<'_>,
        moments: (&[(String, Vec<usize>)], Values<'_>),
    ) -> Result<PathBuf, TrainError> {
        let path = self.store.write(state.step, |draft| {
            for (name, bytes) in self.extra {
                draft.bytes(name, bytes)?;
            }
            match weights {
                Weights::Model { described, values } => {
                    draft.bytes("config.json", self.config.to_json("float32").as_bytes())?;
                    draft.tensors("model.safetensors", described, |i| {
                        Ok(file_bytes(self.config, &self.layout.slots()[i], &values(i)?)?)
                    })?;
                }
                Weights::Adapter(adapter) => {
                    draft.bytes(SETTINGS_FILE, adapter.peft_settings().as_bytes())?;
                    draft.tensors(WEIGHTS_FILE, &adapter.tensors(), |i| Ok(adapter.tensor_bytes(i)?))?;
                }
            }
            let (described, values) = moments;
            draft.tensors(OPTIMIZER, described, |i| Ok(values(i)?.iter().flat_map(|v| v.to_le_bytes()).collect()))?;
            draft.state(state)
        })?;
        self.prune()?;
        Ok(path)
    }

    /// Keeps the newest due ones, the best, and what was saved after them because the run was stopped.
    fn prune(&self) -> Result<(), TrainError> {
        let mut due = Vec::new();
        for found in self.store.list()? {
            // One that cannot be read is damaged: it does not count, and is not kept.
            let Ok(state) = read_state::<State>(&found.path) else { continue };
            if state.scheduled {
                due.push((found.step, state.bits_per_byte));
            }
        }
        let newest = due.first().map_or(0, |(step, _)| *step);
        let best = due.iter().filter_map(|(step, bits)| Some(((*bits)?, *step))).min_by(|a, b| a.0.total_cmp(&b.0));
        let keep = self.recipe.keep as usize;
        let mut kept: Vec<u64> = due.iter().take(keep).map(|(step, _)| *step).collect();
        if self.recipe.keep_best {
            kept.extend(best.map(|(_, step)| step));
        }
        self.store.prune(|Found { step, .. }| kept.contains(step) || *step > newest || due.is_empty())
    }
}

/// Names and shapes of the weights in `model.safetensors`.
fn described(config: &Config, layout: &Layout) -> Vec<(String, Vec<usize>)> {
    layout.slots().iter().map(|slot| (slot.name.clone(), file_shape(config, slot))).collect()
}

/// The values of a parameter.
fn slot<D: TrainDevice>(network: &Network<D>, index: usize) -> Vec<f32> {
    let slot = &network.layout().slots()[index];
    let parameters = network.parameters();
    let buffer = if slot.trained { &parameters.trained } else { &parameters.frozen };
    let mut values = vec![0.0; slot.range.len()];
    network.device().read(buffer, slot.range.start, &mut values);
    values
}
