//! Answers into measures, by the rules of each kind of request.

mod classified;

use serde_json::Value;

pub(crate) use classified::favours;

use crate::aggregate::Measure;
use crate::answer::{Answer, largest};
use crate::definition::{Filter, Metric, Output, Pipeline, Task};
use crate::judges::Judges;
use crate::prompt::Case;
use crate::python;
use crate::similarity::{Rouge, RougeKind};

/// What one document gives each score, by its name.
pub(crate) type Measures = Vec<(String, Measure)>;

/// The measures of a document under a pipeline of filters, and the answers that are left after it.
pub(crate) fn measure(
    task: &Task,
    pipeline: &Pipeline,
    case: &Case,
    answers: &[Answer],
    judges: &mut Judges<'_>,
) -> Result<(Measures, Vec<Answer>), String> {
    let answers = filtered(pipeline, answers, task.output)?;
    if judges.lacking(task).is_some() {
        return Ok((Vec::new(), answers));
    }
    if let Some(function) = task.process_results {
        let found = function.call(&case.document, &answers, judges)?;
        return Ok((found.into_iter().map(|(name, measure)| (name.to_owned(), measure)).collect(), answers));
    }
    let wanted = |name: &str| task.metrics.iter().find(|metric| metric.name == name);
    let found = match task.output {
        Output::Loglikelihood => {
            let Some(Answer::Likelihood { logprob, greedy }) = answers.first() else { return Err(missing()) };
            [("perplexity", *logprob), ("acc", flag(*greedy))]
                .into_iter()
                .filter(|(name, _)| wanted(name).is_some())
                .map(|(name, value)| (name.to_owned(), Measure::Number(value)))
                .collect()
        }
        Output::LoglikelihoodRolling => {
            let sum = answers.first().and_then(Answer::logprob).ok_or_else(missing)?;
            let text = python::display(&case.target);
            let words = words(&text) as f64;
            [("word_perplexity", words), ("byte_perplexity", text.len() as f64), ("bits_per_byte", text.len() as f64)]
                .into_iter()
                .filter(|(name, _)| wanted(name).is_some())
                .map(|(name, weight)| (name.to_owned(), Measure::Weighted { sum, weight }))
                .collect()
        }
        Output::MultipleChoice => choices(task, case, &answers)?,
        Output::Sentences => return Err("sentences are scored by a function, and the task names none".to_owned()),
        Output::GenerateUntil => generated(task, case, &answers)?,
        Output::Classification => classified::classified(task, case, &answers)?,
    };
    Ok((found, answers))
}

fn missing() -> String {
    "an answer is missing".to_owned()
}

fn flag(value: bool) -> f64 {
    f64::from(u8::from(value))
}

/// Pieces between runs of white space, an empty text being one: as Python's `re.split(r"\s+", text)` counts.
fn words(text: &str) -> usize {
    let inner = text.split_whitespace().count();
    let ends = usize::from(text.starts_with(char::is_whitespace)) + usize::from(text.ends_with(char::is_whitespace));
    if inner == 0 { if text.is_empty() { 1 } else { 2 } } else { inner + ends }
}

/// Which choices are right by a target as samples hold it, which is text whatever it was: a place, a choice, or a list of places. Where a
/// number is a place and a choice too, `found` decides: the likeliest choice, and whether it was right. Empty where it cannot be told.
pub(crate) fn gold_of(target: &str, choices: &[&str], found: Option<(usize, bool)>) -> Vec<usize> {
    let place = |text: &str| text.trim().parse::<usize>().ok().filter(|&at| at < choices.len());
    let list = target.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
    let listed = list.map(|list| list.split(',').filter_map(place).collect::<Vec<_>>());
    let named = choices.iter().position(|choice| choice.trim() == target.trim());
    let ways = [place(target).map(|at| vec![at]), named.map(|at| vec![at]), listed];
    let fits = |gold: &Vec<usize>| !gold.is_empty() && found.is_none_or(|(best, right)| gold.contains(&best) == right);
    ways.into_iter().flatten().find(fits).unwrap_or_default()
}

