//! The labels of a classifier in a `config.json`.
//!
//! A class of transformers that ends in `ForSequenceClassification` makes a model a classifier; the labels of other classes, which
//! old configurations carry along, mean nothing. transformers leaves `id2label` out where it has its default, two labels.

use serde_json::{Map, Value};

use super::json::Keys;
use crate::classifier::{Classifier, MAX_LABELS};
use crate::config::ConfigError;

/// How the names of transformers' classes with such a head end.
pub(super) const CLASS: &str = "ForSequenceClassification";

/// What the head tells, if there is one.
pub(super) fn classifier(keys: &Keys<'_>) -> Result<Option<Classifier>, ConfigError> {
    let class = keys.get("architectures").and_then(|list| list.as_array()?.first()?.as_str());
    if !class.is_some_and(|class| class.ends_with(CLASS)) {
        return Ok(None);
    }
    let count = keys.count("num_labels")?;
    let names = match keys.get("id2label") {
        None => None,
        Some(Value::Object(map)) => Some(names(keys, map)?),
        Some(other) => return Err(keys.wrong_type("id2label", "an object", other)),
    };
    if let (Some(count), Some(names)) = (count, &names)
        && count != names.len()
    {
        return Err(ConfigError::Unsupported(format!(
            "`num_labels` is {count}, but `id2label` names {}; the two must agree",
            names.len()
        )));
    }
    let known = "single_label_classification and regression";
    let unsupported = |why: &str| Err(ConfigError::Unsupported(why.into()));
    let count = names.as_ref().map_or(count.unwrap_or(2), Vec::len);
    match keys.get("problem_type") {
        None => {}
        Some(Value::String(kind)) => match kind.as_str() {
            "regression" if count > 1 => {
                return unsupported(
                    "`problem_type` is regression over several labels; only that of one value is known",
                );
            }
            "single_label_classification" if count == 1 => {
                return unsupported(
                    "`problem_type` is single_label_classification, but there is one label: wanted two",
                );
            }
            "regression" | "single_label_classification" => {}
            "multi_label_classification" => {
                return unsupported(
                    "`problem_type` is multi_label_classification, which is not supported: a sequence has one label here",
                );
            }
            other => {
                let value = other.chars().take(80).collect();
                return Err(ConfigError::UnknownChoice { key: "problem_type", value, known });
            }
        },
        Some(other) => return Err(keys.wrong_type("problem_type", known, other)),
    }
    let classifier = match names {
        None => Classifier::unnamed(count)?,
        Some(mut names) if names.len() == 1 => Classifier::value(names.swap_remove(0))?,
        Some(names) => Classifier::classes(names)?,
    };
    agree(keys, &classifier)?;
    Ok(Some(classifier.with_pad(keys.token("pad_token_id")?)))
}

/// `id2label` as a list: its keys are 0 to the number of labels, each once.
fn names(keys: &Keys<'_>, map: &Map<String, Value>) -> Result<Vec<String>, ConfigError> {
    if map.len() > MAX_LABELS {
        let value = map.len().to_string();
        return Err(ConfigError::OutOfRange { key: "number of labels", value, range: format!("1 to {MAX_LABELS}") });
    }
    (0..map.len())
        .map(|id| match map.get(&id.to_string()) {
            Some(Value::String(name)) => Ok(name.clone()),
            Some(other) => Err(keys.wrong_type("id2label", "an object of names", other)),
            None => Err(ConfigError::Unsupported(format!(
                "`id2label` has {} entries, but none for {id}: ids must be 0 to {} without gaps",
                map.len(),
                map.len() - 1
            ))),
        })
        .collect()
}

