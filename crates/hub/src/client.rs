//! One HTTP exchange, redirects included, and the patience around it.
//!
//! Redirects are followed here and not by ureq, because each step decides who sees the token and which networks may be
//! reached (see [`address`](crate::address)). A watcher thread closes every connection when the caller cancels, so that a
//! silent server does not delay an interruption.

use std::error::Error as _;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use ureq::http::{HeaderMap, header};
use ureq::tls::{Certificate, PemItem, RootCerts, TlsConfig, parse_pem};
use ureq::unversioned::transport::DefaultConnector;
use ureq::{Agent, Body, Proxy};

use crate::address::{Guard, OutOfScope, Scope, Seen, Zone};
use crate::error::{HubError, Unreachable};
use crate::location::Location;
use crate::progress::{Event, Progress};
use crate::settings::HubSettings;

const MAX_REDIRECTS: usize = 10;
/// How soon a cancellation is seen.
const GLANCE: Duration = Duration::from_millis(50);

/// What is asked of a server.
#[derive(Debug, Clone)]
pub(crate) struct Request {
    pub(crate) location: Location,
    /// `HEAD` that ends at a redirect which already describes the file, as a hub does for large ones.
    pub(crate) describe: bool,
    /// Continue from this byte.
    pub(crate) from: u64,
    /// Continue only if this is still the entity's tag.
    pub(crate) if_range: Option<String>,
}

/// What a server answered, whatever the status.
pub(crate) struct Answer {
    pub(crate) location: Location,
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Body,
    /// Whether this answer was given to someone with a token.
    pub(crate) had_token: bool,
}

impl Answer {
    /// A header, if there is one and it is text.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok().map(str::trim).filter(|v| !v.is_empty())
    }
}

/// Connections for one call of a [`Hub`](crate::Hub).
pub(crate) struct Client<'a> {
    pub(crate) settings: &'a HubSettings,
    pub(crate) progress: &'a dyn Progress,
    endpoint: Location,
    /// One per [`Scope`], in the order of [`Scope::ALL`]: a connection is never shared between scopes.
    agents: Vec<Agent>,
    seen: Seen,
    cancel: Option<Arc<AtomicBool>>,
    /// One of several threads failed, and the others should not go on.
    abandoned: AtomicBool,
    /// Some server answered: there is a network.
    reached: AtomicBool,
}

