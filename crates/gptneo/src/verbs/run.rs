//! `gptneo run`: continues a prompt, as text that streams or as one JSON object.

use std::ops::ControlFlow;
use std::time::Instant;

use gptneo_device::PAGE;
use gptneo_engine::{BeamSettings, Cause, FinishReason, Generation, Prompt, Request};
use gptneo_text::Tokenizer;
use serde::Serialize;

use crate::args::RunArgs;
use crate::failure::Failure;
use crate::generator::{Flags, engine};
use crate::lora;
use crate::open::open;
use crate::presets::{self, Wanted};
use crate::request;
use crate::terminal;
use crate::verbs::World;

/// What `--json` prints. `text`, `tokens`, `finish_reason` are those of the first continuation; `samples` has all of
/// them where more than one was asked for.
#[derive(Serialize)]
struct Report<'a> {
    model: &'a str,
    text: &'a str,
    tokens: Vec<u32>,
    prompt_tokens: usize,
    completion_tokens: usize,
    finish_reason: &'static str,
    seed: u64,
    timings: Timings,
    #[serde(skip_serializing_if = "Option::is_none")]
    logprobs: Option<Vec<TokenReport<'a>>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    samples: Vec<Sample<'a>>,
}

/// Times of the whole request; rates are null where there is nothing to divide.
#[derive(Serialize)]
struct Timings {
    load_ms: f64,
    first_token_ms: f64,
    prefill_tokens_per_s: Option<f64>,
    decode_tokens_per_s: Option<f64>,
}

#[derive(Serialize)]
struct Sample<'a> {
    text: &'a str,
    tokens: Vec<u32>,
    completion_tokens: usize,
    finish_reason: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    score: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    logprobs: Option<Vec<TokenReport<'a>>>,
}

#[derive(Serialize)]
struct TokenReport<'a> {
    id: u32,
    logprob: Option<f64>,
    top: &'a [(u32, f64)],
}

pub(crate) fn run(args: &RunArgs, world: &World) -> Result<(), Failure> {
    let begun = Instant::now();
    let preset = match presets::wanted(&args.preset)? {
        Wanted::No => None,
        Wanted::List(presets) => return presets::list(&presets),
        Wanted::One(preset) => Some(preset),
    };
    // Cheap things that can be wrong come before dear ones.
    let opened = open(args.model.model.as_deref(), &args.hub, world.environment, &world.interrupt)?;
    opened.language_model()?;
    let prompt = match &preset {
        Some(preset) => Prompt::Text(presets::fill(preset, &args.preset, &args.prompt)?),
        None => request::prompt(&args.prompt)?,
    };
    let tokenizer = opened.tokenizer()?;
    let mut request = request::request(prompt, &args.generation, args.beams.is_some())?;
    if let Some(preset) = &preset {
        presets::settle(preset, &args.generation, args.beams.is_some(), &mut request);
    }
    request.n = args.samples;
    request.logprobs = args.logprobs;
    request.beams = args.beams.map(|width| BeamSettings { width, ..BeamSettings::default() });
    request.adapter = lora::name(&args.model.lora).map(str::to_owned);
    request.cancel = Some(world.interrupt.flag());
    request.check(opened.config().vocab).map_err(gptneo_engine::EngineError::from)?;

    let flags = Flags {
        model: &args.model,
        machine: &args.machine,
        hub: &args.hub,
        draft: args.generation.speed.draft_model.as_deref(),
    };
    let prompt_tokens = prompt_tokens(&request.prompt, tokenizer.as_ref())?;
    let mut engine = engine(&opened, tokenizer, flags, world, |context| room(&request, prompt_tokens, context))?;
    let load_ms = begun.elapsed().as_secs_f64() * 1e3;
    let seed = request.sampling.seed;
    if world.verbose {
        terminal::say(&terminal::dim(&format!("prompt {prompt_tokens} tokens, seed {seed}")));
    }

    // One continuation streams; of several, and of beams, the text is known at the end.
    let streams = !args.json && request.n == 1 && request.beams.is_none();
    let ids = engine.tokenizer().is_none();
    let formed = request.form.is_some();
    let mut broken = None;
    let _heeded = world.interrupt.heed();
    let done = engine.generate(request, &mut |piece| {
        if !streams {
            return ControlFlow::Continue(());
        }
        let shown = if ids {
            terminal::bytes(piece.tokens.iter().map(|t| format!("{} ", t.id)).collect::<String>().as_bytes())
        } else {
            terminal::text(&piece.text)
        };
        match shown {
            Ok(()) => ControlFlow::Continue(()),
            Err(failure) => {
                broken = Some(failure);
                ControlFlow::Break(())
            }
        }
    })?;
    if let Some(failure) = broken {
        return Err(failure);
    }

    if args.json {
        terminal::json(&report(&opened.name, &done, seed, load_ms))?;
    } else if streams {
        terminal::line("")?;
    } else {
        for (index, generation) in done.iter().enumerate() {
            if done.len() > 1 {
                terminal::line(&format!("--- {}", index + 1))?;
            }
            terminal::text(&shown(generation, ids))?;
            terminal::line("")?;
        }
    }
    tell(&done, formed, args.json, world);
    world.interrupt.check()
}

