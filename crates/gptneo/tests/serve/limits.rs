//! Every field of every request, outside its bounds: an answer of the 400s that names it. And at its bounds: an answer.

use serde_json::{Value, json};

use crate::server::Server;

/// A request that is served, with one field changed.
fn with(base: &Value, field: &str, value: &Value) -> String {
    let mut body = base.clone();
    body[field] = value.clone();
    body.to_string()
}

/// Sends each value in each field, and holds the server to a 400 whose `param` begins with the field's name.
fn refused(server: &Server, path: &str, base: &Value, fields: &[(&str, Vec<Value>)]) -> usize {
    let mut count = 0;
    for (field, values) in fields {
        for value in values {
            let response = server.post(path, &with(base, field, value));
            let shown = value.to_string().chars().take(60).collect::<String>();
            assert_eq!(response.status, 400, "{path} {field} = {shown}: {}", response.text());
            let error = &response.json()["error"];
            if path.starts_with("/v1") {
                let param = error["param"].as_str().unwrap_or_else(|| panic!("{path} {field} = {shown}: no param"));
                assert!(param.starts_with(field.split('.').next().unwrap()), "{path} {field} = {shown}: param {param}");
                assert_eq!(error["type"], "invalid_request_error");
            }
            assert!(response.message().len() > 10, "{path} {field} = {shown}");
            count += 1;
        }
    }
    count
}

/// What is no number.
fn no_number() -> Vec<Value> {
    vec![json!("1"), json!(true), json!([1]), json!({"a": 1})]
}

fn numbers(wrong: &[Value]) -> Vec<Value> {
    wrong.iter().cloned().chain(no_number()).collect()
}

fn whole(wrong: &[Value]) -> Vec<Value> {
    numbers(&[&[json!(-1), json!(1.5), json!(1e300), json!(-1e300)], wrong].concat())
}

fn sampling() -> Vec<(&'static str, Vec<Value>)> {
    let biases: serde_json::Map<String, Value> = (0..301).map(|id| (id.to_string(), json!(1))).collect();
    vec![
        ("temperature", numbers(&[json!(-0.1), json!(11), json!(1e308), json!(-1e308)])),
        ("top_p", numbers(&[json!(0), json!(-0.5), json!(2), json!(1e308)])),
        ("min_p", numbers(&[json!(-0.1), json!(1.1)])),
        ("typical_p", numbers(&[json!(0), json!(1.5)])),
        ("top_k", numbers(&[json!(-2), json!(1.5), json!(1e12)])),
        ("presence_penalty", numbers(&[json!(-2.1), json!(2.1), json!(1e308)])),
        ("frequency_penalty", numbers(&[json!(-2.1), json!(2.1), json!(1e308)])),
        ("repetition_penalty", numbers(&[json!(0), json!(-1), json!(1e9)])),
        ("seed", numbers(&[json!(1.5), json!(-1.5), json!(1e300), json!(-1e300)])),
        ("n", whole(&[json!(0), json!(9), json!(1_000_000), json!(u64::MAX)])),
        ("min_tokens", whole(&[json!(u64::MAX)])),
        ("ignore_eos", vec![json!(1), json!("true"), json!([])]),
        ("stream", vec![json!(1), json!("true"), json!([])]),
        (
            "stop",
            vec![
                json!(1),
                json!(true),
                json!({"a": "b"}),
                json!(["a", "b", "c", "d", "e"]),
                json!([""]),
                json!(""),
                json!(["x".repeat(257)]),
                json!([1]),
                json!([["a"]]),
            ],
        ),
        ("stop_token_ids", vec![json!(1), json!(["a"]), json!([-1]), json!([1.5]), json!([1e10]), json!(vec![1; 65])]),
        (
            "logit_bias",
            vec![
                json!([1]),
                json!("1"),
                json!({"a": 1}),
                json!({"-1": 1}),
                json!({"1": 101}),
                json!({"1": -101}),
                json!({"1": "1"}),
                json!({"1": null}),
                json!({"99999999999": 1}),
                json!({"1000000": 1}),
                Value::Object(biases),
            ],
        ),
        ("truncate_prompt_tokens", numbers(&[json!(0), json!(-2), json!(1.5)])),
        ("model", vec![json!(1), json!(["pocket"]), json!({})]),
        ("top_q", vec![json!(1), json!("x")]),
        ("__proto__", vec![json!(1)]),
    ]
}

