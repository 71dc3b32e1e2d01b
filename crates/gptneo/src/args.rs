//! The command line as text: what a user may type, and nothing about what it does.
//!
//! Flags resolve in two steps. [`parse`] turns text into [`Cli`], refusing what no machine and no file could make
//! right (a temperature of NaN, two prompts). Each verb then makes its plan from the arguments and the world
//! (environment, model, terminal) and runs it. Flag names are those people already know; `-` and `_` are one
//! ([`normalise`]).

mod bench_serve;
mod data;
mod eval;
mod eval_shards;
mod finetune;
mod model;
pub(crate) mod normalise;
mod preset;
mod runs;
mod sampling;
mod scorers;
mod serve;
mod train;
pub(crate) mod values;
mod verbs;

pub(crate) use bench_serve::{BenchServeArgs, BenchVerb};
pub(crate) use data::{BpeArgs, DataArgs, DataVerb, SourceArgs, TokenizeDataArgs};
pub(crate) use eval::{
    CompareEvalArgs, EvalArgs, EvalVerb, JudgeReviewArgs, LinesArgs, MakeReviewArgs, MeasureArgs, PageReviewArgs,
    ReportEvalArgs, ReportReviewArgs, ReviewArgs, ReviewVerb, StereosetArgs, TasksArgs,
};
pub(crate) use eval_shards::{ContaminationArgs, MemorisationArgs};
pub(crate) use finetune::FinetuneArgs;
pub(crate) use model::{HubArgs, LoraArgs, MachineArgs, ModelArgs};
pub(crate) use preset::PresetArgs;
pub(crate) use runs::{
    Against, CompareRunsArgs, Destination, ExportRunsArgs, FeedbackRunsArgs, ListRunsArgs, PlotRunsArgs, RunsArgs,
    RunsVerb, ShowRunArgs, SinkArgs, SyncRunsArgs, WatchRunArgs,
};
pub(crate) use sampling::{FormArgs, GenerationArgs, PromptArgs};
pub(crate) use scorers::{SentimentScorer, ToxicityScorer};
pub(crate) use serve::ServeArgs;
pub(crate) use train::{RunFlags, TrainArgs};
pub(crate) use verbs::{
    BenchArgs, ChatArgs, CompletionsArgs, ConvertArgs, DoctorArgs, ListArgs, PullArgs, QuantizeArgs, RmArgs, RunArgs,
    ScoreArgs, ShowArgs, TokenizeArgs,
};

use std::ffi::OsString;

use clap::{CommandFactory, Parser, Subcommand};

/// The front page. Grouped by hand, because clap lists verbs in one column; a test holds it complete.
const FRONT_PAGE: &str = "\
{about}

{usage-heading} {usage}

Write:
  run          Continue a prompt (alias: generate)
  chat         Talk with a model that was trained to chat
  serve        Give models to many: OpenAI's API, Ollama's, a page

Measure:
  eval         Tasks of the field, by the reference harness's definitions
  score        Log-probabilities, perplexity and top logits of a text
  tokenize     Text to token ids, and back
  bench        Speed, and its share of what this machine can do

Train:
  train        Train a model by a recipe
  finetune     Teach a model responses, conversations or a style
  data         Text to token shards; a vocabulary learned from text
  runs         What was trained and how it went: list, compare, plot, watch

Models:
  pull         Download a model from the hub
  list         Models in the cache
  show         Family, shape, parameters and memory of a model
  rm           Delete a model from the cache
  quantize     Write a smaller GGUF file, and report what it costs
  convert      Between safetensors and GGUF

This machine:
  doctor       What gptneo finds here, and what to do about it
  completions  A completion script for your shell

Options:
  -v, --verbose  Say more about what is done, on standard error
  -h, --help     Print help
  -V, --version  Print the version{after-help}";

const EXAMPLES: &str = "\
Examples:
  gptneo run -m EleutherAI/gpt-neo-125m \"Once upon a time\"
  gptneo run -m ./model -f prompt.txt -n 200 --temp 0.7 --seed 1
  gptneo score -m ./model.gguf --text \"The capital of France is Paris\"
  gptneo bench -m random:gpt-neo-125m --quant q4_0

`gptneo VERB --help` tells the flags of a verb.";

