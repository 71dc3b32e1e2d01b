//! Measures as they are read back from a file of samples, ours or the reference harness's.
//!
//! The same two numbers are a sum and its weight in one file and two labels in another; what a score is made of says which. A file may
//! hold anything: what is no measure of that kind is an error in words.

use serde_json::Value;

use super::{Aggregation, Measure, Triple};
use crate::python;

/// References of one text.
const MOST_REFERENCES: usize = 10_000;
/// Choices of one document.
const MOST_CHOICES: usize = 1_000_000;

impl Measure {
    /// The measure that [`Measure::json`] wrote, of a score that is made in this way.
    ///
    /// Right and wrong may be truths as well as numbers. A number that JSON has not (not a number, an infinity) was written as null: it
    /// is read as not a number where the score leaves those out, and is an error elsewhere.
    ///
    /// # Errors
    /// What was found, in place of what.
    pub(crate) fn read(json: &Value, aggregation: Aggregation) -> Result<Self, String> {
        let found = match aggregation {
            Aggregation::NanMean if json.is_null() => Some(Self::Number(f64::NAN)),
            Aggregation::Mean
            | Aggregation::Median
            | Aggregation::Deviation
            | Aggregation::NanMean
            | Aggregation::Perplexity => number(json).map(Self::Number),
            Aggregation::WeightedPerplexity | Aggregation::BitsPerByte => weighted(json),
            Aggregation::F1 | Aggregation::MacroF1 | Aggregation::Matthews => two(json)
                .and_then(|[gold, predicted]| Some(Self::Labels { gold: whole(gold)?, predicted: whole(predicted)? })),
            Aggregation::Pearson | Aggregation::Spearman => {
                two(json).and_then(|[gold, found]| Some(Self::Values { gold: gold.as_f64()?, found: found.as_f64()? }))
            }
            Aggregation::Stereo(_) => triple(json),
            Aggregation::DifferingPairs => described(json),
            Aggregation::AmbiguousBias | Aggregation::DisambiguatedBias => stereotype(json),
            Aggregation::Brier => distribution(json),
            Aggregation::AllParts => part(json),
            Aggregation::Bleu | Aggregation::Chrf | Aggregation::ChrfPlusPlus | Aggregation::Ter => texts(json),
        };
        found.ok_or_else(|| format!("{} is wanted, found {}", wanted(aggregation), shortened(json)))
    }
}

fn wanted(aggregation: Aggregation) -> &'static str {
    match aggregation {
        Aggregation::Mean
        | Aggregation::Median
        | Aggregation::Deviation
        | Aggregation::NanMean
        | Aggregation::Perplexity => "a number",
        Aggregation::Pearson | Aggregation::Spearman => "[right value, found value]",
        Aggregation::Stereo(_) => "[term, stereotype or not, 0 to 2 related ones]",
        Aggregation::DifferingPairs => "[axis, descriptor, number]",
        Aggregation::AmbiguousBias | Aggregation::DisambiguatedBias => "[right, biased, names somebody]",
        Aggregation::WeightedPerplexity | Aggregation::BitsPerByte => "[log-likelihood, length above 0]",
        Aggregation::F1 | Aggregation::MacroF1 | Aggregation::Matthews => "[right label, found label]",
        Aggregation::Brier => "[right choice, [probabilities]]",
        Aggregation::AllParts => "[[paragraph, question], right or wrong]",
        Aggregation::Bleu | Aggregation::Chrf | Aggregation::ChrfPlusPlus | Aggregation::Ter => "[references, text]",
    }
}

fn two(json: &Value) -> Option<[&Value; 2]> {
    let items = json.as_array()?;
    if let [first, second] = items.as_slice() { Some([first, second]) } else { None }
}

fn number(json: &Value) -> Option<f64> {
    json.as_f64().or_else(|| json.as_bool().map(|truth| f64::from(u8::from(truth))))
}

