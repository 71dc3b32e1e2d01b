//! Added tokens: found in the text as they stand, before the words between them are merged.
//!
//! As in the reference: first those matched in the text as given, then, in the stretches between, those matched in the
//! normalised text; among candidates the leftmost, and there the longest. Linear in the text, however many there are.

use aho_corasick::{AhoCorasick, AhoCorasickKind, MatchKind};

use crate::error::{Result, TextError};
use crate::pieces::AddedToken;

/// Up to this much content the fastest automaton is small: a few MiB.
const DFA_BYTES: usize = 4 << 10;

/// A stretch of text, or the added token that stood there.
pub(crate) enum Stretch<'t> {
    Text(&'t str),
    Token(u32),
}

/// Finds one set of added tokens.
pub(crate) struct AddedTokens {
    finder: Option<AhoCorasick>,
    tokens: Vec<AddedToken>,
}

impl AddedTokens {
    /// A finder of `tokens`, none of which may be empty.
    pub(crate) fn new(tokens: Vec<AddedToken>) -> Result<Self> {
        let bytes: usize = tokens.iter().map(|token| token.content.len()).sum();
        let kind = if bytes <= DFA_BYTES { AhoCorasickKind::DFA } else { AhoCorasickKind::ContiguousNFA };
        let finder = (!tokens.is_empty()).then(|| {
            AhoCorasick::builder()
                .match_kind(MatchKind::LeftmostLongest)
                .kind(Some(kind))
                .build(tokens.iter().map(|token| &token.content))
        });
        let finder = finder.transpose().map_err(|error| TextError::Malformed {
            file: "added tokens",
            detail: format!("cannot be searched for: {error}"),
        })?;
        Ok(Self { finder, tokens })
    }

    /// Cuts `text` at its added tokens, special ones excepted if `plain`; nothing is lost except white space that a
    /// token takes along.
    pub(crate) fn cut<'t>(
        &self,
        text: &'t str,
        plain: bool,
        mut stretch: impl FnMut(Stretch<'t>) -> Result<()>,
    ) -> Result<()> {
        let mut done = 0;
        for found in self.finder.iter().flat_map(|finder| finder.find_iter(text)) {
            let token = &self.tokens[found.pattern().as_usize()];
            let (mut start, mut end) = (found.start(), found.end());
            // A token before this one may have taken its white space.
            if start < done || (plain && token.special) || (token.single_word && !stands_alone(text, start, end)) {
                continue;
            }
            if token.lstrip {
                start = done + text[done..start].trim_end().len();
            }
            if token.rstrip {
                end = text.len() - text[end..].trim_start().len();
            }
            if done < start {
                stretch(Stretch::Text(&text[done..start]))?;
            }
            stretch(Stretch::Token(token.id))?;
            done = end;
        }
        if done < text.len() {
            stretch(Stretch::Text(&text[done..]))?;
        }
        Ok(())
    }
}

fn stands_alone(text: &str, start: usize, end: usize) -> bool {
    let word = |c: char| c.is_alphanumeric() || c == '_';
    !text[..start].ends_with(word) && !text[end..].starts_with(word)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cut(tokens: &[AddedToken], text: &str, plain: bool) -> String {
        let mut out = String::new();
        let mut push = |part: Stretch<'_>| {
            match part {
                Stretch::Text(text) => out.push_str(&format!("[{text}]")),
                Stretch::Token(id) => out.push_str(&id.to_string()),
            }
            Ok(())
        };
        AddedTokens::new(tokens.to_vec()).unwrap().cut(text, plain, &mut push).unwrap();
        out
    }

    fn token(id: u32, content: &str) -> AddedToken {
        AddedToken { id, content: content.into(), ..AddedToken::default() }
    }

    #[test]
    fn takes_the_leftmost_and_then_the_longest() {
        let tokens = [token(1, "ab"), token(2, "abc"), token(3, "  "), token(4, "   ")];
        assert_eq!(cut(&tokens, "xabcab     y", false), "[x]2143[y]");
        assert_eq!(cut(&[], "abc", false), "[abc]");
        assert_eq!(cut(&tokens, "", false), "");
    }

    #[test]
    fn treats_special_tokens_as_text_when_plain() {
        let tokens = [AddedToken { special: true, ..token(1, "<s>") }, token(2, "  ")];
        assert_eq!(cut(&tokens, "a<s>  b", false), "[a]12[b]");
        assert_eq!(cut(&tokens, "a<s>  b", true), "[a<s>]2[b]");
    }

    #[test]
    fn honours_the_flags() {
        let word = AddedToken { single_word: true, ..token(1, "cat") };
        assert_eq!(cut(&[word], "cat cats cat", false), "1[ cats ]1");
        let left = AddedToken { lstrip: true, ..token(1, "<m>") };
        assert_eq!(cut(&[left], "a  <m> b", false), "[a]1[ b]");
        let right = AddedToken { rstrip: true, ..token(1, "<m>") };
        assert_eq!(cut(&[right, token(2, " ")], "a<m>  b c", false), "[a]1[b]2[c]");
    }
}
