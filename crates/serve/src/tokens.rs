//! `/tokenize` and `/detokenize`, with the names that llama.cpp and vLLM give to their fields.

use std::sync::Arc;

use axum::extract::State;
use axum::routing::post;
use axum::{Json, Router};
use gptneo_text::Special;
use serde_json::{Value, json};

use crate::app::App;
use crate::body::Sent;
use crate::openai::token;
use crate::problem::Problem;
use crate::prompts::{Given, encode};

/// Its routes.
pub(crate) fn routes() -> Router<Arc<App>> {
    Router::new().route("/tokenize", post(tokenize)).route("/detokenize", post(detokenize))
}

async fn tokenize(State(app): State<Arc<App>>, sent: Sent) -> Result<Json<Value>, Problem> {
    let mut fields = sent.fields;
    let model = fields.string("model")?;
    let (content, prompt) = (fields.string("content")?, fields.string("prompt")?);
    let text = content.or(prompt).ok_or_else(|| fields.missing("content"))?;
    let pieces = fields.boolean("with_pieces")?.unwrap_or(false);
    // Tokenizers of this line put nothing before a text.
    fields.ignore(&["add_special", "add_special_tokens", "parse_special"]);
    fields.finish()?;
    let handle = app.catalogue.ready(model.as_deref()).await?;
    let tokens = encode(Given::Text(text), &handle).await?;
    let tokenizer = handle.tokenizer("/tokenize")?;
    let piece = |&id: &u32| {
        let bytes = tokenizer.token_bytes(id).unwrap_or_default();
        let piece = std::str::from_utf8(bytes).map_or_else(|_| json!(bytes), |text| json!(text));
        json!({"id": id, "piece": piece})
    };
    let shown: Value = if pieces { tokens.iter().map(piece).collect() } else { json!(tokens) };
    Ok(Json(json!({"tokens": shown, "count": tokens.len(), "max_model_len": handle.model.spec.positions})))
}

async fn detokenize(State(app): State<Arc<App>>, sent: Sent) -> Result<Json<Value>, Problem> {
    let mut fields = sent.fields;
    let model = fields.string("model")?;
    let tokens = fields.array("tokens", usize::MAX)?.ok_or_else(|| fields.missing("tokens"))?;
    fields.finish()?;
    let ids = tokens.iter().enumerate().map(|(at, id)| token(&format!("tokens[{at}]"), id));
    let ids: Vec<u32> = ids.collect::<Result<_, _>>()?;
    let handle = app.catalogue.ready(model.as_deref()).await?;
    let text = handle.tokenizer("/detokenize")?.decode(&ids, Special::Keep);
    let text = text.map_err(|error| Problem::field("tokens", error.to_string()))?;
    Ok(Json(json!({"content": text, "prompt": text})))
}
