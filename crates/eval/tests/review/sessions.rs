//! A judge at work.

use std::collections::BTreeSet;

use gptneo_eval::review::{Answers, Judgement, Preference, Progress, Record, Session, read_answers};

use crate::world::{even, lines, scores, sheet};

#[test]
fn every_item_comes_once_and_both_sides_get_their_turn() {
    let sheet = sheet(&["a", "b"], 100);
    let (mut seen, mut a_first) = (BTreeSet::new(), 0);
    lines(&sheet, "ann", |shown| {
        assert!(seen.insert(shown.item));
        let texts = &sheet.items()[shown.item - 1].texts;
        assert!([[shown.a, shown.b], [shown.b, shown.a]].contains(&[texts[0].as_str(), texts[1].as_str()]));
        a_first += usize::from(shown.a.starts_with('a'));
        even(3, Preference::Tie)
    });
    assert_eq!(seen.len(), 100);
    assert!(a_first.abs_diff(50) < 25, "{a_first}");
}

#[test]
fn skips_undoes_and_goes_on_after_a_stop() {
    let sheet = sheet(&["a", "b"], 5);
    let order = sheet.order("ann");
    let none = Answers::default();
    let mut session = Session::new(&sheet, "ann", &none).unwrap();
    let now = |session: &Session<'_>| session.current().map(|shown| shown.item);
    let mut file = String::new();
    assert!(session.undo().is_none());
    session.skip();
    assert_eq!(now(&session), Some(order[1]));
    assert_eq!(session.progress(), Progress { answered: 0, skipped: 1, total: 5 });
    for score in [1, 2] {
        file += &session.answer(even(score, Preference::A), 1.0).unwrap().line();
    }
    file += &session.undo().unwrap().line();
    assert_eq!(now(&session), Some(order[2]));
    file += &session.answer(even(4, Preference::B), 2.0).unwrap().line();
    file += &session.answer(even(5, Preference::B), 2.0).unwrap().line();
    file += &session.undo().unwrap().line();

    let mut answers = Answers::default();
    let read = read_answers(&sheet, "ann.jsonl", file.as_bytes(), &mut answers).unwrap();
    assert_eq!((read.answers, read.replaced, read.withdrawn), (4, 0, 2));
    let found: Vec<_> = answers.iter().map(|answer| (answer.item, answer.judgement.a.fluency)).collect();
    assert_eq!(found, [(order[1], 1), (order[2], 4)]);
    let mut session = Session::new(&sheet, "ann", &answers).unwrap();
    assert_eq!(session.progress(), Progress { answered: 2, skipped: 0, total: 5 });
    let mut left = Vec::new();
    while let Some(item) = now(&session) {
        left.push(item);
        session.answer(even(1, Preference::BothBad), 0.0).unwrap();
    }
    assert_eq!(left, [order[0], order[3], order[4]]);
    assert!(session.answer(even(1, Preference::Tie), 0.0).unwrap_err().to_string().contains("all items are judged"));
    session.skip();
    assert!(matches!(session.undo(), Some(Record::Withdrawn { item, .. }) if item == order[4]));
    // Another judge has everything to do.
    assert_eq!(Session::new(&sheet, "bob", &answers).unwrap().progress().answered, 0);
}

#[test]
fn an_answer_that_cannot_be_changes_nothing() {
    let sheet = sheet(&["a", "b"], 2);
    let mut session = Session::new(&sheet, "ann", &Answers::default()).unwrap();
    let before = session.current();
    let good = even(3, Preference::A);
    let long = Judgement { note: Some("x".repeat(2001)), ..good.clone() };
    for (judgement, seconds, wanted) in [
        (Judgement { b: scores(6), ..good.clone() }, 1.0, "fluency of B is 6"),
        (Judgement { a: scores(0), ..good.clone() }, 1.0, "fluency of A is 0"),
        (long, 1.0, "longer than 2000"),
        (good.clone(), -1.0, "cannot take -1 seconds"),
        (good.clone(), f64::NAN, "cannot take NaN seconds"),
    ] {
        let error = session.answer(judgement, seconds).unwrap_err().to_string();
        assert!(error.contains(wanted), "{error}");
        assert_eq!((session.current(), session.progress().answered), (before, 0));
    }
    assert!(Session::new(&sheet, " ", &Answers::default()).is_err());
}
