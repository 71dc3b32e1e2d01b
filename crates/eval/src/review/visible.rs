//! Texts of models as a judge may see them, and the names that people and sources may have.

use std::borrow::Cow;

use super::error::{Result, setting};

/// `text` with its invisible commands made visible: control characters other than tab and newline, and the characters
/// that turn the direction of writing (U+202A to U+202E, U+2066 to U+2069) become `⟨U+202E⟩`.
///
/// A generation must neither move the cursor of a terminal nor make a judge read another order than the model wrote.
/// Marks that ordinary Arabic, Hebrew and Indic text needs (U+200C to U+200F) stay.
pub fn visible(text: &str) -> Cow<'_, str> {
    if !text.contains(commands) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        if commands(c) {
            out.push_str(&format!("⟨U+{:04X}⟩", u32::from(c)));
        } else {
            out.push(c);
        }
    }
    Cow::Owned(out)
}

fn commands(c: char) -> bool {
    (c.is_control() && !matches!(c, '\t' | '\n')) || turns(c)
}

/// Turns the direction of writing.
fn turns(c: char) -> bool {
    matches!(c, '\u{202A}'..='\u{202E}' | '\u{2066}'..='\u{2069}')
}

/// The longest name of a judge or a source, in characters.
pub const LONGEST_NAME: usize = 64;

/// Whether `name` can stand for a judge or a source. The page holds judges to the same rule.
pub(crate) fn check_name(what: &str, name: &str) -> Result<()> {
    let bad = |c: char| {
        c.is_control()
            || turns(c)
            || matches!(c, '\u{2028}' | '\u{2029}' | '\u{2060}'..='\u{206F}' | '\u{FEFF}' | '\u{FFF9}'..='\u{FFFB}')
    };
    let detail = if name.is_empty() {
        format!("the name of a {what} is empty")
    } else if name.chars().count() > LONGEST_NAME {
        format!("the name of a {what} is longer than {LONGEST_NAME} characters: {}", super::error::shown(name))
    } else if name.starts_with(' ') || name.ends_with(' ') {
        format!("the name of a {what} begins or ends with a space: `{name}`")
    } else if name.contains(bad) {
        format!("the name of a {what} has characters that do not show: {}", super::error::shown(name))
    } else {
        return Ok(());
    };
    Err(setting(detail))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shows_commands_and_keeps_everything_else() {
        for plain in ["", "a\tb\nc", "é 🦙 \u{200D}\u{200F}", "</script>"] {
            assert!(matches!(visible(plain), Cow::Borrowed(text) if text == plain));
        }
        assert_eq!(visible("a\u{202E}b\u{1b}[2J\r\0"), "a⟨U+202E⟩b⟨U+001B⟩[2J⟨U+000D⟩⟨U+0000⟩");
        assert_eq!(visible("\u{2066}x\u{2069}\u{85}"), "⟨U+2066⟩x⟨U+2069⟩⟨U+0085⟩");
    }

    #[test]
    fn refuses_names_that_cannot_be_told_apart() {
        for good in ["ann", "Ann-Lee 2", "علي", "नमस्ते", &"x".repeat(64)] {
            assert!(check_name("judge", good).is_ok(), "{good}");
        }
        for bad in ["", " ann", "ann ", "a\nb", "a\u{202E}", "\u{FEFF}ann", "a\u{2028}b", &"x".repeat(65)] {
            assert!(check_name("judge", bad).is_err(), "{bad:?}");
        }
    }
}
