//! What people said: kept, listed, exported, and gone when it is deleted.

use gptneo_runs::{Asked, FeedbackKind, NewFeedback, Rating, RunsError, Store, Turn};

use super::world::World;

fn said(client: Option<&str>, response: &str) -> NewFeedback {
    NewFeedback {
        client: client.map(str::to_owned),
        kind: FeedbackKind::Thumb,
        model: "pocket".to_owned(),
        asked: Asked::Messages(vec![Turn { role: "user".to_owned(), content: "Tell me.".to_owned() }]),
        response: response.to_owned(),
        rating: Some(Rating::Up),
        better: None,
        reason: None,
        note: Some("nice\u{202e}".to_owned()),
    }
}

#[test]
fn comes_back_as_it_was_given() {
    let mut world = World::new();
    let given = [
        said(Some("shop"), "One."),
        NewFeedback { kind: FeedbackKind::Edit, better: Some("Two!".to_owned()), rating: None, ..said(None, "Two") },
        NewFeedback {
            kind: FeedbackKind::Report,
            asked: Asked::Prompt("Once".to_owned()),
            reason: Some("rude".to_owned()),
            rating: Some(Rating::Down),
            ..said(None, "\0 three")
        },
    ];
    let ids: Vec<i64> = given.iter().map(|said| world.store.add_feedback(said).unwrap()).collect();
    assert_eq!(ids, [1, 2, 3]);
    let again = Store::open_existing(&world.path()).unwrap().unwrap();
    let page = again.feedback_after(None, 0, 9).unwrap();
    assert!(!page.more && page.items.iter().all(|entry| entry.when > 1e9));
    assert_eq!(page.items.into_iter().map(|entry| entry.said).collect::<Vec<_>>(), given);
}

#[test]
fn pages_go_back_in_time() {
    let mut world = World::new();
    for n in 1..=5 {
        world.store.add_feedback(&said(None, &n.to_string())).unwrap();
    }
    let (mut before, mut found) = (None, Vec::new());
    loop {
        let page = world.store.feedback_before(None, before, 2).unwrap();
        before = page.items.last().map(|entry| entry.id);
        found.extend(page.items.into_iter().map(|entry| entry.said.response));
        if !page.more {
            break;
        }
    }
    assert_eq!(found, ["5", "4", "3", "2", "1"]);
}

#[test]
fn a_client_sees_and_deletes_its_own_alone() {
    let mut world = World::new();
    for (client, response) in [(Some("a"), "1"), (Some("b"), "2"), (None, "3"), (Some("a"), "4")] {
        world.store.add_feedback(&said(client, response)).unwrap();
    }
    let count = |world: &World, client| world.store.feedback_before(client, None, 9).unwrap().items.len();
    assert_eq!((count(&world, Some("a")), count(&world, Some("b")), count(&world, None)), (2, 1, 4));
    assert!(!world.store.delete_feedback(Some("b"), 1).unwrap());
    assert!(world.store.delete_feedback(Some("a"), 1).unwrap());
    assert!(!world.store.delete_feedback(Some("a"), 1).unwrap());
    assert_eq!(world.store.clear_feedback(Some("a")).unwrap(), 1);
    assert_eq!(count(&world, None), 2);
    assert_eq!(world.store.clear_feedback(None).unwrap(), 2);
    assert_eq!(count(&world, None), 0);
}

#[test]
fn what_is_deleted_is_no_longer_in_the_file() {
    let mut world = World::new();
    let secret = "my grandmother's recipe for plum dumplings";
    world.store.add_feedback(&said(None, &secret.repeat(500))).unwrap();
    let holds = |world: &World| {
        let files = std::fs::read_dir(world.path().parent().unwrap()).unwrap();
        let mut all = files.map(|file| std::fs::read(file.unwrap().path()).unwrap());
        all.any(|bytes| bytes.windows(secret.len()).any(|window| window == secret.as_bytes()))
    };
    assert!(holds(&world));
    world.store.clear_feedback(None).unwrap();
    assert!(!holds(&world));
}

#[test]
fn refuses_what_says_nothing() {
    let mut world = World::new();
    let error = world.store.add_feedback(&NewFeedback { rating: None, ..said(None, "x") }).unwrap_err();
    assert!(matches!(error, RunsError::BadValue { .. }), "{error}");
    assert!(world.store.feedback_after(None, 0, 9).unwrap().items.is_empty(), "half an entry was kept");
}

#[test]
fn runs_and_feedback_do_not_touch_each_other() {
    let mut world = World::new();
    let run = world.begin("r");
    world.steps(&run, 1, 3);
    world.store.add_feedback(&said(None, "x")).unwrap();
    world.store.clear_feedback(None).unwrap();
    assert_eq!(world.store.last_value(run.id, "loss").unwrap(), Some(super::world::loss(3)));
    assert_eq!(world.store.last_value(run.id, "nothing").unwrap(), None);
    assert!(world.store.metric_names(run.id).unwrap().contains(&"loss".to_owned()));
    world.store.add_feedback(&said(None, "x")).unwrap();
    world.store.remove(run.id).unwrap();
    assert_eq!(world.store.feedback_before(None, None, 9).unwrap().items.len(), 1);
}
