//! Lines of JSON to examples for fine-tuning, all in memory: such sets are small, and their order is drawn anew each epoch.
//!
//! A line is one of
//! - `{"prompt": …, "response": …}` (or `completion`): the response is learned;
//! - `{"messages": [{"role": …, "content": …}, …]}`: the assistant's turns are learned, in the form of a chat template;
//! - `{"text": …}`: all of it is learned;
//! - `{"text": …, "label": …}`: the label is learned, by its name or its number;
//! - `{"text": …, "text_pair": …, "label": …}`: likewise, of two texts that belong together.
//!
//! A line that is none of these is an error that names it: sets for fine-tuning are made by hand, and a line left out in silence
//! would be missed.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use gptneo_text::shards::{Split, sha256_of};
use gptneo_text::{ChatTemplate, Example, Message, Role, Tokenizer, text_pair};
use serde::Deserialize;

use crate::batch::{Batch, Flaw};
use crate::error::{CorpusError, Result, shown};
use crate::find::{Format, Source};
use crate::pool;
use crate::read::{Reader, Step};
use crate::tokenize::{Status, Watch, split_of};

/// Different labels that [`labels`] finds at most: more are no classes.
const MOST_LABELS: usize = 1000;

/// What to make examples of.
#[derive(Clone, Debug)]
pub struct ExampleJob {
    /// From [`find`](crate::find()); JSON lines all.
    pub sources: Vec<Source>,
    /// Makes the ids.
    pub tokenizer: Tokenizer,
    /// The form of conversations; with it a prompt and its response are a conversation too.
    pub template: Option<ChatTemplate>,
    /// Names of the labels, for a classifier; without any, no line may have one.
    pub labels: Vec<String>,
    /// Millionths of the examples that are held out, chosen by a hash of the line.
    pub held_out_ppm: u32,
    /// Threads that tokenize; the result does not depend on them.
    pub workers: usize,
    /// Set it to stop soon.
    pub cancel: Option<Arc<AtomicBool>>,
}

/// Examples of some sources.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ExampleSet {
    /// To learn from, in the order of the sources.
    pub train: Vec<Placed>,
    /// To measure on.
    pub held_out: Vec<Placed>,
    /// The names of the sources.
    pub sources: Vec<String>,
}

/// An example, and where it came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Placed {
    /// The example.
    pub example: Example,
    /// Index among the sources.
    pub source: usize,
    /// Its line there, from 1.
    pub line: u64,
}

/// What the lines of a source hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Holds {
    /// Prompts with responses, or conversations: something to learn in part.
    Responses,
    /// Text to learn as it stands.
    Text,
    /// Texts with labels.
    Labels,
}

#[derive(Deserialize)]
struct Record {
    messages: Option<Vec<Turn>>,
    prompt: Option<String>,
    response: Option<String>,
    completion: Option<String>,
    text: Option<String>,
    text_pair: Option<String>,
    label: Option<Label>,
}

/// A label as lines have it.
#[derive(Clone, Debug, Deserialize)]
#[serde(untagged)]
enum Label {
    Name(String),
    Number(u32),
}

impl Label {
    /// What it is called where labels have no other names.
    fn name(self) -> String {
        match self {
            Label::Name(name) => name,
            Label::Number(number) => number.to_string(),
        }
    }

    /// Its place among `labels`: by its name, or else by its number.
    fn place(&self, labels: &[String]) -> Option<u32> {
        let named = |name: &str| labels.iter().position(|label| label == name).map(|place| place as u32);
        match self {
            Label::Name(name) => named(name),
            Label::Number(number) => {
                named(&number.to_string()).or_else(|| ((*number as usize) < labels.len()).then_some(*number))
            }
        }
    }
}

#[derive(Deserialize)]
struct Turn {
    role: String,
    content: String,
}

/// What a record says, once it is clear which of the forms it has.
enum Said {
    Conversation(Vec<Message>),
    Prompt { prompt: String, response: String },
    Text(String),
    Labelled(String, Label),
}

