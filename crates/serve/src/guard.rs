//! What every request passes before anything answers it, and every answer on its way out.
//!
//! In this order: one meaning of its length, the name it was sent to (against pages that rebind a name to this machine), the page it
//! comes from, its key, its client's rate. Only `/health/live` needs no key. On the way out an answer gets headers that keep browsers
//! from guessing, framing and leaking, and what went wrong its shape.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Instant, SystemTime};

use axum::extract::{MatchedPath, Request, State};
use axum::http::header::{self, HeaderMap, HeaderName, HeaderValue};
use axum::http::{Method, StatusCode, Version};
use axum::middleware::Next;
use axum::response::Response;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest, Sha256};

use crate::app::{App, Doors};
use crate::client::Client;
use crate::digits::hex;
use crate::listen::Peer;
use crate::problem::Problem;
use crate::rates::Standing;

/// The one path without a key.
pub(crate) const OPEN: &str = "/health/live";

/// Passes a request on, or answers it.
pub(crate) async fn guard(State(app): State<Arc<App>>, mut request: Request, next: Next) -> Response {
    let begun = Instant::now();
    let path = request.uri().path().to_owned();
    let method = request.method().clone();
    let origin = request.headers().get(header::ORIGIN).cloned();
    let id = id(request.headers(), begun);
    let mut standing = None;
    let allowed = admit(&app, &request);
    let (response, route) = match allowed {
        Ok(None) => (preflight(), None),
        Ok(Some((client, left))) => {
            standing = Some(left);
            request.extensions_mut().insert(client);
            let response = next.run(request).await;
            let route = response.extensions().get::<Route>().map(|route| route.0.clone());
            (response, route)
        }
        Err(problem) => {
            app.metrics.refused(problem.code.unwrap_or("invalid"));
            (problem.response(&path), None)
        }
    };
    let mut response = match response.extensions().get::<Problem>().cloned() {
        Some(problem) => problem.response(&path),
        None => response,
    };
    dress(&app, origin.as_ref(), standing, &mut response);
    if let Ok(id) = HeaderValue::from_str(&id) {
        response.headers_mut().insert(HeaderName::from_static("x-request-id"), id);
    }
    let route = route.as_deref().unwrap_or("other");
    app.metrics.answered(route, known_method(&method), response.status().as_u16(), begun.elapsed());
    response
}

/// The route that answered, for counting: a path itself could be anything.
#[derive(Clone, Debug)]
struct Route(String);

/// Notes the route on the answer.
pub(crate) async fn note_route(path: MatchedPath, request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    response.extensions_mut().insert(Route(path.as_str().to_owned()));
    response
}

/// Who asks, and what is left to them; `None`: a browser asks whether it may ask.
fn admit(app: &App, request: &Request) -> Result<Option<(Client, Standing)>, Problem> {
    let headers = request.headers();
    let lengths = headers.get_all(header::CONTENT_LENGTH).iter().count();
    if lengths > 1 || (lengths == 1 && headers.contains_key(header::TRANSFER_ENCODING)) {
        return Err(Problem::invalid("the request gives its length twice"));
    }
    check_host(&app.doors, request)?;
    check_origin(&app.doors, request)?;
    if request.method() == Method::OPTIONS && headers.contains_key(header::ACCESS_CONTROL_REQUEST_METHOD) {
        return Ok(None);
    }
    let address = request.extensions().get::<Peer>().map_or(IpAddr::from([127, 0, 0, 1]), |peer| peer.0);
    if request.uri().path() == OPEN {
        return Ok(Some((Client::at(address, app.everyone), Standing::default())));
    }
    let client = identify(app, headers, address)?;
    // Looking whether the server is well must not use up what a client may ask.
    let looking = request.uri().path().starts_with("/health") || request.uri().path() == "/metrics";
    let standing = match looking {
        true => Standing::default(),
        false => app.rates.request(&client.id(), client.allowance(), Instant::now())?,
    };
    Ok(Some((client, standing)))
}

