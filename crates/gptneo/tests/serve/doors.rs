//! Who may come in, by which name, from which page, and how much they may ask.

use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::process::Command;

use serde_json::json;

use crate::server::Server;

const KEY: &str = "sk-0123456789abcdef";

/// Every route there is, with a method that it takes.
const ROUTES: [(&str, &str); 52] = [
    ("GET", "/local/models"),
    ("GET", "/local/presets"),
    ("GET", "/local/runs"),
    ("GET", "/local/runs/1"),
    ("GET", "/local/runs/1/series"),
    ("GET", "/local/evaluations"),
    ("GET", "/local/reviews"),
    ("GET", "/local/reviews/1/next"),
    ("POST", "/local/reviews/1/answers"),
    ("GET", "/local/reviews/1/report"),
    ("GET", "/local/feedback"),
    ("POST", "/local/feedback"),
    ("DELETE", "/local/feedback"),
    ("DELETE", "/local/feedback/1"),
    ("GET", "/local/feedback/export"),
    ("GET", "/policy"),
    ("GET", "/"),
    ("GET", "/favicon.svg"),
    ("GET", "/assets/app.js"),
    ("GET", "/assets/app.css"),
    ("GET", "/docs/style.css"),
    ("POST", "/v2/repository/index"),
    ("POST", "/v2/repository/models/pocket/load"),
    ("GET", "/openapi.json"),
    ("GET", "/docs"),
    ("POST", "/v1/completions"),
    ("POST", "/v1/chat/completions"),
    ("POST", "/v1/embeddings"),
    ("GET", "/v1/models"),
    ("GET", "/v1/models/pocket"),
    ("POST", "/v1/moderations"),
    ("POST", "/tokenize"),
    ("POST", "/detokenize"),
    ("GET", "/health"),
    ("GET", "/health/ready"),
    ("GET", "/metrics"),
    ("GET", "/version"),
    ("POST", "/api/generate"),
    ("POST", "/api/chat"),
    ("POST", "/api/embed"),
    ("POST", "/api/embeddings"),
    ("GET", "/api/tags"),
    ("POST", "/api/show"),
    ("GET", "/api/ps"),
    ("GET", "/api/version"),
    ("POST", "/api/pull"),
    ("GET", "/v2"),
    ("GET", "/v2/health/live"),
    ("GET", "/v2/health/ready"),
    ("GET", "/v2/models/pocket"),
    ("GET", "/v2/models/pocket/ready"),
    ("POST", "/v2/models/pocket/infer"),
];

fn file(folder: &std::path::Path, mode: u32, text: &str) -> String {
    let path = folder.join(format!("keys-{mode:o}"));
    let mut file = std::fs::OpenOptions::new().create(true).write(true).truncate(true).mode(mode).open(&path).unwrap();
    file.write_all(text.as_bytes()).unwrap();
    path.display().to_string()
}

#[test]
fn every_route_but_one_wants_a_key() {
    let server = Server::start(&["--api-key", KEY]);
    let unknown =
        [("GET", "/"), ("GET", "/nothing"), ("PUT", "/v1/models"), ("GET", "/v1/completions"), ("DELETE", "/x")];
    for (method, path) in ROUTES.into_iter().chain(unknown) {
        for headers in [
            vec![],
            vec![("Authorization", "Bearer sk-0123456789abcdeg")],
            vec![("Authorization", "Bearer SK-0123456789ABCDEF")],
            vec![("Authorization", "Bearer")],
            vec![("Authorization", KEY)],
            vec![("X-Api-Key", "sk-0123456789abcde")],
        ] {
            let response = server.send(method, path, &headers, "{}");
            assert_eq!(response.status, 401, "{method} {path} {headers:?}");
            assert!(response.header("www-authenticate").is_some());
            assert!(!response.text().contains(KEY));
        }
    }
    assert_eq!(server.get("/health/live").status, 200);
    // The same key in each of the ways in which clients send it; `eDpza…` is `x:` and the key.
    for (name, value) in [
        ("Authorization", format!("Bearer {KEY}")),
        ("authorization", format!("bearer  {KEY}")),
        ("X-Api-Key", KEY.to_owned()),
        ("api-key", KEY.to_owned()),
        ("Authorization", "Basic eDpzay0wMTIzNDU2Nzg5YWJjZGVm".to_owned()),
    ] {
        assert_eq!(server.send("GET", "/v1/models", &[(name, &value)], "").status, 200, "{name}: {value}");
    }
    server.end();
}