impl Said {
    fn read(bytes: &[u8]) -> std::result::Result<Self, String> {
        let record: Record = serde_json::from_slice(bytes).map_err(|error| error.to_string())?;
        let response = match (record.response, record.completion) {
            (Some(_), Some(_)) => return Err("it has a `response` and a `completion`: keep one".to_owned()),
            (response, completion) => response.or(completion),
        };
        if let Some(label) = record.label {
            return match (record.messages, record.prompt, response, record.text) {
                (None, None, None, Some(text)) if text.trim().is_empty() => Err("its text is empty".to_owned()),
                (None, None, None, Some(text)) => {
                    let whole = record.text_pair.map(|pair| text_pair(&text, &pair));
                    Ok(Said::Labelled(whole.unwrap_or(text), label))
                }
                _ => Err("a `label` stands beside a `text` alone".to_owned()),
            };
        }
        if record.text_pair.is_some() {
            return Err("a `text_pair` stands beside a `text` and its `label`".to_owned());
        }
        match (record.messages, record.prompt, response, record.text) {
            (Some(turns), None, None, None) => {
                let turn =
                    |turn: Turn| Ok(Message::new(turn.role.parse::<Role>().map_err(|e| e.to_string())?, turn.content));
                turns.into_iter().map(turn).collect::<std::result::Result<_, _>>().map(Said::Conversation)
            }
            (None, Some(_), Some(response), None) if response.trim().is_empty() => {
                Err("its response is empty".to_owned())
            }
            (None, Some(prompt), Some(response), None) => Ok(Said::Prompt { prompt, response }),
            (None, None, None, Some(text)) if text.trim().is_empty() => Err("its text is empty".to_owned()),
            (None, None, None, Some(text)) => Ok(Said::Text(text)),
            _ => {
                Err("it must have either `prompt` and `response` (or `completion`), or `messages`, or `text`"
                    .to_owned())
            }
        }
    }

    fn example(self, job: &ExampleJob) -> std::result::Result<Example, String> {
        let tokenizer = &job.tokenizer;
        match (&self, job.labels.is_empty()) {
            (Said::Labelled(..), true) => {
                return Err("it has a `label`: name the labels in `model.labels`, or leave it out".to_owned());
            }
            (Said::Labelled(..), false) | (_, true) => {}
            (_, false) => return Err("it has no `label`, and a classifier learns nothing else".to_owned()),
        }
        let made = match (self, &job.template) {
            (Said::Labelled(text, label), _) => {
                let known = || job.labels.join(", ");
                let place = label.place(&job.labels);
                let place =
                    place.ok_or_else(|| format!("its label {:?} is none of {}", label.clone().name(), known()))?;
                Example::of_label(tokenizer, &text, place)
            }
            (Said::Text(text), _) => Example::of_text(tokenizer, &text),
            (Said::Prompt { prompt, response }, None) => Example::of_prompt(tokenizer, &prompt, &response),
            (Said::Prompt { prompt, response }, Some(template)) => {
                let messages = [Message::new(Role::User, prompt), Message::new(Role::Assistant, response)];
                Example::of_conversation(tokenizer, template, &messages)
            }
            (Said::Conversation(messages), Some(template)) => Example::of_conversation(tokenizer, template, &messages),
            (Said::Conversation(_), None) => {
                return Err("it is a conversation, so a chat template must be named for it".to_owned());
            }
        };
        made.map_err(|error| error.to_string())
    }
}

/// Makes the examples.
///
/// # Errors
/// [`CorpusError::Source`] for the first line that is no example, with its number; any other [`CorpusError`].
pub fn examples(job: &ExampleJob, watch: &dyn Watch) -> Result<ExampleSet> {
    if let Some(other) = job.sources.iter().find(|source| source.format != Format::Jsonl) {
        let detail = format!("examples are read from lines of JSON (.jsonl), and this is {}", other.format.name());
        return Err(CorpusError::Source { path: other.path.clone(), detail });
    }
    let total_bytes = job.sources.iter().map(|source| source.bytes).sum();
    let mut reader = Reader::new(&job.sources, "", b"\n", 0, 0);
    let cancelled = || job.cancel.as_ref().is_some_and(|cancel| cancel.load(Ordering::Relaxed));
    let next = || if cancelled() { Err(CorpusError::Cancelled) } else { reader.step() };
    let work = |(): &mut (), step| match step {
        Step::Batch(batch) => Some((batch.progress, batch_examples(job, &batch))),
        Step::Over { .. } => None,
    };
    let mut set =
        ExampleSet { sources: job.sources.iter().map(|source| source.name.clone()).collect(), ..Default::default() };
    let take = |made: Option<(u64, Result<Divided>)>| {
        let Some((bytes, divided)) = made else { return Ok(()) };
        for (split, placed) in divided? {
            match split {
                Split::Train => set.train.push(placed),
                Split::HeldOut => set.held_out.push(placed),
            }
        }
        watch.at(&Status { bytes, total_bytes, ..Status::default() });
        Ok(())
    };
    pool::in_order(job.workers, || (), work, next, take)?;
    if set.train.is_empty() {
        let skipped = format!("{} examples are held out, none are left to learn from", set.held_out.len());
        return Err(CorpusError::NoDocuments { sources: job.sources.len(), skipped });
    }
    Ok(set)
}