/// A label: Python writes those of numpy as numbers with a point.
fn whole(json: &Value) -> Option<i64> {
    const EXACT: f64 = 9_007_199_254_740_992.0;
    let rounded = || json.as_f64().filter(|number| number.fract() == 0.0 && number.abs() <= EXACT).map(|n| n as i64);
    json.as_i64().or_else(rounded).or_else(|| json.as_bool().map(i64::from))
}

fn weighted(json: &Value) -> Option<Measure> {
    let [sum, weight] = two(json)?;
    let (sum, weight) = (sum.as_f64()?, weight.as_f64()?);
    (weight > 0.0).then_some(Measure::Weighted { sum, weight })
}

fn distribution(json: &Value) -> Option<Measure> {
    let [gold, probabilities] = two(json)?;
    let probabilities: Vec<f64> = match probabilities {
        Value::Array(items) if items.len() <= MOST_CHOICES => items.iter().map(Value::as_f64).collect::<Option<_>>()?,
        // The harness writes an array of numpy as numpy prints it.
        Value::String(printed) => {
            let inner = printed.strip_prefix('[')?.strip_suffix(']')?;
            inner.split_whitespace().map(|number| number.parse().ok()).collect::<Option<_>>()?
        }
        _ => return None,
    };
    let gold = usize::try_from(whole(gold)?).ok().filter(|&gold| gold < probabilities.len())?;
    Some(Measure::Distribution { gold, probabilities })
}

fn truth(json: &Value) -> Option<bool> {
    match number(json)? {
        0.0 => Some(false),
        1.0 => Some(true),
        _ => None,
    }
}

fn triple(json: &Value) -> Option<Measure> {
    let [term, stereotyped, related] = json.as_array()?.as_slice() else { return None };
    let triple = Triple::of_parts(truth(stereotyped)?, u8::try_from(whole(related)?).ok()?)?;
    Some(Measure::Triple { term: term.as_str()?.to_owned(), triple })
}

fn described(json: &Value) -> Option<Measure> {
    let [axis, descriptor, value] = json.as_array()?.as_slice() else { return None };
    let (axis, descriptor) = (axis.as_str()?.to_owned(), descriptor.as_str()?.to_owned());
    Some(Measure::Described { axis, descriptor, value: value.as_f64()? })
}

fn stereotype(json: &Value) -> Option<Measure> {
    let [right, biased, known] = json.as_array()?.as_slice() else { return None };
    Some(Measure::Stereotype { right: truth(right)?, biased: truth(biased)?, known: truth(known)? })
}

fn part(json: &Value) -> Option<Measure> {
    let [question, right] = two(json)?;
    let [paragraph, question] = two(question)?;
    Some(Measure::Part { question: (whole(paragraph)?, whole(question)?), right: truth(right)? })
}

fn texts(json: &Value) -> Option<Measure> {
    let [references, hypothesis] = two(json)?;
    let references = match references {
        Value::String(one) => vec![one.clone()],
        Value::Array(items) if (1..=MOST_REFERENCES).contains(&items.len()) => {
            items.iter().map(|item| item.as_str().map(str::to_owned)).collect::<Option<_>>()?
        }
        _ => return None,
    };
    // The harness keeps a list of one text where a task has one answer.
    let hypothesis = match hypothesis {
        Value::String(text) => text.clone(),
        Value::Array(items) => match items.as_slice() {
            [Value::String(text)] => text.clone(),
            _ => return None,
        },
        _ => return None,
    };
    Some(Measure::Texts { references, hypothesis })
}

