//! How often each drawn sequence stands in the shards.

use super::MemorisationPlan;
use super::draw::Drawn;
use crate::asking::Watch;
use crate::error::EvalError;
use crate::sequences::{Sequences, Stream};
use crate::shards::{Place, Reader, Shards};

/// Of each sequence and prefix, in this order, how often prefix and continuation together stand in the shards: once at least.
pub(super) fn occurrences(
    shards: &Shards,
    plan: &MemorisationPlan,
    drawn: &[Drawn],
    watch: &mut dyn Watch,
) -> Result<Vec<u64>, EvalError> {
    let mut sequences = Sequences::new();
    let longest = plan.window() - plan.continuation;
    let mut numbers = Vec::with_capacity(drawn.len() * plan.prefixes.len());
    for one in drawn {
        for &prefix in &plan.prefixes {
            let tokens = &one.tokens[longest - prefix..];
            numbers.extend(sequences.add(tokens, tokens.len()));
        }
    }
    let counter = || Counter { stream: Stream::new(&sequences), counts: vec![0; sequences.count()] };
    let mut counts = vec![0; sequences.count()];
    for counter in shards.read(&counter, watch)? {
        counts.iter_mut().zip(counter.counts).for_each(|(all, own)| *all += own);
    }
    Ok(numbers.into_iter().map(|number| counts[number as usize]).collect())
}

struct Counter<'a> {
    stream: Stream<'a>,
    counts: Vec<u64>,
}

impl Reader for Counter<'_> {
    fn begin(&mut self, _: Place) {
        self.stream.cut();
    }

    fn tokens(&mut self, ids: &[u32]) -> Result<(), EvalError> {
        let Self { stream, counts } = self;
        ids.iter().for_each(|&id| stream.push(id, |number| counts[number as usize] += 1));
        Ok(())
    }

    fn end(&mut self) -> Result<(), EvalError> {
        Ok(())
    }
}
