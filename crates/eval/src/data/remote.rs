//! The files of a split from a hub.

use std::cell::RefCell;
use std::fmt;
use std::path::PathBuf;

use gptneo_hub::{DatasetId, Hub, HubError, Progress, PullOptions, RepoPath};

use crate::data::dataset::Dataset;
use crate::data::error::DataError;
use crate::data::layout;

/// Where the hub keeps what it converted.
const CONVERTED: &str = "refs/convert/parquet";

/// How to reach a hub.
pub struct Remote<'a> {
    /// The hub and its cache.
    pub hub: &'a Hub,
    /// How files are fetched.
    pub options: PullOptions,
    /// Who is told.
    pub progress: &'a dyn Progress,
}

impl fmt::Debug for Remote<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Remote").field("hub", &self.hub).finish_non_exhaustive()
    }
}

/// What a hub has of a split.
pub(crate) enum Found {
    /// Files in its cache, in order, of a commit.
    Files { files: Vec<PathBuf>, commit: String },
    /// Where it was looked for, and what was there instead.
    Nothing(Vec<String>),
}

type Choose = fn(&[RepoPath], Option<&str>, &str) -> Result<Vec<RepoPath>, String>;

/// Looks for a split: Parquet at the revision, then what the hub converted to Parquet, then other formats at the revision.
/// A revision that was asked for is the only one looked at.
pub(crate) fn find(
    remote: &Remote<'_>,
    id: &str,
    dataset: &Dataset,
    split: &str,
    what: &str,
) -> Result<Found, DataError> {
    let attempts: &[(Option<&str>, Choose)] = match dataset.revision.as_deref() {
        Some(revision) => &[(Some(revision), layout::parquet), (Some(revision), layout::named)],
        None => &[(None, layout::parquet), (Some(CONVERTED), layout::parquet), (None, layout::named)],
    };
    let mut reasons: Vec<String> = Vec::new();
    for (revision, choose) in attempts {
        let name = revision.map_or(id.to_owned(), |revision| format!("{id}@{revision}"));
        let wrong = |detail: String| DataError::Definition { what: what.to_owned(), detail };
        let set: DatasetId = name.parse().map_err(|error: HubError| wrong(error.to_string()))?;
        if set.part().is_some() {
            return Err(wrong(format!("`dataset_path` is {id:?}: leave out what follows the `:`")));
        }
        let refusal = RefCell::new(String::new());
        let chooser = |files: &[RepoPath]| {
            choose(files, dataset.name.as_deref(), split).unwrap_or_else(|why| {
                refusal.replace(why);
                Vec::new()
            })
        };
        let (reason, goes_on) = match remote.hub.pull_dataset(&set, &chooser, &remote.options, remote.progress) {
            Ok(pulled) => {
                let files = pulled.files.iter().map(|file| file.under(&pulled.path)).collect();
                return Ok(Found::Files { files, commit: pulled.commit });
            }
            Err(HubError::Cancelled) => return Err(HubError::Cancelled.into()),
            Err(HubError::NoData { .. }) if remote.hub.settings().offline => {
                (format!("of what is in the cache (HF_HUB_OFFLINE is set): {}", refusal.take()), true)
            }
            Err(HubError::NoData { .. }) => (refusal.take(), true),
            Err(error @ (HubError::NoSuchRevision { .. } | HubError::Offline { .. })) => (error.to_string(), true),
            // A hub that does not answer, or has no such set, is not asked again.
            Err(error) => (error.to_string(), false),
        };
        let reason = format!("hub, {name}: {reason}");
        if !reasons.contains(&reason) {
            reasons.push(reason);
        }
        if !goes_on {
            break;
        }
    }
    Ok(Found::Nothing(reasons))
}