impl<'a> Client<'a> {
    pub(crate) fn new(
        settings: &'a HubSettings,
        cancel: Option<Arc<AtomicBool>>,
        progress: &'a dyn Progress,
    ) -> Result<Client<'a>, HubError> {
        let endpoint = parse(&settings.endpoint)?;
        let tls = match &settings.certificates {
            None => TlsConfig::default(),
            Some(file) => TlsConfig::builder().root_certs(certificates(file)?).build(),
        };
        let seen = Seen::default();
        let agent = |scope| {
            let config = Agent::config_builder()
                .http_status_as_error(false)
                .max_redirects(0)
                .max_redirects_will_error(false)
                // Without this line ureq would read proxies from the environment.
                .proxy(None)
                .tls_config(tls.clone())
                .user_agent(settings.user_agent.as_str())
                .accept_encoding("identity")
                .timeout_resolve(Some(settings.connect_timeout))
                .timeout_connect(Some(settings.connect_timeout))
                .timeout_recv_response(Some(settings.read_timeout.saturating_mul(2)))
                .timeout_per_read(Some(settings.read_timeout))
                .timeout_per_write(Some(settings.read_timeout))
                .max_idle_age(Duration::from_secs(30))
                .build();
            Agent::with_parts(config, DefaultConnector::new(), Guard { scope, seen: seen.clone() })
        };
        let agents = Scope::ALL.into_iter().map(agent).collect();
        let (abandoned, reached) = (AtomicBool::new(false), AtomicBool::new(false));
        Ok(Client { settings, progress, endpoint, agents, seen, cancel, abandoned, reached })
    }

    /// Runs `work`, closing all connections should the caller cancel or one thread of the work give up.
    pub(crate) fn watched<T>(&self, work: impl FnOnce() -> T) -> T {
        struct Finish<'f>(&'f AtomicBool, thread::Thread);
        impl Drop for Finish<'_> {
            fn drop(&mut self) {
                self.0.store(true, Ordering::Release);
                self.1.unpark();
            }
        }
        let finished = AtomicBool::new(false);
        thread::scope(|scope| {
            let watcher = scope.spawn(|| {
                while !finished.load(Ordering::Acquire) {
                    if self.stopped() {
                        self.agents.iter().for_each(|agent| agent.clone().shutdown());
                        return;
                    }
                    thread::park_timeout(GLANCE);
                }
            });
            let _finish = Finish(&finished, watcher.thread().clone());
            work()
        })
    }

    pub(crate) fn stopped(&self) -> bool {
        self.abandoned.load(Ordering::Acquire) || self.cancel.as_ref().is_some_and(|c| c.load(Ordering::Acquire))
    }

    pub(crate) fn go_on(&self) -> Result<(), HubError> {
        if self.stopped() { Err(HubError::Cancelled) } else { Ok(()) }
    }

    pub(crate) fn abandon(&self) {
        self.abandoned.store(true, Ordering::Release);
    }

    /// Sleeps, but not through a cancellation.
    pub(crate) fn sleep(&self, time: Duration) -> Result<(), HubError> {
        let end = Instant::now() + time;
        loop {
            self.go_on()?;
            match end.checked_duration_since(Instant::now()) {
                None | Some(Duration::ZERO) => return Ok(()),
                Some(left) => thread::sleep(left.min(GLANCE)),
            }
        }
    }

    /// Repeats `attempt` while its errors are transient and patience lasts.
    pub(crate) fn persist<T>(
        &self,
        what: &str,
        mut attempt: impl FnMut() -> Result<T, HubError>,
    ) -> Result<T, HubError> {
        let mut failures = 0;
        loop {
            match attempt() {
                Err(error) if error.is_transient() => {
                    failures += 1;
                    self.pause(what, error, failures)?;
                }
                other => return other,
            }
        }
    }

    /// Waits before the next attempt, or gives the error back when there should be none.
    pub(crate) fn pause(&self, what: &str, error: HubError, failures: u32) -> Result<(), HubError> {
        self.go_on()?;
        let asked = match &error {
            HubError::Status { retry_after, .. } => *retry_after,
            _ => None,
        };
        // A machine without a network should say so at once; one whose network went away in the middle may wait.
        let hopeless = matches!(
            error,
            HubError::Unreachable { why: Unreachable::Name | Unreachable::Refused | Unreachable::NoRoute, .. }
        ) && !self.reached.load(Ordering::Relaxed)
            && failures >= 2;
        let Some(delay) = self.settings.retry.delay(failures, asked).filter(|_| !hopeless) else { return Err(error) };
        self.progress.report(&Event::Retrying { what, reason: &error.to_string(), delay });
        self.sleep(delay)
    }

    /// One exchange. Statuses are the caller's to judge; only what kept an answer from arriving is an error here.
    pub(crate) fn send(&self, request: &Request) -> Result<Answer, HubError> {
        let mut at = request.location.clone();
        let mut scope = Scope::Any;
        let mut token = self.settings.token.as_ref();
        for _ in 0..=MAX_REDIRECTS {
            self.go_on()?;
            // Once the request has left the endpoint it is somebody else's, even if it comes back.
            if !at.same_origin(&self.endpoint) {
                token = None;
            }
            let answer = self.exchange(request, &at, scope, token.map(|t| t.bearer()))?;
            self.reached.store(true, Ordering::Relaxed);
            let is_redirect = matches!(answer.status, 301 | 302 | 303 | 307 | 308);
            if !is_redirect || (request.describe && answer.headers.contains_key("x-linked-etag")) {
                return Ok(answer);
            }
            let refused = |to: &str, why| HubError::Redirect { from: at.shown(), to: crate::id::shorten(to), why };
            let Some(to) = answer.header("location") else { return Err(refused("nowhere", "it names no location")) };
            let Some(next) = at.join(to) else { return Err(refused(to, "it is not a plain http(s) URL")) };
            if at.is_https() && !next.is_https() {
                return Err(refused(&next.shown(), "it leads from https to http"));
            }
            if !next.same_origin(&at) {
                scope = Scope::from(self.seen.zone(&at));
            }
            if scope != Scope::Any && Zone::of_literal(next.host()).is_some_and(|zone| !scope.admits(zone)) {
                return Err(refused(&next.shown(), "it leads into a private network"));
            }
            at = next;
        }
        let (from, to) = (request.location.shown(), at.shown());
        Err(HubError::Redirect { from, to, why: "there are too many redirects" })
    }

    fn exchange(
        &self,
        request: &Request,
        at: &Location,
        scope: Scope,
        bearer: Option<String>,
    ) -> Result<Answer, HubError> {
        let proxy = self.settings.proxies.of(at);
        // Behind a proxy our resolver sees the proxy's name alone, which the user gave.
        let scope = if proxy.is_some() { Scope::Any } else { scope };
        let index = Scope::ALL.iter().position(|s| *s == scope).expect("every scope is in ALL");
        let agent = &self.agents[index];
        let mut call = if request.describe { agent.head(at.url()) } else { agent.get(at.url()) };
        if let Some(proxy) = proxy {
            let proxy = Proxy::new(proxy).map_err(|e| self.failure(at, e))?;
            call = call.config().proxy(Some(proxy)).build();
        }
        if request.from > 0 {
            call = call.header(header::RANGE, format!("bytes={}-", request.from));
            if let Some(tag) = &request.if_range {
                call = call.header(header::IF_RANGE, tag.as_str());
            }
        }
        let had_token = bearer.is_some();
        if let Some(bearer) = bearer {
            call = call.header(header::AUTHORIZATION, bearer);
        }
        let (head, body) = call.call().map_err(|e| self.failure(at, e))?.into_parts();
        Ok(Answer { location: at.clone(), status: head.status.as_u16(), headers: head.headers, body, had_token })
    }

    /// Puts ureq's error into our words.
    pub(crate) fn failure(&self, at: &Location, error: ureq::Error) -> HubError {
        if self.stopped() {
            return HubError::Cancelled;
        }
        let unreachable = |why, detail: String| HubError::Unreachable { host: at.authority(), why, detail };
        match error {
            ureq::Error::HostNotFound => unreachable(Unreachable::Name, String::new()),
            ureq::Error::Timeout(_) => unreachable(Unreachable::Timeout, String::new()),
            ureq::Error::Io(error) => unreachable(io_reason(&error), error.to_string()),
            ureq::Error::Tls(_) | ureq::Error::Rustls(_) | ureq::Error::Pem(_) | ureq::Error::TlsRequired => {
                unreachable(Unreachable::Tls, error.to_string())
            }
            ureq::Error::ConnectProxyFailed(why) => unreachable(Unreachable::Proxy, why),
            ureq::Error::InvalidProxyUrl => unreachable(Unreachable::Proxy, "its address is not valid".to_owned()),
            ureq::Error::Other(inner) if inner.is::<OutOfScope>() => {
                let why = "it leads into a private network";
                HubError::Redirect { from: "the server".to_owned(), to: at.shown(), why }
            }
            other => HubError::Protocol { url: at.shown(), why: other.to_string() },
        }
    }

    /// The same for an error while reading a body.
    pub(crate) fn read_failure(&self, at: &Location, error: io::Error) -> HubError {
        self.failure(at, ureq::Error::from(error))
    }
}

