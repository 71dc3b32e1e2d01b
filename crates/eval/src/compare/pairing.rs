//! Which documents of two files of samples are the same, asked in the same words.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use crate::aggregate::{Aggregation, Measure};
use crate::error::EvalError;
use crate::saved::Saved;

/// Documents of a task, under all its filters.
const MOST_SAMPLES: usize = 5_000_000;
/// Letters of a hash or a filter's name.
const LONGEST_NAME: usize = 256;

/// Of one document: the filter, the hashes of document and prompt, and which of several that are alike.
type Key = (String, String, String, usize);

/// What is kept of a sample: its scores.
type Kept = Map<String, Value>;

/// The samples of a task on both sides.
pub(super) struct Samples {
    sides: [BTreeMap<Key, Kept>; 2],
}

/// Measures of one score.
pub(super) struct Measures {
    /// Of all documents of each side.
    pub(super) all: [Vec<Measure>; 2],
    /// Of the documents that both have, in the same order.
    pub(super) paired: [Vec<Measure>; 2],
}

impl Samples {
    /// Of a task; `None` where a side has none.
    pub(super) fn of(both: [&Saved; 2], task: &str) -> Result<Option<Self>, EvalError> {
        if both.iter().any(|saved| saved.samples_file(task).is_none()) {
            return Ok(None);
        }
        let [a, b] = both.map(|saved| side(saved, task));
        Ok(Some(Self { sides: [a?, b?] }))
    }

    /// How many are not paired, in words; `None` where all are.
    pub(super) fn left_out(&self) -> Option<String> {
        // A document stands once under each filter: those of the first one are counted.
        let filters = |side: &BTreeMap<Key, Kept>| side.keys().next().map(|(filter, ..)| filter.clone());
        let count = |at: usize| {
            let (own, other) = (&self.sides[at], &self.sides[1 - at]);
            let first = filters(own);
            let of = own.keys().filter(|(filter, ..)| Some(filter) == first.as_ref());
            (of.clone().filter(|key| !other.contains_key(*key)).count(), of.count())
        };
        let ((a, all_a), (b, all_b)) = (count(0), count(1));
        (a + b > 0).then(|| {
            format!(
                "{a} of {all_a} documents of A and {b} of {all_b} of B have no other with the same document and prompt, \
                 and are not paired"
            )
        })
    }

    /// What each document gives a score.
    pub(super) fn measures(&self, metric: &str, filter: &str, aggregation: Aggregation) -> Result<Measures, String> {
        let mut found = Measures { all: [Vec::new(), Vec::new()], paired: [Vec::new(), Vec::new()] };
        for (at, name) in ["A", "B"].into_iter().enumerate() {
            for (key, kept) in &self.sides[at] {
                if key.0 != filter {
                    continue;
                }
                // A metric may be of some documents only.
                let Some(json) = kept.get(metric) else { continue };
                let measure = Measure::read(json, aggregation).map_err(|why| format!("a sample of {name}: {why}"))?;
                if self.sides[1 - at].get(key).is_some_and(|other| other.contains_key(metric)) {
                    found.paired[at].push(measure.clone());
                }
                found.all[at].push(measure);
            }
        }
        if found.paired[0].is_empty() {
            return Err("no document with its prompt is the same in both".to_owned());
        }
        Ok(found)
    }
}

fn side(saved: &Saved, task: &str) -> Result<BTreeMap<Key, Kept>, EvalError> {
    let mut found = BTreeMap::new();
    let mut seen: BTreeMap<(String, String, String), usize> = BTreeMap::new();
    saved.samples(task, &mut |sample| {
        if found.len() >= MOST_SAMPLES {
            return Err(format!("there are more than {MOST_SAMPLES} samples"));
        }
        let text = |name: &str| match sample.get(name) {
            Some(Value::String(text)) if text.len() <= LONGEST_NAME => Ok(text.clone()),
            Some(_) => Err(format!("`{name}` is no short text")),
            None => Err(format!("it has no `{name}`, by which documents are paired")),
        };
        let filter = if sample.contains_key("filter") { text("filter")? } else { "none".to_owned() };
        let (document, prompt) = (text("doc_hash")?, text("prompt_hash")?);
        let place = seen.entry((filter.clone(), document.clone(), prompt.clone())).or_insert(0);
        let key = (filter, document, prompt, *place);
        *place += 1;
        found.insert(key, scores(sample));
        Ok(())
    })?;
    Ok(found)
}

/// What the sample gives its scores.
fn scores(sample: &Map<String, Value>) -> Kept {
    let names = sample.get("metrics").and_then(Value::as_array);
    let names = names.into_iter().flatten().filter_map(Value::as_str);
    names.filter_map(|name| Some((name.to_owned(), sample.get(name)?.clone()))).collect()
}
