//! Sources to token shards.
//!
//! Documents go to the training or the held-out split by a hash of their text, so copies of one text stay together. Both
//! splits are cut into shards at the same places; between two shards a run can be killed and resumed.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use gptneo_text::shards::{Manifest, Settings, ShardWriter, Skipped, SourceEntry, Split, Stamp, TokenizerEntry};
use gptneo_text::{TextError, Tokenizer};
use sha2::{Digest, Sha256};

use crate::batch::{Batch, Flaw};
use crate::document;
use crate::error::{CorpusError, Result};
use crate::find::{Format, Source};
use crate::pool;
use crate::read::{Reader, Step};
use crate::stream::Digested;
use crate::unfinished::{self, Beginning, Unfinished};

/// A million in a million.
const ALL_PPM: u32 = 1_000_000;

/// Documents in a shard at most: its index is held while it is written.
const SHARD_DOCUMENTS: u64 = 1 << 22;

/// Records left out that the report names.
const EXAMPLES: usize = 5;

/// What to tokenize, and how.
#[derive(Clone, Debug)]
pub struct Job {
    /// From [`find`](crate::find()).
    pub sources: Vec<Source>,
    /// What makes the ids. Special tokens in a text are text to it.
    pub tokenizer: Tokenizer,
    /// The folder for the shards.
    pub output: PathBuf,
    /// The format that the sources were found with.
    pub format: Option<Format>,
    /// The field or column with the text.
    pub field: String,
    /// Shards end with the document that reaches so many tokens, of both splits together.
    pub shard_tokens: u64,
    /// Documents in a million that are held out.
    pub held_out_ppm: u32,
    /// Threads that tokenize.
    pub workers: usize,
    /// Go on with the run that the folder holds.
    pub resume: bool,
    /// Set it to stop soon.
    pub cancel: Option<Arc<AtomicBool>>,
}

/// How far a run is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Status {
    /// Bytes of the sources that are done.
    pub bytes: u64,
    /// Bytes of all sources.
    pub total_bytes: u64,
    /// Tokens made, those of an earlier run included.
    pub tokens: u64,
    /// Documents taken.
    pub documents: u64,
}

/// Who is told how far a run is.
pub trait Watch {
    /// The run goes on from here.
    fn resumed(&self, status: &Status);
    /// The run is here now.
    fn at(&self, status: &Status);
}

/// Nobody.
impl Watch for () {
    fn resumed(&self, _: &Status) {}
    fn at(&self, _: &Status) {}
}

/// What came of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// What the folder holds.
    pub manifest: Manifest,
    /// The first records that were left out, each with its reason.
    pub examples: Vec<String>,
    /// Tokens that an earlier run had made.
    pub resumed_tokens: u64,
}

/// Makes token shards.
///
/// The bytes written depend on the sources, the tokenizer, the field, `shard_tokens` and `held_out_ppm`, and not on the
/// number of workers, nor on how often the run was killed and resumed.
///
/// # Errors
/// Any [`CorpusError`]. What is complete by then stays, for `resume`.
pub fn tokenize(job: &Job, watch: &dyn Watch) -> Result<Report> {
    let setting = |detail: &str| CorpusError::Setting { detail: detail.to_owned() };
    let end_of_text = job.tokenizer.eos().ok_or_else(|| setting("the tokenizer has no end-of-text token"))?;
    let mark = job.tokenizer.token(end_of_text).unwrap_or_default().to_owned();
    if job.sources.is_empty() || job.shard_tokens == 0 || job.held_out_ppm > ALL_PPM || mark.is_empty() {
        return Err(setting(
            "wanted sources, shards of at least one token, and at most a million in a million held out",
        ));
    }
    let fresh = Unfinished::new(describe(job, end_of_text), &job.sources);
    let mut run = match unfinished::begin(&job.output, &fresh, job.resume)? {
        Beginning::Over(manifest) => {
            let resumed_tokens = manifest.train.tokens + manifest.held_out.tokens;
            return Ok(Report { manifest: *manifest, examples: Vec::new(), resumed_tokens });
        }
        Beginning::New => Run::new(job, fresh),
        Beginning::Within(unfinished) => Run::new(job, *unfinished),
    };
    let resumed_tokens = run.status().tokens;
    let mut reader = Reader::new(&job.sources, &job.field, mark.as_bytes(), run.at.source, run.at.record);
    let cancelled = || job.cancel.as_ref().is_some_and(|cancel| cancel.load(Ordering::Relaxed));
    let next = || if cancelled() { Err(CorpusError::Cancelled) } else { reader.step() };
    let work = |(): &mut (), step| match step {
        Step::Batch(batch) => Done::Batch(encode(job, end_of_text, &batch)),
        Step::Over { source, digested } => Done::Over { source, digested },
    };
    if resumed_tokens > 0 {
        watch.resumed(&run.status());
    }
    let take = |done| {
        run.take(done)?;
        watch.at(&run.status());
        Ok(())
    };
    pool::in_order(job.workers, || (), work, next, take)?;
    run.finish(resumed_tokens)
}

