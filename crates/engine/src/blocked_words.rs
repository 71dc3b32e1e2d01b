//! The blocked-word rail: no text that contains a listed word goes out.
//!
//! Words are compared without regard to case (by the full Unicode mappings to upper and then lower case, so `STRASSE`
//! is `straße`), runs of white space count as one space, and invisible characters (soft hyphen, zero-width space and
//! joiners) as nothing. A word matches only as a whole: where it begins and ends, the characters on both sides must not
//! belong together. Letters, digits, underscores and combining marks do; scripts that are written without spaces (Han,
//! kana, Thai, Lao, Khmer, Myanmar) match anywhere. An entry may be a phrase.
//!
//! Text is held back while it may yet become a listed word, so it does not matter how words are cut into tokens; one
//! that begins in the prompt and ends in what is generated is cut too. Precomposed and decomposed accents are different
//! characters here: list both.

use crate::rail::{Passage, PromptVerdict, PromptView, Rail, TextVerdict};

/// An entry of a list of words that has nothing to match.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("entry {index} of the blocked words is empty: remove it")]
pub struct EmptyWord {
    /// Its index in the list.
    pub index: usize,
}

/// Cuts text before a listed word; refuses prompts that contain one, if asked to.
#[derive(Clone, Debug)]
pub struct BlockedWords {
    /// Folded, sorted, distinct.
    words: Vec<Vec<char>>,
    longest: usize,
    refuses_prompts: bool,
}

impl BlockedWords {
    /// Blocks `words`.
    ///
    /// # Errors
    /// An entry without a visible character.
    pub fn new<W: AsRef<str>>(words: impl IntoIterator<Item = W>) -> Result<Self, EmptyWord> {
        let fold_one = |(index, word): (usize, W)| {
            let folded: Vec<char> = folded(word.as_ref().trim(), 0).iter().map(|f| f.char).collect();
            if folded.is_empty() { Err(EmptyWord { index }) } else { Ok(folded) }
        };
        let mut words = words.into_iter().enumerate().map(fold_one).collect::<Result<Vec<_>, _>>()?;
        words.sort_unstable();
        words.dedup();
        let longest = words.iter().map(Vec::len).max().unwrap_or(0);
        Ok(Self { words, longest, refuses_prompts: false })
    }

    /// Also refuses prompts that contain a listed word.
    pub fn refusing_prompts(mut self) -> Self {
        self.refuses_prompts = true;
        self
    }

    /// The first listed word in `text` from byte `from` on, and from where on one may yet come to be.
    fn find(&self, text: &str, from: usize, last: bool) -> Found {
        let begin = self.back(text, from);
        let chars = folded(&text[begin..], begin);
        let mut open = None;
        for start in 0..chars.len() {
            let apart = start == 0 || !belong_together(chars[start - 1].char, chars[start].char);
            // Of a character that folds to several only the first begins a word.
            let whole = start == 0 || chars[start - 1].begin < chars[start].begin;
            if !apart || !whole {
                continue;
            }
            match self.match_at(&chars[start..], last) {
                Match::Word(len) if chars[start + len - 1].end > from => {
                    return Found { word: Some(chars[start].begin.max(from)), open };
                }
                Match::Open => open = open.or(Some(chars[start].begin.max(from))),
                Match::Word(_) | Match::None => {}
            }
        }
        Found { word: None, open }
    }

    /// Where a word that reaches beyond `from` may begin at the earliest.
    fn back(&self, text: &str, from: usize) -> usize {
        let visible = |(_, c): &(usize, char)| !invisible(*c) && !c.is_whitespace();
        // One character more than the longest word, to see where it begins. White space is not counted: a run of it
        // may be long, but each word has at least one visible character on either side of it.
        text[..from].char_indices().rev().filter(visible).nth(self.longest).map_or(0, |(at, _)| at)
    }

