//! Sets of a hub, in each layout that hubs have, and what is said of those that are not there.

use std::fs;

use gptneo_eval::data::{DataError, Dataset, Library, Remote, Split};
use gptneo_hub::{Hub, HubSettings, PullOptions};
use serde_json::json;
use tempfile::TempDir;

use crate::server::{Files, Server, commit_of};
use crate::support::fixture;

struct World {
    server: Server,
    cache: TempDir,
    offline: bool,
}

/// A revision as `OWNER/NAME@REVISION`, and its files by name.
type Revision<'a> = (&'a str, &'a [(&'a str, &'a [u8])]);

impl World {
    fn with(sets: &[Revision<'_>]) -> World {
        let files = |files: &[(&str, &[u8])]| -> Files {
            files.iter().map(|(name, bytes)| ((*name).to_owned(), bytes.to_vec())).collect()
        };
        let sets = sets.iter().map(|(set, of_set)| ((*set).to_owned(), files(of_set))).collect();
        World { server: Server::start(sets), cache: tempfile::tempdir().unwrap(), offline: false }
    }

    fn open(&self, dataset: &Dataset, split: &str) -> Result<Split, DataError> {
        let mut settings = HubSettings::new(self.cache.path());
        settings.endpoint = self.server.url();
        settings.offline = self.offline;
        let hub = Hub::new(settings).unwrap();
        let remote = Remote { hub: &hub, options: PullOptions::default(), progress: &() };
        Library { hub: Some(remote), ..Library::default() }.open(dataset, split)
    }

    fn missing(&self, dataset: &Dataset, split: &str) -> (Vec<String>, Vec<String>) {
        match self.open(dataset, split) {
            Err(DataError::Missing { looked, ways, .. }) => (looked, ways),
            other => panic!("{other:?}"),
        }
    }
}

fn set(path: &str, name: Option<&str>) -> Dataset {
    Dataset { path: Some(path.to_owned()), name: name.map(str::to_owned), ..Dataset::default() }
}

fn parquet() -> Vec<u8> {
    fs::read(fixture("kinds.parquet")).unwrap()
}

#[test]
fn parquet_by_configuration() {
    let table = parquet();
    let world = World::with(&[(
        "nyu-mll/glue@main",
        &[
            ("README.md", b"# GLUE"),
            ("mrpc/test-00000-of-00001.parquet", b"not asked for"),
            ("mrpc/validation-00000-of-00002.parquet", &table),
            ("mrpc/validation-00001-of-00002.parquet", &table),
            ("rte/validation-00000-of-00001.parquet", b"not asked for"),
        ],
    )]);
    let split = world.open(&set("nyu-mll/glue", Some("mrpc")), "validation").unwrap();
    assert_eq!(split.rows.len(), 120);
    assert_eq!((&split.rows[59]["id"], &split.rows[60]["id"]), (&json!(59), &json!(0)));
    assert_eq!(split.revision, Some(commit_of("nyu-mll/glue@main")));
    assert_eq!(split.bytes, 2 * table.len() as u64);
    assert!(split.files[1].ends_with("mrpc/validation-00001-of-00002.parquet"), "{:?}", split.files);
    let both = [table.as_slice(), &table].concat();
    let wanted: String =
        sha2::Digest::finalize(sha2::Digest::chain_update(<sha2::Sha256 as sha2::Digest>::new(), both))
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect();
    assert_eq!(split.sha256, wanted);
    let asked = world.server.asked().join("\n");
    assert!(!asked.contains("test-00000") && !asked.contains("rte") && !asked.contains("README"), "{asked}");
}

#[test]
fn parquet_of_the_only_configuration() {
    let table = parquet();
    let world = World::with(&[("a/b@main", &[("data/test-00000-of-00001.parquet", &table)])]);
    assert_eq!(world.open(&set("a/b", None), "test").unwrap().rows.len(), 60);
    assert_eq!(world.open(&set("a/b", Some("default")), "test").unwrap().rows.len(), 60);
}

#[test]
fn parquet_that_the_hub_converted() {
    let table = parquet();
    let world = World::with(&[
        ("a/b@main", &[("b.py", b"a script"), ("data/test.jsonl", b"{}")]),
        (
            "a/b@refs/convert/parquet",
            &[("plain_text/test/0000.parquet", &table), ("plain_text/test/0001.parquet", &table)],
        ),
    ]);
    let split = world.open(&set("a/b", Some("plain_text")), "test").unwrap();
    assert_eq!(split.rows.len(), 120);
    assert_eq!(split.revision, Some(commit_of("a/b@refs/convert/parquet")));
    // The second time nothing is fetched.
    world.server.asked();
    world.open(&set("a/b", Some("plain_text")), "test").unwrap();
    let asked = world.server.asked();
    assert!(asked.iter().all(|line| line.starts_with("GET /api/")), "{asked:?}");
}

#[test]
fn other_formats_by_their_names() {
    let lines = b"{\"text\":\"one\"}\n{\"text\":\"two\"}\n";
    let world =
        World::with(&[("a/b@main", &[("README.md", b""), ("data/lambada_test.jsonl", lines), ("dev.csv", b"a\n1\n")])]);
    let split = world.open(&set("a/b", None), "test").unwrap();
    assert_eq!(split.rows[1]["text"], json!("two"));
    assert_eq!(split.revision, Some(commit_of("a/b@main")));
    assert_eq!(world.open(&set("a/b", None), "validation").unwrap().rows[0]["a"], json!("1"));
}

#[test]
fn a_revision_asked_for_is_the_only_one() {
    let table = parquet();
    let world = World::with(&[
        ("a/b@main", &[("data/test-00000-of-00001.parquet", &table)]),
        ("a/b@v1", &[("x.txt", b"")]),
        ("a/b@v2", &[("test.jsonl", b"{\"a\":1}")]),
        ("a/b@refs/convert/parquet", &[("default/test/0000.parquet", &table)]),
    ]);
    let at = |revision: &str| Dataset { revision: Some(revision.to_owned()), ..set("a/b", None) };
    let (looked, ways) = world.missing(&at("v1"), "test");
    assert_eq!(looked.len(), 2, "{looked:?}");
    assert!(looked[0].starts_with("hub, a/b@v1: no Parquet files"), "{looked:?}");
    assert!(ways[0].contains("a/b@v1"), "{ways:?}");
    assert_eq!(world.open(&at("v2"), "test").unwrap().revision, Some(commit_of("a/b@v2")));
    assert!(world.missing(&at("v3"), "test").0[0].contains("no revision `v3`"));
}

#[test]
fn says_which_configurations_and_splits_there_are() {
    let table = parquet();
    let world = World::with(&[(
        "a/b@main",
        &[("x/test-00000-of-00001.parquet", &table), ("y/test-00000-of-00001.parquet", &table)],
    )]);
    let (looked, ways) = world.missing(&set("a/b", Some("z")), "test");
    assert!(looked[0].contains("hub, a/b: no configuration \"z\"; it has x, y"), "{looked:?}");
    assert!(
        looked[1].contains("a/b@refs/convert/parquet: `datasets/a/b@refs/convert/parquet` has no revision")
            || looked[1].contains("has no revision `refs/convert/parquet`"),
        "{looked:?}"
    );
    assert!(looked[2].contains("no file of jsonl"), "{looked:?}");
    assert!(ways[0].contains("a/b, configuration z") && ways[0].contains("HF_HUB_OFFLINE unset"), "{ways:?}");
    let (looked, _) = world.missing(&set("a/b", Some("x")), "validation");
    assert!(looked[0].contains("no split \"validation\" in its configuration \"x\"; there are test"), "{looked:?}");
    let (looked, _) = world.missing(&set("a/b", None), "test");
    assert!(looked[0].contains("several configurations, and `dataset_name` names none: x, y"), "{looked:?}");
    // A set that the hub does not know is asked for once.
    world.server.asked();
    let (looked, _) = world.missing(&set("no/such", None), "test");
    assert!(looked.len() == 1 && looked[0].contains("no data set `datasets/no/such`"), "{looked:?}");
    assert_eq!(world.server.asked().len(), 1);
}

#[test]
fn offline_it_takes_what_is_in_the_cache() {
    let table = parquet();
    let mut world = World::with(&[
        ("a/b@main", &[("x/test-00000-of-00001.parquet", &table), ("y/test-00000-of-00001.parquet", &table)]),
        ("c/d@main", &[("d.py", b"")]),
        ("c/d@refs/convert/parquet", &[("x/test/0000.parquet", &table)]),
    ]);
    let online =
        [world.open(&set("a/b", Some("x")), "test").unwrap(), world.open(&set("c/d", Some("x")), "test").unwrap()];
    world.offline = true;
    world.server.asked();
    for (id, online) in [("a/b", &online[0]), ("c/d", &online[1])] {
        assert_eq!(world.open(&set(id, Some("x")), "test").unwrap(), *online);
    }
    let (looked, _) = world.missing(&set("a/b", Some("y")), "test");
    assert!(
        looked[0].contains("of what is in the cache (HF_HUB_OFFLINE is set): no configuration \"y\"; it has x"),
        "{looked:?}"
    );
    let (looked, ways) = world.missing(&set("e/f", None), "test");
    assert!(looked[0].contains("HF_HUB_OFFLINE forbids asking for it"), "{looked:?}");
    assert!(ways[0].contains("with HF_HUB_OFFLINE unset"), "{ways:?}");
    assert_eq!(world.server.asked(), [] as [&str; 0]);
}

#[test]
fn a_file_that_does_not_hold_is_named() {
    let world = World::with(&[
        ("a/b@main", &[("test-00000-of-00001.parquet", b"PAR1 no")]),
        ("c/d@main", &[("test.jsonl", b"\n")]),
    ]);
    let error = world.open(&set("a/b", None), "test").unwrap_err();
    assert!(
        matches!(&error, DataError::Damaged { path, .. } if path.ends_with("test-00000-of-00001.parquet")),
        "{error:?}"
    );
    let error = world.open(&set("c/d", None), "test").unwrap_err();
    assert!(matches!(&error, DataError::NoRows { files, .. } if files[0].ends_with("test.jsonl")), "{error:?}");
}
