//! `/v1/completions`, in full: what is sent to it comes back as the reference has it, echo and log-probabilities included.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Instant;

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use gptneo_engine::{Event, Generation, Piece};
use serde_json::{Value, json};

use super::answer::{Delivery, Envelope, Usage};
use super::settings::Settings;
use super::{NOT_OURS, logprobs};
use crate::app::App;
use crate::body::Sent;
use crate::guard::fresh;
use crate::problem::Problem;
use crate::prompts::{self, encode};
use crate::running::{Running, start};
use crate::sse;

/// Tokens generated where nothing else is said, as OpenAI has it.
const DEFAULT_TOKENS: usize = 16;

/// What all answers to one request have in common.
#[derive(Clone)]
struct Frame {
    envelope: Envelope,
    /// `n`, and how many are made to choose from.
    n: usize,
    best_of: usize,
    logprobs: Option<usize>,
}

pub(super) async fn answer(State(app): State<Arc<App>>, sent: Sent) -> Result<Response, Problem> {
    let Sent { mut fields, client } = sent;
    let limits = &app.limits;
    let model = fields.string("model")?;
    fields.ignore(&NOT_OURS);
    if fields.string("suffix")?.is_some_and(|suffix| !suffix.is_empty()) {
        let message =
            "`suffix` is not served: models of this line continue text, and were not trained to fill a gap in it";
        return Err(Problem::field("suffix", message));
    }
    let mut settings = Settings::take(&mut fields, limits, &["max_tokens"])?;
    settings.max_tokens = settings.max_tokens.or(Some(DEFAULT_TOKENS));
    let n = settings.n;
    let best_of = fields.integer("best_of", 1..=limits.best_of as u64)?.map_or(n, |best_of| best_of as usize);
    if best_of < n {
        return Err(Problem::field(
            "best_of",
            format!("`best_of` is {best_of}, but must be at least `n`, which is {n}"),
        ));
    }
    let echo = fields.boolean("echo")?.unwrap_or(false);
    let logprobs = fields.integer("logprobs", 0..=limits.completion_logprobs)?.map(|top| top as usize);
    let delivery = Delivery::take(&mut fields)?;
    if delivery.streams && best_of > n {
        return Err(Problem::field(
            "best_of",
            "`best_of` above `n` cannot be streamed: which are best is known at the end",
        ));
    }
    let prompt = fields.take("prompt").ok_or_else(|| fields.missing("prompt"))?;
    let prompts = prompts::read("prompt", prompt, limits.prompts)?;
    fields.finish()?;

    let handle = app.catalogue.ready(model.as_deref()).await?;
    if logprobs.is_some() {
        handle.tokenizer("`logprobs`")?;
    }
    settings.n = best_of;
    let mut requests = Vec::with_capacity(prompts.len());
    let mut warnings = Vec::new();
    for given in prompts {
        let (mut request, cut) = settings.request(encode(given, &handle).await?, &handle, "prompt")?;
        if cut > 0 {
            warnings.push(format!("the first {cut} tokens of prompt {} were cut away, as asked", requests.len()));
        }
        request.echo = echo;
        // Which of several are best is told by their log-probabilities.
        request.logprobs = logprobs.or((best_of > n).then_some(0));
        requests.push(request);
    }
    let envelope = Envelope::new(fresh("cmpl", Instant::now()), handle.clone(), warnings);
    let frame = Frame { envelope, n, best_of, logprobs };
    let running = start(&app, &client, handle, requests).await?;
    if delivery.streams {
        let stream = Stream {
            running,
            frame,
            usage: Usage::default(),
            usage_too: delivery.usage,
            ready: VecDeque::new(),
            sent: Vec::new(),
        };
        return Ok(sse::stream("text/event-stream", stream, Stream::next));
    }
    Ok(Json(whole(running, &frame).await?).into_response())
}

/// The answer in one piece.
async fn whole(mut running: Running, frame: &Frame) -> Result<Value, Problem> {
    let mut found: Vec<Vec<Generation>> = Vec::new();
    while let Some((prompt, event)) = running.next().await? {
        if let Event::Finished(generation) = event {
            found.resize_with(found.len().max(prompt + 1), Vec::new);
            found[prompt].push(generation);
        }
    }
    let mut usage = Usage::default();
    let mut choices = Vec::new();
    for (prompt, mut generations) in found.into_iter().enumerate() {
        generations.iter().enumerate().for_each(|(at, generation)| usage.add(generation, at == 0));
        match frame.best_of > frame.n {
            true => generations.sort_by(|a, b| mean(b).total_cmp(&mean(a)).then(a.sample.cmp(&b.sample))),
            false => generations.sort_by_key(|generation| generation.sample),
        }
        for (sample, generation) in generations.into_iter().take(frame.n).enumerate() {
            choices.push(frame.choice(prompt * frame.n + sample, &generation));
        }
    }
    Ok(frame.object(choices, Some(usage)))
}

