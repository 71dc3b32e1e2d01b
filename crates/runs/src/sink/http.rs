//! JSON over HTTP for sinks, with limits on time and size.
//!
//! One exchange per call and no second attempt here: the feeder's patience is for all sinks.

use std::time::Duration;

use serde_json::Value;
use ureq::http::{Response, header};
use ureq::{Agent, Body, Proxy};

use super::SinkError;
use crate::error::RunsError;

/// How long a connection may take.
const CONNECT: Duration = Duration::from_secs(5);
/// How long one exchange may take in all.
const EXCHANGE: Duration = Duration::from_secs(15);
/// The longest answer that is read.
const LONGEST_ANSWER: u64 = 1 << 20;
/// How much of a refusal is quoted.
const QUOTED: usize = 200;

/// A value that no message, log or `Debug` shows.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Keeps a value secret.
    pub fn new(value: impl Into<String>) -> Secret {
        Secret(value.into())
    }

    pub(crate) fn reveal(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secret(..)")
    }
}

/// Requests to one server.
pub(crate) struct Http {
    agent: Agent,
    /// Scheme, host and path, without a slash at the end.
    base: String,
    authorization: Option<Secret>,
}

/// What a server that answered has said.
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) body: Value,
    text: String,
    wait: Option<Duration>,
}

impl Http {
    /// `address` is http or https; `proxy` is used for every request.
    ///
    /// # Errors
    /// [`RunsError::BadSink`] for addresses that are none, or that carry a password.
    pub(crate) fn new(
        sink: &'static str,
        address: &str,
        authorization: Option<Secret>,
        proxy: Option<&str>,
    ) -> Result<Http, RunsError> {
        let bad = |why: String| RunsError::BadSink { sink, why };
        let base = address.trim().trim_end_matches('/');
        let uri: ureq::http::Uri = base.parse().map_err(|_| bad(format!("`{address}` is no address")))?;
        let authority = uri.authority().filter(|_| matches!(uri.scheme_str(), Some("http" | "https")));
        let authority = authority.ok_or_else(|| bad(format!("`{address}` is no http or https address")))?;
        if authority.as_str().contains('@') {
            return Err(bad("an address with a password in it would be shown: give the password by itself".to_owned()));
        }
        if uri.query().is_some() {
            return Err(bad(format!("`{address}` has a question mark: only the server and a path are wanted")));
        }
        // Without `.proxy` ureq would read the environment.
        let proxy =
            proxy.map(Proxy::new).transpose().map_err(|_| bad("the proxy's address is not valid".to_owned()))?;
        let agent: Agent = Agent::config_builder()
            .http_status_as_error(false)
            .max_redirects(0)
            .max_redirects_will_error(false)
            .proxy(proxy)
            .user_agent(concat!("gptneo/", env!("CARGO_PKG_VERSION")))
            .timeout_resolve(Some(CONNECT))
            .timeout_connect(Some(CONNECT))
            .timeout_global(Some(EXCHANGE))
            .build()
            .into();
        Ok(Http { agent, base: base.to_owned(), authorization })
    }

    /// The address without what is secret.
    pub(crate) fn address(&self) -> &str {
        &self.base
    }

    /// Posts JSON to `path` (which begins with a slash).
    pub(crate) fn post(&self, path: &str, body: &Value) -> Result<Answer, SinkError> {
        let mut request =
            self.agent.post(format!("{}{path}", self.base)).header(header::CONTENT_TYPE, "application/json");
        if let Some(authorization) = &self.authorization {
            request = request.header(header::AUTHORIZATION, authorization.reveal());
        }
        self.read(path, request.send(body.to_string()))
    }

    /// Asks for `path` with these pairs as its query.
    pub(crate) fn get(&self, path: &str, query: &[(&str, &str)]) -> Result<Answer, SinkError> {
        let mut request = self.agent.get(format!("{}{path}", self.base)).query_pairs(query.iter().copied());
        if let Some(authorization) = &self.authorization {
            request = request.header(header::AUTHORIZATION, authorization.reveal());
        }
        self.read(path, request.call())
    }

