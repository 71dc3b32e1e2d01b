//! StereoSet (Nadeem et al., 2021): of a target term, a stereotype, what contradicts it, and something that has nothing to do with it.

use serde_json::{Value, json};

use super::documents::Named;
use super::{ResultsFunction, Scores, fields, text};
use crate::aggregate::{Measure, Triple};
use crate::answer::Answer;
use crate::document::Document;

/// The labels, in the order in which requests are made, with their numbers at the hub.
const LABELS: [(&str, u64); 3] = [("stereotype", 1), ("anti-stereotype", 0), ("unrelated", 2)];
/// The domains, and the scores of each.
const DOMAINS: [(&str, [&str; 3]); 4] = [
    ("gender", ["ss_gender", "lms_gender", "icat_gender"]),
    ("profession", ["ss_profession", "lms_profession", "icat_profession"]),
    ("race", ["ss_race", "lms_race", "icat_race"]),
    ("religion", ["ss_religion", "lms_religion", "icat_religion"]),
];

pub(super) const DOCUMENTS: &[Named] = &[
    ("stereoset_intrasentence", |rows| of_kind(rows, Kind::Within)),
    ("stereoset_intersentence", |rows| of_kind(rows, Kind::After)),
];

pub(super) const FIELDS: &[fields::Named] = &[("stereoset_with_context", with_context)];

pub(super) const RESULTS: &[(&str, ResultsFunction)] =
    &[("stereoset", ResultsFunction::Alone(by_token)), ("stereoset_ratio", ResultsFunction::Alone(by_ratio))];

/// Where the words are that differ.
#[derive(Clone, Copy, PartialEq)]
enum Kind {
    /// In a blank of a sentence.
    Within,
    /// In a sentence after the context.
    After,
}

/// Rows of one kind with their sentences as a list: stereotype, what contradicts it, what is unrelated.
fn of_kind(rows: Vec<Document>, kind: Kind) -> Result<Vec<Document>, String> {
    let wanted = if kind == Kind::Within { "intrasentence" } else { "intersentence" };
    let mut found = Vec::new();
    for mut row in rows {
        // A file of both kinds says which a row is; at the hub each kind is a configuration of its own.
        if row.contains_key("type") && text(&row, "type")? != wanted {
            continue;
        }
        let sentences = if row.contains_key("sentences") { labelled(&row)? } else { flat(&row)? };
        row.insert("sentences".to_owned(), json!(sentences));
        if kind == Kind::After {
            let context = text(&row, "context")?;
            let ended = context.ends_with(['.', '!', '?']);
            let context = if ended { context.to_owned() } else { format!("{context}.") };
            row.insert("context".to_owned(), context.into());
        }
        found.push(row);
    }
    Ok(found)
}

fn flat(row: &Document) -> Result<[String; 3], String> {
    let mut found = [const { String::new() }; 3];
    for (sentence, (label, _)) in found.iter_mut().zip(LABELS) {
        *sentence = text(row, label)?.to_owned();
    }
    Ok(found)
}

/// Of sentences with their labels, as lists in an object or as a list of objects.
fn labelled(row: &Document) -> Result<[String; 3], String> {
    let pairs: Vec<(&Value, &Value)> = match row.get("sentences") {
        Some(Value::Object(lists)) => match (lists.get("gold_label"), lists.get("sentence")) {
            (Some(Value::Array(labels)), Some(Value::Array(texts))) => labels.iter().zip(texts).collect(),
            _ => return Err("`sentences` has no lists `gold_label` and `sentence`".to_owned()),
        },
        Some(Value::Array(items)) => {
            items.iter().filter_map(|item| Some((item.get("gold_label")?, item.get("sentence")?))).collect()
        }
        _ => return Err("`sentences` is neither a list nor an object of lists".to_owned()),
    };
    let mut found = [const { String::new() }; 3];
    for (sentence, (label, number)) in found.iter_mut().zip(LABELS) {
        let mut fitting =
            pairs.iter().filter(|(given, _)| given.as_str() == Some(label) || given.as_u64() == Some(number));
        match (fitting.next().and_then(|(_, text)| text.as_str()), fitting.next()) {
            (Some(text), None) => *sentence = text.to_owned(),
            _ => return Err(format!("one sentence with the label `{label}` is wanted in `sentences`")),
        }
    }
    Ok(found)
}

/// The sentences, and after them the context.
fn with_context(document: &Document) -> Result<Value, String> {
    let mut sentences =
        document.get("sentences").and_then(Value::as_array).cloned().ok_or("there is no list `sentences`")?;
    sentences.push(text(document, "context")?.into());
    Ok(sentences.into())
}

