//! `/local/reviews`: people judge what models wrote, without knowing which model wrote it.

use std::fmt;
use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, RawQuery, State};
use serde::Serialize;
use serde_json::{Value, json};

use super::blocking;
use super::query::Query;
use crate::app::App;
use crate::body::Sent;
use crate::fields::Fields;
use crate::problem::Problem;

/// Longest note that is passed on, in bytes.
const LONGEST_NOTE: usize = 16 << 10;

/// What there is to judge, and where judgements go. Every call may block; texts are as a judge may see them.
pub trait Reviews: Send + Sync + fmt::Debug {
    /// What there is.
    fn list(&self) -> Vec<Review>;

    /// What this judge is to judge now.
    ///
    /// # Errors
    /// No such review, or a name that is none.
    fn next(&self, id: &str, judge: &str) -> Result<ReviewNext, ReviewFault>;

    /// Keeps a judgement for good: once this returns, it is on the disk.
    ///
    /// # Errors
    /// No such review, an item that this judge is not to judge (any more), scores out of range, a disk that does not take it.
    fn answer(&self, id: &str, answer: ReviewAnswer) -> Result<(), ReviewFault>;

    /// What judges have said so far.
    ///
    /// # Errors
    /// No such review, or one whose authors are not known here.
    fn report(&self, id: &str) -> Result<ReviewReport, ReviewFault>;
}

/// Why not.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReviewFault {
    /// There is none of that name.
    #[error("there is no such review")]
    Unknown,
    /// What was sent does not fit.
    #[error("{0}")]
    Invalid(String),
    /// The server's own fault, in words without its paths.
    #[error("{0}")]
    Failed(String),
}

/// A set of pairs of texts to judge.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Review {
    /// Names it.
    pub id: String,
    /// What judges are told it is about.
    pub title: String,
    /// Pairs.
    pub items: usize,
    /// People who have judged something.
    pub judges: usize,
}

/// What a judge is to do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ReviewNext {
    /// Nothing any more.
    pub done: bool,
    /// The number of the item on this judge's way, from 1.
    pub place: usize,
    /// Items in all.
    pub of: usize,
    /// The item.
    pub item: Option<ReviewItem>,
}

/// Two texts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ReviewItem {
    /// Names it within its review.
    pub id: usize,
    /// What the first was written from.
    pub prompt: String,
    /// What the second was written from, where that is another.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub prompt_b: Option<String>,
    /// The first.
    pub a: String,
    /// The second.
    pub b: String,
}

/// Scores of one text, 1 (worst) to 5 (best).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReviewScores {
    /// Of the language.
    pub fluency: u8,
    /// Of the text with itself.
    pub coherence: u8,
    /// Of the text to its prompt.
    pub relevance: u8,
}

/// Which of two texts is better.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReviewPreference {
    /// The first.
    A,
    /// The second.
    B,
    /// They are equally good.
    Tie,
    /// Neither is any good.
    BothBad,
}

/// A judgement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReviewAnswer {
    /// Who judged.
    pub judge: String,
    /// Which item.
    pub item: usize,
    /// Of the first text.
    pub a: ReviewScores,
    /// Of the second text.
    pub b: ReviewScores,
    /// Which is better.
    pub preference: ReviewPreference,
    /// Anything else.
    pub note: Option<String>,
}

/// What was said of one author.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ReviewRow {
    /// Who.
    pub source: String,
    /// Mean score.
    pub fluency: Option<f64>,
    /// Mean score.
    pub coherence: Option<f64>,
    /// Mean score.
    pub relevance: Option<f64>,
    /// Share of comparisons that it won.
    pub won: Option<f64>,
    /// Bradley-Terry strength, a natural logarithm; the mean of all authors is 0.
    pub strength: Option<f64>,
    /// Where that may lie, with 95 % confidence.
    pub interval: Option<[f64; 2]>,
    /// Comparisons.
    pub count: usize,
}

/// What judges have said.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct ReviewReport {
    /// One of each author.
    pub rows: Vec<ReviewRow>,
    /// Krippendorff's alpha of preferences, where judges share items.
    pub alpha: Option<f64>,
    /// Answers that count.
    pub answers: usize,
}

impl From<ReviewFault> for Problem {
    fn from(fault: ReviewFault) -> Self {
        match fault {
            ReviewFault::Unknown => Self::not_found("there is no such review"),
            ReviewFault::Invalid(words) => Self::invalid(words),
            ReviewFault::Failed(words) => Self::internal(words),
        }
    }
}

pub(super) async fn list(State(app): State<Arc<App>>) -> Result<Json<Value>, Problem> {
    let reviews = app.reviews.clone();
    let found = blocking(move || Ok(reviews.map_or_else(Vec::new, |reviews| reviews.list())));
    Ok(Json(json!({"reviews": found.await?})))
}

pub(super) async fn next(
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
    RawQuery(query): RawQuery,
) -> Result<Json<ReviewNext>, Problem> {
    let mut query = Query::parse(query.as_deref())?;
    let judge = query.required("judge")?;
    query.finish()?;
    with(&app, move |reviews| reviews.next(&id, &judge)).await.map(Json)
}

pub(super) async fn answer(
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
    sent: Sent,
) -> Result<Json<Value>, Problem> {
    let answer = read(sent.fields)?;
    with(&app, move |reviews| reviews.answer(&id, answer)).await?;
    Ok(Json(json!({"ok": true})))
}

pub(super) async fn report(State(app): State<Arc<App>>, Path(id): Path<String>) -> Result<Json<ReviewReport>, Problem> {
    with(&app, move |reviews| reviews.report(&id)).await.map(Json)
}

async fn with<T: Send + 'static>(
    app: &Arc<App>,
    what: impl FnOnce(&dyn Reviews) -> Result<T, ReviewFault> + Send + 'static,
) -> Result<T, Problem> {
    let reviews = app.reviews.clone().ok_or(ReviewFault::Unknown)?;
    blocking(move || Ok(what(reviews.as_ref())?)).await
}

fn read(mut fields: Fields) -> Result<ReviewAnswer, Problem> {
    let judge = fields.required("judge")?;
    let item = fields.integer("item", 1..=u64::from(u32::MAX))?.ok_or_else(|| fields.missing("item"))? as usize;
    let (a, b) = (scores(&mut fields, "a")?, scores(&mut fields, "b")?);
    let preference = match fields.required("preference")?.as_str() {
        "a" => ReviewPreference::A,
        "b" => ReviewPreference::B,
        "tie" => ReviewPreference::Tie,
        "both_bad" => ReviewPreference::BothBad,
        _ => return Err(Problem::field("preference", "`preference` must be a, b, tie or both_bad")),
    };
    let note = fields.string("note")?.filter(|note| !note.trim().is_empty());
    if note.as_ref().is_some_and(|note| note.len() > LONGEST_NOTE) {
        return Err(Problem::field("note", format!("`note` may have at most {LONGEST_NOTE} bytes")));
    }
    fields.finish()?;
    Ok(ReviewAnswer { judge, item, a, b, preference, note })
}

fn scores(fields: &mut Fields, side: &str) -> Result<ReviewScores, Problem> {
    let mut of = fields.object(side)?.ok_or_else(|| fields.missing(side))?;
    let mut score = |name: &str| {
        let found = of.integer(name, 1..=5)?;
        found.map(|score| score as u8).ok_or_else(|| of.missing(name))
    };
    let scores =
        ReviewScores { fluency: score("fluency")?, coherence: score("coherence")?, relevance: score("relevance")? };
    of.finish()?;
    Ok(scores)
}
