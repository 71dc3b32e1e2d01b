//! `pull`, `list`, `show` and `rm` over a hub on this machine: a real HTTP conversation, a real cache.

use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::thread;

use super::runner::{Program, with_tokenizer};

const COMMIT: &str = "0123456789abcdef0123456789abcdef01234567";

/// A hub that has one model, `owner/model`, made of the files of a directory.
struct Server {
    endpoint: String,
}

impl Server {
    fn start(files: PathBuf) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        thread::spawn(move || {
            for stream in listener.incoming() {
                let files = files.clone();
                thread::spawn(move || serve(stream.unwrap(), &files));
            }
        });
        Self { endpoint }
    }
}

fn serve(stream: TcpStream, files: &Path) {
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    let mut out = stream;
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line).unwrap_or(0) == 0 {
            return;
        }
        loop {
            let mut header = String::new();
            if reader.read_line(&mut header).unwrap_or(0) == 0 || header.trim().is_empty() {
                break;
            }
        }
        let mut words = line.split_whitespace();
        let (method, path) = (words.next().unwrap_or(""), words.next().unwrap_or(""));
        let path = path.split('?').next().unwrap_or("");
        let (status, body) = answer(path, files);
        let tag = git_id(&body);
        let _ = write!(
            out,
            "HTTP/1.1 {status}\r\nContent-Length: {}\r\nETag: \"{tag}\"\r\nX-Repo-Commit: {COMMIT}\r\n\
             Content-Type: application/json\r\n\r\n",
            body.len()
        );
        if method != "HEAD" {
            let _ = out.write_all(&body);
        }
        let _ = out.flush();
    }
}

fn answer(path: &str, files: &Path) -> (&'static str, Vec<u8>) {
    // The same files, as a model and as a data set.
    let as_model = path.replacen("/api/datasets/", "/api/models/", 1).replacen("/datasets/", "/", 1);
    let path = as_model.as_str();
    if path.starts_with("/api/models/owner/model") {
        let names = std::fs::read_dir(files).unwrap().map(|e| e.unwrap());
        let siblings: Vec<serde_json::Value> = names
            .map(|entry| {
                let bytes = std::fs::read(entry.path()).unwrap();
                let name = entry.file_name().into_string().unwrap();
                serde_json::json!({"rfilename": name, "size": bytes.len(), "blobId": git_id(&bytes)})
            })
            .collect();
        let body = serde_json::json!({"id": "owner/model", "sha": COMMIT, "siblings": siblings});
        return ("200 OK", body.to_string().into_bytes());
    }
    match path.strip_prefix("/owner/model/resolve/").and_then(|rest| rest.split_once('/')) {
        Some((_, name)) if files.join(name).is_file() => ("200 OK", std::fs::read(files.join(name)).unwrap()),
        _ => ("404 Not Found", b"{\"error\": \"not found\"}".to_vec()),
    }
}

/// What git would call these bytes, which is how a hub names small files: SHA-1 of a header and the bytes.
fn git_id(bytes: &[u8]) -> String {
    let text = [format!("blob {}\0", bytes.len()).as_bytes(), bytes].concat();
    sha1(&text).iter().map(|b| format!("{b:02x}")).collect()
}

/// FIPS 180-4, for the test server alone.
fn sha1(message: &[u8]) -> [u8; 20] {
    let mut state: [u32; 5] = [0x6745_2301, 0xefcd_ab89, 0x98ba_dcfe, 0x1032_5476, 0xc3d2_e1f0];
    let mut padded = message.to_vec();
    padded.push(0x80);
    while padded.len() % 64 != 56 {
        padded.push(0);
    }
    padded.extend((message.len() as u64 * 8).to_be_bytes());
    for block in padded.chunks(64) {
        let mut w: Vec<u32> = block.chunks(4).map(|b| u32::from_be_bytes(b.try_into().unwrap())).collect();
        for i in 16..80 {
            w.push((w[i - 3] ^ w[i - 8] ^ w[i - 14] ^ w[i - 16]).rotate_left(1));
        }
        let [mut a, mut b, mut c, mut d, mut e] = state;
        for (i, word) in w.iter().enumerate() {
            let (f, k) = match i {
                0..20 => ((b & c) | (!b & d), 0x5a82_7999),
                20..40 => (b ^ c ^ d, 0x6ed9_eba1),
                40..60 => ((b & c) | (b & d) | (c & d), 0x8f1b_bcdc),
                _ => (b ^ c ^ d, 0xca62_c1d6_u32),
            };
            let next = a.rotate_left(5).wrapping_add(f).wrapping_add(e).wrapping_add(k).wrapping_add(*word);
            (e, d, c, b, a) = (d, c, b.rotate_left(30), a, next);
        }
        for (s, x) in state.iter_mut().zip([a, b, c, d, e]) {
            *s = s.wrapping_add(x);
        }
    }
    let mut out = [0; 20];
    for (bytes, s) in out.chunks_mut(4).zip(state) {
        bytes.copy_from_slice(&s.to_be_bytes());
    }
    out
}

