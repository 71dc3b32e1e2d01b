//! Corpora with known documents, and what became of them.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use gptneo_corpus::{CorpusError, Job, Report, find, tokenize};
use gptneo_text::shards::{Dataset, Shard, Split};
use gptneo_text::{Special, Tokenizer, WordCounts};
use tempfile::TempDir;

/// Numbers without a pattern (splitmix64).
pub(crate) struct Noise(pub(crate) u64);

impl Noise {
    pub(crate) fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut x = (self.0 ^ self.0 >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        x = (x ^ x >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        (x ^ x >> 31) % limit
    }
}

const WORDS: [&str; 16] = [
    "the", "fox", "ran", "over", "a", "hill", "and", "saw", "naïve", "42", "stars;", "\"why?\"", "猫", "said", "\n",
    "—",
];

/// Different texts of up to 200 words.
pub(crate) fn texts(count: usize, seed: u64) -> Vec<String> {
    let mut noise = Noise(seed);
    (0..count)
        .map(|number| {
            let words = (0..noise.below(200)).map(|_| WORDS[noise.below(16) as usize]);
            let words: Vec<&str> = words.collect();
            format!("Story {seed}.{number}. {}", words.join(" "))
        })
        .collect()
}

pub(crate) fn jsonl<S: AsRef<str>>(texts: &[S]) -> String {
    let line =
        |text: &S| format!("{{\"meta\":{{\"n\":1}},\"text\":{}}}\n", serde_json::to_string(text.as_ref()).unwrap());
    texts.iter().map(line).collect()
}

/// A tokenizer of 400 tokens.
pub(crate) fn tokenizer() -> Tokenizer {
    let mut counts = WordCounts::new();
    texts(50, 99).iter().for_each(|text| counts.add(text).unwrap());
    counts.learn(400, 2).unwrap()
}

/// A folder of sources, and a place for shards.
pub(crate) struct World {
    pub(crate) dir: TempDir,
    pub(crate) names: Vec<String>,
}

impl World {
    pub(crate) fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("in")).unwrap();
        Self { dir, names: Vec::new() }
    }

    /// Adds a source.
    pub(crate) fn with(mut self, name: &str, bytes: impl AsRef<[u8]>) -> Self {
        let path = self.dir.path().join("in").join(name);
        fs::write(&path, bytes).unwrap();
        self.names.push(path.to_string_lossy().into_owned());
        self
    }

    pub(crate) fn output(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// All sources into a folder of this name: small shards, a tenth held out.
    pub(crate) fn job(&self, name: &str) -> Job {
        Job {
            sources: find(&self.names, None, None).unwrap().sources,
            tokenizer: tokenizer(),
            output: self.output(name),
            format: None,
            field: "text".into(),
            shard_tokens: 3000,
            held_out_ppm: 100_000,
            workers: 2,
            resume: false,
            cancel: None,
        }
    }

    pub(crate) fn run(&self, name: &str) -> Result<Report, CorpusError> {
        tokenize(&self.job(name), &())
    }
}

/// All files of a folder.
pub(crate) fn bytes_of(dir: &Path) -> BTreeMap<String, Vec<u8>> {
    let read = |path: PathBuf| (path.file_name().unwrap().to_string_lossy().into_owned(), fs::read(path).unwrap());
    fs::read_dir(dir).unwrap().map(|entry| read(entry.unwrap().path())).collect()
}

/// Name and text of each document of a split, in order; every shard is verified on the way.
pub(crate) fn documents(dir: &Path, split: Split) -> Vec<(String, String)> {
    let tokenizer = tokenizer();
    let data = Dataset::open(dir, split).unwrap();
    for shard in &data.manifest().split(split).shards {
        Shard::open(&dir.join(&shard.file)).unwrap().verify().unwrap();
    }
    (0..data.documents())
        .map(|number| {
            let (span, stamp) = data.document(number).unwrap();
            let mut ids = vec![0; (span.tokens.end - span.tokens.start) as usize];
            data.read(span.tokens.start, &mut ids).unwrap();
            assert_eq!(ids.pop(), tokenizer.eos());
            let text = tokenizer.decode(&ids, Special::Keep).unwrap();
            assert_eq!(text.len(), stamp.text_bytes as usize);
            (data.name(number).unwrap(), text)
        })
        .collect()
}
