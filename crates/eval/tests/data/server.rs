//! A hub on this machine: lists the files of a data set's revisions, and serves them.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;

use sha1::{Digest, Sha1};

/// The files of a revision, by name.
pub(crate) type Files = BTreeMap<String, Vec<u8>>;

/// Revisions by `OWNER/NAME@REVISION`.
type Sets = BTreeMap<String, Files>;

pub(crate) struct Server {
    address: SocketAddr,
    asked: Arc<Mutex<Vec<String>>>,
    closing: Arc<AtomicBool>,
}

impl Server {
    pub(crate) fn start(sets: Sets) -> Server {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let (asked, closing, sets) =
            (Arc::new(Mutex::new(Vec::new())), Arc::new(AtomicBool::new(false)), Arc::new(sets));
        let (log, stop) = (asked.clone(), closing.clone());
        thread::spawn(move || {
            for stream in listener.incoming() {
                if stop.load(Ordering::SeqCst) {
                    return;
                }
                let (log, sets) = (log.clone(), sets.clone());
                // A client that goes away is no fault of ours.
                thread::spawn(move || drop(stream.map(|stream| converse(stream, &sets, &log))));
            }
        });
        Server { address, asked, closing }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The requests so far, as `METHOD PATH`, which are then forgotten.
    pub(crate) fn asked(&self) -> Vec<String> {
        std::mem::take(&mut self.asked.lock().unwrap())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.closing.store(true, Ordering::SeqCst);
        // Wakes the listener, which then sees that it should end.
        drop(TcpStream::connect(self.address));
    }
}

/// The commit that stands for a revision: any hexadecimal will do that differs.
pub(crate) fn commit_of(set: &str) -> String {
    hex(&Sha1::digest(set))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn converse(stream: TcpStream, sets: &Sets, log: &Mutex<Vec<String>>) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream);
    loop {
        let mut line = String::new();
        // No request line is this long.
        if reader.by_ref().take(8_192).read_line(&mut line)? == 0 {
            return Ok(());
        }
        let mut words = line.split_whitespace();
        let (method, path) = (words.next().unwrap_or_default().to_owned(), words.next().unwrap_or_default().to_owned());
        loop {
            let mut header = String::new();
            if reader.read_line(&mut header)? == 0 || header.trim_end().is_empty() {
                break;
            }
        }
        log.lock().unwrap().push(format!("{method} {path}"));
        let (status, headers, body) = answer(sets, &path);
        let stream = reader.get_mut();
        write!(stream, "HTTP/1.1 {status} Status\r\n{headers}Content-Length: {}\r\n\r\n", body.len())?;
        if method != "HEAD" {
            stream.write_all(&body)?;
        }
        stream.flush()?;
    }
}

fn answer(sets: &Sets, path: &str) -> (u16, String, Vec<u8>) {
    let path = path.replace("%2F", "/");
    if let Some((id, revision)) = path.strip_prefix("/api/datasets/").and_then(|rest| rest.split_once("/revision/")) {
        let set = format!("{id}@{revision}");
        let Some(files) = sets.get(&set) else {
            let known = sets.keys().any(|set| set.starts_with(&format!("{id}@")));
            let code = if known { "X-Error-Code: RevisionNotFound\r\n" } else { "" };
            return (404, code.to_owned(), b"{\"error\":\"not found\"}".to_vec());
        };
        let siblings: Vec<_> = files.keys().map(|name| serde_json::json!({ "rfilename": name })).collect();
        let body = serde_json::json!({ "id": id, "sha": commit_of(&set), "siblings": siblings });
        return (200, String::new(), body.to_string().into_bytes());
    }
    let found = path.strip_prefix("/datasets/").and_then(|rest| rest.split_once("/resolve/")).and_then(|(id, rest)| {
        let (commit, name) = rest.split_once('/')?;
        let of_commit = |(set, _): &(&String, &Files)| set.starts_with(&format!("{id}@")) && commit_of(set) == commit;
        let (_, files) = sets.iter().find(of_commit)?;
        Some((commit.to_owned(), files.get(name)?.clone()))
    });
    let Some((commit, bytes)) = found else { return (404, String::new(), b"nothing here".to_vec()) };
    let tag = hex(&Sha1::new().chain_update(format!("blob {}\0", bytes.len())).chain_update(&bytes).finalize());
    (200, format!("X-Repo-Commit: {commit}\r\nETag: \"{tag}\"\r\n"), bytes)
}