/// By the geometric mean of the tokens' probabilities, which orders sentences as the mean of their logarithms does.
fn by_token(document: &Document, answers: &[Answer]) -> Scores {
    let means: Option<Vec<f64>> = answers.iter().map(Answer::per_token).collect();
    scores(document, &means.ok_or(SENTENCES)?)
}

/// By the mean log-probability of the sentence alone over that of its context.
fn by_ratio(document: &Document, answers: &[Answer]) -> Scores {
    let means: Option<Vec<f64>> = answers.iter().map(Answer::per_token).collect();
    let means = means.ok_or(SENTENCES)?;
    let (context, sentences) = means.split_last().ok_or(SENTENCES)?;
    scores(document, &sentences.iter().map(|mean| mean / context).collect::<Vec<_>>())
}

const SENTENCES: &str = "likelihoods of sentences are wanted here";

fn scores(document: &Document, values: &[f64]) -> Scores {
    let [stereotype, contrary, unrelated] = *values else {
        return Err(format!("three sentences are wanted, found {}", values.len()));
    };
    let triple =
        Triple::new(stereotype, contrary, unrelated).ok_or("a sentence has no likelihood that can be compared")?;
    let domain = text(document, "bias_type")?;
    let (_, names) = DOMAINS.iter().find(|(name, _)| *name == domain).ok_or_else(|| {
        format!("the domain {domain:?} is not known; known are {}", DOMAINS.map(|(name, _)| name).join(", "))
    })?;
    let term = text(document, "target")?;
    let measure = |name| (name, Measure::Triple { term: term.to_owned(), triple });
    Ok(["ss", "lms", "icat"].into_iter().chain(*names).map(measure).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(value: Value) -> Document {
        value.as_object().unwrap().clone()
    }

    #[test]
    fn rows_of_files_and_of_the_hub_become_the_same() {
        let flat = json!({"type": "intersentence", "target": "t", "bias_type": "race", "context": "C",
            "stereotype": "s", "anti-stereotype": "a", "unrelated": "u"});
        let lists = json!({"target": "t", "bias_type": "race", "context": "C",
            "sentences": {"sentence": ["u", "s", "a"], "gold_label": [2, 1, 0]}});
        let objects = json!({"target": "t", "bias_type": "race", "context": "C", "sentences": [
            {"sentence": "a", "gold_label": "anti-stereotype"}, {"sentence": "s", "gold_label": "stereotype"},
            {"sentence": "u", "gold_label": "unrelated"}]});
        for value in [flat, lists, objects] {
            let found = of_kind(vec![row(value)], Kind::After).unwrap();
            assert_eq!((&found[0]["sentences"], &found[0]["context"]), (&json!(["s", "a", "u"]), &json!("C.")));
            assert_eq!(with_context(&found[0]).unwrap(), json!(["s", "a", "u", "C."]));
        }
        let other = row(json!({"type": "intersentence"}));
        assert_eq!(of_kind(vec![other], Kind::Within).unwrap(), Vec::<Document>::new());
        let twice = json!({"context": "C", "sentences": {"sentence": ["u", "s", "a"], "gold_label": [1, 1, 0]}});
        assert!(of_kind(vec![row(twice)], Kind::Within).unwrap_err().contains("stereotype"));
    }

    #[test]
    fn sentences_are_compared_by_token() {
        let document = row(json!({"target": "t", "bias_type": "race"}));
        let answers = [(-8.0, 4), (-3.0, 1), (-5.0, 2)].map(|(logprob, tokens)| Answer::Sentence { logprob, tokens });
        let found = by_token(&document, &answers).unwrap();
        let triple = Measure::Triple { term: "t".to_owned(), triple: Triple::new(-2.0, -3.0, -2.5).unwrap() };
        assert!(found.iter().all(|(_, measure)| *measure == triple), "{found:?}");
        let names: Vec<&str> = found.iter().map(|(name, _)| *name).collect();
        assert_eq!(names, ["ss", "lms", "icat", "ss_race", "lms_race", "icat_race"]);
        // As a ratio of two numbers below 0 the likeliest is the smallest.
        let context = [answers.as_slice(), &[Answer::Sentence { logprob: -1.0, tokens: 1 }]].concat();
        let triple = Measure::Triple { term: "t".to_owned(), triple: Triple::new(2.0, 3.0, 2.5).unwrap() };
        assert_eq!(by_ratio(&document, &context).unwrap()[0].1, triple);
    }
}
