//! Bringing a model into the cache.
//!
//! Two rounds, small files and then weights, each: describe every file (`HEAD`), see what is missing, check that the disk
//! has room, fetch in parallel. The reference is written last, so that a revision that moved on replaces the cached one only
//! when all of it is here.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use crate::api::{self, Described, Revision};
use crate::cache::{self, Shelf};
use crate::client::Client;
use crate::digest;
use crate::error::HubError;
use crate::id::ModelId;
use crate::name::RepoPath;
use crate::progress::{Event, Progress};
use crate::select::{self, Weights};
use crate::status::Subject;
use crate::transfer::{self, Meter, Transfer};
use crate::{Hub, listing};

/// How a pull goes about it.
#[derive(Debug, Clone)]
pub struct PullOptions {
    /// Files fetched at once; 0 counts as 1.
    pub parallel: usize,
    /// Set it to stop soon; parts stay and are continued by the next pull.
    pub cancel: Option<Arc<AtomicBool>>,
    /// Hash what is in the cache too, and fetch again what is damaged.
    pub verify: bool,
}

impl Default for PullOptions {
    fn default() -> Self {
        PullOptions { parallel: 4, cancel: None, verify: false }
    }
}

/// A model that is in the cache now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pulled {
    /// The snapshot folder, or the GGUF file in it.
    pub path: PathBuf,
    /// The commit.
    pub commit: String,
    /// Files fetched now; 0 when all were there.
    pub fetched_files: usize,
    /// Bytes that came over the network for them.
    pub fetched_bytes: u64,
}

impl Hub {
    /// Asks the hub for the current state of a model and fetches what is missing. Offline, the cached state will do.
    ///
    /// # Errors
    /// Any [`HubError`]; after those of network and disk, a second call goes on from where the first stopped.
    pub fn pull(&self, id: &ModelId, options: &PullOptions, progress: &dyn Progress) -> Result<Pulled, HubError> {
        if self.settings.offline {
            return self.pulled_offline(id, progress);
        }
        let client = Client::new(&self.settings, options.cancel.clone(), progress)?;
        let pull = Pull::new(&client, id, options);
        client.watched(|| pull.run()).map_err(|error| match error {
            HubError::NoSuchModel { id, endpoint, .. } => {
                let near = listing::near_names(&self.settings.cache, &id);
                HubError::NoSuchModel { id, endpoint, near }
            }
            other => other,
        })
    }

    fn pulled_offline(&self, id: &ModelId, progress: &dyn Progress) -> Result<Pulled, HubError> {
        let shelf = Shelf::new(&self.settings.cache, id);
        match (self.locate(id), shelf.commit_of(id.revision())) {
            (Some(path), Some(commit)) => {
                progress.report(&Event::FromCache { id: &id.to_string(), reason: "HF_HUB_OFFLINE is set" });
                Ok(Pulled { path, commit, fetched_files: 0, fetched_bytes: 0 })
            }
            _ => Err(self.offline_error(id)),
        }
    }

    pub(crate) fn offline_error(&self, id: &ModelId) -> HubError {
        let partial = Shelf::new(&self.settings.cache, id).root.is_dir();
        let near = if partial { Vec::new() } else { listing::near_names(&self.settings.cache, id.repo()) };
        HubError::Offline { id: id.to_string(), cache: self.settings.cache.clone(), partial, near }
    }
}

/// One pull under way.
pub(crate) struct Pull<'a> {
    client: &'a Client<'a>,
    id: &'a ModelId,
    options: &'a PullOptions,
    pub(crate) shelf: Shelf,
    pub(crate) meter: Meter,
    planned_files: AtomicUsize,
    planned_present: AtomicU64,
}

impl<'a> Pull<'a> {
    pub(crate) fn new(client: &'a Client<'a>, id: &'a ModelId, options: &'a PullOptions) -> Self {
        let shelf = Shelf::new(&client.settings.cache, id);
        let (planned_files, planned_present) = (AtomicUsize::new(0), AtomicU64::new(0));
        Pull { client, id, options, shelf, meter: Meter::default(), planned_files, planned_present }
    }

    fn run(&self) -> Result<Pulled, HubError> {
        let revision = api::revision(self.client, self.id)?;
        let chosen = select::select(self.id, &revision.files)?;
        let mut fetched_files = self.round(&revision, &chosen.small)?;
        let weights = match chosen.weights {
            Weights::One(file) | Weights::Gguf(file) => vec![file],
            Weights::Sharded(index) => self.shards(&revision, &index)?,
        };
        fetched_files += self.round(&revision, &weights)?;
        let snapshot = self.shelf.snapshot(&revision.commit);
        let path = select::complete(&snapshot, self.id).ok_or_else(|| HubError::NotCached {
            id: self.id.to_string(),
            cache: snapshot,
            near: Vec::new(),
        })?;
        self.shelf.write_ref(self.id.revision(), &revision.commit)?;
        let fetched_bytes = self.meter.fetched.load(Ordering::Relaxed);
        Ok(Pulled { path, commit: revision.commit, fetched_files, fetched_bytes })
    }

    /// The shards that the index names, all of which the repository must have.
    fn shards(&self, revision: &Revision, index: &RepoPath) -> Result<Vec<RepoPath>, HubError> {
        let shards = select::shards(&index.under(&self.shelf.snapshot(&revision.commit)))?;
        match shards.iter().find(|shard| !revision.files.contains(shard)) {
            None => Ok(shards),
            Some(missing) => Err(HubError::NoSuchFile {
                id: self.id.repo().to_owned(),
                file: missing.as_str().to_owned(),
                near: Vec::new(),
            }),
        }
    }