/// Everything that was typed.
#[derive(Debug, Parser)]
#[command(
    name = "gptneo",
    version,
    about = "Runs language models of the GPT-Neo line: GPT-Neo, GPT-J, GPT-NeoX, GPT-2",
    help_template = FRONT_PAGE,
    after_help = EXAMPLES,
    disable_help_flag = true,
    subcommand_required = true,
    arg_required_else_help = true,
    disable_help_subcommand = true,
    subcommand_value_name = "VERB",
    max_term_width = 100
)]
pub(crate) struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub(crate) verb: Verb,

    /// Say more about what is done, on standard error
    #[arg(short, long, global = true, help_heading = "Output", display_order = 1000)]
    pub(crate) verbose: bool,

    /// Print help
    #[arg(short, long, global = true, action = clap::ArgAction::Help, help_heading = "Output", display_order = 1001)]
    help: Option<bool>,
}

/// The verbs.
#[derive(Debug, Subcommand)]
pub(crate) enum Verb {
    /// Continue a prompt
    #[command(visible_alias = "generate")]
    Run(Box<RunArgs>),
    /// Talk with a model that was trained to chat
    Chat(Box<ChatArgs>),
    /// Serve models to many users at once: OpenAI's API, Ollama's, the Open Inference Protocol, a page
    Serve(Box<ServeArgs>),
    /// Log-probabilities, perplexity and top logits of a text; labels, of a classifier
    Score(ScoreArgs),
    /// Measure a model on tasks of the field, by the reference harness's definitions
    Eval(Box<EvalArgs>),
    /// Text on standard input to token ids, and back
    Tokenize(TokenizeArgs),
    /// Measure speed, and its share of what this machine can do
    Bench(BenchArgs),
    /// Text to token shards; a vocabulary learned from text
    Data(DataArgs),
    /// What was trained or measured, and how it went
    Runs(RunsArgs),
    /// Write a smaller GGUF file, and report what it costs
    Quantize(QuantizeArgs),
    /// Convert a model between safetensors and GGUF
    Convert(ConvertArgs),
    /// Download a model from the hub
    Pull(PullArgs),
    /// List the models in the cache
    #[command(visible_alias = "ls")]
    List(ListArgs),
    /// Train a model by a recipe
    Train(Box<TrainArgs>),
    /// Teach a model responses, conversations or a style
    Finetune(Box<FinetuneArgs>),
    /// Family, shape, parameters and memory of a model
    Show(ShowArgs),
    /// Delete a model from the cache
    Rm(RmArgs),
    /// What gptneo finds on this machine, and what to do about it
    Doctor(DoctorArgs),
    /// Print a completion script for a shell
    Completions(CompletionsArgs),
}

/// Turns text into [`Cli`].
///
/// # Errors
/// clap's own: what was wrong with the text, or the help that was asked for.
pub(crate) fn parse(argv: impl IntoIterator<Item = OsString>) -> Result<Cli, clap::Error> {
    let mut command = command();
    command.build();
    let argv = normalise::underscores(&command, argv);
    let matches = command.try_get_matches_from(argv)?;
    <Cli as clap::FromArgMatches>::from_arg_matches(&matches)
}

/// The tree of verbs and flags.
pub(crate) fn command() -> clap::Command {
    // `--temp -1` is a mistake about the temperature, not an unknown flag `-1`.
    let numbers = |arg: clap::Arg| {
        let takes_value = arg.get_long().is_some() && arg.get_action().takes_values();
        if takes_value { arg.allow_negative_numbers(true) } else { arg }
    };
    Cli::command().mut_subcommands(|verb| verb.mut_args(numbers).mut_subcommands(|inner| inner.mut_args(numbers)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tree_is_consistent() {
        command().debug_assert();
    }

    #[test]
    fn the_front_page_names_every_verb_and_no_other() {
        let front = FRONT_PAGE.split("Write:").nth(1).unwrap().split("Options:").next().unwrap();
        let listed: Vec<&str> =
            front.lines().filter(|l| l.starts_with("  ")).filter_map(|l| l.split_whitespace().next()).collect();
        let tree = command();
        let mut verbs: Vec<&str> = tree.get_subcommands().map(|c| c.get_name()).collect();
        let mut sorted = listed.clone();
        sorted.sort_unstable();
        verbs.sort_unstable();
        assert_eq!(sorted, verbs);
    }

    #[test]
    fn every_flag_is_described() {
        let tree = command();
        for verb in tree.get_subcommands().flat_map(|verb| verb.get_subcommands().chain([verb])) {
            for flag in verb.get_arguments() {
                assert!(flag.get_help().is_some(), "{} {}", verb.get_name(), flag.get_id());
            }
        }
    }
}
