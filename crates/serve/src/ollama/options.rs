//! How tokens are chosen, as Ollama's `options` say it, with its defaults.

use gptneo_engine::{Form, Sampling};
use serde_json::Value;

use crate::app::Limits;
use crate::fields::{Fields, wrong};
use crate::openai::{Settings, schema_of};
use crate::problem::Problem;

/// Options that say how another engine uses a machine; this one is told when it is started.
const OF_THE_MACHINE: [&str; 12] = [
    "num_batch",
    "num_gpu",
    "main_gpu",
    "num_thread",
    "num_keep",
    "low_vram",
    "use_mmap",
    "use_mlock",
    "numa",
    "f16_kv",
    "vocab_only",
    "logits_all",
];

/// What the options come to, and the context that the request is content with.
pub(super) struct Options {
    pub(super) settings: Settings,
    pub(super) context: Option<usize>,
}

/// Takes `options` from the request.
pub(super) fn take(fields: &mut Fields, limits: &Limits) -> Result<Options, Problem> {
    let mut options = match fields.object("options")? {
        Some(options) => options,
        None => Fields::empty("options."),
    };
    options.ignore(&OF_THE_MACHINE);
    let context = options.integer("num_ctx", 1..=u64::from(u32::MAX))?.map(|context| context as usize);
    for unsupported in ["mirostat", "tfs_z"] {
        let neutral = if unsupported == "mirostat" { 0.0 } else { 1.0 };
        if options.number(unsupported, -1e9..=1e9)?.is_some_and(|value| value != neutral) {
            let at = options.at(unsupported);
            return Err(Problem::field(at.clone(), format!("`{at}` is not served: use top_p, min_p or typical_p")));
        }
    }
    options.ignore(&["mirostat_tau", "mirostat_eta", "penalize_newline"]);
    // -1 and -2 are "until it ends" and "until the context is full", which here are one.
    let length = options.number("num_predict", -2.0..=f64::from(u32::MAX))?;
    let length = match length {
        None => None,
        Some(length) if length < 0.0 => None,
        Some(length) if length.fract() == 0.0 => Some(length as usize),
        Some(length) => {
            let at = options.at("num_predict");
            return Err(Problem::field(at.clone(), format!("`{at}` is {length}, but must be a whole number")));
        }
    };
    let window = options.number("repeat_last_n", -1.0..=1e9)?;
    let seed = options.number("seed", -1e15..=1e15)?;
    let given = [options.has("temperature"), options.has("top_k"), options.has("top_p"), options.has("repeat_penalty")];
    let mut settings = Settings::take(&mut options, limits, &[])?;
    options.finish()?;
    settings.max_tokens = length;
    let sampling = &mut settings.sampling;
    let defaults = Sampling { temperature: 0.8, top_k: 40, top_p: 0.9, repeat_penalty: 1.1, ..Sampling::default() };
    if !given[0] {
        sampling.temperature = defaults.temperature;
    }
    if !given[1] {
        sampling.top_k = defaults.top_k;
    }
    if !given[2] {
        sampling.top_p = defaults.top_p;
    }
    if !given[3] {
        sampling.repeat_penalty = defaults.repeat_penalty;
    }
    sampling.repeat_last_n = match window {
        None => defaults.repeat_last_n,
        Some(window) if window < 0.0 => None,
        Some(window) => Some(window as usize),
    };
    if let Some(seed) = seed {
        // Any whole number is a seed there; a negative one is a large one here.
        sampling.seed = (seed as i64).cast_unsigned();
    }
    Ok(Options { settings, context })
}

/// Takes `format`: `json`, or a schema.
pub(super) fn format(fields: &mut Fields) -> Result<Option<Form>, Problem> {
    let form = match fields.take("format") {
        None => return Ok(None),
        Some(Value::String(kind)) if kind.is_empty() => return Ok(None),
        Some(Value::String(kind)) if kind == "json" => Form::JsonObject,
        Some(schema @ Value::Object(_)) => schema_of("format", schema)?,
        Some(other) => return Err(wrong("format", &other, "`json`, or a JSON schema")),
    };
    form.check().map_err(|error| Problem::field("format", error.to_string()))?;
    Ok(Some(form))
}

impl Options {
    /// Refuses a prompt beyond the context that the request named.
    pub(super) fn check(&self, prompt: usize) -> Result<(), Problem> {
        match self.context {
            Some(context) if prompt + 1 > context => Err(Problem::context("prompt", prompt, context)),
            _ => Ok(()),
        }
    }
}
