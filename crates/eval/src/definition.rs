//! What a task is: a definition in YAML, in the words of the reference harness.
//!
//! A definition says where its documents are, how a prompt, its answers and the right one are made of a document, what is asked
//! of the model, and how answers become scores. What the harness writes as a Python function stands here as the name of a function
//! that this crate has (`!function NAME`); a definition that needs another is refused by its name.

mod classification;
mod complete;
mod dataset;
mod examples;
mod group;
mod read;
mod yaml;

use std::sync::Arc;

use serde_json::Value;

pub(crate) use group::read_group;
pub(crate) use read::{fields, read};
pub(crate) use yaml::{Content, Fault, Node, parse};

use crate::aggregate::Aggregation;
use crate::document::Document;
use crate::functions::{DocumentsFunction, FieldFunction, MadeFunction, ResultsFunction};
use crate::python;
use crate::template::Template;

/// What a model is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Output {
    /// How likely one continuation is, and whether it is the likeliest.
    Loglikelihood,
    /// How likely a whole text is.
    LoglikelihoodRolling,
    /// How likely each of several choices is.
    MultipleChoice,
    /// How likely each of several sentences is, by token; a word of ours.
    Sentences,
    /// To go on until a stop.
    GenerateUntil,
    /// Which label a text has: of a model with a classification head. A word of ours.
    Classification,
}

impl Output {
    /// As definitions name it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Loglikelihood => "loglikelihood",
            Self::LoglikelihoodRolling => "loglikelihood_rolling",
            Self::MultipleChoice => "multiple_choice",
            Self::Sentences => "sentences",
            Self::GenerateUntil => "generate_until",
            Self::Classification => "classification",
        }
    }
}

/// A value made of a document.
#[derive(Clone, Debug)]
pub(crate) enum Field {
    /// A column, where there is one of that name; else a template.
    Template(Template),
    /// The same for every document.
    Constant(Value),
    Function(FieldFunction),
}

impl Field {
    /// The value as the harness has it for prompts and targets: text, or a whole number where choices are numbered.
    pub(crate) fn value(&self, document: &Document, numbered: bool) -> Result<Value, String> {
        match self {
            Self::Constant(value) => Ok(value.clone()),
            Self::Function(function) => (function.call)(document),
            Self::Template(template) => {
                // A table saved with the numbers of its rows has a column without a name, which an empty template does not mean.
                if let Some(value) = document.get(template.source()).filter(|_| !template.source().is_empty()) {
                    return Ok(value.clone());
                }
                let text = template.render(document)?;
                let digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
                if let (true, Ok(number)) = (numbered && digits, text.parse::<i64>()) {
                    return Ok(number.into());
                }
                if text.len() >= 2 && text.starts_with('[') && text.ends_with(']') {
                    return Ok(template.evaluate(document).unwrap_or(Value::String(text)));
                }
                Ok(Value::String(text))
            }
        }
    }

    /// The value as a list of texts.
    pub(crate) fn texts(&self, document: &Document) -> Result<Vec<String>, String> {
        let value = match self {
            Self::Constant(value) => value.clone(),
            Self::Function(function) => (function.call)(document)?,
            Self::Template(template) => match document.get(template.source()) {
                Some(value) => value.clone(),
                None => template.evaluate(document)?,
            },
        };
        match value {
            Value::Array(items) => Ok(items.iter().map(python::display).collect()),
            Value::Object(fields) => Ok(fields.values().map(python::display).collect()),
            other => Err(format!("choices are a list, found {}", python::repr(&other))),
        }
    }
}

/// How examples are chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sampler {
    /// At random, by a generator that goes on from document to document.
    Random,
    /// The first ones.
    FirstN,
}

/// Where examples come from, and how they are written; what is `None` is as for the document itself.
#[derive(Clone, Debug)]
pub(crate) struct Examples {
    pub(crate) sampler: Sampler,
    pub(crate) split: Option<String>,
    /// Examples written in the definition.
    pub(crate) samples: Option<Vec<Document>>,
    pub(crate) process_docs: Option<DocumentsFunction>,
    pub(crate) doc_to_text: Option<Field>,
    pub(crate) doc_to_target: Option<Field>,
    pub(crate) doc_to_choice: Option<Field>,
    pub(crate) target_delimiter: Option<String>,
    pub(crate) fewshot_delimiter: Option<String>,
}

/// How text is generated.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Generating {
    pub(crate) until: Vec<String>,
    pub(crate) max_tokens: usize,
    /// 0: the likeliest token.
    pub(crate) temperature: f64,
    pub(crate) top_p: f64,
    pub(crate) top_k: usize,
}

/// What is done to an answer before it is scored.
#[derive(Clone, Debug)]
pub(crate) enum Filter {
    TakeFirst,
    /// Keeps the first of each `repeats`-long run of answers that are most common.
    MajorityVote,
    Regex {
        pattern: regex::Regex,
        group: isize,
        fallback: String,
    },
    Lowercase,
    Uppercase,
    RemoveWhitespace,
}

/// Filters in a row, by name.
#[derive(Clone, Debug)]
pub(crate) struct Pipeline {
    pub(crate) name: String,
    pub(crate) filters: Vec<Filter>,
}

/// How one score is made.
#[derive(Clone, Debug)]
pub(crate) struct Metric {
    pub(crate) name: String,
    /// A column: documents that are alike in it have a score of their own too, `name[value]`.
    pub(crate) by: Option<String>,
    pub(crate) aggregation: Aggregation,
    pub(crate) higher_is_better: bool,
    pub(crate) ignore_case: bool,
    pub(crate) ignore_punctuation: bool,
    pub(crate) ignore_numbers: bool,
    pub(crate) regexes_to_ignore: Vec<regex::Regex>,
}

