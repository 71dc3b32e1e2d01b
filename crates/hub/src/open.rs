//! From an id to a folder that can be loaded, by the shortest way.

use std::path::PathBuf;

use crate::Hub;
use crate::cache::Shelf;
use crate::error::HubError;
use crate::id::ModelId;
use crate::progress::{Event, Progress};
use crate::pull::PullOptions;
use crate::select;

impl Hub {
    /// Where a model lies in the cache, if all that it needs to be loaded is there: its folder, or its GGUF file. Asks nobody.
    ///
    /// A tokenizer is not demanded: such models can be run on token ids.
    pub fn locate(&self, id: &ModelId) -> Option<PathBuf> {
        let shelf = Shelf::new(&self.settings.cache, id);
        let commit = shelf.commit_of(id.revision())?;
        select::complete(&shelf.snapshot(&commit), id)
    }

    /// The model from the cache, else from the hub. A cached model is taken as it is, without asking whether the hub
    /// has a newer one ([`Hub::pull`] asks). One cached without a tokenizer is completed if the hub can be reached.
    ///
    /// # Errors
    /// Those of [`Hub::pull`].
    pub fn open(&self, id: &ModelId, options: &PullOptions, progress: &dyn Progress) -> Result<PathBuf, HubError> {
        let located = self.locate(id);
        match located {
            Some(path) if self.settings.offline || select::has_tokenizer(&path) => Ok(path),
            located => match (self.pull(id, options, progress), located) {
                (Ok(pulled), _) => Ok(pulled.path),
                (Err(HubError::Cancelled), _) => Err(HubError::Cancelled),
                (Err(error), Some(path)) => {
                    progress.report(&Event::FromCache { id: &id.to_string(), reason: &error.to_string() });
                    Ok(path)
                }
                (Err(error), None) => Err(error),
            },
        }
    }
}
