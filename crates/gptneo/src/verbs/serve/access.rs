//! Who may use the server: keys from flags and files.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use gptneo_engine::Rail;
use gptneo_serve::{Allowance, Key, KeyError, Keys};

use crate::args::ServeArgs;
use crate::failure::{Failure, Kind};
use crate::{input, rails};

/// Every key that was given.
///
/// # Errors
/// Exit code 2 for a key that is none, 4 for a file of keys that cannot be read or that others may read.
pub(super) fn keys(args: &ServeArgs) -> Result<Keys, Failure> {
    let mut keys = Vec::new();
    for (at, key) in args.api_key.iter().enumerate() {
        let name = format!("flag-{}", at + 1);
        keys.push(Key::new(&name, key).map_err(|error| Failure::because(Kind::Usage, &error).within("--api-key"))?);
    }
    if let Some(path) = &args.api_key_file {
        check_mode(path)?;
        let bad = |error: KeyError| Failure::because(Kind::BadFile, &error).within(&path.display().to_string());
        let read = Keys::read(&input::file(path)?).map_err(bad)?;
        if read.is_empty() {
            return Err(Failure::bad_file(format!("{} has no keys", path.display())).hint("write one a line"));
        }
        let mut known = HashMap::new();
        for key in read {
            keys.push(with_rails(key, path, &mut known)?);
        }
    }
    Keys::new(keys).map_err(|error| Failure::because(Kind::Usage, &error))
}

/// The key with the rails that its line names; their files are named from the key file on.
fn with_rails(key: Key, keys: &Path, known: &mut HashMap<PathBuf, Arc<dyn Rail>>) -> Result<Key, Failure> {
    let folder = keys.parent().unwrap_or(Path::new(""));
    let mut rails = Vec::new();
    for file in key.blocked_words() {
        let path = folder.join(file);
        let rail = match known.get(&path) {
            Some(rail) => Arc::clone(rail),
            None => {
                let within = format!("{}, the key `{}`", keys.display(), key.name());
                rails::blocked_words(&path).map_err(|failure| failure.within(&within))?
            }
        };
        known.insert(path, Arc::clone(&rail));
        rails.push(rail);
    }
    Ok(if rails.is_empty() { key } else { key.with_rails(rails) })
}

/// What each client may use up in a minute.
pub(super) fn allowance(args: &ServeArgs) -> Allowance {
    Allowance { requests: args.requests_per_minute, tokens: args.tokens_per_minute }
}

/// A file of secrets that others can read keeps none.
#[cfg(unix)]
fn check_mode(path: &Path) -> Result<(), Failure> {
    use std::os::unix::fs::PermissionsExt;
    let metadata = std::fs::metadata(path).map_err(|error| Failure::io("cannot read", path, &error))?;
    let mode = metadata.permissions().mode() & 0o777;
    if mode & 0o077 == 0 {
        return Ok(());
    }
    let words = format!("{} can be read by others than its owner (its mode is {mode:o})", path.display());
    Err(Failure::bad_file(words).hint(format!("chmod 600 {}", path.display())))
}

#[cfg(not(unix))]
fn check_mode(_: &Path) -> Result<(), Failure> {
    Ok(())
}