#[test]
fn what_is_described_is_what_there_is() {
    let folder = tempfile::tempdir().unwrap();
    let store = folder.path().join("runs.sqlite").display().to_string();
    let server = Server::start(&["--runs-store", &store]);
    let document = server.get("/openapi.json").json();
    let mut described: Vec<String> = Vec::new();
    for (path, operations) in document["paths"].as_object().unwrap() {
        let named = path.contains("{id}");
        let path = path.replace("{name}", "pocket").replace("{model}", "pocket").replace("{id}", "1");
        for method in operations.as_object().unwrap().keys() {
            described.push(format!("{} {path}", method.to_uppercase()));
            let status = server.send(&method.to_uppercase(), &path, &[], "{}").status;
            // There is no run, no sheet and no entry of this number.
            assert!(status != 405 && (status != 404 || named), "{method} {path}: {status}");
        }
    }
    let mut there: Vec<String> = ROUTES.iter().map(|(method, path)| format!("{method} {path}")).collect();
    there.push("GET /health/live".to_owned());
    there.sort();
    described.sort();
    assert_eq!(described, there);
    let page = server.get("/docs");
    assert!(page.text().contains("<code>POST /v1/completions</code>"));
    assert!(page.header("content-security-policy").unwrap().contains("style-src 'self'"));
    server.end();
}

#[test]
fn names_that_a_page_could_bind_anew_are_not_answered() {
    let server = Server::start(&["--allowed-hosts", "models.example,LLM.example"]);
    let port = server.address.port();
    let good = [
        "localhost",
        "LOCALHOST",
        "localhost.",
        "a.localhost",
        "127.0.0.1",
        "127.0.0.2",
        "[::1]",
        "models.example",
        "MODELS.example",
        "llm.example",
    ];
    for host in good {
        for host in [host.to_owned(), format!("{host}:{port}"), format!("{host}:1")] {
            assert_eq!(server.send("GET", "/v1/models", &[("Host", &host)], "").status, 200, "{host}");
        }
    }
    let bad = [
        "evil.example",
        "localhost.evil.example",
        "127.0.0.1.evil.example",
        "evil-localhost",
        "xlocalhost",
        "models.example.evil.example",
        "sub.models.example",
        "10.0.0.1",
        "192.168.1.1",
        "169.254.169.254",
        "0.0.0.0",
        "[::]",
        "[fe80::1]",
        "[::ffff:10.0.0.1]",
        "2130706433",
        "0x7f000001",
        "127.1",
        "017700000001",
        "localhost@evil.example",
        "evil.example@localhost",
        "evil.example#localhost",
        "évil.example",
        "xn--vil-9la.example",
        "local\thost",
        "localhost/evil",
        "*",
        "null",
        "metadata.google.internal",
        "router.local",
        "::1",
        "[::1",
        "]",
        "..",
        "localhost..",
        "1.1.1.1",
        "[2606:4700::1111]",
    ];
    for host in bad {
        let status = server.send("GET", "/v1/models", &[("Host", host)], "").status;
        assert!(matches!(status, 400 | 403), "{host}: {status}");
    }
    let two = "GET /v1/models HTTP/1.1\r\nHost: localhost\r\nHost: evil.example\r\nConnection: close\r\n\r\n";
    assert_eq!(crate::http::exchange(server.address, two.as_bytes()).unwrap().status, 400);
    let absolute = "GET http://evil.example/v1/models HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
    assert_eq!(crate::http::exchange(server.address, absolute.as_bytes()).unwrap().status, 403);
    server.end();
}

