//! Rails of a model and of a key, as clients meet them.

use std::sync::Arc;

use gptneo_engine::{BlockedWords, Rail};
use gptneo_serve::{Key, Keys, Options};
use serde_json::{Value, json};

use crate::common::{Reply, Running, Tiny, offer, options, tiny, tokenizer};

fn rail(word: &str) -> Arc<dyn Rail> {
    Arc::new(BlockedWords::new([word]).unwrap().refusing_prompts())
}

/// Lets the model say `zzz`, whatever its weights.
fn zzz(model: &str) -> Value {
    let z = tokenizer().encode("z").unwrap()[0];
    json!({
        "model": model, "prompt": "Say it: ", "max_tokens": 3, "temperature": 0, "logit_bias": {z.to_string(): 100},
    })
}

fn reason(reply: &Reply) -> (String, String) {
    let choice = &reply.json()["choices"][0];
    (choice["text"].as_str().unwrap().to_owned(), choice["finish_reason"].as_str().unwrap().to_owned())
}

#[test]
fn a_rail_of_a_model_refuses_prompts_and_cuts_answers_of_that_model_alone() {
    let strict = Tiny { rails: vec![rail("zzz")], template: true, ..tiny() };
    let server = Running::start(options(vec![offer("free", tiny()), offer("strict", strict)]));
    assert_eq!(reason(&server.post("/v1/completions", &zzz("free"))), ("zzz".to_owned(), "length".to_owned()));
    assert_eq!(reason(&server.post("/v1/completions", &zzz("strict"))), (String::new(), "content_filter".to_owned()));

    let (status, code, message) =
        server.post("/v1/completions", &json!({"model": "strict", "prompt": "a ZZZ"})).error();
    assert_eq!((status, code.as_str()), (400, "content_filter"));
    assert!(!message.to_lowercase().contains("zzz"), "the word is not repeated: {message}");
    let chat = json!({"model": "strict", "messages": [{"role": "user", "content": "zzz"}], "max_tokens": 1});
    assert_eq!(server.post("/v1/chat/completions", &chat).error().1, "content_filter");
    assert_eq!(
        server.post("/v1/completions", &json!({"model": "free", "prompt": "a ZZZ", "max_tokens": 1})).status,
        200
    );
}

#[test]
fn a_stream_ends_where_the_rail_cuts_it() {
    let strict = Tiny { rails: vec![rail("zzz")], ..tiny() };
    let server = Running::start(options(vec![offer("strict", strict)]));
    let mut request = zzz("strict");
    request["stream"] = json!(true);
    let reply = server.post("/v1/completions", &request);
    assert_eq!(reply.status, 200);
    assert!(reply.text.contains("\"finish_reason\":\"content_filter\"") && reply.text.ends_with("data: [DONE]\n\n"));
    assert!(!reply.text.contains("\"text\":\"z"), "{}", reply.text);
}

#[test]
fn a_rail_of_a_key_holds_for_its_requests_alone() {
    let key = |name: &str, text: &str| Key::new(name, text).unwrap();
    let child = key("child", "sk-of-a-child").with_rails(vec![rail("zzz")]);
    let keys = Keys::new(vec![child, key("adult", "sk-of-an-adult")]).unwrap();
    let server = Running::start(Options { keys, ..options(vec![offer("m", tiny())]) });
    let ask = |key: &str, body: &Value| {
        server.send("POST", "/v1/completions", &[("Authorization", &format!("Bearer {key}"))], Some(body.to_string()))
    };
    assert_eq!(reason(&ask("sk-of-a-child", &zzz("m"))), (String::new(), "content_filter".to_owned()));
    assert_eq!(reason(&ask("sk-of-an-adult", &zzz("m"))), ("zzz".to_owned(), "length".to_owned()));
    let prompt = json!({"prompt": "zzz", "max_tokens": 1});
    assert_eq!(ask("sk-of-a-child", &prompt).error().1, "content_filter");
    assert_eq!(ask("sk-of-an-adult", &prompt).status, 200);
}
