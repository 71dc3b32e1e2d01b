//! Token shards as something to look through: what a model was trained on, read once from end to end.
//!
//! Documents are read whole and one by one, by their index; which thread reads which does not change what is found. Memory holds a piece of
//! a document for each thread.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::Duration;

use gptneo_text::shards::{Dataset, Manifest, Split};
use gptneo_text::{TextError, Tokenizer};
use serde_json::{Value, json};

use crate::asking::Watch;
use crate::error::EvalError;

/// Documents that a thread takes at once.
const BATCH: u64 = 64;

/// Tokens that are read at once.
const PIECE: usize = 1 << 14;

/// How often whoever watches is told.
const TICK: Duration = Duration::from_millis(50);

/// Folders of token shards, all made by one tokenizer.
#[derive(Debug)]
pub struct Shards {
    parts: Vec<Dataset>,
    tokenizer: Tokenizer,
    threads: usize,
}

/// How much of them has been read.
#[derive(Debug, Default)]
struct Done {
    tokens: AtomicU64,
    bytes: AtomicU64,
}

/// A document of the shards: the part, counted from 0, and its number in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Place {
    pub(crate) part: usize,
    pub(crate) document: u64,
}

/// Where a document lies, for people and for JSON.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Whereabouts {
    /// The folder.
    pub folder: PathBuf,
    /// The file in it.
    pub shard: String,
    /// Its number in this file, from 0.
    pub document: u64,
    /// Its source and the record in it: `stories.jsonl.zst:1234`.
    pub source: String,
}

/// Takes documents from their first token to their last. The token that ends a document is left out.
pub(crate) trait Reader: Send {
    fn begin(&mut self, place: Place);

    fn tokens(&mut self, ids: &[u32]) -> Result<(), EvalError>;

    fn end(&mut self) -> Result<(), EvalError>;
}

impl Shards {
    /// Opens the training split of each folder, and the held-out split too where that is wanted. `threads` read at once.
    ///
    /// # Errors
    /// [`EvalError::Text`] for folders that are none and files that are missing or of another length; [`EvalError::Shards`] for a folder of another
    /// tokenizer than this, and for one without a document.
    pub fn open(folders: &[PathBuf], held_out: bool, tokenizer: Tokenizer, threads: usize) -> Result<Self, EvalError> {
        let own: String = tokenizer.fingerprint().iter().map(|byte| format!("{byte:02x}")).collect();
        let splits: &[Split] = if held_out { &Split::ALL } else { &[Split::Train] };
        let mut parts = Vec::new();
        for (at, folder) in folders.iter().enumerate() {
            let bad = |why: String| EvalError::Shards { folder: folder.clone(), why };
            if folders[..at].contains(folder) {
                return Err(bad("it is named twice, and would count twice".to_owned()));
            }
            let manifest = Manifest::open(folder)?;
            if manifest.tokenizer.sha256 != own {
                return Err(bad(format!(
                    "its shards were made by the tokenizer {:.12}…, and the one at hand is {own:.12}…: name the one that made them",
                    manifest.tokenizer.sha256
                )));
            }
            if splits.iter().all(|&split| manifest.split(split).documents == 0) {
                let found = manifest.held_out.documents;
                return Err(bad(format!("it has no document to train on ({found} are held out)")));
            }
            for &split in splits {
                parts.push(Dataset::open(folder, split)?);
            }
        }
        Ok(Self { parts, tokenizer, threads: threads.max(1) })
    }

    /// What makes their ids.
    pub fn tokenizer(&self) -> &Tokenizer {
        &self.tokenizer
    }

    /// Each folder and split.
    pub fn parts(&self) -> impl Iterator<Item = (&Path, &Dataset)> {
        self.parts.iter().map(|part| (part.dir(), part))
    }

    /// Bytes of text in them.
    pub fn text_bytes(&self) -> u64 {
        self.parts.iter().map(Dataset::text_bytes).sum()
    }

    /// Tokens in them, those that end documents included.
    pub fn tokens(&self) -> u64 {
        self.parts.iter().map(Dataset::tokens).sum()
    }

    /// Each folder and split with its counts, as results hold it.
    pub(crate) fn json(&self) -> Value {
        let part = |part: &Dataset| {
            json!({
                "folder": part.dir().display().to_string(), "split": part.split().name(), "documents": part.documents(),
                "tokens": part.tokens(), "text_bytes": part.text_bytes(), "tokenizer_sha256": part.manifest().tokenizer.sha256,
            })
        };
        self.parts.iter().map(part).collect()
    }

    pub(crate) fn part(&self, place: Place) -> &Dataset {
        &self.parts[place.part]
    }

