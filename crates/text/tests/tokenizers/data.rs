//! The real data beside the workspace, where the machine has it.

use std::path::{Path, PathBuf};

/// A path under `../shared/data` of the workspace root; says so loudly, and gives nothing, where there is none.
pub(crate) fn path(name: &str) -> Option<PathBuf> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data").join(name);
    if path.exists() {
        return Some(path);
    }
    eprintln!("NOT TESTED: {} is not here", path.display());
    None
}
