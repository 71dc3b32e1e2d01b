//! Answers and key put together: what was said of which source.

use std::collections::HashMap;

use super::answers::Answers;
use super::error::{Result, bad_answer};
use super::judgement::{Preference, Scores, Sides};
use super::sheet::Sheet;

/// One answer, with its texts in the order of the key.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Verdict {
    /// From 0, among the prompts that have answers.
    pub(crate) prompt: usize,
    /// From 0.
    pub(crate) item: usize,
    /// From 0, in the order of the judges' names.
    pub(crate) judge: usize,
    /// Places among the sources.
    pub(crate) sources: [usize; 2],
    pub(crate) scores: [Scores; 2],
    pub(crate) outcome: Outcome,
    /// As the judge saw it.
    pub(crate) preference: Preference,
    pub(crate) seconds: f64,
}

/// Which text of an item is better.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    First,
    Second,
    Tie,
    BothBad,
}

impl Outcome {
    /// Points of the first text: 1, 0, or half.
    pub(crate) fn points(self) -> f64 {
        match self {
            Self::First => 1.0,
            Self::Second => 0.0,
            Self::Tie | Self::BothBad => 0.5,
        }
    }
}

/// All answers of a sheet, ready to be counted.
pub(crate) struct Verdicts {
    /// In the order of items, then judges: who answered when makes no difference.
    pub(crate) list: Vec<Verdict>,
    /// How many prompts have answers.
    pub(crate) prompts: usize,
    pub(crate) judges: Vec<String>,
}

/// # Errors
/// A sheet without its key, answers that do not belong to it.
pub(crate) fn verdicts(sheet: &Sheet, answers: &Answers) -> Result<Verdicts> {
    let key = sheet.key()?;
    let judges: Vec<String> = answers.judges().into_iter().map(str::to_owned).collect();
    let judge: HashMap<&str, usize> = judges.iter().enumerate().map(|(at, name)| (name.as_str(), at)).collect();
    let mut list = Vec::with_capacity(answers.len());
    for answer in answers.iter() {
        let item = answer.item.wrapping_sub(1);
        if answer.sheet != sheet.hash() || item >= key.items.len() {
            return Err(bad_answer("the answers belong to another sheet"));
        }
        let said = &answer.judgement;
        let (scores, outcome) = match (answer.sides, said.preference) {
            (Sides::Kept, Preference::A) => ([said.a, said.b], Outcome::First),
            (Sides::Kept, Preference::B) => ([said.a, said.b], Outcome::Second),
            (Sides::Swapped, Preference::A) => ([said.b, said.a], Outcome::Second),
            (Sides::Swapped, Preference::B) => ([said.b, said.a], Outcome::First),
            (sides, even) => {
                let scores = if sides == Sides::Kept { [said.a, said.b] } else { [said.b, said.a] };
                (scores, if even == Preference::Tie { Outcome::Tie } else { Outcome::BothBad })
            }
        };
        list.push(Verdict {
            prompt: 0,
            item,
            judge: judge[answer.judge.as_str()],
            sources: key.items[item].sources,
            scores,
            outcome,
            preference: said.preference,
            seconds: answer.seconds,
        });
    }
    list.sort_by_key(|verdict| (verdict.item, verdict.judge));
    let mut prompts: HashMap<&str, usize> = HashMap::new();
    for verdict in &mut list {
        let next = prompts.len();
        verdict.prompt = *prompts.entry(&key.items[verdict.item].prompt).or_insert(next);
    }
    Ok(Verdicts { list, prompts: prompts.len(), judges })
}