    /// Where a document lies.
    pub(crate) fn whereabouts(&self, place: Place) -> Result<Whereabouts, EvalError> {
        let part = self.part(place);
        let mut first = 0;
        let mut file = None;
        for shard in &part.manifest().split(part.split()).shards {
            if place.document < first + shard.documents {
                file = Some(shard.file.clone());
                break;
            }
            first += shard.documents;
        }
        Ok(Whereabouts {
            folder: part.dir().to_owned(),
            shard: file.expect("a document lies in a shard"),
            document: place.document - first,
            source: part.name(place.document)?,
        })
    }

    /// Reads every document once. Each thread has a reader of its own, which gets its documents in order; the readers come back in no order.
    pub(crate) fn read<R: Reader>(
        &self,
        reader: &(dyn Fn() -> R + Sync),
        watch: &mut dyn Watch,
    ) -> Result<Vec<R>, EvalError> {
        let (next, done, stop) = (AtomicU64::new(0), Done::default(), AtomicBool::new(false));
        let total = self.text_bytes();
        let work = || {
            let mut reader = reader();
            while let Some((part, documents)) = self.batch(next.fetch_add(1, Ordering::Relaxed)) {
                for document in documents {
                    self.document(Place { part, document }, &mut reader, &stop, &done)?;
                }
            }
            Ok::<R, EvalError>(reader)
        };
        watch.scanned(0, total);
        let readers = thread::scope(|scope| {
            let (send, receive) = mpsc::channel();
            for _ in 0..self.threads {
                let (send, work) = (send.clone(), &work);
                // Nobody receives any more only where another thread has failed, and its error is what counts.
                scope.spawn(move || drop(send.send(work())));
            }
            drop(send);
            let mut readers = Vec::new();
            let mut failed = None;
            loop {
                match receive.recv_timeout(TICK) {
                    Ok(Ok(reader)) => readers.push(reader),
                    Ok(Err(error)) => {
                        stop.store(true, Ordering::Relaxed);
                        failed = failed.or(Some(error));
                    }
                    Err(RecvTimeoutError::Timeout) => {}
                    Err(RecvTimeoutError::Disconnected) => break,
                }
                watch.scanned(done.bytes.load(Ordering::Relaxed), total);
                if watch.stopped() {
                    stop.store(true, Ordering::Relaxed);
                }
            }
            failed.map_or(Ok(readers), Err)
        })?;
        // An index could leave tokens out that no document has.
        let (read, there) = (done.tokens.into_inner(), self.tokens());
        if read != there {
            let folder = self.parts[0].dir().to_owned();
            let why = format!("documents have {read} tokens and the shards {there}: their index is damaged");
            return Err(EvalError::Shards { folder, why });
        }
        Ok(readers)
    }

    /// The part and the documents of a batch, counted over all parts.
    fn batch(&self, mut number: u64) -> Option<(usize, std::ops::Range<u64>)> {
        for (at, part) in self.parts.iter().enumerate() {
            let batches = part.documents().div_ceil(BATCH);
            if number < batches {
                let first = number * BATCH;
                return Some((at, first..(first + BATCH).min(part.documents())));
            }
            number -= batches;
        }
        None
    }

    fn document(
        &self,
        place: Place,
        reader: &mut impl Reader,
        stop: &AtomicBool,
        done: &Done,
    ) -> Result<(), EvalError> {
        let part = self.part(place);
        let (span, stamp) = part.document(place.document)?;
        let (mut at, end) = (span.tokens.start, span.tokens.end);
        if at == end {
            return Err(self.damaged(place, "has no token, not even the one that ends it"));
        }
        reader.begin(place);
        let mut ids = Vec::new();
        while at < end {
            if stop.load(Ordering::Relaxed) {
                return Err(EvalError::Stopped);
            }
            ids.resize(PIECE.min((end - at) as usize), 0);
            part.read(at, &mut ids)?;
            at += ids.len() as u64;
            if at == end && ids.pop() != Some(part.manifest().tokenizer.end_of_text) {
                return Err(self.damaged(place, "does not end with the end-of-text token"));
            }
            reader.tokens(&ids)?;
        }
        reader.end()?;
        done.tokens.fetch_add(end - span.tokens.start, Ordering::Relaxed);
        done.bytes.fetch_add(u64::from(stamp.text_bytes), Ordering::Relaxed);
        Ok(())
    }

    /// Where a document's tokens lie in its part, without the one that ends it.
    pub(crate) fn tokens_of(&self, place: Place) -> Result<std::ops::Range<u64>, EvalError> {
        let (span, _) = self.part(place).document(place.document)?;
        Ok(span.tokens.start..span.tokens.end.saturating_sub(1).max(span.tokens.start))
    }

    fn damaged(&self, place: Place, what: &str) -> EvalError {
        let part = self.part(place);
        let detail = format!("document {} of the {} split {what}", place.document, part.split().name());
        EvalError::Text(TextError::Shard { path: part.dir().to_owned(), detail })
    }
}
