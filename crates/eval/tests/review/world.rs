//! Sources and judges with known habits.

use gptneo_eval::review::{
    Answers, Bootstrap, Judgement, Preference, Report, Sample, Scores, Session, Sheet, SheetPlan, Shown, Source,
    make_sheet, read_answers,
};

/// A source whose text for prompt `at` is `name` and `at`.
pub(crate) fn source(name: &str, prompts: usize) -> Source {
    let of = |at: usize| Sample { id: at.to_string(), prompt: format!("p{at}"), text: format!("{name} {at}") };
    Source { name: format!("model-{name}"), samples: (0..prompts).map(of).collect() }
}

pub(crate) fn sheet(names: &[&str], prompts: usize) -> Sheet {
    let sources: Vec<Source> = names.iter().map(|name| source(name, prompts)).collect();
    make_sheet(&sources, &SheetPlan { seed: 5, ..SheetPlan::default() }).unwrap().sheet
}

/// A generator of its own, so that tests do not lean on the crate's.
pub(crate) struct Dice(pub(crate) u64);

impl Dice {
    /// Uniform over `[0, 1)`: xorshift64*.
    pub(crate) fn roll(&mut self) -> f64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 11) as f64 / (1_u64 << 53) as f64
    }

    pub(crate) fn below(&mut self, n: usize) -> usize {
        (self.roll() * n as f64) as usize
    }
}

pub(crate) fn scores(score: u8) -> Scores {
    Scores { fluency: score, coherence: score, relevance: score }
}

/// The same scores for both texts.
pub(crate) fn even(score: u8, preference: Preference) -> Judgement {
    Judgement { a: scores(score), b: scores(score), preference, note: None }
}

/// All lines that a judge gives who answers every item.
pub(crate) fn lines(sheet: &Sheet, judge: &str, mut says: impl FnMut(Shown<'_>) -> Judgement) -> String {
    let mut session = Session::new(sheet, judge, &Answers::default()).unwrap();
    let mut lines = String::new();
    while let Some(shown) = session.current() {
        lines += &session.answer(says(shown), shown.item as f64).unwrap().line();
    }
    lines
}

pub(crate) fn answers(sheet: &Sheet, lines: &str) -> Answers {
    let mut answers = Answers::default();
    read_answers(sheet, "answers.jsonl", lines.as_bytes(), &mut answers).unwrap();
    answers
}

pub(crate) fn report(sheet: &Sheet, lines: &str) -> Report {
    Report::new(sheet, &answers(sheet, lines), Bootstrap { resamples: 200, seed: 1 }).unwrap()
}
