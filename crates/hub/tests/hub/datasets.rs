//! Data sets: only the files chosen, where Python's tools look for them, and offline what is there.

use std::fs;

use gptneo_hub::{DatasetId, HubError, PullOptions, PulledDataset, RepoPath};

use crate::server::Reply;
use crate::world::{ID, World, files_below, noise};

fn world() -> World {
    World::with(&[
        ("README.md", b"# Stories".to_vec()),
        ("data/train-0.bin", noise(50_000, 1)),
        ("data/train-1.bin", noise(60_000, 2)),
        ("data/test-0.bin", noise(1_000, 3)),
    ])
}

fn train(files: &[RepoPath]) -> Vec<RepoPath> {
    files.iter().filter(|file| file.as_str().contains("train")).cloned().collect()
}

fn pull(world: &World, id: &str) -> Result<PulledDataset, HubError> {
    let id: DatasetId = id.parse().unwrap();
    world.client().pull_dataset(&id, &train, &PullOptions::default(), &())
}

#[test]
fn fetches_what_is_chosen_into_the_shared_cache() {
    let mut world = world();
    let pulled = pull(&world, ID).unwrap();
    let folder = world.cache.path().join("datasets--EleutherAI--gpt-neo-test");
    assert_eq!(pulled.path, folder.join("snapshots").join("a".repeat(40)));
    assert_eq!(files_below(&pulled.path), ["data/train-0.bin", "data/train-1.bin"]);
    assert_eq!((pulled.others, pulled.fetched_bytes), (2, 110_000));
    for file in &pulled.files {
        assert!(fs::read(file.under(&pulled.path)).unwrap() == world.file(file.as_str()), "{}", file.as_str());
    }
    let asked = world.hub.requests();
    assert!(asked.iter().all(|request| request.path.contains("/datasets/")), "a model was asked for");
    world.forget();
    assert_eq!(pull(&world, &format!("datasets/{ID}@main")).unwrap().fetched_bytes, 0);
    world.settings.offline = true;
    assert_eq!(pull(&world, ID).unwrap().files, pulled.files);
    // It is no model, and looking after models leaves it alone.
    assert_eq!(world.client().list().unwrap(), []);
}

#[test]
fn goes_on_after_a_cut() {
    let world = world();
    world.fault("GET /cdn/data/train-1.bin", 1, |_, reply| Reply { cut: Some(20_000), ..reply });
    assert_eq!(pull(&world, ID).unwrap().files.len(), 2);
    assert_eq!(world.starts("data/train-1.bin"), [0, 20_000]);
}

#[test]
fn says_what_is_not_there() {
    let mut world = world();
    let nothing = |_: &[RepoPath]| Vec::new();
    let id: DatasetId = ID.parse().unwrap();
    let found = world.client().pull_dataset(&id, &nothing, &PullOptions::default(), &());
    assert!(matches!(&found, Err(HubError::NoData { found, .. }) if found.len() == 4), "{found:?}");
    let found = pull(&world, "no/such").unwrap_err();
    assert!(found.to_string().contains("no data set `datasets/no/such`"), "{found}");
    assert!(matches!(pull(&world, &format!("{ID}@nowhere")), Err(HubError::NoSuchRevision { .. })));
    world.settings.offline = true;
    assert!(matches!(pull(&world, ID), Err(HubError::Offline { .. })));
}
