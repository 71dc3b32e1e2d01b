//! Flags of `gptneo serve`.

use std::net::IpAddr;
use std::path::PathBuf;

use clap::Args;
use gptneo_device::{CacheType, DType};

use super::values;
use super::{HubArgs, MachineArgs};

const EXAMPLES: &str = "\
Clients: OpenAI's (/v1), Ollama's (/api), the Open Inference Protocol's (/v2, and \
gRPC with --grpc-port), and a page for people at /. See docs/serving.md.

Examples:
  gptneo serve
  gptneo serve -m EleutherAI/gpt-neo-125m --port 9000
  gptneo serve -m small=./model -m large=./model.gguf --lora small:polite=./adapter
  gptneo serve -m ./model --host 0.0.0.0 --api-key-file keys.txt \\
      --ssl-cert-file cert.pem --ssl-key-file key.pem";

/// `gptneo serve`.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct ServeArgs {
    /// A model to serve, as MODEL or NAME=MODEL; may be repeated, and the first is the one that is meant where a request names none [default: pocket]
    #[arg(short, long, value_name = "[NAME=]MODEL", help_heading = "Models")]
    pub(crate) model: Vec<String>,

    /// What the first model is called [default: what -m says]
    #[arg(long, value_name = "NAME", visible_alias = "served-model-name", help_heading = "Models")]
    pub(crate) alias: Option<String>,

    /// A LoRA adapter, served under its own name: [MODEL:]NAME=DIR; may be repeated
    #[arg(long, value_name = "[MODEL:]NAME=DIR", help_heading = "Models")]
    pub(crate) lora: Vec<String>,

    /// Quantise the weights on loading: f32, f16, bf16, q8_0, q6_k, q4_k or q4_0
    #[arg(long, value_name = "TYPE", value_parser = values::computed_type, help_heading = "Models")]
    pub(crate) quant: Option<DType>,

    /// Most tokens of one request, prompt and answer [default: what the model allows]
    #[arg(short, long, value_name = "N", value_parser = values::context, visible_alias = "max-model-len", help_heading = "Models")]
    pub(crate) ctx_size: Option<usize>,

    /// Type of cached keys: f32, f16 or q8_0 [default: follows the weights]
    #[arg(long, value_name = "TYPE", value_parser = values::cache_type, help_heading = "Models")]
    pub(crate) cache_type_k: Option<CacheType>,

    /// Type of cached values: f32, f16 or q8_0 [default: follows the weights]
    #[arg(long, value_name = "TYPE", value_parser = values::cache_type, help_heading = "Models")]
    pub(crate) cache_type_v: Option<CacheType>,

    /// The form of conversations: model, plain, alpaca, chatml or vicuna [default: the model's own, if it brought one]
    #[arg(long, value_name = "NAME", help_heading = "Models", conflicts_with = "chat_template_file")]
    pub(crate) chat_template: Option<String>,

    /// The form of conversations, as a Jinja file
    #[arg(long, value_name = "FILE", help_heading = "Models")]
    pub(crate) chat_template_file: Option<PathBuf>,

    /// Memory for all models together, such as 6GB: those unused longest make room [default: what the machine has free]
    #[arg(long, value_name = "SIZE", value_parser = values::bytes, help_heading = "Models")]
    pub(crate) memory: Option<u64>,

    /// The address to listen on; beyond this machine, keys must be given [default: 127.0.0.1]
    #[arg(
        long,
        value_name = "ADDRESS",
        default_value = "127.0.0.1",
        hide_default_value = true,
        help_heading = "Network"
    )]
    pub(crate) host: IpAddr,

    /// The port; 0 for one that is free
    #[arg(short, long, value_name = "PORT", default_value_t = 8080, help_heading = "Network")]
    pub(crate) port: u16,

    /// A port for gRPC (the Open Inference Protocol); 0 for one that is free [default: none]
    #[arg(long, value_name = "PORT", help_heading = "Network")]
    pub(crate) grpc_port: Option<u16>,

    /// Names that the server may be called by, beside localhost and its address; may be repeated, * for any
    #[arg(long, value_name = "NAME", help_heading = "Network", value_delimiter = ',')]
    pub(crate) allowed_hosts: Vec<String>,

    /// Origins whose pages may ask, such as https://example.org; may be repeated [default: the server's own page alone]
    #[arg(long, value_name = "ORIGIN", help_heading = "Network", value_delimiter = ',')]
    pub(crate) cors_origins: Vec<String>,

    /// A certificate (PEM): speaks TLS
    #[arg(long, value_name = "FILE", requires = "ssl_key_file", help_heading = "Network")]
    pub(crate) ssl_cert_file: Option<PathBuf>,

    /// The certificate's private key (PEM)
    #[arg(long, value_name = "FILE", requires = "ssl_cert_file", help_heading = "Network")]
    pub(crate) ssl_key_file: Option<PathBuf>,

    /// A key that requests must bring; may be repeated. Others can see it in the list of processes: better a file
    #[arg(long, value_name = "KEY", help_heading = "Access")]
    pub(crate) api_key: Vec<String>,

    /// Keys, one a line, with settings of their own: KEY name=shop requests=60 tokens=20000 blocked-words=FILE. Nobody else may read the file
    #[arg(long, value_name = "FILE", help_heading = "Access")]
    pub(crate) api_key_file: Option<PathBuf>,

    /// Listens beyond this machine without any key
    #[arg(long, help_heading = "Access")]
    pub(crate) insecure: bool,

    /// Requests a minute of one client [default: no limit]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..), help_heading = "Access")]
    pub(crate) requests_per_minute: Option<u32>,

    /// Tokens a minute of one client, of prompts and answers [default: no limit]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..), help_heading = "Access")]
    pub(crate) tokens_per_minute: Option<u32>,

    /// Refuse prompts, and cut answers, that contain a word of this file (one a line): FILE for all models, or NAME=FILE for one
    #[arg(long, value_name = "[NAME=]FILE", help_heading = "Safety")]
    pub(crate) blocked_words: Vec<String>,

    /// The store of runs that the page shows, and where feedback is kept [default: runs.sqlite in GPTNEO_HOME, else in ~/.local/share/gptneo]
    #[arg(long, value_name = "FILE", help_heading = "Page")]
    pub(crate) runs_store: Option<PathBuf>,

    /// A folder with sheets to judge blind, made by `gptneo eval review make`; answers are kept beside them
    #[arg(long, value_name = "DIR", help_heading = "Page")]
    pub(crate) reviews: Option<PathBuf>,

    /// A folder with presets of your own, one TOML file each
    #[arg(long, value_name = "DIR", help_heading = "Page")]
    pub(crate) presets: Option<PathBuf>,

    /// Sequences that are continued at once
    #[arg(long, visible_alias = "max-num-seqs", value_name = "N", default_value = "64", value_parser = values::sequences, help_heading = "Load")]
    pub(crate) parallel: usize,

    /// Requests that may wait; more are answered 429 at once
    #[arg(long, value_name = "N", default_value = "512", value_parser = values::queue, help_heading = "Load")]
    pub(crate) max_queue: usize,

    /// Tokens that the key-value cache of each model holds [default: of as many sequences as memory allows]
    #[arg(long, value_name = "N", value_parser = values::context, help_heading = "Load")]
    pub(crate) cache_tokens: Option<usize>,

    /// Largest request, in bytes
    #[arg(long, value_name = "SIZE", default_value = "2MB", value_parser = values::bytes, help_heading = "Load")]
    pub(crate) payload_limit: u64,

    /// Most samples of a request (n)
    #[arg(long, value_name = "N", default_value = "8", value_parser = values::samples, help_heading = "Load")]
    pub(crate) max_n: usize,

    /// Most samples to choose from (best_of)
    #[arg(long, value_name = "N", default_value = "8", value_parser = values::samples, help_heading = "Load")]
    pub(crate) max_best_of: usize,

    /// Most stop strings of a request
    #[arg(long, value_name = "N", default_value = "4", value_parser = values::samples, help_heading = "Load")]
    pub(crate) max_stop_sequences: usize,

    /// Seconds for requests that were begun, when the server is told to end
    #[arg(long, value_name = "SECONDS", default_value_t = 90, help_heading = "Load")]
    pub(crate) graceful_termination_timeout: u64,

    #[command(flatten)]
    pub(crate) machine: MachineArgs,

    #[command(flatten)]
    pub(crate) hub: HubArgs,
}
