//! Porter's stemmer for English, with the changes that NLTK makes to it.
//!
//! M. F. Porter, An algorithm for suffix stripping, 1980; `nltk.stem.porter.PorterStemmer` in its `NLTK_EXTENSIONS` mode, which
//! is what `rouge-score` uses. In each step the first suffix that fits decides: if its condition fails, the word stays.
//! Held below against what NLTK makes of a thousand words that end in every suffix (`fixtures/text_metrics.py`).

/// Words that no rule gets right.
const IRREGULAR: &[(&str, &str)] = &[
    ("sky", "sky"),
    ("skies", "sky"),
    ("dying", "die"),
    ("lying", "lie"),
    ("tying", "tie"),
    ("news", "news"),
    ("innings", "inning"),
    ("inning", "inning"),
    ("outings", "outing"),
    ("outing", "outing"),
    ("cannings", "canning"),
    ("canning", "canning"),
    ("howe", "howe"),
    ("proceed", "proceed"),
    ("exceed", "exceed"),
    ("succeed", "succeed"),
];

/// Suffix, what replaces it.
type Rule = (&'static str, &'static str);

const PLURALS: &[Rule] = &[("sses", "ss"), ("ies", "i"), ("ss", "ss"), ("s", "")];

/// After `-ed` and `-ing`: an `e` returns.
const RESTORED: &[Rule] = &[("at", "ate"), ("bl", "ble"), ("iz", "ize")];

const DOUBLE_SUFFIXES: &[Rule] = &[
    ("ational", "ate"),
    ("tional", "tion"),
    ("enci", "ence"),
    ("anci", "ance"),
    ("izer", "ize"),
    ("bli", "ble"),
    ("alli", "al"),
    ("entli", "ent"),
    ("eli", "e"),
    ("ousli", "ous"),
    ("ization", "ize"),
    ("ation", "ate"),
    ("ator", "ate"),
    ("alism", "al"),
    ("iveness", "ive"),
    ("fulness", "ful"),
    ("ousness", "ous"),
    ("aliti", "al"),
    ("iviti", "ive"),
    ("biliti", "ble"),
    ("fulli", "ful"),
];

const ENDINGS: &[Rule] =
    &[("icate", "ic"), ("ative", ""), ("alize", "al"), ("iciti", "ic"), ("ical", "ic"), ("ful", ""), ("ness", "")];

const BARE: &[Rule] = &[
    ("al", ""),
    ("ance", ""),
    ("ence", ""),
    ("er", ""),
    ("ic", ""),
    ("able", ""),
    ("ible", ""),
    ("ant", ""),
    ("ement", ""),
    ("ment", ""),
    ("ent", ""),
    ("ion", ""),
    ("ou", ""),
    ("ism", ""),
    ("ate", ""),
    ("iti", ""),
    ("ous", ""),
    ("ive", ""),
    ("ize", ""),
];

/// The stem of a word of lower-case ASCII letters and digits. Digits are consonants.
pub(crate) fn stem(word: &str) -> String {
    if let Some((_, stem)) = IRREGULAR.iter().find(|(irregular, _)| *irregular == word) {
        return (*stem).to_owned();
    }
    if word.len() <= 2 {
        return word.to_owned();
    }
    let mut word = word.to_owned();
    for step in [plural, past, final_y, double_suffix, ending, bare, final_e, final_ll] {
        step(&mut word);
    }
    word
}

/// Step 1a.
fn plural(word: &mut String) {
    if word.len() == 4 && word.ends_with("ies") {
        word.pop();
        return;
    }
    apply(word, PLURALS, |_, _| true);
}

/// Step 1b.
fn past(word: &mut String) {
    if let Some(stem) = word.strip_suffix("ied") {
        let kept = if stem.len() == 1 { 2 } else { 1 };
        word.truncate(stem.len() + kept);
        return;
    }
    if let Some(stem) = word.strip_suffix("eed") {
        if measure(stem) > 0 {
            word.pop();
        }
        return;
    }
    let Some(stem) = ["ed", "ing"].iter().find_map(|suffix| word.strip_suffix(suffix).filter(|stem| has_vowel(stem)))
    else {
        return;
    };
    word.truncate(stem.len());
    if RESTORED.iter().any(|(suffix, _)| word.ends_with(suffix)) {
        apply(word, RESTORED, |_, _| true);
    } else if ends_in_double_consonant(word) {
        if !word.ends_with(['l', 's', 'z']) {
            word.pop();
        }
    } else if measure(word) == 1 && ends_short(word) {
        word.push('e');
    }
}

/// Step 1c: only after a consonant, and not the only one.
fn final_y(word: &mut String) {
    if let Some(stem) = word.strip_suffix('y')
        && stem.len() > 1
        && consonants(stem).last() == Some(true)
    {
        word.pop();
        word.push('i');
    }
}

