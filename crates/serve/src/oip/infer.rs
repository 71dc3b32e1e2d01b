//! What both forms of the protocol ask: texts continued, all of them or none.

use std::sync::Arc;

use gptneo_engine::{Event, Generation};
use serde_json::Value;

use crate::app::App;
use crate::client::Client;
use crate::fields::Fields;
use crate::openai::Settings;
use crate::problem::Problem;
use crate::prompts::{Given, encode};
use crate::running::start;

/// Tokens generated where nothing is said.
const DEFAULT_TOKENS: usize = 64;

/// What comes back, in the order of the prompts.
#[derive(Debug)]
pub(super) struct Outcome {
    pub(super) model: String,
    pub(super) generations: Vec<Generation>,
}

/// Continues every prompt once.
pub(super) async fn infer(
    app: &Arc<App>,
    client: &Client,
    model: &str,
    mut parameters: Fields,
    prompts: Vec<Given>,
) -> Result<Outcome, Problem> {
    if prompts.is_empty() || prompts.len() > app.limits.prompts {
        let message = format!("`inputs` has {} prompts, but must have 1 to {}", prompts.len(), app.limits.prompts);
        return Err(Problem::field("inputs", message));
    }
    let echo = parameters.boolean("echo")?.unwrap_or(false);
    // A scalar is all that these parameters can be: one stop string.
    let mut settings = Settings::take(&mut parameters, &app.limits, &["max_tokens", "max_new_tokens"])?;
    // Triton's clients ask for its binary form, and read this one as well.
    parameters.ignore(&["binary_data_output"]);
    parameters.finish()?;
    if settings.n != 1 {
        return Err(Problem::field("n", "`n` must be 1: an answer has one text for each prompt"));
    }
    settings.max_tokens = settings.max_tokens.or(Some(DEFAULT_TOKENS));
    let handle = app.catalogue.ready(Some(model)).await?;
    let mut requests = Vec::with_capacity(prompts.len());
    for given in prompts {
        let (mut request, _) = settings.request(encode(given, &handle).await?, &handle, "inputs")?;
        request.echo = echo;
        requests.push(request);
    }
    let count = requests.len();
    let name = handle.name.clone();
    let mut running = start(app, client, handle, requests).await?;
    let mut found: Vec<Option<Generation>> = (0..count).map(|_| None).collect();
    while let Some((index, event)) = running.next().await? {
        if let Event::Finished(generation) = event {
            found[index] = Some(generation);
        }
    }
    let generations: Option<Vec<Generation>> = found.into_iter().collect();
    let generations = generations.ok_or_else(|| Problem::internal("the model gave no answer"))?;
    Ok(Outcome { model: name, generations })
}

/// Rows of token ids: a tensor of shape `[t]` is one, one of shape `[n, t]` is n.
pub(super) fn rows(shape: &[u64], ids: Vec<u32>) -> Result<Vec<Given>, Problem> {
    let wrong = || {
        let message = format!("the input `tokens` has shape {shape:?} and {} values: give [t] or [n, t]", ids.len());
        Problem::field("inputs", message)
    };
    let width = match *shape {
        [t] => t,
        [_, t] => t,
        _ => return Err(wrong()),
    };
    let elements = shape.iter().try_fold(1u64, |all, &axis| all.checked_mul(axis));
    if width == 0 || elements != Some(ids.len() as u64) {
        return Err(wrong());
    }
    Ok(ids.chunks(width as usize).map(|row| Given::Tokens(row.to_vec())).collect())
}

/// The values of a tensor that may be nested as its shape says, or flat.
pub(super) fn flat(value: Value, into: &mut Vec<Value>) {
    match value {
        Value::Array(values) => values.into_iter().for_each(|value| flat(value, into)),
        other => into.push(other),
    }
}
