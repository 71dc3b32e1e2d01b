//! `/v1/embeddings`: the mean of a text's final hidden states, of length 1.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use gptneo_engine::Scheduler;
use serde_json::{Value, json};

use super::NOT_OURS;
use crate::app::App;
use crate::body::Sent;
use crate::client::Client;
use crate::models::Handle;
use crate::problem::Problem;
use crate::prompts::{self, Given, encode};
use crate::room::Seat;

pub(super) async fn answer(State(app): State<Arc<App>>, sent: Sent) -> Result<Json<Value>, Problem> {
    let Sent { mut fields, client } = sent;
    let model = fields.string("model")?;
    fields.ignore(&NOT_OURS);
    let format = fields.string("encoding_format")?;
    let in_base64 = match format.as_deref() {
        None | Some("float") => false,
        Some("base64") => true,
        Some(_) => return Err(Problem::field("encoding_format", "`encoding_format` must be float or base64")),
    };
    let dimensions = fields.integer("dimensions", 1..=u64::from(u32::MAX))?;
    let input = fields.take("input").ok_or_else(|| fields.missing("input"))?;
    let given = prompts::read("input", input, app.limits.prompts)?;
    fields.finish()?;
    let handle = app.catalogue.ready(model.as_deref()).await?;
    check_dimensions(dimensions, &handle)?;
    let (vectors, tokens) = embed(&app, &client, &handle, given, "input").await?;
    let data = vectors.iter().enumerate().map(|(index, vector)| {
        let embedding = match in_base64 {
            true => json!(STANDARD.encode(vector.iter().flat_map(|value| value.to_le_bytes()).collect::<Vec<u8>>())),
            false => json!(vector),
        };
        json!({"object": "embedding", "index": index, "embedding": embedding})
    });
    Ok(Json(json!({
        "object": "list",
        "data": data.collect::<Vec<_>>(),
        "model": handle.name,
        "usage": {"prompt_tokens": tokens, "total_tokens": tokens},
    })))
}

/// A vector may have the model's width, and no other.
pub(crate) fn check_dimensions(wanted: Option<u64>, handle: &Handle) -> Result<(), Problem> {
    let width = handle.model.spec.width;
    match wanted.is_none_or(|wanted| wanted == width as u64) {
        true => Ok(()),
        false => {
            let message = format!("`dimensions` must be {width}: a vector of this model means nothing when it is cut");
            Err(Problem::field("dimensions", message))
        }
    }
}

/// A vector of length 1 for each text, and how many tokens they had.
pub(crate) async fn embed(
    app: &Arc<App>,
    client: &Client,
    handle: &Handle,
    given: Vec<Given>,
    param: &'static str,
) -> Result<(Vec<Vec<f32>>, usize), Problem> {
    if app.draining() {
        return Err(Problem::unavailable("the server is stopping: ask another, or later", 5));
    }
    let positions = handle.model.spec.positions;
    let mut texts = Vec::with_capacity(given.len());
    for (at, given) in given.into_iter().enumerate() {
        let tokens = encode(given, handle).await?;
        if tokens.is_empty() {
            return Err(Problem::field(param, format!("`{param}[{at}]` is empty")));
        }
        if tokens.len() > positions {
            let message =
                format!("`{param}[{at}]` has {} tokens, but this model's context ends at {positions}", tokens.len());
            return Err(Problem { code: Some("context_length_exceeded"), ..Problem::field(param, message) });
        }
        texts.push(tokens);
    }
    let total: usize = texts.iter().map(Vec::len).sum();
    let place = app.room.place(1).ok_or_else(|| {
        app.metrics.refused("full");
        Problem::overloaded("the server is full", app.pace.wait(app.room.taken()).as_secs())
    })?;
    client.charge(app, total as u64)?;
    let mut vectors = Vec::with_capacity(texts.len());
    for tokens in texts {
        // One text at a time, and each client in turn. What was begun is given up if this one leaves.
        let _turn = handle.model.embedding.lock().await;
        let _unfinished = Unfinished { app, seat: handle.model.seat };
        let mut vector = read(app, handle, tokens).await?;
        let length = vector.iter().map(|&value| f64::from(value).powi(2)).sum::<f64>().sqrt();
        if length > 0.0 {
            vector.iter_mut().for_each(|value| *value = (f64::from(*value) / length) as f32);
        }
        vectors.push(vector);
    }
    drop(place);
    Ok((vectors, total))
}

/// The final hidden states' mean, read piece by piece, so that generations go on between them.
async fn read(app: &Arc<App>, handle: &Handle, tokens: Vec<u32>) -> Result<Vec<f32>, Problem> {
    let closed = |_| Problem::unavailable("the server is closing", 1);
    let seat = handle.model.seat;
    let adapter = handle.adapter.clone();
    let begun = app.room.work(seat, move |scheduler| scheduler.begin_embedding(tokens, adapter.as_deref())).await;
    begun.map_err(closed)??;
    loop {
        let piece = app.room.work(seat, Scheduler::continue_embedding).await;
        if let Some(vector) = piece.map_err(closed)?? {
            return Ok(vector);
        }
    }
}

/// Frees what a text that is no longer wanted holds.
struct Unfinished<'a> {
    app: &'a App,
    seat: Seat,
}

impl Drop for Unfinished<'_> {
    fn drop(&mut self) {
        self.app.room.order_work(self.seat, Scheduler::abandon_embedding);
    }
}