    fn read(&self, path: &str, answer: Result<Response<Body>, ureq::Error>) -> Result<Answer, SinkError> {
        let unreachable = |error: &ureq::Error| SinkError::transient(format!("no answer to {path} ({error})"));
        let (head, mut body) = answer.map_err(|error| unreachable(&error))?.into_parts();
        let text = body.with_config().limit(LONGEST_ANSWER).read_to_string().map_err(|error| unreachable(&error))?;
        let status = head.status.as_u16();
        let seconds = head.headers.get(header::RETRY_AFTER).and_then(|value| value.to_str().ok()?.trim().parse().ok());
        let body = serde_json::from_str(&text).unwrap_or(Value::Null);
        Ok(Answer { status, body, text, wait: seconds.map(Duration::from_secs) })
    }
}

impl Answer {
    /// The body of an answer that says yes.
    pub(crate) fn ok(self, path: &str) -> Result<Value, SinkError> {
        match self.status {
            200..=299 => Ok(self.body),
            _ => Err(self.refusal(path)),
        }
    }

    /// The server's no, in words.
    pub(crate) fn refusal(&self, path: &str) -> SinkError {
        let quoted: String = self.text.chars().filter(|c| !c.is_control()).take(QUOTED).collect();
        let what = match self.status {
            300..=399 => format!("{path}: the server sends us elsewhere ({}): give its final address", self.status),
            401 | 403 => format!("{path}: the server does not let us in ({}): check the key. {quoted}", self.status),
            status => format!("{path}: the server answered {status}: {quoted}"),
        };
        let transient = matches!(self.status, 408 | 425 | 429 | 500..=599);
        SinkError { what: what.trim_end().to_owned(), transient, wait: self.wait }
    }
}

/// A field of an answer that must be text.
pub(crate) fn text_field<'a>(body: &'a Value, pointer: &str, path: &str) -> Result<&'a str, SinkError> {
    let found = body.pointer(pointer).and_then(Value::as_str).filter(|text| !text.is_empty());
    found.ok_or_else(|| SinkError::lasting(format!("{path}: the answer has no {}", pointer.trim_start_matches('/'))))
}

/// A number for JSON, which has no word for what is not finite: such values go as text.
pub(crate) fn json_number(value: f64) -> Value {
    match serde_json::Number::from_f64(value) {
        Some(number) => Value::Number(number),
        None if value.is_nan() => "NaN".into(),
        None if value > 0.0 => "Infinity".into(),
        None => "-Infinity".into(),
    }
}

/// Seconds since 1970 as milliseconds.
pub(crate) fn milliseconds(time: f64) -> i64 {
    (time * 1e3).round() as i64
}

/// The text, cut to at most `most` characters, with a mark where it was cut.
pub(crate) fn at_most(text: &str, most: usize) -> String {
    const MARK: &str = " [cut]";
    if text.chars().count() <= most {
        return text.to_owned();
    }
    text.chars().take(most - MARK.len()).chain(MARK.chars()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refuses_what_is_no_address() {
        let refused = |address: &str| Http::new("mlflow", address, None, None).map(|_| ()).unwrap_err().to_string();
        assert!(refused("here").contains("`here`"));
        assert!(refused("ftp://here").contains("http or https"));
        assert!(!refused("http://me:sesame@here").contains("sesame"));
        assert!(Http::new("mlflow", "http://localhost:5000/", None, None).is_ok());
    }

    #[test]
    fn secrets_are_not_shown() {
        assert!(!format!("{:?}", Secret::new("sesame")).contains("sesame"));
    }

    #[test]
    fn cuts_are_marked() {
        assert_eq!(at_most("straße", 6), "straße");
        assert_eq!(at_most("abcdefghij", 9), "abc [cut]");
    }

    #[test]
    fn what_is_not_finite_goes_as_text() {
        assert_eq!(json_number(1.5), serde_json::json!(1.5));
        assert_eq!(json_number(f64::NAN), "NaN");
        assert_eq!(json_number(f64::NEG_INFINITY), "-Infinity");
    }
}
