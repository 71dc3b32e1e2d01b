//! What is answered where a request cannot be served: once, in the shape of the protocol it came by.

use axum::body::Body;
use axum::http::header::{CONTENT_TYPE, HeaderValue, RETRY_AFTER};
use axum::http::{HeaderName, StatusCode};
use axum::response::{IntoResponse, Response};
use gptneo_engine::{EngineError, RequestError, SamplingError};
use serde_json::{Value, json};

/// Why a request cannot be served, and what to do about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Problem {
    pub(crate) status: StatusCode,
    /// The class of errors, in OpenAI's words.
    pub(crate) kind: &'static str,
    pub(crate) message: String,
    /// Which field of the request.
    pub(crate) param: Option<String>,
    pub(crate) code: Option<&'static str>,
    /// Seconds after which it may go better.
    pub(crate) retry_after: Option<u64>,
}

impl Problem {
    fn new(status: StatusCode, kind: &'static str, message: impl Into<String>) -> Self {
        Self { status, kind, message: message.into(), param: None, code: None, retry_after: None }
    }

    /// The request is wrong.
    pub(crate) fn invalid(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "invalid_request_error", message)
    }

    /// A field of the request is wrong.
    pub(crate) fn field(param: impl Into<String>, message: impl Into<String>) -> Self {
        Self { param: Some(param.into()), code: Some("invalid_value"), ..Self::invalid(message) }
    }

    /// The prompt and one more token do not fit in the context.
    pub(crate) fn context(param: &str, prompt: usize, positions: usize) -> Self {
        let message = format!(
            "this model's context ends at {positions} tokens, but the prompt has {prompt} and generating takes at least one more: \
             shorten it by {} tokens, or let it be cut from the left with `truncate_prompt_tokens`",
            (prompt + 1).saturating_sub(positions)
        );
        Self { code: Some("context_length_exceeded"), ..Self::field(param, message) }
    }

    /// There is no such model.
    pub(crate) fn no_model(name: &str, known: &[String]) -> Self {
        let shown: String = name.chars().take(100).filter(|c| !c.is_control()).collect();
        let message = format!("the model `{shown}` does not exist here; there are: {}", known.join(", "));
        Self {
            param: Some("model".into()),
            code: Some("model_not_found"),
            ..Self::new(StatusCode::NOT_FOUND, "invalid_request_error", message)
        }
    }

    /// Nothing answers at this path.
    pub(crate) fn not_found(what: impl Into<String>) -> Self {
        Self { code: Some("not_found"), ..Self::new(StatusCode::NOT_FOUND, "invalid_request_error", what) }
    }

    /// The path is right and the method is not.
    pub(crate) fn method() -> Self {
        let message = "this path does not take this method: see /openapi.json";
        Self {
            code: Some("method_not_allowed"),
            ..Self::new(StatusCode::METHOD_NOT_ALLOWED, "invalid_request_error", message)
        }
    }

    /// No key, or a wrong one.
    pub(crate) fn unauthorized(message: &str) -> Self {
        Self { code: Some("invalid_api_key"), ..Self::new(StatusCode::UNAUTHORIZED, "authentication_error", message) }
    }

    /// The request may not come from there.
    pub(crate) fn forbidden(message: impl Into<String>) -> Self {
        Self { code: Some("forbidden"), ..Self::new(StatusCode::FORBIDDEN, "permission_error", message) }
    }

    /// The body is larger than is read.
    pub(crate) fn too_large(limit: usize) -> Self {
        let message = format!("the request's body is larger than the {limit} bytes that are read: send less at once");
        Self {
            code: Some("body_too_large"),
            ..Self::new(StatusCode::PAYLOAD_TOO_LARGE, "invalid_request_error", message)
        }
    }

    /// The body did not come in time.
    pub(crate) fn too_slow() -> Self {
        let message = "the request's body did not come in time";
        Self { code: Some("body_timeout"), ..Self::new(StatusCode::REQUEST_TIMEOUT, "invalid_request_error", message) }
    }

    /// Too much at once, for the server or for this key.
    pub(crate) fn overloaded(message: impl Into<String>, retry_after: u64) -> Self {
        Self {
            code: Some("rate_limit_exceeded"),
            retry_after: Some(retry_after.max(1)),
            ..Self::new(StatusCode::TOO_MANY_REQUESTS, "rate_limit_error", message)
        }
    }

    /// Not now: loading, draining, no memory.
    pub(crate) fn unavailable(message: impl Into<String>, retry_after: u64) -> Self {
        Self {
            code: Some("unavailable"),
            retry_after: Some(retry_after.max(1)),
            ..Self::new(StatusCode::SERVICE_UNAVAILABLE, "server_error", message)
        }
    }

    /// There is no room to keep what was sent.
    pub(crate) fn full(message: impl Into<String>) -> Self {
        Self { code: Some("full"), ..Self::new(StatusCode::INSUFFICIENT_STORAGE, "server_error", message) }
    }

    /// Known to the protocol, and not served here.
    pub(crate) fn not_implemented(message: impl Into<String>) -> Self {
        Self {
            code: Some("not_implemented"),
            ..Self::new(StatusCode::NOT_IMPLEMENTED, "invalid_request_error", message)
        }
    }

    /// The server's own fault.
    pub(crate) fn internal(message: impl Into<String>) -> Self {
        Self { code: Some("internal_error"), ..Self::new(StatusCode::INTERNAL_SERVER_ERROR, "server_error", message) }
    }

    /// A rail refused the prompt.
    fn refused(error: &RequestError) -> Self {
        Self { code: Some("content_filter"), param: Some("prompt".into()), ..Self::invalid(error.to_string()) }
    }

    /// As OpenAI's clients expect it.
    pub(crate) fn openai(&self) -> Value {
        json!({"error": {"message": self.message, "type": self.kind, "param": self.param, "code": self.code}})
    }

    /// As Ollama's clients and those of the Open Inference Protocol expect it.
    pub(crate) fn plain(&self) -> Value {
        json!({"error": self.message})
    }

    /// The response to a request for `path`.
    pub(crate) fn response(self, path: &str) -> Response {
        let body = match path.starts_with("/api/") || path.starts_with("/v2") {
            true => self.plain(),
            false => self.openai(),
        };
        let mut response = Response::new(Body::from(body.to_string()));
        *response.status_mut() = self.status;
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        if let Some(seconds) = self.retry_after {
            headers.insert(RETRY_AFTER, HeaderValue::from(seconds));
        }
        if self.status == StatusCode::UNAUTHORIZED {
            // A browser asks its user, and sends the key along from then on.
            let asks = HeaderValue::from_static("Basic realm=\"gptneo: any name, and the key as password\"");
            headers.insert(HeaderName::from_static("www-authenticate"), asks);
        }
        response
    }
}

