//! What tercom makes of a text before it compares words.
//!
//! `Normalizer.java` of tercom, as `sacrebleu` 2.6 has it.

use super::Ter;
use crate::similarity::rewrite::spaced;
use crate::similarity::tokenize::{after_symbols, is_symbol, unescaped};
use crate::similarity::words::{is_space, words};

impl Ter {
    /// The text whose words are compared, with one space between them.
    pub(super) fn normal(&self, text: &str) -> String {
        let text = text.trim_end_matches(is_space);
        let mut text = if self.case_sensitive { text.to_owned() } else { text.to_lowercase() };
        if self.normalized {
            text = western(text);
            if self.asian_support {
                text = spaced(&text, |c| is_ideographic(c) || is_asian_punctuation(c));
            }
        }
        if self.no_punctuation {
            text.retain(|c| !matches!(c, '.' | ',' | '?' | ':' | ';' | '!' | '"' | '(' | ')'));
            if self.asian_support {
                text.retain(|c| !is_asian_punctuation(c));
            }
        }
        words(&text).collect::<Vec<_>>().join(" ")
    }
}

fn western(text: String) -> String {
    let text = unescaped(text.replace("\n-", "").replace('\n', " "));
    let text = spaced(&format!(" {text} "), is_symbol);
    after_symbols(&text.replace("'s ", " 's "))
}

/// What stands alone as a word. tercom also parts a text of nothing but kana from what is around it: at this point no text
/// is so, it begins with a space.
fn is_ideographic(c: char) -> bool {
    matches!(c,
        '\u{2e80}'..='\u{2eff}'
        | '\u{31c0}'..='\u{31ef}'
        | '\u{3200}'..='\u{4dbf}'
        | '\u{4e00}'..='\u{9fff}'
        | '\u{f900}'..='\u{faff}'
        | '\u{fe30}'..='\u{fe4f}')
}

/// Marks of Asian scripts, and those of ASCII in full width.
fn is_asian_punctuation(c: char) -> bool {
    matches!(c,
        '\u{3001}'
        | '\u{3002}'
        | '\u{3008}'..='\u{3011}'
        | '\u{3014}'..='\u{301f}'
        | '\u{ff61}'..='\u{ff65}'
        | '\u{30fb}'
        | '\u{ff0e}'
        | '\u{ff0c}'
        | '\u{ff1f}'
        | '\u{ff1a}'
        | '\u{ff1b}'
        | '\u{ff01}'
        | '\u{ff02}'
        | '\u{ff08}'
        | '\u{ff09}')
}
