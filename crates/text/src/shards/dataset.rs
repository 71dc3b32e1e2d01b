//! A split of a folder of shards as one stream of tokens.

use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use super::atomic::hex;
use super::manifest::{Manifest, Split};
use super::reader::Shard;
use super::writer::Stamp;
use crate::error::{Result, TextError};

/// Files that are kept open at once. Systems allow a process a few hundred at least.
const OPEN_LIMIT: usize = 128;

/// All shards of a split, end to end. Reading takes `&self`, from any number of threads.
#[derive(Debug)]
pub struct Dataset {
    dir: PathBuf,
    split: Split,
    manifest: Manifest,
    /// Where each shard begins, in tokens and in documents, and after them where the last one ends.
    starts: Vec<(u64, u64)>,
    /// The open ones, with the time of their last use.
    open: Mutex<Open>,
}

#[derive(Debug, Default)]
struct Open {
    clock: u64,
    shards: Vec<(usize, u64, Arc<Shard>)>,
}

/// A stretch of the stream that belongs to one document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DocumentSpan {
    /// Its number in the split, from 0.
    pub document: u64,
    /// All its tokens, counted from the start of the stream.
    pub tokens: Range<u64>,
}

impl Dataset {
    /// Opens a split of a folder. Every shard must be there in the length that the manifest says; what is in them is
    /// checked when it is read.
    ///
    /// # Errors
    /// As [`Manifest::open`]; [`TextError::Read`] for a shard that is missing, [`TextError::Shard`] for one of another
    /// length.
    pub fn open(dir: &Path, split: Split) -> Result<Self> {
        let manifest = Manifest::open(dir)?;
        let mut starts = vec![(0, 0)];
        for shard in &manifest.split(split).shards {
            let path = dir.join(&shard.file);
            let found = std::fs::metadata(&path).map_err(|source| TextError::Read { path: path.clone(), source })?;
            if found.len() != shard.bytes {
                let detail = format!("it is {} bytes long, and the manifest says {}", found.len(), shard.bytes);
                return Err(TextError::Shard { path, detail });
            }
            let (tokens, documents) = starts[starts.len() - 1];
            starts.push((tokens + shard.tokens, documents + shard.documents));
        }
        Ok(Self { dir: dir.to_owned(), split, manifest, starts, open: Mutex::default() })
    }

    /// What the folder says of itself.
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// Which half of the folder this is.
    pub fn split(&self) -> Split {
        self.split
    }

    /// The folder.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Tokens, those of end-of-text included.
    pub fn tokens(&self) -> u64 {
        self.manifest.split(self.split).tokens
    }

    /// Documents.
    pub fn documents(&self) -> u64 {
        self.manifest.split(self.split).documents
    }

    /// Bytes of the documents' text: what bits per byte are counted by.
    pub fn text_bytes(&self) -> u64 {
        self.manifest.split(self.split).text_bytes
    }

    /// The ids from token `at` of the stream on, as many as `ids` has room for.
    ///
    /// # Errors
    /// [`TextError::Read`], and [`TextError::Shard`] for damage.
    ///
    /// # Panics
    /// If they reach beyond the last token.
    pub fn read(&self, at: u64, ids: &mut [u32]) -> Result<()> {
        let end = at.checked_add(ids.len() as u64);
        assert!(end.is_some_and(|end| end <= self.tokens()), "tokens {at}.. of {}", self.tokens());
        let mut done = 0;
        while done < ids.len() {
            let place = at + done as u64;
            let number = self.shard_of(place, |start| start.0);
            let (start, end) = (self.starts[number].0, self.starts[number + 1].0);
            let count = ((end - place) as usize).min(ids.len() - done);
            self.shard(number)?.read(place - start, &mut ids[done..done + count])?;
            done += count;
        }
        Ok(())
    }