/// `label2id` may know other names, but must not give one of ours another id.
fn agree(keys: &Keys<'_>, classifier: &Classifier) -> Result<(), ConfigError> {
    let map = match keys.get("label2id") {
        None => return Ok(()),
        Some(Value::Object(map)) => map,
        Some(other) => return Err(keys.wrong_type("label2id", "an object", other)),
    };
    for (id, label) in classifier.labels().iter().enumerate() {
        if let Some(found) = map.get(label)
            && found.as_u64() != Some(id as u64)
        {
            let found = super::json::shown(found);
            return Err(ConfigError::Unsupported(format!(
                "`label2id` gives `{label:.80}` the id {found}, but in `id2label` it has {id}"
            )));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use crate::classifier::MAX_LABELS;
    use crate::config::{Config, ConfigError};
    use crate::shapes;

    fn with(changes: &Value) -> Result<Config, ConfigError> {
        let text = shapes::config("gpt2").unwrap().to_json("float32");
        let mut config: Value = serde_json::from_str(&text).unwrap();
        config["architectures"] = json!(["GPT2ForSequenceClassification"]);
        config.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
        Config::from_json(config.to_string().as_bytes())
    }

    fn labels(changes: &Value) -> Vec<String> {
        with(changes).unwrap().classifier.unwrap().labels().to_vec()
    }

    #[test]
    fn reads_labels_as_transformers_writes_them() {
        assert_eq!(labels(&json!({})), ["LABEL_0", "LABEL_1"], "transformers leaves the default out");
        assert_eq!(labels(&json!({"num_labels": 3})).len(), 3);
        let named = json!({"id2label": {"1": "yes", "0": "no"}, "label2id": {"yes": 1, "no": 0}, "pad_token_id": 7});
        assert_eq!(labels(&named), ["no", "yes"]);
        assert_eq!(with(&named).unwrap().classifier.unwrap().pad(), Some(7));
        let ten: serde_json::Map<_, _> = (0..12).map(|i| (i.to_string(), json!(format!("c{i}")))).collect();
        assert_eq!(labels(&json!({"id2label": ten}))[10], "c10", "by number, not by spelling");
        let value = with(&json!({"id2label": {"0": "similarity"}, "problem_type": "regression"})).unwrap();
        assert!(value.classifier.unwrap().is_value());
        let text = json!({"architectures": ["GPT2LMHeadModel"], "id2label": {"0": "LABEL_0"}, "num_labels": 1});
        assert_eq!(with(&text).unwrap().classifier, None, "old language models carry labels along");
    }

    #[test]
    fn refuses_labels_that_make_no_head() {
        for changes in [
            json!({"num_labels": 0}),
            json!({"num_labels": -1}),
            json!({"num_labels": 1u64 << 40}),
            json!({"num_labels": 4097}),
            json!({"num_labels": "two"}),
            json!({"num_labels": 2, "id2label": {"0": "a", "1": "b", "2": "c"}}),
            json!({"id2label": {}}),
            json!({"id2label": []}),
            json!({"id2label": {"0": "a", "2": "b"}}),
            json!({"id2label": {"00": "a", "1": "b"}}),
            json!({"id2label": {"-1": "a", "0": "b"}}),
            json!({"id2label": {"0": 4, "1": "b"}}),
            json!({"id2label": {"0": "a", "1": "a"}}),
            json!({"id2label": {"0": "a", "1": "\u{1b}[2J"}}),
            json!({"id2label": {"0": "a", "1": "b"}, "label2id": {"a": 1, "b": 0}}),
            json!({"label2id": [0, 1]}),
            json!({"problem_type": "multi_label_classification"}),
            json!({"problem_type": "regression"}),
            json!({"problem_type": "single_label_classification", "num_labels": 1}),
            json!({"problem_type": "ranking"}),
            json!({"problem_type": 1}),
            json!({"pad_token_id": 50257}),
        ] {
            assert!(with(&changes).is_err(), "{changes} was accepted");
        }
        let message = with(&json!({"id2label": {"0": "a", "2": "b"}})).unwrap_err().to_string();
        assert!(message.contains("none for 1"), "{message}");
    }

    #[test]
    fn the_most_labels_with_the_longest_names_read_back() {
        // Quotes are written in two bytes.
        let names: Vec<String> = (0..MAX_LABELS).map(|i| format!("{i:04}{}", "\"".repeat(28))).collect();
        let classifier = crate::Classifier::classes(names).unwrap();
        let config = shapes::config("gpt-neo-2.7b").unwrap().classifying(classifier);
        let text = config.to_json("float32");
        assert_eq!(Config::from_json(text.as_bytes()).unwrap(), config, "{} bytes", text.len());
    }

    #[test]
    fn every_family_writes_what_it_reads() {
        for name in ["gpt2", "gpt-neo-125m", "gpt-j-6b", "pythia-160m"] {
            for labels in [&["bad", "good"][..], &["a", "b", "c"], &["score"]] {
                let labels: Vec<String> = labels.iter().map(|&l| l.to_owned()).collect();
                let classifier = match labels.len() {
                    1 => crate::Classifier::value(labels[0].clone()).unwrap(),
                    _ => crate::Classifier::classes(labels).unwrap().with_pad(Some(3)),
                };
                let config = shapes::config(name).unwrap().classifying(classifier);
                let text = config.to_json("float32");
                assert_eq!(Config::from_json(text.as_bytes()).unwrap(), config, "{name}\n{text}");
            }
        }
    }
}
