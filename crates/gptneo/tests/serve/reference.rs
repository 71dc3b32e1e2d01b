//! OpenAI's API reference, page by page: every field that it documents for a request is heeded, taken where it cannot matter, or refused by
//! its name; and every field that it documents for an answer is there.

use serde_json::{Map, Value, json};

use crate::http::Stream;
use crate::server::Server;

/// What becomes of a field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    /// The answer is as it says, or it says nothing that matters here.
    Taken,
    /// 400, and it is named.
    Refused,
}
use Fate::{Refused, Taken};

/// Request fields of `/v1/completions`.
fn completions() -> Vec<(&'static str, Value, Fate)> {
    vec![
        ("model", json!("pocket"), Taken),
        ("prompt", json!(["Once upon", "The dog"]), Taken),
        ("best_of", json!(2), Taken),
        ("echo", json!(true), Taken),
        ("frequency_penalty", json!(0.5), Taken),
        ("logit_bias", json!({"50": -100}), Taken),
        ("logprobs", json!(5), Taken),
        ("max_tokens", json!(3), Taken),
        ("n", json!(2), Taken),
        ("presence_penalty", json!(-0.5), Taken),
        ("seed", json!(-7), Taken),
        ("stop", json!([".", "\n"]), Taken),
        ("stream", json!(false), Taken),
        ("stream_options", json!({"include_usage": true}), Refused),
        ("suffix", json!("the end"), Refused),
        ("temperature", json!(2), Taken),
        ("top_p", json!(0.5), Taken),
        ("user", json!("someone"), Taken),
    ]
}

/// Request fields of `/v1/chat/completions`.
fn chat() -> Vec<(&'static str, Value, Fate)> {
    let tool = json!({"type": "function", "function": {"name": "f", "parameters": {}}});
    vec![
        (
            "messages",
            json!([{"role": "developer", "content": [{"type": "text", "text": "Be brief."}]}, {"role": "user", "content": "Hi"}]),
            Taken,
        ),
        ("model", json!("pocket"), Taken),
        ("audio", json!({"voice": "alloy", "format": "wav"}), Refused),
        ("frequency_penalty", json!(0.5), Taken),
        ("function_call", json!("auto"), Refused),
        ("functions", json!([{"name": "f"}]), Refused),
        ("logit_bias", json!({"50": 100}), Taken),
        ("logprobs", json!(true), Taken),
        ("max_completion_tokens", json!(3), Taken),
        ("max_tokens", json!(3), Taken),
        ("metadata", json!({"a": "b"}), Taken),
        ("modalities", json!(["text"]), Taken),
        ("modalities", json!(["text", "audio"]), Refused),
        ("n", json!(2), Taken),
        ("parallel_tool_calls", json!(false), Taken),
        ("prediction", json!({"type": "content", "content": "x"}), Refused),
        ("presence_penalty", json!(0.5), Taken),
        ("prompt_cache_key", json!("k"), Taken),
        ("prompt_cache_retention", json!("24h"), Taken),
        ("reasoning_effort", json!("low"), Taken),
        ("response_format", json!({"type": "json_object"}), Taken),
        ("safety_identifier", json!("s"), Taken),
        ("seed", json!(7), Taken),
        ("service_tier", json!("auto"), Taken),
        ("stop", json!("."), Taken),
        ("store", json!(false), Taken),
        ("stream", json!(false), Taken),
        ("stream_options", json!({"include_usage": true}), Refused),
        ("temperature", json!(0), Taken),
        ("tool_choice", json!("required"), Refused),
        ("tools", json!([tool]), Refused),
        ("top_logprobs", json!(2), Refused),
        ("top_p", json!(0.5), Taken),
        ("user", json!("someone"), Taken),
        ("verbosity", json!("low"), Taken),
        ("web_search_options", json!({}), Refused),
    ]
}

/// Request fields of `/v1/embeddings`.
fn embeddings() -> Vec<(&'static str, Value, Fate)> {
    vec![
        ("input", json!(["a", "b"]), Taken),
        ("model", json!("pocket"), Taken),
        ("dimensions", json!(256), Taken),
        ("dimensions", json!(64), Refused),
        ("encoding_format", json!("base64"), Taken),
        ("user", json!("someone"), Taken),
    ]
}

#[test]
fn every_documented_field_of_a_request_is_taken_or_refused_by_name() {
    let server = Server::start(&[]);
    let pages = [
        ("/v1/completions", json!({"prompt": "Once upon", "max_tokens": 2}), completions()),
        (
            "/v1/chat/completions",
            json!({"messages": [{"role": "user", "content": "Hi"}], "chat_template": "plain", "max_tokens": 2}),
            chat(),
        ),
        ("/v1/embeddings", json!({"input": "a"}), embeddings()),
    ];
    for (path, base, fields) in pages {
        for (name, value, fate) in fields {
            let mut body = base.clone();
            if name == "max_completion_tokens" {
                body.as_object_mut().unwrap().remove("max_tokens");
            }
            body[name] = value.clone();
            let response = server.post(path, &body.to_string());
            match fate {
                Taken => assert_eq!(response.status, 200, "{path} {name}: {value}: {}", response.text()),
                Refused => {
                    assert_eq!(response.status, 400, "{path} {name}: {value}: {}", response.text());
                    let error = &response.json()["error"];
                    assert_eq!(error["type"], "invalid_request_error", "{path} {name}");
                    let param = error["param"].as_str().unwrap_or_default();
                    assert!(param.starts_with(name), "{path} {name}: {error}");
                    assert!(response.message().contains(name), "{path} {name}: {error}");
                }
            }
        }
    }
    server.end();
}

