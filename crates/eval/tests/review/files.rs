//! Answers files that are broken, foreign, doubled or cut.

use gptneo_eval::review::{Answers, Preference, Sheet, read_answers, read_samples};
use proptest::prelude::*;

use crate::world::{answers, even, lines, sheet};

fn four(sheet: &Sheet) -> String {
    lines(sheet, "ann", |_| even(2, Preference::A))
}

fn refused(sheet: &Sheet, text: &str, wanted: &str) {
    let error = read_answers(sheet, "x.jsonl", text.as_bytes(), &mut Answers::default()).unwrap_err().to_string();
    assert!(error.contains(wanted), "{error}");
}

#[test]
fn what_does_not_belong_here_is_an_error_with_its_line() {
    let sheet = sheet(&["a", "b"], 4);
    let good = four(&sheet);
    refused(&sheet, &good.replace(sheet.hash(), "ab"), "x.jsonl, line 1: it answers another sheet: ab, not ");
    let ninth = good.lines().nth(2).unwrap().replace("\"item\":", "\"item\":9");
    refused(&sheet, &format!("{}\n\n{ninth}\n", good.lines().next().unwrap()), "x.jsonl, line 3: it answers item 9");
    refused(&sheet, &good.replace("\"item\":1,", "\"item\":0,"), "it answers item 0, but the sheet has items 1 to 4");
    refused(&sheet, &format!("{good}not json\n"), "x.jsonl, line 5: expected");
    refused(&sheet, "{\"sheet\":\n", "x.jsonl, line 1: EOF while parsing");
    refused(&sheet, "[]\n", "x.jsonl, line 1: ");
    refused(&sheet, &good.replace("\"fluency\":2", "\"fluency\":\"2\""), "x.jsonl, line 1: invalid type");
    refused(&sheet, &"[".repeat(70_000), "longer than 65536 bytes");
    refused(&sheet, &format!("{}\n", "[".repeat(60_000)), "x.jsonl, line 1: ");
    refused(&sheet, "{\"\\u001b[2J\":1}\n", "⟨U+001B⟩[2J");
}

#[test]
fn the_last_answer_of_a_judge_counts_and_it_is_said() {
    let sheet = sheet(&["a", "b"], 4);
    let (first, again) = (four(&sheet), lines(&sheet, "ann", |_| even(5, Preference::B)));
    let other = lines(&sheet, "bob", |_| even(1, Preference::Tie));
    let mut all = Answers::default();
    let replaced = [&first, &other, &again]
        .map(|text| read_answers(&sheet, "x.jsonl", text.as_bytes(), &mut all).unwrap().replaced);
    assert_eq!((replaced, all.replaced(), all.len()), ([0, 0, 4], 4, 8));
    assert!(all.iter().filter(|answer| answer.judge == "ann").all(|answer| answer.judgement.a.fluency == 5));
    assert_eq!(all.judges().into_iter().collect::<Vec<_>>(), ["ann", "bob"]);
    let notes = crate::world::report(&sheet, &format!("{first}{again}")).notes.join("\n");
    assert!(
        notes.contains("4 answers were given again by the same judge on the same item; the last counts"),
        "{notes}"
    );
}

#[test]
fn a_file_that_a_crash_cut_short_can_go_on() {
    let sheet = sheet(&["a", "b"], 4);
    let good = four(&sheet);
    let ends: Vec<usize> = good.match_indices('\n').map(|(at, _)| at).collect();
    for cut in 0..=good.len() {
        let mut all = Answers::default();
        let read = read_answers(&sheet, "x.jsonl", &good.as_bytes()[..cut], &mut all).unwrap();
        let whole = ends.iter().filter(|&&end| end <= cut).count();
        let begun = ends.iter().rfind(|&&end| end < cut).map_or(0, |end| end + 1);
        assert_eq!((all.len(), read.answers), (whole, whole), "cut at {cut}");
        assert_eq!(read.cut_short, cut > begun && !ends.contains(&cut), "cut at {cut}");
        // Cut to that length, begun with a newline, the rest is as if nothing had happened.
        let again = format!("{}\n{}", &good[..read.resume_at as usize], &good[begun..]);
        assert_eq!(answers(&sheet, &again).len(), 4, "cut at {cut}");
    }
    refused(&sheet, &good[..good.len() - 1].replace("\"a\":{", "\"a\":["), "x.jsonl, line 1");
    refused(&sheet, "rubbish", "x.jsonl, line 1: expected");
}

proptest! {
    #[test]
    fn no_bytes_make_a_reader_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300), at in 0_usize..800, with in any::<u8>()) {
        let sheet = sheet(&["a", "b"], 3);
        let mut good = four(&sheet).into_bytes();
        let len = good.len();
        good[at % len] = with;
        for bytes in [&bytes, &good] {
            let _ = read_answers(&sheet, "x", &bytes[..], &mut Answers::default());
            let _ = read_samples("x", &bytes[..]);
            let _ = Sheet::read("x", &bytes[..]);
        }
    }
}
