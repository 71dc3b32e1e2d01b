//! From names to sources: files, folders, globs, data sets of a hub.

use std::fs;
use std::path::{Path, PathBuf};

use crate::error::{CorpusError, Result, read_failed};
use crate::fetch::{Remote, fetch, looks_like_dataset};

/// How records lie in a source, under whatever compression.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Format {
    /// Text: the whole file is a document, or what stands between end-of-text tokens.
    Text,
    /// A JSON object on each line.
    Jsonl,
    /// A table with a column of strings.
    Parquet,
}

impl Format {
    /// As flags and manifests say it.
    pub fn name(self) -> &'static str {
        match self {
            Format::Text => "text",
            Format::Jsonl => "jsonl",
            Format::Parquet => "parquet",
        }
    }

    /// By a file's name, past an ending of compression.
    pub(crate) fn of(name: &str) -> Option<Format> {
        let lower = name.to_ascii_lowercase();
        let bare = [".zst", ".gz"].iter().find_map(|end| lower.strip_suffix(end)).unwrap_or(&lower);
        let (_, ending) = bare.rsplit_once('.')?;
        match ending {
            "txt" | "text" | "md" => Some(Format::Text),
            "jsonl" | "ndjson" | "json" => Some(Format::Jsonl),
            "parquet" if bare == lower => Some(Format::Parquet),
            _ => None,
        }
    }
}

/// A file to take documents from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Source {
    /// Its name in manifests and messages: without the folders that only this machine has.
    pub name: String,
    /// Where it lies.
    pub path: PathBuf,
    /// What is in it.
    pub format: Format,
    /// Its length.
    pub bytes: u64,
    /// When it was last changed, in nanoseconds since 1970; 0 where the system does not say.
    pub(crate) modified: u64,
}

/// Folders below a folder that are looked into.
const DEPTH: usize = 32;

/// What names stand for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// Each once.
    pub sources: Vec<Source>,
    /// What was chosen that the user might not expect, in words.
    pub notes: Vec<String>,
}

/// The files that `names` stand for, each once, in the order of the names and within a folder, glob or data set by name.
/// `format` is for files whose names do not tell, and over those that do. Data sets are fetched from `remote`.
///
/// # Errors
/// [`CorpusError::NotFound`] for a name of nothing, or of a folder without readable files; [`CorpusError::Setting`] for
/// a file whose format is not known; [`CorpusError::Read`]; [`CorpusError::Hub`].
pub fn find(names: &[String], format: Option<Format>, remote: Option<&Remote<'_>>) -> Result<Found> {
    let mut sources: Vec<Source> = Vec::new();
    let mut notes = Vec::new();
    for name in names {
        let path = Path::new(name);
        let found = if path.is_dir() {
            in_folder(path, name, format)?
        } else if path.exists() {
            vec![source(path, file_name(path), format)?]
        } else if name.contains(['*', '?', '[']) {
            in_glob(name, format)?
        } else if let (Some(remote), Some(id)) = (remote, looks_like_dataset(name)) {
            let (found, note) = fetch(remote, &id, format)?;
            notes.push(note);
            found
        } else {
            return Err(not_found(name, "there is no such file or folder"));
        };
        sources.extend(found);
    }
    let mut seen = std::collections::HashSet::new();
    sources.retain(|source| seen.insert(fs::canonicalize(&source.path).unwrap_or_else(|_| source.path.clone())));
    match sources.is_empty() {
        true => Err(CorpusError::Setting { detail: "no sources are named".to_owned() }),
        false => Ok(Found { sources, notes }),
    }
}

/// A file known by this name.
pub(crate) fn source(path: &Path, name: String, format: Option<Format>) -> Result<Source> {
    let known = format.or_else(|| Format::of(&file_name(path)));
    let Some(format) = known else {
        let detail = format!(
            "{}: the name does not tell the format; say --format text, jsonl or parquet (.zst and .gz are seen through)",
            path.display()
        );
        return Err(CorpusError::Setting { detail });
    };
    let metadata = fs::metadata(path).map_err(read_failed(path))?;
    let modified = metadata.modified().ok().and_then(|time| time.duration_since(std::time::UNIX_EPOCH).ok());
    let modified = modified.map_or(0, |since| since.as_nanos() as u64);
    Ok(Source { name, path: path.to_owned(), format, bytes: metadata.len(), modified })
}

