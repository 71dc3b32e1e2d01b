//! The adapter that `--lora` names.

use gptneo_kernels::Cpu;
use gptneo_model::{Adapter, Config, Merged, TensorSource};

use crate::args::LoraArgs;
use crate::failure::Failure;
use crate::open::Opened;

/// What the adapter is called in the engine.
pub(crate) const NAME: &str = "lora";

/// Reads the adapter that the flags name, as strong as they say.
///
/// # Errors
/// If it is damaged, not supported, or made for another model.
pub(crate) fn adapter(args: &LoraArgs, cpu: &Cpu, config: &Config) -> Result<Option<Adapter>, Failure> {
    let Some(folder) = &args.lora else { return Ok(None) };
    let adapter = Adapter::open(cpu, folder, config)?;
    Ok(Some(adapter.scaled(args.lora_scale.unwrap_or(1.0))))
}

/// Under what name requests and scores ask for it.
pub(crate) fn name(args: &LoraArgs) -> Option<&'static str> {
    args.lora.as_ref().map(|_| NAME)
}

/// Hands `work` the model's tensors, with the adapter added to them if there is one.
///
/// # Errors
/// Those of `work`, and an adapter that does not fit.
pub(crate) fn merged<T>(
    opened: &Opened,
    adapter: Option<&Adapter>,
    cpu: &Cpu,
    work: impl FnOnce(&dyn TensorSource) -> Result<T, Failure>,
) -> Result<T, Failure> {
    match adapter {
        Some(adapter) => work(&Merged::new(cpu, opened.source(), adapter)?),
        None => work(opened.source()),
    }
}
