//! What people say of answers, over the wire.

use gptneo_serve::{Keys, Options};
use serde_json::{Value, json};

use crate::common::{Reply, Running, offer, options, tiny};

const KEYS: &str = "sk-anns-own-key name=ann\nsk-bobs-own-key name=bob\n";

struct World {
    server: Running,
    folder: tempfile::TempDir,
}

impl World {
    fn new(keys: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let keys = Keys::new(Keys::read(keys).unwrap()).unwrap();
        let runs = Some(folder.path().join("deep/runs.sqlite"));
        let server = Running::start(Options { keys, runs, ..options(vec![offer("m", tiny())]) });
        Self { server, folder }
    }

    fn ask(&self, who: &str, method: &str, path: &str, body: Option<&Value>) -> Reply {
        let key = format!("Bearer sk-{who}s-own-key");
        self.server.send(method, path, &[("Authorization", &key)], body.map(Value::to_string))
    }
}

fn thumb(response: &str) -> Value {
    json!({"kind": "thumb", "model": "m", "prompt": "Once", "response": response, "rating": 1})
}

#[test]
fn comes_back_as_it_was_said() {
    let world = World::new("");
    let said = json!({
        "kind": "edit", "model": "m", "messages": [{"role": "user", "content": "Hi"}], "response": "Ho", "better": "Hello!", "note": "ä\n",
    });
    assert_eq!(world.server.post("/local/feedback", &said).json(), json!({"id": 1}));
    assert_eq!(world.server.post("/local/feedback", &thumb(" upon")).json(), json!({"id": 2}));
    let report = json!({"kind": "report", "model": "m", "prompt": "", "response": "x", "reason": "harmful"});
    assert_eq!(world.server.post("/local/feedback", &report).json(), json!({"id": 3}));

    let page = world.server.get("/local/feedback?limit=2").json();
    assert_eq!(
        (&page["items"][0]["id"], &page["items"][0]["reason"], &page["more"]),
        (&3.into(), &"harmful".into(), &true.into())
    );
    let rest = world.server.get("/local/feedback?limit=2&before=2").json();
    let mut first = rest["items"][0].clone();
    assert!(first["when"].as_f64().unwrap() > 1e9);
    first["when"].take();
    let mut wanted = said;
    for (name, value) in [
        ("id", json!(1)),
        ("when", Value::Null),
        ("client", Value::Null),
        ("rating", Value::Null),
        ("reason", Value::Null),
    ] {
        wanted[name] = value;
    }
    assert_eq!((first, &rest["more"]), (wanted, &false.into()));

    assert_eq!(world.server.delete("/local/feedback/3").json(), json!({"deleted": 1}));
    assert_eq!(world.server.delete("/local/feedback/3").error().0, 404);
    assert_eq!(world.server.delete("/local/feedback/x").error().0, 404);
    assert_eq!(world.server.delete("/local/feedback").json(), json!({"deleted": 2}));
    assert_eq!(world.server.get("/local/feedback").json()["items"], json!([]));
}

