//! Prompts as clients send them: text, token ids, or lists of either.

use serde_json::Value;

use crate::fields::wrong;
use crate::models::Handle;
use crate::openai::token;
use crate::problem::Problem;

/// Text longer than this is encoded beside the threads that serve connections.
const LONG: usize = 16 << 10;

/// One prompt.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Given {
    Text(String),
    Tokens(Vec<u32>),
}

/// Reads what stands at `at`: one prompt, or a list of at most `most`.
pub(crate) fn read(at: &str, value: Value, most: usize) -> Result<Vec<Given>, Problem> {
    let kinds = "a string, an array of strings, of token ids, or of arrays of token ids";
    match value {
        Value::String(text) => Ok(vec![Given::Text(text)]),
        Value::Array(values) if values.is_empty() => {
            Err(Problem::field(at, format!("`{at}` is an empty array: give at least one prompt")))
        }
        Value::Array(values) if values.iter().all(Value::is_number) => Ok(vec![tokens(at, &values)?]),
        Value::Array(values) if values.len() > most => {
            Err(Problem::field(at, format!("`{at}` has {} prompts, but may have at most {most}", values.len())))
        }
        Value::Array(values) => {
            let one = |(place, value): (usize, Value)| match value {
                Value::String(text) => Ok(Given::Text(text)),
                Value::Array(values) => tokens(&format!("{at}[{place}]"), &values),
                other => Err(wrong(&format!("{at}[{place}]"), &other, "a string, or an array of token ids")),
            };
            values.into_iter().enumerate().map(one).collect()
        }
        other => Err(wrong(at, &other, kinds)),
    }
}

fn tokens(at: &str, values: &[Value]) -> Result<Given, Problem> {
    let ids = values.iter().enumerate().map(|(place, id)| token(&format!("{at}[{place}]"), id));
    Ok(Given::Tokens(ids.collect::<Result<_, _>>()?))
}

/// The ids of a prompt.
///
/// # Errors
/// Text for a model without a tokenizer, and text that cannot be encoded.
pub(crate) async fn encode(given: Given, handle: &Handle) -> Result<Vec<u32>, Problem> {
    let text = match given {
        Given::Tokens(ids) => return Ok(ids),
        Given::Text(text) => text,
    };
    let tokenizer = handle.tokenizer("a prompt of text")?.clone();
    let long = text.len() > LONG;
    let encode = move || {
        tokenizer.encode(&text).map_err(|error| Problem::invalid(format!("the text cannot be encoded: {error}")))
    };
    if !long {
        return encode();
    }
    let ids = tokio::task::spawn_blocking(encode).await;
    ids.map_err(|_| Problem::internal("encoding the text ended in a panic"))?
}
