//! Flags of `gptneo train`.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use gptneo_train::Resume;

use super::{HubArgs, MachineArgs};

const EXAMPLES: &str = "\
A recipe says what is trained, on what and how; recipes/README.md describes its \
fields. Ctrl-C (or SIGTERM) saves and stops; --resume auto goes on, to the same \
bits as if nothing had happened. `gptneo runs` tells how runs went.

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

    /// Keep each layer's input alone and compute the rest again: less memory, a third more arithmetic
    #[arg(long, help_heading = "Run")]
    pub(crate) recompute: bool,

    /// Whether to go on from the run's newest whole checkpoint: auto or never
    #[arg(long, value_name = "WHEN", default_value = "never", help_heading = "Run")]
    pub(crate) resume: ResumeChoice,

    /// Say what memory the run takes, and stop
    #[arg(long, help_heading = "Run")]
    pub(crate) plan: bool,

    /// A dashboard on the terminal: curves, samples, messages
    #[arg(long, help_heading = "Watching")]
    pub(crate) tui: bool,

    /// The store of runs [default: the one that `gptneo runs` reads]
    #[arg(long, value_name = "FILE", help_heading = "Watching")]
    pub(crate) store: Option<PathBuf>,

    /// Do not record the run in a store
    #[arg(long, conflicts_with_all = ["store", "tensorboard", "mlflow", "comet"], help_heading = "Watching")]
    pub(crate) no_store: bool,

    /// Write TensorBoard event files below this folder too
    #[arg(long, value_name = "DIR", help_heading = "Watching")]
    pub(crate) tensorboard: Option<PathBuf>,

    /// Report to an MLflow server too [default URL: MLFLOW_TRACKING_URI]
    #[arg(long, value_name = "URL", num_args = 0..=1, require_equals = true, default_missing_value = "",
          help_heading = "Watching")]
    pub(crate) mlflow: Option<String>,

    /// Report to Comet too [default URL: COMET_URL_OVERRIDE, else https://www.comet.com]
    #[arg(long, value_name = "URL", num_args = 0..=1, require_equals = true, default_missing_value = "",
          help_heading = "Watching")]
    pub(crate) comet: Option<String>,

    #[command(flatten)]
    pub(crate) machine: MachineArgs,

    #[command(flatten)]
    pub(crate) hub: HubArgs,

    /// Print one JSON object at the end
    #[arg(long, help_heading = "Output")]
    pub(crate) json: bool,
}

impl RunFlags {
    /// What the flags change of a recipe.
    pub(crate) fn changes(&self) -> Vec<String> {
        let recompute = self.recompute.then(|| "model.recompute=true".to_owned());
        self.set.iter().cloned().chain(recompute).collect()
    }
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
