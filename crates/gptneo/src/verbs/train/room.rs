//! The memory of a run: told before it starts, and refused if it is not there.

use gptneo_kernels::Cpu;
use gptneo_model::Config;
use gptneo_train::{MemoryPlan, Recipe};

use crate::failure::{Failure, Kind};
use crate::memory as machine;
use crate::ranks::Ranks;
use crate::terminal;

/// Says what the run takes: on standard error, or as the result where that is all that was asked.
pub(super) fn tell(
    recipe: &Recipe,
    config: &Config,
    plan: &MemoryPlan,
    ranks: usize,
    result: bool,
) -> Result<(), Failure> {
    let size = terminal::size;
    let on = if ranks > 1 { format!(" on {ranks} ranks") } else { String::new() };
    let of_each = if ranks > 1 { " of a rank" } else { "" };
    let text = format!(
        "{}: {} with {} parameters, {} sequences of {} tokens a step, {} steps{on}\nmemory{of_each} {}: weights {}, gradients {}, optimizer {}, \
         activations {}, scratch {}, copies {}, program {}",
        recipe.name,
        config.family,
        terminal::grouped(config.parameters()),
        recipe.batch.sequences,
        recipe.data.sequence,
        terminal::grouped(recipe.schedule.steps),
        size(plan.total()),
        size(plan.network.weights),
        size(plan.network.gradients),
        size(plan.optimizer),
        size(plan.network.activations),
        size(plan.network.scratch),
        size(plan.copies),
        size(plan.program),
    );
    if result {
        return terminal::line(&text);
    }
    terminal::say(&text);
    Ok(())
}

/// Refuses a run that does not fit beside the machine's other ranks.
///
/// # Errors
/// Exit code 5, with settings that would.
pub(super) fn check(
    device: &Cpu,
    config: &Config,
    recipe: &Recipe,
    plan: &MemoryPlan,
    ranks: &Ranks,
) -> Result<(), Failure> {
    let Some(available) = machine::available() else { return Ok(()) };
    // The ranks of this machine share it.
    let available = available / ranks.here() as u64;
    if plan.total() <= available {
        return Ok(());
    }
    let text = format!(
        "the run would not fit in memory: it needs {}, and {} are available",
        terminal::size(plan.total()),
        terminal::size(available)
    );
    let hint = match gptneo_train::what_fits(device, config, recipe, ranks.size(), available)? {
        Some((settings, bytes)) => {
            let flags: Vec<String> = settings.iter().map(|setting| format!("--set {setting}")).collect();
            format!("{}, which needs {}", flags.join(" "), terminal::size(bytes))
        }
        None => "a smaller model, or a machine with more memory".to_owned(),
    };
    Err(Failure::new(Kind::Memory, text).hint(hint))
}
