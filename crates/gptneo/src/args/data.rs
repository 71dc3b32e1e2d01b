//! Flags of `gptneo data`.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};
use gptneo_corpus::Format;

use super::HubArgs;
use super::values;

/// `gptneo data`.
#[derive(Debug, Args)]
#[command(subcommand_required = true, arg_required_else_help = true, disable_help_subcommand = true)]
pub(crate) struct DataArgs {
    /// What to do
    #[command(subcommand)]
    pub(crate) verb: DataVerb,
}

/// The verbs of `gptneo data`.
#[derive(Debug, Subcommand)]
pub(crate) enum DataVerb {
    /// Turn text, jsonl or parquet into token shards to train on
    Tokenize(TokenizeDataArgs),
    /// Learn a vocabulary (a byte-level BPE tokenizer) from text
    Bpe(BpeArgs),
}

/// Where text comes from.
#[derive(Debug, Args)]
pub(crate) struct SourceArgs {
    /// Files, folders, patterns, or data sets of the hub (owner/name@revision:part): text, jsonl, parquet, also .zst, .gz
    #[arg(value_name = "SOURCE", required = true)]
    pub(crate) sources: Vec<String>,

    /// Format of the sources [default: as their names say]
    #[arg(long, value_name = "FORMAT")]
    pub(crate) format: Option<FormatChoice>,

    /// The JSON field or parquet column with the text
    #[arg(long, value_name = "NAME", default_value = "text")]
    pub(crate) field: String,

    /// Threads that work on the text; the result does not depend on it [default: GPTNEO_THREADS, else one per core]
    #[arg(long, short = 't', alias = "threads", value_name = "N", value_parser = values::threads)]
    pub(crate) workers: Option<usize>,
}

/// A format by its name.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum FormatChoice {
    /// A file is a document, or what stands in it between end-of-text tokens
    #[value(alias = "txt")]
    Text,
    /// A JSON object on each line
    #[value(alias = "json")]
    Jsonl,
    /// A column of strings
    Parquet,
}

impl From<FormatChoice> for Format {
    fn from(choice: FormatChoice) -> Self {
        match choice {
            FormatChoice::Text => Format::Text,
            FormatChoice::Jsonl => Format::Jsonl,
            FormatChoice::Parquet => Format::Parquet,
        }
    }
}

const TOKENIZE_EXAMPLES: &str = "\
Documents are held out by a hash of their text, so that copies of one text stay \
together. Each is followed by the end-of-text token. Records that are no document \
are counted and reported.

Examples:
  gptneo data tokenize stories.jsonl.zst -m EleutherAI/gpt-neo-125m -o shards --held-out 0.01
  gptneo data tokenize 'books/*.txt' --tokenizer tokenizer.json -o books
  gptneo data tokenize roneneldan/TinyStories -m ./model -o stories
  gptneo data tokenize big.parquet --field content -m gpt2 -o big --resume";

/// `gptneo data tokenize`.
#[derive(Debug, Args)]
#[command(after_help = TOKENIZE_EXAMPLES)]
pub(crate) struct TokenizeDataArgs {
    #[command(flatten)]
    pub(crate) source: SourceArgs,

    /// A model whose tokenizer to use: a directory, a .gguf file or a hub id
    #[arg(short, long, value_name = "MODEL", required_unless_present = "tokenizer", conflicts_with = "tokenizer")]
    pub(crate) model: Option<String>,

    /// A tokenizer.json, or a directory with a tokenizer
    #[arg(long, value_name = "FILE")]
    pub(crate) tokenizer: Option<PathBuf>,

    /// The folder to write shards and manifest.json into
    #[arg(short, long, value_name = "DIR")]
    pub(crate) output: PathBuf,

    /// Tokens of a shard, about; k, M and G are understood
    #[arg(long, value_name = "N", value_parser = values::many_tokens, default_value = "250M")]
    pub(crate) shard_tokens: u64,

    /// Fraction of the documents that is held out from training, such as 0.01 or 1%
    #[arg(long, value_name = "FRACTION", value_parser = values::fraction_ppm, default_value = "0")]
    pub(crate) held_out: u32,

    /// Go on with the unfinished run that the folder holds
    #[arg(long)]
    pub(crate) resume: bool,

    #[command(flatten)]
    pub(crate) hub: HubArgs,

    /// Print one JSON object
    #[arg(long, help_heading = "Output")]
    pub(crate) json: bool,
}

const BPE_EXAMPLES: &str = "\
Text is split into words as GPT-2 does; ids are the 256 bytes, then what was \
merged, then <|endoftext|>. The same text gives the same file.

Examples:
  gptneo data bpe stories.jsonl.zst -o tokenizer.json --vocab-size 4096
  gptneo data bpe corpus/ -o ./model --vocab-size 8192";

/// `gptneo data bpe`.
#[derive(Debug, Args)]
#[command(after_help = BPE_EXAMPLES)]
pub(crate) struct BpeArgs {
    #[command(flatten)]
    pub(crate) source: SourceArgs,

    /// What to write: a name ending in .json, or a directory for tokenizer.json and tokenizer_config.json
    #[arg(short, long, value_name = "PATH")]
    pub(crate) output: PathBuf,

    /// Tokens of the vocabulary
    #[arg(long, value_name = "N", value_parser = values::vocab_size)]
    pub(crate) vocab_size: u32,

    /// Pairs that stand less often in the text are not merged
    #[arg(long, value_name = "N", default_value = "2", value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) min_count: u64,

    /// Replace the output if it exists
    #[arg(long)]
    pub(crate) force: bool,

    #[command(flatten)]
    pub(crate) hub: HubArgs,

    /// Print one JSON object
    #[arg(long, help_heading = "Output")]
    pub(crate) json: bool,
}