/// Mean log-probability of a token.
fn mean(generation: &Generation) -> f64 {
    let sum: f64 = generation.tokens.iter().filter_map(|token| token.logprob).sum();
    sum / generation.tokens.len().max(1) as f64
}

impl Frame {
    fn object(&self, choices: Vec<Value>, usage: Option<Usage>) -> Value {
        self.envelope.object("text_completion", choices, usage)
    }

    fn choice(&self, index: usize, generation: &Generation) -> Value {
        let logprobs = match (self.logprobs, &self.envelope.handle.model.tokenizer) {
            (Some(_), Some(tokenizer)) => {
                let tokens: Vec<_> = generation.prompt.iter().chain(&generation.tokens).cloned().collect();
                logprobs::completion(&tokens, &generation.text, 0, tokenizer)
            }
            _ => Value::Null,
        };
        let mut choice = json!({
            "index": index,
            "text": generation.text,
            "logprobs": logprobs,
            "finish_reason": generation.finish_reason().name(),
        });
        if self.envelope.handle.model.tokenizer.is_none() {
            choice["token_ids"] = json!(generation.ids());
        }
        choice
    }
}

/// The answer as it comes.
struct Stream {
    running: Running,
    frame: Frame,
    usage: Usage,
    usage_too: bool,
    ready: VecDeque<Bytes>,
    /// Of each choice: characters sent, and their text as far as offsets need it.
    sent: Vec<Sofar>,
}

#[derive(Default)]
struct Sofar {
    text: String,
    tokens: usize,
    ended: bool,
    counted: bool,
}

impl Stream {
    async fn next(mut self) -> Option<(Bytes, Self)> {
        loop {
            if let Some(bytes) = self.ready.pop_front() {
                return Some((bytes, self));
            }
            match self.running.next().await {
                Ok(Some((prompt, event))) => self.take(prompt, event),
                Ok(None) if self.sent.iter().all(|one| one.ended) && self.frame.n > 0 => {
                    self.frame.n = 0;
                    if self.usage_too {
                        self.ready.push_back(sse::event(&self.frame.object(Vec::new(), Some(self.usage))));
                    }
                    self.ready.push_back(sse::done());
                }
                Ok(None) => return None,
                Err(_) if self.frame.n == 0 => return None,
                Err(problem) => {
                    self.frame.n = 0;
                    self.ready.push_back(sse::event(&problem.openai()));
                }
            }
        }
    }

    fn take(&mut self, prompt: usize, event: Event) {
        let place = |stream: &mut Self, sample: usize| {
            let index = prompt * stream.frame.n + sample;
            stream.sent.resize_with(stream.sent.len().max(index + 1), Sofar::default);
            index
        };
        match event {
            Event::Piece(piece) => {
                let index = place(self, piece.sample);
                self.piece(index, &piece);
            }
            Event::Finished(generation) => {
                let index = place(self, generation.sample);
                let first = prompt * self.frame.n;
                let counted = self.sent.get_mut(first).is_some_and(|one| std::mem::replace(&mut one.counted, true));
                self.usage.add(&generation, !counted);
                self.sent[index].ended = true;
                // Those of an echoed prompt are known as a whole, and here at the latest.
                let logprobs = match &self.frame.envelope.handle.model.tokenizer {
                    Some(tokenizer) if !generation.prompt.is_empty() => {
                        logprobs::completion(&generation.prompt, &generation.text, 0, tokenizer)
                    }
                    _ => Value::Null,
                };
                let reason = generation.finish_reason().name();
                let choice = json!({"index": index, "text": "", "logprobs": logprobs, "finish_reason": reason});
                self.ready.push_back(sse::event(&self.frame.object(vec![choice], None)));
            }
            _ => {}
        }
    }

    fn piece(&mut self, index: usize, piece: &Piece) {
        if piece.text.is_empty() && piece.tokens.is_empty() {
            return;
        }
        let sofar = &mut self.sent[index];
        sofar.text.push_str(&piece.text);
        sofar.tokens += piece.tokens.len();
        let logprobs = match (self.frame.logprobs, &self.frame.envelope.handle.model.tokenizer) {
            (Some(_), Some(tokenizer)) => logprobs::completion(&piece.tokens, &sofar.text, 0, tokenizer),
            _ => Value::Null,
        };
        let mut choice = json!({"index": index, "text": piece.text, "logprobs": logprobs, "finish_reason": null});
        if self.frame.envelope.handle.model.tokenizer.is_none() {
            choice["token_ids"] = json!(piece.tokens.iter().map(|token| token.id).collect::<Vec<_>>());
        }
        self.ready.push_back(sse::event(&self.frame.object(vec![choice], None)));
    }
}
