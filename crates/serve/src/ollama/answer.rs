//! What generating and chatting have in common: one request, an answer in lines or in one object, and its times.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use axum::Json;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use gptneo_engine::{Event, Generation};
use gptneo_runs::{now, rfc3339};
use serde_json::{Value, json};

use super::{nanoseconds, reason};
use crate::models::Handle;
use crate::problem::Problem;
use crate::running::Running;
use crate::sse;

/// Where text stands in an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shape {
    /// `response`.
    Generate,
    /// `message`.
    Chat,
}

/// An answer on its way.
pub(super) struct Answer {
    pub(super) running: Running,
    pub(super) handle: Handle,
    pub(super) shape: Shape,
    /// What loading the model took, if this request waited for it.
    pub(super) load: Duration,
    pub(super) begun: Instant,
    /// The prompt's tokens, for clients that go on from them.
    pub(super) prompt: Vec<u32>,
    pub(super) warnings: Vec<String>,
}

impl Answer {
    /// The response.
    pub(super) async fn respond(mut self, streams: bool) -> Result<Response, Problem> {
        if streams {
            let lines = Lines { answer: self, ready: VecDeque::new(), over: false };
            return Ok(sse::stream("application/x-ndjson", lines, Lines::next));
        }
        let mut found = None;
        while let Some((_, event)) = self.running.next().await? {
            if let Event::Finished(generation) = event {
                found = Some(generation);
            }
        }
        let generation = found.ok_or_else(|| Problem::internal("the model gave no answer"))?;
        Ok(Json(self.last(&generation, &generation.text)).into_response())
    }

    fn line(&self, text: &str, done: bool) -> Value {
        let mut line = json!({"model": self.handle.name, "created_at": rfc3339(now()), "done": done});
        match self.shape {
            Shape::Generate => line["response"] = json!(text),
            Shape::Chat => line["message"] = json!({"role": "assistant", "content": text}),
        }
        line
    }

    fn last(&self, generation: &Generation, text: &str) -> Value {
        let mut line = self.line(text, true);
        let timings = &generation.timings;
        line["done_reason"] = json!(reason(generation.finish_reason()));
        line["total_duration"] = json!(nanoseconds(self.begun.elapsed()));
        line["load_duration"] = json!(nanoseconds(self.load));
        line["prompt_eval_count"] = json!(generation.prompt_tokens);
        line["prompt_eval_duration"] = json!(nanoseconds(timings.prefill));
        line["eval_count"] = json!(generation.completion_tokens());
        line["eval_duration"] = json!(nanoseconds(timings.decode));
        if self.shape == Shape::Generate {
            line["context"] = self.prompt.iter().copied().chain(generation.ids()).collect();
        }
        if !self.warnings.is_empty() {
            line["warnings"] = json!(self.warnings);
        }
        line
    }
}

struct Lines {
    answer: Answer,
    ready: VecDeque<Bytes>,
    over: bool,
}

impl Lines {
    async fn next(mut self) -> Option<(Bytes, Self)> {
        loop {
            if let Some(bytes) = self.ready.pop_front() {
                return Some((bytes, self));
            }
            if self.over {
                return None;
            }
            let line = match self.answer.running.next().await {
                Ok(Some((_, Event::Piece(piece)))) if !piece.text.is_empty() => self.answer.line(&piece.text, false),
                Ok(Some((_, Event::Finished(generation)))) => self.answer.last(&generation, ""),
                Ok(Some(_)) => continue,
                Ok(None) => {
                    self.over = true;
                    continue;
                }
                Err(problem) => {
                    self.over = true;
                    problem.plain()
                }
            };
            self.ready.push_back(sse::line(&line));
        }
    }
}
