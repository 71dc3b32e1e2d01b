//! Flags of `gptneo runs`.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};
use gptneo_runs::FeedbackForm;

/// `gptneo runs`.
#[derive(Debug, Args)]
#[command(subcommand_required = true, arg_required_else_help = true, disable_help_subcommand = true)]
pub(crate) struct RunsArgs {
    /// What to do
    #[command(subcommand)]
    pub(crate) verb: RunsVerb,

    /// The store of runs [default: runs.sqlite in GPTNEO_HOME, else in ~/.local/share/gptneo]
    #[arg(long, value_name = "FILE", global = true)]
    pub(crate) store: Option<PathBuf>,
}

/// The verbs of `gptneo runs`. A run is named by its name, its number, the beginning of its name, or `latest`.
#[derive(Debug, Subcommand)]
pub(crate) enum RunsVerb {
    /// List runs, newest first
    #[command(visible_alias = "ls")]
    List(ListRunsArgs),
    /// Settings, origin, metrics, samples and files of a run
    Show(ShowRunArgs),
    /// What is different between runs
    Compare(CompareRunsArgs),
    /// Curves in the terminal, or as an SVG or PNG file
    Plot(PlotRunsArgs),
    /// Follow a run while it goes on
    Watch(WatchRunArgs),
    /// Write a run as CSV or JSON lines, or deliver it to TensorBoard, MLflow or Comet
    Export(ExportRunsArgs),
    /// Deliver what sinks have not taken yet
    Sync(SyncRunsArgs),
    /// What people said of answers: list, export for `finetune`, delete
    Feedback(FeedbackRunsArgs),
    /// Add a note to a run
    Note(NoteRunArgs),
    /// Delete a run from the store (its files stay)
    Rm(RmRunArgs),
}

/// `gptneo runs list`.
#[derive(Debug, Args)]
pub(crate) struct ListRunsArgs {
    /// Only runs in this state
    #[arg(long, value_name = "STATE", value_parser = ["running", "finished", "stopped", "failed", "lost"])]
    pub(crate) state: Option<String>,
    /// Only runs of this kind, such as train
    #[arg(long, value_name = "KIND")]
    pub(crate) kind: Option<String>,
    /// Only runs whose name contains this
    #[arg(long, value_name = "TEXT")]
    pub(crate) name: Option<String>,
    /// Only the newest N
    #[arg(short = 'n', long, value_name = "N")]
    pub(crate) limit: Option<usize>,
    /// Print one JSON object
    #[arg(long)]
    pub(crate) json: bool,
}

/// `gptneo runs show`.
#[derive(Debug, Args)]
pub(crate) struct ShowRunArgs {
    /// The run
    #[arg(value_name = "RUN", default_value = "latest")]
    pub(crate) run: String,
    /// Print one JSON object
    #[arg(long)]
    pub(crate) json: bool,
}

/// `gptneo runs compare`.
#[derive(Debug, Args)]
pub(crate) struct CompareRunsArgs {
    /// The runs, two or more
    #[arg(value_name = "RUN", required = true, num_args = 2..)]
    pub(crate) runs: Vec<String>,
    /// Print one JSON object
    #[arg(long)]
    pub(crate) json: bool,
}

const PLOT_EXAMPLES: &str = "\
Examples:
  gptneo runs plot latest
  gptneo runs plot pocket wider --metric held_out/bits_per_byte -o curves.png
  gptneo runs plot pocket --metric loss --smooth 0.9 --log-x --log-y -o loss.svg";

/// `gptneo runs plot`.
#[derive(Debug, Args)]
#[command(after_help = PLOT_EXAMPLES)]
pub(crate) struct PlotRunsArgs {
    /// The runs
    #[arg(value_name = "RUN", default_value = "latest", num_args = 1..)]
    pub(crate) runs: Vec<String>,
    /// The metrics; more than one may be given
    #[arg(long, short = 'm', value_name = "NAME", default_value = "loss", value_delimiter = ',')]
    pub(crate) metric: Vec<String>,
    /// Take noise out: 0 (none) to 0.999
    #[arg(long, value_name = "WEIGHT", value_parser = weight, default_value = "0")]
    pub(crate) smooth: f64,
    /// A logarithmic axis along
    #[arg(long)]
    pub(crate) log_x: bool,
    /// A logarithmic axis up
    #[arg(long)]
    pub(crate) log_y: bool,
    /// What the axis along shows
    #[arg(long, value_name = "WHAT", value_enum, default_value = "step")]
    pub(crate) against: Against,
    /// The file to write: a name that ends in .svg or .png [default: curves in the terminal]
    #[arg(short, long, value_name = "FILE")]
    pub(crate) output: Option<PathBuf>,
    /// Pixels of the file, or letters in the terminal, along
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(20..=8000))]
    pub(crate) width: Option<u32>,
    /// Pixels of the file, or lines in the terminal, up
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(8..=8000))]
    pub(crate) height: Option<u32>,
    /// Replace the file if it exists
    #[arg(long)]
    pub(crate) force: bool,
}

/// What the axis along shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Against {
    /// Steps
    Step,
    /// Tokens read
    Tokens,
    /// Hours since the run began
    Time,
}

/// `gptneo runs watch`.
#[derive(Debug, Args)]
pub(crate) struct WatchRunArgs {
    /// The run
    #[arg(value_name = "RUN", default_value = "latest")]
    pub(crate) run: String,
    /// A dashboard with curves, samples and messages; q leaves it
    #[arg(long)]
    pub(crate) tui: bool,
}

