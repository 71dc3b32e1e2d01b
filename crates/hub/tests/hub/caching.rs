//! Looking into the cache, and taking things out of it.

use std::fs;
use std::path::Path;

use gptneo_hub::{Cached, Hub, HubError, HubSettings, ModelId, PullOptions};

use crate::server::Reply;
use crate::world::{ID, World, etag, files_below, noise};

fn id(text: &str) -> ModelId {
    text.parse().unwrap()
}

fn hub(cache: &Path) -> Hub {
    let mut settings = HubSettings::new(cache);
    settings.offline = true;
    Hub::new(settings).unwrap()
}

/// Writes a model as Python would.
#[cfg(unix)]
fn plant(cache: &Path, name: &str, commit: &str, reference: Option<&str>, files: &[(&str, &[u8])]) {
    let root = cache.join(format!("models--{}", name.replace('/', "--")));
    let snapshot = root.join("snapshots").join(commit.repeat(40));
    for folder in [&root.join("blobs"), &root.join("refs"), &snapshot] {
        fs::create_dir_all(folder).unwrap();
    }
    for (file, bytes) in files {
        let tag = etag(file, bytes);
        fs::write(root.join("blobs").join(&tag), bytes).unwrap();
        std::os::unix::fs::symlink(format!("../../blobs/{tag}"), snapshot.join(file)).unwrap();
    }
    if let Some(reference) = reference {
        fs::write(root.join("refs").join(reference), commit.repeat(40)).unwrap();
    }
}

#[test]
fn an_absent_cache_is_empty() {
    let hub = hub(Path::new("/nonexistent/cache"));
    assert_eq!(hub.list().unwrap(), []);
    assert_eq!(hub.locate(&id("a/b")), None);
    assert!(matches!(hub.remove(&id("a/b")), Err(HubError::NotCached { .. })));
}

#[cfg(unix)]
#[test]
fn finds_what_python_fetched() {
    let cache = tempfile::tempdir().unwrap();
    plant(cache.path(), "a/b", "1", Some("main"), &[("config.json", b"{}"), ("model.safetensors", b"xyz")]);
    let found = hub(cache.path()).locate(&id("a/b")).unwrap();
    assert_eq!(fs::read(found.join("model.safetensors")).unwrap(), b"xyz");
    let pulled = hub(cache.path()).pull(&id("a/b"), &PullOptions::default(), &()).unwrap();
    assert_eq!((pulled.path, pulled.fetched_files), (found, 0));
}

#[cfg(unix)]
#[test]
fn a_model_with_something_missing_is_not_located() {
    for files in [&["config.json"][..], &["model.safetensors"], &["config.json", "tokenizer.json", "tf_model.h5"]] {
        let cache = tempfile::tempdir().unwrap();
        let files: Vec<_> = files.iter().map(|f| (*f, &b"{}"[..])).collect();
        plant(cache.path(), "a/b", "1", Some("main"), &files);
        assert_eq!(hub(cache.path()).locate(&id("a/b")), None);
        let failed = hub(cache.path()).open(&id("a/b"), &PullOptions::default(), &()).unwrap_err();
        assert!(matches!(failed, HubError::Offline { partial: true, .. }), "{failed:?}");
    }
    let cache = tempfile::tempdir().unwrap();
    plant(cache.path(), "a/b", "1", Some("main"), &[("config.json", b"{}"), ("model.safetensors", b"xyz")]);
    fs::remove_file(cache.path().join("models--a--b/blobs").join(etag("model.safetensors", b"xyz"))).unwrap();
    assert_eq!(hub(cache.path()).locate(&id("a/b")), None, "the link leads nowhere");
}

#[cfg(unix)]
#[test]
fn damaged_references_locate_nothing() {
    for text in ["", "../../../../etc", "main", "zzzz", &"A".repeat(40)] {
        let cache = tempfile::tempdir().unwrap();
        plant(cache.path(), "a/b", "1", Some("main"), &[("config.json", b"{}"), ("model.safetensors", b"xyz")]);
        fs::write(cache.path().join("models--a--b/refs/main"), text).unwrap();
        assert_eq!(hub(cache.path()).locate(&id("a/b")), None, "{text}");
    }
}

#[cfg(unix)]
#[test]
fn locates_one_gguf_among_many() {
    let cache = tempfile::tempdir().unwrap();
    plant(cache.path(), "a/b", "1", Some("main"), &[("m.Q8_0.gguf", b"8"), ("m.Q4_0.gguf", b"4")]);
    let hub = hub(cache.path());
    assert_eq!(fs::read(hub.locate(&id("a/b:q4_0")).unwrap()).unwrap(), b"4");
    assert_eq!(fs::read(hub.locate(&id("a/b:m.Q8_0.gguf")).unwrap()).unwrap(), b"8");
    assert_eq!(hub.locate(&id("a/b")), None);
    assert_eq!(hub.locate(&id("a/b:Q5_K")), None);
    assert!(hub.list().unwrap()[0].complete);
}

