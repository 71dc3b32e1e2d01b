//! What a judge says of one item, and the line of an answers file that holds it.
//!
//! An answers file is jsonl. A line is an answer:
//!
//! ```json
//! {"sheet":"…","judge":"ann","item":3,"sides":"swapped","a":{"fluency":4,"coherence":3,"relevance":5},
//!  "b":{"fluency":2,"coherence":3,"relevance":1},"preference":"a","note":"…","seconds":21.5}
//! ```
//!
//! or takes one back: `{"sheet":"…","judge":"ann","item":3,"withdrawn":true}`. Files only grow; the last line of a judge
//! on an item is the one that counts.

use serde::{Deserialize, Serialize};

use super::error::shown;
use super::visible::check_name;

/// What texts are scored on, each from 1 (worst) to 5 (best).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Scale {
    /// Of the language alone.
    Fluency,
    /// Of the text with itself.
    Coherence,
    /// Of the text to its prompt.
    Relevance,
}

impl Scale {
    /// In the order in which they are asked.
    pub const ALL: [Self; 3] = [Self::Fluency, Self::Coherence, Self::Relevance];

    /// In lower case, as in files.
    pub fn name(self) -> &'static str {
        match self {
            Self::Fluency => "fluency",
            Self::Coherence => "coherence",
            Self::Relevance => "relevance",
        }
    }

    /// As a judge is asked.
    pub fn question(self) -> &'static str {
        match self {
            Self::Fluency => "Does it read like well-formed language?",
            Self::Coherence => "Do its parts fit together?",
            Self::Relevance => "Does it fit the prompt?",
        }
    }
}

/// The lowest and the highest score.
pub const SCORES: std::ops::RangeInclusive<u8> = 1..=5;

/// The longest note, in characters.
pub const LONGEST_NOTE: usize = 2000;

/// The scores of one text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scores {
    /// See [`Scale::Fluency`].
    pub fluency: u8,
    /// See [`Scale::Coherence`].
    pub coherence: u8,
    /// See [`Scale::Relevance`].
    pub relevance: u8,
}

impl Scores {
    /// The score on one scale.
    pub fn on(self, scale: Scale) -> u8 {
        match scale {
            Scale::Fluency => self.fluency,
            Scale::Coherence => self.coherence,
            Scale::Relevance => self.relevance,
        }
    }
}

/// Which of two texts is better.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Preference {
    /// The one shown as A.
    A,
    /// The one shown as B.
    B,
    /// They are equally good.
    Tie,
    /// Neither is any good. Strengths count it as a tie.
    BothBad,
}

/// Which text of the item a judge saw as A.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Sides {
    /// A is the item's first text.
    Kept,
    /// A is the item's second text.
    Swapped,
}

/// What a judge says of an item.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Judgement {
    /// Of the text shown as A.
    pub a: Scores,
    /// Of the text shown as B.
    pub b: Scores,
    /// Which is better.
    pub preference: Preference,
    /// Anything else.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
}

impl Judgement {
    /// Whether scores are in range and the note is short enough; what is wrong otherwise.
    pub(crate) fn check(&self) -> Result<(), String> {
        for (side, scores) in [("A", self.a), ("B", self.b)] {
            for scale in Scale::ALL {
                let score = scores.on(scale);
                if !SCORES.contains(&score) {
                    return Err(format!("{} of {side} is {score}, but scores go from 1 to 5", scale.name()));
                }
            }
        }
        match &self.note {
            Some(note) if note.chars().count() > LONGEST_NOTE => {
                Err(format!("the note is longer than {LONGEST_NOTE} characters"))
            }
            _ => Ok(()),
        }
    }
}

/// A judgement with what it was about.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Answer {
    /// The sheet's hash.
    pub sheet: String,
    /// Who judged.
    pub judge: String,
    /// The item's number, from 1.
    pub item: usize,
    /// What A and B were.
    pub sides: Sides,
    /// What was said.
    #[serde(flatten)]
    pub judgement: Judgement,
    /// Between seeing the item and answering.
    pub seconds: f64,
}

/// A line of an answers file.
#[derive(Clone, Debug, PartialEq)]
pub enum Record {
    /// An answer was given.
    Given(Answer),
    /// What the judge had said on an item counts no longer.
    Withdrawn {
        /// The sheet's hash.
        sheet: String,
        /// Whose answer.
        judge: String,
        /// On which item, from 1.
        item: usize,
    },
}