fn io_reason(error: &io::Error) -> Unreachable {
    use io::ErrorKind as Kind;
    match error.kind() {
        Kind::ConnectionRefused => Unreachable::Refused,
        Kind::HostUnreachable | Kind::NetworkUnreachable | Kind::NetworkDown | Kind::AddrNotAvailable => {
            Unreachable::NoRoute
        }
        Kind::TimedOut | Kind::WouldBlock => Unreachable::Timeout,
        // rustls wraps its errors so.
        Kind::InvalidData => Unreachable::Tls,
        _ if error.source().is_some_and(|s| s.to_string().contains("certificate")) => Unreachable::Tls,
        _ => Unreachable::Broken,
    }
}

/// A URL that the user gave.
pub(crate) fn parse(url: &str) -> Result<Location, HubError> {
    Location::parse(url).ok_or_else(|| HubError::Protocol {
        url: crate::id::shorten(url.split('?').next().unwrap_or_default()),
        why: "not an http(s) URL without a user".to_owned(),
    })
}

fn certificates(file: &std::path::Path) -> Result<RootCerts, HubError> {
    let bytes = std::fs::read(file).map_err(|e| HubError::io(file, "read the certificates", e))?;
    let bad = |why: String| HubError::BadSetting { name: "SSL_CERT_FILE", why: format!("{}: {why}", file.display()) };
    let mut found: Vec<Certificate<'static>> = Vec::new();
    for item in parse_pem(&bytes) {
        if let PemItem::Certificate(certificate) = item.map_err(|e| bad(e.to_string()))? {
            found.push(certificate);
        }
    }
    if found.is_empty() {
        return Err(bad("it holds no certificate in PEM form".to_owned()));
    }
    Ok(RootCerts::new_with_certs(&found))
}
