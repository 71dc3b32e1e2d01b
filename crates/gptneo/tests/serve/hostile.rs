//! Bytes that no client would send: the server answers with the client's fault or closes, and serves the next one.

use std::io::{Read, Write};
use std::time::{Duration, Instant};

use serde_json::json;

use crate::http::{connect, exchange_and_close, request};
use crate::server::Server;

/// How many are sent, all kinds together.
const COUNT: usize = 10_000;

/// Numbers from a seed.
struct Draw(u64);

impl Draw {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn below(&mut self, limit: usize) -> usize {
        (self.next() % limit as u64) as usize
    }

    fn of<'a, T>(&mut self, values: &'a [T]) -> &'a T {
        &values[self.below(values.len())]
    }

    fn bytes(&mut self, most: usize) -> Vec<u8> {
        (0..self.below(most)).map(|_| self.next() as u8).collect()
    }
}

const PATHS: [&str; 12] = [
    "/v1/completions",
    "/v1/chat/completions",
    "/v1/embeddings",
    "/v1/models",
    "/tokenize",
    "/detokenize",
    "/api/generate",
    "/api/chat",
    "/api/embed",
    "/api/show",
    "/v2/models/pocket/infer",
    "/metrics",
];

/// A request that is broken in one of many ways.
fn malformed(draw: &mut Draw) -> Vec<u8> {
    let path = *draw.of(&PATHS);
    let good = request("POST", path, &[], r#"{"model":"pocket","prompt":"x","max_tokens":1}"#);
    let text = match draw.below(34) {
        0 => return draw.bytes(2000),
        1 => format!(
            "{} {path} HTTP/1.1\r\nHost: localhost\r\n\r\n",
            draw.of::<&str>(&["", "G T", "GET\0", "get", "PROPFIND", "CONNECT", "TRACE", "\u{e9}"])
        ),
        2 => format!(
            "POST {path} {}\r\nHost: localhost\r\n\r\n",
            draw.of::<&str>(&["", "HTTP/0.9", "HTTP/1", "HTTP/3.0", "HTTP/1.11", "HTTPS/1.1", "X"])
        ),
        3 => format!("POST {path}\r\n\r\n"),
        4 => "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0".to_owned(),
        5 => format!(
            "POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {}\r\n\r\n{{}}",
            draw.of::<&str>(&["-1", "18446744073709551616", "0x2", "2, 2", "two", "", "+2", "1e3"])
        ),
        6 => format!("POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n{{}}"),
        7 => format!(
            "POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{{}}\r\n0\r\n\r\n"
        ),
        8 => format!(
            "POST {path} HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: {}\r\n\r\n0\r\n\r\n",
            draw.of::<&str>(&["chunked, identity", "gzip", "xchunked", "chunked\x0b", ""])
        ),
        9 => format!(
            "POST {path} HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n{}\r\nx\r\n",
            draw.of::<&str>(&["ffffffffffffffff", "fffffffffffffffff", "-1", "0x1", "g", "", "1;\0"])
        ),
        10 => format!("POST {path} HTTP/1.1\r\nHost: localhost\r\n folded: yes\r\n\r\n"),
        11 => format!("POST {path} HTTP/1.1\r\nHost: localhost\r\nNo-Colon\r\n\r\n"),
        12 => format!("POST {path} HTTP/1.1\r\nHost: localhost\r\nX: a\0b\r\n\r\n"),
        13 => format!("POST {path} HTTP/1.1\r\nHost : localhost\r\n\r\n"),
        14 => format!("POST {path} HTTP/1.1\nHost: localhost\nContent-Length: 2\n\n[]"),
        15 => format!("GET /{} HTTP/1.1\r\nHost: localhost\r\n\r\n", "a".repeat(20_000 + draw.below(20_000))),
        16 => {
            format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nX: {}\r\n\r\n", "a".repeat(20_000 + draw.below(20_000)))
        }
        17 => format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n{}\r\n", "X: y\r\n".repeat(101 + draw.below(400))),
        18 => format!("POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000\r\n\r\n{{"),
        19 => request("POST", path, &[], &"[".repeat(1 + draw.below(50_000))),
        20 => request("POST", path, &[], &format!("{{\"prompt\":{}1{}}}", "[".repeat(200), "]".repeat(200))),
        21 => request(
            "POST",
            path,
            &[],
            draw.of::<&str>(&[
                "",
                " ",
                "null",
                "1",
                "\"x\"",
                "[]",
                "{",
                "{]",
                "{\"a\":}",
                "{\"a\" 1}",
                "NaN",
                "{\"a\":1e999}",
                "{\"a\":-}",
                "{'a':1}",
                "\u{feff}{}",
            ]),
        ),
        22 => request(
            "POST",
            path,
            &[],
            draw.of::<&str>(&[
                r#"{"prompt":"\ud800"}"#,
                r#"{"prompt":"\udc00\ud800"}"#,
                r#"{"prompt":"\u0000"}"#,
                r#"{"prompt":"\x"}"#,
                r#"{"\ud800":1}"#,
            ]),
        ),
        23 => request("POST", path, &[], &format!("{{{}\"prompt\":1}}", "\"prompt\":\"x\",".repeat(draw.below(5000)))),
        24 => {
            let mut bytes = request("POST", path, &[("Content-Length", "6")], "").into_bytes();
            bytes.extend(b"{\"\xff\xfe}");
            return bytes;
        }
        25 => format!(
            "GET {} HTTP/1.1\r\nHost: localhost\r\n\r\n",
            draw.of::<&str>(&[
                "*",
                "/%",
                "/%zz",
                "/%00",
                "/..%2f..%2fetc/passwd",
                "/v1/models/%ff%fe",
                "//",
                "/v1//models",
                "http://",
                "/\u{e9}",
                "/#x",
                "/?%"
            ])
        ),
        26 => return b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03".to_vec(),
        27 => request("POST", path, &[("Authorization", "Basic %%%")], "{}"),
        28 => request("POST", path, &[("Expect", "100-continue"), ("Content-Length", "99999999999")], ""),
        29 => request("POST", path, &[("Upgrade", "websocket"), ("Connection", "Upgrade")], "{}"),
        30 => request("POST", path, &[("Content-Encoding", "gzip")], "\u{1f}\u{8b}x"),
        31 => {
            let value = draw
                .of(&["null", "true", "-1", "1e308", "\"\"", "[]", "{}", "[[[[]]]]", "18446744073709551616"])
                .to_string();
            let field = draw.of::<&str>(&[
                "prompt",
                "messages",
                "input",
                "tokens",
                "n",
                "stop",
                "logit_bias",
                "options",
                "inputs",
                "stream_options",
                "parameters",
                "content",
                "model",
            ]);
            request("POST", path, &[], &format!("{{\"{field}\":{value}}}"))
        }
        // A good one, cut short, and one with a byte changed.
        32 => return good.as_bytes()[..draw.below(good.len())].to_vec(),
        _ => {
            let mut bytes = good.into_bytes();
            let at = draw.below(bytes.len());
            bytes[at] = draw.next() as u8;
            return bytes;
        }
    };
    text.into_bytes()
}

#[test]
fn ten_thousand_malformed_requests_change_nothing() {
    let server = Server::start(&[]);
    let good = json!({"prompt": "Once upon a time", "max_tokens": 4, "temperature": 0}).to_string();
    let wanted = server.post("/v1/completions", &good).json()["choices"][0]["text"].clone();
    let (mut draw, mut answered) = (Draw(0x9e37_79b9_7f4a_7c15), 0);
    for index in 0..COUNT {
        let bytes = malformed(&mut draw);
        // An answer, or a closed connection: either is one, and a 5xx is not, but where something is not served at all.
        if let Ok(response) = exchange_and_close(server.address, &bytes) {
            answered += 1;
            assert!(
                response.status < 500,
                "request {index}: {} for {:?}",
                response.status,
                String::from_utf8_lossy(&bytes)
            );
        }
        if index % 250 == 0 {
            assert_eq!(
                server.post("/v1/completions", &good).json()["choices"][0]["text"],
                wanted,
                "after request {index}"
            );
        }
    }
    assert!(answered > COUNT / 2, "{answered} of {COUNT} were answered");
    server.end();
}

#[test]
fn connections_that_dawdle_are_dropped() {
    let server = Server::start(&[]);
    let begun = Instant::now();
    let mut slow: Vec<_> = (0..500).map(|_| connect(server.address).unwrap()).collect();
    for stream in &mut slow {
        stream.write_all(b"POST /v1/completions HTTP/1.1\r\nHost: loc").unwrap();
    }
    // Meanwhile others are served, as often as they ask.
    let body = json!({"prompt": "Once", "max_tokens": 1}).to_string();
    let mut served = 0;
    while begun.elapsed() < Duration::from_secs(9) {
        assert_eq!(server.post("/v1/completions", &body).status, 200);
        served += 1;
        std::thread::sleep(Duration::from_millis(20));
    }
    assert!(served > 50, "{served}");
    for stream in &mut slow {
        // Closed by the server, with or without a word: reading ends.
        let mut rest = Vec::new();
        let _ = stream.read_to_end(&mut rest);
        assert!(!rest.starts_with(b"HTTP/1.1 2"));
    }
    assert!(begun.elapsed() < Duration::from_secs(60));
    server.end();
}
