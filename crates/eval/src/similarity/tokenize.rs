//! How BLEU cuts a text into words: each tokenizer puts spaces where words end.
//!
//! Definitions: `mteval-v13a.pl` and `mteval-v14.pl --international-tokenization` of NIST as `sacrebleu` has them, and
//! `sacrebleu`'s own for Chinese.

use std::borrow::Cow;
use std::sync::LazyLock;

use regex::Regex;

use super::rewrite::{pairs, spaced};
use super::words::is_space;

/// What is a word to BLEU.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Tokenizer {
    /// What stands between white space.
    None,
    /// `13a`, for Western languages: punctuation apart, but within numbers. The default.
    #[default]
    Mteval13a,
    /// `intl`: any punctuation and symbol of Unicode apart, but punctuation within numbers.
    International,
    /// `char`: each character.
    Character,
    /// `zh`: each Chinese character, the rest as in `13a`.
    Chinese,
}

impl Tokenizer {
    /// `text` with white space between words. White space at its end is taken away first.
    pub(crate) fn spaced(self, text: &str) -> Cow<'_, str> {
        let text = text.trim_end_matches(is_space);
        match self {
            Self::None => Cow::Borrowed(text),
            Self::Mteval13a => Cow::Owned(mteval_13a(text)),
            Self::International => Cow::Owned(international(text)),
            Self::Character => Cow::Owned(spaced(text, |_| true)),
            Self::Chinese => Cow::Owned(western(&spaced(text.trim_matches(is_space), is_chinese))),
        }
    }
}

fn mteval_13a(text: &str) -> String {
    let joined = text.replace("<skipped>", "").replace("-\n", "").replace('\n', " ");
    western(&format!(" {} ", unescaped(joined)))
}

/// The four entities of XML that mteval knows, one after the other: `&amp;lt;` becomes `<`.
pub(crate) fn unescaped(text: String) -> String {
    if !text.contains('&') {
        return text;
    }
    text.replace("&quot;", "\"").replace("&amp;", "&").replace("&lt;", "<").replace("&gt;", ">")
}

/// Spaces around the punctuation of ASCII; around a period or comma unless digits stand on both sides; after a dash that
/// follows a digit. The apostrophe is no punctuation here.
pub(crate) fn western(text: &str) -> String {
    after_symbols(&spaced(text, is_symbol))
}

/// Those of [`western`] that have spaces on either side wherever they stand.
pub(crate) fn is_symbol(c: char) -> bool {
    matches!(c, '!'..='&' | '('..='+' | '/' | ':'..='@' | '['..='`' | '{'..='~')
}

/// What [`western`] does once symbols stand apart.
pub(crate) fn after_symbols(text: &str) -> String {
    let digit = |c: char| c.is_ascii_digit();
    let other = |c: char| !c.is_ascii_digit();
    let stop = |c: char| c == '.' || c == ',';
    let text = pairs(text, other, stop, |before, stop| [before, ' ', stop, ' ']);
    let text = pairs(&text, stop, other, |stop, after| [' ', stop, ' ', after]);
    pairs(&text, digit, |c| c == '-', |digit, dash| [digit, ' ', dash, ' '])
}

fn international(text: &str) -> String {
    static RULES: LazyLock<[(Regex, &str); 3]> = LazyLock::new(|| {
        let rule = |pattern| Regex::new(pattern).expect("the pattern is a constant");
        [(rule(r"(\P{N})(\p{P})"), "${1} ${2} "), (rule(r"(\p{P})(\P{N})"), " ${1} ${2}"), (rule(r"(\p{S})"), " ${1} ")]
    });
    let mut text = Cow::Borrowed(text);
    for (rule, with) in RULES.iter() {
        if let Cow::Owned(written) = rule.replace_all(&text, *with) {
            text = Cow::Owned(written);
        }
    }
    text.into_owned()
}

/// What the `zh` tokenizer takes for Chinese. The second range is not Chinese, but the original has it: there `U+20000` and
/// `U+2A6D6` are written with four digits each, and so mean `U+2000` and `U+2A6D` with one more character after them. It
/// holds the original's `U+2600` to `U+27BF` too. By the same slip no character beyond `U+FFFF` is Chinese.
fn is_chinese(c: char) -> bool {
    matches!(c,
        '\u{3400}'..='\u{4db5}'
        | '\u{2001}'..='\u{2a6d}'
        | '\u{4e00}'..='\u{9fbb}'
        | '\u{f900}'..='\u{fa2d}'
        | '\u{fa30}'..='\u{fa6a}'
        | '\u{fa70}'..='\u{fad9}'
        | '\u{ff00}'..='\u{ffef}'
        | '\u{2e80}'..='\u{2eff}'
        | '\u{3000}'..='\u{303f}'
        | '\u{31c0}'..='\u{31ef}'
        | '\u{2f00}'..='\u{2fdf}'
        | '\u{2ff0}'..='\u{2fff}'
        | '\u{3100}'..='\u{312f}'
        | '\u{31a0}'..='\u{31bf}'
        | '\u{fe10}'..='\u{fe1f}'
        | '\u{fe30}'..='\u{fe4f}'
        | '\u{3200}'..='\u{33ff}')
}