#[cfg(unix)]
#[test]
fn lists_every_revision() {
    let cache = tempfile::tempdir().unwrap();
    let model: &[(&str, &[u8])] = &[("config.json", b"{}"), ("model.safetensors", b"0123456789")];
    plant(cache.path(), "a/b", "1", Some("main"), model);
    plant(cache.path(), "a/b", "2", Some("v2"), &[("config.json", b"{}")]);
    plant(cache.path(), "gpt2", "3", None, model);
    fs::create_dir_all(cache.path().join("models--only--part/blobs")).unwrap();
    fs::write(cache.path().join("models--only--part/blobs/x.incomplete"), b"12345").unwrap();
    for other in ["datasets--x--y", ".locks", "models--", "models--a--..", "version.txt"] {
        fs::create_dir_all(cache.path().join(other)).unwrap();
    }
    let listed = hub(cache.path()).list().unwrap();
    type Row<'a> = (&'a str, Option<&'a str>, u64, bool, Vec<&'a str>);
    let row = |c: &Cached| -> String {
        let row: Row<'_> = (
            &c.id,
            c.revision.as_deref().map(|r| &r[..1]),
            c.bytes,
            c.complete,
            c.refs.iter().map(String::as_str).collect(),
        );
        format!("{row:?}")
    };
    assert_eq!(
        listed.iter().map(row).collect::<Vec<_>>(),
        [
            r#"("a/b", Some("1"), 12, true, ["main"])"#,
            r#"("a/b", Some("2"), 2, false, ["v2"])"#,
            r#"("gpt2", Some("3"), 12, true, [])"#,
            r#"("only/part", None, 5, false, [])"#,
        ]
    );
    assert!(listed[0].modified.is_some() && listed[0].path.is_dir());
}

#[cfg(unix)]
#[test]
fn removes_a_model_and_nothing_beside_it() {
    let cache = tempfile::tempdir().unwrap();
    let model: &[(&str, &[u8])] = &[("config.json", b"{}"), ("model.safetensors", b"0123456789")];
    plant(cache.path(), "a/b", "1", Some("main"), model);
    plant(cache.path(), "a/c", "1", Some("main"), model);
    let hub = hub(cache.path());
    let before = files_below(&cache.path().join("models--a--c"));
    assert_eq!(hub.remove(&id("a/b")).unwrap(), 12 + 40);
    assert!(!cache.path().join("models--a--b").exists());
    assert_eq!(files_below(&cache.path().join("models--a--c")), before);
    assert!(matches!(hub.remove(&id("a/b")), Err(HubError::NotCached { .. })));
}

#[cfg(unix)]
#[test]
fn removes_one_revision_and_keeps_what_others_share() {
    let cache = tempfile::tempdir().unwrap();
    plant(cache.path(), "a/b", "1", Some("main"), &[("config.json", b"{}"), ("model.safetensors", b"0123456789")]);
    plant(cache.path(), "a/b", "2", Some("v2"), &[("config.json", b"{}"), ("model.safetensors", b"01234")]);
    let hub = hub(cache.path());
    assert_eq!(hub.remove(&id("a/b@v2")).unwrap(), 5 + 40);
    assert!(hub.locate(&id("a/b")).is_some() && hub.locate(&id("a/b@v2")).is_none());
    assert!(matches!(hub.remove(&id("a/b@v2")), Err(HubError::NotCached { .. })));
    assert_eq!(hub.remove(&id("a/b@main")).unwrap(), 12 + 40);
    assert!(!cache.path().join("models--a--b").exists(), "nothing was left in it");
}

#[cfg(unix)]
#[test]
fn removing_an_unknown_model_names_similar_ones() {
    let cache = tempfile::tempdir().unwrap();
    plant(cache.path(), "EleutherAI/gpt-neo-125m", "1", Some("main"), &[("config.json", b"{}")]);
    plant(cache.path(), "openai/whisper", "1", Some("main"), &[("config.json", b"{}")]);
    for wrong in ["EleutherAI/gpt-neo-125M", "gpt-neo-125m", "eleutherai/gptneo-125m"] {
        let failed = hub(cache.path()).remove(&id(wrong)).unwrap_err();
        assert!(
            matches!(&failed, HubError::NotCached { near, .. } if near == &["EleutherAI/gpt-neo-125m"]),
            "{failed:?}"
        );
        assert!(failed.to_string().contains("did you mean EleutherAI/gpt-neo-125m?"));
    }
}

