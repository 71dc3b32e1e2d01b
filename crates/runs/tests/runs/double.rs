//! A server for one test: it answers as a closure says, cuts connections when asked to, and remembers every call.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

use serde_json::Value;

/// What a client asked for.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Call {
    pub(crate) method: String,
    /// Path and query.
    pub(crate) path: String,
    pub(crate) authorization: Option<String>,
    pub(crate) body: Value,
}

/// What becomes of a call.
pub(crate) enum Reply {
    /// A status and a JSON body.
    Answer(u16, Value),
    /// The connection ends without a word.
    Cut,
}

/// A running server; its thread ends with the process.
pub(crate) struct Double {
    pub(crate) address: String,
    calls: Arc<Mutex<Vec<Call>>>,
}

impl Double {
    pub(crate) fn start(mut answer: impl FnMut(&Call) -> Reply + Send + 'static) -> Double {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let calls = Arc::new(Mutex::new(Vec::new()));
        let seen = Arc::clone(&calls);
        thread::spawn(move || {
            for stream in listener.incoming() {
                serve(stream.unwrap(), &mut answer, &seen);
            }
        });
        Double { address, calls }
    }

    /// Every call that was answered with a yes or a no, and those that were cut.
    pub(crate) fn calls(&self) -> Vec<Call> {
        self.calls.lock().unwrap().clone()
    }
}

fn serve(stream: TcpStream, answer: &mut impl FnMut(&Call) -> Reply, seen: &Mutex<Vec<Call>>) {
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    let mut line = String::new();
    if reader.read_line(&mut line).unwrap_or(0) == 0 {
        return;
    }
    let mut words = line.split_whitespace();
    let (method, path) = (words.next().unwrap().to_owned(), words.next().unwrap().to_owned());
    let (mut length, mut authorization) = (0, None);
    loop {
        let mut header = String::new();
        reader.read_line(&mut header).unwrap();
        let Some((name, value)) = header.trim().split_once(": ") else { break };
        match name.to_ascii_lowercase().as_str() {
            "content-length" => length = value.parse().unwrap(),
            "authorization" => authorization = Some(value.to_owned()),
            _ => {}
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).unwrap();
    let body = if body.is_empty() { Value::Null } else { serde_json::from_slice(&body).unwrap() };
    let call = Call { method, path, authorization, body };
    let reply = answer(&call);
    seen.lock().unwrap().push(call);
    if let Reply::Answer(status, body) = reply {
        let body = body.to_string();
        let head = format!("HTTP/1.1 {status} X\r\nContent-Length: {}\r\nConnection: close\r\n\r\n", body.len());
        let _ = (&stream).write_all((head + &body).as_bytes());
    }
}