#[test]
fn pages_of_others_may_not_ask() {
    let server = Server::start(&["--cors-origins", "https://friend.example"]);
    let body = json!({"prompt": "Once", "max_tokens": 1}).to_string();
    let own = format!("http://127.0.0.1:{}", server.address.port());
    let host = own.strip_prefix("http://").unwrap();
    let ask = |origin: &str| server.send("POST", "/v1/completions", &[("Host", host), ("Origin", origin)], &body);
    for origin in [
        "http://evil.example",
        "null",
        "https://friend.example.evil.example",
        "http://friend.example",
        "",
        "http://localhost",
        "file://",
    ] {
        let response = ask(origin);
        assert_eq!(response.status, 403, "{origin}");
        assert_eq!(response.header("access-control-allow-origin"), None);
    }
    assert_eq!(ask(&own).status, 200);
    let friend = ask("https://friend.example");
    assert_eq!((friend.status, friend.header("access-control-allow-origin")), (200, Some("https://friend.example")));
    assert_eq!(friend.header("access-control-allow-credentials"), None);
    let asks_first = [("Origin", "https://friend.example"), ("Access-Control-Request-Method", "POST")];
    assert_eq!(server.send("OPTIONS", "/v1/completions", &asks_first, "").status, 204);
    let stranger = [("Origin", "https://evil.example"), ("Access-Control-Request-Method", "POST")];
    assert_eq!(server.send("OPTIONS", "/v1/completions", &stranger, "").status, 403);
    server.end();
}

#[test]
fn every_answer_says_what_a_browser_may_do_with_it() {
    let server = Server::start(&[]);
    for path in ["/v1/models", "/nothing", "/health/live", "/metrics", "/api/tags"] {
        let response = server.get(path);
        for (name, value) in [
            ("x-content-type-options", "nosniff"),
            ("x-frame-options", "DENY"),
            ("referrer-policy", "no-referrer"),
            ("cache-control", "no-store"),
        ] {
            assert_eq!(response.header(name), Some(value), "{path}");
        }
        assert!(response.header("content-security-policy").unwrap().contains("default-src 'none'"));
        assert!(response.header("x-request-id").is_some());
        assert_eq!(response.header("access-control-allow-origin"), None);
    }
    server.end();
}

#[test]
fn each_key_has_its_own_allowance() {
    let folder = tempfile::tempdir().unwrap();
    let keys =
        file(folder.path(), 0o600, "sk-of-the-shop requests=3 name=shop\nsk-of-the-desk tokens=40\nsk-of-the-rest\n");
    let server = Server::start(&["--api-key-file", &keys]);
    let ask = |key: &str, tokens: usize| {
        let key = format!("Bearer {key}");
        let body = json!({"prompt": [1, 2, 3, 4], "max_tokens": tokens, "ignore_eos": true}).to_string();
        server.send("POST", "/v1/completions", &[("Authorization", &key)], &body)
    };
    for left in ["2", "1", "0"] {
        let response = ask("sk-of-the-shop", 1);
        assert_eq!((response.status, response.header("x-ratelimit-remaining-requests")), (200, Some(left)));
        assert_eq!(response.header("x-ratelimit-limit-requests"), Some("3"));
    }
    let refused = ask("sk-of-the-shop", 1);
    assert_eq!(refused.status, 429);
    let after: u64 = refused.header("retry-after").unwrap().parse().unwrap();
    assert!((1..=20).contains(&after), "{after}");
    assert_eq!(ask("sk-of-the-desk", 20).status, 200);
    let refused = ask("sk-of-the-desk", 20);
    assert!(refused.status == 429 && refused.message().contains("40 tokens a minute"), "{}", refused.text());
    for _ in 0..20 {
        assert_eq!(ask("sk-of-the-rest", 20).status, 200);
    }
    server.end();
}

