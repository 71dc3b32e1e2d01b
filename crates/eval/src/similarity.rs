//! How like a text is to its references: BLEU, chrF, TER and ROUGE, as the field's own packages compute them.
//!
//! [`Bleu`], [`Chrf`] and [`Ter`] give what `sacrebleu` 2.6 gives, on its scale of 0 to 100. They are corpus metrics: a
//! document gives [statistics](CorpusMetric::statistics), documents are added up, and the sum has a
//! [score](CorpusMetric::score). So a bootstrap over documents adds small numbers again and never reads a text again.
//! [`Rouge`] gives what `rouge-score` 0.1.2 gives, from 0 to 1: it scores each document, and a corpus has the mean.
//!
//! A reference that `sacrebleu` would be given as `None` is left out of the list; an empty one counts as a reference of
//! no words. Where `sacrebleu` fails for want of any reference, so does [`SimilarityError::NoReference`].
//!
//! Texts are hostile: a length is bounded before it costs memory ([`LONGEST_TEXT`]), and what is quadratic is bounded by its
//! work. The promise of equality, to `1e-6` on every number and every option, is tested on a thousand recorded answers
//! (`fixtures/text_metrics.py`). It stops where versions of Unicode differ: letters that are newer than the Python at hand
//! have no lower case there.

mod bleu;
mod chrf;
mod error;
mod grams;
mod lcs;
mod porter;
mod rewrite;
mod rouge;
mod ter;
mod tokenize;
mod words;

use std::ops::AddAssign;

pub use bleu::{Bleu, BleuOptions, BleuScore, BleuStatistics, Smoothing};
pub use chrf::{Chrf, ChrfStatistics, ChrfVariant};
pub use error::SimilarityError;
pub use rouge::{Rouge, RougeKind, RougeScore};
pub use ter::{Ter, TerStatistics};
pub use tokenize::Tokenizer;

/// The most bytes that a hypothesis and its references may have together.
pub const LONGEST_TEXT: usize = 8 << 20;

/// A metric whose score of a corpus follows from the sum of what its documents give.
pub trait CorpusMetric {
    /// What a document gives. The default is that of no documents.
    type Statistics: Copy + Default + AddAssign + Send + Sync;

    /// What one document gives.
    ///
    /// # Errors
    /// [`SimilarityError::NoReference`] for an empty list, [`SimilarityError::TooLong`] above [`LONGEST_TEXT`], and what the
    /// metric itself refuses.
    fn statistics(&self, hypothesis: &str, references: &[&str]) -> Result<Self::Statistics, SimilarityError>;

    /// The score of the documents whose statistics were added up, from 0 to 100 (TER may exceed it).
    fn score(&self, sum: &Self::Statistics) -> f64;
}

/// Refuses what is too long to be compared.
fn bounded<'a>(texts: impl IntoIterator<Item = &'a str>) -> Result<(), SimilarityError> {
    let bytes = texts.into_iter().fold(0_usize, |sum, text| sum.saturating_add(text.len()));
    if bytes > LONGEST_TEXT {
        return Err(SimilarityError::TooLong { bytes, limit: LONGEST_TEXT });
    }
    Ok(())
}

/// Refuses a hypothesis that cannot be compared with these references.
fn comparable(hypothesis: &str, references: &[&str]) -> Result<(), SimilarityError> {
    if references.is_empty() {
        return Err(SimilarityError::NoReference);
    }
    bounded(references.iter().copied().chain([hypothesis]))
}