#[cfg(unix)]
#[test]
fn removal_follows_no_links_out_of_the_cache() {
    let (cache, outside) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    fs::write(outside.path().join("precious"), b"1").unwrap();
    std::os::unix::fs::symlink(outside.path(), cache.path().join("models--a--link")).unwrap();
    assert!(matches!(hub(cache.path()).remove(&id("a/link")), Err(HubError::NotCached { .. })));

    plant(cache.path(), "a/b", "1", Some("main"), &[("config.json", b"{}")]);
    let snapshot = cache.path().join("models--a--b/snapshots").join("1".repeat(40));
    std::os::unix::fs::symlink(outside.path(), snapshot.join("folder")).unwrap();
    std::os::unix::fs::symlink(outside.path().join("precious"), snapshot.join("file")).unwrap();
    hub(cache.path()).remove(&id("a/b@main")).unwrap();
    assert_eq!(fs::read(outside.path().join("precious")).unwrap(), b"1");
}

#[test]
fn a_model_being_pulled_is_not_removed() {
    let world = World::small();
    world.pull().unwrap();
    let locks = world.cache.path().join(".locks/models--EleutherAI--gpt-neo-test");
    let lock = fs::File::open(locks.join(&files_below(&locks)[0])).unwrap();
    lock.lock().unwrap();
    assert!(matches!(world.client().remove(&id(ID)), Err(HubError::Busy { .. })));
    lock.unlock().unwrap();
    assert!(world.client().remove(&id(ID)).unwrap() > 900_000);
}

#[test]
fn a_cancelled_pull_can_be_listed_and_removed() {
    let world = World::small();
    world.fault("GET /cdn/", 9, |_, reply| Reply { cut: Some(0), ..reply });
    world.pull().unwrap_err();
    let listed = world.client().list().unwrap();
    assert_eq!((listed.len(), listed[0].complete), (1, false));
    world.client().remove(&id(ID)).unwrap();
    assert_eq!(world.client().list().unwrap(), []);
}

#[test]
fn open_asks_nobody_for_a_cached_model() {
    let world = World::small();
    let options = PullOptions::default();
    let first = world.client().open(&id(ID), &options, &()).unwrap();
    world.forget();
    assert_eq!(world.client().open(&id(ID), &options, &()).unwrap(), first);
    assert_eq!(world.lines(), [""; 0]);
}

#[test]
fn open_completes_a_model_without_tokenizer_but_does_not_need_to() {
    let world = World::small();
    world.pull().unwrap();
    fs::remove_file(world.snapshot().join("tokenizer.json")).unwrap();
    let open = || world.client().open(&id(ID), &PullOptions::default(), &());
    world.fault("GET /api/", 1, |_, _| Reply::new(410, "not today"));
    assert_eq!(open().unwrap(), world.snapshot());
    assert!(!world.snapshot().join("tokenizer.json").exists());
    assert_eq!(open().unwrap(), world.snapshot());
    assert!(world.snapshot().join("tokenizer.json").exists());
}

#[test]
fn verifying_finds_and_replaces_damage() {
    let world = World::small();
    world.pull().unwrap();
    let mut bytes = world.file("model.safetensors");
    bytes[1000] ^= 4;
    fs::write(world.blob("model.safetensors"), &bytes).unwrap();
    assert_eq!(world.pull().unwrap().fetched_files, 0, "a plain pull trusts the cache");
    let options = PullOptions { verify: true, ..PullOptions::default() };
    assert_eq!(world.pull_as(ID, &options).unwrap().fetched_files, 1);
    assert_eq!(world.told("damaged"), 1);
    assert_eq!(fs::read(world.blob("model.safetensors")).unwrap(), world.file("model.safetensors"));
    assert_eq!(world.pull_as(ID, &options).unwrap().fetched_files, 0);
}

#[test]
fn settings_with_nonsense_are_refused() {
    for endpoint in ["", "mirror", "ftp://x", "http://x/"] {
        let mut settings = HubSettings::new("/tmp");
        settings.endpoint = endpoint.to_owned();
        assert!(matches!(Hub::new(settings), Err(HubError::BadSetting { name: "HF_ENDPOINT", .. })), "{endpoint}");
    }
    let world = World::with(&[("config.json", b"{}".to_vec()), ("model.safetensors", noise(9, 1))]);
    let mut settings = world.settings.clone();
    settings.certificates = Some("/nonexistent.pem".into());
    let refused = Hub::new(settings).unwrap().pull(&id(ID), &PullOptions::default(), &());
    assert!(matches!(refused, Err(HubError::Io { .. })), "{refused:?}");
}
