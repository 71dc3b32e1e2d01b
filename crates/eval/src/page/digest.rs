//! What the page keeps of a task's samples: numbers for its drawings, and a few to be read.

use serde_json::{Map, Value};

use crate::measure::gold_of;

/// Samples of each kind that are shown.
const SHOWN: usize = 5;
/// Letters of a text that are shown.
const LETTERS: usize = 2000;
/// Choices of a document that are shown.
const MOST_CHOICES: usize = 40;

/// Of all samples of one task under its first filter.
#[derive(Debug, Default)]
pub(super) struct Digest {
    filter: Option<String>,
    pub(super) count: usize,
    /// Samples under other filters, which are not shown.
    pub(super) other_filters: usize,
    /// Of documents with choices: the right one's log-likelihood less the best wrong one's, in nats.
    pub(super) margins: Vec<f64>,
    /// Documents with choices whose right one is not known from the samples.
    pub(super) without_margin: usize,
    /// Of each document with choices how probably guessing has it right.
    pub(super) chances: Vec<f64>,
    /// Of documents that are scored whole or in part: bits per byte.
    pub(super) bits: Vec<f64>,
    /// Of generated answers: letters.
    pub(super) lengths: Vec<f64>,
    /// Of the first score that is a number: of each document.
    pub(super) scores: Vec<f64>,
    pub(super) metric: Option<String>,
    pub(super) right: Vec<Shown>,
    pub(super) wrong: Vec<Shown>,
    /// Where documents are neither right nor wrong.
    pub(super) first: Vec<Shown>,
}

/// A sample to be read.
#[derive(Debug)]
pub(super) struct Shown {
    pub(super) document: String,
    pub(super) prompt: String,
    pub(super) target: String,
    pub(super) choices: Vec<Choice>,
    pub(super) more_choices: usize,
    pub(super) answers: Vec<(&'static str, String)>,
    pub(super) measures: Vec<(String, String)>,
}

#[derive(Debug)]
pub(super) struct Choice {
    pub(super) text: String,
    pub(super) logprob: f64,
    pub(super) right: bool,
    pub(super) chosen: bool,
}

impl Digest {
    /// Takes notice of a sample of a task that is asked so.
    pub(super) fn take(&mut self, output: &str, sample: &Map<String, Value>) {
        let filter = sample.get("filter").and_then(Value::as_str).unwrap_or("none");
        if *self.filter.get_or_insert_with(|| filter.to_owned()) != filter {
            self.other_filters += 1;
            return;
        }
        self.count += 1;
        let requests = requests(sample);
        let logprobs: Vec<f64> = answers(sample).iter().filter_map(|answer| logprob(answer)).collect();
        let mut choices = Vec::new();
        match output {
            "multiple_choice" => choices = self.choices(sample, &requests, &logprobs),
            "loglikelihood" | "loglikelihood_rolling" => {
                let scored = requests.first().and_then(|request| request.last()).copied().unwrap_or_default();
                if let Some(logprob) = logprobs.first().filter(|_| !scored.is_empty()) {
                    self.bits.push(-logprob / std::f64::consts::LN_2 / scored.len() as f64);
                }
            }
            _ => {
                if let Some(text) = answers(sample).first().and_then(|answer| answer.as_str()) {
                    self.lengths.push(text.chars().count() as f64);
                }
            }
        }
        let names = sample.get("metrics").and_then(Value::as_array);
        let names: Vec<&str> = names.into_iter().flatten().filter_map(Value::as_str).collect();
        let number = |name: &str| {
            sample.get(name).and_then(|v| v.as_f64().or_else(|| v.as_bool().map(|b| f64::from(u8::from(b)))))
        };
        // Perplexities have a log-likelihood in its place, which is drawn as bits per byte.
        let first = names.iter().find(|name| !name.contains("perplexity") && number(name).is_some());
        let score = first.and_then(|name| number(name));
        if let (Some(name), Some(score)) = (first, score) {
            self.metric.get_or_insert_with(|| (*name).to_owned());
            self.scores.push(score);
        }
        let kept = match score {
            Some(1.0) => &mut self.right,
            Some(0.0) => &mut self.wrong,
            _ => &mut self.first,
        };
        if kept.len() < SHOWN {
            kept.push(shown(sample, output, &requests, choices, &names));
        }
    }

