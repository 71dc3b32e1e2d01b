//! Many at once: nothing is lost, mixed up or leaked.

use std::collections::HashMap;
use std::io::Write;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use serde_json::json;

use crate::http::{Stream, connect, exchange, request};
use crate::server::Server;

/// Threads that only wait for a socket need little.
const STACK: usize = 256 << 10;

/// A request of the kind `kind`, which alone decides what comes back.
fn asked(kind: usize, tokens: usize) -> String {
    let subjects = ["dog", "cat", "bird", "girl", "boy", "tree", "king", "fish", "frog", "car"];
    json!({
        "prompt": format!("Once upon a time, there was a {}", subjects[kind % 10]),
        "max_tokens": tokens,
        "temperature": if kind.is_multiple_of(2) { 0.0 } else { 0.9 },
        "seed": kind,
        "stream": true,
        "stream_options": {"include_usage": true},
    })
    .to_string()
}

fn streamed(address: SocketAddr, kind: usize, tokens: usize) -> std::io::Result<String> {
    Stream::open(address, "/v1/completions", &asked(kind, tokens))?.text()
}

fn on_threads<T: Send>(count: usize, work: impl Fn(usize) -> T + Sync) -> Vec<T> {
    std::thread::scope(|scope| {
        let spawn = |index| {
            let work = &work;
            std::thread::Builder::new().stack_size(STACK).spawn_scoped(scope, move || work(index)).unwrap()
        };
        let threads: Vec<_> = (0..count).map(spawn).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    })
}

/// Lets this process have so many open files.
fn allow_files(count: u64) {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    if current.is_some_and(|now| now < count) {
        setrlimit(Resource::Nofile, Rlimit { current: Some(count), maximum }).unwrap();
    }
}

/// What is left in the cache belongs to the beginnings that are kept: at most 512 positions each, in both of its groups.
fn holds_beginnings_alone(server: &Server) {
    let (kept, used) = (server.metric("gptneo_kept_prefixes"), server.metric("gptneo_cache_pages_used"));
    assert!(kept <= 16.0 && used <= kept * 2.0 * 9.0, "{used} pages, {kept} beginnings");
}

#[test]
fn a_thousand_streams_are_each_what_they_are_alone() {
    allow_files(1100);
    // As most systems start a process; the server asks for more.
    let server = Server::start_after("ulimit -Sn 256", &["--parallel", "64", "--max-queue", "1000"]);
    let alone: HashMap<usize, String> =
        (0..20).map(|kind| (kind, streamed(server.address, kind, 24).unwrap())).collect();
    let found = on_threads(1000, |index| streamed(server.address, index % 20, 24));
    for (index, text) in found.into_iter().enumerate() {
        assert_eq!(text.unwrap(), alone[&(index % 20)], "stream {index}");
    }
    assert_eq!(server.metric("gptneo_disconnects_total"), 0.0);
    server.end();
}

#[test]
fn where_the_system_gives_few_connections_others_wait_for_them() {
    let server = Server::start_after("ulimit -n 160", &[]);
    let found = on_threads(100, |index| streamed(server.address, index, 8));
    assert!(found.into_iter().all(|text| text.is_ok_and(|text| !text.is_empty())));
    server.end();
}

#[test]
fn ten_thousand_requests_too_many_cost_nothing() {
    let server = Server::start(&["--parallel", "2", "--max-queue", "6"]);
    streamed(server.address, 0, 8).unwrap();
    let before = server.resident();
    let (served, refused) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let body = json!({"prompt": "Once upon a time", "max_tokens": 24, "ignore_eos": true}).to_string();
    let request = request("POST", "/v1/completions", &[], &body);
    on_threads(100, |_| {
        for _ in 0..100 {
            let response = exchange(server.address, request.as_bytes()).unwrap();
            match response.status {
                200 => served.fetch_add(1, Ordering::Relaxed),
                429 => {
                    let after: u64 = response.header("retry-after").unwrap().parse().unwrap();
                    assert!((1..=60).contains(&after), "{after}");
                    assert_eq!(response.json()["error"]["code"], "rate_limit_exceeded");
                    refused.fetch_add(1, Ordering::Relaxed)
                }
                other => panic!("{other}: {}", response.text()),
            };
        }
    });
    let (served, refused) = (served.into_inner(), refused.into_inner());
    assert_eq!(served + refused, 10_000);
    assert!(refused > 5_000 && served > 0, "{served} served, {refused} refused");
    let grown = server.resident().saturating_sub(before);
    assert!(grown < 64 << 20, "{grown} bytes more after {refused} refusals");
    server.end();
}

