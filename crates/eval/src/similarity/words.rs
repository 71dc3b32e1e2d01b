//! Words between white space, and numbers for them.

use std::collections::HashMap;

/// White space as Python's `str.split` and `str.strip` know it: Unicode's, and the four separators of ASCII.
pub(crate) fn is_space(c: char) -> bool {
    c.is_whitespace() || matches!(c, '\u{1c}'..='\u{1f}')
}

/// The words of a text.
pub(crate) fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(is_space).filter(|word| !word.is_empty())
}

/// Numbers for words, from 1: 0 is for no word.
#[derive(Default)]
pub(crate) struct Numbers<'a>(HashMap<&'a str, u32>);

impl<'a> Numbers<'a> {
    /// The numbers of the words of a text, the same for the same word of any text.
    pub(crate) fn of_words(&mut self, text: &'a str) -> Vec<u32> {
        words(text).map(|word| self.of(word)).collect()
    }

    /// The number of a word.
    pub(crate) fn of(&mut self, word: &'a str) -> u32 {
        let next = u32::try_from(self.0.len() + 1).expect("a bounded text has fewer words than u32 counts");
        *self.0.entry(word).or_insert(next)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn splits_where_python_does() {
        let spaces = "\t\n\u{b}\u{c}\r\u{1c}\u{1d}\u{1e}\u{1f} \u{85}\u{a0}\u{1680}\u{2000}\u{200a}\u{2028}\u{2029}\u{202f}\u{205f}\u{3000}";
        assert_eq!(words(&format!("{spaces}a{spaces}")).collect::<Vec<_>>(), ["a"]);
        for no_space in ['\u{1b}', '\u{180e}', '\u{200b}', '\u{feff}'] {
            assert!(!is_space(no_space), "{no_space:?}");
        }
    }
}
