//! What one step learns from.

use gptneo_device::train::{IGNORE, Segments};

use crate::config::Config;

use super::error::TrainError;
use super::options::TrainOptions;

/// Tokens of several segments, flat. A segment is what attention stays within: a sequence, or a document in a packed one.
#[derive(Clone, Copy, Debug)]
pub struct Batch<'a> {
    /// Tokens, `[N]`.
    pub ids: &'a [u32],
    /// What should follow each, [`IGNORE`] where nothing counts; `[N]`. Of a classifier the labels of sequences, where
    /// [`crate::Classifier::targets`] puts them.
    pub targets: &'a [u32],
    /// Position of each token, `[N]`: usually counted from 0 in each segment.
    pub positions: &'a [u32],
    /// Lengths of the segments, N together.
    pub segments: &'a [usize],
}

impl Batch<'_> {
    /// N.
    pub fn rows(&self) -> usize {
        self.ids.len()
    }

    /// Rows whose target counts.
    pub fn counted(&self) -> usize {
        self.targets.iter().filter(|&&target| target != IGNORE).count()
    }

    pub(super) fn check(&self, config: &Config, options: &TrainOptions) -> Result<(), TrainError> {
        let rows = self.ids.len();
        let summed = self.segments.iter().fold(0usize, |sum, &len| sum.saturating_add(len));
        if self.targets.len() != rows || self.positions.len() != rows || summed != rows {
            return Err(TrainError::Ragged {
                ids: rows,
                targets: self.targets.len(),
                positions: self.positions.len(),
                rows: summed,
            });
        }
        if rows > options.rows {
            return Err(TrainError::TooManyRows { rows, limit: options.rows });
        }
        if let len @ 1.. = Segments(self.segments).longest()
            && len > options.longest
        {
            return Err(TrainError::TooLong { len, limit: options.longest });
        }
        for (row, (&id, &target)) in self.ids.iter().zip(self.targets).enumerate() {
            let outside = |id: u32, limit: usize| id as usize >= limit;
            if outside(id, config.vocab) {
                return Err(TrainError::UnknownToken { id, row, vocab: config.vocab });
            }
            if target != IGNORE && outside(target, config.outputs()) {
                return Err(match &config.classifier {
                    Some(classifier) => TrainError::UnknownLabel { id: target, row, labels: classifier.labels().len() },
                    None => TrainError::UnknownToken { id: target, row, vocab: config.vocab },
                });
            }
        }
        for (row, &position) in self.positions.iter().enumerate() {
            if position as usize >= config.positions {
                return Err(TrainError::UnknownPosition { position, row, limit: config.positions });
            }
        }
        Ok(())
    }
}