/// What was found, for an error.
fn shortened(json: &Value) -> String {
    const LETTERS: usize = 60;
    let shown = match json {
        Value::Array(items) if items.len() > 4 => return format!("a list of {}", items.len()),
        Value::Object(_) => return "an object".to_owned(),
        other => python::repr(other),
    };
    if shown.chars().count() <= LETTERS { shown } else { shown.chars().take(LETTERS).chain("...".chars()).collect() }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_was_written_is_read() {
        let number = Measure::Number(0.25);
        let cases = [
            (Aggregation::Mean, number.clone()),
            (Aggregation::Perplexity, number),
            (Aggregation::BitsPerByte, Measure::Weighted { sum: -12.5, weight: 3.0 }),
            (Aggregation::Matthews, Measure::Labels { gold: 1, predicted: -2 }),
            (Aggregation::Brier, Measure::Distribution { gold: 1, probabilities: vec![0.25, 0.75] }),
            (Aggregation::AllParts, Measure::Part { question: (7, 3), right: true }),
            (Aggregation::Deviation, Measure::Number(0.5)),
            (Aggregation::Spearman, Measure::Values { gold: 4.5, found: 3.25 }),
            (
                Aggregation::named("stereoset_ss").unwrap(),
                Measure::Triple { term: "a".into(), triple: Triple::new(2.0, 1.0, 1.5).unwrap() },
            ),
            (Aggregation::DifferingPairs, Measure::Described { axis: "a".into(), descriptor: "b".into(), value: 12.5 }),
            (Aggregation::AmbiguousBias, Measure::Stereotype { right: true, biased: false, known: true }),
            (Aggregation::Bleu, Measure::Texts { references: vec!["a".into(), "b".into()], hypothesis: "c".into() }),
        ];
        for (aggregation, measure) in cases {
            assert_eq!(Measure::read(&measure.json(), aggregation), Ok(measure));
        }
    }

    #[test]
    fn what_the_harness_writes_is_read() {
        let check = |aggregation, json, measure| assert_eq!(Measure::read(&json, aggregation), Ok(measure));
        check(Aggregation::Mean, json!(true), Measure::Number(1.0));
        check(Aggregation::WeightedPerplexity, json!([-9.5, 4]), Measure::Weighted { sum: -9.5, weight: 4.0 });
        check(Aggregation::F1, json!([1.0, 0]), Measure::Labels { gold: 1, predicted: 0 });
        check(Aggregation::AllParts, json!([[1, 2], false]), Measure::Part { question: (1, 2), right: false });
        let chances = Measure::Distribution { gold: 1, probabilities: vec![0.25, 0.75] };
        check(Aggregation::Brier, json!([1, "[0.25 0.75]"]), chances);
        let texts = Measure::Texts { references: vec!["a".into()], hypothesis: "b".into() };
        check(Aggregation::Chrf, json!(["a", ["b"]]), texts);
        assert!(matches!(Measure::read(&Value::Null, Aggregation::NanMean), Ok(Measure::Number(n)) if n.is_nan()));
    }

    #[test]
    fn what_is_none_is_an_error() {
        let bad = |aggregation, json: Value| {
            let error = Measure::read(&json, aggregation).unwrap_err();
            assert!(error.contains("is wanted, found") && error.len() < 160, "{error}");
        };
        let every: Vec<Aggregation> = Aggregation::NAMES.iter().map(|(_, aggregation)| *aggregation).collect();
        let strange = [
            json!("x".repeat(10_000)),
            json!({}),
            json!([]),
            json!([1, 2, 3]),
            json!([[], []]),
            json!(["a", 1]),
            json!([{"a": 1}, null]),
        ];
        for (aggregation, json) in every.iter().flat_map(|one| strange.iter().map(move |json| (*one, json.clone()))) {
            bad(aggregation, json);
        }
        bad(Aggregation::Mean, Value::Null);
        bad(Aggregation::BitsPerByte, json!([-1.0, 0]));
        bad(Aggregation::F1, json!([0.5, 1]));
        bad(Aggregation::F1, json!([1e300, 1]));
        bad(Aggregation::Brier, json!([2, [0.5, 0.5]]));
        bad(Aggregation::Brier, json!([-1, [0.5, 0.5]]));
        bad(Aggregation::Brier, json!([0, "[0.5 ... 0.1]"]));
        bad(Aggregation::AllParts, json!([[1, 2], 0.5]));
        bad(Aggregation::Bleu, json!([[], "a"]));
    }
}
