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

    fn apply<'a>(self, text: &'a str) -> Cow<'a, str> {
        // ASCII is its own normal form in all four.
        if text.is_ascii() {
            return Cow::Borrowed(text);
        }
        let quick = match self {
            Self::Nfc => is_nfc_quick(text.chars()),
            Self::Nfd => is_nfd_quick(text.chars()),
            Self::Nfkc => is_nfkc_quick(text.chars()),
            Self::Nfkd => is_nfkd_quick(text.chars()),
        };
        if quick == IsNormalized::Yes {
            return Cow::Borrowed(text);
        }
        Cow::Owned(match self {
            Self::Nfc => text.nfc().collect(),
            Self::Nfd => text.nfd().collect(),
            Self::Nfkc => text.nfkc().collect(),
            Self::Nfkd => text.nfkd().collect(),
        })
    }
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

    #[test]
    fn composes_and_leaves_alone() {
        assert_eq!(normalize(&[NormalForm::Nfc], "e\u{301}a"), "éa");
        assert!(matches!(normalize(&[NormalForm::Nfc], "é漢 a"), Cow::Borrowed(_)));
        assert_eq!(normalize(&[NormalForm::Nfd, NormalForm::Nfkc], "ﬁé"), "fié");
        assert!(matches!(normalize(&[], "e\u{301}"), Cow::Borrowed(_)));
    }
}
