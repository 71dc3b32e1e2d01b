//! Sequences as the network takes them: flat rows of ids, targets and positions, with the segments attention stays in.

use std::collections::BTreeSet;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use gptneo_model::training::{Batch, IGNORE};
use sha2::{Digest, Sha256};

use gptneo_text::shards::{Dataset, Mixture, Order, Part, Sequence, Split};

use crate::error::TrainError;
use crate::recipe::DataRecipe;
use crate::store::hex;

/// What a run learns from and is measured on: numbered sequences in the order of training, and windows of held-out text.
pub trait Examples: std::fmt::Debug {
    /// The rows of some training sequences.
    ///
    /// # Errors
    /// What cannot be read or is damaged.
    fn rows(&self, sequences: Range<u64>) -> Result<Rows, TrainError>;

    /// Whether it is labels that are learned, as a classifier does.
    fn labelled(&self) -> bool {
        false
    }

    /// Training sequences in one pass over all there is, where that is known.
    fn pass(&self) -> Option<u64>;

    /// The documents behind some training sequences, by name, at most `limit` and a word on how many more.
    ///
    /// # Errors
    /// What cannot be read or is damaged.
    fn documents(&self, sequences: Range<u64>, limit: usize) -> Result<Vec<String>, TrainError>;

    /// Windows of held-out text.
    fn held_out_windows(&self) -> u64;

    /// The rows of held-out window `index`.
    ///
    /// # Errors
    /// What cannot be read or is damaged.
    fn held_out_rows(&self, index: u64) -> Result<Rows, TrainError>;

    /// Bytes of held-out text for each token: what turns nats per token into bits per byte.
    fn bytes_per_token(&self) -> f64;

    /// A hash of all that decides which rows there are: a run goes on with the same data alone.
    fn fingerprint(&self) -> String;
}

/// Token shards.
#[derive(Debug)]
pub struct Data {
    order: Order,
    held_out: Vec<Dataset>,
    across_documents: bool,
    sequence: usize,
}

/// Rows of some sequences.
#[derive(Clone, Debug, Default)]
pub struct Rows {
    ids: Vec<u32>,
    targets: Vec<u32>,
    positions: Vec<u32>,
    segments: Vec<usize>,
    counted: usize,
}

impl Rows {
    /// For the network.
    pub fn batch(&self) -> Batch<'_> {
        Batch { ids: &self.ids, targets: &self.targets, positions: &self.positions, segments: &self.segments }
    }

    /// Rows with a target.
    pub fn counted(&self) -> usize {
        self.counted
    }

    /// The same rows with targets changed by `change`; those that count for nothing are left.
    #[must_use]
    pub fn with_targets(mut self, change: impl Fn(u32) -> u32) -> Self {
        self.targets.iter_mut().filter(|target| **target != IGNORE).for_each(|target| *target = change(*target));
        self
    }

    /// Adds a segment: ids, and the target of each ([`IGNORE`] where nothing counts).
    ///
    /// # Panics
    /// If there are not as many targets as ids.
    pub fn push(&mut self, ids: &[u32], targets: &[u32]) {
        assert_eq!(ids.len(), targets.len(), "a target for each id");
        self.ids.extend_from_slice(ids);
        self.targets.extend_from_slice(targets);
        self.positions.extend((0u32..).take(ids.len()));
        self.segments.push(ids.len());
        self.counted += targets.iter().filter(|&&target| target != IGNORE).count();
    }

    fn sequence(&mut self, sequence: &Sequence, across_documents: bool) {
        let Sequence { tokens, targets, segments, .. } = sequence;
        let mut add = |range: Range<usize>| {
            if !range.is_empty() {
                self.push(&tokens[range.clone()], &tokens[range.start + 1..range.end + 1]);
            }
        };
        if across_documents {
            add(0..*targets);
        } else {
            // The last token of all is a target alone.
            segments.iter().for_each(|segment| add(segment.range.start..segment.range.end.min(*targets)));
        }
    }
}

