//! The shape of the house: who may depend on whom, where `unsafe` may stand, how long a file may be.
//!
//! These are the invariants of `ARCHITECTURE.md` that no type can hold. The edges are read from `cargo metadata`, the
//! rest from the sources themselves. A new crate is an error here until its row is written down.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on says so by its panic")]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

/// Every crate of ours, and the crates of ours that it may use (tests and build scripts included).
const EDGES: &[(&str, &[&str])] = &[
    ("gptneo-device", &[]),
    ("gptneo-text", &[]),
    ("gptneo-hub", &[]),
    ("gptneo-runs", &[]),
    ("gptneo-tables", &[]),
    ("gptneo-kernels", &["gptneo-device"]),
    ("gptneo-cuda", &["gptneo-device"]),
    ("gptneo-mpi", &["gptneo-device"]),
    ("gptneo-checkpoint", &["gptneo-device"]),
    ("gptneo-model", &["gptneo-device", "gptneo-checkpoint"]),
    ("gptneo-engine", &["gptneo-device", "gptneo-checkpoint", "gptneo-hub", "gptneo-model", "gptneo-text"]),
    (
        "gptneo-train",
        &["gptneo-device", "gptneo-checkpoint", "gptneo-engine", "gptneo-model", "gptneo-runs", "gptneo-text"],
    ),
    ("gptneo-eval", &["gptneo-engine", "gptneo-hub", "gptneo-runs", "gptneo-tables", "gptneo-text"]),
    ("gptneo-serve", &["gptneo-engine", "gptneo-runs", "gptneo-text"]),
    ("gptneo-corpus", &["gptneo-hub", "gptneo-tables", "gptneo-text"]),
    (
        "gptneo",
        &[
            "gptneo-checkpoint",
            "gptneo-corpus",
            "gptneo-cuda",
            "gptneo-device",
            "gptneo-engine",
            "gptneo-eval",
            "gptneo-hub",
            "gptneo-kernels",
            "gptneo-model",
            "gptneo-mpi",
            "gptneo-runs",
            "gptneo-serve",
            "gptneo-text",
            "gptneo-train",
        ],
    ),
];

/// Edges that exist only for tests: a decoder is tested on a real device, though it is written over the traits alone.
const TEST_EDGES: &[(&str, &[&str])] = &[
    ("gptneo-model", &["gptneo-kernels"]),
    ("gptneo-engine", &["gptneo-kernels"]),
    ("gptneo-mpi", &["gptneo-kernels"]),
    ("gptneo-train", &["gptneo-kernels"]),
    ("gptneo-serve", &["gptneo-kernels", "gptneo-model"]),
];

/// The crates whose sources may contain `unsafe`.
const MAY_BE_UNSAFE: &[&str] = &["gptneo-kernels", "gptneo-cuda", "gptneo-checkpoint"];

/// About 500 is the habit; beyond this a file holds more than one concept.
const LONGEST_FILE: usize = 600;

#[test]
fn crates_use_only_what_the_house_allows() {
    let mut wrong = Vec::new();
    for package in packages() {
        let Some(allowed) = row(EDGES, &package.name) else {
            wrong.push(format!("{} has no row in EDGES", package.name));
            continue;
        };
        let in_tests = row(TEST_EDGES, &package.name).unwrap_or(&[]);
        for edge in &package.edges {
            let fine = allowed.contains(&edge.to.as_str()) || (edge.dev && in_tests.contains(&edge.to.as_str()));
            if !fine {
                let kind = if edge.dev { " (for tests)" } else { "" };
                wrong.push(format!("{} -> {}{kind}", package.name, edge.to));
            }
        }
    }
    assert!(wrong.is_empty(), "edges the house does not have:\n{}", wrong.join("\n"));
}

#[test]
fn work_crates_never_import_each_other() {
    let work = ["gptneo-corpus", "gptneo-train", "gptneo-eval", "gptneo-serve"];
    for name in work {
        let allowed = row(EDGES, name).unwrap();
        assert!(work.iter().all(|other| !allowed.contains(other)), "{name} is allowed another work crate");
    }
}

#[test]
fn every_crate_obeys_the_workspace_lints() {
    for package in packages() {
        let manifest = std::fs::read_to_string(&package.manifest).unwrap();
        let manifest: String = manifest.split_whitespace().collect();
        assert!(manifest.contains("[lints]workspace=true"), "{} does not inherit the workspace's lints", package.name);
    }
}

