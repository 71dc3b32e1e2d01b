//! What the hub refuses, and what we refuse from a hub: each in words.

use gptneo_hub::{HubError, PullOptions};

use crate::server::Reply;
use crate::world::{ID, World, files_below, noise};

fn check(world: &World, id: &str, is_right: fn(&HubError) -> bool, words: &[&str]) {
    let failed = world.pull_as(id, &PullOptions::default()).unwrap_err();
    assert!(is_right(&failed), "{failed:?}");
    let text = failed.to_string();
    for word in words {
        assert!(text.contains(word), "`{word}` is not in: {text}");
    }
    assert!(!world.snapshot().join("model.safetensors").exists());
    assert!(!world.model().join("refs").exists());
}

#[test]
fn without_a_token_401_asks_for_one() {
    let world = World::small();
    world.fault("GET /api/", 9, |_, _| Reply::new(401, "").with("X-Error-Code", "RepoNotFound"));
    let is = |e: &HubError| matches!(e, HubError::Unauthorized { had_token: false, .. });
    check(&world, ID, is, &[ID, "HF_TOKEN", "no such model"]);
    assert_eq!(world.lines().len(), 1, "a refusal is not tried again");
}

#[test]
fn with_a_token_401_says_that_it_is_not_valid() {
    let mut world = World::small();
    world.set_token("hf_wrong");
    world.fault("GET /api/", 9, |_, _| Reply::new(401, ""));
    let is = |e: &HubError| matches!(e, HubError::Unauthorized { had_token: true, .. });
    check(&world, ID, is, &["not accepted", "HF_TOKEN"]);
}

#[test]
fn gated_models_ask_for_the_licence() {
    for (status, code) in [(403, "GatedRepo"), (401, "GatedRepo"), (403, "")] {
        let world = World::small();
        world.fault("HEAD /EleutherAI", 9, move |_, _| Reply::new(status, "").with("X-Error-Code", code));
        check(&world, ID, |e| matches!(e, HubError::Forbidden { .. }), &[ID, "gated", "accept its terms"]);
    }
}

#[test]
fn an_unknown_model_is_said_with_similar_ones() {
    let world = World::small();
    world.pull().unwrap();
    let failed = world.pull_as("EleutherAI/gpt-neo-tst", &PullOptions::default()).unwrap_err();
    assert!(matches!(failed, HubError::NoSuchModel { .. }), "{failed:?}");
    assert!(failed.to_string().contains(&format!("did you mean {ID}?")), "{failed}");
}

#[test]
fn an_unknown_revision_or_file_is_said() {
    let world = World::small();
    let is = |e: &HubError| matches!(e, HubError::NoSuchRevision { .. });
    check(&world, &format!("{ID}@nope"), is, &[ID, "`nope`", "a branch, a tag"]);
    world.set_file("m.Q8_0.gguf", &noise(9, 1));
    let is = |e: &HubError| matches!(e, HubError::NoSuchFile { .. });
    check(&world, &format!("{ID}:m.Q4_0.gguf"), is, &["m.Q4_0.gguf", "did you mean m.Q8_0.gguf?"]);
}

#[test]
fn a_file_that_vanished_is_said() {
    let world = World::small();
    world.fault("GET /cdn/model.safetensors", 9, |_, _| Reply::new(404, "gone"));
    check(&world, ID, |e| matches!(e, HubError::NoSuchFile { .. }), &["model.safetensors", ID]);
}

#[test]
fn a_model_without_readable_weights_is_said() {
    let world = World::with(&[("config.json", b"{}".to_vec()), ("tf_model.h5", noise(9, 1))]);
    check(&world, ID, |e| matches!(e, HubError::NoWeights { .. }), &["tf_model.h5", "safetensors"]);
}

#[test]
fn an_index_with_a_missing_shard_is_said() {
    let index = br#"{"weight_map":{"a":"model-00001-of-00001.safetensors"}}"#.to_vec();
    let world = World::with(&[("config.json", b"{}".to_vec()), ("model.safetensors.index.json", index)]);
    let failed = world.pull().unwrap_err();
    assert!(
        matches!(&failed, HubError::NoSuchFile { file, .. } if file == "model-00001-of-00001.safetensors"),
        "{failed:?}"
    );
}

