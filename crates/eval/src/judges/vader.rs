//! Sentiment by VADER (Hutto & Gilbert, 2014): words of a lexicon with their valence, changed by what stands around them, summed, and
//! brought to -1 to 1.
//!
//! Rules and constants are those of the authors' Python package vaderSentiment 3.3.2, whose compound score this is, unrounded; held by
//! `tests/eval/vader.rs` against what the package gives. Its table of emoji is left out: an emoji counts only if the lexicon lists it.

mod cues;

use std::collections::HashMap;
use std::path::Path;

use serde_json::{Value, json};

use super::TextScorer;
use super::lexicon::Lexicon;
use crate::error::EvalError;
use crate::python::is_space;
use cues::{booster, idiom, negates};

/// What a word in capitals adds where others are in small letters.
const CAPITALS: f64 = 0.733;
/// What a negation makes of a valence.
const NEGATION: f64 = -0.74;
/// What "never so" and "never this" make of it.
const NEVER_SO: f64 = 1.25;
/// How much of a booster is left one, two and three words away.
const FADING: [f64; 3] = [1.0, 0.95, 0.9];
/// Valences before and after the first "but".
const BUT: (f64, f64) = (0.5, 1.5);
/// What an exclamation mark adds, and how many count.
const EXCLAMATION: (f64, usize) = (0.292, 4);
/// What each of two or three question marks adds, and more of them together.
const QUESTION: (f64, f64) = (0.18, 0.96);
/// Brings a sum to -1 to 1.
const ALPHA: f64 = 15.0;
/// The scale of the ratings.
const STRONGEST: f64 = 4.0;

/// A lexicon of valences, with VADER's rules.
#[derive(Clone, Debug)]
pub struct Vader {
    valences: HashMap<String, f64>,
    file: String,
    sha256: String,
}

/// A word of a text, without marks around it.
struct Word {
    lower: String,
    capitals: bool,
    listed: Option<f64>,
}

impl Vader {
    /// Reads a lexicon in the published format: a line has a term, a tab and its mean valence; what follows after a tab (deviation,
    /// ratings) is not looked at. Of a term that stands twice the last counts.
    ///
    /// # Errors
    /// A file that cannot be read, holds nothing, or has a line of another form.
    pub fn open(path: &Path) -> Result<Self, EvalError> {
        let lexicon = Lexicon::open(path)?;
        let mut valences = HashMap::new();
        for (line, entry) in lexicon.lines() {
            let mut columns = entry.split('\t');
            let (term, mean) = match (columns.next(), columns.next()) {
                (Some(term), Some(mean)) if !term.is_empty() => (term, mean),
                _ => return Err(lexicon.fault(line, "a term, a tab and its mean valence are wanted")),
            };
            let valence = mean.trim().parse().ok().filter(|valence: &f64| valence.abs() <= STRONGEST);
            let valence = valence.ok_or_else(|| {
                lexicon.fault(line, format!("the mean valence is a number from -4 to 4, found {:?}", clipped(mean)))
            })?;
            valences.insert(term.to_owned(), valence);
        }
        if valences.is_empty() {
            return Err(lexicon.fault(1, "there is no term in it"));
        }
        let Lexicon { name: file, sha256, .. } = lexicon;
        Ok(Self { valences, file, sha256 })
    }

    /// The compound score of a text, from -1 to 1; 0 where no word of it is listed.
    pub fn compound(&self, text: &str) -> f64 {
        let words: Vec<Word> =
            text.split(is_space).filter(|token| !token.is_empty()).map(|token| self.word(token)).collect();
        let loud = words.iter().filter(|word| word.capitals).count();
        let emphatic = loud > 0 && loud < words.len();
        let mut valences: Vec<f64> = (0..words.len())
            .map(|at| {
                let kind_of = words[at].lower == "kind" && words.get(at + 1).is_some_and(|next| next.lower == "of");
                let modifies = kind_of || booster(&words[at].lower).is_some();
                if modifies { 0.0 } else { valence(&words, at, emphatic) }
            })
            .collect();
        if let Some(but) = words.iter().position(|word| word.lower == "but") {
            shift(&mut valences, but);
        }
        let sum: f64 = valences.iter().sum();
        // Marks take the side of the sum, and none where it has none.
        let sum = if sum == 0.0 { 0.0 } else { sum + emphasis(text).copysign(sum) };
        (sum / (sum * sum + ALPHA).sqrt()).clamp(-1.0, 1.0)
    }

    fn word(&self, token: &str) -> Word {
        let stripped = token.trim_matches(|c: char| c.is_ascii_punctuation());
        // What would be left of an emoticon is no word.
        let kept = if stripped.chars().count() <= 2 { token } else { stripped };
        let lower = kept.to_lowercase();
        let capitals = kept.chars().any(char::is_uppercase) && !kept.chars().any(char::is_lowercase);
        let listed = self.valences.get(&lower).copied();
        Word { lower, capitals, listed }
    }
}

