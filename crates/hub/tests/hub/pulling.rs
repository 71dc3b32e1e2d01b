//! Fresh pulls, second pulls, and what goes where.

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use gptneo_hub::{Event, HubError, ModelId, PullOptions};

use crate::world::{ID, World, etag, files_below, noise};

const NEEDED: [&str; 4] = ["config.json", "generation_config.json", "model.safetensors", "tokenizer.json"];

#[test]
fn fetches_one_copy_of_what_is_needed() {
    let world = World::small();
    let pulled = world.pull().unwrap();
    world.assert_snapshot(&NEEDED);
    assert_eq!(pulled.path, world.snapshot());
    assert_eq!(pulled.commit, "a".repeat(40));
    assert_eq!(pulled.fetched_files, 4);
    assert_eq!(pulled.fetched_bytes, NEEDED.iter().map(|n| world.file(n).len() as u64).sum::<u64>());
    assert_eq!(world.told("Finished"), 4);
    assert_eq!(world.told("Unverified"), 0);
}

#[test]
fn a_second_pull_asks_for_the_revision_and_nothing_else() {
    let world = World::small();
    world.pull().unwrap();
    world.forget();
    let again = world.pull().unwrap();
    assert_eq!((again.fetched_files, again.fetched_bytes), (0, 0));
    assert_eq!(world.lines(), [format!("GET /api/models/{ID}/revision/main")]);
}

#[cfg(unix)]
#[test]
fn lays_the_cache_out_as_python_does() {
    let world = World::with(&[
        ("config.json", b"{}".to_vec()),
        ("model.safetensors", noise(50, 1)),
        ("sub/deep/er.gguf", noise(60, 2)),
    ]);
    world.pull().unwrap();
    world.pull_as(&format!("{ID}@v1:er.gguf"), &PullOptions::default()).unwrap();
    world.pull_as(&format!("{ID}@refs/pr/1"), &PullOptions::default()).unwrap();
    for (name, up) in [("config.json", "../.."), ("model.safetensors", "../.."), ("sub/deep/er.gguf", "../../../..")] {
        let target = format!("{up}/blobs/{}", etag(name, &world.file(name)));
        assert_eq!(fs::read_link(world.snapshot().join(name)).unwrap(), Path::new(&target));
        assert_eq!(fs::read(world.blob(name)).unwrap(), world.file(name));
        let lock = format!(".locks/models--EleutherAI--gpt-neo-test/{}.lock", etag(name, &world.file(name)));
        assert!(world.cache.path().join(lock).is_file());
    }
    for reference in ["main", "v1", "refs/pr/1"] {
        let path = world.model().join("refs").join(reference);
        assert_eq!(fs::read_to_string(path).unwrap(), "a".repeat(40), "{reference}");
    }
    assert_eq!(files_below(&world.model().join("blobs")).len(), 3, "no part is left");
    assert!(files_below(&world.model()).iter().all(|n| !n.contains(".new-")), "no half-made link is left");
}

#[test]
fn a_commit_is_a_revision_without_a_reference() {
    let world = World::small();
    let commit = "a".repeat(40);
    world.pull_as(&format!("{ID}@{commit}"), &PullOptions::default()).unwrap();
    assert!(!world.model().join("refs").exists());
    let located = world.client().locate(&format!("{ID}@{commit}").parse().unwrap());
    assert_eq!(located, Some(world.snapshot()));
    assert_eq!(world.client().locate(&ID.parse().unwrap()), None, "nobody said what main is");
}

#[test]
fn follows_the_index_to_the_shards() {
    let index = r#"{"metadata":{"total_size":9},"weight_map":{"a":"model-00001-of-00002.safetensors","b":"model-00002-of-00002.safetensors"}}"#;
    let world = World::with(&[
        ("config.json", b"{}".to_vec()),
        ("model.safetensors.index.json", index.as_bytes().to_vec()),
        ("model-00001-of-00002.safetensors", noise(70_000, 1)),
        ("model-00002-of-00002.safetensors", noise(80_000, 2)),
        ("model-00001-of-00001.safetensors", noise(10, 3)),
    ]);
    world.pull().unwrap();
    world.assert_snapshot(&[
        "config.json",
        "model-00001-of-00002.safetensors",
        "model-00002-of-00002.safetensors",
        "model.safetensors.index.json",
    ]);
    let id: ModelId = ID.parse().unwrap();
    assert_eq!(world.client().locate(&id), Some(world.snapshot()));
    fs::remove_file(world.snapshot().join("model-00002-of-00002.safetensors")).unwrap();
    assert_eq!(world.client().locate(&id), None, "a shard is missing");
}

#[test]
fn takes_pickles_and_old_tokenizers_where_there_is_nothing_better() {
    let names = ["config.json", "merges.txt", "pytorch_model.bin", "vocab.json"];
    let world = World::with(&names.map(|n| (n, noise(n.len() * 10, 7))));
    world.pull().unwrap();
    world.assert_snapshot(&names);
}

