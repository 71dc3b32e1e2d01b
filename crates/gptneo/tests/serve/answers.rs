//! What is answered: the same whichever way it is asked, and the same as on the command line.

use std::process::Command;

use serde_json::{Value, json};

use crate::http::Stream;
use crate::server::Server;

const PROMPT: &str = "Once upon a time";

/// What `gptneo run` says.
fn alone(flags: &[&str]) -> Value {
    let done = Command::new(env!("CARGO_BIN_EXE_gptneo")).args(["run", PROMPT, "--json"]).args(flags).output().unwrap();
    serde_json::from_slice(&done.stdout).unwrap()
}

fn completion(server: &Server, fields: Value) -> Value {
    let mut body = json!({"prompt": PROMPT, "max_tokens": 16});
    body.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
    let response = server.post("/v1/completions", &body.to_string());
    assert_eq!(response.status, 200, "{}", response.text());
    response.json()
}

#[test]
fn every_protocol_gives_what_the_command_line_gives() {
    let server = Server::start(&[]);
    let wanted = alone(&["--temp", "0", "--repeat-penalty", "1", "-n", "16"])["text"].clone();
    assert_eq!(completion(&server, json!({"temperature": 0}))["choices"][0]["text"], wanted);
    let sampled =
        alone(&["--temp", "0.9", "--top-k", "30", "--top-p", "0.9", "--seed", "7", "-n", "16"])["text"].clone();
    let fields = json!({"temperature": 0.9, "top_k": 30, "top_p": 0.9, "seed": 7});
    assert_eq!(completion(&server, fields)["choices"][0]["text"], sampled);
    let options = json!({"temperature": 0, "num_predict": 16, "repeat_penalty": 1});
    let body = json!({"model": "pocket", "prompt": PROMPT, "stream": false, "options": options});
    assert_eq!(server.post("/api/generate", &body.to_string()).json()["response"], wanted);
    let input = json!([{"name": "text", "datatype": "BYTES", "shape": [1], "data": [PROMPT]}]);
    let body = json!({"inputs": input, "parameters": {"temperature": 0, "max_tokens": 16}});
    assert_eq!(server.post("/v2/models/pocket/infer", &body.to_string()).json()["outputs"][0]["data"][0], wanted);
    let ids = server.post("/tokenize", &json!({"content": PROMPT}).to_string()).json()["tokens"].clone();
    assert_eq!(completion(&server, json!({"temperature": 0, "prompt": ids}))["choices"][0]["text"], wanted);
    let text = server.post("/detokenize", &json!({"tokens": ids}).to_string()).json()["content"].clone();
    assert_eq!(text, PROMPT);
    server.end();
}

#[test]
fn a_stream_is_the_answer_in_parts() {
    let server = Server::start(&[]);
    let fields = json!({"temperature": 0, "logprobs": 2, "echo": true, "stop": "girl"});
    let whole = completion(&server, fields.clone());
    let mut body =
        json!({"prompt": PROMPT, "max_tokens": 16, "stream": true, "stream_options": {"include_usage": true}});
    body.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
    let mut stream = Stream::open(server.address, "/v1/completions", &body.to_string()).unwrap();
    let (mut text, mut logprobs, mut prompt, mut usage, mut reason) =
        (String::new(), Vec::new(), 0, Value::Null, Value::Null);
    while let Some(event) = stream.next().unwrap().filter(|event| event != "[DONE]") {
        let part: Value = serde_json::from_str(&event).unwrap();
        let choice = &part["choices"][0];
        text.push_str(choice["text"].as_str().unwrap_or_default());
        let found = choice["logprobs"]["token_logprobs"].as_array().cloned().unwrap_or_default();
        if choice["finish_reason"].is_string() {
            (prompt, reason) = (found.len(), choice["finish_reason"].clone());
        } else {
            logprobs.extend(found);
        }
        if part["usage"].is_object() {
            usage = part["usage"].clone();
        }
    }
    assert_eq!(text, whole["choices"][0]["text"]);
    assert_eq!((&usage["total_tokens"], &reason), (&whole["usage"]["total_tokens"], &json!("stop")));
    let all = whole["choices"][0]["logprobs"]["token_logprobs"].as_array().unwrap();
    assert_eq!((logprobs.as_slice(), prompt), (&all[4..], 4));
    server.end();
}

