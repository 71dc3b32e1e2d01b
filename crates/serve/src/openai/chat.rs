//! `/v1/chat/completions`: a conversation, written down by the model's template and continued.
//!
//! A base model has no template, and is not given one in silence: the request must name one, or the server be started with one.

mod tools;

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Instant;

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use gptneo_engine::{Event, Generation};
use gptneo_text::{ChatTemplate, Message, Role};
use serde_json::{Value, json};

use super::answer::{Delivery, Envelope, Usage};
use super::settings::Settings;
use super::{NOT_OURS, logprobs};
use crate::app::App;
use crate::body::Sent;
use crate::fields::{Fields, wrong};
use crate::guard::fresh;
use crate::models::Handle;
use crate::problem::Problem;
use crate::prompts::{Given, encode};
use crate::running::{Running, start};
use crate::sse;

#[derive(Clone)]
struct Frame {
    envelope: Envelope,
    logprobs: bool,
}

pub(super) async fn answer(State(app): State<Arc<App>>, sent: Sent) -> Result<Response, Problem> {
    let Sent { mut fields, client } = sent;
    let limits = &app.limits;
    let model = fields.string("model")?;
    fields.ignore(&NOT_OURS);
    let mut settings = Settings::take(&mut fields, limits, &["max_completion_tokens", "max_tokens"])?;
    let logprobs = fields.boolean("logprobs")?.unwrap_or(false);
    let top = fields.integer("top_logprobs", 0..=limits.chat_logprobs)?;
    if top.is_some_and(|top| top > 0) && !logprobs {
        return Err(Problem::field("top_logprobs", "`top_logprobs` goes with `logprobs`: set it to true"));
    }
    let delivery = Delivery::take(&mut fields)?;
    let template = fields.string("chat_template")?;
    let messages = fields.array("messages", limits.messages)?.ok_or_else(|| fields.missing("messages"))?;
    let tools = tools::take(&mut fields)?;
    let conversation = match tools.is_empty() && !tools::spoken_of(&messages) {
        true => Conversation::Plain(read_messages(messages)?),
        false => Conversation::WithTools(tools::messages(messages)?, tools),
    };
    if fields.take("modalities").is_some_and(|kinds| kinds != json!(["text"])) {
        return Err(Problem::field(
            "modalities",
            "`modalities` must be [\"text\"]: models of this line write text alone",
        ));
    }
    fields.ignore(&["parallel_tool_calls", "reasoning_effort", "verbosity"]);
    fields.finish()?;

    let handle = app.catalogue.ready(model.as_deref()).await?;
    let (prompt, stops) = match conversation {
        Conversation::Plain(messages) => write(&handle, template.as_deref(), &messages)?,
        Conversation::WithTools(messages, tools) => {
            let with_tools = handle.model.template.as_ref().filter(|own| template.is_none() && own.takes_tools());
            let own = with_tools.ok_or_else(|| {
                Problem::field(
                    "tools",
                    format!("the model `{}` has no chat template with a place for tools", handle.name),
                )
            })?;
            let prompt = own.render_with_tools(&messages, &tools);
            (prompt.map_err(|error| Problem::field("messages", error.to_string()))?, Vec::new())
        }
    };
    settings.stop_at(&stops);
    let tokens = encode(Given::Text(prompt), &handle).await?;
    let (mut request, cut) = settings.request(tokens, &handle, "messages")?;
    request.logprobs = logprobs.then_some(top.unwrap_or(0) as usize);
    let warnings = match cut {
        0 => Vec::new(),
        cut => vec![format!("the first {cut} tokens of the conversation were cut away, as asked")],
    };
    let envelope = Envelope::new(fresh("chatcmpl", Instant::now()), handle.clone(), warnings);
    let frame = Frame { envelope, logprobs };
    let n = settings.n;
    let running = start(&app, &client, handle, vec![request]).await?;
    if delivery.streams {
        let mut stream = Stream {
            running,
            frame,
            usage_too: delivery.usage,
            ready: VecDeque::new(),
            usage: Usage::default(),
            counted: false,
            over: false,
        };
        for index in 0..n {
            stream.say(index, json!({"role": "assistant", "content": ""}), Value::Null, None);
        }
        return Ok(sse::stream("text/event-stream", stream, Stream::next));
    }
    Ok(Json(whole(running, &frame).await?).into_response())
}

/// What is to be written down.
enum Conversation {
    Plain(Vec<Message>),
    WithTools(Vec<Value>, Vec<Value>),
}

/// The conversation as the model reads it, and what ends its turn.
pub(crate) fn write(
    handle: &Handle,
    named: Option<&str>,
    messages: &[Message],
) -> Result<(String, Vec<&'static str>), Problem> {
    let asked = named.map(|name| {
        let template = ChatTemplate::named(name).map_err(|error| Problem::field("chat_template", error.to_string()))?;
        Ok::<_, Problem>(match &handle.model.tokenizer {
            Some(tokenizer) => template.with_tokens_of(tokenizer),
            None => template,
        })
    });
    let asked = asked.transpose()?;
    let template = asked.as_ref().or(handle.model.template.as_ref()).ok_or_else(|| Problem {
        code: Some("no_chat_template"),
        ..Problem::field(
            "messages",
            format!(
                "the model `{}` was not trained to chat, and brings no chat template: send its text to /v1/completions, name a template \
                 in the request (`chat_template`: {}), or start the server with --chat-template",
                handle.name,
                ChatTemplate::names().collect::<Vec<_>>().join(", ")
            ),
        )
    })?;
    let prompt = template.render(messages, true).map_err(|error| Problem::field("messages", error.to_string()))?;
    Ok((prompt, template.stops().to_vec()))
}

