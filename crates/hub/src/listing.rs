//! What the cache holds, and taking things out of it.

use std::collections::{BTreeMap, HashSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use crate::Hub;
use crate::api::is_commit;
use crate::cache::{Lock, Shelf, try_lock};
use crate::error::HubError;
use crate::id::ModelId;
use crate::select::{self, walk};

/// One cached revision of a model, or the parts of one that never became a revision.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Cached {
    /// `OWNER/NAME`.
    pub id: String,
    /// The commit; `None` where a pull ended before its first file.
    pub revision: Option<String>,
    /// Branches and tags that stood for it when last pulled.
    pub refs: Vec<String>,
    /// The snapshot folder.
    pub path: PathBuf,
    /// Bytes of its files, each blob once. Parts belong to the latest revision of their model.
    pub bytes: u64,
    /// When a file of it was last written.
    pub modified: Option<SystemTime>,
    /// Whether it can be loaded.
    pub complete: bool,
}

impl Hub {
    /// Every model revision in the cache, by id and commit. A cache that does not exist is empty.
    ///
    /// # Errors
    /// [`HubError::Io`] when the cache folder cannot be read.
    pub fn list(&self) -> Result<Vec<Cached>, HubError> {
        let mut all: Vec<Cached> =
            shelves(&self.settings.cache)?.iter().flat_map(|(id, shelf)| cached(id, shelf)).collect();
        all.sort_by(|a, b| (&a.id, &a.revision).cmp(&(&b.id, &b.revision)));
        Ok(all)
    }

    /// Takes a model out of the cache, or only one revision of it where the id names one; returns the bytes freed.
    ///
    /// # Errors
    /// [`HubError::NotCached`], with similar names; [`HubError::Busy`] while somebody downloads it.
    pub fn remove(&self, id: &ModelId) -> Result<u64, HubError> {
        let cache = &self.settings.cache;
        let shelf = Shelf::new(cache, id);
        let absent = || {
            let mut near = near_names(cache, id.repo());
            near.retain(|name| name != id.repo());
            HubError::NotCached { id: id.to_string(), cache: cache.clone(), near }
        };
        // A link in place of the folder leads who knows where.
        if !fs::symlink_metadata(&shelf.root).is_ok_and(|m| m.is_dir()) {
            return Err(absent());
        }
        let _locks = hold_all(&shelf, id)?;
        match id.named_revision() {
            None => {
                let bytes = size_of(&shelf.root);
                fs::remove_dir_all(&shelf.root).map_err(|e| HubError::io(&shelf.root, "remove", e))?;
                Ok(bytes)
            }
            Some(revision) => {
                let commit = shelf.commit_of(revision).filter(|c| shelf.snapshot(c).is_dir()).ok_or_else(absent)?;
                remove_revision(&shelf, &commit)
            }
        }
    }
}

/// Removes one snapshot, the references to it, and the blobs that no other snapshot uses.
fn remove_revision(shelf: &Shelf, commit: &str) -> Result<u64, HubError> {
    let snapshot = shelf.snapshot(commit);
    let mine = blobs_of(&snapshot);
    let others: HashSet<PathBuf> =
        snapshots(shelf).into_iter().filter(|s| *s != snapshot).flat_map(|s| blobs_of(&s)).collect();
    let before = size_of(&shelf.root);
    fs::remove_dir_all(&snapshot).map_err(|e| HubError::io(&snapshot, "remove", e))?;
    for blob in mine.difference(&others) {
        fs::remove_file(blob).map_err(|e| HubError::io(blob, "remove", e))?;
    }
    for (name, target) in refs(shelf) {
        if target == commit {
            let path = shelf.refs().join(name);
            fs::remove_file(&path).map_err(|e| HubError::io(&path, "remove", e))?;
        }
    }
    if snapshots(shelf).is_empty() {
        fs::remove_dir_all(&shelf.root).map_err(|e| HubError::io(&shelf.root, "remove", e))?;
    }
    Ok(before.saturating_sub(size_of(&shelf.root)))
}

/// Every lock of a model, so that nobody is in the middle of a download.
fn hold_all(shelf: &Shelf, id: &ModelId) -> Result<Vec<Lock>, HubError> {
    let mut held = Vec::new();
    for entry in fs::read_dir(&shelf.locks).into_iter().flatten().flatten() {
        if entry.path().extension().is_some_and(|e| e == "lock") {
            match try_lock(&entry.path())? {
                Some(lock) => held.push(lock),
                None => return Err(HubError::Busy { id: id.to_string() }),
            }
        }
    }
    Ok(held)
}

/// Cached models whose names resemble this one, nearest first, three at most.
pub(crate) fn near_names(cache: &Path, wanted: &str) -> Vec<String> {
    let wanted = wanted.to_ascii_lowercase();
    let name_of = |id: &str| id.rsplit('/').next().unwrap_or(id).to_owned();
    let mut near: Vec<(usize, String)> = Vec::new();
    for (id, _) in shelves(cache).unwrap_or_default() {
        let lower = id.repo().to_ascii_lowercase();
        let whole = distance(&wanted, &lower);
        let name = distance(&name_of(&wanted), &name_of(&lower));
        if whole.min(name) <= wanted.len().max(3) / 3 {
            near.push((whole.min(name), id.repo().to_owned()));
        }
    }
    near.sort();
    near.into_iter().take(3).map(|(_, name)| name).collect()
}