fn choices(task: &Task, case: &Case, answers: &[Answer]) -> Result<Measures, String> {
    let count = case.choices.len();
    let logprobs: Vec<f64> = answers.iter().filter_map(Answer::logprob).collect();
    if logprobs.len() < count {
        return Err(missing());
    }
    let (conditional, unconditional) = logprobs.split_at(count);
    let over = |length: fn(&str) -> usize| -> Vec<f64> {
        conditional.iter().zip(&case.choices).map(|(l, choice)| l / length(choice) as f64).collect()
    };
    let gold = case.right();
    // The harness warns of this and counts the document as wrong.
    let one = *gold.first().ok_or_else(|| {
        format!("the right answer is {}, which is none of the {count} choices", python::repr(&case.target))
    })?;
    let right = |at: usize| flag(gold.contains(&at));
    let best = largest(conditional);
    let mut found = Vec::new();
    for metric in &task.metrics {
        let measure = match metric.name.as_str() {
            "acc" => Measure::Number(right(best)),
            "acc_norm" => Measure::Number(right(largest(&over(|choice| choice.chars().count())))),
            "acc_bytes" => Measure::Number(right(largest(&over(str::len)))),
            "acc_mutual_info" => {
                let gain: Vec<f64> =
                    conditional.iter().zip(unconditional).map(|(with, without)| with - without).collect();
                if gain.len() < count {
                    return Err(missing());
                }
                Measure::Number(right(largest(&gain)))
            }
            "exact_match" => {
                let greedy = |&at: &usize| matches!(answers[at], Answer::Likelihood { greedy: true, .. });
                Measure::Number(flag(gold.iter().any(greedy)))
            }
            "f1" | "mcc" => Measure::Labels { gold: one as i64, predicted: best as i64 },
            "brier_score" => Measure::Distribution { gold: one, probabilities: softmax(conditional) },
            "likelihood" => Measure::Number(softmax(conditional)[one]),
            "acc_all" => continue,
            other => return Err(format!("the metric `{other}` is not of choices")),
        };
        found.push((metric.name.clone(), measure));
    }
    Ok(found)
}

fn softmax(logprobs: &[f64]) -> Vec<f64> {
    let most = logprobs.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let weights: Vec<f64> = logprobs.iter().map(|l| (l - most).exp()).collect();
    let all: f64 = weights.iter().sum();
    weights.into_iter().map(|weight| weight / all).collect()
}

fn generated(task: &Task, case: &Case, answers: &[Answer]) -> Result<Measures, String> {
    let found = answers.first().and_then(Answer::text).ok_or_else(missing)?;
    let wanted: Vec<String> = match &case.target {
        Value::Number(at) if !case.choices.is_empty() => {
            let choice = at.as_u64().and_then(|at| case.choices.get(at as usize));
            vec![
                choice
                    .cloned()
                    .ok_or_else(|| format!("the right answer is {at}, of {} choices", case.choices.len()))?,
            ]
        }
        Value::Array(items) => items.iter().map(python::display).collect(),
        other => vec![python::display(other)],
    };
    let mut measures = Vec::new();
    for metric in &task.metrics {
        let measure = match metric.name.as_str() {
            "exact_match" => {
                let same = |wanted: &String| plain(metric, wanted) == plain(metric, found);
                Measure::Number(flag(wanted.iter().any(same)))
            }
            "bleu" | "chrf" | "chrf++" | "ter" => {
                Measure::Texts { references: wanted.clone(), hypothesis: found.to_owned() }
            }
            "rouge1" => Measure::Number(rouge(RougeKind::One, &wanted, found)?),
            "rouge2" => Measure::Number(rouge(RougeKind::Two, &wanted, found)?),
            "rougeL" => Measure::Number(rouge(RougeKind::L, &wanted, found)?),
            "rougeLsum" => Measure::Number(rouge(RougeKind::LSum, &wanted, found)?),
            other => return Err(format!("the metric `{other}` is not of generated text")),
        };
        measures.push((metric.name.clone(), measure));
    }
    Ok(measures)
}

