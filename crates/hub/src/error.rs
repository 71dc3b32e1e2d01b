//! Everything that can go wrong between here and a hub, in words that say what to do.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Why a model or a file could not be had.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum HubError {
    /// A setting that cannot be used.
    #[error("{name}: {why}")]
    BadSetting {
        /// The setting, as the user knows it.
        name: &'static str,
        /// What is wrong and what would be right.
        why: String,
    },
    /// A text that is no model id.
    #[error("`{id}` is not a model id: {why} (wanted NAME or OWNER/NAME, then @REVISION and :FILE.gguf if you like)")]
    BadId {
        /// The text.
        id: String,
        /// What is wrong with it.
        why: &'static str,
    },
    /// A file name from the server that must not become a path here.
    #[error("the hub lists a file named {name:?}, which is refused: {why}")]
    BadName {
        /// The name, shortened if long.
        name: String,
        /// The rule it breaks.
        why: &'static str,
    },
    /// 401.
    #[error("{what}: access denied (401): {}", if *.had_token {
        "the token was not accepted; check HF_TOKEN, or make a new one in the settings of your account at the hub"
    } else {
        "no such model, or it is private; check the name, or set HF_TOKEN to a token that may read it"
    })]
    Unauthorized {
        /// The model or URL.
        what: String,
        /// Whether a token was sent.
        had_token: bool,
    },
    /// 403, most often a gated model.
    #[error("{what}: not allowed (403): {}", if *.had_token {
        "open the model's page at the hub and accept its terms, or use a token with more rights"
    } else {
        "the model is gated; accept its terms on its page at the hub, then set HF_TOKEN"
    })]
    Forbidden {
        /// The model or URL.
        what: String,
        /// Whether a token was sent.
        had_token: bool,
    },
    /// The hub knows no such model.
    #[error("no {} `{id}` at {endpoint}; check the spelling (owner/name){}", kind_of(.id), did_you_mean(.near))]
    NoSuchModel {
        /// The id asked for.
        id: String,
        /// Where.
        endpoint: String,
        /// Cached models with a similar name.
        near: Vec<String>,
    },
    /// The model exists, the revision does not.
    #[error("`{id}` has no revision `{revision}`; name a branch, a tag or a full commit hash")]
    NoSuchRevision {
        /// The model.
        id: String,
        /// The revision asked for.
        revision: String,
    },
    /// The revision exists, the file does not.
    #[error("`{id}` has no file `{file}`{}", did_you_mean(.near))]
    NoSuchFile {
        /// The model.
        id: String,
        /// The file asked for.
        file: String,
        /// Files that may have been meant.
        near: Vec<String>,
    },
    /// 404 for a plain URL.
    #[error("{url}: not found (404)")]
    NotFound {
        /// The URL, without its query.
        url: String,
    },
    /// A data set without files of a known format.
    #[error("`{id}` has no files that can be read here{}; try @refs/convert/parquet after its name", it_has(.found))]
    NoData {
        /// The data set.
        id: String,
        /// Files that it has instead.
        found: Vec<String>,
    },
    /// Several GGUF files fit.
    #[error("`{id}` has several GGUF files that fit; name one, as in {id}:{}", .files.join(", or "))]
    ManyFiles {
        /// The model.
        id: String,
        /// The files.
        files: Vec<String>,
    },
    /// The repository holds nothing that can be run.
    #[error("`{id}` has no weights in a form that can be read (safetensors, pytorch_model.bin, gguf){}", it_has(.found))]
    NoWeights {
        /// The model.
        id: String,
        /// Weight files of other frameworks that it has.
        found: Vec<String>,
    },
    /// Offline, and not (or not completely) in the cache.
    #[error(
        "`{id}` is not {} in the cache ({}) and HF_HUB_OFFLINE forbids asking for it; unset it, or run `pull {id}` where there is a network{}",
        if *.partial { "complete" } else { "there" }, .cache.display(), did_you_mean(.near)
    )]
    Offline {
        /// The model.
        id: String,
        /// The cache folder.
        cache: PathBuf,
        /// Whether some of it is there.
        partial: bool,
        /// Cached models with a similar name.
        near: Vec<String>,
    },
    /// A plain URL while offline.
    #[error("{url}: HF_HUB_OFFLINE forbids the network; unset it to download")]
    OfflineUrl {
        /// The URL, without its query.
        url: String,
    },
    /// Not in the cache.
    #[error("`{id}` is not in the cache ({}){}", .cache.display(), did_you_mean(.near))]
    NotCached {
        /// The model.
        id: String,
        /// The cache folder.
        cache: PathBuf,
        /// Cached models with a similar name.
        near: Vec<String>,
    },
    /// No answer from the host.
    #[error("{host}: {why}{}", in_brackets(.detail))]
    Unreachable {
        /// Host and port.
        host: String,
        /// In which way.
        why: Unreachable,
        /// What the system said.
        detail: String,
    },
    /// An answer that the server cannot mean: 4xx and 5xx not named above, after all attempts.
    #[error("{url}: the server answered {status}{}{}", in_brackets(.message), wait(.retry_after))]
    Status {
        /// The URL, without its query.
        url: String,
        /// The HTTP status.
        status: u16,
        /// The server's own words, shortened.
        message: String,
        /// How long the server asked us to wait.
        retry_after: Option<Duration>,
    },
    /// The connection ended before the file did.
    #[error("{what}: the connection ended after {found} of {wanted} bytes; run the command again to go on from there")]
    Cut {
        /// The file.
        what: String,
        /// Bytes announced.
        wanted: u64,
        /// Bytes that arrived.
        found: u64,
    },
    /// More or fewer bytes than announced.
    #[error("{what}: the server announced {wanted} bytes and sent {found}")]
    WrongLength {
        /// The file.
        what: String,
        /// Bytes announced.
        wanted: u64,
        /// Bytes sent, or offered.
        found: u64,
    },
    /// The bytes are not the announced ones, twice in a row.
    #[error(
        "{what}: damaged in transit twice: its hash is {found}, wanted {wanted}; nothing was kept. Try again later, or another HF_ENDPOINT"
    )]
    Checksum {
        /// The file.
        what: String,
        /// The hash wanted, with its kind.
        wanted: String,
        /// The hash found.
        found: String,
    },
    /// A redirect that is not followed.
    #[error("{from}: redirect to {to} refused: {why}")]
    Redirect {
        /// The URL that redirected.
        from: String,
        /// Where to.
        to: String,
        /// The rule it breaks.
        why: &'static str,
    },
    /// The disk is, or would be, full.
    #[error("no space on the disk of {}: {}; free some, or set HF_HOME to a folder on another disk", .path.display(), space(.needed, .available))]
    NoSpace {
        /// The folder written to.
        path: PathBuf,
        /// Bytes still to be written, where known.
        needed: Option<u64>,
        /// Bytes available, where known.
        available: Option<u64>,
    },
    /// An answer that does not follow the protocol.
    #[error("{url}: {why}; is this a Hugging Face hub? (check HF_ENDPOINT)")]
    Protocol {
        /// The URL, without its query.
        url: String,
        /// What is wrong with the answer.
        why: String,
    },
    /// The model is being pulled by another process.
    #[error("`{id}` is being downloaded by another process; wait for it, or stop it first")]
    Busy {
        /// The model.
        id: String,
    },
    /// The caller asked to stop. What had arrived is kept and will be continued.
    #[error("interrupted; run the command again to go on from where it stopped")]
    Cancelled,
    /// The file system refused.
    #[error("{}: cannot {doing}: {source}", .path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// The operation, as in "cannot ...".
        doing: &'static str,
        /// What the system said.
        source: io::Error,
    },
}