    /// Makes these files part of the snapshot; returns how many had to be fetched.
    pub(crate) fn round(&self, revision: &Revision, files: &[RepoPath]) -> Result<usize, HubError> {
        let commit = &revision.commit;
        // A commit never changes: what its snapshot has needs no question.
        let snapshot = self.shelf.snapshot(commit);
        let unknown: Vec<&RepoPath> =
            files.iter().filter(|f| self.options.verify || !f.under(&snapshot).is_file()).collect();
        let described = self.each(&unknown, |path| api::describe(self.client, self.id, commit, path))?;
        let mut missing: BTreeMap<&str, Vec<&Described>> = BTreeMap::new();
        for file in &described {
            if self.is_present(file)? {
                self.shelf.link(commit, &file.path, &file.etag)?;
            } else {
                // Two names for the same bytes are fetched once.
                missing.entry(&file.etag).or_default().push(file);
            }
        }
        let missing: Vec<_> = missing.into_values().collect();
        self.plan(&missing)?;
        self.each(&missing, |same| self.bring(commit, same))?;
        Ok(missing.len())
    }

    fn is_present(&self, file: &Described) -> Result<bool, HubError> {
        let blob = self.shelf.blob(&file.etag);
        let Ok(found) = fs::metadata(&blob) else { return Ok(false) };
        let reason = if file.size.is_some_and(|size| size != found.len()) {
            "the cached file has the wrong length"
        } else {
            match &file.expected {
                Some(expected) if self.options.verify && digest::of_file(&blob, expected)? != *expected => {
                    "the cached file is damaged"
                }
                _ => return Ok(true),
            }
        };
        self.client.progress.report(&Event::Restarted { file: file.path.as_str(), reason });
        fs::remove_file(&blob).map_err(|e| HubError::io(&blob, "remove", e))?;
        Ok(false)
    }

    /// Adds to the sums, and refuses what the disk cannot hold before the first byte is asked for.
    fn plan(&self, missing: &[Vec<&Described>]) -> Result<(), HubError> {
        if missing.is_empty() {
            return Ok(());
        }
        let blobs = self.shelf.blobs();
        fs::create_dir_all(&blobs).map_err(|e| HubError::io(&blobs, "make the folder", e))?;
        let (mut bytes, mut present) = (0u64, 0u64);
        for file in missing.iter().filter_map(|same| same.first()) {
            let size = file.size.unwrap_or(0);
            bytes = bytes.saturating_add(size);
            present += fs::metadata(self.shelf.part(&file.etag)).map_or(0, |m| m.len()).min(size);
        }
        transfer::room_for(&blobs, bytes - present)?;
        let files = self.planned_files.fetch_add(missing.len(), Ordering::Relaxed) + missing.len();
        let bytes = self.meter.total.fetch_add(bytes, Ordering::Relaxed) + bytes;
        let present = self.planned_present.fetch_add(present, Ordering::Relaxed) + present;
        self.client.progress.report(&Event::Planned { files, bytes, present });
        Ok(())
    }

    /// Fetches one blob, under its lock, and links every name it goes by.
    fn bring(&self, commit: &str, same: &[&Described]) -> Result<(), HubError> {
        let Some(file) = same.first() else { return Ok(()) };
        let name = file.path.as_str();
        let blob = self.shelf.blob(&file.etag);
        let _lock = cache::lock(self.client, &self.shelf.locks.join(format!("{}.lock", file.etag)), name)?;
        // Somebody else may have brought it while we waited.
        if let Ok(there) = fs::metadata(&blob) {
            self.meter.done.fetch_add(there.len(), Ordering::Relaxed);
            self.client.progress.report(&Event::Finished { file: name, bytes: there.len() });
        } else {
            let part = self.shelf.part(&file.etag);
            transfer::fetch(
                self.client,
                &Transfer {
                    name,
                    location: api::file_location(self.client, self.id, commit, &file.path)?,
                    subject: Subject::File(self.id, name),
                    part: &part,
                    size: file.size,
                    expected: file.expected.as_ref(),
                    limit: None,
                    meter: &self.meter,
                },
            )?;
            fs::rename(&part, &blob).map_err(|e| HubError::io(&blob, "name", e))?;
        }
        same.iter().try_for_each(|file| self.shelf.link(commit, &file.path, &file.etag))
    }

    /// Does `work` on all items, several at once, in order; the first error stops the others.
    fn each<T: Sync, R: Send>(
        &self,
        items: &[T],
        work: impl Fn(&T) -> Result<R, HubError> + Sync,
    ) -> Result<Vec<R>, HubError> {
        let next = AtomicUsize::new(0);
        let results = Mutex::new(Vec::with_capacity(items.len()));
        let first_error = Mutex::new(None);
        let worker = || {
            loop {
                let at = next.fetch_add(1, Ordering::Relaxed);
                let Some(item) = items.get(at) else { return };
                match self.client.go_on().and_then(|()| work(item)) {
                    Ok(result) => results.lock().unwrap_or_else(PoisonError::into_inner).push((at, result)),
                    Err(error) => {
                        // Kept before the others are stopped: their errors are only consequences.
                        first_error.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(error);
                        self.client.abandon();
                        return;
                    }
                }
            }
        };
        thread::scope(|scope| {
            for _ in 1..self.options.parallel.min(items.len()) {
                scope.spawn(worker);
            }
            worker();
        });
        if let Some(error) = first_error.into_inner().unwrap_or_else(PoisonError::into_inner) {
            return Err(error);
        }
        let mut results = results.into_inner().unwrap_or_else(PoisonError::into_inner);
        results.sort_unstable_by_key(|(at, _)| *at);
        Ok(results.into_iter().map(|(_, result)| result).collect())
    }
}
