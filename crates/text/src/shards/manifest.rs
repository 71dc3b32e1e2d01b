//! `manifest.json`: what a folder of token shards holds, and what it was made of.
//!
//! The same sources, tokenizer and settings give the same manifest, byte for byte: it has no date and no path of a machine.

use std::fs::File;
use std::io::{ErrorKind, Read};
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::atomic::write_whole;
use super::header::VERSION;
use crate::error::{Result, TextError, shown};

/// The manifest's name in its folder.
pub const MANIFEST: &str = "manifest.json";

const FORMAT: &str = "gptneo token shards";

/// A manifest of some ten thousand shards and as many sources has a few megabytes.
const LONGEST: u64 = 256 << 20;

/// Half of the documents, told apart by a hash of their text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Split {
    /// What a model is trained on.
    Train,
    /// What it never sees in training.
    HeldOut,
}

impl Split {
    /// Both.
    pub const ALL: [Split; 2] = [Split::Train, Split::HeldOut];

    /// As file names and messages say it: `train`, `held-out`.
    pub fn name(self) -> &'static str {
        match self {
            Split::Train => "train",
            Split::HeldOut => "held-out",
        }
    }

    /// The name of its shard with this number: `train-00000.tokens`.
    pub fn shard(self, number: u64) -> String {
        format!("{}-{number:05}.tokens", self.name())
    }
}

/// Everything a folder of shards says of itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    format: String,
    version: u32,
    /// What made the ids.
    pub tokenizer: TokenizerEntry,
    /// How the documents were taken.
    pub settings: Settings,
    /// Where they came from; a document names its source by its place here.
    pub sources: Vec<SourceEntry>,
    /// What to train on.
    pub train: SplitEntry,
    /// What to measure on.
    pub held_out: SplitEntry,
    /// What was found and left out.
    pub skipped: Skipped,
}

/// The tokenizer behind the ids.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TokenizerEntry {
    /// [`Tokenizer::fingerprint`](crate::Tokenizer::fingerprint) in hexadecimal.
    pub sha256: String,
    /// Every id is below this.
    pub vocab_size: u32,
    /// The id after each document.
    pub end_of_text: u32,
}

/// What decides which documents there are, and where they lie.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// The format that was asked for; `None`: by each file's name.
    pub format: Option<String>,
    /// The field or column with the text.
    pub field: String,
    /// Shards end with the document that reaches so many tokens, of both splits together.
    pub shard_tokens: u64,
    /// Documents in a million that are held out.
    pub held_out_ppm: u32,
}

/// A file that documents came from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SourceEntry {
    /// The name it was found by.
    pub name: String,
    /// Its bytes, compressed if it is.
    pub bytes: u64,
    /// Of these bytes, in hexadecimal.
    pub sha256: String,
    /// Documents taken from it.
    pub documents: u64,
    /// Bytes of their text.
    pub text_bytes: u64,
    /// Tokens made of it, those of end-of-text included.
    pub tokens: u64,
}

/// One half of the documents.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SplitEntry {
    /// Tokens, those of end-of-text included.
    pub tokens: u64,
    /// Documents.
    pub documents: u64,
    /// Bytes of their text.
    pub text_bytes: u64,
    /// In order.
    pub shards: Vec<ShardEntry>,
}

impl SplitEntry {
    /// Adds a shard at the end.
    pub fn push(&mut self, shard: ShardEntry) {
        self.tokens += shard.tokens;
        self.documents += shard.documents;
        self.text_bytes += shard.text_bytes;
        self.shards.push(shard);
    }
}

/// One shard.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ShardEntry {
    /// Its name in the folder.
    pub file: String,
    /// Of the whole file, in hexadecimal.
    pub sha256: String,
    /// Length of the file.
    pub bytes: u64,
    /// Tokens.
    pub tokens: u64,
    /// Documents.
    pub documents: u64,
    /// Bytes of their text.
    pub text_bytes: u64,
}

/// Records that gave no document, by reason.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Skipped {
    /// The text is empty, or white space alone.
    pub empty: u64,
    /// Not UTF-8.
    pub not_utf8: u64,
    /// Not a JSON object.
    pub not_json: u64,
    /// Without the field, or with something there that is no text.
    pub no_text: u64,
    /// Longer than a document may be.
    pub too_long: u64,
    /// The vocabulary cannot spell it.
    pub unencodable: u64,
}