impl Data {
    /// Opens the shards that a recipe names.
    ///
    /// # Errors
    /// Shards that are not there, damaged, or made with different tokenizers.
    pub fn open(recipe: &DataRecipe, seed: u64) -> Result<Self, TrainError> {
        let part = |part: &crate::recipe::Part| {
            let dataset = Arc::new(Dataset::open(&part.path, Split::Train)?);
            Ok(Part { dataset, amount: part.amount })
        };
        let parts = recipe.train.iter().map(part).collect::<Result<Vec<_>, TrainError>>()?;
        let held_out = |path: &std::path::PathBuf| open_held_out(path);
        let held_out = recipe.held_out.iter().map(held_out).collect::<Result<Vec<_>, TrainError>>()?;
        let data = Self {
            order: Order::new(Mixture::new(parts)?, recipe.sequence, seed)?,
            held_out,
            across_documents: recipe.across_documents,
            sequence: recipe.sequence,
        };
        let tokenizer = data.tokenizer_sha256();
        for (dataset, path) in data.held_out.iter().zip(&recipe.held_out) {
            let found = &dataset.manifest().tokenizer.sha256;
            if found != tokenizer {
                return Err(TrainError::OtherTokenizer {
                    path: path.clone(),
                    found: found.clone(),
                    wanted: tokenizer.to_owned(),
                });
            }
        }
        Ok(data)
    }

    /// Hash of the tokenizer behind the ids.
    pub fn tokenizer_sha256(&self) -> &str {
        &self.order.mixture().parts()[0].dataset.manifest().tokenizer.sha256
    }

    /// Every id is below this.
    pub fn vocab_size(&self) -> usize {
        self.order
            .mixture()
            .parts()
            .iter()
            .map(|part| part.dataset.manifest().tokenizer.vocab_size as usize)
            .max()
            .unwrap_or(0)
    }

    /// The order of training.
    pub fn order(&self) -> &Order {
        &self.order
    }
}

impl Examples for Data {
    fn rows(&self, sequences: Range<u64>) -> Result<Rows, TrainError> {
        let mut rows = Rows::default();
        for index in sequences {
            rows.sequence(&self.order.sequence(index)?, self.across_documents);
        }
        Ok(rows)
    }

    fn pass(&self) -> Option<u64> {
        self.order.planned()
    }

    fn documents(&self, sequences: Range<u64>, limit: usize) -> Result<Vec<String>, TrainError> {
        let mut seen = BTreeSet::new();
        let mut names = Vec::new();
        for index in sequences {
            let sequence = self.order.sequence(index)?;
            for segment in &sequence.segments {
                if seen.insert((sequence.place.part, segment.document)) && names.len() < limit {
                    names.push(self.order.name(sequence.place.part, segment.document)?);
                }
            }
        }
        let more = seen.len() - names.len();
        if more > 0 {
            names.push(format!("and {more} more"));
        }
        Ok(names)
    }

    fn held_out_windows(&self) -> u64 {
        self.held_out.iter().map(|dataset| windows(dataset, self.sequence)).sum()
    }

    fn held_out_rows(&self, index: u64) -> Result<Rows, TrainError> {
        let mut rows = Rows::default();
        let (length, mut window) = (self.sequence as u64, index);
        for dataset in &self.held_out {
            let here = windows(dataset, self.sequence);
            if window >= here {
                window -= here;
                continue;
            }
            let start = window * length;
            let end = (start + length + 1).min(dataset.tokens());
            let mut tokens = vec![0; (end - start) as usize];
            dataset.read(start, &mut tokens)?;
            if self.across_documents {
                rows.push(&tokens[..tokens.len() - 1], &tokens[1..]);
                break;
            }
            for span in dataset.documents_in(start..end)? {
                let from = (span.tokens.start.max(start) - start) as usize;
                let to = ((span.tokens.end.min(end) - start) as usize).min(tokens.len() - 1);
                if from < to {
                    rows.push(&tokens[from..to], &tokens[from + 1..to + 1]);
                }
            }
            break;
        }
        Ok(rows)
    }

    fn bytes_per_token(&self) -> f64 {
        let sum = |of: fn(&Dataset) -> u64| self.held_out.iter().map(of).sum::<u64>() as f64;
        sum(Dataset::text_bytes) / sum(Dataset::tokens)
    }

    fn fingerprint(&self) -> String {
        let mut hasher = Sha256::new();
        let parts = self.order.mixture().parts();
        for dataset in parts.iter().map(|part| part.dataset.as_ref()).chain(&self.held_out) {
            hasher.update([dataset.split().name().len() as u8]);
            for shard in &dataset.manifest().split(dataset.split()).shards {
                hasher.update(shard.sha256.as_bytes());
            }
        }
        hex(hasher)
    }
}

/// Windows of `sequence` targets; the last may be shorter.
fn windows(dataset: &Dataset, sequence: usize) -> u64 {
    dataset.tokens().saturating_sub(1).div_ceil(sequence as u64)
}

fn open_held_out(path: &Path) -> Result<Dataset, TrainError> {
    let dataset = Dataset::open(path, Split::HeldOut)?;
    if dataset.tokens() < 2 {
        return Err(TrainError::NothingHeldOut { path: path.to_owned() });
    }
    Ok(dataset)
}
