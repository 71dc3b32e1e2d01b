//! Opening a split of a set, from a data folder or from a hub.

use std::path::PathBuf;

use crate::data::dataset::Dataset;
use crate::data::error::DataError;
use crate::data::reading::{FileRows, Reading, Row, read_all, read_listed};
use crate::data::remote::{Found, Remote};
use crate::data::{local, remote};
use gptneo_tables::Limits;

/// Where to look for sets.
#[derive(Debug, Default)]
pub struct Library<'a> {
    /// Data folders, in the order in which to look. A place is looked for in the folder itself, then, where the end of the
    /// folder's path is the beginning of the place, from there on, then in the folders below it.
    pub folders: Vec<PathBuf>,
    /// The hub, for what is in no folder.
    pub hub: Option<Remote<'a>>,
    /// How much a set may ask for.
    pub limits: Limits,
}

/// A split of a set.
#[derive(Debug, Clone, PartialEq)]
pub struct Split {
    /// In order; never empty.
    pub rows: Vec<Row>,
    /// Where they came from, in the order read.
    pub files: Vec<PathBuf>,
    /// The commit at the hub; none for what lay in a data folder.
    pub revision: Option<String>,
    /// SHA-256 of the bytes of all files, one after another, as they lie on the disk.
    pub sha256: String,
    /// How many bytes these are.
    pub bytes: u64,
}

impl Library<'_> {
    /// Opens a split. A place under a data folder comes before the hub; what is found and cannot be read is an error, and
    /// nothing else is tried.
    ///
    /// # Errors
    /// [`DataError::Missing`] where it is nowhere; [`DataError::NoRows`]; [`DataError::Definition`] for a description that
    /// cannot be followed; [`DataError::Hub`] if the user stopped it; else what [`read_rows`](crate::data::read_rows) says.
    pub fn open(&self, dataset: &Dataset, split: &str) -> Result<Split, DataError> {
        let what = format!("the split {split:?} of {dataset}");
        if let Some(named) = &dataset.named {
            let (files, reading) = named.find(split, &what)?;
            let read = read_all(&files, &reading, &self.limits)?;
            return self.split(what, files, read, None);
        }
        let places = dataset.local.get(split).map_or(&[][..], Vec::as_slice);
        if places.is_empty() && dataset.path.is_none() {
            let known: Vec<&str> = dataset.local.keys().map(String::as_str).collect();
            let detail = format!("its definition has no hub id, and places only for: {}", known.join(", "));
            return Err(DataError::Definition { what, detail });
        }
        let mut looked = Vec::new();
        for place in places {
            local::check(&place.files).map_err(|detail| DataError::Definition { what: what.clone(), detail })?;
            for folder in &self.folders {
                let mut files = local::find(folder, &place.files)?;
                if !files.is_empty() {
                    let Some(listed) = &place.listed else {
                        let read = read_all(&files, &place.reading, &self.limits)?;
                        return self.split(what, files, read, None);
                    };
                    local::check(listed).map_err(|detail| DataError::Definition { what: what.clone(), detail })?;
                    if let Some(list) = local::find(folder, listed)?.first() {
                        let read = read_listed(&files, list, &place.reading, &self.limits)?;
                        files.push(list.clone());
                        return self.split(what, files, read, None);
                    }
                    looked.push(format!("{}, which lists its rows: no such file", folder.join(listed).display()));
                    continue;
                }
                looked.push(format!("{}, and the folders below: no such file", folder.join(&place.files).display()));
            }
        }
        if let Some(id) = &dataset.path {
            match &self.hub {
                None => looked.push(format!("hub, {id}: not asked, as no hub is set up")),
                Some(remote) => match remote::find(remote, id, dataset, split, &what)? {
                    Found::Files { files, commit } => {
                        let read = read_all(&files, &Reading::default(), &self.limits)?;
                        return self.split(what, files, read, Some(commit));
                    }
                    Found::Nothing(reasons) => looked.extend(reasons),
                },
            }
        }
        let ways = self.ways(dataset, split);
        Err(DataError::Missing { what, looked, ways })
    }

    fn split(
        &self,
        what: String,
        files: Vec<PathBuf>,
        read: FileRows,
        revision: Option<String>,
    ) -> Result<Split, DataError> {
        if read.rows.is_empty() {
            let files = files.iter().map(|path| path.display().to_string()).collect();
            return Err(DataError::NoRows { what, files });
        }
        let FileRows { rows, sha256, bytes } = read;
        Ok(Split { rows, files, revision, sha256, bytes })
    }

    /// What would make a set found, for this very set.
    fn ways(&self, dataset: &Dataset, split: &str) -> Vec<String> {
        let mut ways = Vec::new();
        if let Some(id) = &dataset.path {
            let of = dataset.name.as_ref().map_or(String::new(), |name| format!(", configuration {name}"));
            let at = dataset.revision.as_ref().map_or(String::new(), |revision| format!("@{revision}"));
            ways.push(format!(
                "let it be fetched as {id}{at}{of} from the hub: run where there is a network, with HF_HUB_OFFLINE unset"
            ));
        }
        let places = dataset.local.get(split).map_or(&[][..], Vec::as_slice);
        let mut put = |file: &str, folder: &str| ways.push(format!("put {file} under {folder}"));
        for place in places {
            let files = match &place.listed {
                Some(listed) => format!("{} and {listed}", place.files),
                None => place.files.clone(),
            };
            match self.folders.as_slice() {
                [] => put(&files, "a folder, and name that folder with --data"),
                [folder, ..] => put(&files, &format!("{} (--data)", folder.display())),
            }
        }
        if places.is_empty() {
            ways.push(
                "have a place for it written into the task's definition (`local`), and put the file there".to_owned(),
            );
        }
        ways
    }
}
