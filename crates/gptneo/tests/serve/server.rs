//! A server that runs for a test.

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread::JoinHandle;

use crate::http::{self, Response};

/// A running `gptneo serve`; killed when it is dropped before its end.
pub(crate) struct Server {
    child: Child,
    pub(crate) address: SocketAddr,
    said: Option<JoinHandle<String>>,
}

impl Server {
    /// Starts one on a free port, and waits until it is ready.
    pub(crate) fn start(flags: &[&str]) -> Self {
        Self::spawn(Command::new(env!("CARGO_BIN_EXE_gptneo")).args(["serve", "--port", "0"]).args(flags))
    }

    /// As [`start`](Self::start), in a shell that first does something else.
    pub(crate) fn start_after(shell: &str, flags: &[&str]) -> Self {
        let script = format!("{shell}; exec \"$@\"");
        let words = ["-c", &script, "sh", env!("CARGO_BIN_EXE_gptneo"), "serve", "--port", "0"];
        Self::spawn(Command::new("sh").args(words).args(flags))
    }

    fn spawn(command: &mut Command) -> Self {
        let mut child = command
            .env_remove("HF_HOME")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let (told, heard): (_, Receiver<SocketAddr>) = channel();
        let said = std::thread::spawn(move || {
            let (mut said, mut address) = (String::new(), None);
            for line in lines.map_while(Result::ok) {
                if let Some(at) = line.strip_prefix("listening on http://") {
                    address = at.parse().ok();
                }
                if line.starts_with("ready") {
                    let _ = told.send(address.unwrap());
                }
                said.push_str(&line);
                said.push('\n');
            }
            said
        });
        match heard.recv() {
            Ok(address) => Self { child, address, said: Some(said) },
            Err(_) => panic!("the server did not start: {}", said.join().unwrap()),
        }
    }

    /// Tells it to end.
    pub(crate) fn terminate(&self) {
        let pid = self.child.id().to_string();
        assert!(Command::new("kill").args(["-TERM", &pid]).status().unwrap().success());
    }

    /// Waits for its end; it must not have panicked anywhere on the way.
    pub(crate) fn wait(mut self) -> ExitStatus {
        let status = self.child.wait().unwrap();
        let said = self.said.take().unwrap().join().unwrap();
        assert!(!said.contains("panicked"), "{said}");
        status
    }

    /// Ends it, and holds it to a clean end.
    pub(crate) fn end(self) {
        self.terminate();
        let status = self.wait();
        assert!(status.success(), "{status}");
    }

    /// Bytes that it holds.
    pub(crate) fn resident(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
        line.split_whitespace().next().unwrap().parse::<u64>().unwrap() * 1024
    }

    /// A value that it tells a Prometheus.
    pub(crate) fn metric(&self, name: &str) -> f64 {
        let text = self.get("/metrics").text();
        let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' ').map(str::to_owned));
        line.unwrap_or_else(|| panic!("no {name} in {text}")).parse().unwrap()
    }

    pub(crate) fn get(&self, path: &str) -> Response {
        http::exchange(self.address, http::request("GET", path, &[], "").as_bytes()).unwrap()
    }

    pub(crate) fn post(&self, path: &str, body: &str) -> Response {
        http::exchange(self.address, http::request("POST", path, &[], body).as_bytes()).unwrap()
    }

    pub(crate) fn send(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> Response {
        http::exchange(self.address, http::request(method, path, headers, body).as_bytes()).unwrap()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