const EXPORT_EXAMPLES: &str = "\
Examples:
  gptneo runs export pocket --to csv > pocket.csv
  gptneo runs export pocket --to tensorboard --dir ./logs
  gptneo runs export pocket --to mlflow --address http://localhost:5000
  COMET_API_KEY=... gptneo runs export pocket --to comet --workspace me --project stories";

/// `gptneo runs export`.
#[derive(Debug, Args)]
#[command(after_help = EXPORT_EXAMPLES)]
pub(crate) struct ExportRunsArgs {
    /// The run
    #[arg(value_name = "RUN", default_value = "latest")]
    pub(crate) run: String,
    /// Where to
    #[arg(long, value_name = "WHERE", value_enum)]
    pub(crate) to: Destination,
    /// The file to write [default: standard output] (csv, jsonl)
    #[arg(short, long, value_name = "FILE")]
    pub(crate) output: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) sink: SinkArgs,
}

/// Where a run can be brought to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Destination {
    /// A table, one value a line
    Csv,
    /// JSON objects, one a line
    Jsonl,
    /// TensorBoard event files below --dir
    Tensorboard,
    /// An MLflow server
    Mlflow,
    /// Comet
    Comet,
}

/// How to reach a sink.
#[derive(Clone, Debug, Default, Args)]
pub(crate) struct SinkArgs {
    /// TensorBoard: the folder that --logdir is given
    #[arg(long, value_name = "DIR", help_heading = "Sinks")]
    pub(crate) dir: Option<PathBuf>,
    /// MLflow, Comet: the server [default: MLFLOW_TRACKING_URI; COMET_URL_OVERRIDE, else https://www.comet.com]
    #[arg(long, value_name = "URL", help_heading = "Sinks")]
    pub(crate) address: Option<String>,
    /// MLflow: the experiment [default: MLFLOW_EXPERIMENT_NAME, else gptneo]
    #[arg(long, value_name = "NAME", help_heading = "Sinks")]
    pub(crate) experiment: Option<String>,
    /// Comet: the workspace [default: COMET_WORKSPACE]
    #[arg(long, value_name = "NAME", help_heading = "Sinks")]
    pub(crate) workspace: Option<String>,
    /// Comet: the project [default: COMET_PROJECT_NAME, else gptneo]
    #[arg(long, value_name = "NAME", help_heading = "Sinks")]
    pub(crate) project: Option<String>,
}

/// `gptneo runs sync`.
#[derive(Debug, Args)]
pub(crate) struct SyncRunsArgs {
    /// The runs [default: all that are not running]
    #[arg(value_name = "RUN")]
    pub(crate) runs: Vec<String>,
}

const FEEDBACK_EXAMPLES: &str = "\
Feedback is what people said on the page of `gptneo serve`, or sent to /local/feedback. \
See docs/feedback.md.

Examples:
  gptneo runs feedback
  gptneo runs feedback --export learn.jsonl --form sft
  gptneo runs feedback --export all.jsonl --clear";

/// `gptneo runs feedback`.
#[derive(Debug, Args)]
#[command(after_help = FEEDBACK_EXAMPLES)]
pub(crate) struct FeedbackRunsArgs {
    /// Only the newest N
    #[arg(short = 'n', long, value_name = "N", default_value = "20")]
    pub(crate) limit: usize,
    /// Write all of it to this file, one JSON object a line
    #[arg(long, value_name = "FILE")]
    pub(crate) export: Option<PathBuf>,
    /// As what: lines that finetune reads, pairs of better and worse, or all that is kept
    #[arg(long, value_name = "FORM", value_enum, default_value = "all", requires = "export")]
    pub(crate) form: Form,
    /// Replace the file if it exists
    #[arg(long, requires = "export")]
    pub(crate) force: bool,
    /// Delete one entry for good
    #[arg(long, value_name = "ID", conflicts_with_all = ["clear", "export"])]
    pub(crate) delete: Option<i64>,
    /// Delete all of it for good; with --export, once that is written
    #[arg(long)]
    pub(crate) clear: bool,
    /// Print a JSON list
    #[arg(long, conflicts_with_all = ["export", "clear", "delete"])]
    pub(crate) json: bool,
}

impl FeedbackRunsArgs {
    /// As what it is exported.
    pub(crate) fn form(&self) -> FeedbackForm {
        match self.form {
            Form::Sft => FeedbackForm::Sft,
            Form::Preference => FeedbackForm::Preference,
            Form::All => FeedbackForm::All,
        }
    }
}

/// As what feedback is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Form {
    /// Responses to learn, for `finetune`
    Sft,
    /// Better and worse responses to the same
    Preference,
    /// Every entry
    All,
}

/// `gptneo runs note`.
#[derive(Debug, Args)]
pub(crate) struct NoteRunArgs {
    /// The run
    #[arg(value_name = "RUN")]
    pub(crate) run: String,
    /// The words
    #[arg(value_name = "TEXT")]
    pub(crate) text: String,
}

/// `gptneo runs rm`.
#[derive(Debug, Args)]
pub(crate) struct RmRunArgs {
    /// The run, by its whole name
    #[arg(value_name = "RUN")]
    pub(crate) run: String,
}

fn weight(text: &str) -> Result<f64, String> {
    let weight: f64 = text.parse().map_err(|_| "wanted a number from 0 to 0.999".to_owned())?;
    if (0.0..=0.999).contains(&weight) { Ok(weight) } else { Err("wanted a number from 0 to 0.999".to_owned()) }
}
