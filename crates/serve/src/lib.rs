//! Gives models to many users at once, over the protocols that their programs already speak.
//!
//! A [`Server`] listens; [`Source`]s are where its models come from. Inside, connections are served by an asynchronous runtime (`listen`),
//! every request passes one guard (`guard`), and what is asked of models goes to one thread that steps them all (`room`). This crate
//! alone knows wire JSON: what lies below speaks [`gptneo_engine::Request`] and [`gptneo_engine::Event`].
//!
//! Whatever comes in is hostile: heads and bodies are bounded in size and time, fields in value, queues in length; a name is looked up in
//! a list and never becomes a path.
#![forbid(unsafe_code)]

mod app;
mod body;
mod client;
mod digits;
mod fields;
mod guard;
mod health;
mod keys;
mod listen;
pub mod load;
mod local;
mod metrics;
mod models;
mod oip;
mod ollama;
mod openai;
mod openapi;
mod page;
mod presets;
mod problem;
mod prompts;
mod rates;
mod room;
mod running;
mod server;
mod sse;
mod tokens;

pub use app::{Doors, Limits};
pub use keys::{Allowance, Key, KeyError, Keys};
pub use local::{
    Review, ReviewAnswer, ReviewFault, ReviewItem, ReviewNext, ReviewPreference, ReviewReport, ReviewRow, ReviewScores,
    Reviews,
};
pub use models::{Loaded, Offer, Source};
pub use presets::{Field, FieldKind, Preset, PresetError, PresetSettings, Presets};
pub use server::{Options, ServeError, Server, Tls};
