//! What every request can reach.

use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crate::Reviews;
use crate::keys::{Allowance, Keys};
use crate::metrics::Metrics;
use crate::models::Catalogue;
use crate::presets::Presets;
use crate::rates::Rates;
use crate::room::{Pace, Room};

/// How much one request may ask for, and one connection may take.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of a body.
    pub body: usize,
    /// Bytes of a request's head.
    pub head: usize,
    /// Seconds in which the head must come; also the longest that a connection may idle.
    pub head_time: Duration,
    /// Seconds in which the body must come.
    pub body_time: Duration,
    /// Seconds for which a client may read nothing of what is written to it.
    pub stall_time: Duration,
    /// Connections at once.
    pub connections: usize,
    /// Prompts in one request.
    pub prompts: usize,
    /// `n`.
    pub samples: usize,
    /// `best_of`.
    pub best_of: usize,
    /// Stop strings, and bytes of each.
    pub stops: usize,
    /// Bytes of a stop string.
    pub stop_bytes: usize,
    /// Entries of `logit_bias`.
    pub biases: usize,
    /// Alternatives beside a token of `/v1/completions`.
    pub completion_logprobs: u64,
    /// Alternatives beside a token of `/v1/chat/completions`.
    pub chat_logprobs: u64,
    /// Messages of a conversation.
    pub messages: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            body: 2 << 20,
            head: 16 << 10,
            head_time: Duration::from_secs(10),
            body_time: Duration::from_secs(30),
            stall_time: Duration::from_secs(30),
            connections: 16_384,
            prompts: 128,
            samples: 8,
            best_of: 8,
            stops: 4,
            stop_bytes: 256,
            biases: 300,
            completion_logprobs: 5,
            chat_logprobs: 20,
            messages: 1024,
        }
    }
}

/// From where, and by which names, the server may be asked.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Doors {
    /// The address that is listened on.
    pub bound: Option<IpAddr>,
    /// Host names beside `localhost` and addresses; `*` is any.
    pub hosts: Vec<String>,
    /// Origins whose pages may ask: `https://example.org`, or `*`.
    pub origins: Vec<String>,
    /// Whether TLS is spoken.
    pub tls: bool,
}

/// The server's state.
#[derive(Debug)]
pub(crate) struct App {
    pub(crate) catalogue: Arc<Catalogue>,
    pub(crate) room: Arc<Room>,
    pub(crate) keys: Keys,
    /// What everybody may use up.
    pub(crate) everyone: Allowance,
    pub(crate) rates: Rates,
    pub(crate) metrics: Metrics,
    pub(crate) pace: Pace,
    pub(crate) limits: Limits,
    pub(crate) doors: Doors,
    pub(crate) presets: Presets,
    /// The store of runs.
    pub(crate) runs: Option<PathBuf>,
    pub(crate) reviews: Option<Arc<dyn Reviews>>,
    pub(crate) version: String,
    pub(crate) stopping: AtomicBool,
}

impl App {
    /// Whether nothing new is begun.
    pub(crate) fn draining(&self) -> bool {
        self.stopping.load(Ordering::Acquire)
    }
}
