//! Flags of the verbs that take what an evaluation has left: its results and its samples.

use std::path::PathBuf;

use clap::Args;

use super::values;

/// `gptneo eval report`.
#[derive(Debug, Args)]
pub(crate) struct ReportEvalArgs {
    /// The file of results, or a folder with it
    #[arg(value_name = "RESULTS")]
    pub(crate) results: PathBuf,

    /// Files of samples [default: those that lie beside the results]
    #[arg(long, value_name = "FILE", num_args = 1..)]
    pub(crate) samples: Vec<PathBuf>,

    /// Where to write the page
    #[arg(short, long, value_name = "FILE")]
    pub(crate) output: PathBuf,

    /// Replace the file if it exists
    #[arg(long)]
    pub(crate) force: bool,
}

const COMPARE: &str = "\
A difference is B less A. Documents that both have, asked in the same words, are \
paired where samples of both are there (--log-samples); else standard errors \
are put together, which tells less.

Examples:
  gptneo eval compare results/gpt-neo-125m results/mine
  gptneo eval compare a/results_1.json b/results_2.json --json";

/// `gptneo eval compare`.
#[derive(Debug, Args)]
#[command(after_help = COMPARE)]
pub(crate) struct CompareEvalArgs {
    /// The one: a file of results, or a folder with it
    #[arg(value_name = "A")]
    pub(crate) a: PathBuf,

    /// The other
    #[arg(value_name = "B")]
    pub(crate) b: PathBuf,

    /// Resamples behind an interval
    #[arg(long, value_name = "N", default_value_t = gptneo_eval::COMPARISON_RESAMPLES, value_parser = values::compared)]
    pub(crate) resamples: usize,

    /// Print one JSON object
    #[arg(long)]
    pub(crate) json: bool,
}
