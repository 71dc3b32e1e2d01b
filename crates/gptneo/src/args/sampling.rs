//! Flags of every verb that generates.

use std::path::PathBuf;

use clap::Args;

use super::values::{self, LastN, Length, LogitBias, TokenIds};

/// What is to be continued.
#[derive(Debug, Args)]
pub(crate) struct PromptArgs {
    /// The text to continue [default: standard input; one line break at its end is dropped]
    #[arg(value_name = "PROMPT", conflicts_with_all = ["prompt_flag", "file", "tokens"])]
    pub(crate) prompt: Option<String>,

    /// The text to continue, as a flag
    #[arg(
        short = 'p', long = "prompt", value_name = "TEXT", allow_hyphen_values = true, help_heading = "Prompt",
        conflicts_with_all = ["file", "tokens"]
    )]
    pub(crate) prompt_flag: Option<String>,

    /// Read the prompt from a file (UTF-8); one line break at its end is dropped
    #[arg(short, long, value_name = "FILE", conflicts_with = "tokens", help_heading = "Prompt")]
    pub(crate) file: Option<PathBuf>,

    /// The prompt as token ids: 1,2,3
    #[arg(long, value_name = "IDS", help_heading = "Prompt")]
    pub(crate) tokens: Option<TokenIds>,
}

/// How it is continued.
#[derive(Debug, Args)]
pub(crate) struct GenerationArgs {
    #[command(flatten)]
    pub(crate) length: LengthArgs,
    #[command(flatten)]
    pub(crate) sampling: SamplingArgs,
    #[command(flatten)]
    pub(crate) form: FormArgs,
    #[command(flatten)]
    pub(crate) speed: SpeculationArgs,
    #[command(flatten)]
    pub(crate) rails: RailArgs,
}

/// When to stop.
#[derive(Debug, Args)]
#[command(next_help_heading = "Length")]
pub(crate) struct LengthArgs {
    /// Most tokens to generate; -1 for no limit but the context [default: 256]
    #[arg(short = 'n', long, value_name = "N", visible_alias = "max-tokens", alias = "max-new-tokens")]
    pub(crate) n_predict: Option<Length>,

    /// Fewest tokens to generate: the end-of-text token waits
    #[arg(long, value_name = "N", default_value = "0", value_parser = values::tokens)]
    pub(crate) min_tokens: usize,

    /// Stop before this text (\n is a line break); may be repeated
    #[arg(long, value_name = "TEXT", value_parser = values::stop, allow_hyphen_values = true)]
    pub(crate) stop: Vec<String>,

    /// Go on past the end-of-text token
    #[arg(long)]
    pub(crate) ignore_eos: bool,
}

/// Which token comes next.
#[derive(Debug, Args)]
#[command(next_help_heading = "Sampling")]
pub(crate) struct SamplingArgs {
    /// Temperature; 0 takes the likeliest token every time [default: 0.8]
    #[arg(long, value_name = "T", visible_alias = "temperature", value_parser = values::temperature)]
    pub(crate) temp: Option<f32>,

    /// Choose among the K likeliest tokens; 0 for all [default: 40]
    #[arg(long, value_name = "K", value_parser = values::top_k)]
    pub(crate) top_k: Option<usize>,

    /// Choose among the likeliest tokens that make up this probability [default: 0.95]
    #[arg(long, value_name = "P", value_parser = values::share_above_zero)]
    pub(crate) top_p: Option<f32>,

    /// Leave out tokens less likely than this share of the likeliest one's probability [default: 0, off]
    #[arg(long, value_name = "P", value_parser = values::share)]
    pub(crate) min_p: Option<f32>,

    /// Locally typical sampling: keep the most typical tokens of this probability [default: 1, off]
    #[arg(long, value_name = "P", visible_alias = "typical-p", value_parser = values::share_above_zero)]
    pub(crate) typical: Option<f32>,

    /// Divide the scores of tokens seen lately by this [default: 1, off]
    #[arg(long, value_name = "X", value_parser = values::repeat_penalty,
          alias = "repetition-penalty")]
    pub(crate) repeat_penalty: Option<f32>,

    /// How many tokens the penalties look back on; -1 for all [default: 64]
    #[arg(long, value_name = "N", value_parser = values::last_n)]
    pub(crate) repeat_last_n: Option<LastN>,

    /// Lower the scores of tokens that were generated at all by this [default: 0, off]
    #[arg(long, value_name = "X", value_parser = values::penalty)]
    pub(crate) presence_penalty: Option<f32>,

    /// Lower the scores of tokens by this for every time they were generated [default: 0, off]
    #[arg(long, value_name = "X", value_parser = values::penalty)]
    pub(crate) frequency_penalty: Option<f32>,

    /// Add to the score of a token: ID+BIAS or ID-BIAS; may be repeated
    #[arg(long, value_name = "ID+BIAS")]
    pub(crate) logit_bias: Vec<LogitBias>,

    /// Seed: the same seed gives the same tokens [default: a new one, told by -v and --json]
    #[arg(short, long, value_name = "N", value_parser = values::seed)]
    pub(crate) seed: Option<u64>,
}

/// What form the text must have.
#[derive(Debug, Args)]
#[command(next_help_heading = "Form")]
#[group(multiple = false)]
pub(crate) struct FormArgs {
    /// Write a text of this grammar: GBNF, from its rule `root`
    #[arg(long, value_name = "TEXT", allow_hyphen_values = true)]
    pub(crate) grammar: Option<String>,

    /// The grammar, from a file
    #[arg(long, value_name = "FILE")]
    pub(crate) grammar_file: Option<PathBuf>,

    /// Write JSON that this schema admits; @FILE reads it from a file
    #[arg(long, value_name = "TEXT|@FILE")]
    pub(crate) json_schema: Option<String>,

    /// The schema, from a file
    #[arg(long, value_name = "FILE")]
    pub(crate) json_schema_file: Option<PathBuf>,
}

/// Guessing ahead: the same greedy tokens, the same distribution of sampled ones, sooner.
#[derive(Debug, Args)]
#[command(next_help_heading = "Guessing ahead")]
pub(crate) struct SpeculationArgs {
    /// Let a smaller model with the same tokenizer guess ahead
    #[arg(long, value_name = "MODEL", conflicts_with = "lookup")]
    pub(crate) draft_model: Option<String>,

    /// Guess ahead by looking up what followed the last words before
    #[arg(long)]
    pub(crate) lookup: bool,
}

/// What must not be said.
#[derive(Debug, Args)]
#[command(next_help_heading = "Safety")]
pub(crate) struct RailArgs {
    /// Refuse prompts, and cut answers, that contain a word of this file (one a line)
    #[arg(long, value_name = "FILE")]
    pub(crate) blocked_words: Option<PathBuf>,
}
