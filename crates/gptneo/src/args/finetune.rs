//! Flags of `gptneo finetune`.

use std::path::PathBuf;

use clap::Args;

use super::train::RunFlags;

const EXAMPLES: &str = "\
Lines with a prompt and a response, or with messages, teach responses; lines with a \
text and a label make a classifier; lines with a text, and text files, teach the text \
itself. recipes/README.md describes them. The \
flags make a recipe, which --print-recipe shows; --set changes what no flag does.

Examples:
  gptneo finetune -m EleutherAI/gpt-neo-125m --lora qa.jsonl
  gptneo finetune -m ./model --chat-template plain chats.jsonl -o runs/chat --epochs 2
  gptneo finetune -m ./model tales.txt --lr 3e-5
  gptneo finetune -m gpt2 reviews.jsonl -o runs/reviews
  gptneo run -m ./model --lora runs/chat/checkpoints/step-00000120 \"Hello\"";

/// `gptneo finetune`.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct FinetuneArgs {
    /// What to learn: files, folders, patterns of .jsonl, .txt or .parquet, also .zst, .gz
    #[arg(value_name = "DATA", required = true)]
    pub(crate) data: Vec<String>,

    /// The model to begin with: a directory or a hub id (owner/name)
    #[arg(short, long, value_name = "MODEL", required = true, help_heading = "Model")]
    pub(crate) model: String,

    /// Form of the conversations: plain, alpaca, chatml, vicuna, model (the tokenizer's own), or a Jinja file
    #[arg(long, value_name = "TEMPLATE", help_heading = "Data")]
    pub(crate) chat_template: Option<String>,

    /// Labels of a classifier, in order [default: those that the lines have]
    #[arg(long, value_name = "NAMES", value_delimiter = ',', help_heading = "Data")]
    pub(crate) labels: Vec<String>,

    /// Share that is held out to measure on [default: 0.05 of lines of JSON, 0 of text files]
    #[arg(long, value_name = "FRACTION", help_heading = "Data")]
    pub(crate) held_out: Option<f64>,

    /// Tokens of a sequence; longer examples lose their end [default: the model's context, at most 1024]
    #[arg(long, value_name = "N", help_heading = "Data")]
    pub(crate) seq: Option<u64>,

    /// Train a LoRA adapter of this rank, and leave the model as it is [default rank: 8]
    #[arg(long, value_name = "RANK", num_args = 0..=1, require_equals = true, default_missing_value = "8",
          help_heading = "Adapter")]
    pub(crate) lora: Option<u64>,

    /// Numerator of the adapter's scale, alpha / rank [default: twice the rank]
    #[arg(long, value_name = "X", requires = "lora", help_heading = "Adapter")]
    pub(crate) lora_alpha: Option<f64>,

    /// Dropout of what the adapter reads [default: 0]
    #[arg(long, value_name = "P", requires = "lora", help_heading = "Adapter")]
    pub(crate) lora_dropout: Option<f64>,

    /// Matrices to adapt, by the names of their modules in transformers: q_proj,v_proj [default: all-linear]
    #[arg(long, value_name = "NAMES", requires = "lora", value_delimiter = ',', help_heading = "Adapter")]
    pub(crate) lora_targets: Vec<String>,

    /// Passes over the data
    #[arg(long, value_name = "N", default_value_t = 3.0, help_heading = "Training")]
    pub(crate) epochs: f64,

    /// Examples (or sequences of text) in a step
    #[arg(long, value_name = "N", default_value_t = 8, help_heading = "Training")]
    pub(crate) batch: u64,

    /// So many of them at once; less takes less memory [default: all of a step's]
    #[arg(long, value_name = "N", help_heading = "Training")]
    pub(crate) micro: Option<u64>,

    /// Peak learning rate [default: 5e-5; with --lora 2e-4]
    #[arg(long, value_name = "X", help_heading = "Training")]
    pub(crate) lr: Option<f64>,

    /// Seed of order, dropout and adapters
    #[arg(long, value_name = "N", default_value_t = 0, help_heading = "Training")]
    pub(crate) seed: u64,

    /// Folder of the run [default: runs/finetune]
    #[arg(short, long, value_name = "DIR", help_heading = "Run")]
    pub(crate) output: Option<PathBuf>,

    /// Print the recipe that the flags make, and stop
    #[arg(long, help_heading = "Run")]
    pub(crate) print_recipe: bool,

    #[command(flatten)]
    pub(crate) run: RunFlags,
}
