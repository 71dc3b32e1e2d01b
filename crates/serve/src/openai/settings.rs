//! How tokens are chosen, as OpenAI's fields and those of other local servers say it.

use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hasher};

use gptneo_engine::{Form, Prompt, Request, Sampling};
use serde_json::Value;

use crate::app::Limits;
use crate::fields::{Fields, wrong};
use crate::models::Handle;
use crate::problem::Problem;

/// What a request wants of every one of its prompts.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    pub(crate) sampling: Sampling,
    pub(crate) max_tokens: Option<usize>,
    min_tokens: usize,
    stops: Vec<String>,
    stop_ids: Vec<u32>,
    ignore_eos: bool,
    /// What each answer must be.
    pub(crate) form: Option<Form>,
    pub(crate) n: usize,
    /// Prompts are cut from the left to so many tokens; 0: to what the context holds beside `max_tokens`.
    truncate: Option<usize>,
}

impl Settings {
    /// Takes the fields that both APIs have. `max_tokens` stands under the first of `lengths` that is given.
    pub(crate) fn take(fields: &mut Fields, limits: &Limits, lengths: &[&str]) -> Result<Self, Problem> {
        let share = |fields: &mut Fields, name: &str, default: f32| -> Result<f32, Problem> {
            let value = fields.number(name, 0.0..=1.0)?.map_or(default, |value| value as f32);
            match value > 0.0 || default == 0.0 {
                true => Ok(value),
                false => Err(Problem::field(name, format!("`{name}` is 0, but must be more than 0, and at most 1"))),
            }
        };
        let float = |value: Option<f64>, default: f32| value.map_or(default, |value| value as f32);
        let mut max_tokens = None;
        for name in lengths {
            let found = fields.integer(name, 0..=u64::from(u32::MAX))?;
            max_tokens = max_tokens.or(found);
        }
        let sampling = Sampling {
            temperature: float(fields.number("temperature", 0.0..=10.0)?, 1.0),
            // -1 is how some say "all of them".
            top_k: match fields.number("top_k", -1.0..=1e9)? {
                None => 0,
                Some(k) if k.fract() == 0.0 => k.max(0.0) as usize,
                Some(k) => return Err(Problem::field("top_k", format!("`top_k` is {k}, but must be a whole number"))),
            },
            top_p: share(fields, "top_p", 1.0)?,
            min_p: share(fields, "min_p", 0.0)?,
            typical: share(fields, "typical_p", 1.0)?,
            repeat_penalty: repeat_penalty(fields)?,
            repeat_last_n: None,
            presence_penalty: float(fields.number("presence_penalty", -2.0..=2.0)?, 0.0),
            frequency_penalty: float(fields.number("frequency_penalty", -2.0..=2.0)?, 0.0),
            logit_bias: logit_bias(fields, limits)?,
            seed: fields.bits("seed")?.unwrap_or_else(seed),
        };
        let n = fields.integer("n", 1..=limits.samples as u64)?.unwrap_or(1) as usize;
        Ok(Self {
            sampling,
            max_tokens: max_tokens.map(|max| max as usize),
            min_tokens: fields.integer("min_tokens", 0..=u64::from(u32::MAX))?.unwrap_or(0) as usize,
            stops: stops(fields, limits)?,
            stop_ids: stop_ids(fields)?,
            ignore_eos: fields.boolean("ignore_eos")?.unwrap_or(false),
            form: super::form::take(fields)?,
            n,
            truncate: truncate(fields)?,
        })
    }

    /// Adds stop strings.
    pub(crate) fn stop_at(&mut self, stops: &[&str]) {
        self.stops.extend(stops.iter().map(|stop| (*stop).to_owned()));
    }

    /// The request for a prompt, and how many of its tokens were cut away, as the client asked.
    ///
    /// # Errors
    /// The prompt does not fit in the context.
    pub(crate) fn request(
        &self,
        mut tokens: Vec<u32>,
        handle: &Handle,
        param: &str,
    ) -> Result<(Request, usize), Problem> {
        let positions = handle.model.spec.positions;
        if tokens.is_empty() {
            let none = || Problem::field(param, "the prompt is empty, and the model names no token to start from");
            tokens.push(handle.model.beginning.ok_or_else(none)?);
        }
        let generates = usize::from(self.max_tokens != Some(0));
        let mut cut = 0;
        if let Some(most) = self.truncate {
            let beside = self.max_tokens.unwrap_or(generates).max(generates);
            let room = positions.saturating_sub(beside).max(1);
            let most = if most == 0 { room } else { most };
            cut = tokens.len().saturating_sub(most);
            tokens.drain(..cut);
        }
        if tokens.len() + generates > positions {
            return Err(Problem::context(param, tokens.len(), positions));
        }
        let request = Request {
            max_tokens: self.max_tokens,
            min_tokens: self.min_tokens,
            sampling: self.sampling.clone(),
            stop_strings: self.stops.clone(),
            stop_ids: self.stop_ids.clone(),
            ignore_eos: self.ignore_eos,
            form: self.form.clone(),
            n: self.n,
            ..Request::new(Prompt::Tokens(tokens))
        };
        Ok((request, cut))
    }
}

