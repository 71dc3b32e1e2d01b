//! The shards, read once: which runs of words stand in how many documents, and where first.

use std::collections::HashMap;
use std::time::Instant;

use gptneo_text::{Special, TextStream};

use super::queries::{Queries, Query, described, query};
use super::verdict::{Match, Scanned, TaskContamination, Verdict};
use super::words::Words;
use super::{Decontamination, Settings};
use crate::asking::Watch;
use crate::definition::Task;
use crate::document::Document;
use crate::error::EvalError;
use crate::sequences::Stream;
use crate::shards::{Place, Reader};

/// A task, the split that is measured, and its documents.
pub(crate) type Asked<'a> = (&'a Task, &'a str, Vec<&'a Document>);

/// What was found.
#[derive(Debug)]
pub(crate) struct Found {
    /// Of each task.
    pub(crate) tasks: Vec<TaskContamination>,
    /// What was looked through.
    pub(crate) scanned: Scanned,
}

/// Where a run of words stands.
#[derive(Clone, Copy, Debug)]
struct Tally {
    documents: u64,
    first: Place,
    last: Place,
}

/// Looks for the documents of all tasks in the shards.
pub(crate) fn find(tasks: &[Asked<'_>], plan: &Decontamination, watch: &mut dyn Watch) -> Result<Found, EvalError> {
    let Decontamination { shards, settings } = plan;
    let begun = Instant::now();
    let mut queries = Queries::new(*settings);
    for (task, split, documents) in tasks {
        for (number, document) in documents.iter().enumerate() {
            let text = query(task, document).map_err(|why| EvalError::Document {
                task: task.name().to_owned(),
                split: (*split).to_owned(),
                document: number,
                why: format!("what to look for in training data: {why}"),
            })?;
            queries.add(&text);
        }
    }
    let finder = || Finder {
        queries: &queries,
        text: shards.tokenizer().stream(Special::Skip),
        words: Words::new(queries.longest_word()),
        stream: Stream::new(&queries.runs),
        place: Place { part: 0, document: 0 },
        tallies: HashMap::new(),
    };
    let mut tallies: HashMap<u32, Tally> = HashMap::new();
    for finder in shards.read(&finder, watch)? {
        for (run, own) in finder.tallies {
            let all = tallies.entry(run).or_insert(Tally { documents: 0, ..own });
            all.documents += own.documents;
            all.first = all.first.min(own.first);
        }
    }
    let mut rest = queries.documents.as_slice();
    let mut found = Vec::new();
    for (task, _, documents) in tasks {
        let (own, later) = rest.split_at(documents.len());
        rest = later;
        let verdict = |query: &Query| judge(query, &queries, &tallies, plan);
        found.push(TaskContamination {
            query: described(task),
            documents: own.iter().map(verdict).collect::<Result<_, _>>()?,
            clean: Vec::new(),
        });
    }
    Ok(Found { tasks: found, scanned: Scanned::new(shards, *settings, begun.elapsed().as_secs_f64()) })
}

fn judge(
    query: &Query,
    queries: &Queries,
    tallies: &HashMap<u32, Tally>,
    plan: &Decontamination,
) -> Result<Verdict, EvalError> {
    let Settings { common, .. } = plan.settings;
    let Query::Runs(runs) = query else { return Ok(Verdict::TooShort) };
    let hits = || runs.iter().filter_map(|run| Some((*run, *tallies.get(run)?)));
    let mut telling = hits().filter(|(_, tally)| tally.documents <= common);
    let Some((run, tally)) = telling.next() else {
        return Ok(if hits().next().is_some() { Verdict::OnlyCommon } else { Verdict::Clean });
    };
    Ok(Verdict::Contaminated(Match {
        ngram: queries.text(run),
        documents: tally.documents,
        first: plan.shards.whereabouts(tally.first)?,
        overlapping: 1 + telling.count(),
        ngrams: runs.len(),
    }))
}

/// Reads documents as words.
struct Finder<'a> {
    queries: &'a Queries,
    text: TextStream,
    words: Words,
    stream: Stream<'a>,
    place: Place,
    tallies: HashMap<u32, Tally>,
}

impl Finder<'_> {
    fn take(&mut self, ids: &[u32], ends: bool) -> Result<(), EvalError> {
        let Self { queries, text, words, stream, place, tallies } = self;
        let place = *place;
        let mut word = |word: &str| match queries.number(word) {
            None => stream.cut(),
            Some(number) => stream.push(number, |run| {
                let tally = tallies.entry(run).or_insert(Tally { documents: 0, first: place, last: place });
                if tally.documents == 0 || tally.last != place {
                    tally.documents += 1;
                    tally.last = place;
                }
            }),
        };
        for &id in ids {
            words.push(text.push(id)?, &mut word);
        }
        if ends {
            words.push(text.finish(), &mut word);
            words.end(&mut word);
            stream.cut();
        }
        Ok(())
    }
}

impl Reader for Finder<'_> {
    fn begin(&mut self, place: Place) {
        self.place = place;
    }

    fn tokens(&mut self, ids: &[u32]) -> Result<(), EvalError> {
        self.take(ids, false)
    }

    fn end(&mut self) -> Result<(), EvalError> {
        self.take(&[], true)
    }
}
