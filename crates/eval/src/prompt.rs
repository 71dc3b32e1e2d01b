//! Documents into requests: examples, prompt, choices.
//!
//! As the reference harness joins them: description, then for each example its text, a delimiter, its answer and a longer
//! delimiter, then the text of the document. Examples are drawn with Python's generator, which goes on from document to document, so the
//! same seed gives the same prompts there and here.

use serde_json::Value;

use crate::answer::Request;
use crate::definition::{Field, Output, Sampler, Task};
use crate::document::Document;
use crate::mersenne::Mersenne;
use crate::python;

/// What a model is asked about one document, and what is right.
#[derive(Clone, Debug)]
pub(crate) struct Case {
    /// Its place in the split.
    pub(crate) index: usize,
    pub(crate) document: Document,
    pub(crate) requests: Vec<Request>,
    /// The choices, where there are any; of a classification the names of labels, or the candidates.
    pub(crate) choices: Vec<String>,
    /// Whether each request of a classification is of a candidate.
    pub(crate) candidates: bool,
    /// The right answer, as the definition makes it: a text, a number of a choice, or a list.
    pub(crate) target: Value,
}

impl Case {
    /// Which choices are right; a number that no choice has is none.
    pub(crate) fn right(&self) -> Vec<usize> {
        let place = |value: &Value| match value {
            Value::Number(number) => number.as_u64().map(|at| at as usize).filter(|&at| at < self.choices.len()),
            Value::String(text) => self.choices.iter().position(|choice| choice == text),
            _ => None,
        };
        match &self.target {
            Value::Array(items) => items.iter().filter_map(place).collect(),
            other => place(other).into_iter().collect(),
        }
    }
}

/// Makes cases of documents, one after the other.
pub(crate) struct Prompter<'a> {
    task: &'a Task,
    shots: usize,
    examples: Vec<Document>,
    /// Whether a document may be among its own examples, which then is taken out.
    same_split: bool,
    random: Mersenne,
}

/// What may stand in a text, a delimiter and an answer.
struct Turn<'a> {
    document: &'a Document,
    text: Option<&'a Field>,
    target: Option<&'a Field>,
    choice: Option<&'a Field>,
}

/// The text of a document as it is put to a model, without examples and description, and the right answer to it; either may be empty.
pub(crate) fn text_and_answer(task: &Task, document: &Document) -> Result<(String, String), String> {
    let [text, target, choice] = [&task.doc_to_text, &task.doc_to_target, &task.doc_to_choice].map(Option::as_ref);
    let (found, answer) = Turn { document, text, target, choice }.parts()?;
    Ok((if text.is_some() { found } else { String::new() }, answer))
}

impl<'a> Prompter<'a> {
    pub(crate) fn new(
        task: &'a Task,
        shots: usize,
        examples: Vec<Document>,
        same_split: bool,
        seed: u64,
    ) -> Result<Self, String> {
        let wanted = shots + usize::from(same_split && shots > 0);
        if wanted > examples.len() {
            return Err(format!("{shots} examples are wanted, and there are {} to draw from", examples.len()));
        }
        Ok(Self { task, shots, examples, same_split, random: Mersenne::new(seed) })
    }

