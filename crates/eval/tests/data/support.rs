//! Where things are, and one way to read them.

use std::path::{Path, PathBuf};

use gptneo_eval::data::{DataError, Limits, Reading, Row, read_rows};

/// Tables written by `fixtures/eval_tables.py`, from the crate.
const FIXTURES: &str = "../../fixtures/eval_tables";
/// Real data beside the workspace, from the crate.
const SHARED: &str = "../../../shared/data";

pub(crate) fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(FIXTURES).join(name)
}

/// Data that does not belong to the project, or a loud word that it is missing.
pub(crate) fn shared(name: &str) -> Option<PathBuf> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(SHARED).join(name);
    if path.exists() {
        return Some(path);
    }
    eprintln!("SKIPPED: {} is not here, so this test has shown nothing", path.display());
    None
}

pub(crate) fn rows(path: &Path) -> Result<Vec<Row>, DataError> {
    rows_as(path, &Reading::default())
}

pub(crate) fn rows_as(path: &Path, how: &Reading) -> Result<Vec<Row>, DataError> {
    read_rows(path, how, &Limits::default()).map(|read| read.rows)
}

/// Rows of bytes under a name that tells their format.
pub(crate) fn rows_of(name: &str, bytes: &[u8], how: &Reading) -> Result<Vec<Row>, DataError> {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join(name);
    std::fs::write(&path, bytes).unwrap();
    rows_as(&path, how)
}

pub(crate) fn as_json(rows: Vec<Row>) -> serde_json::Value {
    rows.into_iter().map(serde_json::Value::Object).collect()
}