#[test]
fn unsafe_stands_only_where_it_may() {
    let mut wrong = Vec::new();
    for package in packages().into_iter().filter(|package| !MAY_BE_UNSAFE.contains(&package.name.as_str())) {
        for file in rust_files(&package.manifest.with_file_name("src")) {
            let text = std::fs::read_to_string(&file).unwrap();
            for (number, line) in text.lines().enumerate() {
                if says_unsafe(line) {
                    wrong.push(format!("{}:{}: {}", file.display(), number + 1, line.trim()));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "unsafe code outside {MAY_BE_UNSAFE:?}:\n{}", wrong.join("\n"));
}

#[test]
fn checkpoint_has_one_unsafe_block() {
    let package = packages().into_iter().find(|package| package.name == "gptneo-checkpoint").unwrap();
    let blocks: usize = rust_files(&package.manifest.with_file_name("src"))
        .iter()
        .map(|file| std::fs::read_to_string(file).unwrap())
        .map(|text| text.lines().flat_map(words).filter(|word| *word == "unsafe").count())
        .sum();
    assert!(blocks <= 1, "checkpoint says `unsafe` {blocks} times; mapping a file needs it once");
}

#[test]
fn files_hold_one_concept() {
    let mut long = Vec::new();
    for file in sources() {
        let text = std::fs::read_to_string(&file).unwrap();
        let lines = text.lines().count();
        // What a program wrote is read by nobody.
        if lines > LONGEST_FILE && !text.starts_with("// This file is @generated") {
            long.push(format!("{}: {lines} lines", file.display()));
        }
    }
    assert!(long.is_empty(), "files over {LONGEST_FILE} lines:\n{}", long.join("\n"));
}

#[test]
fn recognises_unsafe_code_and_not_its_mention() {
    assert!(says_unsafe("    unsafe { f() }"));
    assert!(says_unsafe("pub unsafe fn f() {}"));
    assert!(says_unsafe("#[allow(unsafe_code)]"));
    assert!(!says_unsafe("#![forbid(unsafe_code)]"));
    assert!(!says_unsafe("#![deny(unsafe_code)]"));
    assert!(!says_unsafe("// never unsafe"));
    assert!(!says_unsafe("let s = \"f\"; // unsafe"));
    assert!(!says_unsafe("let s = \"unsafe\";"));
}

/// Whether a line of source holds the keyword, or lets it in. Text in comments does not count.
fn says_unsafe(line: &str) -> bool {
    let lets_in = !line.contains("forbid(unsafe_code)") && !line.contains("deny(unsafe_code)");
    words(line).any(|word| word == "unsafe" || (word == "unsafe_code" && lets_in))
}

/// The words of a line of source, without its comment and what it quotes.
fn words(line: &str) -> impl Iterator<Item = &str> {
    let code = line.split("//").next().unwrap_or_default();
    code.split('"').step_by(2).flat_map(|code| code.split(|c: char| !(c.is_alphanumeric() || c == '_')))
}

struct Package {
    name: String,
    manifest: PathBuf,
    edges: Vec<Edge>,
}

struct Edge {
    to: String,
    dev: bool,
}

/// The members of the workspace with the edges among them.
fn packages() -> Vec<Package> {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--offline", "--no-deps", "--format-version", "1", "--manifest-path"])
        .arg(root().join("Cargo.toml"))
        .output()
        .unwrap();
    assert!(output.status.success(), "cargo metadata failed: {}", String::from_utf8_lossy(&output.stderr));
    let metadata: Value = serde_json::from_slice(&output.stdout).unwrap();
    let packages = metadata["packages"].as_array().unwrap();
    let ours: BTreeMap<&str, &Value> = packages.iter().map(|p| (p["name"].as_str().unwrap(), p)).collect();
    assert!(ours.contains_key("gptneo-device"), "the metadata does not list this very crate");
    ours.iter()
        .map(|(name, package)| Package {
            name: (*name).to_owned(),
            manifest: package["manifest_path"].as_str().unwrap().into(),
            edges: package["dependencies"]
                .as_array()
                .unwrap()
                .iter()
                .filter(|d| ours.contains_key(d["name"].as_str().unwrap()))
                .map(|d| Edge { to: d["name"].as_str().unwrap().to_owned(), dev: d["kind"] == "dev" })
                .collect(),
        })
        .collect()
}

fn row<'a>(table: &[(&str, &'a [&'a str])], name: &str) -> Option<&'a [&'a str]> {
    table.iter().find(|(of, _)| *of == name).map(|(_, allowed)| *allowed)
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).unwrap().to_owned()
}

/// Every source file we write: Rust, Python and shell, in the crates and beside them.
fn sources() -> Vec<PathBuf> {
    let mut found = Vec::new();
    for folder in ["crates", "fuzz", "examples", "fixtures", "bench", ".ci"] {
        walk(&root().join(folder), &mut found);
    }
    let written =
        |file: &PathBuf| file.extension().is_none_or(|e| ["rs", "py", "sh", "cu", "ts", "js"].iter().any(|w| e == *w));
    found.retain(|file| written(file) && std::fs::read(file).is_ok_and(|bytes| std::str::from_utf8(&bytes).is_ok()));
    found
}

fn rust_files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    walk(folder, &mut found);
    found.retain(|file| file.extension().is_some_and(|e| e == "rs"));
    assert!(!found.is_empty(), "no Rust in {}", folder.display());
    found
}

/// Files below `folder`, past what builds and packages leave there.
fn walk(folder: &Path, found: &mut Vec<PathBuf>) {
    let Ok(entries) = std::fs::read_dir(folder) else { return };
    for entry in entries {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if path.is_dir() {
            if !["target", "corpus", "artifacts", "node_modules", "golden"].contains(&name.as_str()) {
                walk(&path, found);
            }
        } else {
            found.push(path);
        }
    }
}