#[test]
fn hostile_names_never_become_paths() {
    for name in [
        "../../evil",
        "/etc/cron.d/evil",
        "a/../../evil",
        "..\\evil",
        "C:\\evil",
        "evil\u{0}.json",
        "a//b",
        "./config.json",
        "",
        "\u{202e}nosj.live",
        "a\nb",
        "x/..",
        "\\\\host\\share\\evil",
    ] {
        let world = World::small();
        world.set_file(name, b"evil");
        check(&world, ID, |e| matches!(e, HubError::BadName { .. }), &["refused"]);
        assert_eq!(files_below(world.cache.path()), [""; 0], "{name:?}: nothing was written");
    }
}

#[test]
fn a_hostile_index_never_becomes_paths() {
    for shard in ["../../../evil", "/tmp/evil", "..\\evil"] {
        let index = serde_json::json!({ "weight_map": { "a": shard } }).to_string();
        let world =
            World::with(&[("config.json", b"{}".to_vec()), ("model.safetensors.index.json", index.into_bytes())]);
        let failed = world.pull();
        assert!(matches!(failed, Err(HubError::BadName { .. })), "{shard}: {failed:?}");
    }
}

#[test]
fn a_hostile_tag_never_becomes_a_path() {
    for tag in ["../../evil", "\"/etc/evil\"", "\"..\"", "W/\"../x\"", "\"\"", "\"a b\"", "\".lock\""] {
        let world = World::small();
        world.fault("HEAD", 9, move |_, mut reply| {
            reply.headers.retain(|(n, _)| n != "X-Linked-Etag" && n != "ETag");
            reply.with("X-Linked-Etag", tag)
        });
        check(&world, ID, |e| matches!(e, HubError::Protocol { .. }), &["cannot name a file"]);
    }
}

#[test]
fn a_hostile_commit_never_becomes_a_path() {
    for commit in ["../../evil", "", "main", &"A".repeat(40), &"a".repeat(41)] {
        let world = World::small();
        let body = serde_json::json!({ "sha": commit, "siblings": [] }).to_string();
        world.fault("GET /api/", 9, move |_, _| Reply::new(200, body.clone()));
        check(&world, ID, |e| matches!(e, HubError::Protocol { .. }), &["not a commit"]);
    }
}

#[test]
fn an_answer_that_is_no_listing_is_said() {
    let nested = "[".repeat(1 << 20);
    for body in [
        "",
        "<html>Login</html>",
        "[]",
        "{}",
        r#"{"sha":1}"#,
        r#"{"sha":"a","siblings":[{}]}"#,
        "{\"sha\":\"\\ud800\"}",
        &nested,
    ] {
        let world = World::small();
        let body = body.to_owned();
        world.fault("GET /api/", 9, move |_, _| Reply::new(200, body.clone()));
        check(&world, ID, |e| matches!(e, HubError::Protocol { .. }), &["HF_ENDPOINT"]);
    }
}

#[test]
fn a_listing_without_end_is_cut_off() {
    let world = World::small();
    world.fault("GET /api/", 9, |_, _| Reply { chunked: true, ..Reply::new(200, vec![b' '; 33 << 20]) });
    check(&world, ID, |e| matches!(e, HubError::Protocol { .. }), &["longer than"]);
}

#[test]
fn an_answer_for_another_commit_is_refused() {
    let world = World::small();
    world.fault("HEAD", 9, |_, mut reply| {
        reply.headers.retain(|(n, _)| n != "X-Repo-Commit");
        reply.with("X-Repo-Commit", "b".repeat(40))
    });
    check(&world, ID, |e| matches!(e, HubError::Protocol { .. }), &["answers for bbbb"]);
}

#[test]
fn offline_says_how_to_fetch() {
    let mut world = World::small();
    world.settings.offline = true;
    let is = |e: &HubError| matches!(e, HubError::Offline { partial: false, .. });
    check(&world, ID, is, &["HF_HUB_OFFLINE", &format!("pull {ID}")]);
    assert_eq!(world.lines().len(), 0);
}