/// A seed that nobody asked for.
fn seed() -> u64 {
    RandomState::new().build_hasher().finish()
}

fn repeat_penalty(fields: &mut Fields) -> Result<f32, Problem> {
    let mut penalty = None;
    for name in ["repetition_penalty", "repeat_penalty"] {
        let found = fields.number(name, 0.01..=100.0)?;
        penalty = penalty.or(found);
    }
    Ok(penalty.map_or(1.0, |value| value as f32))
}

fn truncate(fields: &mut Fields) -> Result<Option<usize>, Problem> {
    // -1, as elsewhere: what the context holds.
    let found = fields.number("truncate_prompt_tokens", -1.0..=1e9)?;
    match found {
        None => Ok(None),
        Some(-1.0) => Ok(Some(0)),
        Some(most) if most >= 1.0 && most.fract() == 0.0 => Ok(Some(most as usize)),
        Some(most) => {
            let message = format!(
                "`truncate_prompt_tokens` is {most}, but must be a whole number of tokens, or -1 for what fits"
            );
            Err(Problem::field("truncate_prompt_tokens", message))
        }
    }
}

/// A string, or a few.
fn stops(fields: &mut Fields, limits: &Limits) -> Result<Vec<String>, Problem> {
    let found = match fields.take("stop") {
        None => return Ok(Vec::new()),
        Some(Value::String(stop)) => vec![Value::String(stop)],
        Some(Value::Array(stops)) => stops,
        Some(other) => return Err(wrong("stop", &other, "a string, or an array of strings")),
    };
    if found.len() > limits.stops {
        let message = format!("`stop` has {} strings, but may have at most {}", found.len(), limits.stops);
        return Err(Problem::field("stop", message));
    }
    let stops = found.into_iter().enumerate().map(|(at, stop)| match stop {
        Value::String(stop) if (1..=limits.stop_bytes).contains(&stop.len()) => Ok(stop),
        Value::String(stop) => {
            let message = format!("`stop[{at}]` has {} bytes, but must have 1 to {}", stop.len(), limits.stop_bytes);
            Err(Problem::field("stop", message))
        }
        other => Err(wrong(&format!("stop[{at}]"), &other, "a string")),
    });
    stops.collect()
}

fn stop_ids(fields: &mut Fields) -> Result<Vec<u32>, Problem> {
    let found = fields.array("stop_token_ids", 64)?.unwrap_or_default();
    found.iter().enumerate().map(|(at, id)| token(&format!("stop_token_ids[{at}]"), id)).collect()
}

/// A token's id.
pub(crate) fn token(at: &str, value: &Value) -> Result<u32, Problem> {
    let id = value.as_u64().and_then(|id| u32::try_from(id).ok());
    id.ok_or_else(|| {
        let message = format!("`{at}` is {value}, but must be a token's id");
        Problem::field(at.split('[').next().unwrap_or(at), message)
    })
}

fn logit_bias(fields: &mut Fields, limits: &Limits) -> Result<Vec<(u32, f32)>, Problem> {
    let Some(biases) = fields.object("logit_bias")? else { return Ok(Vec::new()) };
    let mut found = Vec::new();
    for (id, bias) in biases.rest() {
        if found.len() == limits.biases {
            let message = format!("`logit_bias` has more than the {} entries that it may have", limits.biases);
            return Err(Problem::field("logit_bias", message));
        }
        let id: u32 = id.parse().map_err(|_| {
            let shown: String = id.chars().take(40).collect();
            Problem::field("logit_bias", format!("`logit_bias` names `{shown}`, but its keys must be token ids"))
        })?;
        let bias = bias.as_f64().filter(|bias| (-100.0..=100.0).contains(bias)).ok_or_else(|| {
            Problem::field("logit_bias", format!("`logit_bias.{id}` is {bias}, but must be a number from -100 to 100"))
        })?;
        found.push((id, bias as f32));
    }
    Ok(found)
}
