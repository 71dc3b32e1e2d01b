//! Which files of a repository a model needs, and whether a folder has them.
//!
//! One copy of the weights: safetensors before PyTorch, one file before shards; or one GGUF file where one is named.
//! Copies for other frameworks are never taken.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde::de::IgnoredAny;

use crate::error::HubError;
use crate::id::ModelId;
use crate::name::RepoPath;

/// A single weight file and the index that stands for it when it is sharded, best first.
const WEIGHTS: [(&str, &str); 2] =
    [("model.safetensors", "model.safetensors.index.json"), ("pytorch_model.bin", "pytorch_model.bin.index.json")];

/// Small files worth having whenever they exist.
const ALWAYS: [&str; 7] = [
    "config.json",
    "generation_config.json",
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "chat_template.jinja",
    "chat_template.json",
];

/// Needed where there is no `tokenizer.json`.
const SLOW_TOKENIZER: [&str; 3] = ["vocab.json", "merges.txt", "added_tokens.json"];

/// The index of a model with a hundred thousand tensors is some 10 MB.
const LONGEST_INDEX: u64 = 64 << 20;

/// What to fetch.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Selection {
    /// Fetched first, so that a folder with weights has all it needs.
    pub(crate) small: Vec<RepoPath>,
    pub(crate) weights: Weights,
}

#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Weights {
    One(RepoPath),
    /// The index, itself among the small files, names them.
    Sharded(RepoPath),
    Gguf(RepoPath),
}

/// Chooses among the files of a repository.
pub(crate) fn select(id: &ModelId, files: &[RepoPath]) -> Result<Selection, HubError> {
    let has = |name: &str| files.iter().find(|f| f.as_str() == name).cloned();
    if let Some(wanted) = id.file() {
        return Ok(Selection { small: Vec::new(), weights: Weights::Gguf(named_gguf(id, wanted, files)?) });
    }
    let mut small: Vec<RepoPath> = ALWAYS.into_iter().filter_map(has).collect();
    if has("tokenizer.json").is_none() {
        small.extend(SLOW_TOKENIZER.into_iter().filter_map(has));
    }
    if has("config.json").is_some() {
        for (single, index) in WEIGHTS {
            if let Some(one) = has(single) {
                return Ok(Selection { small, weights: Weights::One(one) });
            }
            if let Some(index) = has(index) {
                small.push(index.clone());
                return Ok(Selection { small, weights: Weights::Sharded(index) });
            }
        }
    }
    match ggufs(files).as_slice() {
        [] => Err(HubError::NoWeights { id: id.to_string(), found: foreign(files) }),
        [only] => Ok(Selection { small: Vec::new(), weights: Weights::Gguf((*only).clone()) }),
        many => Err(many_files(id, many)),
    }
}

/// The GGUF file with this name, or the only one with this in its name (`Q4_K_M`).
fn named_gguf(id: &ModelId, wanted: &str, files: &[RepoPath]) -> Result<RepoPath, HubError> {
    let ggufs = ggufs(files);
    if let Some(exact) = ggufs.iter().find(|f| f.as_str() == wanted) {
        return Ok((*exact).clone());
    }
    let part = wanted.to_ascii_lowercase();
    let fitting: Vec<_> = ggufs.iter().copied().filter(|f| f.as_str().to_ascii_lowercase().contains(&part)).collect();
    match fitting.as_slice() {
        [] => {
            let near = ggufs.iter().take(8).map(|f| f.as_str().to_owned()).collect();
            Err(HubError::NoSuchFile { id: id.repo().to_owned(), file: wanted.to_owned(), near })
        }
        [only] => Ok((*only).clone()),
        many => Err(many_files(id, many)),
    }
}

fn many_files(id: &ModelId, files: &[&RepoPath]) -> HubError {
    let files = files.iter().take(8).map(|f| f.as_str().to_owned()).collect();
    HubError::ManyFiles { id: id.repo().to_owned(), files }
}

fn ggufs(files: &[RepoPath]) -> Vec<&RepoPath> {
    files.iter().filter(|f| f.as_str().to_ascii_lowercase().ends_with(".gguf")).collect()
}