/// Levenshtein's: insertions, deletions and replacements from `a` to `b`, in bytes.
fn distance(a: &str, b: &str) -> usize {
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.bytes().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, y) in b.bytes().enumerate() {
            let replaced = diagonal + usize::from(x != y);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}

fn shelves(cache: &Path) -> Result<Vec<(ModelId, Shelf)>, HubError> {
    let entries = match fs::read_dir(cache) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(HubError::io(cache, "read the cache", error)),
    };
    let of_entry = |entry: fs::DirEntry| {
        let id = ModelId::from_folder(entry.file_name().to_str()?)?;
        entry.file_type().is_ok_and(|t| t.is_dir()).then(|| (id.clone(), Shelf::new(cache, &id)))
    };
    Ok(entries.flatten().filter_map(of_entry).collect())
}

fn cached(id: &ModelId, shelf: &Shelf) -> Vec<Cached> {
    let mut names: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (name, commit) in refs(shelf) {
        names.entry(commit).or_default().push(name);
    }
    let mut all: Vec<Cached> = snapshots(shelf)
        .into_iter()
        .map(|path| {
            let revision = path.file_name().and_then(|n| n.to_str()).map(str::to_owned);
            let (mut bytes, mut modified) = (0, None);
            for file in files_of(&path) {
                // Through the link: the length and age of the blob.
                if let Ok(data) = fs::metadata(&file) {
                    bytes += data.len();
                    modified = modified.max(data.modified().ok());
                }
            }
            let refs = revision.as_ref().and_then(|r| names.remove(r)).unwrap_or_default();
            let complete = is_loadable(&path, id);
            Cached { id: id.repo().to_owned(), revision, refs, path, bytes, modified, complete }
        })
        .collect();
    let (mut bytes, mut modified) = (0, None);
    for entry in fs::read_dir(shelf.blobs()).into_iter().flatten().flatten() {
        if entry.path().extension().is_some_and(|e| e == "incomplete")
            && let Ok(data) = entry.metadata()
        {
            bytes += data.len();
            modified = modified.max(data.modified().ok());
        }
    }
    match all.iter_mut().max_by_key(|c| c.modified) {
        Some(latest) => latest.bytes += bytes,
        None if shelf.root.is_dir() => all.push(Cached {
            id: id.repo().to_owned(),
            revision: None,
            refs: Vec::new(),
            path: shelf.root.clone(),
            bytes,
            modified,
            complete: false,
        }),
        None => {}
    }
    all
}

/// A folder with several GGUF files is no model by itself, yet each file in it is.
fn is_loadable(snapshot: &Path, id: &ModelId) -> bool {
    select::complete(snapshot, id).is_some()
        || files_of(snapshot)
            .iter()
            .any(|f| f.extension().is_some_and(|e| e.eq_ignore_ascii_case("gguf")) && f.is_file())
}

/// One name per blob: two names may share one.
fn files_of(snapshot: &Path) -> Vec<PathBuf> {
    let mut seen = HashSet::new();
    let mut files = Vec::new();
    walk(snapshot, &mut |path| {
        if seen.insert(fs::canonicalize(path).unwrap_or_else(|_| path.to_owned())) {
            files.push(path.to_owned());
        }
    });
    files
}

/// The entries in `blobs` that a snapshot's links lead to. Links elsewhere are none of ours.
fn blobs_of(snapshot: &Path) -> HashSet<PathBuf> {
    let mut blobs = HashSet::new();
    let Some(folder) = snapshot.parent().and_then(Path::parent).map(|root| root.join("blobs")) else { return blobs };
    walk(snapshot, &mut |path| {
        let target = fs::read_link(path).ok();
        let name = target.as_deref().and_then(Path::file_name).map(|name| folder.join(name));
        blobs.extend(name.filter(|blob| fs::symlink_metadata(blob).is_ok()));
    });
    blobs
}

fn snapshots(shelf: &Shelf) -> Vec<PathBuf> {
    let is_snapshot =
        |e: &fs::DirEntry| e.file_name().to_str().is_some_and(is_commit) && e.file_type().is_ok_and(|t| t.is_dir());
    fs::read_dir(shelf.snapshots()).into_iter().flatten().flatten().filter(is_snapshot).map(|e| e.path()).collect()
}

/// Names under `refs`, with the commit each stands for.
fn refs(shelf: &Shelf) -> Vec<(String, String)> {
    let folder = shelf.refs();
    let mut all = Vec::new();
    walk(&folder, &mut |path| {
        let name = path.strip_prefix(&folder).ok().and_then(Path::to_str);
        all.extend(name.and_then(|name| Some((name.to_owned(), shelf.commit_of(name)?))));
    });
    all.sort();
    all
}

/// Bytes of everything under a folder, links counted as links.
fn size_of(folder: &Path) -> u64 {
    let mut bytes = 0;
    walk(folder, &mut |path| bytes += fs::symlink_metadata(path).map_or(0, |m| if m.is_file() { m.len() } else { 0 }));
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn measures_how_far_names_are_apart() {
        for (a, b, d) in [("", "", 0), ("abc", "", 3), ("kitten", "sitting", 3), ("gpt-neo-125m", "gpt-neo-125M", 1)] {
            assert_eq!(distance(a, b), d, "{a} {b}");
            assert_eq!(distance(b, a), d, "{b} {a}");
        }
    }
}
