//! Scorers of texts that a user names: `KIND:FILE`.

use std::path::PathBuf;

/// What judges how toxic a text is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum ToxicityScorer {
    /// A list of words.
    Words(PathBuf),
    /// A model with a sequence classification head.
    Classifier {
        /// As `-m` takes it.
        model: String,
        /// Whose probability counts.
        label: String,
    },
}

/// What judges how glad a text sounds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum SentimentScorer {
    /// VADER's rules with a lexicon in its format.
    Vader(PathBuf),
}

/// The label that a classifier has for toxic texts where none is named.
const TOXIC: &str = "toxic";

pub(crate) fn toxicity(text: &str) -> Result<ToxicityScorer, String> {
    match text.split_once(':') {
        Some(("words", file)) if !file.is_empty() => Ok(ToxicityScorer::Words(file.into())),
        Some(("classifier", named)) => {
            let (model, label) = named.rsplit_once('#').unwrap_or((named, TOXIC));
            if model.is_empty() || label.is_empty() {
                return Err("a classifier is a folder, and after a # perhaps a label".to_owned());
            }
            Ok(ToxicityScorer::Classifier { model: model.to_owned(), label: label.to_owned() })
        }
        _ => Err("must be words:FILE, a list of words, or classifier:DIR[#LABEL], a model that classifies".to_owned()),
    }
}

pub(crate) fn sentiment(text: &str) -> Result<SentimentScorer, String> {
    match text.split_once(':') {
        Some(("vader", file)) if !file.is_empty() => Ok(SentimentScorer::Vader(file.into())),
        _ => Err("must be vader:FILE, a lexicon in VADER's format".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scorers_are_named_by_kind_and_file() {
        let classifier = |model: &str, label: &str| {
            Ok(ToxicityScorer::Classifier { model: model.to_owned(), label: label.to_owned() })
        };
        assert_eq!(toxicity("words:a:b.txt"), Ok(ToxicityScorer::Words("a:b.txt".into())));
        assert_eq!(toxicity("classifier:./m"), classifier("./m", "toxic"));
        assert_eq!(toxicity("classifier:./m#1#very bad"), classifier("./m#1", "very bad"));
        for wrong in ["", "words", "words:", "list.txt", "classifier:", "classifier:#a", "classifier:m#", "vader:x"] {
            assert!(toxicity(wrong).is_err(), "{wrong}");
        }
        assert_eq!(sentiment("vader:x"), Ok(SentimentScorer::Vader("x".into())));
        assert!(sentiment("vader:").is_err() && sentiment("words:x").is_err());
    }
}