fn foreign(files: &[RepoPath]) -> Vec<String> {
    let is_foreign =
        |name: &str| [".h5", ".msgpack", ".ot", ".onnx", ".ckpt", ".pt", ".pth"].iter().any(|end| name.ends_with(end));
    files.iter().map(RepoPath::as_str).filter(|n| is_foreign(n)).take(4).map(str::to_owned).collect()
}

#[derive(Deserialize)]
struct Index {
    weight_map: std::collections::HashMap<String, String>,
    #[serde(rename = "metadata")]
    _metadata: Option<IgnoredAny>,
}

/// The shards that an index file names, in order, each once.
pub(crate) fn shards(index: &Path) -> Result<Vec<RepoPath>, HubError> {
    let bad = |why: String| HubError::Protocol { url: index.display().to_string(), why };
    let length = fs::metadata(index).map_err(|e| HubError::io(index, "read", e))?.len();
    if length > LONGEST_INDEX {
        return Err(bad(format!("an index of {length} bytes is refused (at most {LONGEST_INDEX})")));
    }
    let bytes = fs::read(index).map_err(|e| HubError::io(index, "read", e))?;
    let parsed: Index = serde_json::from_slice(&bytes).map_err(|e| bad(format!("not an index of shards: {e}")))?;
    let names: BTreeSet<&str> = parsed.weight_map.values().map(String::as_str).collect();
    if names.is_empty() {
        return Err(bad("the index names no shard".to_owned()));
    }
    names.into_iter().map(RepoPath::new).collect()
}

/// Where in `snapshot` a model of this id can be loaded from: the folder itself, or a GGUF file in it.
/// `None` while something is missing.
pub(crate) fn complete(snapshot: &Path, id: &ModelId) -> Option<PathBuf> {
    let has = |name: &str| snapshot.join(name).is_file();
    if id.file().is_none() && has("config.json") {
        for (single, index) in WEIGHTS {
            let sharded = || shards(&snapshot.join(index)).is_ok_and(|s| s.iter().all(|p| p.under(snapshot).is_file()));
            if has(single) || (has(index) && sharded()) {
                return Some(snapshot.to_owned());
            }
        }
    }
    let mut files = Vec::new();
    walk(snapshot, &mut |path| {
        let relative = path.strip_prefix(snapshot).ok().and_then(Path::to_str);
        // A link to a blob that is gone is not a file.
        files.extend(relative.filter(|_| path.is_file()).and_then(|r| RepoPath::new(r).ok()));
    });
    let found = match id.file() {
        Some(wanted) => named_gguf(id, wanted, &files).ok()?,
        None => match ggufs(&files).as_slice() {
            [only] => (*only).clone(),
            _ => return None,
        },
    };
    Some(found.under(snapshot))
}

/// Whether a folder can turn text into ids.
pub(crate) fn has_tokenizer(folder: &Path) -> bool {
    folder.is_file()
        || folder.join("tokenizer.json").is_file()
        || SLOW_TOKENIZER[..2].iter().all(|n| folder.join(n).is_file())
}