impl TextScorer for Vader {
    fn described(&self) -> Value {
        json!({
            "kind": "VADER lexicon",
            "file": self.file,
            "sha256": self.sha256,
            "entries": self.valences.len(),
            "gives": "VADER's compound score, from -1 to 1; its table of emoji is left out",
        })
    }

    fn score(&mut self, texts: &[&str]) -> Result<Vec<f64>, String> {
        Ok(texts.iter().map(|text| self.compound(text)).collect())
    }
}

/// The valence of a word, given those around it.
fn valence(words: &[Word], at: usize, emphatic: bool) -> f64 {
    let Some(listed) = words[at].listed else { return 0.0 };
    let before = |distance: usize| at.checked_sub(distance).map_or("", |place| words[place].lower.as_str());
    let mut valence = listed;
    if words[at].lower == "no" && words.get(at + 1).is_some_and(|next| next.listed.is_some()) {
        // It negates the word after it, and says nothing itself.
        valence = 0.0;
    }
    let far_no = before(3) == "no" && matches!(before(1), "or" | "nor");
    if before(1) == "no" || before(2) == "no" || far_no {
        valence = listed * NEGATION;
    }
    let louder = |valence: f64| if valence > 0.0 { CAPITALS } else { -CAPITALS };
    if words[at].capitals && emphatic {
        valence += louder(valence);
    }
    for distance in 1..=3.min(at) {
        let word = &words[at - distance];
        if word.listed.is_some() {
            continue;
        }
        if let Some(boost) = booster(&word.lower) {
            let mut boost = if valence < 0.0 { -boost } else { boost };
            if word.capitals && emphatic {
                boost += louder(valence);
            }
            valence += boost * FADING[distance - 1];
        }
        valence = negated(valence, [before(1), before(2), before(3)], distance);
        if distance == 3 {
            valence = phrased(valence, words, at);
        }
    }
    let least = at > 0 && before(1) == "least" && words[at - 1].listed.is_none();
    if least && !matches!(before(2), "at" | "very") {
        valence *= NEGATION;
    }
    valence
}

/// What a negation so many words before makes of a valence. "Never so good" praises, and "without doubt" denies nothing.
fn negated(valence: f64, before: [&str; 3], distance: usize) -> f64 {
    let [one, two, three] = before;
    let so = |word: &str| matches!(word, "so" | "this");
    let (praises, no_doubt) = match distance {
        1 => (false, false),
        2 => (two == "never" && so(one), two == "without" && one == "doubt"),
        _ => ((three == "never" && so(two)) || so(one), three == "without" && (two == "doubt" || one == "doubt")),
    };
    if praises {
        valence * NEVER_SO
    } else if !no_doubt && negates(before[distance - 1]) {
        valence * NEGATION
    } else {
        valence
    }
}

/// Idioms that a word with three before it is in, and boosters of two words before it.
fn phrased(mut valence: f64, words: &[Word], at: usize) -> f64 {
    let phrase = |from: usize, to: usize| -> String {
        let words: Vec<&str> = words[from..to].iter().map(|word| word.lower.as_str()).collect();
        words.join(" ")
    };
    let ending =
        [(at - 1, at + 1), (at - 2, at + 1), (at - 2, at), (at - 3, at), (at - 3, at - 1)].map(|(a, b)| phrase(a, b));
    if let Some(found) = ending.iter().find_map(|phrase| idiom(phrase)) {
        valence = found;
    }
    for after in [at + 2, at + 3] {
        if after <= words.len()
            && let Some(found) = idiom(&phrase(at, after))
        {
            valence = found;
        }
    }
    let boosts = [(at - 3, at), (at - 3, at - 1), (at - 2, at)];
    valence + boosts.iter().filter_map(|&(from, to)| booster(&phrase(from, to))).sum::<f64>()
}

/// Halves what stands before "but" and strengthens what follows. As in the package, of equal valences it is the first each time that is
/// changed, wherever the others stand: scores are only comparable with this.
fn shift(valences: &mut [f64], but: usize) {
    for at in 0..valences.len() {
        let valence = valences[at];
        let first = valences.iter().position(|other| *other == valence).unwrap_or(at);
        if first < but {
            valences[first] = valence * BUT.0;
        } else if first > but {
            valences[first] = valence * BUT.1;
        }
    }
}

/// What marks add.
fn emphasis(text: &str) -> f64 {
    let count = |mark: char| text.chars().filter(|c| *c == mark).count();
    let exclaimed = count('!').min(EXCLAMATION.1) as f64 * EXCLAMATION.0;
    let asked = match count('?') {
        0 | 1 => 0.0,
        few @ 2..=3 => few as f64 * QUESTION.0,
        _ => QUESTION.1,
    };
    exclaimed + asked
}

fn clipped(text: &str) -> String {
    text.chars().take(40).collect()
}
