//! Which tokens the n-th training sequence has: a function of the mixture, the length, the seed and n, and of nothing else.
//!
//! Each part of a mixture is a stream cut into windows of `seq_len`; an epoch visits its windows in a shuffled order, a new
//! one each time. The parts alternate so regularly that among any run of sequences each has its share to within one
//! per part: sequence `n` belongs to the first part if `floor((n + 1) w) > floor(n w)`, where `w` is the part's share,
//! and otherwise to one of the rest, as their sequence `n - floor(n w)`. So part, epoch and window are found by
//! arithmetic, for the first sequence as for the billionth, and it does not matter who asks or how many do.

use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use super::dataset::{Dataset, DocumentSpan};
use super::permutation::{Permutation, mix};
use crate::error::{Result, TextError};

/// How much of a part a mixture has. All parts of one mixture say it in the same way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Amount {
    /// So many sequences, relative to the weights of the others, as the Pile's table of weights has them.
    Weight(u64),
    /// So many thousandths of an epoch by the time all parts have had theirs: 2500 is two and a half times through.
    Epochs(u64),
}

/// One part of a mixture.
#[derive(Clone, Debug)]
pub struct Part {
    /// Its tokens.
    pub dataset: Arc<Dataset>,
    /// How much of it.
    pub amount: Amount,
}

/// What is trained on.
#[derive(Clone, Debug)]
pub struct Mixture {
    parts: Vec<Part>,
}

impl Mixture {
    /// A mixture of several parts.
    ///
    /// # Errors
    /// [`TextError::Mixture`] if there are none, if one is empty or has no amount, if amounts are of two kinds, or if the
    /// parts were not made with the same tokenizer.
    pub fn new(parts: Vec<Part>) -> Result<Self> {
        let bad = |detail: String| Err(TextError::Mixture { detail });
        let Some(first) = parts.first() else { return bad("it has no parts".to_owned()) };
        for part in &parts {
            let at = part.dataset.dir().display();
            if part.dataset.tokens() < 2 {
                let (tokens, split) = (part.dataset.tokens(), part.dataset.split().name());
                return bad(format!("{at} has {tokens} tokens in its {split} split; a sequence needs two at least"));
            }
            if matches!(part.amount, Amount::Weight(0) | Amount::Epochs(0)) {
                return bad(format!("{at} has an amount of zero: leave it out instead"));
            }
            if std::mem::discriminant(&part.amount) != std::mem::discriminant(&first.amount) {
                return bad("some parts are given by weight and others by epochs: choose one".to_owned());
            }
            let (ours, theirs) = (&part.dataset.manifest().tokenizer, &first.dataset.manifest().tokenizer);
            if ours != theirs {
                let other = first.dataset.dir().display();
                return bad(format!("{at} and {other} were made with different tokenizers"));
            }
        }
        Ok(Self { parts })
    }

    /// One dataset, again and again.
    ///
    /// # Errors
    /// [`TextError::Mixture`] if it is empty.
    pub fn single(dataset: Dataset) -> Result<Self> {
        Self::new(vec![Part { dataset: Arc::new(dataset), amount: Amount::Epochs(1000) }])
    }

    /// Its parts, in the order given.
    pub fn parts(&self) -> &[Part] {
        &self.parts
    }
}

/// The order of training sequences.
#[derive(Clone, Debug)]
pub struct Order {
    mixture: Mixture,
    seq_len: usize,
    seed: u64,
    /// Windows of an epoch of each part.
    windows: Vec<u64>,
    /// Of the sequences that are left to this part and those after it, the share of this one, in units of 2^-60.
    shares: Vec<u64>,
    planned: Option<u64>,
}

const ONE: u64 = 1 << 60;

/// Where a sequence lies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The part of the mixture.
    pub part: usize,
    /// How often all of the part was seen before.
    pub epoch: u64,
    /// The tokens of the part's stream that are read; those but the last are inputs, those but the first are targets.
    pub tokens: Range<u64>,
}

/// One training sequence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sequence {
    /// `seq_len + 1` ids: input `i` is `tokens[i]` and its target is `tokens[i + 1]`.
    pub tokens: Vec<u32>,
    /// Inputs with a target: `seq_len`, but fewer in the last window of a stream, whose rest is filled with end-of-text
    /// tokens of no document.
    pub targets: usize,
    /// The documents, in order; together they cover `tokens[..=targets]`. For attention that stays within documents, a
    /// position sees those of its own segment.
    pub segments: Vec<Segment>,
    /// Where it came from.
    pub place: Place,
}

/// A stretch of a sequence that belongs to one document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Segment {
    /// Positions in [`Sequence::tokens`].
    pub range: Range<usize>,
    /// Number of the document in its part; [`Order::name`] has its name.
    pub document: u64,
    /// Tokens of the document before these.
    pub offset: u64,
}

