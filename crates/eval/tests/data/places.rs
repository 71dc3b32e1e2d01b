//! Sets in data folders: which is taken, and what is said of one that is nowhere.

use std::fs;
use std::path::Path;

use gptneo_eval::data::{DataError, Dataset, Format, Library, Place};
use serde_json::json;

fn dataset(text: &str) -> Dataset {
    serde_json::from_str(text).unwrap()
}

fn library(folders: &[&Path]) -> Library<'static> {
    Library { folders: folders.iter().map(|folder| (*folder).to_owned()).collect(), ..Library::default() }
}

fn put(folder: &Path, name: &str, text: &str) {
    let path = folder.join(name);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, text).unwrap();
}

#[test]
fn a_description_is_read_strictly() {
    let read = dataset(
        r#"{"dataset_path": "nyu-mll/glue", "dataset_name": "cola", "local": {"validation": [
            {"files": "eval/cola/*.tsv", "format": "tsv", "columns": ["a", "b"], "unquoted": true, "integers": ["b"]}]}}"#,
    );
    let place = &read.local["validation"][0];
    assert_eq!(place.reading.format, Some(Format::Tsv));
    assert!(place.reading.unquoted && place.reading.integers == ["b"]);
    assert_eq!(read.to_string(), "nyu-mll/glue (cola)");
    for (text, wanted) in [
        (r#"{"local": {"test": [{"files": "a", "colums": []}]}}"#, "unknown field `colums`"),
        (r#"{"local": {"test": [{"files": "a", "format": "xml"}]}}"#, "unknown variant `xml`"),
        (r#"{"local": {"test": [{"format": "csv"}]}}"#, "missing field `files`"),
    ] {
        let said = serde_json::from_str::<Dataset>(text).unwrap_err().to_string();
        assert!(said.contains(wanted), "{said}");
    }
}

#[test]
fn the_first_folder_and_the_first_place_win() {
    let (one, two) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let set = dataset(r#"{"local": {"test": [{"files": "eval/x/b.jsonl"}, {"files": "eval/x/*.csv"}]}}"#);
    let open = || library(&[one.path(), two.path()]).open(&set, "test");
    put(two.path(), "eval/x/2.csv", "a\nthird\n");
    put(two.path(), "eval/x/1.csv", "a\nfirst\nsecond\n");
    let split = open().unwrap();
    assert_eq!(split.rows.iter().map(|row| row["a"].clone()).collect::<Vec<_>>(), ["first", "second", "third"]);
    assert_eq!((split.files.len(), split.revision, split.bytes), (2, None, 23));
    put(two.path(), "eval/x/b.jsonl", "{\"a\":\"of two\"}\n");
    assert_eq!(open().unwrap().rows[0]["a"], json!("of two"));
    put(one.path(), "below/eval/x/b.jsonl", "{\"a\":\"of one\"}\n");
    assert_eq!(open().unwrap().rows[0]["a"], json!("of one"));
    // What is found and cannot be read is not passed over.
    put(one.path(), "below/eval/x/b.jsonl", "{\"a\":");
    assert!(matches!(open(), Err(DataError::Damaged { .. })));
    put(one.path(), "below/eval/x/b.jsonl", "");
    assert!(matches!(open(), Err(DataError::NoRows { .. })));
}

#[test]
fn a_set_that_is_nowhere_says_where_it_was_looked_for_and_how_to_get_it() {
    let folder = tempfile::tempdir().unwrap();
    let set = dataset(
        r#"{"dataset_path": "aps/super_glue", "dataset_name": "wic", "local": {"validation": [{"files": "eval/wic/*.jsonl"}]}}"#,
    );
    let said = library(&[folder.path()]).open(&set, "validation").unwrap_err().to_string();
    let at = folder.path().display();
    let wanted = format!(
        "the split \"validation\" of aps/super_glue (wic) is not here; looked in:\n  - {at}/eval/wic/*.jsonl, and the folders below: no such file\n  \
         - hub, aps/super_glue: not asked, as no hub is set up\nto have it, either\n  \
         - let it be fetched as aps/super_glue, configuration wic from the hub: run where there is a network, with HF_HUB_OFFLINE unset\n  \
         - put eval/wic/*.jsonl under {at} (--data)"
    );
    assert_eq!(said, wanted);
    let said = library(&[]).open(&set, "validation").unwrap_err().to_string();
    assert!(said.contains("name that folder with --data"), "{said}");
    let said = library(&[folder.path()]).open(&set, "train").unwrap_err().to_string();
    assert!(said.contains("have a place for it written into the task's definition"), "{said}");
}

#[test]
fn a_description_that_cannot_be_followed_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let refused = |set: &Dataset, wanted: &str| {
        let error = library(&[folder.path()]).open(set, "test").unwrap_err();
        assert!(matches!(error, DataError::Definition { .. }), "{error:?}");
        assert!(error.to_string().contains(wanted), "{error}");
    };
    let mut set = Dataset::default();
    set.local.insert("train".to_owned(), vec![Place::new("a.jsonl")]);
    refused(&set, "no hub id, and places only for: train");
    set.local.insert("test".to_owned(), vec![Place::new("../a.jsonl")]);
    refused(&set, "no relative path below the data folder");
    let none = library(&[Path::new("/no/such/folder")]);
    set.local.insert("test".to_owned(), vec![Place::new("a.jsonl")]);
    assert!(matches!(none.open(&set, "test"), Err(DataError::Read { .. })));
}

#[test]
fn a_list_beside_a_set_says_which_rows_are_the_split() {
    let folder = tempfile::tempdir().unwrap();
    let set = dataset(r#"{"local": {"test": [{"files": "x/all.json", "key": "id", "listed": "x/test.json"}]}}"#);
    let open = || library(&[folder.path()]).open(&set, "test");
    put(folder.path(), "x/all.json", r#"{"1": {"a": "one"}, "2": {"a": "two"}, "3": {"a": "three"}}"#);
    // Without the list it would be another split.
    let said = open().unwrap_err().to_string();
    assert!(said.contains("which lists its rows") && said.contains("put x/all.json and x/test.json under"), "{said}");
    put(folder.path(), "x/test.json", r#"{"3": "yes", "1": "no"}"#);
    let split = open().unwrap();
    assert_eq!(split.rows.iter().map(|row| row["a"].clone()).collect::<Vec<_>>(), ["three", "one"]);
    assert_eq!((split.files.len(), split.bytes), (2, 59 + 23));
    put(folder.path(), "x/test.json", r#"{"4": "yes"}"#);
    let said = open().unwrap_err().to_string();
    assert!(said.contains("x/test.json") && said.contains("does not have it"), "{said}");
    let unkeyed = r#"{"local": {"test": [{"files": "a.json", "listed": "b.json"}]}}"#;
    assert!(serde_json::from_str::<Dataset>(unkeyed).unwrap_err().to_string().contains("wants a `key`"));
    let outside = dataset(r#"{"local": {"test": [{"files": "x/all.json", "key": "id", "listed": "../test.json"}]}}"#);
    let said = library(&[folder.path()]).open(&outside, "test").unwrap_err();
    assert!(matches!(said, DataError::Definition { .. }), "{said}");
}