#[test]
fn identical_files_are_fetched_once() {
    let world = World::with(&[
        ("config.json", b"{}".to_vec()),
        ("generation_config.json", b"{}".to_vec()),
        ("model.safetensors", noise(50, 1)),
    ]);
    assert_eq!(world.pull().unwrap().fetched_files, 2);
    world.assert_snapshot(&["config.json", "generation_config.json", "model.safetensors"]);
}

#[test]
fn empty_files_arrive_too() {
    let world = World::with(&[("config.json", b"{}".to_vec()), ("merges.txt", vec![]), ("model.safetensors", vec![])]);
    world.pull().unwrap();
    world.assert_snapshot(&["config.json", "merges.txt", "model.safetensors"]);
}

#[test]
fn a_new_commit_fetches_what_changed() {
    let world = World::small();
    world.pull().unwrap();
    world.set_commit("b");
    world.set_file("config.json", br#"{"model_type":"gpt_neo","new":1}"#);
    let pulled = world.pull().unwrap();
    assert_eq!((pulled.commit, pulled.fetched_files), ("b".repeat(40), 1));
    assert_eq!(fs::read_to_string(world.model().join("refs/main")).unwrap(), "b".repeat(40));
    assert!(world.snapshot().join("config.json").is_file(), "the old snapshot stays");
}

#[test]
fn an_interrupted_update_leaves_the_old_model_usable() {
    let world = World::small();
    world.pull().unwrap();
    world.set_commit("b");
    world.set_file("model.safetensors", &noise(500, 9));
    world.fault("GET /cdn/model.safetensors", 9, |_, reply| crate::server::Reply { cut: Some(0), ..reply });
    assert!(matches!(world.pull(), Err(HubError::Cut { .. })));
    assert_eq!(world.client().locate(&ID.parse().unwrap()), Some(world.snapshot()));
}

#[test]
fn two_at_once_fetch_each_file_once() {
    let world = Arc::new(World::small());
    let waiting = Arc::new(AtomicBool::new(false));
    let seen = waiting.clone();
    // The first request is answered only when somebody waits for its file.
    world.fault("GET /cdn/model.safetensors", 1, move |_, reply| {
        let began = Instant::now();
        while !seen.load(Ordering::SeqCst) && began.elapsed() < Duration::from_secs(5) {
            thread::sleep(Duration::from_millis(2));
        }
        reply
    });
    let pull = || {
        let note = |event: &Event<'_>| {
            if matches!(event, Event::Waiting { file: "model.safetensors" }) {
                waiting.store(true, Ordering::SeqCst);
            }
        };
        world.client().pull(&ID.parse().unwrap(), &PullOptions::default(), &note)
    };
    let (one, two) = thread::scope(|scope| {
        let (one, two) = (scope.spawn(pull), scope.spawn(pull));
        (one.join().unwrap(), two.join().unwrap())
    });
    assert_eq!(one.unwrap().path, two.unwrap().path);
    assert!(waiting.load(Ordering::SeqCst), "one of them waited");
    world.assert_snapshot(&NEEDED);
    assert_eq!(world.starts("model.safetensors"), [0]);
    assert_eq!(world.cdn.requests().len(), 1);
}

#[test]
fn cancelling_keeps_the_part_and_the_next_pull_goes_on() {
    const HALF: usize = 400_000;
    let world = World::small();
    world.fault("GET /cdn/model.safetensors", 1, |_, reply| crate::server::Reply { stall: Some(HALF), ..reply });
    let cancel = Arc::new(AtomicBool::new(false));
    let options = PullOptions { cancel: Some(cancel.clone()), ..PullOptions::default() };
    let note = |event: &Event<'_>| {
        if matches!(event, Event::Bytes { file: "model.safetensors", done, .. } if *done == HALF as u64) {
            cancel.store(true, Ordering::SeqCst);
        }
    };
    let began = Instant::now();
    let stopped = world.client().pull(&ID.parse().unwrap(), &options, &note);
    assert!(matches!(stopped, Err(HubError::Cancelled)), "{stopped:?}");
    assert!(began.elapsed() < Duration::from_secs(5), "the silent server was not waited for");
    assert_eq!(fs::metadata(world.part("model.safetensors")).unwrap().len(), HALF as u64);
    assert_eq!(world.client().locate(&ID.parse().unwrap()), None);

    world.pull().unwrap();
    assert_eq!(world.starts("model.safetensors"), [0, HALF]);
    world.assert_snapshot(&NEEDED);
    assert!(!world.part("model.safetensors").exists());
}

#[test]
fn progress_adds_up() {
    let world = World::small();
    let last = std::sync::Mutex::new((0, 0, 0));
    let note = |event: &Event<'_>| {
        if let Event::Bytes { done, total, all_done, all_total, fetched, .. } = event {
            assert!(total.is_none_or(|t| *done <= t) && all_done <= all_total);
            let mut last = last.lock().unwrap();
            *last = (last.0.max(*all_done), last.1.max(*all_total), last.2.max(*fetched));
        }
    };
    world.client().pull(&ID.parse().unwrap(), &PullOptions::default(), &note).unwrap();
    let bytes = NEEDED.iter().map(|n| world.file(n).len() as u64).sum::<u64>();
    assert_eq!(*last.lock().unwrap(), (bytes, bytes, bytes));
}
