//! `OWNER/NAME@REVISION:FILE.gguf`: how a model, or a data set, at a hub is named.

use std::fmt;
use std::str::FromStr;

use crate::error::HubError;

/// The branch that a hub shows first.
const DEFAULT_REVISION: &str = "main";

/// A model at a hub: `OWNER/NAME`, or `NAME` alone for a few old ones (`gpt2`); `@REVISION` is a branch, a tag or a
/// commit; `:FILE` picks a GGUF file by its name or by a part of it such as `Q4_K_M`.
///
/// The text is checked when parsed, so an id can always stand in a URL and in a folder name.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ModelId {
    kind: Kind,
    repo: String,
    revision: Option<String>,
    file: Option<String>,
}

/// A hub keeps models and data sets apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
enum Kind {
    Model,
    Dataset,
}

impl ModelId {
    /// `OWNER/NAME` or `NAME`.
    pub fn repo(&self) -> &str {
        &self.repo
    }

    /// The revision asked for, `main` unless one was named.
    pub fn revision(&self) -> &str {
        self.revision.as_deref().unwrap_or(DEFAULT_REVISION)
    }

    /// The revision, if one was named.
    pub fn named_revision(&self) -> Option<&str> {
        self.revision.as_deref()
    }

    /// The GGUF file asked for, or a part of its name.
    pub fn file(&self) -> Option<&str> {
        self.file.as_deref()
    }

    /// The folder of this model in a cache: `models--OWNER--NAME`; of a data set: `datasets--OWNER--NAME`.
    pub(crate) fn folder(&self) -> String {
        let kind = match self.kind {
            Kind::Model => "models",
            Kind::Dataset => "datasets",
        };
        format!("{kind}--{}", self.repo.replace('/', "--"))
    }

    /// What the path of its pages at a hub begins with: nothing for a model.
    pub(crate) fn prefix(&self) -> &'static str {
        match self.kind {
            Kind::Model => "",
            Kind::Dataset => "datasets/",
        }
    }

    /// Its repository as messages name it: `datasets/OWNER/NAME`, a model without a prefix.
    pub(crate) fn shown(&self) -> String {
        format!("{}{}", self.prefix(), self.repo)
    }

    /// The model that a cache folder holds, if it is one. A name with `--` in it is read as the hub would not have let
    /// it be made, so the first `--` divides owner and name.
    pub(crate) fn from_folder(folder: &str) -> Option<ModelId> {
        folder.strip_prefix("models--")?.replacen("--", "/", 1).parse().ok()
    }
}

impl FromStr for ModelId {
    type Err = HubError;

    fn from_str(text: &str) -> Result<Self, HubError> {
        let bad = |why| HubError::BadId { id: shorten(text), why };
        let (head, file) = match text.split_once(':') {
            Some((head, file)) => (head, Some(file)),
            None => (text, None),
        };
        let (repo, revision) = match head.split_once('@') {
            Some((repo, revision)) => (repo, Some(revision)),
            None => (head, None),
        };
        check_repo(repo).map_err(bad)?;
        revision.map_or(Ok(()), check_revision).map_err(bad)?;
        if let Some(file) = file {
            crate::name::RepoPath::new(file).map_err(|_| bad("the file after `:` is not a plain relative path"))?;
        }
        Ok(ModelId {
            kind: Kind::Model,
            repo: repo.to_owned(),
            revision: revision.map(str::to_owned),
            file: file.map(str::to_owned),
        })
    }
}

impl fmt::Display for ModelId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.shown())?;
        self.revision.as_ref().map_or(Ok(()), |r| write!(f, "@{r}"))?;
        self.file.as_ref().map_or(Ok(()), |n| write!(f, ":{n}"))
    }
}

/// A data set at a hub: `OWNER/NAME`, then `@REVISION` and `:PART` if wanted, where a part is a piece of the names of its
/// files. `datasets/` and `hf://datasets/` before it are understood.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct DatasetId(pub(crate) ModelId);

impl DatasetId {
    /// `OWNER/NAME`.
    pub fn repo(&self) -> &str {
        self.0.repo()
    }

    /// What the names of the files wanted have in them, if that was said.
    pub fn part(&self) -> Option<&str> {
        self.0.file()
    }
}

impl FromStr for DatasetId {
    type Err = HubError;

    fn from_str(text: &str) -> Result<Self, HubError> {
        let bare = text.strip_prefix("hf://").unwrap_or(text);
        let bare = bare.strip_prefix("datasets/").unwrap_or(bare);
        let id: ModelId = bare.parse()?;
        Ok(DatasetId(ModelId { kind: Kind::Dataset, ..id }))
    }
}

impl fmt::Display for DatasetId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

