//! Classification heads against transformers and PEFT (`fixtures/classifiers`, made by `fixtures/classifiers.py`): read, trained,
//! adapted, written.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on says so by its panic")]

#[path = "classifiers/adapters.rs"]
mod adapters;
#[path = "classifiers/files.rs"]
mod files;
#[path = "classifiers/golden.rs"]
mod golden;
#[path = "classifiers/training.rs"]
mod training;