#[test]
fn of_many_the_best_are_given() {
    let server = Server::start(&[]);
    let fields = json!({"temperature": 1, "seed": 3, "n": 8, "best_of": 8, "logprobs": 0, "max_tokens": 12});
    let all = completion(&server, fields);
    let mean = |choice: &Value| {
        let values: Vec<f64> =
            choice["logprobs"]["token_logprobs"].as_array().unwrap().iter().filter_map(Value::as_f64).collect();
        values.iter().sum::<f64>() / values.len() as f64
    };
    let mut choices: Vec<&Value> = all["choices"].as_array().unwrap().iter().collect();
    choices.sort_by(|a, b| mean(b).total_cmp(&mean(a)));
    let best = completion(&server, json!({"temperature": 1, "seed": 3, "n": 2, "best_of": 8, "max_tokens": 12}));
    let texts: Vec<&Value> = best["choices"].as_array().unwrap().iter().map(|choice| &choice["text"]).collect();
    assert_eq!(texts, [&choices[0]["text"], &choices[1]["text"]]);
    assert!(best["choices"][0]["logprobs"].is_null());
    assert_eq!(best["usage"]["completion_tokens"], all["usage"]["completion_tokens"]);
    server.end();
}

#[test]
fn offsets_count_characters() {
    let server = Server::start(&[]);
    let prompt = "Zoë – a naïve café cat 🐈 said";
    let body = json!({"prompt": prompt, "max_tokens": 0, "echo": true, "logprobs": 1}).to_string();
    let answer = server.post("/v1/completions", &body).json();
    let choice = &answer["choices"][0];
    assert_eq!((choice["text"].as_str(), choice["finish_reason"].as_str()), (Some(prompt), Some("length")));
    let logprobs = &choice["logprobs"];
    let tokens = logprobs["tokens"].as_array().unwrap();
    for name in ["token_logprobs", "top_logprobs", "text_offset"] {
        assert_eq!(logprobs[name].as_array().unwrap().len(), tokens.len(), "{name}");
    }
    let characters: Vec<char> = prompt.chars().collect();
    for (token, offset) in tokens.iter().zip(logprobs["text_offset"].as_array().unwrap()) {
        let (token, offset) = (token.as_str().unwrap(), offset.as_u64().unwrap() as usize);
        if !token.starts_with("bytes:") {
            let there: String = characters[offset..].iter().take(token.chars().count()).collect();
            assert_eq!(there, token, "at {offset}");
        }
    }
    assert!(tokens.iter().any(|token| token.as_str().unwrap().starts_with("bytes:\\x")), "{tokens:?}");
    server.end();
}

#[test]
fn a_prompt_is_cut_only_where_that_is_asked_for() {
    let server = Server::start(&[]);
    let prompt: Vec<u32> = (0..600).map(|id| 300 + id % 100).collect();
    let refused = server.post("/v1/completions", &json!({"prompt": prompt, "max_tokens": 4}).to_string());
    let error = &refused.json()["error"];
    assert_eq!((refused.status, error["code"].as_str()), (400, Some("context_length_exceeded")));
    let message = refused.message();
    assert!(message.contains("512") && message.contains("600") && message.contains("89 tokens"), "{message}");
    let cut =
        completion(&server, json!({"prompt": prompt, "max_tokens": 4, "temperature": 0, "truncate_prompt_tokens": -1}));
    assert_eq!(cut["warnings"][0], "the first 92 tokens of prompt 0 were cut away, as asked");
    let same = completion(&server, json!({"prompt": prompt[92..], "max_tokens": 4, "temperature": 0}));
    assert_eq!((&cut["choices"], &cut["usage"]["prompt_tokens"]), (&same["choices"], &json!(508)));
    server.end();
}

#[test]
fn what_a_rail_forbids_is_not_said() {
    let folder = tempfile::tempdir().unwrap();
    let words = folder.path().join("words");
    std::fs::write(&words, "girl\n").unwrap();
    let server = Server::start(&[
        "-m",
        "free=pocket",
        "-m",
        "kept=pocket",
        "--blocked-words",
        &format!("kept={}", words.display()),
    ]);
    let ask = |model: &str, prompt: &str| {
        let body = json!({"model": model, "prompt": prompt, "max_tokens": 24, "temperature": 0}).to_string();
        server.post("/v1/completions", &body)
    };
    let free = ask("free", PROMPT).json()["choices"][0].clone();
    assert!(free["text"].as_str().unwrap().contains("girl") && free["finish_reason"] == "length");
    let kept = ask("kept", PROMPT).json()["choices"][0].clone();
    assert!(!kept["text"].as_str().unwrap().contains("girl"));
    assert_eq!(kept["finish_reason"], "content_filter");
    let refused = ask("kept", "The girl");
    assert_eq!((refused.status, refused.json()["error"]["code"].as_str()), (400, Some("content_filter")));
    server.end();
}