#[test]
fn a_server_that_would_be_open_does_not_start() {
    let folder = tempfile::tempdir().unwrap();
    let (open, closed) = (file(folder.path(), 0o644, "sk-0123456789\n"), file(folder.path(), 0o600, "\n# none\n"));
    for (flags, code, words) in [
        (vec!["--host", "0.0.0.0"], 2, "no key is set"),
        (vec!["--host", "::"], 2, "no key is set"),
        (vec!["--host", "not-an-address"], 2, "invalid value"),
        (vec!["--api-key", "short"], 2, "8 to 512 characters"),
        (vec!["--api-key", "with a space in it"], 2, "printable ASCII"),
        (vec!["--api-key", KEY, "--api-key", KEY], 2, "twice"),
        (vec!["--api-key-file", &open], 4, "can be read by others"),
        (vec!["--api-key-file", &closed], 4, "has no keys"),
        (vec!["--api-key-file", "/nowhere"], 3, "cannot read"),
        (vec!["--ssl-cert-file", &closed], 2, "--ssl-key-file"),
        (vec!["--ssl-cert-file", &closed, "--ssl-key-file", &closed], 4, "no certificate"),
        (vec!["-m", "random:nothing"], 2, "no shape named"),
        (vec!["-m", "a=pocket", "-m", "a=pocket"], 2, "two models are called `a`"),
        (vec!["--lora", "./adapter"], 2, "names no name"),
        (vec!["--lora", "other:polite=./adapter"], 2, "names the model other"),
        (vec!["--chat-template", "none"], 2, "none"),
        (vec!["--chat-template", "model"], 2, "without a chat template"),
        (vec!["--cache-tokens", "10"], 2, "less than one request"),
        (vec!["--payload-limit", "0"], 2, "must be a size"),
        (vec!["--parallel", "0"], 2, "sequences"),
        (vec!["--memory", "lots"], 2, "must be a size"),
        (vec!["--blocked-words", "/nowhere"], 3, "cannot read"),
        (vec!["--blocked-words", "other=/nowhere"], 2, "names the model other"),
    ] {
        let done = Command::new(env!("CARGO_BIN_EXE_gptneo")).args(["serve", "--port", "0"]).args(&flags).output();
        let done = done.unwrap();
        let said = String::from_utf8_lossy(&done.stderr);
        assert_eq!(done.status.code(), Some(code), "{flags:?}: {said}");
        assert!(said.contains(words), "{flags:?}: {said}");
        assert!(!said.contains("panicked"), "{said}");
    }
}

#[test]
fn names_of_models_never_become_paths() {
    let server = Server::start(&["-m", "tiny=pocket"]);
    let mut names: Vec<String> = [
        "../../etc/passwd",
        "..",
        ".",
        "/etc/passwd",
        "/",
        "\\\\host\\share",
        "C:\\boot.ini",
        "%2e%2e%2f%2e%2e%2fetc%2fpasswd",
        "a/b/../../c",
        "pocket",
        "tiny/../tiny",
        "tiny\u{0}",
        "tiny\u{202e}",
        "TINY",
        " tiny",
        "tiny ",
        "tiny:latest:latest",
        "random:gpt2",
        "file:///etc/passwd",
        "http://169.254.169.254/",
        "EleutherAI/gpt-neo-125m",
        "~",
        "$HOME",
        "tiny;ls",
        "`id`",
        "{{7*7}}",
    ]
    .map(str::to_owned)
    .to_vec();
    names.push("a".repeat(64 << 10));
    for name in &names {
        for (path, body) in [
            ("/v1/completions", json!({"model": name, "prompt": "x"})),
            ("/v1/chat/completions", json!({"model": name, "messages": [{"role": "user", "content": "x"}]})),
            ("/v1/embeddings", json!({"model": name, "input": "x"})),
            ("/api/generate", json!({"model": name, "prompt": "x"})),
            ("/api/show", json!({"model": name})),
            ("/tokenize", json!({"model": name, "content": "x"})),
        ] {
            let response = server.post(path, &body.to_string());
            let shown: String = name.chars().take(40).collect();
            assert_eq!(response.status, 404, "{path} {shown}: {}", response.text());
            assert!(response.text().len() < 1000 && !response.text().contains("root:"), "{path} {shown}");
        }
        let encoded: String = name.bytes().take(2000).map(|byte| format!("%{byte:02x}")).collect();
        for path in [format!("/v1/models/{encoded}"), format!("/v2/models/{encoded}")] {
            let status = server.get(&path).status;
            assert!(matches!(status, 400 | 404), "{path}: {status}");
        }
    }
    assert_eq!(server.get("/v1/models/tiny").status, 200);
    server.end();
}