/// ROUGE's F1 against the reference that is most alike, words stemmed, as papers on summaries report it.
fn rouge(kind: RougeKind, wanted: &[String], found: &str) -> Result<f64, String> {
    let wanted: Vec<&str> = wanted.iter().map(String::as_str).collect();
    let scores = Rouge { stemmed: true }.score_best(&[kind], &wanted, found).map_err(|error| error.to_string())?;
    scores.first().map(|score| score.f_measure).ok_or_else(missing)
}

/// A text without what a metric ignores.
fn plain(metric: &Metric, text: &str) -> String {
    let mut text = text.to_owned();
    for pattern in &metric.regexes_to_ignore {
        text = pattern.replace_all(&text, "").into_owned();
    }
    if metric.ignore_case {
        text = text.to_lowercase();
    }
    if metric.ignore_punctuation {
        text.retain(|c| !c.is_ascii_punctuation());
    }
    if metric.ignore_numbers {
        text.retain(|c| !c.is_ascii_digit());
    }
    text
}

fn filtered(pipeline: &Pipeline, answers: &[Answer], output: Output) -> Result<Vec<Answer>, String> {
    let mut texts: Vec<String> = match output {
        Output::GenerateUntil => answers.iter().filter_map(Answer::text).map(str::to_owned).collect(),
        _ => return Ok(answers.to_vec()),
    };
    for filter in &pipeline.filters {
        match filter {
            Filter::TakeFirst => texts.truncate(1),
            Filter::MajorityVote => {
                let count = |text: &String| texts.iter().filter(|other| *other == text).count();
                let mut best = 0;
                for at in 1..texts.len() {
                    if count(&texts[at]) > count(&texts[best]) {
                        best = at;
                    }
                }
                texts = texts.into_iter().nth(best).into_iter().collect();
            }
            Filter::Lowercase => texts.iter_mut().for_each(|text| *text = text.to_lowercase()),
            Filter::Uppercase => texts.iter_mut().for_each(|text| *text = text.to_uppercase()),
            Filter::RemoveWhitespace => texts.iter_mut().for_each(|text| *text = text.trim_start().to_owned()),
            Filter::Regex { pattern, group, fallback } => {
                for text in &mut texts {
                    *text = matched(pattern, *group, text).unwrap_or_else(|| fallback.clone());
                }
            }
        }
    }
    Ok(texts.into_iter().map(Answer::Text).collect())
}

/// What a pattern finds: of all its matches the one asked for (counted from the end if negative), of that the first group that matched.
fn matched(pattern: &regex::Regex, which: isize, text: &str) -> Option<String> {
    let all: Vec<_> = pattern.captures_iter(text).collect();
    let at = if which < 0 { all.len().checked_sub(which.unsigned_abs())? } else { which as usize };
    let found = all.get(at)?;
    let groups = found.iter().skip(1).flatten().map(|group| group.as_str()).find(|group| !group.is_empty());
    let text = if found.len() > 1 { groups? } else { found.get(0)?.as_str() };
    Some(text.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_counted_as_python_splits() {
        for (text, wanted) in [("", 1), (" ", 2), ("a", 1), ("a b\n c", 3), (" a b ", 4), ("a\t", 2)] {
            assert_eq!(words(text), wanted, "{text:?}");
        }
    }

    #[test]
    fn patterns_find_as_the_harness_does() {
        let pattern = regex::Regex::new(r"(-?[$0-9.,]{2,})|(-?[0-9]+)").unwrap();
        assert_eq!(matched(&pattern, -1, "it is 3, then 1,250 and 7"), Some("7".to_owned()));
        assert_eq!(matched(&pattern, 0, "it is 3, then 1,250"), Some("3,".to_owned()));
        assert_eq!(matched(&pattern, 0, "none"), None);
    }
}
