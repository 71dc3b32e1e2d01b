//! What an answer that is not a success means, in words.

use std::io::Read;
use std::time::{SystemTime, UNIX_EPOCH};

use crate::client::Answer;
use crate::error::HubError;
use crate::id::{ModelId, shorten};
use crate::retry::parse_retry_after;

/// What was asked for.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Subject<'a> {
    Model(&'a ModelId),
    File(&'a ModelId, &'a str),
    Url,
}

/// Turns an answer outside 2xx into an error.
pub(crate) fn refusal(answer: Answer, subject: Subject<'_>, endpoint: &str) -> HubError {
    let url = answer.location.shown();
    let had_token = answer.had_token;
    let what = match subject {
        Subject::Model(id) => format!("`{}`", id.shown()),
        Subject::File(id, file) => format!("`{}` ({file})", id.shown()),
        Subject::Url => url.clone(),
    };
    let code = answer.header("x-error-code").unwrap_or_default().to_owned();
    match (answer.status, code.as_str(), subject) {
        (_, "GatedRepo", _) => HubError::Forbidden { what, had_token },
        (_, "RevisionNotFound", Subject::Model(id) | Subject::File(id, _)) => {
            HubError::NoSuchRevision { id: id.shown(), revision: id.revision().to_owned() }
        }
        (_, "EntryNotFound", Subject::File(id, file)) | (404, _, Subject::File(id, file)) => {
            HubError::NoSuchFile { id: id.shown(), file: file.to_owned(), near: Vec::new() }
        }
        // A hub hides private models from strangers: 401 and "not found" are one answer there.
        (401, ..) => HubError::Unauthorized { what, had_token },
        (403, ..) => HubError::Forbidden { what, had_token },
        (404, _, Subject::Model(id)) => {
            HubError::NoSuchModel { id: id.shown(), endpoint: endpoint.to_owned(), near: Vec::new() }
        }
        (404, _, Subject::Url) => HubError::NotFound { url },
        (status, ..) => {
            let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |t| t.as_secs());
            let retry_after = answer.header("retry-after").and_then(|v| parse_retry_after(v, now));
            HubError::Status { url, status, message: message(answer), retry_after }
        }
    }
}

/// The server's own words: the header made for it, or `{"error": "..."}`, or nothing.
fn message(answer: Answer) -> String {
    if let Some(text) = answer.header("x-error-message") {
        return clean(text);
    }
    let mut bytes = Vec::new();
    let body = answer.body.into_with_config().limit(u64::MAX).reader();
    // An error page that does not arrive is not worth another error.
    if body.take(4096).read_to_end(&mut bytes).is_err() {
        return String::new();
    }
    let parsed: Option<serde_json::Value> = serde_json::from_slice(&bytes).ok();
    clean(parsed.as_ref().and_then(|v| v.get("error")?.as_str()).unwrap_or_default())
}

/// Text from a server ends up on a terminal.
fn clean(text: &str) -> String {
    shorten(&text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect::<String>())
}
