//! Files of a data set into the cache, under the same promises as those of a model.

use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;

use crate::Hub;
use crate::api;
use crate::cache::Shelf;
use crate::client::Client;
use crate::error::HubError;
use crate::id::DatasetId;
use crate::name::RepoPath;
use crate::progress::{Event, Progress};
use crate::pull::{Pull, PullOptions};
use crate::select::walk;

/// Files of a data set that are in the cache now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PulledDataset {
    /// The snapshot folder.
    pub path: PathBuf,
    /// The commit.
    pub commit: String,
    /// The files chosen, in the order chosen; each lies under `path`.
    pub files: Vec<RepoPath>,
    /// Files of the data set that were not chosen.
    pub others: usize,
    /// Bytes that came over the network.
    pub fetched_bytes: u64,
}

/// Names that an error lists.
const LISTED: usize = 8;

impl Hub {
    /// Asks the hub for the files of a data set and fetches those that `choose` picks and that are missing. Offline, it
    /// picks among the files that are in the cache.
    ///
    /// # Errors
    /// [`HubError::NoData`] if it picks none; any other [`HubError`]. A second call goes on from where the first stopped.
    pub fn pull_dataset(
        &self,
        id: &DatasetId,
        choose: &dyn Fn(&[RepoPath]) -> Vec<RepoPath>,
        options: &PullOptions,
        progress: &dyn Progress,
    ) -> Result<PulledDataset, HubError> {
        let shelf = Shelf::new(&self.settings.cache, &id.0);
        if self.settings.offline {
            let commit = shelf.commit_of(id.0.revision()).ok_or_else(|| self.offline_error(&id.0))?;
            let path = shelf.snapshot(&commit);
            let all = cached(&path);
            let files = chosen(id, &all, choose)?;
            let reason = "HF_HUB_OFFLINE is set, so only its files in the cache are known";
            progress.report(&Event::FromCache { id: &id.to_string(), reason });
            return Ok(PulledDataset { path, commit, others: all.len() - files.len(), files, fetched_bytes: 0 });
        }
        let client = Client::new(&self.settings, options.cancel.clone(), progress)?;
        let pull = Pull::new(&client, &id.0, options);
        client.watched(|| {
            let revision = api::revision(&client, &id.0)?;
            let files = chosen(id, &revision.files, choose)?;
            pull.round(&revision, &files)?;
            shelf.write_ref(id.0.revision(), &revision.commit)?;
            Ok(PulledDataset {
                path: shelf.snapshot(&revision.commit),
                others: revision.files.len() - files.len(),
                commit: revision.commit,
                files,
                fetched_bytes: pull.meter.fetched.load(Ordering::Relaxed),
            })
        })
    }
}

fn chosen(
    id: &DatasetId,
    all: &[RepoPath],
    choose: &dyn Fn(&[RepoPath]) -> Vec<RepoPath>,
) -> Result<Vec<RepoPath>, HubError> {
    let files: Vec<RepoPath> = choose(all).into_iter().filter(|file| all.contains(file)).collect();
    if files.is_empty() {
        let found = all.iter().take(LISTED).map(|file| file.as_str().to_owned()).collect();
        return Err(HubError::NoData { id: id.to_string(), found });
    }
    Ok(files)
}

/// The files of a snapshot whose bytes are there, by name.
fn cached(snapshot: &Path) -> Vec<RepoPath> {
    let mut files = Vec::new();
    walk(snapshot, &mut |path| {
        let relative = path.strip_prefix(snapshot).ok().and_then(Path::to_str);
        let relative = relative.map(|name| name.replace(std::path::MAIN_SEPARATOR, "/"));
        // A link to a blob that is gone is not a file.
        files.extend(relative.filter(|_| path.is_file()).and_then(|name| RepoPath::new(&name).ok()));
    });
    files.sort();
    files
}