#[test]
fn fields_outside_their_bounds_are_named() {
    let server = Server::start(&[]);
    let mut count = 0;

    let base = json!({"prompt": "Once", "max_tokens": 1});
    let mut fields = sampling();
    fields.extend([
        ("max_tokens", whole(&[json!(u64::MAX)])),
        ("logprobs", whole(&[json!(6), json!(1000)])),
        ("best_of", whole(&[json!(0), json!(9)])),
        ("echo", vec![json!(1), json!("true")]),
        ("suffix", vec![json!("end"), json!(1), json!([])]),
        ("stream_options", vec![json!(1), json!([]), json!({"include_usage": true})]),
        (
            "prompt",
            vec![
                json!(1),
                json!(true),
                json!({"a": 1}),
                json!([]),
                json!([1, "a"]),
                json!([true]),
                json!([[1, "a"]]),
                json!([[1.5]]),
                json!([-1]),
                json!([4_000_000_000u64]),
                json!([1_000_000]),
                json!(vec!["a"; 129]),
                json!("word ".repeat(600)),
                json!(vec![1; 513]),
            ],
        ),
    ]);
    count += refused(&server, "/v1/completions", &base, &fields);

    let base = json!({"messages": [{"role": "user", "content": "Hi"}], "max_tokens": 1, "chat_template": "plain"});
    let mut fields = sampling();
    let turn = |role: Value, content: Value| json!([{"role": role, "content": content}]);
    fields.extend([
        ("max_completion_tokens", whole(&[json!(u64::MAX)])),
        ("logprobs", vec![json!(1), json!("true")]),
        ("top_logprobs", whole(&[json!(21), json!(5)])),
        (
            "tools",
            vec![
                json!(1),
                json!([1]),
                json!([{}]),
                json!([{"type": "x"}]),
                json!([{"type": "function"}]),
                json!([{"type": "function", "function": {"name": 1}}]),
                // A template that has no place for tools.
                json!([{"type": "function", "function": {"name": "clock"}}]),
            ],
        ),
        ("tool_choice", vec![json!("required"), json!(1)]),
        ("chat_template", vec![json!("none"), json!(1), json!("../../etc/passwd"), json!("{{ messages }}")]),
        ("stream_options", vec![json!(1), json!({"include_usage": true})]),
        (
            "messages",
            vec![
                json!([]),
                json!("Hi"),
                json!([1]),
                json!([{}]),
                json!([{"role": "user"}]),
                json!([{"content": "Hi"}]),
                turn(json!("nobody"), json!("Hi")),
                turn(json!(1), json!("Hi")),
                turn(json!("user"), json!(1)),
                turn(json!("user"), json!([1])),
                turn(json!("user"), json!([{"type": "image_url", "image_url": {"url": "http://169.254.169.254/"}}])),
                turn(json!("user"), json!([{"type": "text"}])),
                turn(json!("user"), json!("word ".repeat(600))),
                json!([{"role": "user", "content": "Hi", "extra": 1}]),
                json!([{"role": "user", "content": "Hi"}, {"role": "system", "content": "late"}]),
                json!(vec![json!({"role": "user", "content": "Hi"}); 1025]),
            ],
        ),
    ]);
    count += refused(&server, "/v1/chat/completions", &base, &fields);

    let base = json!({"input": "a cat"});
    let fields = [
        (
            "input",
            vec![json!(1), json!([]), json!([1, "a"]), json!([""]), json!(""), json!("word ".repeat(600)), json!([-1])],
        ),
        ("encoding_format", vec![json!("int8"), json!(1)]),
        ("dimensions", whole(&[json!(0), json!(7)])),
        ("model", vec![json!(1)]),
        ("extra", vec![json!(1)]),
    ];
    count += refused(&server, "/v1/embeddings", &base, &fields);

    let base = json!({"model": "pocket", "prompt": "Once"});
    let options: Vec<Value> = [
        json!({"temperature": -1}),
        json!({"temperature": "hot"}),
        json!({"num_predict": -3}),
        json!({"num_predict": 1.5}),
        json!({"top_p": 0}),
        json!({"top_k": "x"}),
        json!({"mirostat": 2}),
        json!({"seed": "x"}),
        json!({"num_ctx": 0}),
        json!({"num_ctx": 1}),
        json!({"stop": [1]}),
        json!({"nonsense": 1}),
        json!([1]),
    ]
    .to_vec();
    let fields = [
        ("options", options),
        ("stream", vec![json!(1)]),
        ("raw", vec![json!("x")]),
        ("context", vec![json!("x"), json!(["a"]), json!(vec![1; 600])]),
        ("suffix", vec![json!("end")]),
        ("images", vec![json!(["aGk="])]),
        ("template", vec![json!("{{ .Prompt }}")]),
        ("system", vec![json!("be brief")]),
        ("extra", vec![json!(1)]),
    ];
    count += refused(&server, "/api/generate", &base, &fields);

    let base = json!({"inputs": [{"name": "text", "datatype": "BYTES", "shape": [1], "data": ["Once"]}]});
    let input = |name: &str, kind: &str, shape: Value, data: Value| json!([{"name": name, "datatype": kind, "shape": shape, "data": data}]);
    let fields = [
        (
            "inputs",
            vec![
                json!(1),
                json!([]),
                json!([1]),
                json!([{}]),
                input("image", "BYTES", json!([1]), json!(["x"])),
                input("text", "FP32", json!([1]), json!([1.0])),
                input("text", "BYTES", json!([2]), json!(["x"])),
                input("text", "BYTES", json!([-1]), json!(["x"])),
                input("text", "BYTES", json!([u64::MAX, u64::MAX]), json!(["x"])),
                input("text", "BYTES", json!([1]), json!([1])),
                input("tokens", "INT64", json!([0]), json!([])),
                input("tokens", "INT64", json!([2, 2]), json!([1, 2, 3])),
                input("tokens", "INT64", json!([1]), json!(["a"])),
                input("text", "BYTES", json!([129]), json!(vec!["x"; 129])),
            ],
        ),
        ("outputs", vec![json!(1), json!([1]), json!([{"name": "logits"}])]),
        ("parameters", vec![json!(1), json!({"temperature": -1}), json!({"n": 2}), json!({"nonsense": 1})]),
        ("id", vec![json!(1)]),
        ("extra", vec![json!(1)]),
    ];
    count += refused(&server, "/v2/models/pocket/infer", &base, &fields);

    let base = json!({"tokens": [1]});
    let fields = [("tokens", vec![json!(1), json!(["a"]), json!([-1]), json!([1_000_000])]), ("extra", vec![json!(1)])];
    count += refused(&server, "/detokenize", &base, &fields);

    assert!(count >= 400, "{count} cases");
    server.end();
}

