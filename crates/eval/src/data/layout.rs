//! Which files of a repository at a hub are a split of a configuration, by their names.
//!
//! Parquet lies as `CONFIG/SPLIT-00000-of-00002.parquet`, as `data/SPLIT-...` where there is one configuration, or, where the
//! hub converted it, as `CONFIG/SPLIT/0000.parquet`. Other formats are taken only where the names leave no doubt.

use std::collections::BTreeSet;

use gptneo_hub::RepoPath;

use crate::data::reading::Format;

/// What a set without configurations has for one.
const DEFAULT: &str = "default";
/// The other names of a split, as the Python package `datasets` knows them.
const NAMES: [&[&str]; 3] =
    [&["train", "training"], &["validation", "valid", "val", "dev"], &["test", "testing", "eval", "evaluation"]];
/// Names that an error lists.
const LISTED: usize = 20;

/// A Parquet file of a split.
struct Shard<'a> {
    path: &'a RepoPath,
    config: String,
    split: &'a str,
    index: usize,
    /// How many there are, where the name says it.
    of: Option<usize>,
}

/// The Parquet files of a split, in order, or why there are none.
pub(crate) fn parquet(files: &[RepoPath], config: Option<&str>, split: &str) -> Result<Vec<RepoPath>, String> {
    let shards: Vec<Shard<'_>> = files.iter().filter_map(shard).collect();
    let configs: BTreeSet<&str> = shards.iter().map(|shard| shard.config.as_str()).collect();
    if configs.is_empty() {
        return Err("no Parquet files".to_owned());
    }
    let config = match config {
        Some(config) if configs.contains(config) => config,
        Some(config) => return Err(format!("no configuration {config:?}; it has {}", listed(&configs))),
        None if configs.contains(DEFAULT) => DEFAULT,
        None if configs.len() == 1 => configs.first().copied().unwrap_or(DEFAULT),
        None => return Err(format!("several configurations, and `dataset_name` names none: {}", listed(&configs))),
    };
    let of_config: Vec<&Shard<'_>> = shards.iter().filter(|shard| shard.config == config).collect();
    let splits: BTreeSet<&str> = of_config.iter().map(|shard| shard.split).collect();
    let Some(name) = names_of(split).find(|name| splits.contains(name)) else {
        if splits.contains(format!("partial-{split}").as_str()) {
            return Err(format!("only a part of the split {split:?} was converted"));
        }
        return Err(format!("no split {split:?} in its configuration {config:?}; there are {}", listed(&splits)));
    };
    let mut chosen: Vec<&Shard<'_>> = of_config.into_iter().filter(|shard| shard.split == name).collect();
    chosen.sort_by_key(|shard| shard.index);
    let wanted = chosen.first().and_then(|shard| shard.of).unwrap_or(chosen.len());
    let complete = chosen.len() == wanted
        && chosen.iter().enumerate().all(|(at, shard)| shard.index == at && shard.of.is_none_or(|of| of == wanted));
    match complete {
        true => Ok(chosen.into_iter().map(|shard| shard.path.clone()).collect()),
        false => Err(format!("{} files of the split {split:?}, which are not all of {wanted}", chosen.len())),
    }
}

fn shard(path: &RepoPath) -> Option<Shard<'_>> {
    let (folder, file) = path.as_str().rsplit_once('/').unwrap_or(("", path.as_str()));
    let stem = file.strip_suffix(".parquet")?;
    if stem.len() == 4 && stem.bytes().all(|byte| byte.is_ascii_digit()) {
        let (config, split) = folder.rsplit_once('/').unwrap_or(("", folder));
        return Some(Shard { path, config: config_of(config), split, index: stem.parse().ok()?, of: None });
    }
    // Behind the number some names have a hash.
    let mut parts = stem.splitn(5, '-');
    let (split, numbered) = (parts.next()?, (parts.next(), parts.next(), parts.next()));
    let (index, of) = match numbered {
        (Some(index), Some("of"), Some(of)) => (index.parse().ok()?, Some(of.parse().ok()?)),
        (None, ..) => (0, None),
        _ => return None,
    };
    Some(Shard { path, config: config_of(folder), split, index, of })
}

/// The folder's name without `data`, which stands for nothing.
fn config_of(folder: &str) -> String {
    let parts: Vec<&str> = folder.split('/').filter(|part| !part.is_empty() && *part != "data").collect();
    if parts.is_empty() { DEFAULT.to_owned() } else { parts.join("/") }
}

/// The files of a split in another format, or why there are none.
pub(crate) fn named(files: &[RepoPath], config: Option<&str>, split: &str) -> Result<Vec<RepoPath>, String> {
    let config = config.filter(|config| *config != DEFAULT);
    let mut fitting: Vec<&RepoPath> = Vec::new();
    for name in names_of(split) {
        fitting = files.iter().filter(|file| fits(file.as_str(), config, name)).collect();
        if !fitting.is_empty() {
            break;
        }
    }
    for format in [Format::Jsonl, Format::Json, Format::Csv, Format::Tsv] {
        let mut chosen: Vec<RepoPath> =
            fitting.iter().filter(|file| Format::of(file.as_str()) == Some(format)).map(|&file| file.clone()).collect();
        chosen.sort();
        let bare = |file: &RepoPath| file.as_str().replace(|c: char| c.is_ascii_digit(), "");
        let kinds: BTreeSet<String> = chosen.iter().map(bare).collect();
        match kinds.len() {
            0 => {}
            1 => return Ok(chosen),
            _ => {
                let names = chosen.iter().map(RepoPath::as_str).collect();
                return Err(format!("several files that may be meant: {}", listed(&names)));
            }
        }
    }
    Err(format!("no file of jsonl, json, csv or tsv whose name has {split:?} in it"))
}

