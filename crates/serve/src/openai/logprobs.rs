//! Log-probabilities of tokens, as the two APIs of OpenAI write them.

use gptneo_engine::Token;
use gptneo_text::Tokenizer;
use serde_json::{Map, Value, json};

/// A token's text; one that is no text by itself is written as its bytes.
fn spelled(tokenizer: &Tokenizer, id: u32) -> String {
    let bytes = tokenizer.token_bytes(id).unwrap_or_default();
    match std::str::from_utf8(bytes) {
        Ok(text) => text.to_owned(),
        Err(_) => {
            let digits: String = bytes.iter().map(|byte| format!("\\x{byte:02x}")).collect();
            format!("bytes:{digits}")
        }
    }
}

/// Of `/v1/completions`: lists side by side. `text` is what the offsets are into, whose first character is the `first`th.
pub(super) fn completion(tokens: &[Token], text: &str, first: usize, tokenizer: &Tokenizer) -> Value {
    let mut offsets = Vec::with_capacity(tokens.len());
    let (mut at, mut characters) = (0, first);
    for token in tokens {
        let to = text.floor_char_boundary(token.offset.clamp(at, text.len()));
        characters += text[at..to].chars().count();
        at = to;
        offsets.push(characters);
    }
    let top = |token: &Token| -> Value {
        if token.logprob.is_none() {
            return Value::Null;
        }
        let mut likeliest: Map<String, Value> = Map::new();
        for &(id, logprob) in &token.top {
            // Two tokens may be spelled alike: the likelier one stays.
            likeliest.entry(spelled(tokenizer, id)).or_insert_with(|| json!(logprob));
        }
        Value::Object(likeliest)
    };
    json!({
        "tokens": tokens.iter().map(|token| spelled(tokenizer, token.id)).collect::<Vec<_>>(),
        "token_logprobs": tokens.iter().map(|token| token.logprob).collect::<Vec<_>>(),
        "top_logprobs": tokens.iter().map(top).collect::<Vec<_>>(),
        "text_offset": offsets,
    })
}

/// Of `/v1/chat/completions`: an object for each token.
pub(super) fn chat(tokens: &[Token], tokenizer: &Tokenizer) -> Value {
    let one = |id: u32, logprob: Option<f64>| {
        let bytes = tokenizer.token_bytes(id).unwrap_or_default();
        json!({"token": spelled(tokenizer, id), "logprob": logprob, "bytes": bytes})
    };
    let content = tokens.iter().map(|token| {
        let mut shown = one(token.id, token.logprob);
        let top = token.top.iter().map(|&(id, logprob)| one(id, Some(logprob)));
        shown["top_logprobs"] = top.collect();
        shown
    });
    json!({"content": content.collect::<Vec<_>>(), "refusal": null})
}
