//! What the server tells a Prometheus.

use std::sync::atomic::AtomicU64;
use std::time::Duration;

use gptneo_engine::{FinishReason, Timings};
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::{Registry, Unit};

use crate::room::Fullness;

type Labels = Vec<(&'static str, String)>;

/// All counters.
#[derive(Debug)]
pub(crate) struct Metrics {
    registry: Registry,
    requests: Family<Labels, Counter>,
    seconds: Histogram,
    ended: Family<Labels, Counter>,
    prompt_tokens: Counter,
    shared_tokens: Counter,
    generated_tokens: Counter,
    queued: Histogram,
    first_token: Histogram,
    per_token: Histogram,
    whole: Histogram,
    disconnected: Counter,
    refused: Family<Labels, Counter>,
    connections: Gauge,
    waiting: Gauge,
    live: Gauge,
    parked: Gauge,
    retained: Gauge,
    pages_used: Gauge,
    pages: Gauge,
    places: Gauge,
    steps: Gauge,
    models: Gauge,
}

fn times() -> Histogram {
    Histogram::new(exponential_buckets(0.001, 2.0, 18))
}

impl Metrics {
    /// Counters at 0.
    pub(crate) fn new(started: f64) -> Self {
        let mut registry = Registry::with_prefix("gptneo");
        macro_rules! metric {
            ($name:literal, $help:literal, $value:expr) => {{
                let metric = $value;
                registry.register($name, $help, metric.clone());
                metric
            }};
            ($name:literal, $help:literal, $unit:expr, $value:expr) => {{
                let metric = $value;
                registry.register_with_unit($name, $help, $unit, metric.clone());
                metric
            }};
        }
        let seconds = || Unit::Seconds;
        let requests = metric!("http_requests", "Answered requests by route, method and status", Family::default());
        let http = metric!("http_request_duration", "Time until an answer began", seconds(), times());
        let ended = metric!("generations", "Generations that ended, by reason", Family::default());
        let prompt_tokens = metric!("prompt_tokens", "Tokens of prompts", Counter::default());
        let shared_tokens = metric!("prompt_tokens_shared", "Of these, not computed again", Counter::default());
        let generated_tokens = metric!("generated_tokens", "Tokens generated", Counter::default());
        let queued = metric!("queue_duration", "From the request to its first step", seconds(), times());
        let first_token = metric!("time_to_first_token", "From the request to its first token", seconds(), times());
        let per_token = metric!("time_per_output_token", "Between tokens after the first, mean", seconds(), times());
        let whole = metric!("generation_duration", "From the request to its last token", seconds(), times());
        let disconnected = metric!("disconnects", "Requests whose client left before the end", Counter::default());
        let refused = metric!("refusals", "Requests refused, by reason", Family::default());
        let connections = metric!("connections", "Open connections", Gauge::default());
        let waiting = metric!("queue_size", "Requests that wait for their first step", Gauge::default());
        let live = metric!("batch_size", "Requests being served", Gauge::default());
        let parked = metric!("parked_sequences", "Sequences that wait for memory", Gauge::default());
        let retained = metric!("kept_prefixes", "Beginnings kept for later prompts", Gauge::default());
        let pages_used = metric!("cache_pages_used", "Pages of the key-value caches in use", Gauge::default());
        let pages = metric!("cache_pages", "Pages of the key-value caches", Gauge::default());
        let places = metric!("requests_in_flight", "Requests that wait or are served", Gauge::default());
        let steps = metric!("steps", "Passes through models since the start", Gauge::default());
        let models = metric!("models_loaded", "Models in memory", Gauge::default());
        let begun = metric!("start_time", "When the server started", seconds(), Gauge::<f64, AtomicU64>::default());
        begun.set(started);
        Self {
            registry,
            requests,
            seconds: http,
            ended,
            prompt_tokens,
            shared_tokens,
            generated_tokens,
            queued,
            first_token,
            per_token,
            whole,
            disconnected,
            refused,
            connections,
            waiting,
            live,
            parked,
            retained,
            pages_used,
            pages,
            places,
            steps,
            models,
        }
    }

    /// An answer began.
    pub(crate) fn answered(&self, route: &str, method: &str, status: u16, took: Duration) {
        let labels = vec![("route", route.to_owned()), ("method", method.to_owned()), ("status", status.to_string())];
        self.requests.get_or_create(&labels).inc();
        self.seconds.observe(took.as_secs_f64());
    }

    /// One continuation ended.
    pub(crate) fn ended(&self, reason: FinishReason, timings: &Timings, generated: usize) {
        self.ended.get_or_create(&vec![("reason", reason.name().to_owned())]).inc();
        self.generated_tokens.inc_by(generated as u64);
        if generated > 0 {
            self.first_token.observe(timings.first_token.as_secs_f64());
            self.whole.observe(timings.total.as_secs_f64());
        }
        if timings.decode_tokens > 0 {
            self.per_token.observe(timings.decode.as_secs_f64() / timings.decode_tokens as f64);
        }
    }

    /// The first continuation of a request ended: what its prompt cost.
    pub(crate) fn prompt(&self, tokens: usize, timings: &Timings) {
        self.prompt_tokens.inc_by(tokens as u64);
        self.shared_tokens.inc_by(tokens.saturating_sub(timings.prefill_tokens) as u64);
        self.queued.observe(timings.queued.as_secs_f64());
    }

    /// A client left before the end.
    pub(crate) fn disconnected(&self) {
        self.disconnected.inc();
    }

    /// A request was refused.
    pub(crate) fn refused(&self, why: &str) {
        self.refused.get_or_create(&vec![("reason", why.to_owned())]).inc();
    }

    /// A connection was opened.
    pub(crate) fn opened(&self) {
        self.connections.inc();
    }

    /// A connection was closed.
    pub(crate) fn closed(&self) {
        self.connections.dec();
    }

    /// Everything, in Prometheus's text format.
    pub(crate) fn text(&self, fullness: Fullness, places: usize, steps: usize, models: usize) -> String {
        let set = |gauge: &Gauge, value: usize| {
            gauge.set(i64::try_from(value).unwrap_or(i64::MAX));
        };
        set(&self.waiting, fullness.waiting);
        set(&self.live, fullness.live);
        set(&self.parked, fullness.parked);
        set(&self.retained, fullness.retained);
        set(&self.pages_used, fullness.pages_used);
        set(&self.pages, fullness.pages);
        set(&self.places, places);
        set(&self.steps, steps);
        set(&self.models, models);
        let mut text = String::new();
        // Writing into a string cannot fail.
        let _ = encode(&mut text, &self.registry);
        text
    }
}