impl Skipped {
    /// All together.
    pub fn total(&self) -> u64 {
        self.by_reason().iter().map(|(_, count)| count).sum()
    }

    /// The counts with their reasons in words.
    pub fn by_reason(&self) -> [(&'static str, u64); 6] {
        [
            ("empty", self.empty),
            ("not UTF-8", self.not_utf8),
            ("not a JSON object", self.not_json),
            ("without text in the field", self.no_text),
            ("too long", self.too_long),
            ("not spelled by the vocabulary", self.unencodable),
        ]
    }
}

impl Manifest {
    /// A manifest of these shards.
    pub fn new(tokenizer: TokenizerEntry, settings: Settings) -> Self {
        Self {
            format: FORMAT.to_owned(),
            version: VERSION,
            tokenizer,
            settings,
            sources: Vec::new(),
            train: SplitEntry::default(),
            held_out: SplitEntry::default(),
            skipped: Skipped::default(),
        }
    }

    /// Reads the manifest of a folder and checks it against itself.
    ///
    /// # Errors
    /// [`TextError::NoShards`] if there is none, [`TextError::Read`], [`TextError::Shard`] for a manifest that is broken,
    /// of another version, or that names files outside its folder.
    pub fn open(dir: &Path) -> Result<Self> {
        let path = dir.join(MANIFEST);
        let bad = |detail: String| TextError::Shard { path: path.clone(), detail };
        let mut bytes = Vec::new();
        let read = File::open(&path).and_then(|file| file.take(LONGEST + 1).read_to_end(&mut bytes));
        match read {
            Err(error) if error.kind() == ErrorKind::NotFound => return Err(TextError::NoShards { dir: dir.into() }),
            Err(source) => return Err(TextError::Read { path, source }),
            Ok(read) if read as u64 > LONGEST => return Err(bad(format!("it is longer than {LONGEST} bytes"))),
            Ok(_) => {}
        }
        let manifest: Self = serde_json::from_slice(&bytes).map_err(|error| bad(shown(&error.to_string())))?;
        manifest.check().map_err(bad)?;
        Ok(manifest)
    }

    /// Writes it into a folder, in place of what was there.
    ///
    /// # Errors
    /// [`TextError::Write`].
    pub fn write(&self, dir: &Path) -> Result<()> {
        let mut text = serde_json::to_string_pretty(self).expect("strings and numbers can be written");
        text.push('\n');
        write_whole(&dir.join(MANIFEST), text.as_bytes())
    }

    /// One half of it.
    pub fn split(&self, split: Split) -> &SplitEntry {
        match split {
            Split::Train => &self.train,
            Split::HeldOut => &self.held_out,
        }
    }

    /// Checks it against itself: [`Manifest::open`] does. What is wrong comes back in words.
    ///
    /// # Errors
    /// Another format or version, names that lead out of the folder, counts that cannot be or do not add up.
    pub fn check(&self) -> std::result::Result<(), String> {
        if self.format != FORMAT || self.version != VERSION {
            let (format, version) = (shown(&self.format), self.version);
            return Err(format!("it is {format:?} version {version}, and this program reads {FORMAT:?} {VERSION}"));
        }
        if self.tokenizer.end_of_text >= self.tokenizer.vocab_size {
            return Err("its end-of-text token is not in its vocabulary".to_owned());
        }
        for split in Split::ALL {
            let entry = self.split(split);
            let mut sums = [0u64; 3];
            for shard in &entry.shards {
                let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
                if shard.file.is_empty() || shard.file.starts_with('.') || !shard.file.chars().all(plain) {
                    return Err(format!("{:?} is not the name of a file in this folder", shown(&shard.file)));
                }
                // Two bytes a token and 24 a document at least: no shard can count more than it has bytes for.
                let least = shard.documents.checked_mul(24).and_then(|d| shard.tokens.checked_mul(2)?.checked_add(d));
                if least.is_none_or(|least| least > shard.bytes) {
                    return Err(format!("{} cannot have so many tokens and documents", shard.file));
                }
                for (sum, count) in sums.iter_mut().zip([shard.tokens, shard.documents, shard.text_bytes]) {
                    *sum = sum.checked_add(count).ok_or("its shards have more than can be counted")?;
                }
            }
            if sums != [entry.tokens, entry.documents, entry.text_bytes] {
                return Err(format!("the counts of its {} shards do not add up", split.name()));
            }
        }
        Ok(())
    }
}
