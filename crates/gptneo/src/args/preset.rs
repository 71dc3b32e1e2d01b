//! Flags for prompts that are written already.

use std::path::PathBuf;

use clap::Args;

/// Which preset, and what it is filled with.
#[derive(Debug, Args)]
#[command(next_help_heading = "Presets")]
pub(crate) struct PresetArgs {
    /// Write for a common use, such as summary or email; `list` tells what there is. PROMPT fills its main field
    #[arg(long, value_name = "NAME", conflicts_with = "tokens")]
    pub(crate) preset: Option<String>,

    /// A value for a field of the preset; may be repeated
    #[arg(long, value_name = "FIELD=VALUE", requires = "preset", allow_hyphen_values = true)]
    pub(crate) set: Vec<String>,

    /// A folder with presets of your own, one TOML file each
    #[arg(long, value_name = "DIR", requires = "preset")]
    pub(crate) presets: Option<PathBuf>,
}