/// Examples of a batch, and what each is for.
type Divided = Vec<(Split, Placed)>;

fn batch_examples(job: &ExampleJob, batch: &Batch) -> Result<Divided> {
    let source = &job.sources[batch.source];
    let mut placed = Vec::with_capacity(batch.records.len());
    for record in &batch.records {
        let bad = |why: String| bad_line(source, record.number, &why);
        let bytes = match &record.bytes {
            Ok(range) => &batch.bytes[range.clone()],
            Err(Flaw::TooLong) => return Err(bad("it is longer than any example may be".to_owned())),
            Err(_) => return Err(bad("it is no text".to_owned())),
        };
        if bytes.trim_ascii().is_empty() {
            continue;
        }
        let example = Said::read(bytes).and_then(|said| said.example(job)).map_err(bad)?;
        let placed_example = Placed { example, source: batch.source, line: record.number };
        placed.push((split_of(bytes.trim_ascii(), job.held_out_ppm), placed_example));
    }
    Ok(placed)
}

/// A line that is no example.
fn bad_line(source: &Source, line: u64, why: &str) -> CorpusError {
    CorpusError::Source { path: source.path.clone(), detail: format!("line {line}: {}", shown(why)) }
}

/// What the first line of a source holds; a source of another format than JSON lines is text.
///
/// # Errors
/// A source that cannot be read; a first line that is no example.
pub fn holds(source: &Source) -> Result<Holds> {
    if source.format != Format::Jsonl {
        return Ok(Holds::Text);
    }
    let sources = std::slice::from_ref(source);
    let mut reader = Reader::new(sources, "", b"\n", 0, 0);
    while let Some(Step::Batch(batch)) = reader.step()? {
        for record in &batch.records {
            let Ok(range) = &record.bytes else { continue };
            let bytes = batch.bytes[range.clone()].trim_ascii();
            if bytes.is_empty() {
                continue;
            }
            return match Said::read(bytes).map_err(|why| bad_line(source, record.number, &why))? {
                Said::Text(_) => Ok(Holds::Text),
                Said::Labelled(..) => Ok(Holds::Labels),
                Said::Prompt { .. } | Said::Conversation(_) => Ok(Holds::Responses),
            };
        }
    }
    Err(CorpusError::Source { path: source.path.clone(), detail: "it has no lines".to_owned() })
}

/// The labels that lines of JSON have: names in order, and numbers by size.
///
/// # Errors
/// A source that cannot be read; the first line without a label.
pub fn labels(sources: &[Source]) -> Result<Vec<String>> {
    let mut found = BTreeSet::new();
    let mut reader = Reader::new(sources, "", b"\n", 0, 0);
    while let Some(step) = reader.step()? {
        let Step::Batch(batch) = step else { continue };
        for record in &batch.records {
            let bytes = record.bytes.as_ref().map_or(&[][..], |range| batch.bytes[range.clone()].trim_ascii());
            if bytes.is_empty() {
                continue;
            }
            let label = Said::read(bytes).and_then(|said| match said {
                Said::Labelled(_, label) => Ok(label.name()),
                _ => Err("it has no `label`, and lines before it have one".to_owned()),
            });
            let name = label.map_err(|why| bad_line(&sources[batch.source], record.number, &why))?;
            found.insert((name.parse::<u32>().map_or(u64::MAX, u64::from), name));
            if found.len() > MOST_LABELS {
                let detail = format!("its lines have more than {MOST_LABELS} labels");
                return Err(CorpusError::Source { path: sources[batch.source].path.clone(), detail });
            }
        }
    }
    Ok(found.into_iter().map(|(_, name)| name).collect())
}

impl ExampleSet {
    /// SHA-256 over the ids, what of them is learned, and which are held out.
    pub fn fingerprint(&self) -> String {
        let mut bytes = Vec::new();
        for (held_out, placed) in [(0, &self.train), (1, &self.held_out)] {
            for placed in placed {
                let Placed { example, .. } = placed;
                bytes.extend_from_slice(&[held_out]);
                bytes.extend((example.ids().len() as u64).to_le_bytes());
                bytes.extend(example.ids().iter().flat_map(|id| id.to_le_bytes()));
                bytes.extend(example.label().map_or(u64::MAX, u64::from).to_le_bytes());
                let ends = example.learned().iter().flat_map(|range| [range.start, range.end]);
                bytes.extend(ends.flat_map(|end| (end as u64).to_le_bytes()));
            }
        }
        sha256_of(&mut bytes.as_slice()).expect("reading from memory does not fail").0
    }
}
