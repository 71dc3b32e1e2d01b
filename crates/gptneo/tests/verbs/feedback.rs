//! `gptneo runs feedback`, and that what it exports can be learned.

use std::path::Path;

use gptneo_corpus::{ExampleJob, examples, find};
use gptneo_runs::{Asked, FeedbackKind, NewFeedback, Rating, Store, Turn};
use gptneo_text::{ChatTemplate, WordCounts};

use super::runner::{Outcome, Program};

/// A store with an edit in a conversation, a thumb up and a thumb down.
fn store() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let mut store = Store::open(&folder.path().join("runs.sqlite")).unwrap();
    let up = NewFeedback {
        client: Some("shop".into()),
        kind: FeedbackKind::Thumb,
        model: "pocket".into(),
        asked: Asked::Prompt("Two and two?".into()),
        response: " Four.\u{1b}[2J".into(),
        rating: Some(Rating::Up),
        better: None,
        reason: None,
        note: None,
    };
    let turn = |role: &str, content: &str| Turn { role: role.into(), content: content.into() };
    let turns = vec![turn("system", "Be kind."), turn("user", "Hi"), turn("assistant", "Ho"), turn("user", "And?")];
    let edit = NewFeedback {
        kind: FeedbackKind::Edit,
        asked: Asked::Messages(turns),
        better: Some("Hello!".into()),
        ..up.clone()
    };
    for said in [&edit, &up, &NewFeedback { rating: Some(Rating::Down), ..up.clone() }] {
        store.add_feedback(said).unwrap();
    }
    folder
}

fn feedback(folder: &Path, args: &[&str]) -> Outcome {
    let program = Program::new(["runs", "feedback"].iter().chain(args).copied());
    program.env("GPTNEO_HOME", folder.as_os_str()).run()
}

#[test]
fn is_listed_newest_first_and_harmless() {
    let folder = store();
    let listed = feedback(folder.path(), &["--json"]).json();
    assert_eq!(
        (listed.as_array().unwrap().len(), &listed[0]["rating"], &listed[2]["kind"]),
        (3, &(-1).into(), &"edit".into())
    );
    let table = feedback(folder.path(), &["-n", "2"]);
    assert!(table.text().contains("Two and two?") && !table.text().contains('\u{1b}'), "{}", table.text());
    assert_eq!(table.text().lines().count(), 3);
}

#[test]
fn what_is_exported_can_be_learned() {
    let folder = store();
    let path = folder.path().join("learn.jsonl");
    let exported = feedback(folder.path(), &["--form", "sft", "--export", path.to_str().unwrap()]);
    assert!(exported.text().ends_with("2 lines of 3 entries\n"), "{} {}", exported.text(), exported.stderr);
    let job = ExampleJob {
        sources: find(&[path.to_str().unwrap().to_owned()], None, None).unwrap().sources,
        tokenizer: WordCounts::new().learn(257, 2).unwrap(),
        template: Some(ChatTemplate::named("plain").unwrap()),
        labels: Vec::new(),
        held_out_ppm: 0,
        workers: 1,
        cancel: None,
    };
    assert_eq!(examples(&job, &()).unwrap().train.len(), 2);
    let again = feedback(folder.path(), &["--export", path.to_str().unwrap()]);
    assert!(again.code == Some(3) && again.stderr.contains("--force"), "{}", again.stderr);
}

#[test]
fn is_deleted_when_its_owner_says_so() {
    let folder = store();
    assert_eq!(feedback(folder.path(), &["--delete", "2"]).text(), "deleted feedback 2\n");
    assert_eq!(feedback(folder.path(), &["--delete", "2"]).code, Some(2));
    let path = folder.path().join("all.jsonl");
    let cleared = feedback(folder.path(), &["--export", path.to_str().unwrap(), "--clear"]);
    assert!(
        cleared.text().contains("2 lines of 2 entries") && cleared.text().contains("deleted all feedback: 2"),
        "{}",
        cleared.text()
    );
    assert_eq!(std::fs::read_to_string(&path).unwrap().lines().count(), 2);
    assert_eq!(feedback(folder.path(), &[]).text(), "no feedback\n");
    let nowhere = tempfile::tempdir().unwrap();
    assert!(feedback(nowhere.path(), &[]).text().starts_with("no feedback yet in"));
    assert_eq!(feedback(nowhere.path(), &["--json"]).json(), serde_json::json!([]));
}
