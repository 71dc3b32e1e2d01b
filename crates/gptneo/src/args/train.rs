//! Flags of `gptneo train`.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use gptneo_train::Resume;

use super::{HubArgs, MachineArgs};

const EXAMPLES: &str = "\
A recipe says what is trained, on what and how; recipes/README.md describes its \
fields. Ctrl-C (or SIGTERM) saves and stops; --resume auto goes on, to the same \
bits as if nothing had happened.

Examples:
  gptneo train recipes/quickstart.toml
  gptneo train recipe.toml --set optimizer.lr=3e-4 --set output=runs/second
  gptneo train recipe.toml --resume auto
  gptneo train recipe.toml --plan";

/// `gptneo train`.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct TrainArgs {
    /// The recipe: a TOML file
    #[arg(value_name = "RECIPE")]
    pub(crate) recipe: PathBuf,

    #[command(flatten)]
    pub(crate) run: RunFlags,
}

/// What every run of training is told beside its recipe.
#[derive(Debug, Args)]
pub(crate) struct RunFlags {
    /// Change a field of the recipe: optimizer.lr=1e-4
    #[arg(long, value_name = "FIELD=VALUE", action = clap::ArgAction::Append, help_heading = "Run")]
    pub(crate) set: Vec<String>,

    /// Whether to go on from the run's newest whole checkpoint: auto or never
    #[arg(long, value_name = "WHEN", default_value = "never", help_heading = "Run")]
    pub(crate) resume: ResumeChoice,

    /// Say what memory the run takes, and stop
    #[arg(long, help_heading = "Run")]
    pub(crate) plan: bool,

    #[command(flatten)]
    pub(crate) machine: MachineArgs,

    #[command(flatten)]
    pub(crate) hub: HubArgs,

    /// Print one JSON object at the end
    #[arg(long, help_heading = "Output")]
    pub(crate) json: bool,
}

/// `--resume`.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum ResumeChoice {
    /// Go on where there is a checkpoint, else begin.
    Auto,
    /// Begin; refuse a folder that holds a run.
    Never,
}

impl From<ResumeChoice> for Resume {
    fn from(choice: ResumeChoice) -> Self {
        match choice {
            ResumeChoice::Auto => Resume::Auto,
            ResumeChoice::Never => Resume::Never,
        }
    }
}
