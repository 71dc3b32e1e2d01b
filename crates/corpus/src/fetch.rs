//! Data sets of a hub as sources.
//!
//! Of a data set's files those of the best known format are taken: parquet, then jsonl, then text. Where some are told
//! apart as training data by their names, only these: test sets are not to be trained on.

use std::path::Path;

use gptneo_hub::{DatasetId, Hub, Progress, PullOptions, PulledDataset, RepoPath};

use crate::error::Result;
use crate::find::{Format, Source, source};

/// How to reach a hub.
pub struct Remote<'a> {
    /// The hub and its cache.
    pub hub: &'a Hub,
    /// How files are fetched.
    pub options: PullOptions,
    /// Who is told.
    pub progress: &'a dyn Progress,
}

impl std::fmt::Debug for Remote<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Remote").field("hub", &self.hub).finish_non_exhaustive()
    }
}

/// Whether a name that is no path reads as a data set: `OWNER/NAME`, perhaps with `@REVISION` and `:PART`; or with
/// `datasets/` before it.
pub fn looks_like_dataset(name: &str) -> Option<DatasetId> {
    if Path::new(name).exists() || name.starts_with(['.', '/', '~']) || name.contains(['*', '?', '[', '\\']) {
        return None;
    }
    let said = name.starts_with("datasets/") || name.starts_with("hf://");
    let id: DatasetId = name.parse().ok()?;
    // A missing file is more likely than a data set with the name of a file.
    (said || (id.repo().contains('/') && Format::of(id.repo()).is_none())).then_some(id)
}

/// Brings a data set into the cache; its files as sources, and a line on what was chosen.
pub(crate) fn fetch(remote: &Remote<'_>, id: &DatasetId, format: Option<Format>) -> Result<(Vec<Source>, String)> {
    let choose = |files: &[RepoPath]| choose(files, id.part(), format);
    let PulledDataset { path, commit, files, others, .. } =
        remote.hub.pull_dataset(id, &choose, &remote.options, remote.progress)?;
    let mut sources = Vec::new();
    for file in &files {
        let name = format!("datasets/{}@{commit}/{}", id.repo(), file.as_str());
        sources.push(source(&file.under(&path), name, format)?);
    }
    let (first, count) = (files.first().map_or("", |file| file.as_str()), files.len());
    Ok((sources, format!("{id}: {count} of its {} files are taken: {first}{}", count + others, more(count))))
}

fn more(count: usize) -> String {
    if count > 1 { format!(" and {} more like it", count - 1) } else { String::new() }
}

fn choose(files: &[RepoPath], part: Option<&str>, format: Option<Format>) -> Vec<RepoPath> {
    let fits = |file: &&RepoPath| {
        let name = file.as_str();
        let base = name.rsplit('/').next().unwrap_or(name);
        // Notes about the data are no data.
        let notes = ["readme", "license", "dataset_infos", "requirements", "."];
        !notes.iter().any(|note| base.to_ascii_lowercase().starts_with(note))
            && part.is_none_or(|part| name.contains(part))
    };
    let fitting: Vec<&RepoPath> = files.iter().filter(fits).collect();
    let mut taken: Vec<&RepoPath> = Vec::new();
    for wanted in [Format::Parquet, Format::Jsonl, Format::Text] {
        taken = fitting.iter().copied().filter(|file| Format::of(file.as_str()) == Some(wanted)).collect();
        if !taken.is_empty() {
            break;
        }
    }
    // Names that do not tell can still be named.
    if taken.is_empty() && format.is_some() && part.is_some() {
        taken = fitting;
    }
    if part.is_none() && taken.iter().any(|file| is_train(file)) {
        taken.retain(|file| is_train(file));
    }
    let mut taken: Vec<RepoPath> = taken.into_iter().cloned().collect();
    taken.sort();
    taken
}

/// Whether a part of the name is the word `train`.
fn is_train(file: &RepoPath) -> bool {
    file.as_str().split(|c: char| !c.is_ascii_alphanumeric()).any(|word| word.eq_ignore_ascii_case("train"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_training_files_of_the_best_format() {
        let check = |names: &[&str], part: Option<&str>, wanted: &[&str]| {
            let files: Vec<RepoPath> = names.iter().map(|name| RepoPath::new(name).unwrap()).collect();
            let taken = choose(&files, part, None);
            assert_eq!(taken.iter().map(RepoPath::as_str).collect::<Vec<_>>(), wanted, "{names:?}");
        };
        let split =
            ["README.md", "data/validation-0.parquet", "data/train-1.parquet", "data/train-0.parquet", "a.jsonl"];
        check(&split, None, &["data/train-0.parquet", "data/train-1.parquet"]);
        check(&split, Some("validation"), &["data/validation-0.parquet"]);
        check(&split, Some("a.json"), &["a.jsonl"]);
        check(&["c.json.gz", "b.jsonl.zst", "trainer.txt"], None, &["b.jsonl.zst", "c.json.gz"]);
        check(&["TinyStories-train.txt", "TinyStories-valid.txt", "README.md"], None, &["TinyStories-train.txt"]);
        check(&["README.md", "requirements.txt", ".x.txt", "dataset_infos.json"], None, &[]);
        check(&["a.tar", "b.bin"], None, &[]);
    }

    #[test]
    fn tells_data_sets_from_files() {
        for name in ["roneneldan/TinyStories", "a/b@v1:train", "datasets/a/b", "hf://datasets/a/b.txt"] {
            assert!(looks_like_dataset(name).is_some(), "{name}");
        }
        for name in ["a.txt", "a/b.jsonl", "./a/b", "/a/b", "a/*", "a/b/c", "src", "src/lib.rs", "a"] {
            assert!(looks_like_dataset(name).is_none(), "{name}");
        }
    }
}