#[test]
fn a_data_set_is_fetched_and_tokenized() {
    let temp = tempfile::tempdir().unwrap();
    let files = temp.path().join("set");
    std::fs::create_dir(&files).unwrap();
    let lines = |word: &str| (0..20).map(|n| format!("{{\"text\": \"{word} {n}\"}}\n")).collect::<String>();
    std::fs::write(files.join("train-0.jsonl"), lines("a rainy day")).unwrap();
    std::fs::write(files.join("test-0.jsonl"), lines("never seen")).unwrap();
    std::fs::write(files.join("README.md"), "# Days").unwrap();
    let server = Server::start(files);
    let home = temp.path().join("hf");
    let with = |args: &[&str], offline: &str| {
        let program = Program::new(args.iter().copied()).env("HF_HOME", &home).env("HF_ENDPOINT", &server.endpoint);
        program.env("HF_HUB_OFFLINE", offline).run()
    };
    let tokenizer = temp.path().join("tokenizer.json").display().to_string();
    let learned = with(&["data", "bpe", "owner/model", "-o", &tokenizer, "--vocab-size", "270", "--json"], "0");
    assert!(learned.stderr.contains("1 of its 3 files"), "{}", learned.stderr);
    assert_eq!(learned.json()["documents"], 20);
    // Now from the cache alone.
    let output = temp.path().join("out").display().to_string();
    let args = ["data", "tokenize", "datasets/owner/model", "--tokenizer", &tokenizer, "-o", &output, "--json"];
    let report = with(&args, "1").json();
    assert_eq!(report["train"]["documents"], 20);
    let manifest = std::fs::read_to_string(temp.path().join("out/manifest.json")).unwrap();
    assert!(manifest.contains(&format!("\"datasets/owner/model@{COMMIT}/train-0.jsonl\"")), "{manifest}");
    let absent = with(&["data", "tokenize", "other/set", "--tokenizer", &tokenizer, "-o", &output], "0");
    assert_eq!(absent.code, Some(3), "{}", absent.stderr);
    assert!(absent.stderr.contains("no data set `datasets/other/set`"), "{}", absent.stderr);
}

#[test]
fn a_model_is_pulled_listed_shown_run_and_removed() {
    let temp = tempfile::tempdir().unwrap();
    let files = with_tokenizer("gpt_neo", temp.path());
    std::fs::remove_file(files.join("golden.safetensors")).unwrap();
    let server = Server::start(files);
    let home = temp.path().join("hf");
    let with = |args: &[&str], offline: &str| {
        Program::new(args.iter().copied())
            .env("HF_HOME", &home)
            .env("HF_ENDPOINT", &server.endpoint)
            .env("HF_HUB_OFFLINE", offline)
            .run()
    };
    assert_eq!(with(&["list", "--json"], "0").json()["models"], serde_json::json!([]));
    assert_eq!(with(&["show", "owner/model"], "0").code, Some(3), "nothing is downloaded for a look");

    let pulled = with(&["pull", "owner/model", "--json"], "0").json();
    assert_eq!(pulled["commit"], COMMIT);
    assert!(pulled["fetched_files"].as_u64().unwrap() >= 4, "{pulled}");
    assert_eq!(with(&["pull", "owner/model", "--json"], "0").json()["fetched_files"], 0);

    let listed = with(&["list", "--json"], "1").json();
    assert_eq!(listed["models"][0]["id"], "owner/model");
    assert_eq!(listed["models"][0]["complete"], true);
    assert!(with(&["list"], "1").text().contains("owner/model"));
    assert_eq!(with(&["show", "owner/model", "--json"], "1").json()["family"], "gpt_neo");
    let run = with(&["run", "in a", "-m", "owner/model", "-n", "3", "--temp", "0", "--ignore-eos", "--json"], "1");
    assert_eq!(run.json()["completion_tokens"], 3);

    let removed = with(&["rm", "owner/model", "--json"], "1").json();
    assert!(removed["freed_bytes"].as_u64().unwrap() > 10_000);
    assert_eq!(with(&["rm", "owner/model"], "1").code, Some(3));
    let on_demand = with(&["run", "in a", "-m", "owner/model", "-n", "3", "--ignore-eos", "--json"], "0");
    assert_eq!(on_demand.json()["completion_tokens"], 3);
    let doctor = with(&["doctor", "--hub", "--json"], "0").json();
    let hub = doctor["checks"].as_array().unwrap().iter().find(|c| c["name"] == "hub answers").unwrap().clone();
    assert_eq!(hub["ok"], true, "{hub}");
}
