//! What the answers of `/v1/completions` and `/v1/chat/completions` have in common: how they are delivered, what they are wrapped in, and
//! what they cost.

use gptneo_engine::Generation;
use serde_json::{Value, json};

use super::now;
use crate::fields::Fields;
use crate::models::Handle;
use crate::problem::Problem;

/// How an answer is delivered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Delivery {
    /// In parts.
    pub(super) streams: bool,
    /// With a last part that says what it cost.
    pub(super) usage: bool,
}

impl Delivery {
    /// Takes `stream` and `stream_options`.
    pub(super) fn take(fields: &mut Fields) -> Result<Self, Problem> {
        let streams = fields.boolean("stream")?.unwrap_or(false);
        let Some(mut options) = fields.object("stream_options")? else { return Ok(Self { streams, usage: false }) };
        if !streams {
            return Err(Problem::field("stream_options", "`stream_options` goes with `stream` alone"));
        }
        let usage = options.boolean("include_usage")?.unwrap_or(false);
        options.ignore(&["include_obfuscation", "continuous_usage_stats"]);
        options.finish()?;
        Ok(Self { streams, usage })
    }
}

/// What the objects of one answer are wrapped in.
#[derive(Clone)]
pub(super) struct Envelope {
    id: String,
    created: u64,
    pub(super) handle: Handle,
    warnings: Vec<String>,
}

impl Envelope {
    /// Of an answer that begins now.
    pub(super) fn new(id: String, handle: Handle, warnings: Vec<String>) -> Self {
        Self { id, created: now(), handle, warnings }
    }

    /// An object of this kind.
    pub(super) fn object(&self, kind: &str, choices: Vec<Value>, usage: Option<Usage>) -> Value {
        let mut object = json!({
            "id": self.id,
            "object": kind,
            "created": self.created,
            "model": self.handle.name,
            "system_fingerprint": self.handle.model.fingerprint,
            "choices": choices,
        });
        if let Some(usage) = usage {
            object["usage"] = usage.value();
        }
        if !self.warnings.is_empty() {
            object["warnings"] = json!(self.warnings);
        }
        object
    }
}

/// Tokens in and out.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Usage {
    prompt: usize,
    shared: usize,
    completion: usize,
}

impl Usage {
    /// Adds a continuation, and its prompt if it is the `first` of that.
    pub(super) fn add(&mut self, generation: &Generation, first: bool) {
        if first {
            self.prompt += generation.prompt_tokens;
            self.shared += generation.prompt_tokens.saturating_sub(generation.timings.prefill_tokens);
        }
        self.completion += generation.completion_tokens();
    }

    fn value(self) -> Value {
        json!({
            "prompt_tokens": self.prompt,
            "completion_tokens": self.completion,
            "total_tokens": self.prompt + self.completion,
            "prompt_tokens_details": {"cached_tokens": self.shared},
        })
    }
}
