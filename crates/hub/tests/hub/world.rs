//! A hub with one model, a second host that keeps its large files, and a cache.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use gptneo_hub::{Event, Hub, HubError, HubSettings, ModelId, PullOptions, Pulled, Retry, Token};
use sha1::{Digest, Sha1};
use sha2::Sha256;
use tempfile::TempDir;

use crate::server::{Reply, Request, Server};

pub(crate) const ID: &str = "EleutherAI/gpt-neo-test";

type Effect = Arc<dyn Fn(&Request, Reply) -> Reply + Send + Sync>;

/// Changes the replies to some requests, a number of times.
struct Fault {
    /// A part of `METHOD /path`.
    on: String,
    times: usize,
    effect: Effect,
}

struct State {
    commit: String,
    files: BTreeMap<String, Vec<u8>>,
    faults: Vec<Fault>,
    cdn: String,
}

pub(crate) struct World {
    pub(crate) hub: Server,
    /// On another port, which is another origin.
    pub(crate) cdn: Server,
    pub(crate) cache: TempDir,
    state: Arc<Mutex<State>>,
    pub(crate) settings: HubSettings,
    pub(crate) events: Arc<Mutex<Vec<String>>>,
}

/// Bytes without a pattern that a shifted copy would repeat.
pub(crate) fn noise(length: usize, seed: u64) -> Vec<u8> {
    let mut state = seed | 1;
    let mut next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 56) as u8
    };
    (0..length).map(|_| next()).collect()
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

pub(crate) fn sha256(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes))
}

fn is_large(name: &str) -> bool {
    [".safetensors", ".bin", ".gguf", ".h5"].iter().any(|end| name.ends_with(end))
}

/// The tag that the hub gives a file: sha256 in large-file storage, else the git object id.
pub(crate) fn etag(name: &str, bytes: &[u8]) -> String {
    if is_large(name) {
        sha256(bytes)
    } else {
        hex(&Sha1::new().chain_update(format!("blob {}\0", bytes.len())).chain_update(bytes).finalize())
    }
}

impl World {
    /// A model in one file, with copies for other frameworks.
    pub(crate) fn small() -> World {
        World::with(&[
            ("README.md", b"# A model".to_vec()),
            ("config.json", br#"{"model_type":"gpt_neo"}"#.to_vec()),
            ("generation_config.json", b"{}".to_vec()),
            ("tokenizer.json", noise(3_000, 1)),
            ("vocab.json", b"{}".to_vec()),
            ("merges.txt", b"".to_vec()),
            ("model.safetensors", noise(900_000, 2)),
            ("pytorch_model.bin", noise(1_000, 3)),
            ("tf_model.h5", noise(1_000, 4)),
        ])
    }

    pub(crate) fn with(files: &[(&str, Vec<u8>)]) -> World {
        let files = files.iter().map(|(name, bytes)| ((*name).to_owned(), bytes.clone())).collect();
        let state = State { commit: "a".repeat(40), files, faults: Vec::new(), cdn: String::new() };
        let state = Arc::new(Mutex::new(state));
        let serve = |state: Arc<Mutex<State>>| move |request: &Request| respond(&state, request);
        let hub = Server::start(serve(state.clone()));
        let cdn = Server::start(serve(state.clone()));
        state.lock().unwrap().cdn = cdn.url();
        let cache = tempfile::tempdir().unwrap();
        let mut settings = HubSettings::new(cache.path());
        settings.endpoint = hub.url();
        settings.retry = Retry { attempts: 4, base: Duration::from_millis(1), ..Retry::default() };
        World { hub, cdn, cache, state, settings, events: Arc::default() }
    }

    pub(crate) fn set_file(&self, name: &str, bytes: &[u8]) {
        self.state.lock().unwrap().files.insert(name.to_owned(), bytes.to_vec());
    }

    pub(crate) fn set_commit(&self, digit: &str) {
        self.state.lock().unwrap().commit = digit.repeat(40);
    }

    pub(crate) fn file(&self, name: &str) -> Vec<u8> {
        self.state.lock().unwrap().files[name].clone()
    }

    pub(crate) fn fault(
        &self,
        on: &str,
        times: usize,
        effect: impl Fn(&Request, Reply) -> Reply + Send + Sync + 'static,
    ) -> &World {
        let fault = Fault { on: on.to_owned(), times, effect: Arc::new(effect) };
        self.state.lock().unwrap().faults.push(fault);
        self
    }

    pub(crate) fn set_token(&mut self, token: &str) {
        self.settings.token = Token::new(token).unwrap();
    }

    pub(crate) fn client(&self) -> Hub {
        Hub::new(self.settings.clone()).unwrap()
    }

    pub(crate) fn pull(&self) -> Result<Pulled, HubError> {
        self.pull_as(ID, &PullOptions::default())
    }

    pub(crate) fn pull_as(&self, id: &str, options: &PullOptions) -> Result<Pulled, HubError> {
        let events = self.events.clone();
        let note = move |event: &Event<'_>| {
            // Bytes come too often to be worth keeping.
            if !matches!(event, Event::Bytes { .. }) {
                events.lock().unwrap().push(format!("{event:?}"));
            }
        };
        self.client().pull(&id.parse::<ModelId>().unwrap(), options, &note)
    }

    /// How often such an event was reported.
    pub(crate) fn told(&self, text: &str) -> usize {
        self.events.lock().unwrap().iter().filter(|e| e.contains(text)).count()
    }

