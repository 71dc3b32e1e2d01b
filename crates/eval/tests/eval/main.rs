//! Evaluations, from definitions to scores.
#![allow(clippy::unwrap_used, clippy::print_stderr, reason = "helpers of tests fail as tests do")]

mod choices;
mod compare;
mod crows_pairs;
mod hashes;
mod heads;
mod named;
mod pages;
mod shipped;
mod stereoset;
mod vader;
mod world;

use std::path::{Path, PathBuf};

/// The data that is not part of the project; `None` where it is not there, which is said.
fn shared() -> Option<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data");
    if folder.is_dir() {
        return Some(folder);
    }
    eprintln!("NOT RUN: {} is not there", folder.display());
    None
}
