//! Files that a definition names itself, beside it or anywhere on this machine, in place of a set at a hub.

use std::collections::BTreeMap;
use std::path::PathBuf;

use crate::data::contents::lower_name;
use crate::data::error::DataError;
use crate::data::local::matching;
use crate::data::reading::{Format, Reading};

/// Files by their splits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Named {
    /// Of each split its paths, with `*` and `?` as in a shell. None where files in `folder` are named as their splits.
    pub splits: BTreeMap<String, Vec<String>>,
    /// The folder that paths begin from, in `base`.
    pub folder: Option<String>,
    /// What relative paths begin from: the folder of the definition.
    pub base: PathBuf,
    /// Of files whose names do not tell theirs.
    pub format: Format,
    /// How all are read, where that is said.
    pub reading: Reading,
}

impl Named {
    /// The files of a split, and how they are read.
    ///
    /// # Errors
    /// A split that is not named, files that are not there, patterns that are none.
    pub(crate) fn find(&self, split: &str, what: &str) -> Result<(Vec<PathBuf>, Reading), DataError> {
        let folder = self.folder.as_ref().map_or_else(|| self.base.clone(), |folder| self.base.join(folder));
        let missing =
            |looked: Vec<String>, way: String| DataError::Missing { what: what.to_owned(), looked, ways: vec![way] };
        let mut files = Vec::new();
        if self.splits.is_empty() {
            let patterns = [format!("{split}.*"), format!("{split}-*"), format!("{split}/*")];
            for pattern in &patterns {
                files = matching(&folder, pattern)?;
                if !files.is_empty() {
                    break;
                }
            }
            if files.is_empty() {
                let looked = patterns.map(|pattern| format!("{}: no such file", folder.join(pattern).display()));
                return Err(missing(looked.to_vec(), "name the files of each split in `data_files`".to_owned()));
            }
        } else {
            let paths = self.splits.get(split).ok_or_else(|| {
                let known: Vec<&str> = self.splits.keys().map(String::as_str).collect();
                let detail = format!("`data_files` has files of {}, and none of {split}", known.join(", "));
                DataError::Definition { what: what.to_owned(), detail }
            })?;
            for path in paths {
                let found = matching(&folder, path)?;
                if found.is_empty() {
                    let looked = vec![format!("{}: no such file", folder.join(path).display())];
                    let way =
                        "put it there; a path begins from the folder of the definition, and from `data_dir` in it";
                    return Err(missing(looked, way.to_owned()));
                }
                files.extend(found);
            }
        }
        let told = files.iter().all(|file| Format::of(&lower_name(file)).is_some());
        let format = self.reading.format.or((!told).then_some(self.format));
        Ok((files, Reading { format, ..self.reading.clone() }))
    }
}
