//! Checkpoints on disk: written beside, checked, made durable, renamed; a damaged one is seen for what it is.
//!
//! `checkpoints/step-00000100/` is an ordinary Hugging Face directory (`config.json`, `model.safetensors`, the
//! tokenizer's files), or of adapters a directory in PEFT's layout, with three files more: `optimizer.safetensors`, `state.json` and `manifest.json`, which is written
//! last and holds the size and SHA-256 of every other. It is made under the name `.step-00000100.partial`; what stands
//! under a final name was complete, and whatever happened to it since shows in its manifest.

mod digest;
mod draft;

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use gptneo_model::adapter::{SETTINGS_FILE, WEIGHTS_FILE};
use serde::{Deserialize, Serialize};

use crate::error::TrainError;
use crate::files::Files;
pub(crate) use digest::hex;
pub use draft::Draft;

/// Version of the directory's format.
const FORMAT: u32 = 1;
const MANIFEST: &str = "manifest.json";
/// The state of a run beside its weights.
pub const STATE: &str = "state.json";
/// No manifest of ours is longer; a longer one is not read.
const MAX_JSON_BYTES: u64 = 1 << 24;

/// The end of the name of a checkpoint that is being replaced by one of the same step.
const REPLACED: &str = ".replaced";

fn final_name(step: u64) -> String {
    format!("step-{step:08}")
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Manifest {
    format: u32,
    files: BTreeMap<String, Entry>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    bytes: u64,
    sha256: String,
}

/// The folder of a run's checkpoints.
#[derive(Clone, Debug)]
pub struct Store {
    files: Arc<dyn Files>,
    folder: PathBuf,
}

/// A checkpoint under its final name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// The step after which it was made.
    pub step: u64,
    /// Its directory.
    pub path: PathBuf,
}

impl Store {
    /// The checkpoints in `folder`, which need not exist yet.
    pub fn new(files: Arc<dyn Files>, folder: PathBuf) -> Self {
        Self { files, folder }
    }

