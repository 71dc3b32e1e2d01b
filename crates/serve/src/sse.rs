//! Answers that come piece by piece: server-sent events, and lines of JSON.

use std::future::Future;

use axum::body::Body;
use axum::http::header::{CONTENT_TYPE, HeaderName, HeaderValue};
use axum::response::Response;
use bytes::Bytes;
use futures_util::stream::unfold;
use serde_json::Value;

/// One event.
pub(crate) fn event(value: &Value) -> Bytes {
    Bytes::from(format!("data: {value}\n\n"))
}

/// The last event of OpenAI's streams.
pub(crate) fn done() -> Bytes {
    Bytes::from_static(b"data: [DONE]\n\n")
}

/// A line of JSON.
pub(crate) fn line(value: &Value) -> Bytes {
    Bytes::from(format!("{value}\n"))
}

/// A response whose body is what `next` gives until it gives nothing; `state` ends with the response.
pub(crate) fn stream<S, F>(kind: &'static str, state: S, next: impl Fn(S) -> F + Send + 'static) -> Response
where
    S: Send + 'static,
    F: Future<Output = Option<(Bytes, S)>> + Send + 'static,
{
    let parts = unfold(state, move |state| {
        let part = next(state);
        async move { part.await.map(|(bytes, state)| (Ok::<_, std::convert::Infallible>(bytes), state)) }
    });
    let mut response = Response::new(Body::from_stream(parts));
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    // A proxy must pass each part on as it comes.
    response.headers_mut().insert(HeaderName::from_static("x-accel-buffering"), HeaderValue::from_static("no"));
    response
}
