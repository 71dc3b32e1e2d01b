//! `unfinished.json`: how far a run has come, so that a killed one goes on from its last complete shards.

use std::fs::{self, File};
use std::io::{ErrorKind, Read};
use std::path::Path;

use gptneo_text::shards::{MANIFEST, Manifest, Split, write_whole};
use serde::{Deserialize, Serialize};

use crate::error::{CorpusError, Result, read_failed, shown};
use crate::find::Source;

/// Its name in the output folder.
pub(crate) const UNFINISHED: &str = "unfinished.json";

/// It holds a manifest and some 100 bytes for each source.
const LONGEST: u64 = 512 << 20;

/// A run between two shards.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Unfinished {
    /// What the shards that are complete hold.
    pub(crate) manifest: Manifest,
    /// Parts that are complete: the number of the next shards.
    pub(crate) parts: u64,
    /// The source that was being read, and how many of its records are done.
    pub(crate) source: usize,
    pub(crate) record: u64,
    /// What the sources were like.
    found: Vec<Found>,
    /// The first records that were left out, for the report.
    pub(crate) examples: Vec<String>,
}

/// A source as it was found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Found {
    name: String,
    bytes: u64,
    modified: u64,
}

/// What an output folder holds.
pub(crate) enum Beginning {
    /// Nothing of ours, or nothing worth keeping.
    New,
    /// Some complete shards.
    Within(Box<Unfinished>),
    /// Everything.
    Over(Box<Manifest>),
}

impl Unfinished {
    pub(crate) fn new(manifest: Manifest, sources: &[Source]) -> Self {
        let found = sources.iter().map(|Source { name, bytes, modified, .. }| Found {
            name: name.clone(),
            bytes: *bytes,
            modified: *modified,
        });
        Self { manifest, parts: 0, source: 0, record: 0, found: found.collect(), examples: Vec::new() }
    }

    pub(crate) fn write(&self, dir: &Path) -> Result<()> {
        let text = serde_json::to_string(self).expect("strings and numbers can be written");
        Ok(write_whole(&dir.join(UNFINISHED), text.as_bytes())?)
    }
}

/// Looks into the output folder, making it if it is not there. `fresh` is how this run would begin.
///
/// # Errors
/// [`CorpusError::Output`] for a folder that holds shards though `resume` is not set, or shards of another run.
pub(crate) fn begin(dir: &Path, fresh: &Unfinished, resume: bool) -> Result<Beginning> {
    fs::create_dir_all(dir).map_err(|source| CorpusError::Write { path: dir.to_owned(), source })?;
    let refuse = |detail: &str| Err(CorpusError::Output { dir: dir.to_owned(), detail: detail.to_owned() });
    let unfinished = read(dir)?;
    let finished = fs::exists(dir.join(MANIFEST)).map_err(read_failed(dir))?;
    let shards = of_ours(dir)?;
    if !resume {
        return match (finished, unfinished.is_some() || !shards.is_empty()) {
            (true, _) => refuse("it holds token shards already; choose another folder, or remove it first"),
            (_, true) => refuse("it holds an unfinished run; go on with --resume, or remove the folder first"),
            (false, false) => Ok(Beginning::New),
        };
    }
    if finished {
        let manifest = Manifest::open(dir)?;
        same(dir, &manifest, &fresh.manifest)?;
        // Killed between its last two steps.
        remove(dir, &[UNFINISHED.to_owned()])?;
        return Ok(Beginning::Over(Box::new(manifest)));
    }
    let kept: Vec<&str> = match &unfinished {
        Some(unfinished) => {
            same(dir, &unfinished.manifest, &fresh.manifest)?;
            if let Some((before, _)) = unfinished.found.iter().zip(&fresh.found).find(|(before, now)| before != now) {
                return refuse(&format!("the source {} has changed since; begin again in another folder", before.name));
            }
            check_shards(dir, &unfinished.manifest)?;
            Split::ALL.iter().flat_map(|&s| &unfinished.manifest.split(s).shards).map(|shard| &*shard.file).collect()
        }
        None => Vec::new(),
    };
    // Whatever came after the last complete shards is made again.
    let stale: Vec<String> = shards.into_iter().filter(|name| !kept.contains(&name.as_str())).collect();
    remove(dir, &stale)?;
    Ok(unfinished.map_or(Beginning::New, |unfinished| Beginning::Within(Box::new(unfinished))))
}