#[test]
fn is_written_as_lines_to_learn_from() {
    let world = World::new("");
    let turns = json!([{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hi"}]);
    let edit = json!({"kind": "edit", "model": "m", "messages": turns, "response": "Ho", "better": "Hello!"});
    let down = json!({"kind": "thumb", "model": "m", "prompt": "Once", "response": "zz", "rating": -1});
    for said in [&edit, &thumb(" upon"), &down] {
        world.server.post("/local/feedback", said).json();
    }
    let lines = |form: &str| -> Vec<Value> {
        let file = world.server.get(&format!("/local/feedback/export?form={form}"));
        assert_eq!(file.status, 200, "{}", file.text);
        let named = format!("attachment; filename=\"feedback-{form}.jsonl\"");
        assert_eq!(file.header("content-disposition"), Some(named.as_str()));
        file.text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    };
    let answer = json!({"role": "assistant", "content": "Hello!"});
    let wanted = [json!({"messages": [turns[0], turns[1], answer]}), json!({"prompt": "Once", "response": " upon"})];
    assert_eq!(lines("sft"), wanted);
    let worse = json!([{"role": "assistant", "content": "Ho"}]);
    assert_eq!(lines("preference"), [json!({"prompt": turns, "chosen": [answer], "rejected": worse})]);
    assert_eq!(lines("all").len(), 3);
    assert_eq!(world.server.get("/local/feedback/export?form=dpo").error().0, 400);
    assert_eq!(world.server.get("/local/feedback/export?to=x").error().1, "unknown_field");
}

#[test]
fn a_long_file_comes_in_pieces_and_whole() {
    let world = World::new("");
    let text = "x".repeat(100_000);
    for n in 0..150 {
        world.server.post("/local/feedback", &thumb(&format!("{n} {text}"))).json();
    }
    let file = world.server.get("/local/feedback/export?form=sft");
    let found: Vec<Value> = file.text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(found.len(), 150);
    assert!(found.iter().enumerate().all(|(n, line)| line["response"].as_str().unwrap().starts_with(&format!("{n} "))));
}

#[test]
fn a_key_sees_what_was_said_with_it_and_nothing_else() {
    let world = World::new(KEYS);
    for (who, text) in [("ann", "1"), ("bob", "2"), ("ann", "3")] {
        world.ask(who, "POST", "/local/feedback", Some(&thumb(text))).json();
    }
    let seen = |who: &str| {
        let items = world.ask(who, "GET", "/local/feedback", None).json()["items"].clone();
        let shown =
            |item: &Value| format!("{}{}", item["client"].as_str().unwrap(), item["response"].as_str().unwrap());
        items.as_array().unwrap().iter().map(shown).collect::<Vec<_>>()
    };
    assert_eq!((seen("ann"), seen("bob")), (vec!["ann3".to_owned(), "ann1".to_owned()], vec!["bob2".to_owned()]));
    assert_eq!(world.ask("bob", "GET", "/local/feedback/export", None).text.lines().count(), 1);
    assert_eq!(world.ask("bob", "DELETE", "/local/feedback/1", None).error().0, 404);
    assert_eq!(world.ask("bob", "DELETE", "/local/feedback", None).json(), json!({"deleted": 1}));
    assert_eq!(seen("ann").len(), 2);
    let store = gptneo_runs::Store::open_existing(&world.folder.path().join("deep/runs.sqlite")).unwrap().unwrap();
    assert_eq!(store.feedback_before(None, None, 9).unwrap().items.len(), 2, "its owner has all of it");
}

#[test]
fn what_is_wrong_is_named() {
    let world = World::new("");
    let with = |name: &str, value: Value| {
        let mut said = thumb("x");
        said[name] = value;
        said
    };
    for (said, code, words) in [
        (with("kind", json!("star")), "invalid_value", "`kind` must be"),
        (with("kind", Value::Null), "missing_field", "`kind`"),
        (with("rating", json!(0)), "invalid_value", "`rating` must be 1 or -1"),
        (with("rating", json!(2)), "invalid_value", "`rating`"),
        (with("rating", Value::Null), "missing_field", "`rating`"),
        (with("kind", json!("edit")), "missing_field", "`better`"),
        (with("kind", json!("choice")), "missing_field", "`better`"),
        (with("kind", json!("report")), "missing_field", "`reason`"),
        (with("response", json!(1)), "invalid_type", "`response` is a number"),
        (with("prompt", Value::Null), "missing_field", "`prompt`"),
        (with("messages", json!([{"role": "user", "content": "x"}])), "invalid_value", "cannot both"),
        (with("model", json!("m".repeat(300))), "invalid_value", "`model`"),
        (with("stars", json!(5)), "unknown_field", "`stars`"),
    ] {
        let (status, found, message) = world.server.post("/local/feedback", &said).error();
        assert_eq!((status, found.as_str()), (400, code), "{message}");
        assert!(message.contains(words), "{message}");
    }
    let mut turned = with("prompt", Value::Null);
    turned["messages"] = json!([{"role": "user", "content": "x"}, {"role": "assistant", "content": "y"}]);
    assert!(world.server.post("/local/feedback", &turned).error().2.contains("must end before the response"));
    let long = with("note", json!("x".repeat(1_100_000)));
    assert_eq!(world.server.post("/local/feedback", &long).error().0, 413);
    for query in ["limit=0", "limit=201", "before=x", "after=1"] {
        assert_eq!(world.server.get(&format!("/local/feedback?{query}")).error().0, 400, "{query}");
    }
    assert_eq!(world.server.get("/local/feedback").json()["items"], json!([]), "nothing of it was kept");
}

#[test]
fn a_server_without_a_place_says_so() {
    let server = Running::start(options(vec![offer("m", tiny())]));
    let (status, code, message) = server.post("/local/feedback", &thumb("x")).error();
    assert_eq!((status, code.as_str()), (501, "not_implemented"));
    assert!(message.contains("--runs-store"), "{message}");
}