/// The files below a folder whose names tell a format, or all of them where the format is given.
fn in_folder(folder: &Path, name: &str, format: Option<Format>) -> Result<Vec<Source>> {
    let mut paths = Vec::new();
    walk(folder, DEPTH, &mut paths)?;
    let within = |path: &Path| path.strip_prefix(folder).unwrap_or(path).to_string_lossy().replace('\\', "/");
    let mut sources = Vec::new();
    for path in paths {
        if format.is_some() || Format::of(&file_name(&path)).is_some() {
            sources.push(source(&path, within(&path), format)?);
        }
    }
    sources.sort_by(|a, b| a.name.cmp(&b.name));
    match sources.is_empty() {
        true => Err(not_found(name, "no file in this folder ends in .txt, .md, .jsonl, .json or .parquet")),
        false => Ok(sources),
    }
}

fn walk(folder: &Path, depth: usize, paths: &mut Vec<PathBuf>) -> Result<()> {
    for entry in fs::read_dir(folder).map_err(read_failed(folder))? {
        let path = entry.map_err(read_failed(folder))?.path();
        // Hidden files are notes of tools, not data.
        if file_name(&path).starts_with('.') {
            continue;
        }
        if !path.is_dir() {
            paths.push(path);
        } else if depth > 0 && !path.is_symlink() {
            walk(&path, depth - 1, paths)?;
        }
    }
    Ok(())
}

fn in_glob(pattern: &str, format: Option<Format>) -> Result<Vec<Source>> {
    let bad = |detail: String| CorpusError::NotFound { name: pattern.to_owned(), detail };
    let mut sources = Vec::new();
    for path in glob::glob(pattern).map_err(|error| bad(format!("no pattern: {error}")))? {
        let path = path.map_err(|error| CorpusError::Read { path: error.path().to_owned(), source: error.into() })?;
        if path.is_file() {
            sources.push(source(&path, file_name(&path), format)?);
        }
    }
    sources.sort_by(|a, b| a.path.cmp(&b.path));
    match sources.is_empty() {
        true => Err(bad("no file fits this pattern".to_owned())),
        false => Ok(sources),
    }
}

fn file_name(path: &Path) -> String {
    path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
}

fn not_found(name: &str, detail: &str) -> CorpusError {
    CorpusError::NotFound { name: name.to_owned(), detail: detail.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_tell_formats() {
        for (name, format) in [
            ("a.txt", Some(Format::Text)),
            ("a.jsonl", Some(Format::Jsonl)),
            ("A.JSONL.ZST", Some(Format::Jsonl)),
            ("a.b.txt.gz", Some(Format::Text)),
            ("x.parquet", Some(Format::Parquet)),
            ("x.parquet.zst", None),
            ("a.bin", None),
            ("txt", None),
            ("a.zst", None),
        ] {
            assert_eq!(Format::of(name), format, "{name}");
        }
    }

    #[test]
    fn finds_files_folders_and_globs_once_each_and_in_order() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name).to_string_lossy().into_owned();
        fs::create_dir_all(at("sub/.hidden")).unwrap();
        for name in ["b.jsonl", "a.txt", "sub/c.jsonl.gz", "sub/notes.bin", "sub/.x.txt", "sub/.hidden/y.txt"] {
            fs::write(at(name), "x").unwrap();
        }
        let names = |given: &[String]| -> Vec<String> {
            find(given, None, None).unwrap().sources.into_iter().map(|source| source.name).collect()
        };
        assert_eq!(names(&[at("")]), ["a.txt", "b.jsonl", "sub/c.jsonl.gz"]);
        assert_eq!(names(&[at("*.jsonl"), at("a.txt"), at("")]), ["b.jsonl", "a.txt", "sub/c.jsonl.gz"]);
        assert_eq!(find(&[at("sub")], Some(Format::Text), None).unwrap().sources.len(), 2);
        assert!(matches!(find(&[at("nothing")], None, None), Err(CorpusError::NotFound { .. })));
        assert!(matches!(find(&[at("*.csv")], None, None), Err(CorpusError::NotFound { .. })));
        assert!(matches!(find(&[at("sub/notes.bin")], None, None), Err(CorpusError::Setting { .. })));
        assert!(matches!(find(&[], None, None), Err(CorpusError::Setting { .. })));
    }
}