/// In which way a host did not answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Unreachable {
    /// The name has no address, which is also what a machine without a network sees.
    Name,
    /// Nothing listens there.
    Refused,
    /// There is no way to the network of that host.
    NoRoute,
    /// Silence for longer than the timeout.
    Timeout,
    /// The connection broke.
    Broken,
    /// No trustworthy encrypted connection could be made.
    Tls,
    /// The proxy would not connect.
    Proxy,
}

impl fmt::Display for Unreachable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Unreachable::Name => "the name cannot be resolved; is there a network? (HF_HUB_OFFLINE=1 uses the cache alone)",
            Unreachable::Refused => "the connection was refused; check HF_ENDPOINT and the proxy settings",
            Unreachable::NoRoute => "there is no route to the host; is there a network?",
            Unreachable::Timeout => "no answer in time; try again, or raise HF_HUB_DOWNLOAD_TIMEOUT",
            Unreachable::Broken => "the connection broke",
            Unreachable::Tls => {
                "no trusted connection (TLS); behind a proxy that inspects traffic, set SSL_CERT_FILE to its certificate"
            }
            Unreachable::Proxy => "the proxy refused to connect; check HTTPS_PROXY and NO_PROXY",
        })
    }
}

impl HubError {
    /// Whether the same request may succeed a little later.
    pub fn is_transient(&self) -> bool {
        match self {
            HubError::Unreachable { why, .. } => !matches!(why, Unreachable::Tls | Unreachable::Proxy),
            HubError::Status { status, .. } => matches!(status, 408 | 425 | 429 | 500 | 502 | 503 | 504),
            HubError::Cut { .. } => true,
            _ => false,
        }
    }

    pub(crate) fn io(path: &Path, doing: &'static str, source: io::Error) -> HubError {
        match source.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
                HubError::NoSpace { path: path.to_owned(), needed: None, available: None }
            }
            _ => HubError::Io { path: path.to_owned(), doing, source },
        }
    }
}

fn kind_of(id: &str) -> &'static str {
    if id.starts_with("datasets/") { "data set" } else { "model" }
}

fn did_you_mean(names: &[String]) -> String {
    if names.is_empty() { String::new() } else { format!("; did you mean {}?", names.join(", or ")) }
}

fn it_has(names: &[String]) -> String {
    if names.is_empty() { String::new() } else { format!("; it has {}", names.join(", ")) }
}

fn in_brackets(text: &str) -> String {
    if text.is_empty() { String::new() } else { format!(" ({text})") }
}

fn wait(time: &Option<Duration>) -> String {
    time.map_or(String::new(), |t| format!("; it asks to wait {} s", t.as_secs()))
}

fn space(needed: &Option<u64>, available: &Option<u64>) -> String {
    match (needed, available) {
        (Some(n), Some(a)) => format!("{n} bytes are needed, {a} are free"),
        _ => "it is full".to_owned(),
    }
}
