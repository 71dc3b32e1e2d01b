//! Files that a definition names itself.

use std::fs;
use std::path::Path;

use gptneo_eval::data::{Library, Split};
use gptneo_eval::{Catalog, EvalError, Options, requests};

const HEAD: &str =
    "task: mine\noutput_type: multiple_choice\ndoc_to_text: '{{q}}'\ndoc_to_choice: [a, b]\ndoc_to_target: 0\n";

/// The questions that a definition's documents ask; it lies in a folder with some files.
fn asked(definition: &str) -> Result<Vec<String>, EvalError> {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| {
        let path = folder.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    };
    write("sets/one.jsonl", "{\"q\": \"j1\"}\n{\"q\": \"j2\"}\n");
    write("sets/two.jsonl", "{\"q\": \"j3\"}\n");
    write("sets/whole.json", "{\"meta\": 1, \"rows\": [{\"q\": \"w1\"}]}");
    write("sets/table.csv", "q,n\n\"c,1\",2\n");
    write("sets/tabs", "q\tn\nt1\t2\n");
    write("split/test.jsonl", "{\"q\": \"s1\"}\n");
    write("split/deep/test/part.jsonl", "{\"q\": \"d1\"}\n");
    write("tasks/mine.yaml", &format!("{HEAD}{}\n", definition.replace("ROOT", &folder.path().display().to_string())));
    let mut catalog = Catalog::shipped().unwrap();
    catalog.include(&folder.path().join("tasks/mine.yaml"))?;
    let (_, documents) =
        requests(catalog.choose(&["mine".to_owned()])?, &Library::default(), &Options::default())?.remove(0);
    Ok(documents.iter().map(|requests| requests[0][0].as_str().unwrap().to_owned()).collect())
}

#[test]
fn files_are_read_from_the_definitions_folder() {
    for (definition, wanted) in [
        ("dataset_path: json\ntest_split: train\ndataset_kwargs: {data_files: ../sets/one.jsonl}", &["j1", "j2"][..]),
        (
            "dataset_path: json\ntest_split: test\ndataset_kwargs: {data_files: {test: ../sets/two.jsonl, train: x.jsonl}}",
            &["j3"],
        ),
        (
            "dataset_path: json\ntest_split: test\ndataset_kwargs: {data_files: {test: [../sets/two.jsonl, ../sets/one.jsonl]}}",
            &["j3", "j1", "j2"],
        ),
        (
            "dataset_path: json\ntest_split: test\ndataset_kwargs: {data_files: {test: '../sets/*.jsonl'}}",
            &["j1", "j2", "j3"],
        ),
        (
            "dataset_path: json\ntest_split: test\ndataset_kwargs: {data_dir: ../sets, data_files: {test: one.jsonl}}",
            &["j1", "j2"],
        ),
        ("dataset_path: json\ntest_split: test\ndataset_kwargs: {data_files: {test: ROOT/sets/two.jsonl}}", &["j3"]),
        ("dataset_path: json\ntest_split: test\ndataset_kwargs: {data_files: {test: 'ROOT/sets/t*.jsonl'}}", &["j3"]),
        (
            "dataset_path: json\ntest_split: train\ndataset_kwargs: {field: rows, data_files: ../sets/whole.json}",
            &["w1"],
        ),
        ("dataset_path: csv\ntest_split: train\ndataset_kwargs: {data_files: ../sets/table.csv}", &["c,1"]),
        ("dataset_path: csv\ntest_split: train\ndataset_kwargs: {sep: \"\\t\", data_files: ../sets/tabs}", &["t1"]),
        ("dataset_path: json\ntest_split: test\ndataset_kwargs: {data_dir: ../split}", &["s1"]),
        ("dataset_path: json\ntest_split: test\ndataset_kwargs: {data_dir: ../split/deep}", &["d1"]),
    ] {
        assert_eq!(asked(definition).unwrap_or_else(|error| panic!("{definition}: {error}")), wanted, "{definition}");
    }
}

#[test]
fn tables_of_other_formats_are_read_too() {
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/eval_tables");
    for (builder, ending) in [("parquet", "parquet"), ("arrow", "arrow")] {
        let file = fs::read_dir(&fixtures).unwrap().map(|entry| entry.unwrap().path());
        let file = file.into_iter().find(|path| path.extension().is_some_and(|e| e == ending)).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let definition = folder.path().join("mine.yaml");
        let text = format!(
            "{HEAD}dataset_path: {builder}\ntest_split: test\ndataset_kwargs: {{data_files: {{test: {:?}}}}}\n",
            file.canonicalize().unwrap()
        );
        fs::write(&definition, text).unwrap();
        let mut catalog = Catalog::shipped().unwrap();
        catalog.include(&definition).unwrap();
        let Split { rows, files, revision, .. } =
            Library::default().open(catalog.task("mine").unwrap().dataset(), "test").unwrap();
        assert!(!rows.is_empty() && files.len() == 1 && revision.is_none(), "{}", file.display());
    }
}

#[test]
fn what_cannot_be_followed_is_said() {
    for (definition, says) in [
        ("dataset_path: json\ntest_split: test", "names the files"),
        ("dataset_path: json\ntest_split: test\ndataset_kwargs: {data_files: {}}", "`data_files` is empty"),
        ("dataset_path: json\ntest_split: test\ndataset_kwargs: {data_files: []}", "`data_files` is a path"),
        ("dataset_path: json\ntest_split: test\ndataset_kwargs: {data_files: 3}", "`data_files` is a path"),
        ("dataset_path: json\ntest_split: test\ndataset_kwargs: {data_files: {test: [1]}}", "`data_files` is a path"),
        (
            "dataset_path: json\ntest_split: test\ndataset_kwargs: {data_files: 'https://x.org/a.jsonl'}",
            "is an address",
        ),
        ("dataset_path: json\ntest_split: test\ndataset_kwargs: {data_dir: 'hf://a/b'}", "is an address"),
        ("dataset_path: json\ntest_split: test\ndataset_kwargs: [data_files]", "`dataset_kwargs` is a mapping"),
        (
            "dataset_path: me/set\ntest_split: test\ndataset_kwargs: {data_files: a.jsonl}",
            "is followed where `dataset_path` is json",
        ),
        (
            "dataset_path: me/set\ntest_split: test\ndataset_kwargs: {data_dir: a}",
            "is followed where `dataset_path` is json",
        ),
        ("dataset_path: csv\ntest_split: train\ndataset_kwargs: {field: a, data_files: a.csv}", "`field` goes with"),
        (
            "dataset_path: json\ntest_split: train\ndataset_kwargs: {sep: ',', data_files: a.json}",
            "go with `dataset_path: csv`",
        ),
        ("dataset_path: csv\ntest_split: train\ndataset_kwargs: {sep: ';', data_files: a.csv}", "commas or tabs"),
        (
            "dataset_path: json\ntest_split: test\ndataset_kwargs: {data_files: ../sets/one.jsonl}",
            "has files of train, and none of test",
        ),
        (
            "dataset_path: json\ntest_split: train\ndataset_kwargs: {data_files: ../sets/none.jsonl}",
            "none.jsonl: no such file",
        ),
        ("dataset_path: json\ntest_split: dev\ndataset_kwargs: {data_dir: ../split}", "dev.*: no such file"),
        ("dataset_path: json\ntest_split: train\ndataset_kwargs: {data_files: '../sets/[x'}", "no pattern"),
    ] {
        let error = asked(definition).err().unwrap_or_else(|| panic!("{definition} is taken")).to_string();
        assert!(error.contains(says), "{definition}: {error}");
    }
}
