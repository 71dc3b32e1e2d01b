//! The questions of one item, one at a time, for a front end that has only lines or keys.

use super::judgement::{Judgement, Preference, SCORES, Scale, Scores};

/// What is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Question {
    /// How good the text shown as A is on a scale.
    OfA(Scale),
    /// How good the text shown as B is on a scale.
    OfB(Scale),
    /// Which is better.
    Preference,
}

impl Question {
    /// In the order in which they are asked.
    pub const ALL: [Self; 7] = [
        Self::OfA(Scale::Fluency),
        Self::OfA(Scale::Coherence),
        Self::OfA(Scale::Relevance),
        Self::OfB(Scale::Fluency),
        Self::OfB(Scale::Coherence),
        Self::OfB(Scale::Relevance),
        Self::Preference,
    ];

    /// As a judge is asked, with the keys that answer.
    pub fn words(self) -> String {
        let of =
            |side: &str, scale: Scale| format!("{side}, {}: {} (1 worst to 5 best)", scale.name(), scale.question());
        match self {
            Self::OfA(scale) => of("A", scale),
            Self::OfB(scale) => of("B", scale),
            Self::Preference => "Which is better? (a, b, t: tie, x: both bad)".to_owned(),
        }
    }
}

/// The answers to an item's questions, as far as they are given.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Form {
    scores: Vec<u8>,
    preference: Option<Preference>,
}

impl Form {
    /// What to ask next; `None` when all is answered.
    pub fn question(&self) -> Option<Question> {
        if self.preference.is_some() { None } else { Question::ALL.get(self.scores.len()).copied() }
    }

    /// Answers the question: `1` to `5` for scores, then `a`, `b`, `t` or `x`, in either case.
    ///
    /// # Errors
    /// In words, any other key. Nothing has changed then.
    pub fn press(&mut self, key: char) -> Result<(), &'static str> {
        match self.question() {
            None => return Err("all questions are answered"),
            Some(Question::Preference) => {
                self.preference = Some(match key.to_ascii_lowercase() {
                    'a' => Preference::A,
                    'b' => Preference::B,
                    't' => Preference::Tie,
                    'x' => Preference::BothBad,
                    _ => return Err("answer a, b, t (tie) or x (both bad)"),
                });
            }
            Some(_) => match key.to_digit(10).and_then(|digit| u8::try_from(digit).ok()) {
                Some(score) if SCORES.contains(&score) => self.scores.push(score),
                _ => return Err("answer with a number from 1 (worst) to 5 (best)"),
            },
        }
        Ok(())
    }

    /// Takes the last answer back; `false` if there is none.
    pub fn back(&mut self) -> bool {
        self.preference.take().is_some() || self.scores.pop().is_some()
    }

    /// The judgement, when all is answered.
    pub fn judgement(&self, note: Option<String>) -> Option<Judgement> {
        let of = |scores: &[u8]| Scores { fluency: scores[0], coherence: scores[1], relevance: scores[2] };
        let preference = self.preference?;
        Some(Judgement { a: of(&self.scores[..3]), b: of(&self.scores[3..]), preference, note })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn asks_all_and_goes_back() {
        let mut form = Form::default();
        for (key, question) in "123451".chars().zip(Question::ALL) {
            assert_eq!((form.question(), form.judgement(None)), (Some(question), None));
            assert!(form.press('a').is_err() && form.press('0').is_err() && form.press('6').is_err());
            form.press(key).unwrap();
        }
        assert!(form.press('5').is_err());
        form.press('X').unwrap();
        assert!(form.question().is_none() && form.press('a').is_err());
        let judgement = form.judgement(Some("n".to_owned())).unwrap();
        assert_eq!((judgement.a.relevance, judgement.b.fluency, judgement.b.relevance), (3, 4, 1));
        assert_eq!(judgement.preference, Preference::BothBad);
        assert!(form.back() && form.question() == Some(Question::Preference) && form.judgement(None).is_none());
        assert!(form.back() && form.question() == Some(Question::OfB(Scale::Relevance)));
        (0..5).for_each(|_| assert!(form.back()));
        assert!(!form.back());
    }
}
