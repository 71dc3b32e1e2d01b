//! Why texts cannot be compared.

/// The one error of text similarity.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum SimilarityError {
    /// There is nothing to compare with.
    #[error("a hypothesis has no reference: give it one at least, an empty one if need be")]
    NoReference,
    /// Texts beyond the bound.
    #[error("a hypothesis and its references have {bytes} bytes, of which {limit} can be compared: cut them")]
    TooLong {
        /// Bytes of all texts.
        bytes: usize,
        /// The most that are taken.
        limit: usize,
    },
    /// Too many words for an edit distance with shifts.
    #[error("TER compares texts of {limit} words at most, and one has {words}: cut it")]
    TooManyWords {
        /// Words of the longer text.
        words: usize,
        /// The most that are taken.
        limit: usize,
    },
    /// A longest common subsequence that would take hours.
    #[error("ROUGE-L over {target} and {prediction} words takes too long: cut the texts")]
    TooMuchWork {
        /// Words of the target.
        target: usize,
        /// Words of the prediction.
        prediction: usize,
    },
    /// A value that smooths nothing.
    #[error("BLEU cannot be smoothed with {value}: the value is 0 or more")]
    Smoothing {
        /// As it was given.
        value: f64,
    },
}

pub(crate) type Result<T> = std::result::Result<T, SimilarityError>;
