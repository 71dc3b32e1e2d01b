//! Flags of the verbs themselves.

use std::path::PathBuf;

use clap::Args;
use gptneo_device::DType;

use super::values::{self, TokenIds};
use super::{BenchVerb, GenerationArgs, HubArgs, LoraArgs, MachineArgs, ModelArgs, PresetArgs, PromptArgs};

const RUN_EXAMPLES: &str = "\
Examples:
  gptneo run -m EleutherAI/gpt-neo-125m \"Once upon a time\"
  gptneo run -m ./model --temp 0 -n 40 --json \"Roses are red,\"
  gptneo run -m ./model --stop '\\n' -f prompt.txt > answer.txt
  gptneo run -m ./model --lora ./adapter \"Roses are red,\"
  gptneo run -m ./model --preset summary < text.txt
  gptneo run -m ./model --preset email --set to=Ann --set from=Bob \"the lift is broken\"
  gptneo run -m ./model --json-schema @person.json \"Lily, who is seven, says:\"
  gptneo run -m random:gpt-neo-125m --tokens 1,2,3 --ignore-eos";

/// `gptneo run`.
#[derive(Debug, Args)]
#[command(after_help = RUN_EXAMPLES)]
pub(crate) struct RunArgs {
    #[command(flatten)]
    pub(crate) prompt: PromptArgs,
    #[command(flatten)]
    pub(crate) preset: PresetArgs,
    #[command(flatten)]
    pub(crate) model: ModelArgs,
    #[command(flatten)]
    pub(crate) generation: GenerationArgs,

    /// Search with this many beams instead of sampling; the best is printed
    #[arg(long, value_name = "N", value_parser = values::beams, help_heading = "Sampling")]
    pub(crate) beams: Option<usize>,

    /// Number of continuations, sharing one reading of the prompt
    #[arg(short = 'N', long, value_name = "N", value_parser = values::samples, default_value = "1",
          help_heading = "Sampling")]
    pub(crate) samples: usize,

    /// Report the log-probability of each token and of its K likeliest alternatives (with --json)
    #[arg(long, value_name = "K", value_parser = values::alternatives, help_heading = "Output", requires = "json")]
    pub(crate) logprobs: Option<usize>,

    #[command(flatten)]
    pub(crate) machine: MachineArgs,

    #[command(flatten)]
    pub(crate) hub: HubArgs,

    /// Print one JSON object: text, tokens, counts, finish_reason, timings
    #[arg(long, help_heading = "Output")]
    pub(crate) json: bool,
}

const CHAT_EXAMPLES: &str = "\
A model chats only in the form it was trained on, so the template is always \
named: `model` is the one in the model's own tokenizer_config.json. A base model \
continues text; use `gptneo run` for it.

Examples:
  gptneo chat -m ./my-chat-model --chat-template model
  gptneo chat -m ./model --chat-template plain --system \"You are brief.\"";

/// `gptneo chat`.
#[derive(Debug, Args)]
#[command(after_help = CHAT_EXAMPLES)]
pub(crate) struct ChatArgs {
    #[command(flatten)]
    pub(crate) model: ModelArgs,

    /// The form of the conversation: model, plain, alpaca, chatml or vicuna
    #[arg(long, value_name = "NAME", help_heading = "Chat", conflicts_with = "chat_template_file")]
    pub(crate) chat_template: Option<String>,

    /// The form of the conversation, as a Jinja file
    #[arg(long, value_name = "FILE", help_heading = "Chat")]
    pub(crate) chat_template_file: Option<PathBuf>,

    /// What the model is told before the conversation
    #[arg(long, value_name = "TEXT", help_heading = "Chat", allow_hyphen_values = true)]
    pub(crate) system: Option<String>,

    #[command(flatten)]
    pub(crate) generation: GenerationArgs,

    #[command(flatten)]
    pub(crate) machine: MachineArgs,