#[test]
fn ten_thousand_clients_that_leave_leave_nothing_behind() {
    let server = Server::start(&["--parallel", "64", "--max-queue", "100"]);
    on_threads(50, |thread| {
        for round in 0..200 {
            let index = thread * 200 + round;
            let tokens = if index.is_multiple_of(3) { 400 } else { 60 };
            let Ok(mut stream) = Stream::open(server.address, "/v1/completions", &asked(index % 20, tokens)) else {
                continue;
            };
            // Leaves before the first part, or after some of them.
            for _ in 0..(index * 7919) % 23 {
                if stream.next().unwrap().is_none() {
                    break;
                }
            }
        }
    });
    // What was called off is seen in the next step; nothing is asked for any more.
    for _ in 0..200 {
        if server.metric("gptneo_requests_in_flight") == 0.0 && server.metric("gptneo_batch_size") == 0.0 {
            break;
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    for gauge in ["gptneo_requests_in_flight", "gptneo_batch_size", "gptneo_queue_size", "gptneo_parked_sequences"] {
        assert_eq!(server.metric(gauge), 0.0, "{gauge}");
    }
    holds_beginnings_alone(&server);
    assert!(server.metric("gptneo_disconnects_total") > 1000.0);
    let found = on_threads(64, |index| streamed(server.address, index % 20, 24));
    assert!(found.into_iter().all(|text| text.is_ok()));
    server.end();
}

#[test]
fn texts_whose_clients_leave_while_they_are_embedded_hold_nothing() {
    let server = Server::start(&[]);
    let text = "a small dog ran up the hill and down again ".repeat(40);
    let body = json!({"input": vec![text; 8]}).to_string();
    let wanted = server.post("/v1/embeddings", &body).json();
    assert_eq!(wanted["data"].as_array().unwrap().len(), 8);
    on_threads(20, |index| {
        let mut stream = connect(server.address).unwrap();
        stream.write_all(request("POST", "/v1/embeddings", &[], &body).as_bytes()).unwrap();
        std::thread::sleep(Duration::from_millis(7 * index as u64));
    });
    // Between those that left, others are served, and streams go on.
    let found = on_threads(4, |index| match index {
        0 => server.post("/v1/embeddings", &body).json() == wanted,
        _ => streamed(server.address, index, 40).is_ok(),
    });
    assert!(found.into_iter().all(|same| same));
    holds_beginnings_alone(&server);
    server.end();
}

#[test]
fn a_server_that_is_told_to_end_cuts_nobody_off() {
    let server = Server::start(&["--parallel", "32", "--max-queue", "400"]);
    let alone: Vec<String> = (0..20).map(|kind| streamed(server.address, kind, 48).unwrap()).collect();
    let begun = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        let spawn = |index: usize| {
            let (begun, alone, address) = (&begun, &alone, server.address);
            let work = move || {
                let stream = Stream::open(address, "/v1/completions", &asked(index % 20, 48)).unwrap();
                begun.fetch_add(1, Ordering::SeqCst);
                assert_eq!(stream.text().unwrap(), alone[index % 20]);
            };
            std::thread::Builder::new().stack_size(STACK).spawn_scoped(scope, work).unwrap()
        };
        let streams: Vec<_> = (0..200).map(spawn).collect();
        while begun.load(Ordering::SeqCst) < 200 {
            std::thread::sleep(Duration::from_millis(2));
        }
        server.terminate();
        // The flag is looked at many times a second; until then requests are taken.
        let refused = (0..500).find_map(|_| {
            std::thread::sleep(Duration::from_millis(2));
            let ready = exchange(server.address, request("GET", "/health/ready", &[], "").as_bytes()).ok()?;
            (ready.status == 503).then(|| server.post("/v1/completions", &asked(0, 1)))
        });
        let refused = refused.expect("a server that ends says so");
        assert_eq!((refused.status, refused.header("connection")), (503, Some("close")));
        assert_eq!(server.get("/health/live").status, 200);
        streams.into_iter().for_each(|stream| stream.join().unwrap());
    });
    assert!(server.wait().success());
}
