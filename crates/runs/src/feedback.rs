//! What people said of what models wrote: a thumb, a better text, a report, a choice between two.
//!
//! It stands in the store of runs beside them, because it is what the next run may learn from: [`FeedbackForm`] has the lines that
//! `finetune` reads. Nobody but the store's owner is given it; whoever gave it can take it back (see [`Store`](crate::Store)).

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::error::RunsError;
use crate::record::Time;

/// The most entries of a store.
pub const MOST_FEEDBACK: u64 = 100_000;
/// The part of the store that one client may fill: one of so many.
pub const FEEDBACK_SHARES: u64 = 10;
/// The most bytes of one entry, all its texts together.
pub const LONGEST_FEEDBACK: usize = 1 << 20;
/// The most bytes of all entries together.
pub const FEEDBACK_BYTES: u64 = 1 << 30;

/// What a person did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FeedbackKind {
    /// Said whether a response is good: a [`Rating`].
    Thumb,
    /// Wrote what the response should have been: `better`.
    Edit,
    /// Said what is wrong with it: `reason`.
    Report,
    /// Chose another response over it: `better` is the one that was chosen.
    Choice,
}

impl FeedbackKind {
    /// All of them.
    pub const ALL: [FeedbackKind; 4] =
        [FeedbackKind::Thumb, FeedbackKind::Edit, FeedbackKind::Report, FeedbackKind::Choice];

    /// Its name in the store and in JSON.
    pub fn name(self) -> &'static str {
        match self {
            FeedbackKind::Thumb => "thumb",
            FeedbackKind::Edit => "edit",
            FeedbackKind::Report => "report",
            FeedbackKind::Choice => "choice",
        }
    }

    /// The kind of that name.
    pub fn of(name: &str) -> Option<FeedbackKind> {
        FeedbackKind::ALL.into_iter().find(|kind| kind.name() == name)
    }
}

/// Good or not: 1 or -1 in the store and in JSON.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(into = "i8")]
pub enum Rating {
    /// 1.
    Up,
    /// -1.
    Down,
}

impl From<Rating> for i8 {
    fn from(rating: Rating) -> i8 {
        match rating {
            Rating::Up => 1,
            Rating::Down => -1,
        }
    }
}

impl Rating {
    /// The rating of that number.
    pub fn of(number: i64) -> Option<Rating> {
        match number {
            1 => Some(Rating::Up),
            -1 => Some(Rating::Down),
            _ => None,
        }
    }
}

/// A turn of a conversation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Turn {
    /// `system`, `user` or `assistant`.
    pub role: String,
    /// What was said.
    pub content: String,
}

/// What the model was given.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Asked {
    /// A text to continue.
    Prompt(String),
    /// A conversation, without the response.
    Messages(Vec<Turn>),
}

/// Something said of a response.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct NewFeedback {
    /// The name of the key that it came with; `None` where there are no keys. An address is nobody's name, and is not kept.
    pub client: Option<String>,
    /// What was done.
    pub kind: FeedbackKind,
    /// The model, as it was asked for.
    pub model: String,
    /// What it was given.
    #[serde(flatten)]
    pub asked: Asked,
    /// What it wrote.
    pub response: String,
    /// Whether that is good.
    pub rating: Option<Rating>,
    /// What would have been better, or was chosen in its place.
    pub better: Option<String>,
    /// What is wrong with it, in a word.
    pub reason: Option<String>,
    /// Anything else.
    pub note: Option<String>,
}

/// An entry of the store.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Feedback {
    /// Its number: never given twice.
    pub id: i64,
    /// When it was given.
    pub when: Time,
    /// What was said.
    #[serde(flatten)]
    pub said: NewFeedback,
}

/// Some entries, and whether there are more beyond them.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct FeedbackPage {
    /// The entries.
    pub items: Vec<Feedback>,
    /// Whether there are more.
    pub more: bool,
}

/// As what entries are written to a file, one JSON object a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FeedbackForm {
    /// What `finetune` learns from: edits, and responses with a thumb up. `{"prompt", "response"}`, or `{"messages"}` of a conversation.
    Sft,
    /// What was better than what: edits and choices. `{"prompt", "chosen", "rejected"}`; of a conversation each is a list of messages.
    Preference,
    /// Every entry with all its fields.
    All,
}