    #[command(flatten)]
    pub(crate) hub: HubArgs,
}

const SCORE_EXAMPLES: &str = "\
Text is scored with the beginning-of-text token in front, so that every token \
has a log-probability; text longer than the context is cut into windows, each \
scored by itself. Token ids are scored as they are.

Of a classifier the labels are told, with their probabilities.

Examples:
  gptneo score -m ./model --text \"The capital of France is Paris\"
  gptneo score -m ./model --file book.txt --json
  gptneo score -m ./model --tokens 15496,995 --top 10 --json
  gptneo score -m ./classifier --text \"A film to remember.\"";

/// `gptneo score`.
#[derive(Debug, Args)]
#[command(after_help = SCORE_EXAMPLES)]
pub(crate) struct ScoreArgs {
    /// The text to score [default: standard input, when it is no terminal]
    #[arg(long, value_name = "TEXT", help_heading = "Input", allow_hyphen_values = true,
          conflicts_with_all = ["file", "tokens"])]
    pub(crate) text: Option<String>,

    /// Read the text from a file (UTF-8)
    #[arg(short, long, value_name = "FILE", help_heading = "Input", conflicts_with = "tokens")]
    pub(crate) file: Option<PathBuf>,

    /// Token ids instead of text: 1,2,3
    #[arg(long, value_name = "IDS", help_heading = "Input")]
    pub(crate) tokens: Option<TokenIds>,

    #[command(flatten)]
    pub(crate) model: ModelArgs,

    /// Also report the K largest logits after each token
    #[arg(long, value_name = "K", value_parser = values::top, help_heading = "Output")]
    pub(crate) top: Option<usize>,

    #[command(flatten)]
    pub(crate) machine: MachineArgs,

    #[command(flatten)]
    pub(crate) hub: HubArgs,

    /// Print one JSON object
    #[arg(long, help_heading = "Output")]
    pub(crate) json: bool,
}

const TOKENIZE_EXAMPLES: &str = "\
Examples:
  echo -n \"Hello world\" | gptneo tokenize -m ./model
  echo \"15496 995\" | gptneo tokenize -m ./model --decode";

/// `gptneo tokenize`.
#[derive(Debug, Args)]
#[command(after_help = TOKENIZE_EXAMPLES)]
pub(crate) struct TokenizeArgs {
    /// A directory, a .gguf file or a hub id
    #[arg(short, long, value_name = "MODEL", help_heading = "Model")]
    pub(crate) model: Option<String>,

    /// Read ids and print text
    #[arg(short, long)]
    pub(crate) decode: bool,

    /// Treat <|endoftext|> and its like as plain text
    #[arg(long, conflicts_with = "decode")]
    pub(crate) no_special: bool,

    /// Print one JSON object
    #[arg(long, help_heading = "Output")]
    pub(crate) json: bool,

    #[command(flatten)]
    pub(crate) hub: HubArgs,
}

const BENCH_EXAMPLES: &str = "\
The machine's own limits are measured first: how fast it reads memory, and how \
fast it multiplies. Every speed is then given with its share of the limit.

Shapes: gpt-neo-125m, -350m, -1.3b, -2.7b; gpt-j-6b; gpt2, -medium, -large, -xl; \
pythia-14m to -12b; gpt-neox-20b.

Examples:
  gptneo bench -m random:gpt-neo-125m
  gptneo bench -m random:gpt-neo-1.3b --quant q4_0 --prompt 512 --gen 64 --json
  gptneo bench -m random:gpt-neo-125m --quant q8_0 --batch 16
  gptneo bench -m random:gpt-neo-125m --train --batch 4 --seq 256
  gptneo bench serve --url http://localhost:8080 --concurrency 16";

/// `gptneo bench`.
#[derive(Debug, Args)]
#[command(after_help = BENCH_EXAMPLES, args_conflicts_with_subcommands = true)]
pub(crate) struct BenchArgs {
    /// What else is measured.
    #[command(subcommand)]
    pub(crate) verb: Option<BenchVerb>,

