//! `gptneo completions SHELL`: a completion script on standard output.

use crate::args::{self, CompletionsArgs};
use crate::failure::Failure;
use crate::terminal;

pub(crate) fn run(args: &CompletionsArgs) -> Result<(), Failure> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut args::command(), "gptneo", &mut script);
    terminal::bytes(&script)
}
