//! VADER's compound score against the Python package, on the answers that `fixtures/vader.py` recorded.

use std::path::{Path, PathBuf};

use gptneo_eval::{TextScorer, Vader};
use serde_json::Value;

fn lexicon(text: &str) -> (tempfile::TempDir, PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("lexicon.txt");
    std::fs::write(&path, text).unwrap();
    (dir, path)
}

/// The package rounds to four digits.
#[test]
fn scores_are_those_of_the_package() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/vader.json");
    let recorded: Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    let (_dir, path) = lexicon(recorded["lexicon"].as_str().unwrap());
    let vader = Vader::open(&path).unwrap();
    let sentences = recorded["sentences"].as_array().unwrap();
    assert!(sentences.len() > 300);
    let mut differing = Vec::new();
    for sentence in sentences {
        let (text, wanted) = (sentence[0].as_str().unwrap(), sentence[1].as_f64().unwrap());
        let found = vader.compound(text);
        if (found - wanted).abs() > 5.1e-5 {
            differing.push(format!("{text:?}: {found}, and the package says {wanted}"));
        }
    }
    assert!(differing.is_empty(), "{} of {}:\n{}", differing.len(), sentences.len(), differing.join("\n"));
}

#[test]
fn a_scorer_says_what_it_is() {
    let (_dir, path) = lexicon("good\t1.9\t0.9\t[1, 2]\nbad\t-2.5\n");
    let mut vader = Vader::open(&path).unwrap();
    let said = vader.described();
    assert_eq!(
        (&said["kind"], &said["file"], &said["entries"]),
        (&"VADER lexicon".into(), &"lexicon.txt".into(), &2.into())
    );
    assert_eq!(said["sha256"].as_str().unwrap().len(), 64);
    assert_eq!(vader.score(&["good", "no word"]).unwrap(), [vader.compound("good"), 0.0]);
}

#[test]
fn a_lexicon_that_is_none_is_refused_with_its_line() {
    for (text, says) in [
        ("", "line 1: there is no term"),
        ("good\t1.9\nbad\n", "line 2: a term, a tab"),
        ("good 1.9\n", "line 1: a term, a tab"),
        ("good\t1.9\n\nbad\tlow\n", "line 3: the mean valence is a number from -4 to 4, found \"low\""),
        ("good\tnan\n", "line 1: the mean"),
        ("good\t1e300\n", "line 1: the mean"),
    ] {
        let (_dir, path) = lexicon(text);
        let error = Vader::open(&path).unwrap_err().to_string();
        assert!(error.contains(says), "{error}");
    }
    let (dir, path) = lexicon("");
    std::fs::write(&path, b"good\t1\nb\xff\t2\n").unwrap();
    let error = Vader::open(&path).unwrap_err().to_string();
    assert!(error.contains("line 2: the text is not UTF-8"), "{error}");
    assert!(Vader::open(dir.path()).is_err() && Vader::open(&dir.path().join("none")).is_err());
}
