//! The verbs: each makes its plan from arguments and world, and runs it.

mod bench;
mod chat;
mod completions;
mod convert;
mod data;
mod doctor;
mod eval;
mod finetune;
mod list;
mod pull;
mod quantize;
mod rm;
mod run;
mod runs;
mod score;
mod serve;
mod show;
mod tokenize;
mod train;

use crate::args::{Cli, Verb};
use crate::environment::Environment;
use crate::failure::Failure;
use crate::interrupt::Interrupt;

/// What every verb may use.
#[derive(Clone, Debug)]
pub(crate) struct World {
    /// Variables.
    pub(crate) environment: Environment,
    /// Ctrl-C.
    pub(crate) interrupt: Interrupt,
    /// Whether to say more on standard error.
    pub(crate) verbose: bool,
}

/// Does what was asked.
pub(crate) fn run(cli: Cli, environment: Environment) -> Result<(), Failure> {
    let world = World { environment, interrupt: Interrupt::install()?, verbose: cli.verbose };
    match cli.verb {
        Verb::Run(args) => run::run(&args, &world),
        Verb::Chat(args) => chat::run(&args, &world),
        Verb::Serve(args) => serve::run(&args, &world),
        Verb::Score(args) => score::run(&args, &world),
        Verb::Tokenize(args) => tokenize::run(&args, &world),
        Verb::Train(args) => train::run(&args, &world),
        Verb::Finetune(args) => finetune::run(&args, &world),
        Verb::Eval(args) => eval::run(&args, &world),
        Verb::Bench(args) => bench::run(&args, &world),
        Verb::Data(args) => data::run(&args, &world),
        Verb::Runs(args) => runs::run(&args, &world),
        Verb::Quantize(args) => quantize::run(&args, &world),
        Verb::Convert(args) => convert::run(&args, &world),
        Verb::Pull(args) => pull::run(&args, &world),
        Verb::List(args) => list::run(&args, &world),
        Verb::Show(args) => show::run(&args, &world),
        Verb::Rm(args) => rm::run(&args, &world),
        Verb::Doctor(args) => doctor::run(&args, &world),
        Verb::Completions(args) => completions::run(&args),
    }
}