impl FeedbackForm {
    /// All of them.
    pub const ALL: [FeedbackForm; 3] = [FeedbackForm::Sft, FeedbackForm::Preference, FeedbackForm::All];

    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            FeedbackForm::Sft => "sft",
            FeedbackForm::Preference => "preference",
            FeedbackForm::All => "all",
        }
    }

    /// The form of that name.
    pub fn of(name: &str) -> Option<FeedbackForm> {
        FeedbackForm::ALL.into_iter().find(|form| form.name() == name)
    }
}

impl NewFeedback {
    /// Bytes of all its texts.
    pub fn bytes(&self) -> usize {
        let asked = match &self.asked {
            Asked::Prompt(prompt) => prompt.len(),
            Asked::Messages(turns) => turns.iter().map(|turn| turn.role.len() + turn.content.len()).sum(),
        };
        let optional = [&self.better, &self.reason, &self.note, &self.client];
        let optional: usize = optional.into_iter().flatten().map(String::len).sum();
        asked + optional + self.model.len() + self.response.len()
    }

    /// Whether it says what its kind is for, and is not too long.
    pub(crate) fn check(&self) -> Result<(), RunsError> {
        let wrong = |why: String| Err(RunsError::BadValue { what: "feedback".to_owned(), why });
        let missing = match self.kind {
            FeedbackKind::Thumb if self.rating.is_none() => "a rating",
            FeedbackKind::Edit if self.better.is_none() => "the better text",
            FeedbackKind::Choice if self.better.is_none() => "the text that was chosen",
            FeedbackKind::Report if self.reason.is_none() => "a reason",
            _ if self.bytes() > LONGEST_FEEDBACK => {
                return wrong(format!("it has {} bytes, and may have at most {LONGEST_FEEDBACK}", self.bytes()));
            }
            _ => return Ok(()),
        };
        wrong(format!("it is of the kind `{}` and lacks {missing}", self.kind.name()))
    }

    /// The response that is worth learning, if there is one.
    fn worth_learning(&self) -> Option<&str> {
        let text = match (self.kind, self.rating) {
            (FeedbackKind::Edit, _) => self.better.as_deref(),
            (FeedbackKind::Thumb, Some(Rating::Up)) => Some(self.response.as_str()),
            _ => None,
        };
        let learnable = match &self.asked {
            Asked::Prompt(_) => true,
            // `finetune` refuses a conversation in which the assistant once said nothing.
            Asked::Messages(turns) => !turns.iter().any(|t| t.role == "assistant" && t.content.trim().is_empty()),
        };
        text.filter(|text| learnable && !text.trim().is_empty())
    }
}