/// Whose request with these headers from this address is.
///
/// # Errors
/// 401, where keys are wanted and none, or a wrong one, was sent.
pub(crate) fn identify(app: &App, headers: &HeaderMap, address: IpAddr) -> Result<Client, Problem> {
    if app.keys.is_empty() {
        return Ok(Client::at(address, app.everyone));
    }
    let sent = sent_key(headers)
        .ok_or_else(|| Problem::unauthorized("this server wants a key: send it as `Authorization: Bearer KEY`"))?;
    let key = app.keys.find(&sent).ok_or_else(|| Problem::unauthorized("the key is not one of this server's"))?;
    Ok(Client::with_key(key, app.everyone))
}

/// The key in `Authorization` (as bearer, or as the password of a browser), `api-key` or `x-api-key`.
fn sent_key(headers: &HeaderMap) -> Option<Vec<u8>> {
    let authorization = headers.get(header::AUTHORIZATION).map(HeaderValue::as_bytes);
    if let Some(value) = authorization {
        let at = value.iter().position(|&byte| byte == b' ')?;
        let (scheme, rest) = (&value[..at], value[at..].trim_ascii());
        if scheme.eq_ignore_ascii_case(b"bearer") {
            return Some(rest.to_vec());
        }
        if scheme.eq_ignore_ascii_case(b"basic") {
            let pair = STANDARD.decode(rest).ok()?;
            let colon = pair.iter().position(|&byte| byte == b':')?;
            return Some(pair[colon + 1..].to_vec());
        }
        return None;
    }
    let named = headers.get("x-api-key").or_else(|| headers.get("api-key"))?;
    Some(named.as_bytes().to_vec())
}

/// The name in `Host` (or in the address of the request), without the port.
fn host(request: &Request) -> Option<String> {
    let named = match request.uri().host() {
        Some(host) => host.to_owned(),
        None => {
            let mut hosts = request.headers().get_all(header::HOST).iter();
            let (first, second) = (hosts.next()?, hosts.next());
            if second.is_some() {
                return None;
            }
            let authority: axum::http::uri::Authority = first.to_str().ok()?.parse().ok()?;
            if authority.as_str().contains('@') {
                return None;
            }
            authority.host().to_owned()
        }
    };
    Some(named.strip_suffix('.').unwrap_or(&named).to_ascii_lowercase())
}

fn check_host(doors: &Doors, request: &Request) -> Result<(), Problem> {
    let Some(host) = host(request) else {
        // HTTP/1.0 has no Host; a browser always sends one.
        return match request.version() == Version::HTTP_10 && !request.headers().contains_key(header::HOST) {
            true => Ok(()),
            false => Err(Problem::invalid("the request names no host, or more than one")),
        };
    };
    if host_allowed(doors, &host) {
        return Ok(());
    }
    Err(Problem::forbidden(format!(
        "this server does not go by that name: reach it as localhost or by its address, or let it be called so with \
         --allowed-hosts ({} bytes were sent)",
        host.len()
    )))
}

/// Whether a server with these doors answers to this name.
pub(crate) fn host_allowed(doors: &Doors, host: &str) -> bool {
    if host == "localhost"
        || host.ends_with(".localhost")
        || doors.hosts.iter().any(|name| name == "*" || *name == host)
    {
        return true;
    }
    let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    match bare.parse::<IpAddr>() {
        // A page cannot make its own name an address: where all addresses are listened on, any may be used.
        Ok(address) => {
            let loopback = address.is_loopback();
            doors.bound.is_none_or(|bound| bound.is_unspecified() || bound == address) || loopback
        }
        Err(_) => false,
    }
}