    /// The requests that both hosts saw, as `METHOD /path`, sorted.
    pub(crate) fn lines(&self) -> Vec<String> {
        let mut lines: Vec<_> = self.hub.requests().iter().chain(&self.cdn.requests()).map(Request::line).collect();
        lines.sort();
        lines
    }

    /// Where files of this name began, in the order asked: the bytes moved.
    pub(crate) fn starts(&self, name: &str) -> Vec<usize> {
        let path = format!("/cdn/{name}");
        let is_get = |r: &&Request| r.method == "GET" && r.path.split('?').next() == Some(&path);
        self.cdn.requests().iter().filter(is_get).map(|r| r.range_start().unwrap_or(0)).collect()
    }

    pub(crate) fn forget(&self) {
        self.hub.forget();
        self.cdn.forget();
        self.events.lock().unwrap().clear();
    }

    pub(crate) fn model(&self) -> PathBuf {
        self.cache.path().join("models--EleutherAI--gpt-neo-test")
    }

    pub(crate) fn snapshot(&self) -> PathBuf {
        self.model().join("snapshots").join("a".repeat(40))
    }

    pub(crate) fn blob(&self, name: &str) -> PathBuf {
        self.model().join("blobs").join(etag(name, &self.file(name)))
    }

    pub(crate) fn part(&self, name: &str) -> PathBuf {
        let blob = self.blob(name);
        blob.with_file_name(format!("{}.incomplete", blob.file_name().unwrap().to_str().unwrap()))
    }

    /// Asserts that the snapshot has exactly these files, with the right bytes.
    pub(crate) fn assert_snapshot(&self, names: &[&str]) {
        assert_eq!(files_below(&self.snapshot()), names);
        for name in names {
            assert!(fs::read(self.snapshot().join(name)).unwrap() == self.file(name), "{name} has other bytes");
        }
    }
}

/// Relative paths of all files (and links) below a folder, sorted.
pub(crate) fn files_below(folder: &Path) -> Vec<String> {
    let mut names = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(next) = folders.pop() {
        for entry in fs::read_dir(&next).into_iter().flatten() {
            let entry = entry.unwrap();
            if entry.file_type().unwrap().is_dir() {
                folders.push(entry.path());
            } else {
                names.push(entry.path().strip_prefix(folder).unwrap().to_str().unwrap().to_owned());
            }
        }
    }
    names.sort();
    names
}

fn respond(state: &Mutex<State>, request: &Request) -> Reply {
    let mut locked = state.lock().unwrap();
    let reply = regular(&locked, request);
    let line = request.line();
    let Some(fault) = locked.faults.iter_mut().find(|f| f.times > 0 && line.contains(&f.on)) else { return reply };
    fault.times -= 1;
    let effect = fault.effect.clone();
    // The effect may wait for another request, so it runs without the lock.
    drop(locked);
    effect(request, reply)
}

fn regular(state: &State, request: &Request) -> Reply {
    let path = request.path.split('?').next().unwrap_or_default();
    // The same repository, once as a model and once as a data set.
    let as_model = path.replacen("/api/datasets/", "/api/models/", 1).replacen("/datasets/", "/", 1);
    let path = as_model.as_str();
    let model = format!("/api/models/{ID}/revision/");
    if let Some(revision) = path.strip_prefix(&model) {
        let is_known = ["main", "v1", "refs%2Fpr%2F1", &state.commit].contains(&revision);
        let unknown = || Reply::new(404, r#"{"error":"Invalid rev id"}"#).with("X-Error-Code", "RevisionNotFound");
        return if is_known { listing(state) } else { unknown() };
    }
    if path.starts_with("/api/models/") {
        return Reply::new(404, r#"{"error":"Repository not found"}"#);
    }
    if let Some(name) = path.strip_prefix(&format!("/{ID}/resolve/{}/", state.commit)) {
        let name = name.replace("%20", " ");
        let Some(bytes) = state.files.get(&name) else {
            return Reply::new(404, "Entry not found").with("X-Error-Code", "EntryNotFound");
        };
        let tag = format!("\"{}\"", etag(&name, bytes));
        let commit = &state.commit;
        return if is_large(&name) {
            Reply::new(302, "Found. Redirecting")
                .with("Location", format!("{}/cdn/{name}?signature=secret", state.cdn))
                .with("X-Repo-Commit", commit)
                .with("X-Linked-Size", bytes.len())
                .with("X-Linked-Etag", tag)
        } else {
            ranged(request, bytes).with("X-Repo-Commit", commit).with("ETag", tag)
        };
    }
    match path.strip_prefix("/cdn/").and_then(|name| state.files.get(name)) {
        Some(bytes) => ranged(request, bytes).with("ETag", "\"cdn-has-its-own\""),
        None => Reply::new(404, "nothing here"),
    }
}

fn listing(state: &State) -> Reply {
    let siblings: Vec<_> = state.files.keys().map(|name| serde_json::json!({ "rfilename": name })).collect();
    Reply::new(200, serde_json::json!({ "id": ID, "sha": state.commit, "siblings": siblings }).to_string())
}

fn ranged(request: &Request, bytes: &[u8]) -> Reply {
    match request.range_start() {
        None => Reply::new(200, bytes),
        Some(start) if start < bytes.len() => Reply::new(206, &bytes[start..])
            .with("Content-Range", format!("bytes {start}-{}/{}", bytes.len() - 1, bytes.len())),
        Some(_) => Reply::new(416, "").with("Content-Range", format!("bytes */{}", bytes.len())),
    }
}
