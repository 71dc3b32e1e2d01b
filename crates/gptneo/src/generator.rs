//! An engine made as the flags of `run`, `chat` and `score` say, adapter and draft model included.

use gptneo_engine::Engine;
use gptneo_text::Tokenizer;

use crate::args::{HubArgs, MachineArgs, ModelArgs};
use crate::failure::Failure;
use crate::load::{Plan, cpu};
use crate::lora::{self, adapter};
use crate::open::{Opened, open};
use crate::terminal;
use crate::verbs::World;

/// The flags that matter here.
#[derive(Clone, Copy)]
pub(crate) struct Flags<'a> {
    pub(crate) model: &'a ModelArgs,
    pub(crate) machine: &'a MachineArgs,
    pub(crate) hub: &'a HubArgs,
    pub(crate) draft: Option<&'a str>,
}

/// Loads `opened` with room for `room` positions (given the context), and the adapter and the draft model if they are named.
pub(crate) fn engine(
    opened: &Opened,
    tokenizer: Option<Tokenizer>,
    flags: Flags<'_>,
    world: &World,
    room: impl Fn(usize) -> usize,
) -> Result<Engine, Failure> {
    let plan = Plan::new(opened, flags.model, &room)?;
    let draft = flags.draft.map(|name| open(Some(name), flags.hub, world.environment, &world.interrupt)).transpose()?;
    let cpu_of_model = cpu(flags.machine, world.environment)?;
    let adapter = adapter(&flags.model.lora, &cpu_of_model, opened.config())?;
    let plan = plan.beside(adapter.as_ref());
    let loaded = plan.load(opened, cpu_of_model, &world.interrupt)?;
    if world.verbose {
        let spec = loaded.model.spec();
        terminal::say(&terminal::dim(&format!(
            "{}: {}, {} parameters, weights {} (output {}), keys {}, values {}; on {}; loaded in {:.2} s, {} planned",
            opened.name,
            spec.family,
            terminal::grouped(spec.parameters),
            spec.weights,
            spec.output,
            terminal::cache_name(spec.key),
            terminal::cache_name(spec.value),
            loaded.device,
            loaded.took.as_secs_f64(),
            terminal::size(plan.bytes()),
        )));
    }
    let mut engine = Engine::new(loaded.model, tokenizer);
    if let Some(adapter) = &adapter {
        engine.add_adapter(lora::NAME, adapter)?;
        if world.verbose {
            let (numbers, rank) = (terminal::grouped(adapter.parameters()), adapter.settings().rank);
            terminal::say(&terminal::dim(&format!("with an adapter of rank {rank}, {numbers} parameters")));
        }
    }
    let Some(draft) = draft else { return Ok(engine) };
    let draft_flags = ModelArgs { model: flags.draft.map(str::to_owned), ctx_size: None, ..flags.model.clone() };
    let positions = draft.config().positions;
    let plan = Plan::new(&draft, &draft_flags, |_| room(positions))?;
    let loaded = plan.load(&draft, cpu(flags.machine, world.environment)?, &world.interrupt)?;
    Ok(engine.with_draft(loaded.model)?)
}