impl Order {
    /// The order of sequences of `seq_len` inputs.
    ///
    /// # Errors
    /// [`TextError::Mixture`] if `seq_len` is 0, or if the amounts are beyond counting.
    pub fn new(mixture: Mixture, seq_len: usize, seed: u64) -> Result<Self> {
        let bad = |detail: &str| TextError::Mixture { detail: detail.to_owned() };
        let too_much = || bad("its amounts are beyond counting");
        if seq_len == 0 {
            return Err(bad("sequences of no tokens cannot be trained on"));
        }
        let windows: Vec<u64> =
            mixture.parts.iter().map(|part| (part.dataset.tokens() - 1).div_ceil(seq_len as u64)).collect();
        let mut weights: Vec<u128> = Vec::new();
        let mut planned = Some(0u64);
        for (part, &windows) in mixture.parts.iter().zip(&windows) {
            weights.push(match part.amount {
                Amount::Weight(weight) => {
                    planned = None;
                    u128::from(weight)
                }
                Amount::Epochs(thousandths) => {
                    let thousandth_windows = u128::from(windows) * u128::from(thousandths);
                    let sequences = u64::try_from(thousandth_windows.div_ceil(1000)).map_err(|_| too_much())?;
                    planned = Some(planned.unwrap_or(0).checked_add(sequences).ok_or_else(too_much)?);
                    thousandth_windows
                }
            });
        }
        // Wide enough for a product with 2^60 to stay countable.
        let total: u128 = weights.iter().sum();
        let unit = (total >> 66) + 1;
        let mut left: u128 = weights.iter().map(|weight| weight / unit).sum();
        let mut shares = Vec::new();
        for weight in weights.iter().map(|weight| weight / unit) {
            if weight == 0 {
                return Err(too_much());
            }
            // Rounded up: `floor(n w)` is then exact where `n w` is a whole number, as it is when all epochs are over. The
            // last share comes out as the whole.
            shares.push((weight * u128::from(ONE)).div_ceil(left) as u64);
            left -= weight;
        }
        Ok(Self { mixture, seq_len, seed, windows, shares, planned })
    }

    /// The mixture.
    pub fn mixture(&self) -> &Mixture {
        &self.mixture
    }

    /// Inputs of a sequence.
    pub fn seq_len(&self) -> usize {
        self.seq_len
    }

    /// Sequences until every part has had its epochs; `None` for a mixture by weight, which has no end.
    pub fn planned(&self) -> Option<u64> {
        self.planned
    }

    /// Sequences of one epoch of a part.
    pub fn epoch(&self, part: usize) -> u64 {
        self.windows[part]
    }

    /// Of the first `index` sequences, how many are of each part.
    pub fn counts(&self, index: u64) -> Vec<u64> {
        let mut left = index;
        let mut counts = Vec::with_capacity(self.shares.len());
        for &share in &self.shares {
            let ours = floor(left, share);
            counts.push(ours);
            left -= ours;
        }
        counts
    }

    /// Where sequence `index` lies. Nothing is read.
    pub fn place(&self, index: u64) -> Place {
        let (part, number) = self.part(index);
        let windows = self.windows[part];
        let (epoch, within) = (number / windows, number % windows);
        let key = [part as u64, epoch].iter().fold(mix(self.seed), |key, &value| mix(key ^ mix(value)));
        let window = Permutation::new(windows, key).at(within);
        let start = window * self.seq_len as u64;
        let end = (start + self.seq_len as u64 + 1).min(self.mixture.parts[part].dataset.tokens());
        Place { part, epoch, tokens: start..end }
    }

    /// Reads sequence `index`.
    ///
    /// # Errors
    /// [`TextError::Read`], and [`TextError::Shard`] for damage.
    pub fn sequence(&self, index: u64) -> Result<Sequence> {
        let place = self.place(index);
        let dataset = &self.mixture.parts[place.part].dataset;
        let count = (place.tokens.end - place.tokens.start) as usize;
        let mut tokens = vec![dataset.manifest().tokenizer.end_of_text; self.seq_len + 1];
        dataset.read(place.tokens.start, &mut tokens[..count])?;
        let spans = dataset.documents_in(place.tokens.clone())?;
        let segments = spans.iter().map(|span| segment(span, &place.tokens)).collect();
        Ok(Sequence { tokens, targets: count - 1, segments, place })
    }

    /// The name of a document behind a sequence: its folder, source and record.
    ///
    /// # Errors
    /// [`TextError::Read`], and [`TextError::Shard`] for damage.
    pub fn name(&self, part: usize, document: u64) -> Result<String> {
        let dataset = &self.mixture.parts[part].dataset;
        let folder = dataset.dir().file_name().map_or_else(|| Path::new("."), Path::new);
        Ok(format!("{}/{}", folder.display(), dataset.name(document)?))
    }

    /// The part of a sequence, and how many of this part come before it.
    fn part(&self, index: u64) -> (usize, u64) {
        let mut left = index;
        for (part, &share) in self.shares.iter().enumerate() {
            let before = floor(left, share);
            // The last part takes what is left.
            if share == ONE || floor(left + 1, share) > before {
                return (part, before);
            }
            left -= before;
        }
        unreachable!("the last share is the whole")
    }
}

/// `floor(count * share)`, the share in units of 2^-60.
fn floor(count: u64, share: u64) -> u64 {
    ((u128::from(count) * u128::from(share)) >> 60) as u64
}

fn segment(span: &DocumentSpan, window: &Range<u64>) -> Segment {
    let (start, end) = (span.tokens.start.max(window.start), span.tokens.end.min(window.end));
    Segment {
        range: (start - window.start) as usize..(end - window.start) as usize,
        document: span.document,
        offset: start - span.tokens.start,
    }
}

/// The sequences of a batch that fall to one of `ranks`: stretches that differ by one at most, in order, without gaps.
///
/// # Panics
/// If there is no such rank.
pub fn share(batch: Range<u64>, rank: u64, ranks: u64) -> Range<u64> {
    assert!(rank < ranks, "rank {rank} of {ranks}");
    let count = u128::from(batch.end - batch.start);
    let edge = |rank: u64| batch.start + (count * u128::from(rank) / u128::from(ranks)) as u64;
    edge(rank)..edge(rank + 1)
}
