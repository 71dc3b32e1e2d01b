//! A vocabulary learned from sources.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use gptneo_text::{Tokenizer, WordCounts};

use crate::batch::Batch;
use crate::document;
use crate::error::{CorpusError, Result};
use crate::find::Source;
use crate::pool;
use crate::read::{Reader, Step};
use crate::tokenize::{Status, Watch};

/// What separates documents in text files.
const END_OF_TEXT: &[u8] = b"<|endoftext|>";

/// What to learn from, and how much.
#[derive(Clone, Debug)]
pub struct Learning {
    /// From [`find`](crate::find()).
    pub sources: Vec<Source>,
    /// The field or column with the text.
    pub field: String,
    /// Tokens of the vocabulary: 256 bytes, merges, end-of-text.
    pub vocab_size: u32,
    /// A pair that stands less often in the text is not merged.
    pub least: u64,
    /// Threads that count.
    pub workers: usize,
    /// Set it to stop soon.
    pub cancel: Option<Arc<AtomicBool>>,
}

/// A vocabulary, and what it was learned from.
#[derive(Clone, Debug)]
pub struct Learned {
    /// The tokenizer; smaller than asked for where the text has too few pairs.
    pub tokenizer: Tokenizer,
    /// Documents read.
    pub documents: u64,
    /// Bytes of their text.
    pub text_bytes: u64,
    /// Distinct words.
    pub words: usize,
    /// Records that gave no document.
    pub skipped: u64,
}

/// What one thread has counted.
#[derive(Default)]
struct Counted {
    words: WordCounts,
    documents: u64,
    text_bytes: u64,
    skipped: u64,
}

/// Learns a byte-level BPE vocabulary. Sources, size and `least` alone decide what comes out.
///
/// # Errors
/// Any [`CorpusError`].
pub fn learn(job: &Learning, watch: &dyn Watch) -> Result<Learned> {
    // A size that cannot be learned is refused before hours of counting.
    WordCounts::new().learn(job.vocab_size, job.least)?;
    let total_bytes = job.sources.iter().map(|source| source.bytes).sum();
    let mut reader = Reader::new(&job.sources, &job.field, END_OF_TEXT, 0, 0);
    let cancelled = || job.cancel.as_ref().is_some_and(|cancel| cancel.load(Ordering::Relaxed));
    let next = || if cancelled() { Err(CorpusError::Cancelled) } else { reader.step() };
    let work = |counted: &mut Counted, step| match step {
        Step::Batch(batch) => count(counted, &batch, &job.field).map(|()| Some(batch.progress)),
        Step::Over { .. } => Ok(None),
    };
    let take = |progress: Result<Option<u64>>| {
        if let Some(bytes) = progress? {
            watch.at(&Status { bytes, total_bytes, ..Status::default() });
        }
        Ok(())
    };
    let mut all = Counted::default();
    for counted in pool::in_order(job.workers, Counted::default, work, next, take)? {
        all.words.absorb(counted.words)?;
        all.documents += counted.documents;
        all.text_bytes += counted.text_bytes;
        all.skipped += counted.skipped;
    }
    if all.documents == 0 {
        let skipped = format!("{} records, none of them with text", all.skipped);
        return Err(CorpusError::NoDocuments { sources: job.sources.len(), skipped });
    }
    let tokenizer = all.words.learn(job.vocab_size, job.least)?;
    let Counted { words, documents, text_bytes, skipped } = all;
    Ok(Learned { tokenizer, documents, text_bytes, words: words.words(), skipped })
}

fn count(counted: &mut Counted, batch: &Batch, field: &str) -> Result<()> {
    for record in &batch.records {
        let bytes = record.bytes.as_ref().map_err(|flaw| *flaw);
        match bytes.and_then(|range| document::text(&batch.bytes[range.clone()], batch.kind, field)) {
            Ok(text) => {
                counted.words.add(&text)?;
                counted.documents += 1;
                counted.text_bytes += text.len() as u64;
            }
            Err(_) => counted.skipped += 1,
        }
    }
    Ok(())
}
