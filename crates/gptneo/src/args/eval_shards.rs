//! Flags of `gptneo eval contamination` and `gptneo eval memorisation`, which look through token shards.

use std::path::PathBuf;

use clap::Args;
use gptneo_eval::Limit;

use super::eval::limit;
use super::model::{HubArgs, MachineArgs, ModelArgs};
use super::values;

const CONTAMINATION_EXAMPLES: &str = "\
A document counts where 13 words in a row of it stand in a document of the \
shards, in lower case and without punctuation (docs/eval.md).

Examples:
  gptneo eval contamination --tasks lambada_openai -m ./model shards
  gptneo eval contamination --tasks wikitext,piqa --data ./data --tokenizer tokenizer.json shards books --json";

/// `gptneo eval contamination`.
#[derive(Debug, Args)]
#[command(after_help = CONTAMINATION_EXAMPLES)]
pub(crate) struct ContaminationArgs {
    /// Folders of token shards, as `gptneo data tokenize` writes them
    #[arg(value_name = "SHARDS", required = true)]
    pub(crate) shards: Vec<PathBuf>,

    /// Tasks, groups and tags, with `*` and `?` as in a shell: lambada_openai,arc_*
    #[arg(long, value_name = "NAMES", value_delimiter = ',', required = true)]
    pub(crate) tasks: Vec<String>,

    /// A folder or a file of task definitions of your own
    #[arg(long, value_name = "PATH")]
    pub(crate) include_path: Vec<PathBuf>,

    /// A folder to look for data sets in, before the hub
    #[arg(long, value_name = "DIR")]
    pub(crate) data: Vec<PathBuf>,

    /// Only the first N documents of each task; below 1, that part of them
    #[arg(short = 'L', long, value_name = "N", value_parser = limit)]
    pub(crate) limit: Option<Limit>,

    /// Look for this split in place of the task's own
    #[arg(long, value_name = "NAME")]
    pub(crate) split: Option<String>,

    /// Look through what was held out from training too
    #[arg(long)]
    pub(crate) held_out: bool,

    /// The tokenizer that made the shards: a tokenizer.json, or a directory with one
    #[arg(long, value_name = "FILE", conflicts_with = "model")]
    pub(crate) tokenizer: Option<PathBuf>,

    /// A model that has this tokenizer: a directory, a .gguf file or a hub id
    #[arg(short, long, value_name = "MODEL", required_unless_present = "tokenizer")]
    pub(crate) model: Option<String>,

    /// Threads [default: GPTNEO_THREADS, else one per core]
    #[arg(short, long, value_name = "N", value_parser = values::threads)]
    pub(crate) threads: Option<usize>,

    #[command(flatten)]
    pub(crate) hub: HubArgs,

    /// Print one JSON object, with every document that overlaps and where
    #[arg(long, help_heading = "Output")]
    pub(crate) json: bool,
}

const MEMORISATION_EXAMPLES: &str = "\
Sequences are drawn from the documents of the shards; the model is given the \
tokens before each and writes on, the likeliest token each time.

Examples:
  gptneo eval memorisation -m ./model --shards shards
  gptneo eval memorisation -m ./model --shards shards --prefix 25,50,75 --sample 5000 --json";

/// `gptneo eval memorisation`.
#[derive(Debug, Args)]
#[command(after_help = MEMORISATION_EXAMPLES)]
pub(crate) struct MemorisationArgs {
    #[command(flatten)]
    pub(crate) model: ModelArgs,

    /// A tokenizer for a model that has none, as a folder
    #[arg(long, value_name = "DIR", help_heading = "Model")]
    pub(crate) tokenizer: Option<PathBuf>,

    /// Token shards that the model was trained on, as a folder; several are allowed
    #[arg(long, value_name = "DIR", required = true, help_heading = "Memorisation")]
    pub(crate) shards: Vec<PathBuf>,

    /// Tokens that the model is given, one number or several
    #[arg(
        long,
        value_name = "N",
        value_delimiter = ',',
        value_parser = values::some_tokens,
        default_value = "50",
        help_heading = "Memorisation"
    )]
    pub(crate) prefix: Vec<usize>,

    /// Tokens that it is to write
    #[arg(long, value_name = "N", value_parser = values::some_tokens, default_value = "50", help_heading = "Memorisation")]
    pub(crate) continuation: usize,

    /// Sequences to draw
    #[arg(long, value_name = "N", value_parser = values::drawn, default_value = "1000", help_heading = "Memorisation")]
    pub(crate) sample: usize,

    /// What they are drawn with
    #[arg(long, value_name = "N", value_parser = values::seed, default_value_t = 1234, help_heading = "Memorisation")]
    pub(crate) seed: u64,

    #[command(flatten)]
    pub(crate) machine: MachineArgs,

    #[command(flatten)]
    pub(crate) hub: HubArgs,

    /// Print one JSON object, with every sequence
    #[arg(long, help_heading = "Output")]
    pub(crate) json: bool,
}
