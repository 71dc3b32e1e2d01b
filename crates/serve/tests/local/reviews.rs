//! Judging, over the wire; what stands behind it is a double here, and `gptneo`'s own in its tests.

use std::sync::{Arc, Mutex};

use gptneo_serve::{
    Options, Review, ReviewAnswer, ReviewFault, ReviewItem, ReviewNext, ReviewPreference, ReviewReport, ReviewRow,
    Reviews,
};
use serde_json::{Value, json};

use crate::common::{Running, offer, options, tiny};

/// One review of two items, `one`.
#[derive(Debug, Default)]
struct Double(Mutex<Vec<ReviewAnswer>>);

impl Reviews for Double {
    fn list(&self) -> Vec<Review> {
        vec![Review { id: "one".into(), title: "Stories".into(), items: 2, judges: 0 }]
    }

    fn next(&self, id: &str, judge: &str) -> Result<ReviewNext, ReviewFault> {
        let done = self.0.lock().unwrap().iter().filter(|answer| answer.judge == judge).count();
        let item = ReviewItem { id: done + 1, prompt: "Once".into(), prompt_b: None, a: "a".into(), b: "b".into() };
        match id {
            "one" if done == 2 => Ok(ReviewNext { done: true, place: 2, of: 2, item: None }),
            "one" => Ok(ReviewNext { done: false, place: done + 1, of: 2, item: Some(item) }),
            _ => Err(ReviewFault::Unknown),
        }
    }

    fn answer(&self, id: &str, answer: ReviewAnswer) -> Result<(), ReviewFault> {
        match (id, answer.item) {
            ("one", 1 | 2) => {
                self.0.lock().unwrap().push(answer);
                Ok(())
            }
            ("one", _) => Err(ReviewFault::Invalid("there is no such item".into())),
            ("full", _) => Err(ReviewFault::Failed("the disk is full".into())),
            _ => Err(ReviewFault::Unknown),
        }
    }

    fn report(&self, id: &str) -> Result<ReviewReport, ReviewFault> {
        let row = ReviewRow {
            source: "small".into(),
            fluency: Some(4.5),
            coherence: None,
            relevance: None,
            won: Some(0.5),
            strength: Some(0.25),
            interval: Some([-0.5, 1.0]),
            count: 2,
        };
        match id {
            "one" => Ok(ReviewReport { rows: vec![row], alpha: Some(0.75), answers: 2 }),
            _ => Err(ReviewFault::Unknown),
        }
    }
}

fn answer(item: u64) -> Value {
    let scores = json!({"fluency": 5, "coherence": 4, "relevance": 3});
    json!({"judge": "Ann Müller", "item": item, "a": scores, "b": scores, "preference": "both_bad", "note": " "})
}

#[test]
fn a_judge_goes_from_the_first_item_to_the_report() {
    let double = Arc::new(Double::default());
    let reviews: Arc<dyn Reviews> = Arc::clone(&double) as _;
    let server = Running::start(Options { reviews: Some(reviews), ..options(vec![offer("m", tiny())]) });
    let listed = json!({"reviews": [{"id": "one", "title": "Stories", "items": 2, "judges": 0}]});
    assert_eq!(server.get("/local/reviews").json(), listed);
    let next = || server.get("/local/reviews/one/next?judge=Ann%20M%C3%BCller").json();
    let item = json!({"id": 1, "prompt": "Once", "a": "a", "b": "b"});
    assert_eq!(next(), json!({"done": false, "place": 1, "of": 2, "item": item}));
    for item in [1, 2] {
        assert_eq!(server.post("/local/reviews/one/answers", &answer(item)).json(), json!({"ok": true}));
    }
    assert_eq!(next(), json!({"done": true, "place": 2, "of": 2, "item": null}));
    let kept = double.0.lock().unwrap()[0].clone();
    assert_eq!((kept.judge.as_str(), kept.preference, kept.note), ("Ann Müller", ReviewPreference::BothBad, None));
    assert_eq!((kept.a.fluency, kept.a.coherence, kept.b.relevance), (5, 4, 3));
    let row = json!({
        "source": "small", "fluency": 4.5, "coherence": null, "relevance": null, "won": 0.5, "strength": 0.25,
        "interval": [-0.5, 1.0], "count": 2,
    });
    assert_eq!(server.get("/local/reviews/one/report").json(), json!({"rows": [row], "alpha": 0.75, "answers": 2}));
}

#[test]
fn what_is_wrong_is_named() {
    let reviews: Arc<dyn Reviews> = Arc::new(Double::default());
    let server = Running::start(Options { reviews: Some(reviews), ..options(vec![offer("m", tiny())]) });
    for path in ["/local/reviews/two/next?judge=a", "/local/reviews/..%2fone/next?judge=a", "/local/reviews/two/report"]
    {
        assert_eq!(server.get(path).error().0, 404, "{path}");
    }
    assert_eq!(server.get("/local/reviews/one/next").error().1, "missing_field");
    let with = |path: &str, value: Value| {
        let mut sent = answer(1);
        *sent.pointer_mut(path).unwrap() = value;
        server.post("/local/reviews/one/answers", &sent).error()
    };
    assert_eq!(with("/a/fluency", json!(6)).2, "`a.fluency` is 6, but must be 1 to 5");
    assert_eq!(with("/b/relevance", Value::Null).2, "`b.relevance` is missing, and must be given");
    assert_eq!(with("/a", json!({"fluency": 1, "coherence": 1, "relevance": 1, "x": 1})).1, "unknown_field");
    assert!(with("/preference", json!("c")).2.contains("a, b, tie or both_bad"));
    assert_eq!(with("/judge", Value::Null).1, "missing_field");
    assert_eq!(with("/item", json!(0)).0, 400);
    assert_eq!(with("/item", json!(3)).2, "there is no such item");
    assert_eq!(with("/note", json!("x".repeat(20_000))).0, 400);
    assert_eq!(server.post("/local/reviews/full/answers", &answer(1)).error().0, 500);
}

#[test]
fn without_reviews_the_list_is_empty() {
    let server = Running::start(options(vec![offer("m", tiny())]));
    assert_eq!(server.get("/local/reviews").json(), json!({"reviews": []}));
    assert_eq!(server.get("/local/reviews/one/report").error().0, 404);
    assert_eq!(server.post("/local/reviews/one/answers", &answer(1)).error().0, 404);
}
