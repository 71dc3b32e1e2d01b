//! Flags of `gptneo eval`.

mod left;

use std::path::PathBuf;

use clap::{Args, Subcommand};
use gptneo_eval::Limit;

use super::eval_shards::{ContaminationArgs, MemorisationArgs};
use super::model::{HubArgs, MachineArgs, ModelArgs};
use super::scorers::{self, SentimentScorer, ToxicityScorer};
use super::values;
pub(crate) use left::{CompareEvalArgs, ReportEvalArgs};

const EXAMPLES: &str = "\
Examples:
  gptneo eval -m EleutherAI/gpt-neo-125m --tasks lambada_openai,hellaswag
  gptneo eval -m ./model --tasks arc_easy --num-fewshot 5 --limit 200 --data ./data
  gptneo eval -m ./model --tasks 'pile_*' --output-path results --log-samples
  gptneo eval --tasks glue_head_sst2,glue_head_rte --head glue_head_sst2=./sst2 --head glue_head_rte=./rte
  gptneo eval -m ./model --tasks real_toxicity_prompts --limit 100 --toxicity-scorer classifier:./judge#toxic
  gptneo eval -m ./model --tasks humaneval --allow-code-execution
  gptneo eval -m EleutherAI/pythia-70m --tasks lambada_openai,piqa --published
  gptneo eval report results/model/results_2026-11-28T14-00-00.json -o page.html
  gptneo eval compare results/small results/large
  gptneo eval tasks super";

/// `gptneo eval`.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES, args_conflicts_with_subcommands = true, disable_help_subcommand = true)]
pub(crate) struct EvalArgs {
    /// What to do, if it is not to measure a model
    #[command(subcommand)]
    pub(crate) verb: Option<EvalVerb>,

    #[command(flatten)]
    pub(crate) measure: MeasureArgs,
}

/// What `gptneo eval` does beside measuring.
#[derive(Debug, Subcommand)]
pub(crate) enum EvalVerb {
    /// The tasks, groups and tags there are
    Tasks(TasksArgs),
    /// Lines to fine-tune a classification head on, of a task that measures such heads
    Lines(LinesArgs),
    /// Make the page of an evaluation again, from the files that it left
    Report(ReportEvalArgs),
    /// Which differences between two evaluations are more than chance
    Compare(CompareEvalArgs),
    /// People judge what models wrote, side by side and blind
    Review(ReviewArgs),
    /// Scores of predictions that some program made of StereoSet's sentences
    Stereoset(StereosetArgs),
    /// Documents of tasks that stand in token shards, which a model may have been trained on
    Contamination(ContaminationArgs),
    /// How much of its training text a model writes out word for word
    #[command(alias = "memorization")]
    Memorisation(Box<MemorisationArgs>),
}

/// `gptneo eval stereoset`.
#[derive(Debug, Args)]
pub(crate) struct StereosetArgs {
    /// Which sentence is which: StereoSet's dev.json
    #[arg(long, value_name = "FILE")]
    pub(crate) gold: PathBuf,

    /// Scores of sentences by their ids, likelier ones higher, in the form of StereoSet's own predictions
    #[arg(long, value_name = "FILE")]
    pub(crate) predictions: PathBuf,

    /// Resamples of terms behind a standard error; 0 for none
    #[arg(long, value_name = "N", default_value_t = 10_000, value_parser = values::resamples)]
    pub(crate) bootstrap_iters: usize,

    /// Print one JSON object
    #[arg(long)]
    pub(crate) json: bool,
}

/// `gptneo eval review`.
#[derive(Debug, Args)]
#[command(subcommand_required = true, arg_required_else_help = true, disable_help_subcommand = true)]
pub(crate) struct ReviewArgs {
    /// What to do
    #[command(subcommand)]
    pub(crate) verb: ReviewVerb,
}

/// The verbs of `gptneo eval review`.
#[derive(Debug, Subcommand)]
pub(crate) enum ReviewVerb {
    /// Pair up what two or more models wrote for the same prompts
    Make(MakeReviewArgs),
    /// Write a page on which to judge, for a browser; it reaches for no network
    Page(PageReviewArgs),
    /// Judge in the terminal
    Judge(JudgeReviewArgs),
    /// What judges found: scores, preferences, strengths, agreement
    Report(ReportReviewArgs),
}

/// `gptneo eval review make`.
#[derive(Debug, Args)]
pub(crate) struct MakeReviewArgs {
    /// Two or more sources, each a name and a file of lines {id, prompt, text}, or samples of a generating task: small=a.jsonl large=b.jsonl
    #[arg(value_name = "NAME=FILE", required = true, num_args = 2..)]
    pub(crate) sources: Vec<String>,

    /// Where to write the sheet, which holds which side is which
    #[arg(short, long, value_name = "FILE")]
    pub(crate) output: PathBuf,

    /// What judges are told it is about
    #[arg(long, value_name = "TEXT", default_value = "")]
    pub(crate) title: String,

