//! A real server on a port of its own, with a tiny model of random weights, and a client that knows just enough HTTP.

#![allow(dead_code, reason = "each test binary uses a part")]

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::channel;
use std::thread::JoinHandle;
use std::time::Duration;

use gptneo_engine::{Rail, Scheduler, SchedulerOptions};
use gptneo_kernels::{Cpu, CpuOptions};
use gptneo_model::{Config, LoadOptions, RandomSource, load, shapes};
use gptneo_serve::{Allowance, Doors, Keys, Limits, Loaded, Offer, Options, Presets, Server, Source};
use gptneo_text::{ChatTemplate, Tokenizer, WordCounts};
use serde_json::Value;

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(60);

/// A tokenizer of bytes, and an end-of-text token.
pub(crate) fn tokenizer() -> Tokenizer {
    WordCounts::new().learn(257, 2).unwrap()
}

/// A GPT-Neo that is nobody's: two narrow layers, 128 tokens of context.
pub(crate) struct Tiny {
    pub(crate) rails: Vec<Arc<dyn Rail>>,
    pub(crate) card: Option<String>,
    pub(crate) template: bool,
}

impl Source for Tiny {
    fn load(&self) -> Result<Loaded, String> {
        let mut config = Config {
            vocab: 257,
            positions: 128,
            width: 32,
            heads: 2,
            inner: 64,
            bos: Some(256),
            eos: Some(256),
            ..shapes::config("gpt-neo-125m").unwrap()
        };
        config.reach.truncate(2);
        let cpu = Cpu::new(CpuOptions { threads: Some(1), ..CpuOptions::default() }).unwrap();
        let options = LoadOptions { cache_positions: Some(1024), ..LoadOptions::default() };
        let source = RandomSource::new(config, 1);
        let model = load(cpu, &source, &options, &mut |_| ()).map_err(|error| error.to_string())?.decoder;
        let options = SchedulerOptions { max_sequences: 4, max_queue: 16, ..SchedulerOptions::default() };
        let scheduler = Scheduler::new(Box::new(model), Some(tokenizer()), self.rails.clone(), options);
        let template = self.template.then(|| ChatTemplate::named("plain").unwrap());
        Ok(Loaded { scheduler, template })
    }

    fn bytes(&self) -> u64 {
        1_000_000
    }

    fn card(&self) -> Option<String> {
        self.card.clone()
    }

    fn rails(&self) -> Vec<String> {
        self.rails.iter().map(|rail| rail.name().to_owned()).collect()
    }
}

/// An offer of a [`Tiny`].
pub(crate) fn offer(name: &str, tiny: Tiny) -> Offer {
    Offer { name: name.to_owned(), source: Arc::new(tiny), adapters: Vec::new(), created: 7 }
}

/// A plain [`Tiny`].
pub(crate) fn tiny() -> Tiny {
    Tiny { rails: Vec::new(), card: None, template: false }
}

/// What a server is that nobody has wishes about.
pub(crate) fn options(models: Vec<Offer>) -> Options {
    Options {
        models,
        memory: Some(8_000_000),
        requests: 16,
        keys: Keys::default(),
        allowance: Allowance::default(),
        limits: Limits::default(),
        doors: Doors::default(),
        grpc: None,
        tls: None,
        drain: Duration::from_secs(5),
        presets: Presets::built_in(),
        runs: None,
        reviews: None,
        version: "0.0.0-test".to_owned(),
    }
}

/// A server that runs until this is dropped.
pub(crate) struct Running {
    pub(crate) address: SocketAddr,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Running {
    /// Starts it, and waits until it is ready.
    pub(crate) fn start(options: Options) -> Self {
        let server = Server::bind(options, "127.0.0.1:0".parse().unwrap()).unwrap();
        let address = server.address().unwrap();
        let stop = Arc::new(AtomicBool::new(false));
        let (ready, told) = channel();
        let flag = Arc::clone(&stop);
        let thread = std::thread::spawn(move || server.run(&flag, |_| ready.send(()).unwrap()).unwrap());
        told.recv_timeout(PATIENCE).unwrap();
        Self { address, stop, thread: Some(thread) }
    }

    pub(crate) fn get(&self, path: &str) -> Reply {
        self.send("GET", path, &[], None)
    }

    pub(crate) fn delete(&self, path: &str) -> Reply {
        self.send("DELETE", path, &[], None)
    }

    pub(crate) fn post(&self, path: &str, body: &Value) -> Reply {
        self.send("POST", path, &[], Some(body.to_string()))
    }

    /// One request on a connection of its own.
    pub(crate) fn send(&self, method: &str, path: &str, headers: &[(&str, &str)], body: Option<String>) -> Reply {
        let mut stream = TcpStream::connect(self.address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let mut request = format!("{method} {path} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n", self.address);
        headers.iter().for_each(|(name, value)| request.push_str(&format!("{name}: {value}\r\n")));
        if let Some(body) = &body {
            request.push_str(&format!("Content-Type: application/json\r\nContent-Length: {}\r\n", body.len()));
        }
        request.push_str("\r\n");
        request.push_str(body.as_deref().unwrap_or_default());
        stream.write_all(request.as_bytes()).unwrap();
        let mut bytes = Vec::new();
        stream.read_to_end(&mut bytes).unwrap();
        Reply::read(&bytes)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::SeqCst);
        if let Some(thread) = self.thread.take() {
            let ended = thread.join();
            assert!(ended.is_ok() || std::thread::panicking(), "the server ended in a panic");
        }
    }
}

/// What came back.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) text: String,
}

impl Reply {
    fn read(bytes: &[u8]) -> Self {
        let end = bytes.windows(4).position(|four| four == b"\r\n\r\n").unwrap();
        let head = std::str::from_utf8(&bytes[..end]).unwrap();
        let mut lines = head.split("\r\n");
        let status = lines.next().unwrap().split(' ').nth(1).unwrap().parse().unwrap();
        let pair = |line: &str| line.split_once(": ").map(|(name, value)| (name.to_lowercase(), value.to_owned()));
        let headers: Vec<(String, String)> = lines.filter_map(pair).collect();
        let chunked = headers.iter().any(|(name, value)| name == "transfer-encoding" && value == "chunked");
        let body = if chunked { unchunked(&bytes[end + 4..]) } else { bytes[end + 4..].to_vec() };
        Self { status, headers, text: String::from_utf8(body).unwrap() }
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// The body of an answer without fault.
    pub(crate) fn json(&self) -> Value {
        assert_eq!(self.status, 200, "{}", self.text);
        serde_json::from_str(&self.text).unwrap()
    }

    /// Status, code and message of an answer that is one of OpenAI's errors.
    pub(crate) fn error(&self) -> (u16, String, String) {
        let value: Value = serde_json::from_str(&self.text).unwrap_or_else(|_| panic!("no error: {}", self.text));
        let field = |name: &str| value["error"][name].as_str().unwrap_or_default().to_owned();
        assert!(!field("type").is_empty(), "{value}");
        (self.status, field("code"), field("message"))
    }
}

/// The bytes of a body in chunks, which must end with the last one.
fn unchunked(mut bytes: &[u8]) -> Vec<u8> {
    let mut body = Vec::new();
    loop {
        let end = bytes.windows(2).position(|two| two == b"\r\n").expect("the body broke off");
        let size = usize::from_str_radix(std::str::from_utf8(&bytes[..end]).unwrap(), 16).unwrap();
        if size == 0 {
            return body;
        }
        body.extend_from_slice(&bytes[end + 2..end + 2 + size]);
        bytes = &bytes[end + 4 + size..];
    }
}