/// Whether a name has the words of split and configuration in it, and no other split.
fn fits(path: &str, config: Option<&str>, split: &str) -> bool {
    let words = |text: &str| -> Vec<String> {
        text.split(|c: char| !c.is_ascii_alphanumeric()).map(str::to_ascii_lowercase).collect()
    };
    let (of_path, of_file) = (words(path), words(path.rsplit('/').next().unwrap_or(path)));
    let has = |words: &[String], wanted: &str| words.iter().any(|word| word == wanted);
    let same = |name: &&str| names_of(split).any(|own| own == *name);
    let other = NAMES.iter().flat_map(|names| names.iter()).any(|name| !same(name) && has(&of_file, name));
    let of_split = words(split).iter().all(|word| has(&of_path, word));
    of_split && !other && config.is_none_or(|config| words(config).iter().all(|word| has(&of_path, word)))
}

/// A split's name, then the others that it may go by.
fn names_of(split: &str) -> impl Iterator<Item = &str> {
    let others = NAMES.iter().find(|names| names.contains(&split)).copied().unwrap_or_default();
    std::iter::once(split).chain(others.iter().copied().filter(move |name| *name != split))
}

fn listed(names: &BTreeSet<&str>) -> String {
    let more = if names.len() > LISTED { ", …" } else { "" };
    let first: Vec<&str> = names.iter().take(LISTED).map(|name| gptneo_tables::shown(name)).collect();
    format!("{}{more}", first.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    type Chooser = fn(&[RepoPath], Option<&str>, &str) -> Result<Vec<RepoPath>, String>;

    fn check(choose: Chooser, names: &[&str], config: Option<&str>, split: &str, wanted: Result<&[&str], &str>) {
        let files: Vec<RepoPath> = names.iter().map(|name| RepoPath::new(name).unwrap()).collect();
        let chosen = choose(&files, config, split);
        match (chosen, wanted) {
            (Ok(chosen), Ok(wanted)) => {
                assert_eq!(chosen.iter().map(RepoPath::as_str).collect::<Vec<_>>(), wanted, "{names:?}");
            }
            (Err(said), Err(wanted)) => assert!(said.contains(wanted), "{said}"),
            (chosen, wanted) => panic!("{chosen:?} instead of {wanted:?}"),
        }
    }

    #[test]
    fn finds_parquet_in_every_layout() {
        let glue = [
            "README.md",
            "mrpc/test-00000-of-00001.parquet",
            "mrpc/validation-00001-of-00002.parquet",
            "mrpc/validation-00000-of-00002.parquet",
            "rte/validation-00000-of-00001.parquet",
        ];
        let both = ["mrpc/validation-00000-of-00002.parquet", "mrpc/validation-00001-of-00002.parquet"];
        check(parquet, &glue, Some("mrpc"), "validation", Ok(&both));
        check(parquet, &glue, Some("mrpc"), "dev", Ok(&both));
        check(parquet, &glue, Some("mrpc"), "train", Err("there are test, validation"));
        check(parquet, &glue, Some("cola"), "test", Err("no configuration \"cola\"; it has mrpc, rte"));
        check(parquet, &glue, None, "test", Err("several configurations"));
        let one = ["data/train-00000-of-00001-a09b74b3ef9c3b56.parquet", "data/test-00000-of-00001.parquet"];
        check(parquet, &one, None, "train", Ok(&one[..1]));
        check(parquet, &one, Some("default"), "test", Ok(&one[1..]));
        check(parquet, &one, Some("main"), "test", Err("it has default"));
        let converted =
            ["plain_text/test/0001.parquet", "plain_text/test/0000.parquet", "x/partial-train/0000.parquet"];
        check(parquet, &converted, Some("plain_text"), "test", Ok(&[converted[1], converted[0]]));
        check(parquet, &converted, Some("x"), "train", Err("only a part"));
        check(parquet, &["train.parquet", "test.parquet"], None, "test", Ok(&["test.parquet"]));
        check(parquet, &["data/x.bin"], None, "test", Err("no Parquet files"));
    }

    #[test]
    fn a_split_with_a_shard_missing_is_none() {
        let name = "test-00001-of-00002.parquet";
        check(parquet, &[name], None, "test", Err("not all of 2"));
        check(
            parquet,
            &[name, "data/test-00000-of-00002.parquet"],
            None,
            "test",
            Ok(&["data/test-00000-of-00002.parquet", name]),
        );
        check(parquet, &[name, "test-00000-of-00003.parquet"], None, "test", Err("not all of 3"));
        check(parquet, &["a/test/0001.parquet"], None, "test", Err("not all of 1"));
    }

    #[test]
    fn takes_other_formats_only_without_doubt() {
        let names = ["dataset_infos.json", "data/lambada_test_en.jsonl", "data/lambada_test_de.jsonl", "dev.csv"];
        check(named, &names, Some("en"), "test", Ok(&names[1..2]));
        check(named, &names, None, "test", Err("several files that may be meant"));
        check(named, &names, None, "validation", Ok(&names[3..]));
        check(named, &names, None, "train", Err("no file"));
        check(
            named,
            &["test-1.jsonl", "test-0.jsonl", "test.csv"],
            None,
            "test",
            Ok(&["test-0.jsonl", "test-1.jsonl"]),
        );
        check(named, &["train_test.jsonl", "latest.jsonl"], None, "test", Err("no file"));
    }
}