fn describe(job: &Job, end_of_text: u32) -> Manifest {
    let sha256 = hex(&job.tokenizer.fingerprint());
    let vocab_size = u32::try_from(job.tokenizer.vocab_size()).expect("ids are u32");
    let tokenizer = TokenizerEntry { sha256, vocab_size, end_of_text };
    let settings = Settings {
        format: job.format.map(|format| format.name().to_owned()),
        field: job.field.clone(),
        shard_tokens: job.shard_tokens,
        held_out_ppm: job.held_out_ppm,
    };
    let mut manifest = Manifest::new(tokenizer, settings);
    manifest.sources.extend(job.sources.iter().map(|source| SourceEntry {
        name: source.name.clone(),
        bytes: source.bytes,
        sha256: String::new(),
        documents: 0,
        text_bytes: 0,
        tokens: 0,
    }));
    manifest
}

/// What a worker gives.
enum Done {
    Batch(Encoded),
    Over { source: usize, digested: Digested },
}

/// The records of a batch as ids.
struct Encoded {
    source: usize,
    progress: u64,
    ids: Vec<u32>,
    outcomes: Vec<(u64, std::result::Result<Placed, Flaw>)>,
}

/// A document of a batch.
struct Placed {
    /// How many of the ids are its own.
    ids: usize,
    text_bytes: u32,
    split: Split,
}

fn encode(job: &Job, end_of_text: u32, batch: &Batch) -> Encoded {
    let mut ids: Vec<u32> = Vec::with_capacity(batch.bytes.len() / 3);
    let mut document = |bytes: &[u8]| {
        let text = document::text(bytes, batch.kind, &job.field)?;
        let encoded = job.tokenizer.encode_plain(&text).map_err(|error| match error {
            TextError::WordTooLong { .. } => Flaw::TooLong,
            _ => Flaw::Unencodable,
        })?;
        ids.extend_from_slice(&encoded);
        ids.push(end_of_text);
        // A record is shorter than 2^32 bytes, and no JSON string is longer than its spelling.
        Ok(Placed {
            ids: encoded.len() + 1,
            text_bytes: text.len() as u32,
            split: split_of(text.as_bytes(), job.held_out_ppm),
        })
    };
    let outcomes = batch.records.iter().map(|record| {
        let bytes = record.bytes.as_ref().map_err(|flaw| *flaw);
        (record.number, bytes.and_then(|range| document(&batch.bytes[range.clone()])))
    });
    let outcomes = outcomes.collect();
    Encoded { source: batch.source, progress: batch.progress, ids, outcomes }
}

/// The split of a text: its hash as a fraction, against the fraction held out.
pub(crate) fn split_of(text: &[u8], held_out_ppm: u32) -> Split {
    if held_out_ppm == 0 {
        return Split::Train;
    }
    let digest = Sha256::digest(text);
    let number = u64::from_le_bytes(digest[..8].try_into().expect("8 bytes"));
    let millionth = (u128::from(number) * u128::from(ALL_PPM)) >> 64;
    if millionth < u128::from(held_out_ppm) { Split::HeldOut } else { Split::Train }
}

/// The end of the pipe: counts, and the shards being written.
struct Run<'a> {
    job: &'a Job,
    at: Unfinished,
    fingerprint: [u8; 32],
    writers: [Option<ShardWriter>; 2],
    progress: u64,
    /// Tokens and documents since the last complete shards.
    open: (u64, u64),
}

impl<'a> Run<'a> {
    fn new(job: &'a Job, at: Unfinished) -> Self {
        let progress = job.sources[..at.source].iter().map(|source| source.bytes).sum();
        Self { job, at, fingerprint: job.tokenizer.fingerprint(), writers: [None, None], progress, open: (0, 0) }
    }

    fn status(&self) -> Status {
        let Manifest { train, held_out, .. } = &self.at.manifest;
        Status {
            bytes: self.progress,
            total_bytes: self.job.sources.iter().map(|source| source.bytes).sum(),
            tokens: train.tokens + held_out.tokens + self.open.0,
            documents: train.documents + held_out.documents + self.open.1,
        }
    }

