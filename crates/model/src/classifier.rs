//! Sequence classification: what the head that stands in place of the output matrix tells of a sequence.
//!
//! The head is a matrix `[labels, C]` without bias over the final norm, and its logits are those of one row of a sequence: the
//! last that is no padding, as in transformers' `…ForSequenceClassification`. With several labels they are the logits of classes;
//! with one, that logit is itself the value (STS-B).

use gptneo_device::train::IGNORE;

use crate::config::ConfigError;

/// Most labels of a head.
pub const MAX_LABELS: usize = 1 << 12;

/// Most bytes of their names together: written twice they stay within the longest `config.json` that is read.
const MAX_NAMES: usize = 1 << 17;

/// What a classification head tells.
///
/// A language model becomes a classifier and learns labels so:
///
/// ```no_run
/// # use gptneo_device::train::TrainDevice;
/// use gptneo_model::training::{Batch, Network, NextToken, StepKey, TrainError, TrainOptions, Write};
/// use gptneo_model::{Classifier, FreshHead, TensorSource};
///
/// # fn example<D: TrainDevice>(device: D, base: &dyn TensorSource) -> Result<(), TrainError> {
/// let classifier = Classifier::classes(vec!["no".into(), "yes".into()]).expect("two names").with_pad(base.config().eos);
/// let source = FreshHead::new(base, classifier.clone(), 7);
/// let mut network = Network::new(device, source.config().clone(), TrainOptions::new(2, 64))?;
/// network.load(&source, &mut |_| ())?;
///
/// let (ids, segments, labels) = ([5, 6, 7, 8, 9], [3, 2], [1, 0]);
/// let targets = classifier.targets(&ids, &segments, &labels);
/// let batch = Batch { ids: &ids, targets: &targets, positions: &[0, 1, 2, 0, 1], segments: &segments };
/// let mut mean = NextToken::mean(batch.counted());
/// network.step(&batch, &mut mean, StepKey { seed: 7, number: 0 }, Write::Set, &mut |_, _, _| ())?;
///
/// let mut right = 0;
/// network.evaluate_logits(&batch, &mut |row, logits| {
///     let best = (0..logits.len()).max_by(|&a, &b| logits[a].total_cmp(&logits[b]));
///     right += usize::from(best == Some(targets[row] as usize));
/// })?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Classifier {
    /// Distinct names; a single one is that of a value.
    labels: Vec<String>,
    /// Tokens with which sequences may be filled up at their end.
    pad: Option<u32>,
}

impl Classifier {
    /// One of several classes, with their names in the order of the logits.
    ///
    /// # Errors
    /// If there are fewer than two or more than [`MAX_LABELS`], two have one name, or names cannot be printed or are very long.
    pub fn classes(labels: Vec<String>) -> Result<Self, ConfigError> {
        if !(2..=MAX_LABELS).contains(&labels.len()) {
            return Err(ConfigError::OutOfRange {
                key: "number of labels",
                value: labels.len().to_string(),
                range: format!("2 to {MAX_LABELS}, or 1 for the regression of a value"),
            });
        }
        let mut sorted: Vec<&String> = labels.iter().collect();
        sorted.sort_unstable();
        if let Some(twice) = sorted.windows(2).find(|pair| pair[0] == pair[1]) {
            return Err(ConfigError::Unsupported(format!("two labels are named `{}`", shown(twice[0]))));
        }
        printable(&labels)?;
        Ok(Self { labels, pad: None })
    }

    /// A value of this name: regression.
    ///
    /// # Errors
    /// If the name cannot be printed or is very long.
    pub fn value(name: String) -> Result<Self, ConfigError> {
        let labels = vec![name];
        printable(&labels)?;
        Ok(Self { labels, pad: None })
    }

    /// So many labels without names of their own, which transformers calls `LABEL_0` and so on; one is a value.
    ///
    /// # Errors
    /// If there are none, or more than [`MAX_LABELS`].
    pub fn unnamed(count: usize) -> Result<Self, ConfigError> {
        let name = |index: usize| format!("LABEL_{index}");
        // Names are only made of as many as will do.
        if count == 1 {
            Self::value(name(0))
        } else {
            Self::classes((0..count.min(MAX_LABELS + 1)).map(name).collect())
        }
    }