    #[command(flatten)]
    pub(crate) model: ModelArgs,

    /// Tokens to read before generating
    #[arg(long, value_name = "N", value_parser = values::some_tokens, default_value = "512",
          help_heading = "Measurement")]
    pub(crate) prompt: usize,

    /// Tokens to generate
    #[arg(long = "gen", value_name = "N", value_parser = values::some_tokens, default_value = "64",
          help_heading = "Measurement")]
    pub(crate) generate: usize,

    /// Measure training instead: whole steps of --batch sequences of --seq tokens
    #[arg(long, help_heading = "Measurement")]
    pub(crate) train: bool,

    /// Tokens of a sequence, with --train
    #[arg(long, value_name = "N", value_parser = values::some_tokens, default_value = "256",
          help_heading = "Measurement")]
    pub(crate) seq: usize,

    /// Also decode so many sequences at once, from an empty cache; with --train, sequences of a step [default: 4]
    #[arg(long, value_name = "N", value_parser = values::sequences, help_heading = "Measurement")]
    pub(crate) batch: Option<usize>,

    /// Measure so many times and report medians
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=100), default_value = "3",
          help_heading = "Measurement")]
    pub(crate) repeat: u32,

    #[command(flatten)]
    pub(crate) machine: MachineArgs,

    #[command(flatten)]
    pub(crate) hub: HubArgs,

    /// Print one JSON object
    #[arg(long, help_heading = "Output")]
    pub(crate) json: bool,
}

const QUANTIZE_EXAMPLES: &str = "\
Types: f32, f16, bf16, q8_0, q6_k, q4_k, q4_0. A row whose length a type cannot \
hold falls back to one that can, and that is said. With --text, the report tells \
what the type costs on that text: the change in negative log-likelihood, the \
divergence from f32, and how often the likeliest token is the same.

Examples:
  gptneo quantize -m ./model -o model-q8_0.gguf --type q8_0
  gptneo quantize -m EleutherAI/gpt-neo-1.3B -o neo-q4_k.gguf --type q4_k --text sample.txt";

/// `gptneo quantize`.
#[derive(Debug, Args)]
#[command(after_help = QUANTIZE_EXAMPLES)]
pub(crate) struct QuantizeArgs {
    /// A directory, a .gguf file or a hub id
    #[arg(short, long, value_name = "MODEL")]
    pub(crate) model: Option<String>,

    #[command(flatten)]
    pub(crate) lora: LoraArgs,

    /// The file to write (GGUF)
    #[arg(short, long, value_name = "FILE")]
    pub(crate) output: PathBuf,

    /// Type of the weights: f32, f16, bf16, q8_0, q6_k, q4_k or q4_0
    #[arg(long = "type", value_name = "TYPE", value_parser = values::computed_type)]
    pub(crate) dtype: DType,

    /// Measure what the type costs on this text (UTF-8)
    #[arg(long, value_name = "FILE")]
    pub(crate) text: Option<PathBuf>,

    /// Most tokens of the text to measure on
    #[arg(long, value_name = "N", value_parser = values::some_tokens, default_value = "4096")]
    pub(crate) text_tokens: usize,

    /// Replace the output file if it exists
    #[arg(long)]
    pub(crate) force: bool,

    #[command(flatten)]
    pub(crate) machine: MachineArgs,

    #[command(flatten)]
    pub(crate) hub: HubArgs,

    /// Print one JSON object
    #[arg(long, help_heading = "Output")]
    pub(crate) json: bool,
}

const CONVERT_EXAMPLES: &str = "\
Examples:
  gptneo convert -m ./model -o model.gguf
  gptneo convert -m model.gguf -o ./model-directory
  gptneo convert -m ./model --lora ./adapter -o ./merged";