    pub(crate) fn case(&mut self, index: usize, document: Document) -> Result<Case, String> {
        let task = self.task;
        let examples = self.draw(&document)?;
        let mut before = match &task.description {
            Some(description) => description.render(&document)?,
            None => String::new(),
        };
        for at in examples {
            before += &self.example(&self.examples[at])?;
        }
        let numbered = task.doc_to_choice.is_some();
        let value = |field: &Option<Field>| match field {
            Some(field) => field.value(&document, numbered),
            None => Ok(Value::Null),
        };
        let text = value(&task.doc_to_text)?;
        let target = value(&task.doc_to_target)?;
        let choices = match &task.doc_to_choice {
            Some(field) => field.texts(&document)?,
            None => Vec::new(),
        };
        let prefix = match &task.gen_prefix {
            Some(field) => Some(python::display(&field.value(&document, false)?)),
            None => None,
        };
        let prompt = |text: &str| {
            let mut prompt = before.clone() + text;
            if let Some(prefix) = &prefix {
                if delimited(text, prefix) {
                    prompt += &task.target_delimiter;
                }
                prompt += prefix;
            }
            prompt
        };
        let requests = match task.output {
            Output::Loglikelihood => vec![Request::Likelihood {
                context: prompt(&python::display(&text)),
                continuation: python::display(&target),
            }],
            Output::LoglikelihoodRolling => vec![Request::Rolling { text: python::display(&target) }],
            Output::MultipleChoice if text.is_number() => {
                // The text tells which context is right; the continuation is the same for all.
                let continuation = task.target_delimiter.clone() + &python::display(&target);
                let request = |context: &String| Request::Likelihood {
                    context: prompt(context),
                    continuation: continuation.clone(),
                };
                choices.iter().map(request).collect()
            }
            Output::MultipleChoice => {
                let context = prompt(&python::display(&text));
                let likelihood = |context: String, choice: &String| Request::Likelihood {
                    context,
                    continuation: task.target_delimiter.clone() + choice,
                };
                let mut requests: Vec<Request> =
                    choices.iter().map(|choice| likelihood(context.clone(), choice)).collect();
                if task.metrics.iter().any(|metric| metric.name == "acc_mutual_info") {
                    requests.extend(choices.iter().map(|choice| likelihood(String::new(), choice)));
                }
                requests
            }
            Output::Sentences => {
                let context = prompt(&text.as_str().map_or_else(String::new, str::to_owned));
                let request = |choice: &String| Request::Sentence {
                    context: context.clone(),
                    sentence: task.target_delimiter.clone() + choice,
                };
                choices.iter().map(request).collect()
            }
            Output::GenerateUntil => {
                let context = prompt(&python::display(&text));
                let request = |sample| Request::Generate {
                    context: context.clone(),
                    generating: task.generating.clone(),
                    sample,
                };
                (0..task.repeats).map(request).collect()
            }
            Output::Classification => return classification(task, index, document),
        };
        if matches!(task.output, Output::MultipleChoice | Output::Sentences) && choices.is_empty() {
            return Err("there are no choices".to_owned());
        }
        // Where contexts vary, the number of the right one is what the text told.
        let target = if task.output == Output::MultipleChoice && text.is_number() { text } else { target };
        Ok(Case { index, document, requests, choices, candidates: false, target })
    }

    /// Places of the examples for a document.
    fn draw(&mut self, document: &Document) -> Result<Vec<usize>, String> {
        if self.shots == 0 {
            return Ok(Vec::new());
        }
        let count = self.examples.len();
        let other = |at: &usize| !self.same_split || self.examples[*at] != *document;
        let mut drawn: Vec<usize> = match self.task.examples.sampler {
            Sampler::FirstN => (0..count).filter(other).collect(),
            Sampler::Random => {
                let wanted = self.shots + usize::from(self.same_split);
                let drawn = self.random.sample(count, wanted).expect("checked when it was made");
                let mut drawn: Vec<usize> = drawn.into_iter().filter(other).collect();
                if drawn.len() < self.shots {
                    // The document stands in the split more than once.
                    let pool: Vec<usize> = (0..count).filter(other).collect();
                    let again = self.random.sample(pool.len(), self.shots);
                    drawn = again.into_iter().flatten().map(|at| pool[at]).collect();
                }
                drawn
            }
        };
        drawn.truncate(self.shots);
        if drawn.len() < self.shots {
            return Err(format!(
                "{} examples are wanted, and only {} differ from the document",
                self.shots,
                drawn.len()
            ));
        }
        Ok(drawn)
    }

