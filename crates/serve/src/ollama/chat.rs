//! `/api/chat`.

use std::sync::Arc;
use std::time::Instant;

use axum::extract::State;
use axum::response::Response;

use super::answer::{Answer, Shape};
use super::{model, options, ready};
use crate::app::App;
use crate::body::Sent;
use crate::openai::{read_messages, write_conversation};
use crate::problem::Problem;
use crate::prompts::{Given, encode};
use crate::running::start;

pub(super) async fn answer(State(app): State<Arc<App>>, sent: Sent) -> Result<Response, Problem> {
    let begun = Instant::now();
    let Sent { mut fields, client } = sent;
    let name = model(&mut fields)?;
    let streams = fields.boolean("stream")?.unwrap_or(true);
    let mut options = options::take(&mut fields, &app.limits)?;
    options.settings.form = options::format(&mut fields)?;
    let messages = fields.array("messages", app.limits.messages)?.ok_or_else(|| fields.missing("messages"))?;
    let messages = read_messages(messages)?;
    if fields.array("tools", 128)?.is_some_and(|tools| !tools.is_empty()) {
        return Err(Problem::field(
            "tools",
            "`tools` are not served here: /v1/chat/completions passes them to templates that take them",
        ));
    }
    fields.ignore(&["keep_alive", "think"]);
    fields.finish()?;
    let handle = ready(&app, &name).await?;
    let load = begun.elapsed();
    let (text, stops) = write_conversation(&handle, None, &messages)?;
    options.settings.stop_at(&stops);
    let tokens = encode(Given::Text(text), &handle).await?;
    options.check(tokens.len())?;
    let (request, _) = options.settings.request(tokens, &handle, "messages")?;
    let running = start(&app, &client, handle.clone(), vec![request]).await?;
    let answer = Answer { running, handle, shape: Shape::Chat, load, begun, prompt: Vec::new(), warnings: Vec::new() };
    answer.respond(streams).await
}
