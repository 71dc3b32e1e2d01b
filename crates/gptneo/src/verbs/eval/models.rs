//! Which model is put to which task: the one that `-m` names, and those with heads that `--head` names.

use std::path::Path;

use gptneo_device::DType;
use gptneo_engine::Engine;
use gptneo_eval::{Chosen, Output, Task, fits};
use gptneo_model::{Adapter, Classifier};
use gptneo_text::Tokenizer;

use super::ROOM;
use crate::args::{LoraArgs, MeasureArgs, ModelArgs};
use crate::failure::Failure;
use crate::generator::{Flags, engine};
use crate::head::{self, Parts};
use crate::load::{cpu, layer_type};
use crate::lora;
use crate::open::{Opened, open};
use crate::verbs::World;

/// A model whose headers were read, and the tasks that are put to it.
pub(super) struct Model {
    pub(super) opened: Opened,
    /// How it is held, adapter included.
    pub(super) args: ModelArgs,
    adapter: Option<Adapter>,
    pub(super) tokenizer: Tokenizer,
    classifier: Option<Classifier>,
    tasks: Vec<String>,
    /// Whether `--head` names it, and how.
    pub(super) head: Option<String>,
}

/// The models of all tasks; every one fits its tasks.
///
/// # Errors
/// Names that stand for nothing, models that do not fit, tasks for which no model is named.
pub(super) fn find(args: &MeasureArgs, chosen: &[Chosen], world: &World) -> Result<Vec<Model>, Failure> {
    let tasks: Vec<&Task> =
        chosen.iter().filter_map(|one| if let Chosen::Task(task) = one { Some(task.as_ref()) } else { None }).collect();
    let mut heads: Vec<(&str, &str)> = Vec::new();
    for given in &args.head {
        let Some((task, model)) = given.split_once('=').filter(|(task, model)| !task.is_empty() && !model.is_empty())
        else {
            return Err(Failure::usage(format!("--head {given}: it is written TASK=DIR")));
        };
        if tasks.iter().all(|known| known.name() != task) {
            return Err(Failure::usage(format!("--head {given}: {task} is none of the tasks that are measured")));
        }
        if heads.iter().any(|(other, _)| *other == task) {
            return Err(Failure::usage(format!("--head {given}: {task} has a head already")));
        }
        heads.push((task, model));
    }
    let without: Vec<&Task> =
        tasks.iter().copied().filter(|task| heads.iter().all(|(name, _)| *name != task.name())).collect();
    let asks = without.iter().find(|task| task.output() == Output::Classification);
    if let (Some(task), None) = (asks, &args.model.model) {
        let name = task.name();
        return Err(Failure::usage(format!("{name} asks for labels, and no model with a head for it is named"))
            .hint(format!("--head {name}=DIR, a model that was fine-tuned for it"))
            .hint("gptneo eval lines TASK, which writes what to fine-tune on"));
    }
    let mut models = Vec::new();
    if !without.is_empty() {
        models.push(model(args, args.model.clone(), None, &without, world)?);
    }
    for (name, folder) in heads {
        let own: Vec<&Task> = tasks.iter().copied().filter(|task| task.name() == name).collect();
        models.push(model(args, held(args, folder), Some(folder), &own, world)?);
    }
    Ok(models)
}

/// How the model of a head is held: an adapter stands beside what `-m` names.
fn held(args: &MeasureArgs, folder: &str) -> ModelArgs {
    let path = Path::new(folder);
    if path.join(gptneo_model::adapter::SETTINGS_FILE).exists() && !path.join("config.json").exists() {
        return ModelArgs { lora: LoraArgs { lora: Some(path.to_owned()), lora_scale: None }, ..args.model.clone() };
    }
    ModelArgs { model: Some(folder.to_owned()), lora: LoraArgs::default(), ..args.model.clone() }
}

fn model(
    args: &MeasureArgs,
    given: ModelArgs,
    head: Option<&str>,
    tasks: &[&Task],
    world: &World,
) -> Result<Model, Failure> {
    let opened = open(given.model.as_deref(), &args.hub, world.environment, &world.interrupt)?;
    let adapter = match &given.lora.lora {
        None => None,
        Some(_) => lora::adapter(&given.lora, &cpu(&args.machine, world.environment)?, opened.config())?,
    };
    let classifier = head::classifier(opened.config(), adapter.as_ref())?;
    for task in tasks {
        fits(task, classifier.as_ref().map(Classifier::labels))?;
    }
    Ok(Model {
        tokenizer: tokenizer(args.tokenizer.as_deref(), &opened)?,
        args: exact(&given, &opened),
        tasks: tasks.iter().map(|task| task.name().to_owned()).collect(),
        head: head.map(str::to_owned),
        opened,
        adapter,
        classifier,
    })
}

impl Model {
    /// Whether a task is put to it.
    pub(super) fn has(&self, task: &Task) -> bool {
        self.tasks.iter().any(|name| name == task.name())
    }

    /// The model in memory, and the name of the adapter beside it.
    pub(super) fn load(&self, args: &MeasureArgs, world: &World) -> Result<(Engine, Option<&'static str>), Failure> {
        let (tokenizer, room) = (Some(self.tokenizer.clone()), |context: usize| context.max(ROOM));
        if self.classifier.is_some() {
            let (opened, adapter) = (&self.opened, self.adapter.as_ref());
            let parts = Parts { opened, adapter, model: &self.args, machine: &args.machine };
            return head::engine(&parts, cpu(&args.machine, world.environment)?, tokenizer, room, world);
        }
        let flags = Flags { model: &self.args, machine: &args.machine, hub: &args.hub, draft: None };
        Ok((engine(&self.opened, tokenizer, flags, world, room)?, lora::name(&self.args.lora)))
    }
}

pub(super) fn tokenizer(folder: Option<&Path>, opened: &Opened) -> Result<Tokenizer, Failure> {
    if let Some(folder) = folder {
        let within = |error| Failure::from(error).within(&folder.display().to_string());
        return Tokenizer::open(folder).map_err(within);
    }
    opened.tokenizer()?.ok_or_else(|| {
        Failure::usage(format!("{} has no tokenizer, and tasks are text", opened.name))
            .hint("--tokenizer DIR, a folder with a tokenizer.json, or a vocab.json and a merges.txt")
    })
}

/// Weights in f32 with their cache in f32, unless the user or the file has them otherwise.
pub(super) fn exact(args: &ModelArgs, opened: &Opened) -> ModelArgs {
    let half = matches!(layer_type(opened.source()), DType::F16 | DType::BF16);
    let cache = gptneo_device::CacheType::F32;
    ModelArgs {
        quant: args.quant.or(half.then_some(DType::F32)),
        cache_type_k: args.cache_type_k.or(Some(cache)),
        cache_type_v: args.cache_type_v.or(Some(cache)),
        ..args.clone()
    }
}
