//! Who judges answers beside a task's own rules.

use gptneo_eval::code::{CodeLimits, PythonRunner};
use gptneo_eval::{Chosen, Judge, Judges};

use crate::args::MeasureArgs;
use crate::failure::{Failure, Kind};

/// Those that the chosen tasks need, each tried before a model is loaded.
pub(super) fn of(args: &MeasureArgs, chosen: &[Chosen]) -> Result<Judges<'static>, Failure> {
    let mut judges = Judges::default();
    let needs_code = |chosen: &&Chosen| matches!(chosen, Chosen::Task(task) if task.judges().contains(&Judge::Code));
    let Some(Chosen::Task(task)) = chosen.iter().find(needs_code) else { return Ok(judges) };
    if args.allow_code_execution {
        judges.code = Some(Box::new(runner(args)?));
    } else if !args.log_samples && args.use_cache.is_none() {
        let name = task.name();
        return Err(Failure::usage(format!(
            "{name} is scored by running the programs that the model writes, which --allow-code-execution allows; without it \
             there are only answers, and nothing says where to keep them"
        ))
        .hint("--allow-code-execution, which runs them confined (docs/eval.md says how)")
        .hint("--output-path DIR --log-samples, or --use-cache FILE, which keeps the answers for later"));
    }
    Ok(judges)
}

fn runner(args: &MeasureArgs) -> Result<PythonRunner, Failure> {
    let own = std::env::current_exe()
        .map_err(|error| Failure::new(Kind::Io, format!("this program does not find itself: {error}")))?;
    let runner = PythonRunner::new(&own, &args.python, CodeLimits::of_seconds(args.code_seconds));
    runner.map_err(|error| {
        Failure::because(Kind::Io, &error)
            .hint("--python FILE, an interpreter of Python 3; or answers alone, with --log-samples")
    })
}
