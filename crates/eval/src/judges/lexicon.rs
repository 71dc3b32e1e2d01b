//! A file of words, as judges read it: bounded, of UTF-8, and named by its digest in results.

use std::io::Read;
use std::path::{Path, PathBuf};

use crate::error::EvalError;

/// The longest file, in bytes.
const LONGEST: u64 = 64 << 20;

/// What a file holds, and what names it.
pub(super) struct Lexicon {
    path: PathBuf,
    pub(super) text: String,
    /// Without its folder.
    pub(super) name: String,
    pub(super) sha256: String,
}

impl Lexicon {
    pub(super) fn open(path: &Path) -> Result<Self, EvalError> {
        let io = |why: String| EvalError::Io { path: path.to_owned(), why };
        let file = std::fs::File::open(path).map_err(|error| io(error.to_string()))?;
        let mut bytes = Vec::new();
        file.take(LONGEST + 1).read_to_end(&mut bytes).map_err(|error| io(error.to_string()))?;
        if bytes.len() as u64 > LONGEST {
            return Err(io(format!("more than {LONGEST} bytes are too many for a lexicon")));
        }
        let sha256 = crate::hash(&bytes);
        let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        let text = String::from_utf8(bytes).map_err(|error| {
            let sound = &error.as_bytes()[..error.utf8_error().valid_up_to()];
            let line = sound.iter().filter(|byte| **byte == b'\n').count() + 1;
            EvalError::Lexicon { path: path.to_owned(), line, why: "the text is not UTF-8: convert it".to_owned() }
        })?;
        Ok(Self { path: path.to_owned(), text, name, sha256 })
    }

    /// Lines that are not empty, numbered from 1, without the white space around them.
    pub(super) fn lines(&self) -> impl Iterator<Item = (usize, &str)> {
        let text = self.text.strip_prefix('\u{feff}').unwrap_or(&self.text);
        text.lines().enumerate().map(|(at, line)| (at + 1, line.trim())).filter(|(_, line)| !line.is_empty())
    }

    pub(super) fn fault(&self, line: usize, why: impl Into<String>) -> EvalError {
        EvalError::Lexicon { path: self.path.clone(), line, why: why.into() }
    }
}
