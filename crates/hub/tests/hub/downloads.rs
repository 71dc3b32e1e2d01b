//! Single files from any URL.

use std::fs;
use std::path::PathBuf;

use gptneo_hub::{Download, HubError};

use crate::server::Reply;
use crate::world::{World, files_below, sha256};

const WEIGHTS: &str = "model.safetensors";
const ON_WEIGHTS: &str = "GET /cdn/model.safetensors";

fn url(world: &World) -> String {
    format!("{}/cdn/{WEIGHTS}", world.cdn.url())
}

fn dest(world: &World) -> PathBuf {
    world.cache.path().join("data/set.bin")
}

#[test]
fn fetches_a_file_with_and_without_a_hash() {
    let world = World::small();
    let (url, dest, bytes) = (url(&world), dest(&world), world.file(WEIGHTS));
    assert_eq!(world.client().download(&Download::new(&url, &dest), &()).unwrap(), 900_000);
    assert_eq!(fs::read(&dest).unwrap(), bytes);
    let hash = sha256(&bytes);
    let with_hash = Download { sha256: Some(&hash), ..Download::new(&url, &dest) };
    world.forget();
    assert_eq!(world.client().download(&with_hash, &()).unwrap(), 900_000);
    assert_eq!(world.lines(), [""; 0], "it is there already");
    fs::write(&dest, b"something else").unwrap();
    world.client().download(&with_hash, &()).unwrap();
    assert_eq!(fs::read(&dest).unwrap(), bytes);
    assert_eq!(files_below(dest.parent().unwrap()), ["set.bin"], "no litter");
}

#[test]
fn goes_on_after_a_cut_if_the_tag_is_the_same() {
    let world = World::small();
    let (url, dest) = (url(&world), dest(&world));
    world.fault(ON_WEIGHTS, 1, |_, reply| Reply { cut: Some(100), ..reply });
    world.client().download(&Download::new(&url, &dest), &()).unwrap();
    assert_eq!(world.starts(WEIGHTS), [0, 100]);
    assert_eq!(world.cdn.requests()[1].header("if-range"), Some("\"cdn-has-its-own\""));
}

#[test]
fn only_a_hash_lets_an_old_part_be_continued() {
    let world = World::small();
    let (url, dest, bytes) = (url(&world), dest(&world), world.file(WEIGHTS));
    let part = dest.with_file_name("set.bin.incomplete");
    fs::create_dir_all(dest.parent().unwrap()).unwrap();
    fs::write(&part, &bytes[..5_000]).unwrap();
    world.client().download(&Download::new(&url, &dest), &()).unwrap();
    assert_eq!(world.starts(WEIGHTS), [0]);
    fs::remove_file(&dest).unwrap();
    fs::write(&part, &bytes[..5_000]).unwrap();
    world.forget();
    let hash = sha256(&bytes);
    world.client().download(&Download { sha256: Some(&hash), ..Download::new(&url, &dest) }, &()).unwrap();
    assert_eq!(world.starts(WEIGHTS), [5_000]);
    assert_eq!(fs::read(&dest).unwrap(), bytes);
}

#[test]
fn a_wrong_hash_leaves_what_was_there() {
    let world = World::small();
    let (url, dest) = (url(&world), dest(&world));
    fs::create_dir_all(dest.parent().unwrap()).unwrap();
    fs::write(&dest, b"old").unwrap();
    let hash = "0".repeat(64);
    let failed = world.client().download(&Download { sha256: Some(&hash), ..Download::new(&url, &dest) }, &());
    assert!(matches!(failed, Err(HubError::Checksum { .. })), "{failed:?}");
    assert_eq!(fs::read(&dest).unwrap(), b"old");
    assert_eq!(files_below(dest.parent().unwrap()), ["set.bin"]);
}

#[test]
fn more_than_allowed_is_refused() {
    for chunked in [false, true] {
        let world = World::small();
        world.fault(ON_WEIGHTS, 9, move |_, reply| Reply { chunked, ..reply });
        let (url, dest) = (url(&world), dest(&world));
        let limited = Download { max_bytes: Some(899_999), ..Download::new(&url, &dest) };
        let failed = world.client().download(&limited, &());
        assert!(matches!(failed, Err(HubError::WrongLength { wanted: 899_999, .. })), "{failed:?}");
        assert!(!dest.exists());
    }
}

#[test]
fn refusals_are_in_words() {
    let mut world = World::small();
    let dest = dest(&world);
    let get = |world: &World, url: &str| world.client().download(&Download::new(url, &dest), &()).unwrap_err();
    let absent = format!("{}/absent?key=secret", world.cdn.url());
    let failed = get(&world, &absent);
    assert!(matches!(failed, HubError::NotFound { .. }) && !failed.to_string().contains("secret"), "{failed}");
    for bad in ["", "x", "file:///etc/passwd", "ftp://x/y", "http://u:p@x/y"] {
        assert!(matches!(get(&world, bad), HubError::Protocol { .. }), "{bad}");
    }
    let bad_hash = Download { sha256: Some("abc"), ..Download::new(&absent, &dest) };
    assert!(matches!(world.client().download(&bad_hash, &()), Err(HubError::BadSetting { .. })));
    world.settings.offline = true;
    assert!(matches!(get(&world, &absent), HubError::OfflineUrl { .. }));
    assert!(!dest.exists());
}
