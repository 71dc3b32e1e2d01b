//! Models from a Hugging Face hub, kept in the cache that the Python tools use too.
//!
//! A [`Hub`] is made of [`HubSettings`] (plain values; this crate never reads the environment) and answers six
//! questions, each blocking:
//!
//! - [`Hub::pull`] brings a model into the cache: what a [`ModelId`] needs to run, and nothing else of its repository.
//! - [`Hub::locate`] says where a complete cached model lies, without touching the network; [`Hub::open`] locates or pulls.
//! - [`Hub::list`] and [`Hub::remove`] look after the cache.
//! - [`Hub::pull_dataset`] brings files of a data set into the cache, as the caller chooses among their names.
//! - [`Hub::download`] fetches any one URL, for data sets and the like, under the same rules.
//!
//! ```no_run
//! use gptneo_hub::{Hub, HubSettings, ModelId, PullOptions};
//!
//! let hub = Hub::new(HubSettings::new("/home/me/.cache/huggingface/hub"))?;
//! let id: ModelId = "EleutherAI/gpt-neo-125m".parse()?;
//! let folder = hub.open(&id, &PullOptions::default(), &())?;
//! # Ok::<(), gptneo_hub::HubError>(())
//! ```
//!
//! # What is promised
//!
//! - Nothing reaches a snapshot that does not have the length and the hash the hub announced (sha256 for large files,
//!   the git object id for small ones). A damaged part is thrown away and fetched once more before giving up.
//! - A cut connection, a busy server or an interruption costs the bytes in flight: parts stay as `.incomplete` files and
//!   are continued by `Range`.
//! - Two processes or threads pulling the same model fetch each file once (advisory locks where Python's are).
//! - The token goes to the endpoint and to nobody else; redirects lead neither from https to http, nor from outside into
//!   a private network (see below).
//! - Names from the server are hostile until proven otherwise: nothing is written outside the cache.
//!
//! The tests in `tests/hub` hold all of these against a server that cuts, lies, redirects and refuses.
//!
//! # Redirects
//!
//! The address that the user gave may be anywhere. A redirect may lead to a public address, or to another port of the
//! same kind of network (loopback to loopback, private to private); link-local and other special ranges are never followed
//! to. The address checked is the address connected to, so a name that resolves differently the second time gains nothing.

mod address;
mod api;
mod cache;
mod client;
mod dataset;
mod digest;
mod download;
mod error;
mod id;
mod listing;
mod location;
mod name;
mod open;
mod progress;
mod pull;
mod retry;
mod select;
mod settings;
mod status;
mod token;
mod transfer;

pub use dataset::PulledDataset;
pub use download::Download;
pub use error::{HubError, Unreachable};
pub use id::{DatasetId, ModelId};
pub use listing::Cached;
pub use name::RepoPath;
pub use progress::{Event, Progress};
pub use pull::{PullOptions, Pulled};
pub use retry::Retry;
pub use settings::{HubSettings, Proxies};
pub use token::Token;

/// A hub and its cache. Cheap to make; every call opens the connections it needs.
#[derive(Debug, Clone)]
pub struct Hub {
    settings: HubSettings,
}

impl Hub {
    /// Checks the settings and keeps them. Touches neither disk nor network.
    ///
    /// # Errors
    /// [`HubError::BadSetting`] for an endpoint or a proxy that is no http(s) URL.
    pub fn new(settings: HubSettings) -> Result<Hub, HubError> {
        settings.check()?;
        Ok(Hub { settings })
    }

    /// What this hub was made of.
    pub fn settings(&self) -> &HubSettings {
        &self.settings
    }
}
