//! Flags of every verb that loads a model.

use std::path::PathBuf;

use clap::Args;
use gptneo_device::{CacheType, DType};

use super::values::{self, DeviceChoice};

/// Which model, and how it is held.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Model")]
pub(crate) struct ModelArgs {
    /// A directory, a .gguf file, a hub id (owner/name), random:SHAPE, or pocket, which is built in [default: pocket]
    #[arg(short, long, value_name = "MODEL")]
    pub(crate) model: Option<String>,

    /// Quantise the weights on loading: f32, f16, bf16, q8_0, q6_k, q4_k or q4_0
    #[arg(long, value_name = "TYPE", value_parser = values::computed_type)]
    pub(crate) quant: Option<DType>,

    /// Most tokens of context to hold [default: what the model allows]
    #[arg(short, long, value_name = "N", value_parser = values::context)]
    pub(crate) ctx_size: Option<usize>,

    /// Type of cached keys: f32, f16 or q8_0 [default: follows the weights]
    #[arg(long, value_name = "TYPE", value_parser = values::cache_type)]
    pub(crate) cache_type_k: Option<CacheType>,

    /// Type of cached values: f32, f16 or q8_0 [default: follows the weights]
    #[arg(long, value_name = "TYPE", value_parser = values::cache_type)]
    pub(crate) cache_type_v: Option<CacheType>,

    #[command(flatten)]
    pub(crate) lora: LoraArgs,
}

/// An adapter beside the model.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Model")]
pub(crate) struct LoraArgs {
    /// A LoRA adapter for the model, as a directory in PEFT's layout
    #[arg(long, value_name = "DIR")]
    pub(crate) lora: Option<PathBuf>,

    /// How strong the adapter is: 0 is off, 1 as it was trained [default: 1]
    #[arg(long, value_name = "X", value_parser = values::strength, requires = "lora")]
    pub(crate) lora_scale: Option<f32>,
}

/// What it runs on.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Machine")]
pub(crate) struct MachineArgs {
    /// Threads [default: GPTNEO_THREADS, else one per core]
    #[arg(short, long, value_name = "N", value_parser = values::threads)]
    pub(crate) threads: Option<usize>,

    /// Where to run: cpu, or auto for the best there is
    #[arg(long, value_name = "DEVICE", default_value = "auto")]
    pub(crate) device: DeviceChoice,
}

/// How the hub is reached.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Hub")]
pub(crate) struct HubArgs {
    /// Use what is in the cache; never reach for the network
    #[arg(long)]
    pub(crate) offline: bool,

    /// Access token for private models [default: HF_TOKEN, else the one saved in HF_HOME]
    #[arg(long, value_name = "TOKEN", alias = "hft")]
    pub(crate) hf_token: Option<String>,

    /// Branch, tag or commit of the hub's repository
    #[arg(long, value_name = "REVISION")]
    pub(crate) revision: Option<String>,
}
