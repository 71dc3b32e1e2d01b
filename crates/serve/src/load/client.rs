//! One request, streamed and timed.

use std::str::FromStr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::body::Body;
use axum::http::header::{AUTHORIZATION, CONTENT_TYPE, HOST};
use http_body_util::BodyExt;
use hyper::client::conn::http1::handshake;
use hyper::{Request, Uri};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::pki_types::ServerName;
use tokio_rustls::rustls::{ClientConfig, RootCertStore};

use super::Load;

/// Longest line of a stream that is read.
const LINE: usize = 1 << 20;

/// Where a server is: `http://host:port/v1`, or with `https`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Address {
    secure: bool,
    host: String,
    port: u16,
    /// Before `/completions`.
    path: String,
}

/// An address that is none.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not the address of a server: write http://HOST:PORT/v1, or https://HOST/v1")]
pub struct BadAddress(String);

impl FromStr for Address {
    type Err = BadAddress;

    fn from_str(text: &str) -> Result<Self, BadAddress> {
        let bad = || BadAddress(text.chars().take(200).collect());
        let uri: Uri = text.parse().map_err(|_| bad())?;
        let secure = match uri.scheme_str() {
            Some("http") => false,
            Some("https") => true,
            _ => return Err(bad()),
        };
        let host = uri.host().ok_or_else(bad)?.to_owned();
        let port = uri.port_u16().unwrap_or(if secure { 443 } else { 80 });
        let path = match uri.path().trim_end_matches('/') {
            "" => "/v1".to_owned(),
            path => path.to_owned(),
        };
        Ok(Self { secure, host, port, path })
    }
}

/// What became of a request. Times are from the moment at which it was due.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Observed {
    /// When it was due, since the first.
    pub due: Option<Instant>,
    /// When the first token came.
    pub first: Option<Duration>,
    /// When each part with text came, the first included.
    pub parts: Vec<Duration>,
    /// When it ended.
    pub ended: Duration,
    /// Tokens of the prompt and of the answer, as the server counts them.
    pub prompt_tokens: usize,
    /// Tokens generated.
    pub tokens: usize,
    /// The status of an answer that was none, or what went wrong.
    pub failed: Option<String>,
    /// Refused because the server was full.
    pub refused: bool,
}

/// Asks, and listens to the end.
pub(super) async fn ask(load: &Load, index: usize, due: Instant) -> Observed {
    let mut observed = Observed { due: Some(due), ..Observed::default() };
    let outcome = tokio::time::timeout(load.patience, listen(load, index, due, &mut observed)).await;
    observed.ended = due.elapsed();
    observed.failed = match outcome {
        Err(_) => Some(format!("no end within {} s", load.patience.as_secs())),
        Ok(Err(error)) => Some(error),
        Ok(Ok(())) => None,
    };
    observed
}

async fn listen(load: &Load, index: usize, due: Instant, observed: &mut Observed) -> Result<(), String> {
    let address = &load.address;
    let stream =
        TcpStream::connect((address.host.trim_matches(['[', ']']), address.port)).await.map_err(|e| e.to_string())?;
    stream.set_nodelay(true).map_err(|error| error.to_string())?;
    match address.secure {
        false => exchange(stream, load, index, due, observed).await,
        true => {
            let roots = RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
            let provider = Arc::new(tokio_rustls::rustls::crypto::ring::default_provider());
            let config = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
            let config = config.map_err(|error| error.to_string())?.with_root_certificates(roots).with_no_client_auth();
            let name = ServerName::try_from(address.host.clone()).map_err(|error| error.to_string())?;
            let stream = TlsConnector::from(Arc::new(config)).connect(name, stream).await;
            exchange(stream.map_err(|error| error.to_string())?, load, index, due, observed).await
        }
    }
}

async fn exchange(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    load: &Load,
    index: usize,
    due: Instant,
    observed: &mut Observed,
) -> Result<(), String> {
    let (mut sender, connection) = handshake(TokioIo::new(stream)).await.map_err(|error| error.to_string())?;
    let driving = tokio::spawn(connection);
    let mut body = json!({
        "prompt": load.prompts[index % load.prompts.len()],
        "max_tokens": load.max_tokens,
        "temperature": 0,
        "stream": true,
        "stream_options": {"include_usage": true},
    });
    if let Some(model) = &load.model {
        body["model"] = json!(model);
    }
    if load.ignore_eos {
        body["ignore_eos"] = json!(true);
    }
    let address = &load.address;
    let mut request = Request::post(format!("{}/completions", address.path))
        .header(HOST, format!("{}:{}", address.host, address.port))
        .header(CONTENT_TYPE, "application/json");
    if let Some(key) = &load.key {
        request = request.header(AUTHORIZATION, format!("Bearer {key}"));
    }
    let request = request.body(Body::from(body.to_string())).map_err(|error| error.to_string())?;
    let response = sender.send_request(request).await.map_err(|error| error.to_string())?;
    let status = response.status();
    let mut body = response.into_body();
    if !status.is_success() {
        observed.refused = status.as_u16() == 429 || status.as_u16() == 503;
        return Err(format!("answered {status}"));
    }
    let mut line = Vec::new();
    let mut over = false;
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| error.to_string())?;
        let Ok(bytes) = frame.into_data() else { continue };
        for &byte in &bytes {
            match byte {
                b'\n' => {
                    over |= take(&line, due, observed)?;
                    line.clear();
                }
                _ if line.len() < LINE => line.push(byte),
                _ => return Err("a line of the stream is longer than a megabyte".to_owned()),
            }
        }
    }
    driving.abort();
    if over { Ok(()) } else { Err("the stream ended before [DONE]".to_owned()) }
}

/// Takes a line of the stream; returns whether it was the last.
fn take(line: &[u8], due: Instant, observed: &mut Observed) -> Result<bool, String> {
    let Some(data) = line.trim_ascii().strip_prefix(b"data:") else { return Ok(false) };
    let data = data.trim_ascii();
    if data == b"[DONE]" {
        return Ok(true);
    }
    let part: Value =
        serde_json::from_slice(data).map_err(|error| format!("a part of the stream is no JSON: {error}"))?;
    if let Some(error) = part.get("error") {
        return Err(format!("the stream broke off: {error}"));
    }
    let choice = &part["choices"][0];
    let text = choice["text"].as_str().or(choice["delta"]["content"].as_str()).unwrap_or_default();
    if !text.is_empty() || choice["token_ids"].is_array() {
        let at = due.elapsed();
        observed.first.get_or_insert(at);
        observed.parts.push(at);
    }
    if let Some(usage) = part.get("usage").filter(|usage| usage.is_object()) {
        let count = |name: &str| usage[name].as_u64().and_then(|count| usize::try_from(count).ok()).unwrap_or(0);
        (observed.prompt_tokens, observed.tokens) = (count("prompt_tokens"), count("completion_tokens"));
    }
    Ok(false)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_read_whole() {
        let read = |text: &str| text.parse::<Address>().map(|a| (a.secure, a.host, a.port, a.path));
        assert_eq!(read("http://localhost:8080").unwrap(), (false, "localhost".into(), 8080, "/v1".into()));
        assert_eq!(read("https://a.example/api/v1/").unwrap(), (true, "a.example".into(), 443, "/api/v1".into()));
        for wrong in ["", "localhost", "ftp://a", "http://", "http://a b"] {
            assert!(read(wrong).is_err(), "{wrong}");
        }
    }
}
