//! Models, presets, the policy; and that all of it stands behind the guard.

use serde_json::Value;

use crate::common::{Running, Tiny, offer, options, tiny};
use gptneo_engine::BlockedWords;
use gptneo_serve::{Keys, Preset, Presets};
use std::sync::Arc;

#[test]
fn models_tell_what_they_are_and_what_they_take() {
    let rail = Arc::new(BlockedWords::new(["bad"]).unwrap());
    let second = Tiny { rails: vec![rail], card: Some("# A card".to_owned()), template: true };
    let server = Running::start(options(vec![offer("first", tiny()), offer("second", second)]));
    let found = server.get("/local/models").json();
    let first = &found["models"][0];
    assert_eq!((&first["name"], &first["base"], &first["loaded"]), (&"first".into(), &Value::Null, &true.into()));
    assert_eq!((&first["family"], &first["context"], &first["layers"]), (&"gpt_neo".into(), &128.into(), &2.into()));
    assert_eq!((&first["width"], &first["heads"], &first["weights"]), (&32.into(), &2.into(), &"f32".into()));
    assert_eq!((&first["output"], &first["cache"], &first["bytes"]), (&"f32".into(), &"f32".into(), &1_000_000.into()));
    assert_eq!(
        (&first["has_template"], &first["rails"], &first["card"]),
        (&false.into(), &Value::Array(vec![]), &Value::Null)
    );
    assert!(first["parameters"].as_u64().unwrap() > 10_000);
    let second = &found["models"][1];
    assert_eq!((&second["loaded"], &second["family"]), (&false.into(), &Value::Null));
    assert_eq!((&second["rails"][0], &second["card"]), (&"blocked words".into(), &"# A card".into()));
    assert_eq!((&found["memory"]["budget"], &found["memory"]["used"]), (&8_000_000.into(), &1_000_000.into()));
}

#[test]
fn presets_are_those_of_the_options() {
    let mut presets = Presets::built_in();
    let text = "title = \"T\"\ngroup = \"G\"\ndescription = \"D\"\ntemplate = \"{{x}}:\"\n\
                [settings]\ntemperature = 0.7\nmax_tokens = 5\nstop = [\"\\n\"]\n\
                [[fields]]\nname = \"x\"\nlabel = \"X\"\nkind = \"line\"\nplaceholder = \"p\"\n";
    presets.add(Preset::parse("mine", text).unwrap()).unwrap();
    let server = Running::start(gptneo_serve::Options { presets, ..options(vec![offer("m", tiny())]) });
    let found = server.get("/local/presets").json();
    let listed = found["presets"].as_array().unwrap();
    let wanted = serde_json::json!({
        "name": "mine", "title": "T", "group": "G", "description": "D", "template": "{{x}}:",
        "fields": [{"name": "x", "label": "X", "kind": "line", "placeholder": "p", "choices": []}],
        "settings": {"temperature": 0.7, "max_tokens": 5, "stop": ["\n"]},
    });
    assert_eq!(listed.last(), Some(&wanted));
    assert!(listed.iter().any(|preset| preset["name"] == "summary"));
}

#[test]
fn the_policy_is_plain_text() {
    let server = Running::start(options(vec![offer("m", tiny())]));
    let policy = server.get("/policy");
    assert_eq!((policy.status, policy.header("content-type")), (200, Some("text/plain; charset=utf-8")));
    assert!(policy.text.contains("must not be used for"));
}

#[test]
fn nothing_here_goes_round_the_guard() {
    let keys = Keys::new(Keys::read("sk-0123456789 name=a").unwrap()).unwrap();
    let server = Running::start(gptneo_serve::Options { keys, ..options(vec![offer("m", tiny())]) });
    for path in [
        "/local/models",
        "/local/presets",
        "/local/runs",
        "/local/runs/1",
        "/local/runs/1/series?metric=loss",
        "/local/evaluations",
        "/local/reviews",
        "/local/reviews/x/next?judge=a",
        "/local/reviews/x/report",
        "/local/feedback",
        "/local/feedback/export",
        "/policy",
    ] {
        assert_eq!(server.get(path).error().0, 401, "{path}");
        let with_key = server.send("GET", path, &[("Authorization", "Bearer sk-0123456789")], None);
        assert!(matches!(with_key.status, 200 | 404), "{path}: {}", with_key.text);
        let elsewhere =
            server.send("GET", path, &[("X-Forwarded-For", "1.2.3.4"), ("x-api-key", "sk-wrong-key")], None);
        assert_eq!(elsewhere.error().0, 401, "{path}");
    }
    let stranger = [("Authorization", "Bearer sk-0123456789"), ("Origin", "https://evil.example")];
    for path in ["/local/feedback", "/local/reviews/x/answers"] {
        let reply = server.send("POST", path, &stranger, Some("{}".to_owned()));
        assert_eq!(reply.error().0, 403, "{path}");
    }
    assert_eq!(server.send("DELETE", "/local/feedback", &stranger, None).error().0, 403);
}

#[test]
fn other_methods_are_refused_in_the_shape_of_the_rest() {
    let server = Running::start(options(vec![offer("m", tiny())]));
    assert_eq!(server.delete("/local/models").error().1, "method_not_allowed");
    assert_eq!(server.get("/local/nothing").error().1, "not_found");
}
