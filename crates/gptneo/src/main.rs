//! `gptneo`: the command line.
//!
//! Text becomes arguments ([`args`]), arguments and the world become a plan, the plan is run ([`verbs`]), and whatever
//! goes wrong is told once ([`failure`]). This crate alone prints ([`terminal`]), reads the environment
//! ([`environment`]), takes Ctrl-C ([`interrupt`]) and picks the device. The tests in `tests/` run the real binary.

mod args;
mod card;
mod classify;
mod environment;
mod failure;
mod files;
mod generator;
mod head;
mod input;
mod interrupt;
mod load;
mod lora;
mod memory;
mod open;
mod output;
mod pocket;
mod presets;
mod progress;
mod pulling;
mod rails;
mod ranks;
mod request;
mod source;
mod terminal;
mod verbs;
mod watch;

use std::process::ExitCode;

use environment::Environment;
use failure::{Failure, Kind};

fn main() -> ExitCode {
    // A child that runs a model's program is no gptneo: before anything else it takes everything from itself.
    if let Some(code) = gptneo_eval::code::confined(std::env::args_os()) {
        return code;
    }
    let environment = Environment;
    terminal::set_colour(environment.no_color());
    let cli = match args::parse(std::env::args_os()) {
        Ok(cli) => cli,
        Err(error) => {
            // Help and version are results and go to standard output; a reader that has left is no failure.
            let _ = error.print();
            return ExitCode::from(if error.use_stderr() { Kind::Usage.code() } else { 0 });
        }
    };
    match verbs::run(cli, environment) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => Failure::report(&failure),
    }
}