/// Step 2. `-alli` becomes `-al` before all else, and what is left is looked at again.
fn double_suffix(word: &mut String) {
    if word.strip_suffix("alli").is_some_and(|stem| measure(stem) > 0) {
        word.truncate(word.len() - "li".len());
    }
    if let Some(stem) = word.strip_suffix("ogi").filter(|stem| stem.ends_with('l')) {
        // The `l` belongs to the stem: `geologi` has a measure as `geol`, which `geo` has not.
        if measure(stem) > 0 {
            word.pop();
        }
        return;
    }
    apply(word, DOUBLE_SUFFIXES, |stem, _| measure(stem) > 0);
}

/// Step 3.
fn ending(word: &mut String) {
    apply(word, ENDINGS, |stem, _| measure(stem) > 0);
}

/// Step 4.
fn bare(word: &mut String) {
    apply(word, BARE, |stem, suffix| measure(stem) > 1 && (suffix != "ion" || stem.ends_with(['s', 't'])));
}

/// Step 5a.
fn final_e(word: &mut String) {
    if let Some(stem) = word.strip_suffix('e') {
        let measure = measure(stem);
        if measure > 1 || (measure == 1 && !ends_short(stem)) {
            word.pop();
        }
    }
}

/// Step 5b.
fn final_ll(word: &mut String) {
    if word.ends_with("ll") && measure(&word[..word.len() - 1]) > 1 {
        word.pop();
    }
}

/// Replaces the first suffix of a list that fits, if the stem before it is right.
fn apply(word: &mut String, rules: &[Rule], right: impl Fn(&str, &str) -> bool) {
    for (suffix, replacement) in rules {
        if let Some(stem) = word.strip_suffix(suffix) {
            if right(stem, suffix) {
                word.truncate(stem.len());
                word.push_str(replacement);
            }
            return;
        }
    }
}

/// Whether each letter is a consonant: `y` is one unless it follows one.
fn consonants(word: &str) -> impl Iterator<Item = bool> {
    word.bytes().scan(false, |before, letter| {
        *before = match letter {
            b'a' | b'e' | b'i' | b'o' | b'u' => false,
            b'y' => !*before,
            _ => true,
        };
        Some(*before)
    })
}

/// Porter's m: how often a consonant follows a vowel.
fn measure(stem: &str) -> usize {
    let mut vowel = false;
    consonants(stem).filter(|consonant| std::mem::replace(&mut vowel, !consonant) && *consonant).count()
}

fn has_vowel(stem: &str) -> bool {
    consonants(stem).any(|consonant| !consonant)
}

/// Porter's *d.
fn ends_in_double_consonant(word: &str) -> bool {
    matches!(word.as_bytes(), [.., a, b] if a == b) && consonants(word).last() == Some(true)
}

/// Porter's *o: consonant, vowel, consonant other than `w`, `x`, `y`; NLTK adds words of a vowel and a consonant.
fn ends_short(word: &str) -> bool {
    let mut last = [true; 3];
    for consonant in consonants(word) {
        last = [last[1], last[2], consonant];
    }
    last == [true, false, true] && (word.len() == 2 || !word.ends_with(['w', 'x', 'y']))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(pairs: &[(&str, &str)]) {
        for (word, expected) in pairs {
            assert_eq!(stem(word), *expected, "{word}");
        }
    }

    #[test]
    fn stems_are_those_of_nltk() {
        #[derive(serde::Deserialize)]
        struct Recorded {
            stems: Vec<(String, String)>,
        }
        let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/text_metrics.json.gz");
        let file = flate2::read::GzDecoder::new(std::fs::File::open(path).unwrap());
        let recorded: Recorded = serde_json::from_reader(std::io::BufReader::new(file)).unwrap();
        assert!(recorded.stems.len() > 1000);
        for (word, expected) in &recorded.stems {
            assert_eq!(stem(word), *expected, "{word}");
        }
    }

    #[test]
    fn strips_what_the_paper_strips() {
        check(&[
            ("caresses", "caress"),
            ("ponies", "poni"),
            ("cats", "cat"),
            ("feed", "feed"),
            ("agreed", "agre"),
            ("plastered", "plaster"),
            ("bled", "bled"),
            ("motoring", "motor"),
            ("sing", "sing"),
            ("troubled", "troubl"),
            ("hopping", "hop"),
            ("falling", "fall"),
            ("filing", "file"),
            ("happy", "happi"),
            ("relational", "relat"),
            ("vietnamization", "vietnam"),
            ("electrical", "electr"),
            ("goodness", "good"),
            ("replacement", "replac"),
            ("adoption", "adopt"),
            ("controll", "control"),
            ("cease", "ceas"),
        ]);
    }

    #[test]
    fn differs_where_nltk_differs() {
        check(&[
            ("skies", "sky"),
            ("dies", "die"),
            ("died", "die"),
            ("flies", "fli"),
            ("spied", "spi"),
            ("enjoy", "enjoy"),
            ("geology", "geolog"),
            ("hopefully", "hope"),
            ("radically", "radic"),
            ("proceed", "proceed"),
        ]);
    }

    #[test]
    fn stems_of_numbers_and_runs_of_y_end() {
        check(&[("2010s", "2010"), ("1990", "1990"), ("42nding", "42nding")]);
        let run = "y".repeat(100_001);
        assert!(!stem(&run).is_empty());
    }
}