/// Tokens of the prompt; an empty one becomes the token that begins a text.
fn prompt_tokens(prompt: &Prompt, tokenizer: Option<&Tokenizer>) -> Result<usize, Failure> {
    let count = match (prompt, tokenizer) {
        (Prompt::Tokens(ids), _) => ids.len(),
        (Prompt::Text(text), Some(tokenizer)) => tokenizer.encode(text)?.len(),
        (Prompt::Text(_), None) => {
            let what = "a prompt of text";
            return Err(gptneo_engine::EngineError::from(gptneo_engine::RequestError::NoTokenizer { what }).into());
        }
    };
    Ok(count.max(1))
}

/// Positions of cache that the request can come to need.
fn room(request: &Request, prompt_tokens: usize, context: usize) -> usize {
    let longest = request.max_tokens.map_or(context, |n| prompt_tokens.saturating_add(n)).min(context);
    // A page begun, one for tokens guessed ahead, one that is shared until it is written.
    let each = longest.next_multiple_of(PAGE) + 2 * PAGE;
    let sequences = match request.beams {
        // While beams are chosen anew, old and new ones stand side by side.
        Some(beams) => 2 * beams.width,
        None => request.n,
    };
    each.saturating_mul(sequences)
}

fn report<'a>(model: &'a str, done: &'a [Generation], seed: u64, load_ms: f64) -> Report<'a> {
    let first = &done[0];
    let timings = &first.timings;
    let samples = if done.len() > 1 { done.iter().map(sample).collect() } else { Vec::new() };
    Report {
        model,
        text: &first.text,
        tokens: first.ids(),
        prompt_tokens: first.prompt_tokens,
        completion_tokens: first.completion_tokens(),
        finish_reason: reason(first),
        seed,
        timings: Timings {
            load_ms,
            first_token_ms: timings.first_token.as_secs_f64() * 1e3,
            prefill_tokens_per_s: timings.prefill_tokens_per_s(),
            decode_tokens_per_s: timings.decode_tokens_per_s(),
        },
        logprobs: logprobs(first),
        samples,
    }
}

fn sample(generation: &Generation) -> Sample<'_> {
    Sample {
        text: &generation.text,
        tokens: generation.ids(),
        completion_tokens: generation.completion_tokens(),
        finish_reason: reason(generation),
        score: generation.beam_score,
        logprobs: logprobs(generation),
    }
}

fn reason(generation: &Generation) -> &'static str {
    generation.finish_reason().name()
}

fn logprobs(generation: &Generation) -> Option<Vec<TokenReport<'_>>> {
    generation.tokens.iter().any(|t| t.logprob.is_some()).then(|| {
        let tokens = generation.tokens.iter();
        tokens.map(|t| TokenReport { id: t.id, logprob: t.logprob, top: &t.top }).collect()
    })
}

/// The text, or the ids of a model without a tokenizer.
fn shown(generation: &Generation, ids: bool) -> String {
    if !ids {
        return generation.text.clone();
    }
    generation.ids().iter().map(u32::to_string).collect::<Vec<_>>().join(" ")
}

/// Says on standard error what the text does not: a full context, a rail, speeds.
fn tell(done: &[Generation], formed: bool, json: bool, world: &World) {
    for generation in done {
        match &generation.cause {
            Cause::ContextFull(positions) => {
                terminal::warn(&format!("stopped because the context of {positions} tokens is full"));
            }
            Cause::Rail { rail, reason } => terminal::warn(&format!("cut by {rail}: {reason}")),
            Cause::MaxTokens if formed => {
                terminal::warn(
                    "stopped after as many tokens as -n allows: the text may be only the beginning of its form",
                );
            }
            _ => {}
        }
    }
    let Some(first) = done.first() else { return };
    if !world.verbose || (json && !terminal::watched()) {
        return;
    }
    let rate = |rate: Option<f64>| rate.map_or_else(|| "-".to_owned(), |r| format!("{r:.1}"));
    let t = &first.timings;
    terminal::say(&terminal::dim(&format!(
        "first token after {:.0} ms; prompt {} tokens at {}/s; {} tokens at {}/s; {}",
        t.first_token.as_secs_f64() * 1e3,
        t.prefill_tokens,
        rate(t.prefill_tokens_per_s()),
        first.completion_tokens(),
        rate(t.decode_tokens_per_s()),
        match first.finish_reason() {
            FinishReason::Stop => "the text ended",
            FinishReason::Length => "the length was reached",
            FinishReason::ContentFilter => "cut by a rail",
            _ => "called off",
        },
    )));
}