    /// Of the order and the sides
    #[arg(long, value_name = "N", value_parser = values::seed, default_value_t = 0)]
    pub(crate) seed: u64,

    /// The most items, drawn evenly from all pairs of sources
    #[arg(long, value_name = "N")]
    pub(crate) items: Option<usize>,

    /// Sources had different prompts for an id: show each its own
    #[arg(long)]
    pub(crate) different_prompts: bool,
}

/// `gptneo eval review page`.
#[derive(Debug, Args)]
pub(crate) struct PageReviewArgs {
    /// The sheet
    #[arg(value_name = "SHEET")]
    pub(crate) sheet: PathBuf,

    /// Where to write the page
    #[arg(short, long, value_name = "FILE")]
    pub(crate) output: PathBuf,
}

/// `gptneo eval review judge`.
#[derive(Debug, Args)]
pub(crate) struct JudgeReviewArgs {
    /// The sheet
    #[arg(value_name = "SHEET")]
    pub(crate) sheet: PathBuf,

    /// Your name, under which your answers are kept
    #[arg(long, value_name = "NAME")]
    pub(crate) judge: String,

    /// Where answers are kept; judging goes on where it was left
    #[arg(long, value_name = "FILE")]
    pub(crate) answers: PathBuf,
}

/// `gptneo eval review report`.
#[derive(Debug, Args)]
pub(crate) struct ReportReviewArgs {
    /// The sheet
    #[arg(value_name = "SHEET")]
    pub(crate) sheet: PathBuf,

    /// Files of answers
    #[arg(value_name = "ANSWERS", required = true)]
    pub(crate) answers: Vec<PathBuf>,

    /// Print one JSON object
    #[arg(long, conflicts_with = "csv")]
    pub(crate) json: bool,

    /// Print comma-separated values
    #[arg(long)]
    pub(crate) csv: bool,
}

/// `gptneo eval tasks`.
#[derive(Debug, Args)]
pub(crate) struct TasksArgs {
    /// Only names that contain this
    #[arg(value_name = "TEXT")]
    pub(crate) text: Option<String>,

    /// Also the definitions in this folder or file
    #[arg(long, value_name = "PATH")]
    pub(crate) include_path: Vec<PathBuf>,

    /// Print one JSON object
    #[arg(long)]
    pub(crate) json: bool,
}

/// `gptneo eval lines`.
#[derive(Debug, Args)]
pub(crate) struct LinesArgs {
    /// The task: glue_head_sst2
    #[arg(value_name = "TASK")]
    pub(crate) task: String,

    /// The split whose documents are written
    #[arg(long, value_name = "NAME", default_value = "train")]
    pub(crate) split: String,

    /// A folder to look for data sets in, before the hub
    #[arg(long, value_name = "DIR")]
    pub(crate) data: Vec<PathBuf>,

    /// Only the first N documents; below 1, that part of them
    #[arg(short = 'L', long, value_name = "N", value_parser = limit)]
    pub(crate) limit: Option<Limit>,

    /// Also the definitions in this folder or file
    #[arg(long, value_name = "PATH")]
    pub(crate) include_path: Vec<PathBuf>,

    /// Where to write the lines [default: standard output]
    #[arg(short, long, value_name = "FILE")]
    pub(crate) output: Option<PathBuf>,

    #[command(flatten)]
    pub(crate) hub: HubArgs,
}

/// Measuring a model.
#[derive(Debug, Args)]
pub(crate) struct MeasureArgs {
    #[command(flatten)]
    pub(crate) model: ModelArgs,

    /// A tokenizer for a model that has none, as a folder
    #[arg(long, value_name = "DIR", help_heading = "Model")]
    pub(crate) tokenizer: Option<PathBuf>,

    /// A model with a classification head for one of the tasks (glue_head_rte=DIR), or an adapter with one beside -m
    #[arg(long, value_name = "TASK=DIR", action = clap::ArgAction::Append, conflicts_with = "use_cache", help_heading = "Model")]
    pub(crate) head: Vec<String>,

    /// Tasks, groups and tags, with `*` and `?` as in a shell: lambada_openai,arc_*
    #[arg(long, value_name = "NAMES", value_delimiter = ',', help_heading = "Tasks")]
    pub(crate) tasks: Vec<String>,

    /// A folder or a file of task definitions of your own
    #[arg(long, value_name = "PATH", help_heading = "Tasks")]
    pub(crate) include_path: Vec<PathBuf>,

    /// A folder to look for data sets in, before the hub
    #[arg(long, value_name = "DIR", help_heading = "Tasks")]
    pub(crate) data: Vec<PathBuf>,

    /// Examples before each document [default: as a task is defined]
    #[arg(long, alias = "num_fewshot", value_name = "K", value_parser = values::examples, help_heading = "Tasks")]
    pub(crate) num_fewshot: Option<usize>,