    /// Where they lie.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Every checkpoint under a final name, the newest first.
    ///
    /// # Errors
    /// If the folder cannot be read.
    pub fn list(&self) -> Result<Vec<Found>, TrainError> {
        let io = |error| TrainError::io("read", &self.folder, error);
        let entries = match fs::read_dir(&self.folder) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(io(error)),
        };
        let mut found = Vec::new();
        for entry in entries {
            let path = entry.map_err(io)?.path();
            let Some(name) = path.file_name().and_then(|name| name.to_str()) else { continue };
            let replaced = name.strip_prefix('.').and_then(|name| name.strip_suffix(REPLACED));
            let Some(step) = replaced.unwrap_or(name).strip_prefix("step-").and_then(|step| step.parse().ok()) else {
                continue;
            };
            // A crash between the two names of a replacement leaves the old checkpoint under the first.
            if path.is_dir() && (replaced.is_none() || !self.folder.join(final_name(step)).exists()) {
                found.push(Found { step, path });
            }
        }
        found.sort_by_key(|found| std::cmp::Reverse(found.step));
        Ok(found)
    }

    /// The newest checkpoint that is whole. `damaged` is told of each newer one that is not, and why.
    ///
    /// # Errors
    /// If the folder cannot be read.
    pub fn newest_whole(&self, mut damaged: impl FnMut(&Found, String)) -> Result<Option<Found>, TrainError> {
        for found in self.list()? {
            match check(&found.path) {
                Ok(()) => return Ok(Some(found)),
                Err(why) => damaged(&found, why),
            }
        }
        Ok(None)
    }

    /// Writes the checkpoint of `step`: `fill` puts files into the draft, which is then checked, made durable and
    /// given its name. One of the same name is replaced.
    ///
    /// # Errors
    /// What the system refused; nothing that was there before is touched then.
    pub fn write(
        &self,
        step: u64,
        fill: impl FnOnce(&mut Draft<'_>) -> Result<(), TrainError>,
    ) -> Result<PathBuf, TrainError> {
        let name = final_name(step);
        let partial = self.folder.join(format!(".{name}.partial"));
        let path = self.folder.join(&name);
        self.files.create_dir(&self.folder).map_err(|e| TrainError::io("create", &self.folder, e))?;
        self.clear(&partial)?;
        let written = self.write_partial(&partial, fill).and_then(|()| self.publish(&partial, &path));
        if written.is_err() {
            // The error that led here is the one to tell; what stays under the partial name is cleared next time.
            drop(self.clear(&partial));
        }
        written.map(|()| path)
    }

    fn write_partial(
        &self,
        partial: &Path,
        fill: impl FnOnce(&mut Draft<'_>) -> Result<(), TrainError>,
    ) -> Result<(), TrainError> {
        self.files.create_dir(partial).map_err(|e| TrainError::io("create", partial, e))?;
        let mut draft = Draft::new(self.files.as_ref(), partial);
        fill(&mut draft)?;
        draft.finish()?;
        self.files.sync_dir(partial).map_err(|e| TrainError::io("make durable", partial, e))?;
        check(partial).map_err(|why| TrainError::Damaged { path: partial.to_owned(), why })
    }

    fn publish(&self, partial: &Path, path: &Path) -> Result<(), TrainError> {
        let rename =
            |from: &Path, to: &Path| self.files.rename(from, to).map_err(|e| TrainError::io("rename to", to, e));
        let mut old = std::ffi::OsString::from(".");
        old.push(path.file_name().unwrap_or_default());
        old.push(REPLACED);
        let old = path.with_file_name(old);
        let replaces = path.exists();
        if replaces {
            self.clear(&old)?;
            rename(path, &old)?;
        }
        if let Err(error) = rename(partial, path) {
            if replaces {
                rename(&old, path)?;
            }
            return Err(error);
        }
        self.files.sync_dir(&self.folder).map_err(|e| TrainError::io("make durable", &self.folder, e))?;
        self.clear(&old)
    }

    fn clear(&self, path: &Path) -> Result<(), TrainError> {
        match self.files.remove_dir(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(TrainError::io("remove", path, error)),
            _ => Ok(()),
        }
    }

    /// Removes all but the checkpoints that `keep` says yes to.
    ///
    /// # Errors
    /// What the system refused.
    pub fn prune(&self, keep: impl Fn(&Found) -> bool) -> Result<(), TrainError> {
        for found in self.list()?.into_iter().filter(|found| !keep(found)) {
            // Under a name of its own first: half removed, it must not look like a damaged checkpoint.
            let gone = found.path.with_file_name(format!(".step-{:08}.gone", found.step));
            self.clear(&gone)?;
            self.files.rename(&found.path, &gone).map_err(|e| TrainError::io("rename to", &gone, e))?;
            self.clear(&gone)?;
        }
        Ok(())
    }
}

/// Reads `state.json` of a checkpoint.
///
/// # Errors
/// If it is not there or is no state.
pub fn read_state<T: for<'de> Deserialize<'de>>(checkpoint: &Path) -> Result<T, TrainError> {
    let path = checkpoint.join(STATE);
    let text = read_json(&path).map_err(|error| TrainError::io("read", &path, error))?;
    serde_json::from_slice(&text).map_err(|error| TrainError::Damaged { path, why: error.to_string() })
}

fn read_json(path: &Path) -> io::Result<Vec<u8>> {
    let length = fs::metadata(path)?.len();
    if length > MAX_JSON_BYTES {
        return Err(io::Error::other(format!("{length} bytes, more than such a file has ({MAX_JSON_BYTES})")));
    }
    fs::read(path)
}

/// Whether everything that the manifest promises is there.
///
/// # Errors
/// What is not, in words.
pub fn check(checkpoint: &Path) -> Result<(), String> {
    let text = read_json(&checkpoint.join(MANIFEST)).map_err(|error| format!("{MANIFEST}: {error}"))?;
    let manifest: Manifest = serde_json::from_slice(&text).map_err(|error| format!("{MANIFEST}: {error}"))?;
    if manifest.format != FORMAT {
        return Err(format!("{MANIFEST}: format {}, this program reads {FORMAT}", manifest.format));
    }
    for (name, entry) in &manifest.files {
        if name.is_empty() || name.contains(['/', '\\', '\0']) || name.starts_with('.') {
            return Err(format!("{MANIFEST} names {name:?}, which is no file of a checkpoint"));
        }
        let found = digest::of_file(&checkpoint.join(name), entry.bytes).map_err(|error| format!("{name}: {error}"))?;
        if found != entry.sha256 {
            return Err(format!("{name}: its SHA-256 is {found}, the manifest says {}", entry.sha256));
        }
    }
    // A model, or an adapter beside one.
    let what = if manifest.files.contains_key(SETTINGS_FILE) {
        [STATE, SETTINGS_FILE, WEIGHTS_FILE]
    } else {
        [STATE, "config.json", "model.safetensors"]
    };
    for needed in what {
        if !manifest.files.contains_key(needed) {
            return Err(format!("{MANIFEST} does not name {needed}"));
        }
    }
    Ok(())
}

/// SHA-256 of a file, in hex.
///
/// # Errors
/// If it cannot be read.
pub fn sha256_of(path: &Path) -> io::Result<String> {
    let bytes = File::open(path)?.metadata()?.len();
    digest::of_file(path, bytes)
}

#[cfg(test)]
mod tests;
