//! Files of a set under a data folder.

use std::fs;
use std::path::{Component, Path, PathBuf};

use crate::data::error::DataError;

/// Folders below a data folder that are looked into, levels and number.
const DEPTH: usize = 4;
const FOLDERS: usize = 20_000;
/// Files that one place may stand for.
const FILES: usize = 10_000;

/// Refuses a place that could lead out of the data folder.
pub(crate) fn check(place: &str) -> Result<(), String> {
    let plain = |part: Component<'_>| matches!(part, Component::Normal(_));
    if place.is_empty() || place.contains('\\') || place.contains("**") || !Path::new(place).components().all(plain) {
        return Err(format!(
            "the place {place:?} is no relative path below the data folder: no `..`, no `/` before it, no `**`"
        ));
    }
    glob::Pattern::new(place).map(|_| ()).map_err(|error| format!("the place {place:?} is no pattern: {error}"))
}

/// The files that `place` stands for, by name; none if there are none.
///
/// # Errors
/// [`DataError::Read`] for a folder that is there and cannot be read, and one that is not there.
pub(crate) fn find(folder: &Path, place: &str) -> Result<Vec<PathBuf>, DataError> {
    let failed = |source| DataError::Read { path: folder.to_owned(), source };
    fs::read_dir(folder).map_err(failed)?;
    for (start, rest) in overlaps(folder, place) {
        let files = matching(&start, &rest)?;
        if !files.is_empty() {
            return Ok(files);
        }
    }
    let mut level = vec![folder.to_owned()];
    let mut seen = 0;
    for _ in 0..DEPTH {
        let mut next = Vec::new();
        for above in &level {
            for below in folders_in(above) {
                seen += 1;
                if seen > FOLDERS {
                    return Ok(Vec::new());
                }
                let files = matching(&below, place)?;
                if !files.is_empty() {
                    return Ok(files);
                }
                next.push(below);
            }
        }
        level = next;
    }
    Ok(Vec::new())
}

/// The folder with the whole place; then, if the folder's path ends with what the place begins with, with the rest of it.
fn overlaps(folder: &Path, place: &str) -> Vec<(PathBuf, String)> {
    let mut starts = vec![(folder.to_owned(), place.to_owned())];
    let full = fs::canonicalize(folder).unwrap_or_else(|_| folder.to_owned());
    let parts: Vec<&str> = place.split('/').collect();
    for count in (1..parts.len()).rev() {
        if full.ends_with(parts[..count].join("/")) {
            starts.push((full.clone(), parts[count..].join("/")));
        }
    }
    starts
}

/// Folders in a folder, by name; hidden ones and links are passed over.
fn folders_in(folder: &Path) -> Vec<PathBuf> {
    let is_folder = |entry: &fs::DirEntry| {
        entry.file_type().is_ok_and(|kind| kind.is_dir()) && !entry.file_name().to_string_lossy().starts_with('.')
    };
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let mut folders: Vec<PathBuf> = entries.filter(is_folder).map(|entry| entry.path()).collect();
    folders.sort();
    folders
}

/// Files in a folder by a path or a pattern, by name; none if there are none.
pub(crate) fn matching(folder: &Path, place: &str) -> Result<Vec<PathBuf>, DataError> {
    let path = folder.join(place);
    if !place.contains(['*', '?', '[']) {
        return Ok(if path.is_file() { vec![path] } else { Vec::new() });
    }
    // The folder's own name may hold what a pattern would take for more.
    let pattern = match Path::new(place).is_absolute() {
        true => place.to_owned(),
        false => {
            Path::new(&glob::Pattern::escape(&folder.to_string_lossy())).join(place).to_string_lossy().into_owned()
        }
    };
    let wrong = |detail: String| DataError::Definition { what: place.to_owned(), detail };
    let found = glob::glob(&pattern).map_err(|error| wrong(format!("it is no pattern: {error}")))?;
    let mut files: Vec<PathBuf> = Vec::new();
    for path in found {
        let path = path.map_err(|error| DataError::Read { path: error.path().to_owned(), source: error.into() })?;
        if path.is_file() {
            files.push(path);
        }
        if files.len() > FILES {
            return Err(wrong(format!("it stands for more than {FILES} files in {}", folder.display())));
        }
    }
    files.sort();
    Ok(files)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refuses_places_that_lead_elsewhere() {
        for place in ["", "/etc/passwd", "../x", "a/../../x", "a\\b", "a/**/b", "a/[b", "./a"] {
            assert!(check(place).is_err(), "{place:?}");
        }
        for place in ["a", "eval/x/*.arrow", "a?/b.jsonl"] {
            check(place).unwrap();
        }
    }

    #[test]
    fn looks_in_the_folder_then_along_its_path_then_below() {
        let root = tempfile::tempdir().unwrap();
        let at = |name: &str| root.path().join(name);
        for name in ["eval/lambada/x.jsonl", "more/eval/other/b.arrow", "more/eval/other/a.arrow", ".h/eval/z.txt"] {
            fs::create_dir_all(at(name).parent().unwrap()).unwrap();
            fs::write(at(name), "").unwrap();
        }
        let found = |folder: &str, place: &str| -> Vec<String> {
            let files = find(&at(folder), place).unwrap();
            let root = fs::canonicalize(root.path()).unwrap();
            files
                .iter()
                .map(|file| fs::canonicalize(file).unwrap().strip_prefix(&root).unwrap().to_str().unwrap().to_owned())
                .collect()
        };
        for folder in ["", "eval", "eval/lambada"] {
            assert_eq!(found(folder, "eval/lambada/x.jsonl"), ["eval/lambada/x.jsonl"], "{folder}");
        }
        assert_eq!(found("", "eval/other/*.arrow"), ["more/eval/other/a.arrow", "more/eval/other/b.arrow"]);
        assert_eq!(found("", "eval/z.txt"), [] as [&str; 0]);
        // A pattern alone would fit the files of any set.
        assert_eq!(found("more/eval/other", "eval/lambada/*.arrow"), [] as [&str; 0]);
        assert!(matches!(find(&at("none"), "x"), Err(DataError::Read { .. })));
    }
}
