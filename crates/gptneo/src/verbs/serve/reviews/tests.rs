use gptneo_eval::review::{Sample, SheetPlan, Source, make_sheet};

use super::*;

/// A folder with the sheet `tales`: three prompts, answered by `small` and `large`.
fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let source = |name: &str| Source {
        name: name.into(),
        samples: (0..3)
            .map(|n| Sample { id: n.to_string(), prompt: format!("p{n}"), text: format!("{name}\u{202e} {n}") })
            .collect(),
    };
    let plan = SheetPlan { title: "Tales".into(), ..SheetPlan::default() };
    let made = make_sheet(&[source("small"), source("large")], &plan).unwrap();
    std::fs::write(folder.path().join("tales.json"), made.sheet.to_json()).unwrap();
    folder
}

fn open(folder: &tempfile::TempDir) -> Sheets {
    Sheets::open(folder.path()).unwrap_or_else(|failure| panic!("{}", failure.message()))
}

/// Prefers what `large` wrote.
fn judged(judge: &str, item: &ReviewItem) -> ReviewAnswer {
    let of = |text: &str| match text.starts_with("large") {
        true => ReviewScores { fluency: 5, coherence: 4, relevance: 5 },
        false => ReviewScores { fluency: 2, coherence: 1, relevance: 3 },
    };
    let preference = if item.a.starts_with("large") { ReviewPreference::A } else { ReviewPreference::B };
    ReviewAnswer { judge: judge.into(), item: item.id, a: of(&item.a), b: of(&item.b), preference, note: None }
}

#[test]
fn judges_go_through_a_sheet_and_their_answers_last() {
    let folder = folder();
    let sheets = open(&folder);
    for judge in ["ann", "../bob"] {
        for place in 1..=3 {
            let next = sheets.next("tales", judge).unwrap();
            let item = next.item.unwrap();
            assert_eq!((next.done, next.place, next.of), (false, place, 3));
            assert!(item.prompt_b.is_none() && item.a.contains("⟨U+202E⟩"), "{item:?}");
            sheets.answer("tales", judged(judge, &item)).unwrap();
            sheets.answer("tales", judged(judge, &item)).expect("sent again, it is the same answer");
        }
        assert_eq!(sheets.next("tales", judge).unwrap(), ReviewNext { done: true, place: 3, of: 3, item: None });
    }
    let report = sheets.report("tales").unwrap();
    assert_eq!(report.answers, 6);
    assert!(report.alpha.is_none_or(|alpha| alpha == 1.0), "both said the same: {report:?}");
    let of = |name: &str| report.rows.iter().find(|row| row.source == name).unwrap();
    assert_eq!((of("large").won, of("small").won, of("large").count), (Some(1.0), Some(0.0), 6));
    assert_eq!((of("large").fluency, of("small").coherence), (Some(5.0), Some(1.0)));

    let again = open(&folder);
    assert_eq!(again.list()[0], Review { id: "tales".into(), title: "Tales".into(), items: 3, judges: 2 });
    assert_eq!(again.report("tales").unwrap(), report);
    let names: Vec<_> = std::fs::read_dir(folder.path()).unwrap().map(|file| file.unwrap().file_name()).collect();
    assert_eq!(names.len(), 2, "a judge's name is no path: {names:?}");
}

#[test]
fn an_answer_that_was_cut_short_is_asked_for_again() {
    let folder = folder();
    let sheets = open(&folder);
    let first = sheets.next("tales", "ann").unwrap().item.unwrap();
    sheets.answer("tales", judged("ann", &first)).unwrap();
    let second = sheets.next("tales", "ann").unwrap().item.unwrap();
    let path = folder.path().join("tales.answers.jsonl");
    let whole = std::fs::read_to_string(&path).unwrap();
    std::fs::write(&path, format!("{whole}{}", &whole[..40])).unwrap();
    let again = open(&folder);
    assert_eq!(again.next("tales", "ann").unwrap().item.unwrap(), second);
    again.answer("tales", judged("ann", &second)).unwrap();
    assert_eq!(open(&folder).next("tales", "ann").unwrap().place, 3);
}

#[test]
fn what_does_not_fit_is_refused() {
    let folder = folder();
    let sheets = open(&folder);
    let item = sheets.next("tales", "ann").unwrap().item.unwrap();
    let good = judged("ann", &item);
    let words = |answer: ReviewAnswer| sheets.answer("tales", answer).unwrap_err().to_string();
    assert!(words(ReviewAnswer { item: 4, ..good.clone() }).contains("no item 4"));
    assert!(words(ReviewAnswer { judge: " ".into(), ..good.clone() }).contains("name of a judge"));
    assert!(words(ReviewAnswer { note: Some("x".repeat(2001)), ..good.clone() }).contains("2000"));
    sheets.answer("tales", good.clone()).unwrap();
    assert!(words(ReviewAnswer { preference: ReviewPreference::Tie, ..good }).contains("judged already"));
    for id in ["tales.json", "../tales", ""] {
        assert_eq!(sheets.next(id, "ann").unwrap_err(), ReviewFault::Unknown, "{id}");
    }
    assert_eq!(open(&self::folder()).report("tales").unwrap(), ReviewReport::default());
}

#[test]
fn a_folder_with_something_else_in_it_is_refused() {
    let folder = folder();
    std::fs::write(folder.path().join("notes.json"), "{}").unwrap();
    assert!(Sheets::open(folder.path()).unwrap_err().message().contains("notes.json"));
    assert!(Sheets::open(&folder.path().join("nowhere")).is_err());
}