/// `gptneo convert`.
#[derive(Debug, Args)]
#[command(after_help = CONVERT_EXAMPLES)]
pub(crate) struct ConvertArgs {
    /// A directory, a .gguf file or a hub id
    #[arg(short, long, value_name = "MODEL")]
    pub(crate) model: Option<String>,

    #[command(flatten)]
    pub(crate) lora: LoraArgs,

    /// What to write: a name ending in .gguf, or a directory in Hugging Face layout
    #[arg(short, long, value_name = "PATH")]
    pub(crate) output: PathBuf,

    /// Type of the weights: f32, f16 or bf16 [default: as they are stored]
    #[arg(long = "type", value_name = "TYPE", value_parser = values::computed_type)]
    pub(crate) dtype: Option<DType>,

    /// Replace the output if it exists
    #[arg(long)]
    pub(crate) force: bool,

    #[command(flatten)]
    pub(crate) machine: MachineArgs,

    #[command(flatten)]
    pub(crate) hub: HubArgs,

    /// Print one JSON object
    #[arg(long, help_heading = "Output")]
    pub(crate) json: bool,
}

/// `gptneo pull`.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  gptneo pull EleutherAI/gpt-neo-125m")]
pub(crate) struct PullArgs {
    /// Hub id: owner/name
    #[arg(value_name = "ID", required_unless_present = "model")]
    pub(crate) id: Option<String>,

    /// Hub id, as a flag
    #[arg(short, long, value_name = "ID", conflicts_with = "id", hide = true)]
    pub(crate) model: Option<String>,

    #[command(flatten)]
    pub(crate) hub: HubArgs,

    /// Print one JSON object
    #[arg(long)]
    pub(crate) json: bool,
}

/// `gptneo list`.
#[derive(Debug, Args)]
pub(crate) struct ListArgs {
    /// Print one JSON object
    #[arg(long)]
    pub(crate) json: bool,
}

/// `gptneo show`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  gptneo show ./model\n  gptneo show random:gpt-j-6b\n  gptneo show gpt2 --json")]
pub(crate) struct ShowArgs {
    /// A directory, a .gguf file, a hub id in the cache, or random:SHAPE
    #[arg(value_name = "MODEL", required_unless_present = "model")]
    pub(crate) id: Option<String>,

    /// The model, as a flag
    #[arg(short, long, value_name = "MODEL", conflicts_with = "id", hide = true)]
    pub(crate) model: Option<String>,

    /// Tokens of context to reckon the memory for [default: what the model allows]
    #[arg(short, long, value_name = "N", value_parser = values::context)]
    pub(crate) ctx_size: Option<usize>,

    /// Print the model's card: what it was trained on, what it is for, what it cannot do
    #[arg(long, conflicts_with_all = ["json", "ctx_size"])]
    pub(crate) card: bool,

    /// Print one JSON object
    #[arg(long)]
    pub(crate) json: bool,
}

/// `gptneo rm`.
#[derive(Debug, Args)]
pub(crate) struct RmArgs {
    /// Hub id: owner/name
    #[arg(value_name = "ID")]
    pub(crate) id: String,

    /// Do not ask
    #[arg(short, long)]
    pub(crate) yes: bool,

    /// Print one JSON object
    #[arg(long)]
    pub(crate) json: bool,
}

/// `gptneo doctor`.
#[derive(Debug, Args)]
pub(crate) struct DoctorArgs {
    /// Also ask the hub whether it can be reached
    #[arg(long)]
    pub(crate) hub: bool,

    /// Also measure how fast this machine reads memory and multiplies
    #[arg(long)]
    pub(crate) speed: bool,

    /// Print one JSON object
    #[arg(long)]
    pub(crate) json: bool,
}

/// `gptneo completions`.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  gptneo completions bash > ~/.local/share/bash-completion/completions/gptneo")]
pub(crate) struct CompletionsArgs {
    /// The shell
    #[arg(value_name = "SHELL")]
    pub(crate) shell: clap_complete::Shell,
}
