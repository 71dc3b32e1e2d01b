//! One judge at work.
//!
//! A [`Session`] knows which item comes next and what an answer must hold. It reads and writes nothing: a front end shows
//! [`Session::current`], and appends the line of each [`Record`] that it is given to the answers file before going on.

use std::collections::{HashSet, VecDeque};

use super::answers::Answers;
use super::error::{Result, bad_answer};
use super::judgement::{Answer, Judgement, Record, Sides};
use super::sheet::{Prompt, Sheet};
use super::visible::check_name;

/// A judge's way through a sheet.
#[derive(Debug)]
pub struct Session<'s> {
    sheet: &'s Sheet,
    judge: String,
    /// Still to be judged, the current one first.
    open: VecDeque<usize>,
    skipped: HashSet<usize>,
    /// Judged, in this order.
    done: Vec<usize>,
}

/// An item as its judge sees it. Texts are as the model wrote them: see [`visible`](super::visible()).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shown<'s> {
    /// The item's number.
    pub item: usize,
    /// What was A and what B; not for the judge.
    pub sides: Sides,
    /// What A answers.
    pub prompt_a: &'s str,
    /// What B answers: the same, unless templates are compared.
    pub prompt_b: &'s str,
    /// The text shown as A.
    pub a: &'s str,
    /// The text shown as B.
    pub b: &'s str,
}

/// How far a session has come, in items.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// Judged.
    pub answered: usize,
    /// Put off, and still to be judged.
    pub skipped: usize,
    /// All of the sheet.
    pub total: usize,
}

impl<'s> Session<'s> {
    /// Begins, or goes on after what `answers` holds of this judge.
    ///
    /// # Errors
    /// A judge's name that is empty, longer than 64 characters, or has characters that do not show.
    pub fn new(sheet: &'s Sheet, judge: &str, answers: &Answers) -> Result<Self> {
        check_name("judge", judge)?;
        let done: Vec<usize> = answers.iter().filter(|a| a.judge == judge).map(|answer| answer.item).collect();
        if let Some(item) = done.iter().find(|&&item| item == 0 || item > sheet.items().len()) {
            return Err(bad_answer(format!("there is an answer to item {item}, which the sheet has not")));
        }
        let seen: HashSet<usize> = done.iter().copied().collect();
        let open = sheet.order(judge).into_iter().filter(|item| !seen.contains(item)).collect();
        Ok(Self { sheet, judge: judge.to_owned(), open, skipped: HashSet::new(), done })
    }

    /// The item to judge now; `None` when all are judged.
    pub fn current(&self) -> Option<Shown<'s>> {
        let &number = self.open.front()?;
        let item = &self.sheet.items()[number - 1];
        let (one, other) = match &item.prompt {
            Prompt::Shared(text) => (text, text),
            Prompt::Each([one, other]) => (one, other),
        };
        let [first, second] = &item.texts;
        let sides = self.sheet.sides(&self.judge, number);
        Some(match sides {
            Sides::Kept => Shown { item: number, sides, prompt_a: one, prompt_b: other, a: first, b: second },
            Sides::Swapped => Shown { item: number, sides, prompt_a: other, prompt_b: one, a: second, b: first },
        })
    }

    /// Answers the current item. `seconds` is how long the judge had it before the eyes.
    ///
    /// # Errors
    /// Scores out of range, a note that is too long, seconds that are negative or no number, no item left. Nothing has
    /// changed then.
    pub fn answer(&mut self, mut judgement: Judgement, seconds: f64) -> Result<Record> {
        let Some(shown) = self.current() else { return Err(bad_answer("all items are judged")) };
        judgement.check().map_err(bad_answer)?;
        judgement.note = judgement.note.filter(|note| !note.is_empty());
        if !(seconds.is_finite() && seconds >= 0.0) {
            return Err(bad_answer(format!("an answer cannot take {seconds} seconds")));
        }
        self.open.pop_front();
        self.skipped.remove(&shown.item);
        self.done.push(shown.item);
        Ok(Record::Given(Answer {
            sheet: self.sheet.hash().to_owned(),
            judge: self.judge.clone(),
            item: shown.item,
            sides: shown.sides,
            judgement,
            seconds,
        }))
    }

    /// Puts the current item off until all others are judged.
    pub fn skip(&mut self) {
        if let Some(item) = self.open.pop_front() {
            self.skipped.insert(item);
            self.open.push_back(item);
        }
    }

    /// Takes the last answer back and makes its item the current one; `None` if there is none.
    pub fn undo(&mut self) -> Option<Record> {
        let item = self.done.pop()?;
        self.open.push_front(item);
        Some(Record::Withdrawn { sheet: self.sheet.hash().to_owned(), judge: self.judge.clone(), item })
    }

    /// How far the judge has come.
    pub fn progress(&self) -> Progress {
        let (answered, skipped) = (self.done.len(), self.skipped.len());
        Progress { answered, skipped, total: answered + self.open.len() }
    }
}
