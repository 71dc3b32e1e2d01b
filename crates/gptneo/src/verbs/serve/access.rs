//! Who may use the server: keys from flags and files.

use std::path::Path;

use gptneo_serve::{Allowance, Key, KeyError, Keys};

use crate::args::ServeArgs;
use crate::failure::{Failure, Kind};
use crate::input;

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
        keys.extend(read);
    }
    Keys::new(keys).map_err(|error| Failure::because(Kind::Usage, &error))
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
