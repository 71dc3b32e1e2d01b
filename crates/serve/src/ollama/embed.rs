//! `/api/embed`, and its older form `/api/embeddings`.

use std::sync::Arc;
use std::time::Instant;

use axum::Json;
use axum::extract::State;
use serde_json::{Value, json};

use super::{model, nanoseconds, ready};
use crate::app::App;
use crate::body::Sent;
use crate::openai::{check_dimensions, embed};
use crate::problem::Problem;
use crate::prompts::{self, Given, encode};

pub(super) async fn many(State(app): State<Arc<App>>, sent: Sent) -> Result<Json<Value>, Problem> {
    let begun = Instant::now();
    let Sent { mut fields, client } = sent;
    let name = model(&mut fields)?;
    let input = fields.take("input").ok_or_else(|| fields.missing("input"))?;
    let given = prompts::read("input", input, app.limits.prompts)?;
    // Cut only where the request says so: what a vector leaves out cannot be seen in it.
    let truncate = fields.boolean("truncate")?.unwrap_or(false);
    let dimensions = fields.integer("dimensions", 1..=u64::from(u32::MAX))?;
    fields.ignore(&["keep_alive", "options"]);
    fields.finish()?;
    let handle = ready(&app, &name).await?;
    let load = begun.elapsed();
    check_dimensions(dimensions, &handle)?;
    let given = match truncate {
        false => given,
        true => {
            let mut cut = Vec::with_capacity(given.len());
            for one in given {
                let mut tokens = encode(one, &handle).await?;
                tokens.truncate(handle.model.spec.positions);
                cut.push(Given::Tokens(tokens));
            }
            cut
        }
    };
    let (vectors, tokens) = embed(&app, &client, &handle, given, "input").await?;
    Ok(Json(json!({
        "model": handle.name,
        "embeddings": vectors,
        "total_duration": nanoseconds(begun.elapsed()),
        "load_duration": nanoseconds(load),
        "prompt_eval_count": tokens,
    })))
}

pub(super) async fn one(State(app): State<Arc<App>>, sent: Sent) -> Result<Json<Value>, Problem> {
    let Sent { mut fields, client } = sent;
    let name = model(&mut fields)?;
    let prompt = fields.required("prompt")?;
    fields.ignore(&["keep_alive", "options"]);
    fields.finish()?;
    let handle = ready(&app, &name).await?;
    let (mut vectors, _) = embed(&app, &client, &handle, vec![Given::Text(prompt)], "prompt").await?;
    Ok(Json(json!({"embedding": vectors.pop()})))
}