/// Visits every entry below `folder` that is not a folder, following no links. Unreadable folders count as empty.
pub(crate) fn walk(folder: &Path, visit: &mut dyn FnMut(&Path)) {
    // Deeper than any repository, shallower than the stack.
    fn inner(folder: &Path, depth: usize, visit: &mut dyn FnMut(&Path)) {
        for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
            match entry.file_type() {
                Ok(kind) if kind.is_dir() => {
                    if depth > 0 {
                        inner(&entry.path(), depth - 1, visit);
                    }
                }
                Ok(_) => visit(&entry.path()),
                Err(_) => {}
            }
        }
    }
    inner(folder, 32, visit);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(id: &str, files: &[&str]) -> Result<(Vec<String>, String), HubError> {
        let files: Vec<_> = files.iter().map(|f| RepoPath::new(f).unwrap()).collect();
        let chosen = select(&id.parse().unwrap(), &files)?;
        let small = chosen.small.iter().map(|f| f.as_str().to_owned()).collect();
        Ok((small, format!("{:?}", chosen.weights)))
    }

    #[test]
    fn takes_one_copy_of_the_weights() {
        let everything = [
            "README.md",
            "config.json",
            "flax_model.msgpack",
            "model.safetensors",
            "pytorch_model.bin",
            "tf_model.h5",
            "rust_model.ot",
            "tokenizer.json",
            "vocab.json",
            "merges.txt",
            "onnx/model.onnx",
        ];
        let (small, weights) = check("gpt2", &everything).unwrap();
        assert_eq!(small, ["config.json", "tokenizer.json"]);
        assert_eq!(weights, r#"One(RepoPath("model.safetensors"))"#);
    }

    #[test]
    fn prefers_sharded_safetensors_to_one_pickle() {
        let files =
            ["config.json", "pytorch_model.bin", "model.safetensors.index.json", "model-00001-of-00002.safetensors"];
        let (small, weights) = check("a/b", &files).unwrap();
        assert_eq!(small, ["config.json", "model.safetensors.index.json"]);
        assert_eq!(weights, r#"Sharded(RepoPath("model.safetensors.index.json"))"#);
    }

    #[test]
    fn takes_the_old_tokenizer_where_there_is_no_new_one() {
        let (small, weights) = check("a/b", &["config.json", "vocab.json", "merges.txt", "pytorch_model.bin"]).unwrap();
        assert_eq!(small, ["config.json", "vocab.json", "merges.txt"]);
        assert_eq!(weights, r#"One(RepoPath("pytorch_model.bin"))"#);
    }

    #[test]
    fn takes_the_gguf_that_is_named() {
        let files = ["config.json", "model.safetensors", "m.Q8_0.gguf", "m.Q4_K_M.gguf", "m.Q4_0.gguf"];
        for id in ["a/b:m.Q4_0.gguf", "a/b:q4_0"] {
            assert_eq!(check(id, &files).unwrap(), (vec![], r#"Gguf(RepoPath("m.Q4_0.gguf"))"#.to_owned()), "{id}");
        }
        assert!(matches!(check("a/b:Q4", &files), Err(HubError::ManyFiles { files, .. }) if files.len() == 2));
        assert!(matches!(check("a/b:Q9", &files), Err(HubError::NoSuchFile { near, .. }) if near.len() == 3));
        assert!(matches!(check("a/b:model.safetensors", &files), Err(HubError::NoSuchFile { .. })));
    }

    #[test]
    fn takes_the_only_gguf_and_asks_among_many() {
        assert_eq!(check("a/b", &["x.gguf"]).unwrap().1, r#"Gguf(RepoPath("x.gguf"))"#);
        assert!(matches!(check("a/b", &["x.gguf", "y.gguf"]), Err(HubError::ManyFiles { .. })));
    }

    #[test]
    fn says_which_weights_it_cannot_read() {
        let refused = check("a/b", &["config.json", "tf_model.h5", "README.md"]);
        assert!(matches!(refused, Err(HubError::NoWeights { found, .. }) if found == ["tf_model.h5"]));
    }

    #[test]
    fn refuses_a_hostile_index() {
        let folder = tempfile::tempdir().unwrap();
        let index = folder.path().join("i.json");
        for text in [
            "",
            "[]",
            "{}",
            r#"{"weight_map":{}}"#,
            r#"{"weight_map":{"a":1}}"#,
            r#"{"weight_map":{"a":"../../x"}}"#,
            r#"{"weight_map":{"a":"/etc/passwd"}}"#,
            &format!(r#"{{"weight_map":{}"#, "[".repeat(100_000)),
        ] {
            fs::write(&index, text).unwrap();
            assert!(shards(&index).is_err(), "{text:.60}");
        }
        fs::write(&index, r#"{"metadata":{"total_size":1},"weight_map":{"a":"s2","b":"s1","c":"s2"}}"#).unwrap();
        let names: Vec<_> = shards(&index).unwrap().iter().map(|s| s.as_str().to_owned()).collect();
        assert_eq!(names, ["s1", "s2"]);
        File::create(&index).unwrap().set_len(LONGEST_INDEX + 1).unwrap();
        assert!(shards(&index).is_err());
    }

    use std::fs::File;
}
