//! The runner of programs that models write.

use gptneo_eval::code::{CodeLimits, PythonRunner};
use gptneo_eval::{Chosen, Judge};

use crate::args::MeasureArgs;
use crate::failure::{Failure, Kind};

/// A runner, where the chosen tasks need one and it is allowed; it is tried before a model is loaded.
///
/// # Errors
/// One that does not work; none, where nothing keeps the answers.
pub(super) fn runner(args: &MeasureArgs, chosen: &[Chosen]) -> Result<Option<PythonRunner>, Failure> {
    let needs_code = |chosen: &&Chosen| matches!(chosen, Chosen::Task(task) if task.judges().contains(&Judge::Code));
    let Some(Chosen::Task(task)) = chosen.iter().find(needs_code) else { return Ok(None) };
    if args.allow_code_execution {
        return confined(args).map(Some);
    }
    if !args.log_samples && args.use_cache.is_none() {
        let name = task.name();
        return Err(Failure::usage(format!(
            "{name} is scored by running the programs that the model writes, which --allow-code-execution allows; without it \
             there are only answers, and nothing says where to keep them"
        ))
        .hint("--allow-code-execution, which runs them confined (docs/eval.md says how)")
        .hint("--output-path DIR --log-samples, or --use-cache FILE, which keeps the answers for later"));
    }
    Ok(None)
}

fn confined(args: &MeasureArgs) -> Result<PythonRunner, Failure> {
    let own = std::env::current_exe()
        .map_err(|error| Failure::new(Kind::Io, format!("this program does not find itself: {error}")))?;
    let runner = PythonRunner::new(&own, &args.python, CodeLimits::of_seconds(args.code_seconds));
    runner.map_err(|error| {
        Failure::because(Kind::Io, &error)
            .hint("--python FILE, an interpreter of Python 3; or answers alone, with --log-samples")
    })
}