fn check_origin(doors: &Doors, request: &Request) -> Result<(), Problem> {
    let Some(origin) = request.headers().get(header::ORIGIN) else { return Ok(()) };
    if matches!(*request.method(), Method::GET | Method::HEAD) {
        return Ok(());
    }
    let origin = origin.to_str().unwrap_or_default();
    let own = || {
        let sent = request.headers().get(header::HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
        let after = origin.split_once("://").map(|(_, host)| host);
        after.is_some_and(|host| !host.is_empty() && host.eq_ignore_ascii_case(sent))
    };
    match origin_listed(doors, origin) || own() {
        true => Ok(()),
        false => {
            Err(Problem::forbidden("pages of other origins may not ask this server: allow one with --cors-origins"))
        }
    }
}

fn origin_listed(doors: &Doors, origin: &str) -> bool {
    doors.origins.iter().any(|listed| listed == "*" || listed.eq_ignore_ascii_case(origin))
}

/// What a browser is told that asks whether it may ask; the rest is added to every answer.
fn preflight() -> Response {
    let mut response = Response::default();
    *response.status_mut() = StatusCode::NO_CONTENT;
    response
}

/// Headers of every answer.
fn dress(app: &App, origin: Option<&HeaderValue>, standing: Option<Standing>, response: &mut Response) {
    let draining = app.draining() && response.status() == StatusCode::SERVICE_UNAVAILABLE;
    let headers = response.headers_mut();
    let mut set = |name: &'static str, value: &str| {
        if let Ok(value) = HeaderValue::from_str(value) {
            headers.insert(HeaderName::from_static(name), value);
        }
    };
    set("x-content-type-options", "nosniff");
    set("x-frame-options", "DENY");
    set("referrer-policy", "no-referrer");
    set("cross-origin-opener-policy", "same-origin");
    set("permissions-policy", "camera=(), geolocation=(), microphone=()");
    if app.doors.tls {
        set("strict-transport-security", "max-age=31536000");
    }
    if draining {
        set("connection", "close");
    }
    let listed = origin.and_then(|origin| origin.to_str().ok()).filter(|origin| origin_listed(&app.doors, origin));
    match listed {
        Some(origin) => {
            set("access-control-allow-origin", origin);
            set("access-control-allow-methods", "GET, POST, DELETE");
            set("access-control-allow-headers", "authorization, content-type, x-api-key");
            set("access-control-max-age", "600");
            set("vary", "origin");
        }
        None => set("cross-origin-resource-policy", "same-origin"),
    }
    if let Some(standing) = standing {
        let seconds = |time: std::time::Duration| format!("{:.3}s", time.as_secs_f64());
        if let Some(limit) = standing.allowance.requests {
            set("x-ratelimit-limit-requests", &limit.to_string());
            set("x-ratelimit-remaining-requests", &standing.requests_left.to_string());
            set("x-ratelimit-reset-requests", &seconds(standing.requests_reset));
        }
        if let Some(limit) = standing.allowance.tokens {
            set("x-ratelimit-limit-tokens", &limit.to_string());
            set("x-ratelimit-remaining-tokens", &standing.tokens_left.to_string());
            set("x-ratelimit-reset-tokens", &seconds(standing.tokens_reset));
        }
    }
    let page = headers.get(header::CONTENT_TYPE).is_some_and(|kind| kind.as_bytes().starts_with(b"text/html"));
    let policy = match page {
        true => {
            "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; font-src 'self'; connect-src 'self'; \
             manifest-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
        }
        false => "default-src 'none'; frame-ancestors 'none'",
    };
    headers.insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(policy));
    // What the page is made of says itself how long it may be kept; answers may not be.
    if !headers.contains_key(header::CACHE_CONTROL) {
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    }
}

/// The client's own id of its request if it sent a plain one, else a new one.
fn id(headers: &HeaderMap, now: Instant) -> String {
    let plain = |text: &&str| {
        (1..=64).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b))
    };
    let sent = headers.get("x-request-id").and_then(|id| id.to_str().ok()).filter(plain);
    sent.map_or_else(|| fresh("req", now), str::to_owned)
}

/// A name that was not given before.
pub(crate) fn fresh(prefix: &str, now: Instant) -> String {
    use std::sync::atomic::{AtomicU64, Ordering};
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_nanos();
    let digest = Sha256::digest(format!("{since} {count} {now:?}"));
    format!("{prefix}-{}", hex(&digest[..12]))
}

fn known_method(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::HEAD => "HEAD",
        Method::POST => "POST",
        Method::DELETE => "DELETE",
        Method::OPTIONS => "OPTIONS",
        _ => "other",
    }
}
