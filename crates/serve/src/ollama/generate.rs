//! `/api/generate`.

use std::sync::Arc;
use std::time::Instant;

use axum::extract::State;
use axum::response::Response;
use gptneo_engine::Prompt;
use gptneo_text::{Message, Role};

use super::answer::{Answer, Shape};
use super::{model, options, ready};
use crate::app::App;
use crate::body::Sent;
use crate::openai::{token, write_conversation};
use crate::problem::Problem;
use crate::prompts::{Given, encode};
use crate::running::start;

pub(super) async fn answer(State(app): State<Arc<App>>, sent: Sent) -> Result<Response, Problem> {
    let begun = Instant::now();
    let Sent { mut fields, client } = sent;
    let name = model(&mut fields)?;
    let streams = fields.boolean("stream")?.unwrap_or(true);
    let raw = fields.boolean("raw")?.unwrap_or(false);
    let mut options = options::take(&mut fields, &app.limits)?;
    options.settings.form = options::format(&mut fields)?;
    let prompt = fields.string("prompt")?.unwrap_or_default();
    let system = fields.string("system")?.filter(|system| !system.is_empty());
    let earlier = fields.array("context", usize::MAX)?.unwrap_or_default();
    if fields.string("suffix")?.is_some_and(|suffix| !suffix.is_empty()) {
        return Err(Problem::field(
            "suffix",
            "`suffix` is not served: models of this line were not trained to fill a gap",
        ));
    }
    if fields.array("images", 64)?.is_some_and(|images| !images.is_empty()) {
        return Err(Problem::field("images", "`images` are not served: models of this line read text alone"));
    }
    if fields.string("template")?.is_some_and(|template| !template.is_empty()) {
        return Err(Problem::field(
            "template",
            "`template` is not served: name one when the server is started, or send `raw`",
        ));
    }
    fields.ignore(&["keep_alive", "think"]);
    fields.finish()?;
    let handle = ready(&app, &name).await?;
    let load = begun.elapsed();
    // A base model continues the text itself; one that was trained to chat is asked in its form, unless the text is raw.
    let text = match (&handle.model.template, raw, &system) {
        (Some(_), false, _) => {
            let system = system.map(|system| Message::new(Role::System, system));
            let messages: Vec<Message> = system.into_iter().chain([Message::new(Role::User, prompt)]).collect();
            let (text, stops) = write_conversation(&handle, None, &messages)?;
            options.settings.stop_at(&stops);
            text
        }
        (None, false, Some(_)) => {
            let message = format!("`system` wants a chat template, and the model `{}` has none", handle.name);
            return Err(Problem::field("system", message));
        }
        _ => prompt,
    };
    let mut tokens: Vec<u32> =
        earlier.iter().enumerate().map(|(at, id)| token(&format!("context[{at}]"), id)).collect::<Result<_, _>>()?;
    tokens.extend(encode(Given::Text(text), &handle).await?);
    options.check(tokens.len())?;
    let (request, _) = options.settings.request(tokens, &handle, "prompt")?;
    let Prompt::Tokens(prompt) = request.prompt.clone() else {
        return Err(Problem::internal("the prompt was not encoded"));
    };
    let running = start(&app, &client, handle.clone(), vec![request]).await?;
    let answer = Answer { running, handle, shape: Shape::Generate, load, begun, prompt, warnings: Vec::new() };
    answer.respond(streams).await
}