    /// Only the first N documents of each task; below 1, that part of them
    #[arg(short = 'L', long, value_name = "N", value_parser = limit, help_heading = "Tasks")]
    pub(crate) limit: Option<Limit>,

    /// Measure this split in place of the task's own
    #[arg(long, value_name = "NAME", help_heading = "Tasks")]
    pub(crate) split: Option<String>,

    /// Draw examples from this split in place of the task's own
    #[arg(long, value_name = "NAME", help_heading = "Tasks")]
    pub(crate) fewshot_split: Option<String>,

    /// What examples, and text where a task draws it, are drawn with
    #[arg(long, value_name = "N", value_parser = values::seed, default_value_t = 1234, help_heading = "Tasks")]
    pub(crate) seed: u64,

    /// Of generating tasks: max_gen_toks=N
    #[arg(long, value_name = "KEY=VALUE", value_delimiter = ',', help_heading = "Tasks")]
    pub(crate) gen_kwargs: Vec<String>,

    /// Run programs that the model writes, confined, where a task's score needs it (Linux); without it such tasks keep answers and have
    /// no score
    #[arg(long, alias = "confirm_run_unsafe_code", help_heading = "Code")]
    pub(crate) allow_code_execution: bool,

    /// The Python interpreter that runs them
    #[arg(
        long,
        value_name = "FILE",
        default_value = "python3",
        requires = "allow_code_execution",
        help_heading = "Code"
    )]
    pub(crate) python: PathBuf,

    /// Seconds of CPU time that a program may take; by the clock ten times as many
    #[arg(long, value_name = "N", default_value_t = 3, requires = "allow_code_execution", help_heading = "Code")]
    #[arg(value_parser = clap::value_parser!(u64).range(1..=3600))]
    pub(crate) code_seconds: u64,

    /// Resamples behind a standard error that has no formula; 0 for none
    #[arg(long, value_name = "N", default_value_t = 100_000, value_parser = values::resamples, help_heading = "Tasks")]
    pub(crate) bootstrap_iters: usize,

    /// Who judges how toxic texts are: words:FILE, a list, or classifier:DIR[#LABEL], a model that classifies [default label: toxic]
    #[arg(long, value_name = "KIND:FILE", value_parser = scorers::toxicity, help_heading = "Judges")]
    pub(crate) toxicity_scorer: Option<ToxicityScorer>,

    /// Who judges how glad texts sound: vader:FILE, a lexicon in VADER's format
    #[arg(long, value_name = "KIND:FILE", value_parser = scorers::sentiment, help_heading = "Judges")]
    pub(crate) sentiment_scorer: Option<SentimentScorer>,

    /// Token shards to look for documents in, with scores again without those that stand there; several are allowed
    #[arg(long, value_name = "SHARDS", help_heading = "Tasks")]
    pub(crate) decontaminate: Vec<PathBuf>,

    /// The tokenizer that made these shards: a tokenizer.json, or a directory with one [default: the model's]
    #[arg(long, value_name = "FILE", requires = "decontaminate", help_heading = "Tasks")]
    pub(crate) decontaminate_tokenizer: Option<PathBuf>,
    /// Set the scores that its makers have published of the model beside ours
    #[arg(long, help_heading = "Tasks")]
    pub(crate) published: bool,

    /// The same, of the model with this name [default: what -m names]
    #[arg(long, value_name = "ID", help_heading = "Tasks")]
    pub(crate) published_as: Option<String>,

    /// Keep answers in this file, and go on from those in it
    #[arg(long, value_name = "FILE", help_heading = "Output")]
    pub(crate) use_cache: Option<PathBuf>,

    /// Write results, a page and, with --log-samples, samples into this folder
    #[arg(short, long, value_name = "DIR", help_heading = "Output")]
    pub(crate) output_path: Option<PathBuf>,

    /// Also write every document with its requests, answers and measures
    #[arg(long, requires = "output_path", help_heading = "Output")]
    pub(crate) log_samples: bool,

    /// The store of runs to record this in [default: the one that `gptneo runs` reads]
    #[arg(long, value_name = "FILE", help_heading = "Output")]
    pub(crate) store: Option<PathBuf>,

    /// Do not record this in a store
    #[arg(long, conflicts_with = "store", help_heading = "Output")]
    pub(crate) no_store: bool,

    /// Print the results as one JSON object
    #[arg(long, help_heading = "Output")]
    pub(crate) json: bool,

    #[command(flatten)]
    pub(crate) machine: MachineArgs,

    #[command(flatten)]
    pub(crate) hub: HubArgs,
}

pub(super) fn limit(text: &str) -> Result<Limit, String> {
    if let Ok(count) = text.parse::<usize>() {
        return if count > 0 { Ok(Limit::Count(count)) } else { Err("at least one document must be left".to_owned()) };
    }
    match text.parse::<f64>() {
        Ok(share) if share > 0.0 && share < 1.0 => Ok(Limit::Share(share)),
        _ => Err("must be a number of documents, or a part of them between 0 and 1".to_owned()),
    }
}
