//! Rails that flags ask for.

use std::path::Path;
use std::sync::Arc;

use gptneo_engine::{BlockedWords, Rail};

use crate::failure::{Failure, Kind};
use crate::input;

/// Refuses prompts, and cuts answers, that contain a word of a file, which has one word or phrase a line.
///
/// # Errors
/// A file that cannot be read, or that names no words.
pub(crate) fn blocked_words(path: &Path) -> Result<Arc<dyn Rail>, Failure> {
    let text = input::file(path)?;
    let words: Vec<&str> = text.lines().map(str::trim).filter(|word| !word.is_empty()).collect();
    if words.is_empty() {
        return Err(Failure::bad_file(format!("{} names no words", path.display()))
            .hint("write one word or phrase a line, or leave --blocked-words out"));
    }
    let rail = BlockedWords::new(words).map_err(|error| Failure::because(Kind::BadFile, &error))?;
    Ok(Arc::new(rail.refusing_prompts()))
}