#[test]
fn fields_at_their_bounds_are_served() {
    let server = Server::start(&[]);
    let base = json!({"prompt": "Once", "max_tokens": 1});
    let biases: serde_json::Map<String, Value> = (0..300).map(|id| (id.to_string(), json!(-100))).collect();
    for (field, value) in [
        ("temperature", json!(0)),
        ("temperature", json!(10)),
        ("top_p", json!(1e-9)),
        ("top_p", json!(1)),
        ("top_k", json!(-1)),
        ("top_k", json!(40.0)),
        ("min_p", json!(1)),
        ("n", json!(8)),
        ("best_of", json!(8)),
        ("logprobs", json!(5)),
        ("max_tokens", json!(0)),
        ("max_tokens", json!(4_000_000_000u64)),
        ("seed", json!(u64::MAX)),
        ("seed", json!(i64::MIN)),
        ("stop", json!(["a", "b", "c", "x".repeat(256)])),
        ("stop", Value::Null),
        ("logit_bias", Value::Object(biases)),
        ("prompt", json!("")),
        ("prompt", json!(vec!["Once"; 128])),
        ("prompt", json!([[1, 2], [3]])),
        ("prompt", json!(vec![1; 511])),
        ("truncate_prompt_tokens", json!(-1)),
        ("user", json!("me")),
    ] {
        let response = server.post("/v1/completions", &with(&base, field, &value));
        assert_eq!(response.status, 200, "{field} = {value}: {}", response.text());
    }
    server.end();
}

#[test]
fn bodies_have_a_largest_size_and_heads_too() {
    let server = Server::start(&["--payload-limit", "100kB"]);
    let body = json!({"prompt": "word ".repeat(21_000)}).to_string();
    assert_eq!(server.post("/v1/completions", &body).status, 413);
    assert!(server.post("/api/generate", &body).message().contains("100000 bytes"));
    let fits = json!({"prompt": "word ".repeat(19_000)}).to_string();
    assert_eq!(server.post("/v1/completions", &fits).json()["error"]["code"], "context_length_exceeded");
    let long = "x".repeat(40_000);
    assert_eq!(server.send("GET", "/v1/models", &[("X-Long", &long)], "").status, 431);
    server.end();
}