fn check_repo(repo: &str) -> Result<(), &'static str> {
    if repo.is_empty() {
        return Err("it is empty");
    }
    if repo.len() > 96 * 2 {
        return Err("it is too long");
    }
    let parts: Vec<&str> = repo.split('/').collect();
    if parts.len() > 2 {
        return Err("there is more than one `/`");
    }
    for part in parts {
        if part.is_empty() {
            return Err("the part before or after `/` is empty");
        }
        if !part.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.')) {
            return Err("a name has only letters, digits, `-`, `_` and `.`");
        }
        if part.starts_with(['.', '-']) || part.ends_with(['.', '-']) || part.contains("..") || part.contains("--") {
            return Err("a name has no `..` or `--`, and neither begins nor ends with `.` or `-`");
        }
    }
    Ok(())
}

fn check_revision(revision: &str) -> Result<(), &'static str> {
    if revision.is_empty() {
        return Err("the revision after `@` is empty");
    }
    if revision.len() > 255 {
        return Err("the revision is too long");
    }
    let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.' | b'/' | b'+');
    if !revision.bytes().all(plain) {
        return Err("a revision has only letters, digits, `-`, `_`, `.`, `+` and `/`");
    }
    if revision.split('/').any(|part| part.is_empty() || part.starts_with('.') || part.ends_with(".lock")) {
        return Err("a part of the revision is empty, or begins with `.`");
    }
    Ok(())
}

/// Hostile text in a message stays short.
pub(crate) fn shorten(text: &str) -> String {
    const LONGEST: usize = 120;
    if text.chars().count() <= LONGEST {
        return text.to_owned();
    }
    text.chars().take(LONGEST).chain("...".chars()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_every_form() {
        for (text, repo, revision, file) in [
            ("gpt2", "gpt2", "main", None),
            ("EleutherAI/gpt-neo-125m", "EleutherAI/gpt-neo-125m", "main", None),
            ("EleutherAI/gpt-j-6b@float16", "EleutherAI/gpt-j-6b", "float16", None),
            ("a/b@refs/pr/1", "a/b", "refs/pr/1", None),
            ("a/b:c.Q8_0.gguf", "a/b", "main", Some("c.Q8_0.gguf")),
            ("a/b@v1:sub/c.gguf", "a/b", "v1", Some("sub/c.gguf")),
        ] {
            let id: ModelId = text.parse().unwrap();
            assert_eq!((id.repo(), id.revision(), id.file()), (repo, revision, file), "{text}");
            assert_eq!(id.to_string(), text);
        }
    }

    #[test]
    fn refuses_what_could_leave_the_cache() {
        let long = "a".repeat(64 << 10);
        let table = [
            "",
            "/",
            "a/",
            "/a",
            "a/b/c",
            "..",
            "../..",
            "../../etc/passwd",
            "a/..",
            "../a",
            ".hidden",
            "a/.b",
            "a//b",
            "a b",
            "a\\b",
            "a\0b",
            "a/b\n",
            "C:\\x",
            "C:/x",
            "\\\\host\\share",
            "%2e%2e/x",
            "a/b@",
            "a/b@..",
            "a/b@../../x",
            "a/b@/etc",
            "a/b@x/",
            "a/b@x//y",
            "a/b@x y",
            "a/b@.x",
            "a/b@x\0",
            "a/b:",
            "a/b:../x.gguf",
            "a/b:/x.gguf",
            "a/b:x\\y.gguf",
            "a/b:x\0",
            "a--b/c",
            "a/b--c",
            "-a/b",
            "a/b-",
            "\u{202e}a/b",
            "ä/b",
            "~/x",
            "$HOME/x",
            "a/b?x",
            "a/b#x",
        ];
        for text in table.into_iter().chain([long.as_str()]) {
            let refused = text.parse::<ModelId>();
            assert!(matches!(refused, Err(HubError::BadId { .. })), "{text:.40}: {refused:?}");
            assert!(refused.unwrap_err().to_string().len() < 600);
        }
    }

    #[test]
    fn data_sets_are_apart_from_models() {
        for text in ["a/b@v1:train", "datasets/a/b@v1:train", "hf://datasets/a/b@v1:train"] {
            let id: DatasetId = text.parse().unwrap();
            assert_eq!((id.repo(), id.part()), ("a/b", Some("train")));
            assert_eq!(id.to_string(), "datasets/a/b@v1:train");
            assert_eq!(id.0.folder(), "datasets--a--b");
        }
        assert_ne!("a/b".parse::<DatasetId>().unwrap().0, "a/b".parse().unwrap());
        assert!("datasets/../x".parse::<DatasetId>().is_err());
    }

    #[test]
    fn folders_and_ids_are_one_to_one() {
        for text in ["gpt2", "EleutherAI/gpt-neo-125m", "a_b/c.d"] {
            let id: ModelId = text.parse().unwrap();
            assert_eq!(ModelId::from_folder(&id.folder()), Some(id));
        }
        for folder in ["datasets--a--b", "models--", "models--..--x", "version.txt"] {
            assert_eq!(ModelId::from_folder(folder), None, "{folder}");
        }
    }
}