    /// Whether a word stands at the beginning of `chars`.
    fn match_at(&self, chars: &[Folded], last: bool) -> Match {
        let (mut low, mut high) = (0, self.words.len());
        let mut found = Match::None;
        for (depth, &Folded { char, .. }) in chars.iter().enumerate() {
            // Words in `low..high` agree so far; shorter ones sort first.
            low += self.words[low..high].partition_point(|word| word.get(depth).is_none_or(|&c| c < char));
            high = low + self.words[low..high].partition_point(|word| word.get(depth) == Some(&char));
            if low == high {
                return found;
            }
            if self.words[low].len() == depth + 1 {
                match chars.get(depth + 1) {
                    Some(next) if belong_together(char, next.char) => {}
                    None if !last => return Match::Open,
                    _ => {
                        found = Match::Word(depth + 1);
                        return found;
                    }
                }
            }
        }
        if last { found } else { Match::Open }
    }
}

enum Match {
    None,
    /// So many folded characters are a listed word.
    Word(usize),
    /// More text may make it one.
    Open,
}

struct Found {
    word: Option<usize>,
    open: Option<usize>,
}

impl Rail for BlockedWords {
    fn name(&self) -> &str {
        "blocked words"
    }

    fn needs_text(&self) -> bool {
        true
    }

    fn inspect_prompt(&self, prompt: PromptView<'_>) -> PromptVerdict {
        let Some(text) = prompt.text.filter(|_| self.refuses_prompts) else { return PromptVerdict::Pass };
        match self.find(text, 0, true).word {
            // The word itself is not repeated: the reason may be shown to anyone.
            Some(at) => PromptVerdict::Refuse { reason: format!("it contains a blocked word at byte {at}") },
            None => PromptVerdict::Pass,
        }
    }

    fn inspect_text(&self, passage: Passage<'_>) -> TextVerdict {
        let found = self.find(passage.text, passage.released, passage.last);
        match (found.word, found.open) {
            (Some(at), _) => TextVerdict::Cut { at, reason: "a blocked word".to_owned() },
            (None, Some(from)) => TextVerdict::Hold { from },
            (None, None) => TextVerdict::Emit,
        }
    }
}

/// One folded character, and the bytes it stands for.
#[derive(Clone, Copy, Debug)]
struct Folded {
    char: char,
    begin: usize,
    end: usize,
}

/// `text`, which begins at byte `at`, folded.
fn folded(text: &str, at: usize) -> Vec<Folded> {
    let mut found: Vec<Folded> = Vec::with_capacity(text.len());
    for (begin, c) in text.char_indices() {
        let (begin, end) = (at + begin, at + begin + c.len_utf8());
        if invisible(c) {
            continue;
        }
        if c.is_whitespace() {
            match found.last_mut() {
                Some(space) if space.char == ' ' => space.end = end,
                _ => found.push(Folded { char: ' ', begin, end }),
            }
            continue;
        }
        let chars = c.to_uppercase().flat_map(char::to_lowercase);
        found.extend(chars.map(|char| Folded { char, begin, end }));
    }
    found
}

fn invisible(c: char) -> bool {
    matches!(c, '\u{AD}' | '\u{200B}'..='\u{200D}' | '\u{2060}' | '\u{FEFF}')
}

/// Whether no word can end between the two.
fn belong_together(a: char, b: char) -> bool {
    let word = |c: char| c.is_alphanumeric() || c == '_' || mark(c);
    let unspaced = |c: char| {
        matches!(c, '\u{0E00}'..='\u{0EFF}' | '\u{1000}'..='\u{109F}' | '\u{1780}'..='\u{17FF}'
            | '\u{3040}'..='\u{30FF}' | '\u{3400}'..='\u{4DBF}' | '\u{4E00}'..='\u{9FFF}' | '\u{F900}'..='\u{FAFF}'
            | '\u{20000}'..='\u{3FFFF}')
    };
    word(a) && word(b) && (mark(b) || !(unspaced(a) || unspaced(b)))
}

