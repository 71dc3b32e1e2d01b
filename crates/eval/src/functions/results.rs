//! Scores of a document that no rule of the harness's own covers.

use regex::Regex;
use serde_json::Value;

use super::{ResultsFunction, Scores, text};
use crate::aggregate::Measure;
use crate::answer::{Answer, largest};
use crate::document::Document;
use crate::measure::favours;

pub(super) const NAMES: &[(&str, ResultsFunction)] = &[
    ("wikitext", ResultsFunction::Alone(wikitext)),
    ("record", ResultsFunction::Alone(record)),
    ("multirc", ResultsFunction::Alone(multirc)),
    ("multirc_head", ResultsFunction::Alone(multirc_head)),
    ("squad", ResultsFunction::Alone(squad)),
];

/// Likelihoods, in the order of the requests.
pub(super) fn logprobs(answers: &[Answer]) -> Result<Vec<f64>, String> {
    answers.iter().map(|answer| answer.logprob().ok_or_else(|| "likelihoods are wanted here".to_owned())).collect()
}

/// The texts of a list in a column.
pub(super) fn texts(document: &Document, column: &str) -> Result<Vec<String>, String> {
    let items = document.get(column).and_then(Value::as_array).ok_or(format!("there is no list `{column}`"))?;
    Ok(items.iter().filter_map(Value::as_str).map(str::to_owned).collect())
}

/// Words and bytes are those of the text before marks were tidied, as the harness counts.
fn wikitext(document: &Document, answers: &[Answer]) -> Scores {
    let sum = *logprobs(answers)?.first().ok_or("there is no likelihood")?;
    let page = text(document, "page")?;
    let words = Regex::new(r"\s+").expect("a constant").split(page).count() as f64;
    let bytes = page.len() as f64;
    Ok(vec![
        ("word_perplexity", Measure::Weighted { sum, weight: words }),
        ("byte_perplexity", Measure::Weighted { sum, weight: bytes }),
        ("bits_per_byte", Measure::Weighted { sum, weight: bytes }),
    ])
}

/// F1 and exact match of the likeliest entity against each answer, the best of them.
fn record(document: &Document, answers: &[Answer]) -> Scores {
    let strengths = match answers.first() {
        Some(Answer::Logits(_)) => favours(answers)?,
        _ => logprobs(answers)?,
    };
    let best = largest(&strengths);
    let entities = texts(document, "entities")?;
    let found = entities.get(best).ok_or("there are fewer entities than answers")?;
    squad_scores(found, &texts(document, "answers")?)
}

/// Of each answer of a question, whether it was rightly told to be one.
fn multirc(document: &Document, answers: &[Answer]) -> Scores {
    let (question, right) = multirc_answer(document)?;
    Ok(vec![("acc", Measure::Part { question, right: right == (largest(&logprobs(answers)?) == 1) })])
}

/// The same by a head: F1 over all answers, and the share of questions with all of them told rightly.
fn multirc_head(document: &Document, answers: &[Answer]) -> Scores {
    let (question, right) = multirc_answer(document)?;
    let Some(Answer::Logits(logits)) = answers.first() else { return Err("labels are wanted here".to_owned()) };
    let logits: Vec<f64> = logits.iter().map(|&logit| f64::from(logit)).collect();
    let found = largest(&logits) == 1;
    Ok(vec![
        ("f1", Measure::Labels { gold: i64::from(right), predicted: i64::from(found) }),
        ("em", Measure::Part { question, right: right == found }),
    ])
}

/// Which question an answer is to, and whether it is a right one.
fn multirc_answer(document: &Document) -> Result<((i64, i64), bool), String> {
    let place = |name: &str| -> Result<i64, String> {
        let index = document.get("idx").and_then(|index| index.get(name)).and_then(Value::as_i64);
        index.ok_or(format!("there is no number `idx.{name}`"))
    };
    let right = document.get("label").and_then(Value::as_i64).ok_or("there is no number `label`")? == 1;
    Ok(((place("paragraph")?, place("question")?), right))
}

/// SQuAD's F1 and exact match of a generated answer, against the best of those in `answer` or `answers`.
fn squad(document: &Document, answers: &[Answer]) -> Scores {
    let found = answers.first().and_then(Answer::text).ok_or("a text is wanted here")?;
    let wanted = texts(document, "answers").or_else(|_| texts(document, "answer"))?;
    squad_scores(found.trim(), &wanted)
}

fn squad_scores(found: &str, wanted: &[String]) -> Scores {
    let best = |score: fn(&str, &str) -> f64| wanted.iter().map(|wanted| score(found, wanted)).fold(0.0, f64::max);
    Ok(vec![("f1", Measure::Number(best(squad_f1))), ("em", Measure::Number(best(squad_exact)))])
}

/// Small letters, without punctuation, articles and doubled spaces.
fn normal(text: &str) -> String {
    let plain: String = text.to_lowercase().chars().filter(|c| !c.is_ascii_punctuation()).collect();
    let articles = Regex::new(r"\b(a|an|the)\b").expect("a constant").replace_all(&plain, " ").into_owned();
    articles.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn squad_exact(found: &str, wanted: &str) -> f64 {
    f64::from(u8::from(normal(found) == normal(wanted)))
}

fn squad_f1(found: &str, wanted: &str) -> f64 {
    let (found, wanted) = (normal(found), normal(wanted));
    let found: Vec<&str> = found.split_whitespace().collect();
    let mut left: Vec<&str> = wanted.split_whitespace().collect();
    let count = left.len();
    if found.is_empty() || left.is_empty() {
        return f64::from(u8::from(found.is_empty() == left.is_empty()));
    }
    let mut same = 0;
    for word in &found {
        if let Some(at) = left.iter().position(|other| other == word) {
            left.swap_remove(at);
            same += 1;
        }
    }
    let (precision, recall) = (f64::from(same) / found.len() as f64, f64::from(same) / count as f64);
    if same == 0 { 0.0 } else { 2.0 * precision * recall / (precision + recall) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_compared_as_squad_does() {
        assert_eq!(squad_exact("The  Cat.", "cat"), 1.0);
        assert_eq!(squad_f1("a black cat", "the cat sat"), 0.5);
        assert_eq!((squad_f1("", ""), squad_f1("x", "the")), (1.0, 0.0));
    }
}