    /// Whether documents are right or wrong, and nothing between.
    pub(super) fn is_right_or_wrong(&self) -> bool {
        self.scores.iter().all(|&score| score == 0.0 || score == 1.0)
    }

    fn choices(&mut self, sample: &Map<String, Value>, requests: &[Vec<&str>], logprobs: &[f64]) -> Vec<Choice> {
        let metrics = sample.get("metrics").and_then(Value::as_array);
        let twice = metrics.is_some_and(|names| names.iter().any(|name| name == "acc_mutual_info"));
        let count = if twice { requests.len() / 2 } else { requests.len() };
        if count == 0 || logprobs.len() < count {
            return Vec::new();
        }
        let logprobs = &logprobs[..count];
        let best = crate::answer::largest(logprobs);
        let texts: Vec<&str> =
            requests[..count].iter().map(|request| request.last().copied().unwrap_or_default()).collect();
        let target = sample.get("target").and_then(Value::as_str).unwrap_or_default();
        let acc = sample.get("acc").and_then(Value::as_f64);
        // The same continuation after several contexts is told apart by those.
        let same = texts.iter().all(|text| *text == texts[0]);
        let gold = gold_of(target, &texts, acc.map(|acc| (best, acc == 1.0)));
        if gold.is_empty() {
            self.without_margin += 1;
        } else {
            let most = |of: &dyn Fn(usize) -> bool| {
                let found = logprobs.iter().enumerate().filter(|(at, _)| of(*at)).map(|(_, logprob)| *logprob);
                found.fold(f64::NEG_INFINITY, f64::max)
            };
            self.margins.push(most(&|at| gold.contains(&at)) - most(&|at| !gold.contains(&at)));
            self.chances.push(gold.len() as f64 / count as f64);
        }
        let one = |at: usize| Choice {
            text: cut(if same { requests[at].first().copied().unwrap_or_default() } else { texts[at] }),
            logprob: logprobs[at],
            right: gold.contains(&at),
            chosen: at == best,
        };
        (0..count).map(one).collect()
    }
}

/// Of each request its texts: a context and what follows it, or a text alone.
fn requests(sample: &Map<String, Value>) -> Vec<Vec<&str>> {
    let Some(arguments) = sample.get("arguments").and_then(Value::as_object) else { return Vec::new() };
    let all = (0..arguments.len()).map_while(|at| arguments.get(&format!("gen_args_{at}"))?.as_object());
    all.map(|parts| {
        (0..parts.len()).map_while(|at| parts.get(&format!("arg_{at}"))).filter_map(Value::as_str).collect()
    })
    .collect()
}

/// Of each request the first answer.
fn answers(sample: &Map<String, Value>) -> Vec<&Value> {
    let all = sample.get("resps").and_then(Value::as_array).into_iter().flatten();
    all.filter_map(|repeats| repeats.get(0)).collect()
}

/// A log-likelihood, which is written as text, alone or before whether it is the likeliest.
fn logprob(answer: &Value) -> Option<f64> {
    let first = answer.get(0).unwrap_or(answer);
    first.as_f64().or_else(|| first.as_str()?.parse().ok())
}

fn shown(
    sample: &Map<String, Value>,
    output: &str,
    requests: &[Vec<&str>],
    mut choices: Vec<Choice>,
    names: &[&str],
) -> Shown {
    let text =
        |name: &str| sample.get(name).map(|value| value.as_str().map_or_else(|| value.to_string(), str::to_owned));
    let more_choices = choices.len().saturating_sub(MOST_CHOICES);
    choices.truncate(MOST_CHOICES);
    let mut told = Vec::new();
    if choices.is_empty() {
        if let (Some(scored), "loglikelihood") = (requests.first().and_then(|request| request.get(1)), output) {
            told.push(("scored", cut(scored)));
        }
        for answer in answers(sample).into_iter().take(SHOWN) {
            told.push(("answer", cut(&answer.as_str().map_or_else(|| answer.to_string(), str::to_owned))));
        }
        let filtered = sample.get("filtered_resps").and_then(Value::as_array).into_iter().flatten();
        for text in filtered.filter_map(Value::as_str).take(SHOWN).filter(|_| output == "generate_until") {
            told.push(("after filters", cut(text)));
        }
    }
    let measures = names.iter().filter_map(|name| Some(((*name).to_owned(), sample.get(*name)?)));
    Shown {
        document: text("doc_id").unwrap_or_default().chars().take(40).collect(),
        prompt: tail(requests.first().and_then(|request| request.first()).copied().unwrap_or_default()),
        target: cut(&text("target").unwrap_or_default()),
        choices,
        more_choices,
        answers: told,
        measures: measures.map(|(name, value)| (name, cut(&value.to_string()))).collect(),
    }
}

/// The beginning of a text that is too long to be shown, and how much is not.
fn cut(text: &str) -> String {
    let Some((at, _)) = text.char_indices().nth(LETTERS) else { return text.to_owned() };
    format!("{} [... {} more characters]", &text[..at], text[at..].chars().count())
}

/// The end of a prompt that is too long: what is asked stands there.
fn tail(text: &str) -> String {
    let count = text.chars().count();
    if count <= LETTERS {
        return text.to_owned();
    }
    format!("[{} characters before ...] {}", count - LETTERS, text.chars().skip(count - LETTERS).collect::<String>())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn sample(target: &str, acc: f64, logprobs: [f64; 3]) -> Map<String, Value> {
        let arguments: Map<String, Value> = [" red", " green", " blue"]
            .iter()
            .enumerate()
            .map(|(at, choice)| (format!("gen_args_{at}"), json!({"arg_0": "The sky is", "arg_1": choice})))
            .collect();
        let resps: Vec<Value> = logprobs.iter().map(|logprob| json!([[logprob.to_string(), "False"]])).collect();
        let sample = json!({"doc_id": 3, "target": target, "arguments": arguments, "resps": resps, "filter": "none",
                            "metrics": ["acc"], "acc": acc});
        sample.as_object().unwrap().clone()
    }

    #[test]
    fn margins_are_of_the_right_choice() {
        let mut digest = Digest::default();
        digest.take("multiple_choice", &sample("2", 1.0, [-3.0, -4.0, -1.0]));
        digest.take("multiple_choice", &sample("green", 0.0, [-3.0, -4.0, -1.0]));
        digest.take("multiple_choice", &sample("[0, 2]", 1.0, [-3.0, -4.0, -1.0]));
        digest.take("multiple_choice", &sample("purple", 0.0, [-3.0, -4.0, -1.0]));
        assert_eq!((digest.margins.as_slice(), digest.without_margin), (&[2.0, -3.0, 3.0][..], 1));
        assert_eq!(digest.chances, [1.0 / 3.0, 1.0 / 3.0, 2.0 / 3.0]);
        assert_eq!((digest.right.len(), digest.wrong.len()), (2, 2));
        assert!(digest.right[0].choices[2].right && digest.right[0].choices[2].chosen);
    }

    #[test]
    fn whatever_a_line_holds_is_taken() {
        let strange = [
            json!({}),
            json!({"arguments": [1], "resps": {}, "metrics": "acc", "filter": 7}),
            json!({"arguments": {"gen_args_0": {"arg_0": 1}}, "resps": [[]], "target": {"a": []}, "metrics": [1, "x"]}),
            json!({"arguments": {"gen_args_0": {"arg_0": "a", "arg_1": ""}}, "resps": [[["nan", 1]]], "metrics": ["y"]}),
            json!({"target": "x".repeat(100_000), "resps": [["\u{0}"]], "metrics": ["a"], "a": 1e300}),
        ];
        for output in ["multiple_choice", "loglikelihood", "loglikelihood_rolling", "generate_until", "?"] {
            let mut digest = Digest::default();
            strange.iter().for_each(|sample| digest.take(output, sample.as_object().unwrap()));
            assert!(digest.first.iter().all(|shown| shown.target.len() < 3000), "{output}");
        }
    }

    #[test]
    fn long_texts_are_cut_and_say_so() {
        assert_eq!(cut(&"é".repeat(LETTERS)), "é".repeat(LETTERS));
        assert!(cut(&"é".repeat(LETTERS + 3)).ends_with("é [... 3 more characters]"));
        assert!(tail(&format!("é{}", "x".repeat(LETTERS))).starts_with("[1 characters before ...] xx"));
    }
}
