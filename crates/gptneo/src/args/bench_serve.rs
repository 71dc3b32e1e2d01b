//! Flags of `gptneo bench serve`.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use gptneo_serve::load::Address;

use super::values;

/// What else is measured.
#[derive(Debug, Subcommand)]
pub(crate) enum BenchVerb {
    /// A server under load: time to the first token and between tokens, throughput, and how often a promise is kept
    Serve(Box<BenchServeArgs>),
}

const EXAMPLES: &str = "\
Every request streams over a connection of its own. In a closed loop --concurrency \
clients ask without pause; with --rate requests arrive by themselves, as from a \
crowd, and with --burst all at once, whether or not earlier ones are done.

Examples:
  gptneo bench serve --url http://localhost:8080 --concurrency 16 -n 200
  gptneo bench serve --url http://localhost:8080 --rate 5 -n 300 --goodput 500,50
  gptneo bench serve --url https://api.example/v1 --api-key KEY --model NAME --burst 32 --every 5";

/// `gptneo bench serve`.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct BenchServeArgs {
    /// The server: http://HOST:PORT/v1, any that speaks OpenAI's API
    #[arg(long, value_name = "URL", default_value = "http://localhost:8080/v1", help_heading = "Server")]
    pub(crate) url: Address,

    /// The model, by its name there [default: the server's first]
    #[arg(short, long, value_name = "NAME", help_heading = "Server")]
    pub(crate) model: Option<String>,

    /// The server's key
    #[arg(long, value_name = "KEY", help_heading = "Server")]
    pub(crate) api_key: Option<String>,

    /// Requests in all
    #[arg(short = 'n', long, value_name = "N", default_value = "100", value_parser = values::many_requests, help_heading = "Load")]
    pub(crate) requests: usize,

    /// Clients that ask without pause [default: 16, where neither --rate nor --burst is given]
    #[arg(long, visible_alias = "max-concurrency", value_name = "N", value_parser = values::many_requests,
          conflicts_with_all = ["rate", "burst"], help_heading = "Load")]
    pub(crate) concurrency: Option<usize>,

    /// Requests that arrive a second, on average
    #[arg(long, visible_alias = "request-rate", value_name = "X", value_parser = values::rate, conflicts_with = "burst", help_heading = "Load")]
    pub(crate) rate: Option<f64>,

    /// Requests that arrive at once
    #[arg(long, value_name = "N", value_parser = values::many_requests, help_heading = "Load")]
    pub(crate) burst: Option<usize>,

    /// Seconds between the beginnings of two bursts
    #[arg(long, value_name = "SECONDS", value_parser = values::rate, default_value = "5", requires = "burst", help_heading = "Load")]
    pub(crate) every: f64,

    /// Tokens of a prompt, about: words that no request has asked before
    #[arg(long, value_name = "N", value_parser = values::some_tokens, default_value = "128", help_heading = "Load")]
    pub(crate) prompt: usize,

    /// Prompts of token ids below N instead of words, for a model without a tokenizer
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..), conflicts_with = "prompts", help_heading = "Load")]
    pub(crate) ids: Option<u32>,

    /// Prompts of your own: a text file, one a line
    #[arg(long, value_name = "FILE", conflicts_with = "prompt", help_heading = "Load")]
    pub(crate) prompts: Option<PathBuf>,

    /// Tokens to generate
    #[arg(long = "gen", value_name = "N", value_parser = values::some_tokens, default_value = "64", help_heading = "Load")]
    pub(crate) generate: usize,

    /// Ask for all of them, past an end of text (a field that OpenAI does not know)
    #[arg(long, help_heading = "Load")]
    pub(crate) ignore_eos: bool,

    /// The promise: milliseconds to the first token, and a token after it
    #[arg(long, value_name = "FIRST,EACH", value_parser = values::promise, default_value = "500,50", help_heading = "Measurement")]
    pub(crate) goodput: (f64, f64),

    /// What arrivals and prompts are drawn with
    #[arg(short, long, value_name = "N", value_parser = values::seed, default_value = "0", help_heading = "Load")]
    pub(crate) seed: u64,

    /// Seconds that one request may take
    #[arg(long, value_name = "SECONDS", value_parser = values::rate, default_value = "600", help_heading = "Measurement")]
    pub(crate) timeout: f64,

    /// Print one JSON object
    #[arg(long, help_heading = "Output")]
    pub(crate) json: bool,
}
