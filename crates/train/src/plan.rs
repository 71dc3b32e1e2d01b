//! The memory of a run, known before it starts; and settings that would fit where it does not.

use gptneo_device::train::TrainDevice;
use gptneo_model::Config;
use gptneo_model::adapter::target_roles;
use gptneo_model::training::{Adapters, Dropouts, Layout, Plan, Recompute, TrainOptions, Trainable};

use crate::error::TrainError;
use crate::optimizer::state_bytes;
use crate::recipe::{AdapterRecipe, Recipe};

/// What the program itself takes: code, tokenizer, shards at hand, the threads' stacks, and what is lost to whole huge pages.
const OVERHEAD: u64 = 48_000_000;
/// What drawing a sample takes beside weights and cache: the decoder's activations, and what is lost to whole huge pages.
const DRAWING: u64 = 12_000_000;

/// Positions for which the cache of an engine that measures tasks has room, if the model has fewer.
pub const TASK_POSITIONS: usize = 4096;

/// Bytes that one rank takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MemoryPlan {
    /// Weights, gradients, activations and scratch.
    pub network: Plan,
    /// Moments.
    pub optimizer: u64,
    /// What is copied to be saved, to draw samples, to measure tasks, and to be summed over ranks.
    pub copies: u64,
    /// The program itself.
    pub program: u64,
}

impl MemoryPlan {
    /// All of it.
    pub fn total(&self) -> u64 {
        self.network.total() + self.optimizer + self.copies + self.program
    }
}

/// What a network of this configuration is made for, by a recipe.
///
/// # Errors
/// If the recipe's adapters target what the model does not have.
pub fn options(recipe: &Recipe, config: &Config) -> Result<TrainOptions, TrainError> {
    let dropout = recipe.model.dropout;
    let trainable = match &recipe.adapter {
        None => Trainable::All,
        Some(AdapterRecipe { rank, alpha, rank_stabilised, dropout, targets }) => Trainable::Adapters(Adapters {
            rank: *rank,
            alpha: *alpha,
            rank_stabilised: *rank_stabilised,
            dropout: *dropout,
            targets: target_roles(config, targets)?,
        }),
    };
    Ok(TrainOptions {
        rows: (recipe.batch.micro as usize).saturating_mul(recipe.data.sequence),
        longest: recipe.data.sequence,
        recompute: if recipe.model.recompute { Recompute::Layers } else { Recompute::Nothing },
        dropout: Dropouts { embedding: dropout, attention: dropout, residual: dropout },
        trainable,
    })
}

/// The plan of one of `ranks`.
///
/// # Errors
/// A recipe that makes no network.
pub fn plan<D: TrainDevice>(
    device: &D,
    config: &Config,
    recipe: &Recipe,
    ranks: usize,
) -> Result<MemoryPlan, TrainError> {
    let options = options(recipe, config)?;
    let network = Plan::new(device, config, &options)?;
    let layout = Layout::new(config, &options.trainable)?;
    let whole_state = state_bytes(&recipe.optimizer, &layout, 1);
    // What a checkpoint holds: of adapters, they alone.
    let saved: Vec<u64> = match recipe.adapter {
        None => layout.slots().iter().map(|slot| 4 * slot.range.len() as u64).collect(),
        Some(_) => layout.trained_slots().map(|slot| 4 * slot.range.len() as u64).collect(),
    };
    let largest = saved.iter().copied().max().unwrap_or(0);
    let saves = recipe.checkpoint.every > 0;
    let saving = match (saves, recipe.checkpoint.background) {
        // A tensor, and the bytes that it becomes.
        (_, false) | (false, _) => 2 * largest,
        (true, true) => saved.iter().sum::<u64>() + whole_state + 2 * largest,
    };
    // Weights copied from the network, the engine's own, and its cache of one sequence.
    let cache = |positions: usize| 8 * (config.layers() * config.width * positions) as u64;
    let drawing = |positions| 2 * network.weights + cache(positions) + DRAWING;
    let samples = if recipe.sample.every > 0 { drawing(config.positions) } else { 0 };
    let tasks = if recipe.eval.asks() { drawing(config.positions.max(TASK_POSITIONS)) } else { 0 };
    // Of gradients that are on their way between ranks: what is sent, and the sums that come back.
    let sums = if ranks > 1 { 8 * layout.trained() as u64 } else { 0 };
    // A sample, and a measurement of tasks, waits until the last save is done.
    let copies = saving.max(samples).max(tasks) + sums;
    Ok(MemoryPlan { network, optimizer: state_bytes(&recipe.optimizer, &layout, ranks), copies, program: OVERHEAD })
}

/// Other settings of the same run (the same numbers come out) that need at most `available` bytes, the least change
/// first: pairs of an assignment for `--set` and the bytes it needs.
///
/// # Errors
/// A recipe that makes no network.
pub fn what_fits<D: TrainDevice>(
    device: &D,
    config: &Config,
    recipe: &Recipe,
    ranks: usize,
    available: u64,
) -> Result<Option<(Vec<String>, u64)>, TrainError> {
    let mut recipe = recipe.clone();
    let mut settings: Vec<String> = Vec::new();
    let fits = |recipe: &Recipe| -> Result<Option<u64>, TrainError> {
        let bytes = plan(device, config, recipe, ranks)?.total();
        Ok((bytes <= available).then_some(bytes))
    };
    if recipe.checkpoint.background {
        recipe.checkpoint.background = false;
        settings.push("checkpoint.background=false".to_owned());
        if let Some(bytes) = fits(&recipe)? {
            return Ok(Some((settings, bytes)));
        }
    }
    let micro = recipe.batch.micro;
    for recompute in [recipe.model.recompute, true] {
        if recompute && !recipe.model.recompute {
            settings.push("model.recompute=true".to_owned());
        }
        recipe.model.recompute = recompute;
        recipe.batch.micro = micro;
        loop {
            if let Some(bytes) = fits(&recipe)? {
                if recipe.batch.micro != micro {
                    settings.push(format!("batch.micro={}", recipe.batch.micro));
                }
                return Ok(Some((settings, bytes)));
            }
            if recipe.batch.micro == 1 {
                break;
            }
            recipe.batch.micro /= 2;
        }
    }
    Ok(None)
}
