//! `/local/feedback`: what people say of answers.
//!
//! Where there are keys, each sees, exports and deletes what was said with it and nothing else; the owner of the server has all of it in
//! `gptneo runs feedback`. Without keys nobody can be told apart: then only this machine sees what was said.

use std::io;
use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Path, RawQuery, State};
use axum::http::header::{CONTENT_DISPOSITION, CONTENT_TYPE, HeaderValue};
use axum::response::Response;
use axum::{Extension, Json};
use bytes::Bytes;
use futures_util::stream::unfold;
use gptneo_runs::{Asked, FeedbackForm, FeedbackKind, LONGEST_FEEDBACK, NewFeedback, Rating, Store, Turn};
use gptneo_text::Role;
use serde_json::{Value, json};

use super::blocking;
use super::query::Query;
use super::store::{ask, tell};
use crate::app::App;
use crate::body::Sent;
use crate::client::Client;
use crate::fields::Fields;
use crate::openai::read_messages;
use crate::problem::Problem;

/// Entries of one answer.
const MOST: usize = 200;
/// Entries of one answer where nothing is said.
const USUAL: usize = 50;
/// Entries that are read at once for a file.
const AT_ONCE: usize = 64;
/// Longest name of a model, and longest reason, in bytes.
const LONGEST_NAME: usize = 256;

pub(super) async fn add(State(app): State<Arc<App>>, sent: Sent) -> Result<Json<Value>, Problem> {
    let said = read(sent.fields, sent.client.key(), app.limits.messages)?;
    let id = tell(&app, move |store| store.add_feedback(&said)).await?;
    Ok(Json(json!({"id": id})))
}

pub(super) async fn list(
    State(app): State<Arc<App>>,
    Extension(client): Extension<Client>,
    RawQuery(query): RawQuery,
) -> Result<Json<Value>, Problem> {
    let whose = whose(&client)?;
    let mut query = Query::parse(query.as_deref())?;
    let before = query.number("before")?;
    let limit = query.number("limit")?.unwrap_or(USUAL);
    query.finish()?;
    if !(1..=MOST).contains(&limit) {
        return Err(Problem::field("limit", format!("`limit` is {limit}, but must be 1 to {MOST}")));
    }
    let page = ask(&app, move |store| match store {
        Some(store) => store.feedback_before(whose.as_deref(), before, limit),
        None => Ok(gptneo_runs::FeedbackPage::default()),
    });
    let page = page.await?;
    Ok(Json(json!({"items": page.items, "more": page.more})))
}

pub(super) async fn remove(
    State(app): State<Arc<App>>,
    Extension(client): Extension<Client>,
    Path(id): Path<String>,
) -> Result<Json<Value>, Problem> {
    let whose = whose(&client)?;
    let none = || Problem::not_found("there is no such feedback");
    let id: i64 = id.parse().map_err(|_| none())?;
    let found = ask(&app, move |store| match store {
        Some(store) => store.delete_feedback(whose.as_deref(), id),
        None => Ok(false),
    });
    if found.await? { Ok(Json(json!({"deleted": 1}))) } else { Err(none()) }
}

pub(super) async fn clear(
    State(app): State<Arc<App>>,
    Extension(client): Extension<Client>,
) -> Result<Json<Value>, Problem> {
    let whose = whose(&client)?;
    let deleted = ask(&app, move |store| match store {
        Some(store) => store.clear_feedback(whose.as_deref()),
        None => Ok(0),
    });
    Ok(Json(json!({"deleted": deleted.await?})))
}

pub(super) async fn export(
    State(app): State<Arc<App>>,
    Extension(client): Extension<Client>,
    RawQuery(query): RawQuery,
) -> Result<Response, Problem> {
    let whose = whose(&client)?;
    let mut query = Query::parse(query.as_deref())?;
    let form = query.take("form").unwrap_or_else(|| FeedbackForm::All.name().to_owned());
    query.finish()?;
    let wrong = || Problem::field("form", "`form` must be sft, preference or all");
    let form = FeedbackForm::of(&form).ok_or_else(wrong)?;
    let file = File { app, whose, form, after: 0 };
    // What is wrong with the store is said before the file begins.
    let (first, rest) = file.piece().await?;
    let begun = (Some(first), rest);
    let pieces = unfold(begun, |(ready, rest)| async move {
        if let Some(bytes) = ready {
            return Some((Ok(bytes), (None, rest)));
        }
        match rest?.piece().await {
            Ok((bytes, rest)) => Some((Ok(bytes), (None, rest))),
            // The connection breaks, so that half a file is not taken for a whole one.
            Err(problem) => Some((Err(io::Error::other(problem.message)), (None, None))),
        }
    });
    let mut response = Response::new(Body::from_stream(pieces));
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/jsonl; charset=utf-8"));
    let name = format!("attachment; filename=\"feedback-{}.jsonl\"", form.name());
    if let Ok(name) = HeaderValue::from_str(&name) {
        headers.insert(CONTENT_DISPOSITION, name);
    }
    Ok(response)
}

