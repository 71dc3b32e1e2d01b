//! `gptneo eval lines`: what to fine-tune a head on.

use std::io::Write;

use gptneo_eval::{Options, training_lines};

use super::{catalog, library};
use crate::args::LinesArgs;
use crate::failure::Failure;
use crate::pulling::Bars;
use crate::source;
use crate::terminal;
use crate::verbs::World;

pub(crate) fn run(args: &LinesArgs, world: &World) -> Result<(), Failure> {
    let mut task = catalog(&args.include_path)?.task(&args.task)?;
    task.measure_split(Some(&args.split), None);
    let hub = source::hub(&args.hub, world.environment)?;
    let bars = Bars::new();
    let library = library(&args.data, &hub, &bars, world);
    let _heeded = world.interrupt.heed();
    let lines = training_lines(task, &library, &Options { limit: args.limit, ..Options::default() })?;
    let Some(path) = &args.output else {
        return lines.iter().try_for_each(|line| terminal::line(&line.to_string()));
    };
    super::output::write_whole(path, &mut |out: &mut dyn Write| {
        lines.iter().try_for_each(|line| writeln!(out, "{line}"))
    })?;
    terminal::say(&format!("{} lines of {} in {}", lines.len(), args.split, path.display()));
    Ok(())
}