    /// The same with a token that fills sequences up: the pooled row is the last that has another.
    #[must_use]
    pub fn with_pad(self, pad: Option<u32>) -> Self {
        Self { pad, ..self }
    }

    /// Names, in the order of the logits; never none.
    pub fn labels(&self) -> &[String] {
        &self.labels
    }

    /// The place of a label.
    pub fn id(&self, label: &str) -> Option<u32> {
        self.labels.iter().position(|name| name == label).map(|id| id as u32)
    }

    /// Whether the one logit is a value rather than that of a class.
    pub fn is_value(&self) -> bool {
        self.labels.len() == 1
    }

    /// The token that fills sequences up.
    pub fn pad(&self) -> Option<u32> {
        self.pad
    }

    /// The row of a sequence whose logits count: the last that is no padding, or the first of nothing but padding.
    pub fn pooled(&self, ids: &[u32]) -> usize {
        match self.pad {
            Some(pad) => ids.iter().rposition(|&id| id != pad).unwrap_or(0),
            None => ids.len().saturating_sub(1),
        }
    }

    /// The targets of a batch for training: the label of each segment at its pooled row, [`IGNORE`] in all others; `[N]`. A value is
    /// trained with label 0 and [`crate::training::SquaredError`].
    ///
    /// # Panics
    /// If the segments do not make up the ids, or there is not one label for each.
    pub fn targets(&self, ids: &[u32], segments: &[usize], labels: &[u32]) -> Vec<u32> {
        assert_eq!(segments.len(), labels.len(), "a label for each segment");
        assert_eq!(segments.iter().sum::<usize>(), ids.len(), "segments make up the ids");
        let (mut targets, mut start) = (vec![IGNORE; ids.len()], 0);
        for (&len, &label) in segments.iter().zip(labels) {
            if len > 0 {
                targets[start + self.pooled(&ids[start..start + len])] = label;
            }
            start += len;
        }
        targets
    }
}

/// Names are shown in terminals.
fn printable(labels: &[String]) -> Result<(), ConfigError> {
    let bytes: usize = labels.iter().map(String::len).sum();
    if bytes > MAX_NAMES {
        let (value, range) = (bytes.to_string(), format!("at most {MAX_NAMES}"));
        return Err(ConfigError::OutOfRange { key: "length of all labels in bytes", value, range });
    }
    match labels.iter().position(|label| label.chars().any(char::is_control)) {
        Some(id) => Err(ConfigError::Unsupported(format!("label {id} has control characters in its name"))),
        None => Ok(()),
    }
}

fn shown(label: &str) -> String {
    label.chars().take(80).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(names: &[&str]) -> Vec<String> {
        names.iter().map(|&name| name.to_owned()).collect()
    }

    #[test]
    fn refuses_what_no_head_can_tell() {
        for labels in [&[][..], &["one"], &["a", "b", "a"], &["a", "\u{1b}[31m"]] {
            assert!(Classifier::classes(names(labels)).is_err(), "{labels:?}");
        }
        for count in [0, MAX_LABELS + 1, usize::MAX] {
            assert!(Classifier::unnamed(count).is_err(), "{count}");
        }
        assert!(Classifier::value("x".repeat(MAX_NAMES + 1)).is_err());
        assert!(Classifier::unnamed(1).unwrap().is_value());
        assert_eq!(Classifier::unnamed(2).unwrap().labels(), ["LABEL_0", "LABEL_1"]);
    }

    #[test]
    fn pools_the_last_row_that_is_no_padding() {
        let plain = Classifier::classes(names(&["no", "yes"])).unwrap();
        let padded = plain.clone().with_pad(Some(9));
        assert_eq!((plain.pooled(&[5, 9, 9]), padded.pooled(&[5, 9, 9])), (2, 0));
        assert_eq!((padded.pooled(&[9, 4, 9]), padded.pooled(&[9, 9])), (1, 0), "padding may stand on both sides");
        assert_eq!(padded.targets(&[5, 9, 1, 2], &[2, 2], &[1, 0]), [1, IGNORE, IGNORE, 0]);
        assert_eq!((plain.id("yes"), plain.id("maybe")), (Some(1), None));
    }
}