/// A task.
#[derive(Clone, Debug)]
pub struct Task {
    pub(crate) name: String,
    pub(crate) alias: Option<String>,
    pub(crate) tags: Vec<String>,
    pub(crate) dataset: crate::data::Dataset,
    pub(crate) training_split: Option<String>,
    pub(crate) validation_split: Option<String>,
    pub(crate) test_split: Option<String>,
    /// Makes the rows, where they are in no data set.
    pub(crate) documents: Option<MadeFunction>,
    pub(crate) process_docs: Option<DocumentsFunction>,
    pub(crate) description: Option<Template>,
    pub(crate) doc_to_text: Option<Field>,
    pub(crate) doc_to_target: Option<Field>,
    pub(crate) doc_to_choice: Option<Field>,
    /// Of a classification the names of labels, in the data's order; of a value none.
    pub(crate) labels: Vec<String>,
    /// Of a classification what goes with the text; a list of such texts are candidates, of which one is right.
    pub(crate) doc_to_pair: Option<Field>,
    pub(crate) gen_prefix: Option<Field>,
    /// What is looked for in training data; the prompt and the right answer where it is `None`.
    pub(crate) decontamination_query: Option<Field>,
    pub(crate) target_delimiter: String,
    pub(crate) fewshot_delimiter: String,
    pub(crate) examples: Examples,
    /// `Some(0)` is meant, and not to be changed from outside.
    pub(crate) num_fewshot: Option<usize>,
    pub(crate) output: Output,
    pub(crate) generating: Generating,
    pub(crate) repeats: usize,
    pub(crate) pipelines: Vec<Pipeline>,
    pub(crate) metrics: Vec<Metric>,
    pub(crate) process_results: Option<ResultsFunction>,
    /// What the definition says of itself: `metadata.version`.
    pub(crate) version: Value,
    /// Which way of measuring it is, where there are several, and what to know when reading it.
    pub(crate) protocol: Option<String>,
    /// The definition as JSON, for results and digests.
    pub(crate) source: Arc<Value>,
}

impl Task {
    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What a model is asked.
    pub fn output(&self) -> Output {
        self.output
    }

    /// Of a classification the names of labels, in the data's order; of a value none.
    pub fn labels(&self) -> &[String] {
        &self.labels
    }

    /// The split that is measured.
    pub fn split(&self) -> Option<&str> {
        self.test_split.as_deref().or(self.validation_split.as_deref())
    }

    /// Its data.
    pub fn dataset(&self) -> &crate::data::Dataset {
        &self.dataset
    }

    /// What its documents are of, in words.
    pub fn data(&self) -> String {
        if self.documents.is_some() { "made by gptneo".to_owned() } else { self.dataset.to_string() }
    }

    /// What it is one of.
    pub fn tags(&self) -> &[String] {
        &self.tags
    }

    /// Measures another split than the definition says, or draws examples from another. Documents that are in no data set have no other.
    pub fn measure_split(&mut self, split: Option<&str>, examples: Option<&str>) {
        if let Some(split) = split.filter(|_| self.documents.is_none()) {
            self.test_split = Some(split.to_owned());
        }
        if let Some(split) = examples {
            self.examples.split = Some(split.to_owned());
        }
    }

    /// Who must judge its answers, beside its own rules.
    pub fn judges(&self) -> &'static [crate::judges::Judge] {
        self.process_results.map_or(&[], |function| function.judges())
    }

    /// Which way of measuring it is, where there are several.
    pub fn protocol(&self) -> Option<&str> {
        self.protocol.as_deref()
    }
}

/// Several tasks with one score.
#[derive(Clone, Debug)]
pub struct Group {
    pub(crate) name: String,
    pub(crate) alias: Option<String>,
    /// Names of tasks, groups and tags.
    pub(crate) members: Vec<String>,
    pub(crate) aggregates: Vec<Aggregate>,
    pub(crate) version: Value,
}

impl Group {
    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }
}

/// How a group's score is made of its tasks'.
#[derive(Clone, Debug)]
pub(crate) struct Aggregate {
    /// The score. Of tasks with several, the mean of those named is the task's.
    pub(crate) metrics: Vec<String>,
    pub(crate) name: String,
    pub(crate) weight_by_size: bool,
    /// Tasks that count as one among the others, by their mean.
    pub(crate) as_one: Vec<String>,
    pub(crate) combination: Combination,
    pub(crate) filters: Vec<String>,
}

/// What becomes of the scores of several tasks.
#[derive(Clone, Debug)]
pub(crate) enum Combination {
    Mean,
    /// The score of all documents of the tasks together; a word of ours.
    Pooled,
    /// Not a mean, but a difference between two halves of the tasks; a word of ours.
    Difference(Contrast),
}

impl Aggregate {
    /// The halves, of a difference.
    pub(crate) fn contrast(&self) -> Option<&Contrast> {
        if let Combination::Difference(contrast) = &self.combination { Some(contrast) } else { None }
    }
}

/// The halves of a group whose score is their difference.
#[derive(Clone, Debug)]
pub(crate) struct Contrast {
    /// Names of the tasks that are taken from the others.
    pub(crate) minus: Vec<String>,
    /// Whether the halves are the same documents in two forms, in the same order.
    pub(crate) paired: bool,
}