impl From<RequestError> for Problem {
    fn from(error: RequestError) -> Self {
        match &error {
            RequestError::PromptTooLong { prompt, positions } => Self::context("prompt", *prompt, *positions),
            RequestError::OutOfRange { field, .. }
            | RequestError::UnknownToken { field, .. }
            | RequestError::Conflict { field, .. } => Self::field(*field, error.to_string()),
            RequestError::Form { .. } => Self::field("response_format", error.to_string()),
            RequestError::Refused { .. } => Self::refused(&error),
            RequestError::QueueFull { .. } => Self::overloaded(error.to_string(), 1),
            RequestError::EmptyPrompt | RequestError::Encoding(_) => Self::field("prompt", error.to_string()),
            RequestError::TooLargeForCache { .. } => {
                Self { code: Some("context_length_exceeded"), ..Self::field("prompt", error.to_string()) }
            }
            _ => Self::invalid(error.to_string()),
        }
    }
}

impl From<EngineError> for Problem {
    fn from(error: EngineError) -> Self {
        match error {
            EngineError::Request(error) => error.into(),
            EngineError::Sampling(SamplingError::AllForbidden) => {
                Self::field("logit_bias", SamplingError::AllForbidden.to_string())
            }
            EngineError::Score(error) => Self::field("input", error.to_string()),
            other => Self::internal(other.to_string()),
        }
    }
}

impl IntoResponse for Problem {
    /// The shape is put right by [`crate::guard`], which knows the path.
    fn into_response(self) -> Response {
        let mut response = StatusCode::INTERNAL_SERVER_ERROR.into_response();
        *response.status_mut() = self.status;
        response.extensions_mut().insert(self);
        response
    }
}