/// Holds `value` to a sketch of it: the same fields and no others, each of the kind that the sketch has. `null` stands for anything.
fn like(at: &str, value: &Value, sketch: &Value) {
    match (value, sketch) {
        (_, Value::Null) => {}
        (Value::Object(value), Value::Object(sketch)) => {
            let names = |object: &Map<String, Value>| object.keys().cloned().collect::<std::collections::BTreeSet<_>>();
            assert_eq!(names(value), names(sketch), "{at}");
            for (name, sketch) in sketch {
                like(&format!("{at}.{name}"), &value[name], sketch);
            }
        }
        (Value::Array(values), Value::Array(sketch)) => {
            assert!(!values.is_empty(), "{at}");
            values.iter().enumerate().for_each(|(i, value)| like(&format!("{at}[{i}]"), value, &sketch[0]));
        }
        (Value::String(value), Value::String(sketch)) => assert!(sketch.is_empty() || value == sketch, "{at}: {value}"),
        (Value::Number(_), Value::Number(_)) | (Value::Bool(_), Value::Bool(_)) => {}
        _ => panic!("{at}: {value} is not like {sketch}"),
    }
}

#[test]
fn every_documented_field_of_an_answer_is_there() {
    let server = Server::start(&[]);
    let usage = json!({
        "prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0, "prompt_tokens_details": {"cached_tokens": 0},
    });
    let asked = |stream: bool| {
        let mut body = json!({"prompt": "Once upon", "max_tokens": 2, "logprobs": 1, "temperature": 0});
        if stream {
            body["stream"] = json!(true);
            body["stream_options"] = json!({"include_usage": true});
        }
        body
    };
    let logprobs = json!({"tokens": [""], "token_logprobs": [0.0], "top_logprobs": [null], "text_offset": [0]});
    let choice = json!({"index": 0, "text": "", "logprobs": logprobs, "finish_reason": "length"});
    let frame = |object: &str, choices: Value, usage: Value| {
        json!({
            "id": "", "object": object, "created": 0, "model": "pocket", "system_fingerprint": "", "choices": choices, "usage": usage,
        })
    };
    let answer = server.post("/v1/completions", &asked(false).to_string()).json();
    like("completion", &answer, &frame("text_completion", json!([choice]), usage.clone()));

    let chat = json!({
        "messages": [{"role": "user", "content": "Hi"}], "chat_template": "plain", "max_tokens": 2, "logprobs": true, "top_logprobs": 1,
    });
    let answer = server.post("/v1/chat/completions", &chat.to_string()).json();
    let top = json!([{"token": "", "logprob": 0.0, "bytes": [0]}]);
    let content = json!([{"token": "", "logprob": 0.0, "bytes": [0], "top_logprobs": top}]);
    let choice = json!({
        "index": 0, "message": {"role": "assistant", "content": "", "refusal": null}, "finish_reason": "length",
        "logprobs": {"content": content, "refusal": null},
    });
    like("chat", &answer, &frame("chat.completion", json!([choice]), usage));

    let answer = server.post("/v1/embeddings", &json!({"input": "a"}).to_string()).json();
    let vector = json!({"object": "embedding", "index": 0, "embedding": [0.0]});
    let usage = json!({"prompt_tokens": 0, "total_tokens": 0});
    like("embeddings", &answer, &json!({"object": "list", "data": [vector], "model": "pocket", "usage": usage}));

    let model = json!({"id": "pocket", "object": "model", "created": 0, "owned_by": "gptneo"});
    let listed = server.get("/v1/models").json();
    assert_eq!(listed["object"], "list");
    for (at, found) in [("models", &listed["data"][0]), ("model", &server.get("/v1/models/pocket").json())] {
        for (name, sketch) in model.as_object().unwrap() {
            like(&format!("{at}.{name}"), &found[name], sketch);
        }
    }

    let error = server.post("/v1/completions", "{}").json();
    like(
        "error",
        &error,
        &json!({"error": {"message": "", "type": "invalid_request_error", "param": "prompt", "code": null}}),
    );

    let parts = Stream::open(server.address, "/v1/completions", &asked(true).to_string()).unwrap().parts().unwrap();
    let (last, parts) = parts.split_last().unwrap();
    assert!(!parts.is_empty());
    for part in parts {
        assert_eq!(
            (&part["object"], &part["usage"], &part["id"]),
            (&json!("text_completion"), &Value::Null, &last["id"])
        );
        assert!(part["choices"][0]["text"].is_string(), "{part}");
    }
    assert_eq!((&last["choices"], &last["usage"]["completion_tokens"]), (&json!([]), &json!(2)));
    server.end();
}