impl Feedback {
    /// Its line in a file of this form, without a line break; `None` where it says nothing of what the form is for.
    pub fn line(&self, form: FeedbackForm) -> Option<String> {
        let said = &self.said;
        let answer = |text: &str| json!({"role": "assistant", "content": text});
        let value = match form {
            FeedbackForm::All => json!(self),
            FeedbackForm::Sft => match (&said.asked, said.worth_learning()?) {
                (Asked::Prompt(prompt), response) => json!({"prompt": prompt, "response": response}),
                (Asked::Messages(turns), response) => {
                    let all: Vec<Value> = turns.iter().map(|turn| json!(turn)).chain([answer(response)]).collect();
                    json!({"messages": all})
                }
            },
            FeedbackForm::Preference => {
                let compares = matches!(said.kind, FeedbackKind::Edit | FeedbackKind::Choice);
                let better = said.better.as_deref().filter(|better| compares && *better != said.response)?;
                match &said.asked {
                    Asked::Prompt(prompt) => json!({"prompt": prompt, "chosen": better, "rejected": said.response}),
                    Asked::Messages(turns) => json!({
                        "prompt": turns, "chosen": [answer(better)], "rejected": [answer(&said.response)],
                    }),
                }
            }
        };
        Some(value.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn thumb(rating: Rating) -> NewFeedback {
        NewFeedback {
            client: None,
            kind: FeedbackKind::Thumb,
            model: "m".into(),
            asked: Asked::Prompt("2 + 2 =".into()),
            response: " 4".into(),
            rating: Some(rating),
            better: None,
            reason: None,
            note: None,
        }
    }

    fn edit() -> NewFeedback {
        let asked = Asked::Messages(vec![Turn { role: "user".into(), content: "2 + 2?".into() }]);
        let base = thumb(Rating::Down);
        NewFeedback { kind: FeedbackKind::Edit, asked, rating: None, better: Some("Four.".into()), ..base }
    }

    fn line(said: NewFeedback, form: FeedbackForm) -> Option<Value> {
        let line = Feedback { id: 1, when: 2.0, said }.line(form)?;
        assert!(!line.contains('\n'));
        Some(serde_json::from_str(&line).unwrap())
    }

    #[test]
    fn names_lead_back() {
        assert!(FeedbackKind::ALL.into_iter().all(|kind| FeedbackKind::of(kind.name()) == Some(kind)));
        assert!(FeedbackForm::ALL.into_iter().all(|form| FeedbackForm::of(form.name()) == Some(form)));
        assert_eq!([1, -1, 0].map(Rating::of), [Some(Rating::Up), Some(Rating::Down), None]);
    }

    #[test]
    fn what_is_good_is_learned_and_nothing_else() {
        let sft = |said| line(said, FeedbackForm::Sft);
        assert_eq!(sft(thumb(Rating::Up)), Some(json!({"prompt": "2 + 2 =", "response": " 4"})));
        assert_eq!(sft(thumb(Rating::Down)), None);
        let turns = json!([{"role": "user", "content": "2 + 2?"}, {"role": "assistant", "content": "Four."}]);
        assert_eq!(sft(edit()), Some(json!({"messages": turns})));
        assert_eq!(sft(NewFeedback { kind: FeedbackKind::Choice, ..edit() }), None, "better than another is not good");
        assert_eq!(sft(NewFeedback { better: Some(" \n".into()), ..edit() }), None);
        let silent = Asked::Messages(vec![Turn { role: "assistant".into(), content: String::new() }]);
        assert_eq!(sft(NewFeedback { asked: silent, ..edit() }), None);
    }

    #[test]
    fn what_is_better_stands_beside_what_was_worse() {
        let preference = |said| line(said, FeedbackForm::Preference);
        let chosen = NewFeedback { asked: Asked::Prompt("p".into()), kind: FeedbackKind::Choice, ..edit() };
        assert_eq!(preference(chosen), Some(json!({"prompt": "p", "chosen": "Four.", "rejected": " 4"})));
        let found = preference(edit()).unwrap();
        assert_eq!(found["prompt"], json!([{"role": "user", "content": "2 + 2?"}]));
        assert_eq!(found["rejected"], json!([{"role": "assistant", "content": " 4"}]));
        assert_eq!(preference(thumb(Rating::Up)), None);
        assert_eq!(preference(NewFeedback { better: Some(" 4".into()), ..edit() }), None);
    }

    #[test]
    fn all_fields_come_out_flat() {
        let wanted = json!({
            "id": 1, "when": 2.0, "client": null, "kind": "thumb", "model": "m", "prompt": "2 + 2 =", "response": " 4", "rating": 1,
            "better": null, "reason": null, "note": null,
        });
        assert_eq!(line(thumb(Rating::Up), FeedbackForm::All), Some(wanted));
    }

    #[test]
    fn a_kind_says_what_it_is_for() {
        let words = |said: NewFeedback| said.check().unwrap_err().to_string();
        assert!(words(NewFeedback { rating: None, ..thumb(Rating::Up) }).ends_with("lacks a rating"));
        assert!(words(NewFeedback { better: None, ..edit() }).ends_with("lacks the better text"));
        assert!(words(NewFeedback { kind: FeedbackKind::Report, ..edit() }).ends_with("lacks a reason"));
        let long = NewFeedback { note: Some("x".repeat(LONGEST_FEEDBACK)), ..edit() };
        assert!(words(long).contains("at most 1048576"));
        assert!(edit().check().is_ok() && thumb(Rating::Down).check().is_ok());
    }
}
