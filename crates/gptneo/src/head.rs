//! An engine that tells labels: of a model with a classification head, or of one that an adapter with a head makes a classifier.

use gptneo_engine::Engine;
use gptneo_kernels::Cpu;
use gptneo_model::{Adapter, Classifier, Config, Merged};
use gptneo_text::Tokenizer;

use crate::args::{MachineArgs, ModelArgs};
use crate::failure::Failure;
use crate::load::{Plan, cpu};
use crate::lora;
use crate::open::Opened;
use crate::verbs::World;

/// What is loaded, and how.
pub(crate) struct Parts<'a> {
    /// The model.
    pub(crate) opened: &'a Opened,
    /// An adapter that it has, or that makes it a classifier.
    pub(crate) adapter: Option<&'a Adapter>,
    /// How the model is held.
    pub(crate) model: &'a ModelArgs,
    /// Where.
    pub(crate) machine: &'a MachineArgs,
}

/// An engine, and the name of the adapter that stands beside its model, if one does.
///
/// # Errors
/// What does not fit, in memory or to each other.
pub(crate) fn engine(
    parts: &Parts<'_>,
    device: Cpu,
    tokenizer: Option<Tokenizer>,
    room: impl Fn(usize) -> usize,
    world: &World,
) -> Result<(Engine, Option<&'static str>), Failure> {
    let Parts { opened, adapter, model, machine } = *parts;
    let plan = Plan::new(opened, model, room)?.beside(adapter);
    // A head of its own makes another model of the base; without one, the adapter belongs to a sequence as ever.
    let merges = adapter.filter(|adapter| adapter.score().is_some());
    let loaded = match merges {
        None => plan.load(opened, device, &world.interrupt)?,
        Some(adapter) => {
            let adding = cpu(machine, world.environment)?;
            let merged = Merged::new(&adding, opened.source(), adapter)?;
            plan.load_from(&merged, opened, device, &world.interrupt)?
        }
    };
    let mut engine = Engine::new(loaded.model, tokenizer);
    let beside = adapter.filter(|_| merges.is_none());
    if let Some(adapter) = beside {
        engine.add_adapter(lora::NAME, adapter)?;
    }
    Ok((engine, beside.map(|_| lora::NAME)))
}

/// The head of a model with this adapter, if it has one.
///
/// # Errors
/// An adapter whose head does not fit the model.
pub(crate) fn classifier(config: &Config, adapter: Option<&Adapter>) -> Result<Option<Classifier>, Failure> {
    Ok(match adapter {
        Some(adapter) => adapter.adapted(config)?.classifier,
        None => config.classifier.clone(),
    })
}