impl Record {
    /// The line, with the newline that ends it.
    pub fn line(&self) -> String {
        let text = match self {
            Self::Given(answer) => serde_json::to_string(answer),
            Self::Withdrawn { sheet, judge, item } => {
                let (sheet, judge) = (sheet.clone(), judge.clone());
                serde_json::to_string(&Withdrawal { sheet, judge, item: *item, withdrawn: true })
            }
        };
        text.expect("strings and finite numbers can be written") + "\n"
    }

    /// Reads a line; what is wrong with it otherwise.
    pub(crate) fn parse(line: &str) -> Result<Self, String> {
        let written: Written = serde_json::from_str(line).map_err(|error| shown(&error.to_string()))?;
        check_name("judge", &written.judge).map_err(|error| error.to_string())?;
        let Written { sheet, judge, item, .. } = written;
        if written.withdrawn == Some(true) {
            return Ok(Self::Withdrawn { sheet, judge, item });
        }
        let lacks = |what: &str| format!("the answer has no `{what}`");
        let judgement = Judgement {
            a: written.a.ok_or_else(|| lacks("a"))?,
            b: written.b.ok_or_else(|| lacks("b"))?,
            preference: written.preference.ok_or_else(|| lacks("preference"))?,
            note: written.note.filter(|note| !note.is_empty()),
        };
        judgement.check()?;
        let seconds = written.seconds.ok_or_else(|| lacks("seconds"))?;
        if !(seconds.is_finite() && seconds >= 0.0) {
            return Err(format!("`seconds` is {seconds}, but must not be negative"));
        }
        let sides = written.sides.ok_or_else(|| lacks("sides"))?;
        Ok(Self::Given(Answer { sheet, judge, item, sides, judgement, seconds }))
    }
}

#[derive(Serialize)]
struct Withdrawal {
    sheet: String,
    judge: String,
    item: usize,
    withdrawn: bool,
}

/// Either kind of line.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    sheet: String,
    judge: String,
    item: usize,
    withdrawn: Option<bool>,
    sides: Option<Sides>,
    a: Option<Scores>,
    b: Option<Scores>,
    preference: Option<Preference>,
    note: Option<String>,
    seconds: Option<f64>,
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = r#"{"sheet":"ab","judge":"ann","item":3,"sides":"swapped","a":{"fluency":4,"coherence":3,"relevance":5},"b":{"fluency":2,"coherence":3,"relevance":1},"preference":"both_bad","note":"x\ny","seconds":21.5}"#;

    #[test]
    fn a_line_comes_back_as_it_was() {
        for line in [GOOD, r#"{"sheet":"ab","judge":"ann","item":3,"withdrawn":true}"#] {
            assert_eq!(Record::parse(line).unwrap().line(), format!("{line}\n"));
        }
        assert!(!Record::parse(&GOOD.replace(r#""x\ny""#, "null")).unwrap().line().contains("note"));
    }

    #[test]
    fn says_what_is_wrong() {
        let bad = |from: &str, to: &str, wanted: &str| {
            let line = GOOD.replace(from, to);
            assert_ne!(line, GOOD);
            let error = Record::parse(&line).unwrap_err();
            assert!(error.contains(wanted), "{error}");
        };
        bad(r#""fluency":4"#, r#""fluency":6"#, "fluency of A is 6, but scores go from 1 to 5");
        bad(r#""relevance":1"#, r#""relevance":0"#, "relevance of B is 0");
        bad(r#""fluency":4"#, r#""fluency":"4""#, "invalid type: string \"4\", expected u8");
        bad(r#""fluency":4"#, r#""fluency":4.5"#, "expected u8");
        bad(r#""fluency":4,"#, "", "missing field `fluency`");
        bad(r#""item":3"#, r#""item":-3"#, "expected usize");
        bad("both_bad", "c", "unknown variant `c`");
        bad("21.5", "-1", "must not be negative");
        bad("21.5", "1e999", "number out of range");
        bad(r#","seconds":21.5"#, "", "the answer has no `seconds`");
        bad(r#""a":{"fluency":4,"coherence":3,"relevance":5},"#, "", "the answer has no `a`");
        bad(r#""judge":"ann""#, r#""judge":"""#, "the name of a judge is empty");
        bad(r#""item":3"#, r#""item":3,"extra":1"#, "unknown field `extra`");
        bad(r#""item":3"#, r#""item":3,"item":4"#, "duplicate field `item`");
        bad(r#""x\ny""#, &format!("\"{}\"", "é".repeat(2001)), "the note is longer than 2000 characters");
    }
}