/// Removes the record of a run that is over.
pub(crate) fn end(dir: &Path) -> Result<()> {
    remove(dir, &[UNFINISHED.to_owned()])
}

fn read(dir: &Path) -> Result<Option<Unfinished>> {
    let path = dir.join(UNFINISHED);
    let bad = |detail: String| CorpusError::Source { path: path.clone(), detail };
    let mut bytes = Vec::new();
    match File::open(&path).and_then(|file| file.take(LONGEST + 1).read_to_end(&mut bytes)) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(CorpusError::Read { path, source: error }),
        Ok(read) if read as u64 > LONGEST => return Err(bad(format!("it is longer than {LONGEST} bytes"))),
        Ok(_) => {}
    }
    let unfinished: Unfinished =
        serde_json::from_slice(&bytes).map_err(|error| bad(format!("it is damaged: {}", shown(&error.to_string()))))?;
    unfinished.manifest.check().map_err(bad)?;
    if unfinished.source >= unfinished.found.len() || unfinished.manifest.sources.len() != unfinished.found.len() {
        return Err(bad("it is damaged: its sources do not fit together".to_owned()));
    }
    Ok(Some(unfinished))
}

/// Whether two runs make the same shards of the same sources.
fn same(dir: &Path, before: &Manifest, now: &Manifest) -> Result<()> {
    let names = |manifest: &Manifest| manifest.sources.iter().map(|s| (s.name.clone(), s.bytes)).collect::<Vec<_>>();
    let differs = [
        ("tokenizer", before.tokenizer != now.tokenizer),
        ("format", before.settings.format != now.settings.format),
        ("field", before.settings.field != now.settings.field),
        ("shard length", before.settings.shard_tokens != now.settings.shard_tokens),
        ("held-out fraction", before.settings.held_out_ppm != now.settings.held_out_ppm),
        ("list of sources", names(before) != names(now)),
    ];
    match differs.iter().find(|(_, differs)| *differs) {
        None => Ok(()),
        Some((what, _)) => Err(CorpusError::Output {
            dir: dir.to_owned(),
            detail: format!("it holds a run with another {what}; give the same as then, or choose another folder"),
        }),
    }
}

fn check_shards(dir: &Path, manifest: &Manifest) -> Result<()> {
    for shard in Split::ALL.iter().flat_map(|&split| &manifest.split(split).shards) {
        let found = fs::metadata(dir.join(&shard.file)).map(|metadata| metadata.len()).ok();
        if found != Some(shard.bytes) {
            let detail = format!("{} is missing or has another length; begin again in another folder", shard.file);
            return Err(CorpusError::Output { dir: dir.to_owned(), detail });
        }
    }
    Ok(())
}

/// Names of shards, whole or in the making.
fn of_ours(dir: &Path) -> Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in fs::read_dir(dir).map_err(read_failed(dir))? {
        let name = entry.map_err(read_failed(dir))?.file_name().to_string_lossy().into_owned();
        let shard = name.strip_suffix(".part").unwrap_or(&name);
        let is_shard = shard.ends_with(".tokens") && Split::ALL.iter().any(|split| shard.starts_with(split.name()));
        if is_shard || name.strip_suffix(".part").is_some_and(|name| name == UNFINISHED || name == MANIFEST) {
            names.push(name);
        }
    }
    Ok(names)
}

fn remove(dir: &Path, names: &[String]) -> Result<()> {
    for name in names {
        let path = dir.join(name);
        match fs::remove_file(&path) {
            Err(source) if source.kind() != ErrorKind::NotFound => return Err(CorpusError::Write { path, source }),
            _ => {}
        }
    }
    Ok(())
}
