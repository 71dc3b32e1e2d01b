//! The folder of one model in the shared cache, laid out as `huggingface_hub` does:
//!
//! ```text
//! models--OWNER--NAME/blobs/ETAG                      the bytes, once, under the tag that is also their hash
//! models--OWNER--NAME/blobs/ETAG.incomplete           a part of them
//! models--OWNER--NAME/refs/REVISION                   the commit that a branch or tag stood for
//! models--OWNER--NAME/snapshots/COMMIT/PATH -> ../../blobs/ETAG
//! .locks/models--OWNER--NAME/ETAG.lock
//! ```
//!
//! A file appears in `blobs` complete or not at all, and in a snapshot only after that.

use std::fs::{self, File, TryLockError};
use std::path::{Path, PathBuf};
use std::process;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::api::is_commit;
use crate::client::Client;
use crate::error::HubError;
use crate::id::ModelId;
use crate::name::RepoPath;
use crate::progress::Event;

/// Paths of one model.
#[derive(Debug, Clone)]
pub(crate) struct Shelf {
    pub(crate) root: PathBuf,
    pub(crate) locks: PathBuf,
}

impl Shelf {
    pub(crate) fn new(cache: &Path, id: &ModelId) -> Shelf {
        let folder = id.folder();
        Shelf { root: cache.join(&folder), locks: cache.join(".locks").join(folder) }
    }

    pub(crate) fn blobs(&self) -> PathBuf {
        self.root.join("blobs")
    }

    pub(crate) fn blob(&self, etag: &str) -> PathBuf {
        self.blobs().join(etag)
    }

    pub(crate) fn part(&self, etag: &str) -> PathBuf {
        self.blobs().join(format!("{etag}.incomplete"))
    }

    pub(crate) fn snapshots(&self) -> PathBuf {
        self.root.join("snapshots")
    }

    pub(crate) fn snapshot(&self, commit: &str) -> PathBuf {
        self.snapshots().join(commit)
    }

    pub(crate) fn refs(&self) -> PathBuf {
        self.root.join("refs")
    }

    /// The commit that a revision stood for when it was last pulled; a commit stands for itself.
    pub(crate) fn commit_of(&self, revision: &str) -> Option<String> {
        if is_commit(revision) {
            return Some(revision.to_owned());
        }
        let text = fs::read_to_string(self.refs().join(revision)).ok()?;
        let commit = text.trim();
        is_commit(commit).then(|| commit.to_owned())
    }

    /// Remembers which commit a revision stands for.
    pub(crate) fn write_ref(&self, revision: &str, commit: &str) -> Result<(), HubError> {
        if revision == commit || self.commit_of(revision).as_deref() == Some(commit) {
            return Ok(());
        }
        let path = self.refs().join(revision);
        make_parent(&path)?;
        let fresh = self.fresh_name();
        fs::write(&fresh, commit).map_err(|e| HubError::io(&fresh, "write", e))?;
        fs::rename(&fresh, &path).map_err(|e| HubError::io(&path, "write", e))
    }

    /// Makes `PATH` of a snapshot stand for a blob that is complete.
    pub(crate) fn link(&self, commit: &str, path: &RepoPath, etag: &str) -> Result<(), HubError> {
        let pointer = path.under(&self.snapshot(commit));
        let target = Path::new(&"../".repeat(path.depth() + 2)).join("blobs").join(etag);
        if fs::read_link(&pointer).is_ok_and(|t| t == target) {
            return Ok(());
        }
        make_parent(&pointer)?;
        let fresh = self.fresh_name();
        place(&self.blob(etag), &target, &fresh).map_err(|e| HubError::io(&fresh, "make a link", e))?;
        fs::rename(&fresh, &pointer).map_err(|e| HubError::io(&pointer, "make a link", e))
    }

    /// Beside the folders that others read, so that nobody meets a half-made file.
    fn fresh_name(&self) -> PathBuf {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        self.root.join(format!(".new-{}-{}", process::id(), COUNT.fetch_add(1, Ordering::Relaxed)))
    }
}

#[cfg(unix)]
fn place(_blob: &Path, target: &Path, fresh: &Path) -> std::io::Result<()> {
    std::os::unix::fs::symlink(target, fresh)
}

/// Links need privileges on Windows; the Python tools copy there too.
#[cfg(not(unix))]
fn place(blob: &Path, _target: &Path, fresh: &Path) -> std::io::Result<()> {
    fs::copy(blob, fresh).map(|_| ())
}

pub(crate) fn make_parent(path: &Path) -> Result<(), HubError> {
    let parent = path.parent().unwrap_or(path);
    fs::create_dir_all(parent).map_err(|e| HubError::io(parent, "make the folder", e))
}

/// Holds a lock until dropped. The lock file stays: to remove it would let two others hold "the" lock.
#[derive(Debug)]
pub(crate) struct Lock(#[expect(dead_code, reason = "closing the file releases the lock")] File);

/// Takes a lock, waiting for whoever holds it.
///
/// Advisory, as Python's is. On file systems without locks we go on without: two writers then spoil each other's part,
/// which its hash reveals.
pub(crate) fn lock(client: &Client<'_>, path: &Path, file: &str) -> Result<Lock, HubError> {
    let mut said = false;
    loop {
        match try_lock(path)? {
            Some(lock) => return Ok(lock),
            None => {
                if !said {
                    client.progress.report(&Event::Waiting { file });
                    said = true;
                }
                client.sleep(Duration::from_millis(20))?;
            }
        }
    }
}

/// `None` when somebody else holds it.
pub(crate) fn try_lock(path: &Path) -> Result<Option<Lock>, HubError> {
    make_parent(path)?;
    let open = File::options().read(true).write(true).create(true).truncate(false).open(path);
    let file = open.map_err(|e| HubError::io(path, "open the lock", e))?;
    match file.try_lock() {
        Ok(()) | Err(TryLockError::Error(_)) => Ok(Some(Lock(file))),
        Err(TryLockError::WouldBlock) => Ok(None),
    }
}
