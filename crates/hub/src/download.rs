//! Any one file from any URL, for data sets and the like.

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use sha2::{Digest, Sha256};

use crate::Hub;
use crate::cache::{self, make_parent};
use crate::client::{Client, parse};
use crate::digest::{self, Expected};
use crate::error::HubError;
use crate::progress::Progress;
use crate::status::Subject;
use crate::transfer::{self, Meter, Transfer};

/// What to fetch, and where to put it.
#[derive(Debug, Clone)]
pub struct Download<'a> {
    /// An http(s) URL. The token is sent if it lies at the endpoint.
    pub url: &'a str,
    /// The file to write; it appears complete or not at all, in place of what was there. Its folder is made.
    pub dest: &'a Path,
    /// The hash wanted, 64 hexadecimal digits. With it, an interrupted download is continued by the next call, and a
    /// file that already has it is not fetched. Without it, only the length is checked.
    pub sha256: Option<&'a str>,
    /// More than this is refused.
    pub max_bytes: Option<u64>,
    /// Set it to stop soon.
    pub cancel: Option<Arc<AtomicBool>>,
}

impl<'a> Download<'a> {
    /// Without a hash, a limit or a way to stop.
    pub fn new(url: &'a str, dest: &'a Path) -> Download<'a> {
        Download { url, dest, sha256: None, max_bytes: None, cancel: None }
    }
}

impl Hub {
    /// Fetches one file; returns its length in bytes.
    ///
    /// # Errors
    /// Any [`HubError`]. Nothing but a complete file with the right hash is ever found at `dest`.
    pub fn download(&self, what: &Download<'_>, progress: &dyn Progress) -> Result<u64, HubError> {
        let location = parse(what.url)?;
        let expected = match what.sha256 {
            None => None,
            Some(text) => Some(Expected::sha256(text).ok_or_else(|| HubError::BadSetting {
                name: "sha256",
                why: "wanted 64 hexadecimal digits".to_owned(),
            })?),
        };
        if let (Some(expected), Ok(there)) = (&expected, fs::metadata(what.dest))
            && digest::of_file(what.dest, expected)? == *expected
        {
            return Ok(there.len());
        }
        if self.settings.offline {
            return Err(HubError::OfflineUrl { url: location.shown() });
        }
        make_parent(what.dest)?;
        let client = Client::new(&self.settings, what.cancel.clone(), progress)?;
        let name = what.dest.file_name().map_or_else(|| location.shown(), |n| n.to_string_lossy().into_owned());
        client.watched(|| {
            let _lock = cache::lock(&client, &self.lock_of(what.dest), &name)?;
            let mut part = what.dest.as_os_str().to_owned();
            part.push(".incomplete");
            let part = Path::new(&part);
            if expected.is_none() && part.exists() {
                // Nothing would show that it belongs to what the server has now.
                fs::remove_file(part).map_err(|e| HubError::io(part, "remove", e))?;
            }
            let meter = Meter::default();
            if let Some(most) = what.max_bytes {
                meter.total.store(most, Ordering::Relaxed);
            }
            let transfer = Transfer {
                name: &name,
                location: location.clone(),
                subject: Subject::Url,
                part,
                size: None,
                expected: expected.as_ref(),
                limit: what.max_bytes,
                meter: &meter,
            };
            let bytes = transfer::fetch(&client, &transfer)?;
            fs::rename(part, what.dest).map_err(|e| HubError::io(what.dest, "name", e))?;
            Ok(bytes)
        })
    }

    /// In the cache, so that no lock file litters the folder of the user.
    fn lock_of(&self, dest: &Path) -> std::path::PathBuf {
        let whole = std::path::absolute(dest).unwrap_or_else(|_| dest.to_owned());
        let name: String =
            Sha256::digest(whole.as_os_str().as_encoded_bytes())[..16].iter().map(|b| format!("{b:02x}")).collect();
        self.settings.cache.join(".locks").join("downloads").join(format!("{name}.lock"))
    }
}
