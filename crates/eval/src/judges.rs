//! Judges beside a task's own rules: scorers of texts, and a runner of programs. The caller brings them, chosen by name.
//!
//! A task says which it needs. One that is missing is an error before a model is asked, but for the runner of programs, which is there
//! only where somebody has allowed it: without one the answers are kept, and have no scores. What judged stands in the result.

mod lexicon;
mod vader;
mod words;

use serde_json::{Map, Value};

pub use vader::Vader;
pub use words::WordList;

use crate::definition::Task;
use crate::error::EvalError;

/// What is judged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Judge {
    /// How probably a text is toxic.
    Toxicity,
    /// How glad or sad a text sounds.
    Sentiment,
    /// Whether a program passes its tests, which means running it.
    Code,
}

impl Judge {
    /// As results name it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Toxicity => "toxicity",
            Self::Sentiment => "sentiment",
            Self::Code => "code",
        }
    }
}

/// What is said of a task whose programs were not run.
pub(crate) const NOT_RUN: &str = "there is no score: programs that a model wrote are not run unless --allow-code-execution says so. \
     The answers are kept where --log-samples or --use-cache keeps them; with --use-cache the same command with \
     --allow-code-execution runs them without asking the model again";

/// Gives a text a number.
pub trait TextScorer {
    /// What it is, with whatever tells it from others: kind, file, digest.
    fn described(&self) -> Value;

    /// Of each text its number: from 0 to 1 of toxicity, -1 to 1 of sentiment.
    ///
    /// # Errors
    /// Why a text has none; nothing is ever scored by default.
    fn score(&mut self, texts: &[&str]) -> Result<Vec<f64>, String>;
}

/// How a program ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ran {
    /// It came to its end.
    Passed,
    /// It did not, for a reason of its own: an exception, a limit of time or memory.
    Failed(String),
}

/// Runs programs where they can do no harm.
pub trait CodeRunner {
    /// The language, its version and the limits.
    fn described(&self) -> Value;

    /// Runs a program.
    ///
    /// # Errors
    /// Why it could not be run at all, which says nothing about the program.
    fn run(&mut self, program: &str) -> Result<Ran, String>;
}

/// Those that a run has.
#[derive(Default)]
pub struct Judges<'a> {
    /// Of toxicity.
    pub toxicity: Option<Box<dyn TextScorer + 'a>>,
    /// Of sentiment.
    pub sentiment: Option<Box<dyn TextScorer + 'a>>,
    /// Of programs.
    pub code: Option<Box<dyn CodeRunner + 'a>>,
}

impl std::fmt::Debug for Judges<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let all = [Judge::Toxicity, Judge::Sentiment, Judge::Code];
        f.debug_list().entries(all.into_iter().filter_map(|judge| self.description(judge))).finish()
    }
}

impl Judges<'_> {
    fn description(&self, judge: Judge) -> Option<Value> {
        match judge {
            Judge::Toxicity => self.toxicity.as_ref().map(|scorer| scorer.described()),
            Judge::Sentiment => self.sentiment.as_ref().map(|scorer| scorer.described()),
            Judge::Code => self.code.as_ref().map(|runner| runner.described()),
        }
    }

    fn has(&self, judge: Judge) -> bool {
        match judge {
            Judge::Toxicity => self.toxicity.is_some(),
            Judge::Sentiment => self.sentiment.is_some(),
            Judge::Code => self.code.is_some(),
        }
    }

    /// The first of those that a task needs who is not there.
    pub(crate) fn lacking(&self, task: &Task) -> Option<Judge> {
        task.judges().iter().copied().find(|judge| !self.has(*judge))
    }

    /// Whether those that a task cannot go without are there.
    pub(crate) fn demanded_by(&self, task: &Task) -> Result<(), EvalError> {
        match task.judges().iter().find(|judge| **judge != Judge::Code && !self.has(**judge)) {
            Some(judge) => Err(EvalError::NoJudge { task: task.name.clone(), judge: *judge }),
            None => Ok(()),
        }
    }

    /// Those that judged a task, by what they judge; none where one was lacking, and nothing was judged.
    pub(crate) fn described(&self, task: &Task) -> Map<String, Value> {
        if self.lacking(task).is_some() {
            return Map::new();
        }
        let named = |judge: &Judge| Some((judge.name().to_owned(), self.description(*judge)?));
        task.judges().iter().filter_map(named).collect()
    }
}
