//! People judge what models wrote.
//!
//! [`read_samples`] reads generated texts of two or more [`Source`]s, and [`make_sheet`] pairs up their answers to the same
//! prompts as the items of a [`Sheet`]. Nobody who judges learns who wrote what: the key stays in the sheet's file, apart
//! from what is shown. A judge works through a [`Session`], which a terminal drives, or on the [`page`], which is one HTML
//! file that works without a network; both give the same answers files (jsonl, one [`Record`] a line).
//! [`read_answers`] puts the answers of all judges together, and a [`Report`] says what they say, each number with its
//! count and its interval.
//!
//! ```
//! use gptneo_eval::review::*;
//!
//! let samples = |text: &str| read_samples("x.jsonl", format!(r#"{{"id": 1, "prompt": "p", "text": "{text}"}}"#).as_bytes());
//! let sources = [
//!     Source { name: "small".into(), samples: samples("some text")? },
//!     Source { name: "large".into(), samples: samples("other text")? },
//! ];
//! let sheet = make_sheet(&sources, &SheetPlan::default())?.sheet;
//!
//! let mut answers = Answers::default();
//! let mut session = Session::new(&sheet, "ann", &answers)?;
//! let seen = session.current().expect("the first item");
//! let (good, bad) = (Scores { fluency: 5, coherence: 4, relevance: 4 }, Scores { fluency: 1, coherence: 2, relevance: 1 });
//! let a_is_large = seen.a == "other text";
//! let (a, b, preference) = if a_is_large { (good, bad, Preference::A) } else { (bad, good, Preference::B) };
//! let record = session.answer(Judgement { a, b, preference, note: None }, 12.5)?;
//!
//! read_answers(&sheet, "ann.jsonl", record.line().as_bytes(), &mut answers)?;
//! let report = Report::new(&sheet, &answers, Bootstrap::default())?;
//! assert_eq!(report.sources[1].outcomes.expect("it was judged").won.count, 1);
//! # Ok::<(), ReviewError>(())
//! ```
//!
//! Texts, answers and sheets are hostile: lines, files and counts have a largest size, and what is shown cannot escape from
//! its place ([`visible()`], [`page`]). Blind means that nothing shown names a source; it is no protection against a judge who
//! guesses the seed and draws again. Tests: `tests/review` (statistics against independent computations in
//! Python, files, sessions) and `.ci/review_page.py` (the page, in a browser).

mod agreement;
mod answers;
mod draw;
mod error;
mod form;
mod judgement;
mod lines;
mod making;
mod measure;
mod page;
mod report;
pub(crate) mod resample;
mod samples;
mod session;
mod sheet;
mod strength;
mod table;
mod verdict;
mod visible;

pub use agreement::{Metric, alpha};
pub use answers::{Answers, AnswersRead, read_answers};
pub use error::ReviewError;
pub use form::{Form, Question};
pub use judgement::{Answer, Judgement, LONGEST_NOTE, Preference, Record, SCORES, Scale, Scores, Sides};
pub use making::{Made, Overlong, Prompts, SheetPlan, make_sheet};
pub use page::page;
pub use report::{Agreement, JudgeReport, Measured, Outcomes, PairReport, Report, SourceReport, Strength, Tally};
pub use resample::{Bootstrap, Estimate, Interval};
pub use samples::{Sample, Source, read_samples};
pub use session::{Progress, Session, Shown};
pub use sheet::{Item, Prompt, Sheet};
pub use strength::bradley_terry;
pub use visible::{LONGEST_NAME, visible};