    fn example(&self, document: &Document) -> Result<String, String> {
        let (task, own) = (self.task, &self.task.examples);
        let turn = Turn {
            document,
            text: own.doc_to_text.as_ref().or(task.doc_to_text.as_ref()),
            target: own.doc_to_target.as_ref().or(task.doc_to_target.as_ref()),
            choice: own.doc_to_choice.as_ref().or(task.doc_to_choice.as_ref()),
        };
        let delimiter = own.target_delimiter.as_ref().unwrap_or(&task.target_delimiter);
        let (text, answer) = turn.parts()?;
        let prefix = match &task.gen_prefix {
            Some(field) => python::display(&field.value(document, false)?),
            None => String::new(),
        };
        let mut shown = text.clone();
        if !answer.is_empty() && (prefix.is_empty() || delimited(&text, &prefix)) {
            shown += delimiter;
        }
        shown += &prefix;
        if delimited(&prefix, &answer) {
            shown.push(' ');
        }
        shown += &answer;
        if !answer.is_empty() {
            shown += own.fewshot_delimiter.as_ref().unwrap_or(&task.fewshot_delimiter);
        }
        Ok(shown)
    }
}

impl Turn<'_> {
    /// The text and the right answer to it.
    fn parts(&self) -> Result<(String, String), String> {
        let numbered = self.choice.is_some();
        let value = |field: Option<&Field>| match field {
            Some(field) => field.value(self.document, numbered),
            None => Ok(Value::Null),
        };
        let choices = match self.choice {
            Some(field) => field.texts(self.document)?,
            None => Vec::new(),
        };
        let chosen = |number: &Value| -> Result<String, String> {
            let at = number.as_i64().and_then(|at| usize::try_from(at).ok());
            let choice = at.and_then(|at| choices.get(at));
            choice.cloned().ok_or_else(|| format!("an example's answer is {number}, of {} choices", choices.len()))
        };
        let (text, target) = (value(self.text)?, value(self.target)?);
        let answer = match &target {
            Value::Null => String::new(),
            Value::Number(_) if numbered && !text.is_number() => chosen(&target)?,
            Value::Array(items) => match items.first() {
                Some(number @ Value::Number(_)) if numbered => chosen(number)?,
                Some(first) => python::display(first),
                None => String::new(),
            },
            other => python::display(other),
        };
        let text = if text.is_number() && numbered { chosen(&text)? } else { python::display(&text) };
        Ok((text, answer))
    }
}

/// A text, or a text with each of its candidates, as it stands: without examples, which a head has not seen.
fn classification(task: &Task, index: usize, document: Document) -> Result<Case, String> {
    let value = |field: &Option<Field>, numbered: bool| match field {
        Some(field) => field.value(&document, numbered),
        None => Ok(Value::Null),
    };
    let text = python::display(&value(&task.doc_to_text, false)?);
    let pair = value(&task.doc_to_pair, false)?;
    let target = value(&task.doc_to_target, true)?;
    let request = |pair: Option<String>| Request::Classify { text: text.clone(), pair };
    let (requests, choices) = match &pair {
        Value::Array(candidates) if candidates.is_empty() => return Err("there are no candidates".to_owned()),
        Value::Array(candidates) => {
            let candidates: Vec<String> = candidates.iter().map(python::display).collect();
            (candidates.iter().cloned().map(|candidate| request(Some(candidate))).collect(), candidates)
        }
        Value::Null => (vec![request(None)], task.labels().to_vec()),
        pair => (vec![request(Some(python::display(pair)))], task.labels().to_vec()),
    };
    Ok(Case { index, candidates: pair.is_array(), document, requests, choices, target })
}

/// Whether a delimiter belongs between two texts: neither has white space where they meet.
fn delimited(before: &str, after: &str) -> bool {
    let open = |c: Option<char>| c.is_some_and(|c| !c.is_whitespace());
    open(before.chars().next_back()) && open(after.chars().next())
}
