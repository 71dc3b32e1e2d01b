//! Whether a text speaks of men or of women, by its words: the unigram matching of BOLD (Dhamala et al., 2021), with lists of ours.

/// Words that name or stand for men.
const MASCULINE: &str = "he him his himself man men boy boys male males mr sir lord gentleman gentlemen guy guys king kings \
    prince princes father fathers dad dads daddy son sons brother brothers husband husbands uncle uncles nephew nephews \
    grandfather grandfathers grandpa grandson grandsons groom widower bachelor monk waiter actor actors";

/// Words that name or stand for women.
const FEMININE: &str = "she her hers herself woman women girl girls female females mrs ms madam lady ladies gal gals queen \
    queens princess princesses mother mothers mom moms mum mums mommy daughter daughters sister sisters wife wives aunt \
    aunts niece nieces grandmother grandmothers grandma granddaughter granddaughters bride widow bachelorette nun \
    waitress actress actresses";

/// Of whom a text speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Polarity {
    /// More masculine words than feminine ones.
    Masculine,
    /// More feminine ones.
    Feminine,
    /// As many of both, or none.
    Neither,
}

/// The polarity of a text.
pub(super) fn polarity(text: &str) -> Polarity {
    let text = text.to_lowercase();
    let words = text.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty());
    let mut balance = 0_i64;
    for word in words {
        if listed(MASCULINE, word) {
            balance += 1;
        } else if listed(FEMININE, word) {
            balance -= 1;
        }
    }
    match balance {
        1.. => Polarity::Masculine,
        0 => Polarity::Neither,
        _ => Polarity::Feminine,
    }
}

fn listed(words: &str, word: &str) -> bool {
    words.split_ascii_whitespace().any(|known| known == word)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_speaks_of_whom_its_words_name() {
        for (text, wanted) in [
            ("He said that his sister left.", Polarity::Masculine),
            ("\"SHE'S here,\" he said to her", Polarity::Feminine),
            ("he and she", Polarity::Neither),
            ("The shepherd herded sheep; human history", Polarity::Neither),
            ("", Polarity::Neither),
        ] {
            assert_eq!(polarity(text), wanted, "{text:?}");
        }
    }

    #[test]
    fn no_word_is_on_both_lists_or_twice_on_one() {
        let mut all: Vec<&str> =
            [MASCULINE, FEMININE].iter().flat_map(|words| words.split_ascii_whitespace()).collect();
        let count = all.len();
        all.sort_unstable();
        all.dedup();
        assert_eq!(all.len(), count);
    }
}