fn mark(c: char) -> bool {
    matches!(c, '\u{0300}'..='\u{036F}' | '\u{1AB0}'..='\u{1AFF}' | '\u{1DC0}'..='\u{1DFF}' | '\u{20D0}'..='\u{20FF}'
        | '\u{FE20}'..='\u{FE2F}')
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Feeds `text` in pieces of `size` characters; returns what goes out and whether it was cut.
    fn feed(words: &[&str], text: &str, size: usize) -> (String, bool) {
        let rail = BlockedWords::new(words).unwrap();
        let chars: Vec<char> = text.chars().collect();
        let mut seen = String::new();
        let mut released = 0;
        let pieces = chars.chunks(size).map(|piece| piece.iter().collect::<String>());
        let count = chars.len().div_ceil(size);
        for (index, piece) in pieces.enumerate() {
            seen.push_str(&piece);
            for last in [false, true] {
                if last && index + 1 < count {
                    continue;
                }
                match rail.inspect_text(Passage { text: &seen, prompt: 0, released, last }) {
                    TextVerdict::Emit => released = seen.len(),
                    TextVerdict::Hold { from } => {
                        assert!(!last, "held at the end");
                        released = from;
                    }
                    TextVerdict::Cut { at, .. } => return (seen[..at].to_owned(), true),
                }
            }
        }
        (seen[..released].to_owned(), false)
    }

    fn check(words: &[&str], text: &str, wanted: &str, cut: bool) {
        for size in [1, 2, 3, 5, 100] {
            assert_eq!(feed(words, text, size), (wanted.to_owned(), cut), "{words:?} in {text:?} by {size}");
        }
    }

    #[test]
    fn cuts_before_a_word_however_it_is_cut_into_pieces() {
        check(&["bad"], "a bad day", "a ", true);
        check(&["bad"], "bad", "", true);
        check(&["bad"], "too bad", "too ", true);
        check(&["bad", "badly"], "he sang badly!", "he sang ", true);
        check(&["day", "bad"], "a bad day", "a ", true);
    }

    #[test]
    fn lets_other_words_pass() {
        check(&["bad"], "a badge, forbad, bad_name, bad1", "a badge, forbad, bad_name, bad1", false);
        check(&["bad", "badger"], "badge", "badge", false);
        check(&["ab"], "aab abb a b", "aab abb a b", false);
        check(&[], "anything", "anything", false);
    }

    #[test]
    fn ignores_case_and_invisible_characters() {
        check(&["bad"], "so BaD.", "so ", true);
        check(&["straße"], "die STRASSE da", "die ", true);
        check(&["STRASSE"], "die straße da", "die ", true);
        check(&["σοφος"], "ο ΣΟΦΟΣ", "ο ", true);
        check(&["bad"], "so b\u{AD}a\u{200B}d.", "so ", true);
    }

    #[test]
    fn matches_phrases_across_any_white_space() {
        check(&["very bad"], "a very  \n bad day", "a ", true);
        check(&["very bad"], "a very baddie", "a very baddie", false);
        check(&["very bad thing", "bad"], "a very bad day", "a very ", true);
    }

    #[test]
    fn knows_words_that_are_no_ascii() {
        check(&["плохо"], "это плохой день", "это плохой день", false);
        check(&["плохо"], "это ПЛОХО, да", "это ", true);
        check(&["坏"], "好坏人", "好", true);
        check(&["cafe"], "cafe\u{301}", "cafe\u{301}", false);
        check(&["@#"], "a@#b", "a", true);
    }

    #[test]
    fn sees_a_word_that_begins_in_the_prompt() {
        let rail = BlockedWords::new(["bad"]).unwrap();
        let verdict = rail.inspect_text(Passage { text: "so bad ", prompt: 4, released: 4, last: false });
        assert!(matches!(verdict, TextVerdict::Cut { at: 4, .. }), "{verdict:?}");
        let verdict = rail.inspect_text(Passage { text: "bad dog", prompt: 4, released: 4, last: false });
        assert_eq!(verdict, TextVerdict::Emit);
    }

    #[test]
    fn refuses_prompts_only_if_asked_to() {
        let rail = BlockedWords::new(["bad"]).unwrap();
        let view = PromptView { tokens: &[], text: Some("so bad") };
        assert_eq!(rail.inspect_prompt(view), PromptVerdict::Pass);
        let verdict = rail.refusing_prompts().inspect_prompt(view);
        assert_eq!(verdict, PromptVerdict::Refuse { reason: "it contains a blocked word at byte 3".into() });
    }

    #[test]
    fn refuses_an_empty_entry() {
        assert_eq!(BlockedWords::new(["a", " \u{200B}"]).unwrap_err(), EmptyWord { index: 1 });
    }
}