/// A file that is being written, from some entry on.
struct File {
    app: Arc<App>,
    whose: Option<String>,
    form: FeedbackForm,
    after: i64,
}

impl File {
    /// The next lines, and what remains.
    async fn piece(mut self) -> Result<(Bytes, Option<Self>), Problem> {
        let path = self.app.runs.clone();
        blocking(move || {
            let Some(store) = path.map(|path| Store::open_existing(&path)).transpose()?.flatten() else {
                return Ok((Bytes::new(), None));
            };
            let page = store.feedback_after(self.whose.as_deref(), self.after, AT_ONCE)?;
            let lines = page.items.iter().filter_map(|entry| entry.line(self.form));
            let text: String = lines.flat_map(|line| [line, "\n".to_owned()]).collect();
            self.after = page.items.last().map_or(self.after, |entry| entry.id);
            Ok((text.into(), page.more.then_some(self)))
        })
        .await
    }
}

/// Whose feedback this client may see: that of its key, or all.
fn whose(client: &Client) -> Result<Option<String>, Problem> {
    match client.key() {
        Some(key) => Ok(Some(key.to_owned())),
        None if client.is_here() => Ok(None),
        None => Err(Problem::forbidden(
            "this server has no keys, so only its own machine sees what was said: start it with --api-key-file to tell people apart",
        )),
    }
}

fn read(mut fields: Fields, key: Option<&str>, most_messages: usize) -> Result<NewFeedback, Problem> {
    let kind = fields.required("kind")?;
    let wrong = || Problem::field("kind", "`kind` must be thumb, edit, report or choice");
    let kind = FeedbackKind::of(&kind).ok_or_else(wrong)?;
    let model = fields.required("model")?;
    let asked = match (fields.string("prompt")?, fields.array("messages", most_messages)?) {
        (Some(_), Some(_)) => return Err(Problem::field("messages", "`prompt` and `messages` cannot both be given")),
        (Some(prompt), None) => Asked::Prompt(prompt),
        (None, Some(messages)) => Asked::Messages(turns(messages)?),
        (None, None) => return Err(fields.missing("prompt")),
    };
    let response = fields.required("response")?;
    let rating = match fields.number("rating", -1.0..=1.0)? {
        None => None,
        Some(number) if number.abs() == 1.0 => Rating::of(number as i64),
        Some(_) => return Err(Problem::field("rating", "`rating` must be 1 or -1")),
    };
    let (better, reason, note) = (fields.string("better")?, fields.string("reason")?, fields.string("note")?);
    let lacks = match kind {
        FeedbackKind::Thumb => rating.is_none().then_some("rating"),
        FeedbackKind::Edit | FeedbackKind::Choice => better.is_none().then_some("better"),
        FeedbackKind::Report => reason.is_none().then_some("reason"),
    };
    if let Some(name) = lacks {
        return Err(fields.missing(name));
    }
    for (name, text) in [("model", Some(&model)), ("reason", reason.as_ref())] {
        if text.is_some_and(|text| text.len() > LONGEST_NAME) {
            return Err(Problem::field(name, format!("`{name}` may have at most {LONGEST_NAME} bytes")));
        }
    }
    fields.finish()?;
    let said =
        NewFeedback { client: key.map(str::to_owned), kind, model, asked, response, rating, better, reason, note };
    if said.bytes() > LONGEST_FEEDBACK {
        return Err(Problem::too_large(LONGEST_FEEDBACK));
    }
    Ok(said)
}

/// A conversation up to the response.
fn turns(messages: Vec<Value>) -> Result<Vec<Turn>, Problem> {
    let messages = read_messages(messages)?;
    if messages.last().is_some_and(|message| message.role == Role::Assistant) {
        let words = "`messages` must end before the response, with what the user said";
        return Err(Problem::field("messages", words));
    }
    let turn = |message: gptneo_text::Message| Turn { role: message.role.name().to_owned(), content: message.content };
    Ok(messages.into_iter().map(turn).collect())
}