    fn take(&mut self, done: Done) -> Result<()> {
        match done {
            Done::Batch(encoded) => self.take_batch(&encoded),
            Done::Over { source, digested } => {
                let entry = &mut self.at.manifest.sources[source];
                entry.sha256 = digested.sha256;
                entry.bytes = digested.bytes;
                self.at.source = source + 1;
                self.at.record = 0;
                Ok(())
            }
        }
    }

    fn take_batch(&mut self, encoded: &Encoded) -> Result<()> {
        let mut ids = &encoded.ids[..];
        for (record, outcome) in &encoded.outcomes {
            match outcome {
                Ok(placed) => {
                    let (ours, rest) = ids.split_at(placed.ids);
                    ids = rest;
                    let source = u32::try_from(encoded.source).expect("fewer sources than 2^32");
                    let stamp = Stamp { source, record: *record, text_bytes: placed.text_bytes };
                    self.writer(placed.split)?.push(ours, stamp)?;
                    let entry = &mut self.at.manifest.sources[encoded.source];
                    entry.documents += 1;
                    entry.text_bytes += u64::from(placed.text_bytes);
                    entry.tokens += ours.len() as u64;
                    self.open.0 += ours.len() as u64;
                    self.open.1 += 1;
                }
                Err(flaw) => self.leave_out(encoded.source, *record, *flaw),
            }
            self.at.record = *record;
            if self.open.0 >= self.job.shard_tokens || self.open.1 >= SHARD_DOCUMENTS {
                self.close()?;
                self.at.write(&self.job.output)?;
            }
        }
        self.progress = encoded.progress;
        Ok(())
    }

    fn leave_out(&mut self, source: usize, record: u64, flaw: Flaw) {
        let Skipped { empty, not_utf8, not_json, no_text, too_long, unencodable } = &mut self.at.manifest.skipped;
        let (count, reason) = match flaw {
            Flaw::Empty => (empty, "it is empty"),
            Flaw::NotUtf8 => (not_utf8, "it is not UTF-8"),
            Flaw::NotJson => (not_json, "it is not a JSON object"),
            Flaw::NoText => (no_text, "it has no text in the field"),
            Flaw::TooLong => (too_long, "it is too long"),
            Flaw::Unencodable => (unencodable, "the vocabulary cannot spell it"),
        };
        *count += 1;
        if self.at.examples.len() < EXAMPLES {
            self.at.examples.push(format!("{}:{record}: {reason}", self.job.sources[source].name));
        }
    }

    fn writer(&mut self, split: Split) -> Result<&mut ShardWriter> {
        let writer = &mut self.writers[split as usize];
        if writer.is_none() {
            let path = self.job.output.join(split.shard(self.at.parts));
            let vocab_size = self.at.manifest.tokenizer.vocab_size;
            *writer = Some(ShardWriter::create(&path, vocab_size, self.fingerprint)?);
        }
        Ok(writer.as_mut().expect("just made"))
    }

    /// Completes the shards being written.
    fn close(&mut self) -> Result<()> {
        for split in Split::ALL {
            if let Some(writer) = self.writers[split as usize].take() {
                let shard = writer.finish()?;
                match split {
                    Split::Train => self.at.manifest.train.push(shard),
                    Split::HeldOut => self.at.manifest.held_out.push(shard),
                }
            }
        }
        self.at.parts += 1;
        self.open = (0, 0);
        Ok(())
    }

    fn finish(mut self, resumed_tokens: u64) -> Result<Report> {
        if self.open.1 > 0 {
            self.close()?;
        }
        let Unfinished { manifest, examples, .. } = self.at;
        if manifest.train.documents + manifest.held_out.documents == 0 {
            return Err(CorpusError::NoDocuments {
                sources: self.job.sources.len(),
                skipped: in_words(&manifest.skipped),
            });
        }
        manifest.write(&self.job.output)?;
        unfinished::end(&self.job.output)?;
        Ok(Report { manifest, examples, resumed_tokens })
    }
}

fn in_words(skipped: &Skipped) -> String {
    let found: Vec<String> = skipped
        .by_reason()
        .into_iter()
        .filter(|(_, count)| *count > 0)
        .map(|(reason, count)| format!("{count} records {reason}"))
        .collect();
    if found.is_empty() { "they have no records".to_owned() } else { found.join(", ") }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
