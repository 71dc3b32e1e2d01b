//! Unicode normalisation of the text before it is split: none in GPT-2, NFC in GPT-NeoX.

use std::borrow::Cow;

use unicode_normalization::{
    IsNormalized, UnicodeNormalization, is_nfc_quick, is_nfd_quick, is_nfkc_quick, is_nfkd_quick,
};

/// One of the four normal forms of Unicode.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NormalForm {
    Nfc,
    Nfd,
    Nfkc,
    Nfkd,
}

impl NormalForm {
    /// The form that `tokenizer.json` calls `name`.
    pub(crate) fn named(name: &str) -> Option<Self> {
        Some(match name {
            "NFC" => Self::Nfc,
            "NFD" => Self::Nfd,
            "NFKC" => Self::Nfkc,
            "NFKD" => Self::Nfkd,
            _ => return None,
        })
    }

    /// What `tokenizer.json` calls it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Nfc => "NFC",
            Self::Nfd => "NFD",
            Self::Nfkc => "NFKC",
            Self::Nfkd => "NFKD",
        }
    }

    /// `text`, most often as it is. Nothing composes or is reordered across the start of an ASCII character, so only
    /// the stretches that begin with one and go on without are looked at.
    fn apply<'a>(self, text: &'a str) -> Cow<'a, str> {
        let mut changed = String::new();
        let mut copied = 0;
        let mut at = 0;
        while let Some(start) = next(text, at, |byte| !byte.is_ascii()) {
            at = next(text, start, |byte| byte.is_ascii()).unwrap_or(text.len());
            let stretch = &text[start.saturating_sub(1)..at];
            if self.leaves(stretch) {
                continue;
            }
            changed.push_str(&text[copied..at - stretch.len()]);
            match self {
                Self::Nfc => changed.extend(stretch.nfc()),
                Self::Nfd => changed.extend(stretch.nfd()),
                Self::Nfkc => changed.extend(stretch.nfkc()),
                Self::Nfkd => changed.extend(stretch.nfkd()),
            }
            copied = at;
        }
        if copied == 0 {
            return Cow::Borrowed(text);
        }
        changed.push_str(&text[copied..]);
        Cow::Owned(changed)
    }

    /// Whether `stretch` is known, without trying, to be in this form.
    fn leaves(self, stretch: &str) -> bool {
        let quick = match self {
            // Nothing below the combining marks at U+0300 composes with anything before it.
            Self::Nfc if stretch.chars().all(|c| c < '\u{300}') => IsNormalized::Yes,
            Self::Nfc => is_nfc_quick(stretch.chars()),
            Self::Nfd => is_nfd_quick(stretch.chars()),
            Self::Nfkc => is_nfkc_quick(stretch.chars()),
            Self::Nfkd => is_nfkd_quick(stretch.chars()),
        };
        quick == IsNormalized::Yes
    }
}

/// The first byte at or after `from` that is as wanted; stretches of ASCII are passed over 64 bytes at a time.
fn next(text: &str, from: usize, wanted: impl Fn(u8) -> bool) -> Option<usize> {
    let ascii_wanted = wanted(b'a');
    let mut at = from;
    for chunk in text.as_bytes()[from..].chunks(64) {
        if (ascii_wanted || !chunk.is_ascii())
            && let Some(found) = chunk.iter().position(|&byte| wanted(byte))
        {
            return Some(at + found);
        }
        at += chunk.len();
    }
    None
}

/// `text` in each of `forms` in turn; borrowed where nothing changes.
pub(crate) fn normalize<'a>(forms: &[NormalForm], text: &'a str) -> Cow<'a, str> {
    forms.iter().fold(Cow::Borrowed(text), |text, form| match text {
        Cow::Borrowed(text) => form.apply(text),
        Cow::Owned(text) => Cow::Owned(form.apply(&text).into_owned()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn composes_and_leaves_alone() {
        assert_eq!(normalize(&[NormalForm::Nfc], "e\u{301}a"), "éa");
        assert!(matches!(normalize(&[NormalForm::Nfc], "é漢 a"), Cow::Borrowed(_)));
        assert_eq!(normalize(&[NormalForm::Nfd, NormalForm::Nfkc], "ﬁé"), "fié");
        assert!(matches!(normalize(&[], "e\u{301}"), Cow::Borrowed(_)));
    }

    #[test]
    fn every_character_comes_out_as_if_alone() {
        for c in (0..=u32::from(char::MAX)).filter_map(char::from_u32) {
            let text = format!("a{c}b");
            assert_eq!(NormalForm::Nfc.apply(&text), text.nfc().collect::<String>(), "{c:?}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn stretches_give_what_the_whole_text_gives(
            parts in prop::collection::vec(
                prop::sample::select(vec![
                    "a", "e", " ", "<", "=", "\u{301}", "\u{338}", "\u{323}", "é", "ß", "ﬁ", "가", "\u{1100}",
                    "\u{1161}", "\u{11a8}", "が", "\u{3099}", "\u{212b}", "漢", "\u{1d15e}", "🦙", "0123456789",
                ]),
                0..40,
            ),
        ) {
            let text = parts.concat();
            prop_assert_eq!(NormalForm::Nfc.apply(&text), text.nfc().collect::<String>());
            prop_assert_eq!(NormalForm::Nfd.apply(&text), text.nfd().collect::<String>());
            prop_assert_eq!(NormalForm::Nfkc.apply(&text), text.nfkc().collect::<String>());
            prop_assert_eq!(NormalForm::Nfkd.apply(&text), text.nfkd().collect::<String>());
        }
    }
}