/// The turns of a conversation.
pub(crate) fn read_messages(values: Vec<Value>) -> Result<Vec<Message>, Problem> {
    if values.is_empty() {
        return Err(Problem::field("messages", "`messages` is empty: give at least one"));
    }
    let read = |(at, value): (usize, Value)| {
        let at = format!("messages[{at}]");
        let mut fields = Fields::of(value, &at)?;
        let role = fields.required("role")?;
        let role = match role.as_str() {
            "system" | "developer" => Role::System,
            "user" => Role::User,
            "assistant" => Role::Assistant,
            "tool" | "function" => {
                let message =
                    format!("`{at}.role` is `{role}`, but the model's template has no place for the answers of tools");
                return Err(Problem::field(format!("{at}.role"), message));
            }
            other => {
                let shown: String = other.chars().take(40).collect();
                let message = format!("`{at}.role` is `{shown}`, but must be system, developer, user or assistant");
                return Err(Problem::field(format!("{at}.role"), message));
            }
        };
        let content = content_of(&mut fields, &at)?.ok_or_else(|| fields.missing("content"))?;
        fields.ignore(&["name", "refusal", "annotations", "audio"]);
        fields.finish()?;
        Ok(Message::new(role, content))
    };
    values.into_iter().enumerate().map(read).collect()
}

/// What a turn says, whole or in parts; `at` is where the turn stands.
fn content_of(fields: &mut Fields, at: &str) -> Result<Option<String>, Problem> {
    let at = format!("{at}.content");
    match fields.take("content") {
        None => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(Value::Array(parts)) => parts_of(&at, parts).map(Some),
        Some(other) => Err(wrong(&at, &other, "a string, or an array of parts")),
    }
}

/// Text in parts.
fn parts_of(at: &str, parts: Vec<Value>) -> Result<String, Problem> {
    let mut text = String::new();
    for (place, part) in parts.into_iter().enumerate() {
        let at = format!("{at}[{place}]");
        let mut fields = Fields::of(part, &at)?;
        let kind = fields.required("type")?;
        if kind != "text" {
            let shown: String = kind.chars().take(40).collect();
            let message = format!("`{at}.type` is `{shown}`, but models of this line read text alone");
            return Err(Problem::field(format!("{at}.type"), message));
        }
        text.push_str(&fields.required("text")?);
        fields.finish()?;
    }
    Ok(text)
}

/// The answer in one piece.
async fn whole(mut running: Running, frame: &Frame) -> Result<Value, Problem> {
    let mut found: Vec<Generation> = Vec::new();
    while let Some((_, event)) = running.next().await? {
        if let Event::Finished(generation) = event {
            found.push(generation);
        }
    }
    found.sort_by_key(|generation| generation.sample);
    let choice = |(index, generation): (usize, &Generation)| {
        json!({
            "index": index,
            "message": {"role": "assistant", "content": generation.text, "refusal": null},
            "logprobs": frame.logprobs_of(&generation.tokens),
            "finish_reason": generation.finish_reason().name(),
        })
    };
    let choices: Vec<Value> = found.iter().enumerate().map(choice).collect();
    let mut usage = Usage::default();
    found.iter().enumerate().for_each(|(at, generation)| usage.add(generation, at == 0));
    Ok(frame.envelope.object("chat.completion", choices, Some(usage)))
}

impl Frame {
    fn logprobs_of(&self, tokens: &[gptneo_engine::Token]) -> Value {
        match &self.envelope.handle.model.tokenizer {
            Some(tokenizer) if self.logprobs => logprobs::chat(tokens, tokenizer),
            _ => Value::Null,
        }
    }
}

/// The answer as it comes.
struct Stream {
    running: Running,
    frame: Frame,
    usage_too: bool,
    ready: VecDeque<Bytes>,
    usage: Usage,
    /// Whether the prompt is in it.
    counted: bool,
    over: bool,
}

impl Stream {
    fn say(&mut self, index: usize, delta: Value, logprobs: Value, reason: Option<&str>) {
        let choice = json!({"index": index, "delta": delta, "logprobs": logprobs, "finish_reason": reason});
        self.ready.push_back(sse::event(&self.frame.envelope.object("chat.completion.chunk", vec![choice], None)));
    }

    async fn next(mut self) -> Option<(Bytes, Self)> {
        loop {
            if let Some(bytes) = self.ready.pop_front() {
                return Some((bytes, self));
            }
            if self.over {
                return None;
            }
            match self.running.next().await {
                Ok(Some((_, Event::Piece(piece)))) if !piece.text.is_empty() || !piece.tokens.is_empty() => {
                    let logprobs = self.frame.logprobs_of(&piece.tokens);
                    self.say(piece.sample, json!({"content": piece.text}), logprobs, None);
                }
                Ok(Some((_, Event::Finished(generation)))) => {
                    let first = !std::mem::replace(&mut self.counted, true);
                    self.usage.add(&generation, first);
                    self.say(generation.sample, json!({}), Value::Null, Some(generation.finish_reason().name()));
                }
                Ok(Some(_)) => {}
                Ok(None) => {
                    self.over = true;
                    if self.usage_too {
                        let object = self.frame.envelope.object("chat.completion.chunk", Vec::new(), Some(self.usage));
                        self.ready.push_back(sse::event(&object));
                    }
                    self.ready.push_back(sse::done());
                }
                Err(problem) => {
                    self.over = true;
                    self.ready.push_back(sse::event(&problem.openai()));
                }
            }
        }
    }
}