    /// The documents with at least one token in this stretch of the stream, in order.
    ///
    /// # Errors
    /// [`TextError::Read`], and [`TextError::Shard`] for damage.
    ///
    /// # Panics
    /// If the stretch reaches beyond the last token.
    pub fn documents_in(&self, tokens: Range<u64>) -> Result<Vec<DocumentSpan>> {
        assert!(tokens.end <= self.tokens(), "tokens {tokens:?} of {}", self.tokens());
        let mut spans: Vec<DocumentSpan> = Vec::new();
        let mut at = tokens.start;
        while at < tokens.end {
            let next = match spans.last() {
                Some(span) => span.document + 1,
                None => {
                    let number = self.shard_of(at, |start| start.0);
                    let (tokens, documents) = self.starts[number];
                    documents + self.shard(number)?.document_at(at - tokens)?
                }
            };
            if next >= self.documents() {
                return Err(self.uncovered(at));
            }
            let span = self.document(next)?.0;
            if span.tokens.start > at {
                return Err(self.uncovered(at));
            }
            at = span.tokens.end;
            // A document of a damaged index can be empty: it has no token here.
            if !span.tokens.is_empty() {
                spans.push(span);
            } else {
                return Err(self.uncovered(at));
            }
        }
        Ok(spans)
    }

    /// The document with this number: where it lies and how many bytes its text had.
    ///
    /// # Errors
    /// [`TextError::Read`], and [`TextError::Shard`] for damage.
    ///
    /// # Panics
    /// If there are not so many.
    pub fn document(&self, number: u64) -> Result<(DocumentSpan, Stamp)> {
        assert!(number < self.documents(), "document {number} of {}", self.documents());
        let shard = self.shard_of(number, |start| start.1);
        let (tokens, documents) = self.starts[shard];
        let found = self.shard(shard)?.document(number - documents)?;
        let tokens = tokens + found.tokens.start..tokens + found.tokens.end;
        Ok((DocumentSpan { document: number, tokens }, found.stamp))
    }

    /// A document as a person can find it: `stories.jsonl.zst:1234`, the source and the record in it.
    ///
    /// # Errors
    /// [`TextError::Read`], and [`TextError::Shard`] for damage.
    ///
    /// # Panics
    /// If there are not so many.
    pub fn name(&self, document: u64) -> Result<String> {
        let (_, stamp) = self.document(document)?;
        match self.manifest.sources.get(stamp.source as usize) {
            Some(source) => Ok(format!("{}:{}", source.name, stamp.record)),
            None => Err(self.bad(format!("document {document} is of source {}, which is not listed", stamp.source))),
        }
    }

    /// Which shard has this token or document.
    fn shard_of(&self, at: u64, start: impl Fn(&(u64, u64)) -> u64) -> usize {
        // The last one that begins at or before it: empty shards begin where the next one does.
        self.starts.partition_point(|one| start(one) <= at) - 1
    }

    fn shard(&self, number: usize) -> Result<Arc<Shard>> {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        open.clock += 1;
        let now = open.clock;
        if let Some((_, used, shard)) = open.shards.iter_mut().find(|(of, _, _)| *of == number) {
            *used = now;
            return Ok(Arc::clone(shard));
        }
        let shard = Arc::new(self.checked(number)?);
        if open.shards.len() == OPEN_LIMIT {
            let oldest = open.shards.iter().enumerate().min_by_key(|(_, (_, used, _))| *used).map(|(at, _)| at);
            open.shards.swap_remove(oldest.expect("there are some"));
        }
        open.shards.push((number, now, Arc::clone(&shard)));
        Ok(shard)
    }

    /// Opens a shard and compares it with the manifest.
    fn checked(&self, number: usize) -> Result<Shard> {
        let entry = &self.manifest.split(self.split).shards[number];
        let shard = Shard::open(&self.dir.join(&entry.file))?;
        let found = (shard.tokens(), shard.documents(), shard.text_bytes());
        let wanted = (entry.tokens, entry.documents, entry.text_bytes);
        let other = shard.vocab_size() != self.manifest.tokenizer.vocab_size
            || hex(&shard.tokenizer()) != self.manifest.tokenizer.sha256;
        if found != wanted || other {
            let detail = "it is not the shard that the manifest describes: its header says otherwise".to_owned();
            return Err(TextError::Shard { path: shard.path().to_owned(), detail });
        }
        Ok(shard)
    }

    fn uncovered(&self, token: u64) -> TextError {
        self.bad(format!("no document has token {token} of the {} split", self.split.name()))
    }

    fn bad(&self, detail: String) -> TextError {
        TextError::Shard { path: self.dir.clone(), detail }
    }
}