#[test]
fn models_come_when_they_are_asked_for_and_go_when_another_needs_their_place() {
    // Each takes some 200 MB with its cache, and there is room for two.
    let server = Server::start(&[
        "-m",
        "one=pocket",
        "-m",
        "two=pocket",
        "-m",
        "three=pocket",
        "--cache-tokens",
        "4096",
        "--memory",
        "300MB",
    ]);
    let loaded = || -> Vec<String> {
        let ps = server.get("/api/ps").json();
        ps["models"].as_array().unwrap().iter().map(|model| model["name"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(loaded(), ["one"]);
    let mut texts = Vec::new();
    for name in ["two", "three", "one", "two"] {
        let answer = completion(&server, json!({"model": name, "temperature": 0}));
        texts.push(answer["choices"][0]["text"].clone());
        assert!(loaded().contains(&name.to_owned()) && loaded().len() <= 2, "{:?}", loaded());
    }
    assert!(texts.windows(2).all(|pair| pair[0] == pair[1]));
    server.end();
}

#[test]
fn embeddings_are_of_length_one_and_tell_texts_apart() {
    let server = Server::start(&[]);
    let body = json!({"input": ["The cat sat.", "The cat sat.", "A dog ran away from home."]}).to_string();
    let answer = server.post("/v1/embeddings", &body).json();
    let vectors: Vec<Vec<f64>> =
        serde_json::from_value(answer["data"].as_array().unwrap().iter().map(|one| one["embedding"].clone()).collect())
            .unwrap();
    let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
    assert!(vectors.iter().all(|vector| (dot(vector, vector) - 1.0).abs() < 1e-5));
    assert_eq!(vectors[0], vectors[1]);
    assert!(dot(&vectors[0], &vectors[2]) < 0.999);
    server.end();
}

#[test]
fn a_chat_is_written_down_as_its_template_says() {
    let server = Server::start(&["--chat-template", "plain"]);
    let chat = json!({"messages": [{"role": "user", "content": "Hello?"}], "max_tokens": 8, "temperature": 0});
    let chat = server.post("/v1/chat/completions", &chat.to_string()).json();
    let plain = completion(
        &server,
        json!({"prompt": "User: Hello?\nAssistant:", "max_tokens": 8, "temperature": 0, "stop": "\nUser:"}),
    );
    assert_eq!(chat["choices"][0]["message"]["content"], plain["choices"][0]["text"]);
    assert_eq!(chat["usage"]["prompt_tokens"], plain["usage"]["prompt_tokens"]);
    let ollama = json!({"model": "pocket", "messages": [{"role": "user", "content": "Hello?"}], "stream": false,
                        "options": {"num_predict": 8, "temperature": 0, "repeat_penalty": 1}});
    assert_eq!(
        server.post("/api/chat", &ollama.to_string()).json()["message"]["content"],
        chat["choices"][0]["message"]["content"]
    );
    server.end();
}

#[test]
fn an_answer_has_the_form_that_was_asked_for() {
    let server = Server::start(&["--chat-template", "plain"]);
    let schema = json!({
        "type": "object",
        "properties": {"name": {"type": "string", "maxLength": 12}, "age": {"type": "integer", "minimum": 0, "maximum": 99}},
        "required": ["name", "age"],
        "additionalProperties": false,
    });
    let check = |text: &Value| {
        let found: Value =
            serde_json::from_str(text.as_str().unwrap()).unwrap_or_else(|error| panic!("{error}: {text}"));
        assert!(found["name"].as_str().unwrap().chars().count() <= 12, "{found}");
        assert!((0..=99).contains(&found["age"].as_i64().unwrap()) && found.as_object().unwrap().len() == 2, "{found}");
    };
    let format = json!({"type": "json_schema", "json_schema": {"name": "person", "schema": schema}});
    for seed in 0..8 {
        let fields = json!({"response_format": format, "seed": seed, "max_tokens": 200, "prompt": "A person: "});
        let answer = completion(&server, fields);
        assert_eq!(answer["choices"][0]["finish_reason"], "stop");
        check(&answer["choices"][0]["text"]);
        let chat = json!({"messages": [{"role": "user", "content": "Who?"}], "response_format": format, "seed": seed, "max_tokens": 200});
        check(&server.post("/v1/chat/completions", &chat.to_string()).json()["choices"][0]["message"]["content"]);
    }
    let body =
        json!({"model": "pocket", "prompt": "x", "stream": false, "format": schema, "options": {"num_predict": 200}});
    check(&server.post("/api/generate", &body.to_string()).json()["response"]);
    let answer = completion(&server, json!({"grammar": "root ::= \"yes\" | \"no\"", "temperature": 1}));
    assert!(["yes", "no"].contains(&answer["choices"][0]["text"].as_str().unwrap()));
    for (field, wrong) in [
        ("response_format", json!({"type": "xml"})),
        ("response_format", json!({"type": "json_schema"})),
        ("response_format", json!({"type": "json_schema", "json_schema": {"schema": {"type": "nonsense"}}})),
        ("grammar", json!("root ::=")),
        ("grammar", json!("(".repeat(60_000))),
        ("regex", json!("(")),
        ("json_schema", json!(7)),
    ] {
        let mut body = json!({"prompt": "x", "max_tokens": 1});
        body[field] = wrong;
        let response = server.post("/v1/completions", &body.to_string());
        assert_eq!(response.status, 400, "{}", response.text());
        assert!(response.json()["error"]["param"].as_str().unwrap().starts_with(field));
    }
    server.end();
}
