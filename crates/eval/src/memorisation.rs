//! Memorisation: training text that a model goes on with word for word.
//!
//! As Carlini et al. have it (Quantifying Memorization Across Neural Language Models, 2022): a sequence is extractable with `k` tokens of context
//! if the model, given the `k` tokens that stand before it in the training data, writes it exactly, choosing the likeliest token each time.
//! Here sequences are drawn from token shards, evenly from all stretches of a document that are long enough; for several `k` the sequence is the
//! same, and the context reaches further back. How often context and sequence together stand in the shards is counted in one pass.

mod count;
mod draw;
mod report;

use std::ops::ControlFlow;

use gptneo_engine::{Cause, Prompt, Request};

use crate::asking::{Subject, Watch};
use crate::error::EvalError;
use crate::shards::Shards;
use count::occurrences;
use draw::{Drawn, draw};

pub use report::{BUCKETS, MemorisationReport, MemorisedSequence, PrefixReport, Rate, bucket_name};

/// What is asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MemorisationPlan {
    /// Tokens of context, one or several.
    pub prefixes: Vec<usize>,
    /// Tokens that are to follow.
    pub continuation: usize,
    /// Sequences that are drawn.
    pub sample: usize,
    /// What they are drawn with.
    pub seed: u64,
}

impl Default for MemorisationPlan {
    fn default() -> Self {
        Self { prefixes: vec![50], continuation: 50, sample: 1000, seed: 1234 }
    }
}

impl MemorisationPlan {
    /// Tokens of the longest prefix and the continuation together.
    pub fn window(&self) -> usize {
        self.prefixes.iter().max().copied().unwrap_or(0).saturating_add(self.continuation)
    }

    /// Whether a model of this context and this vocabulary can be asked for it.
    ///
    /// # Errors
    /// [`EvalError::Setting`] for lengths and counts of 0, and for more than the context holds.
    pub fn check(&self, positions: usize) -> Result<(), EvalError> {
        let bad = |why: String| Err(EvalError::Setting { why });
        let Self { prefixes, continuation, sample, .. } = self;
        if prefixes.is_empty() || prefixes.contains(&0) || *continuation == 0 || *sample == 0 {
            return bad("prefixes, continuation and sample are of at least one".to_owned());
        }
        if self.window() > positions {
            let longest = self.window() - continuation;
            return bad(format!(
                "a prefix of {longest} and a continuation of {continuation} tokens are {} together, and the model's context holds \
                 {positions}",
                self.window()
            ));
        }
        Ok(())
    }
}

/// Measures how much of the shards a model has memorised.
///
/// # Errors
/// [`EvalError::Setting`] for what does not go with the model or the shards; what is wrong with shards or model.
pub fn memorisation(
    subject: &mut Subject<'_>,
    shards: &Shards,
    plan: &MemorisationPlan,
    watch: &mut dyn Watch,
) -> Result<MemorisationReport, EvalError> {
    plan.check(subject.engine.spec().positions)?;
    let fingerprint = shards.tokenizer().fingerprint();
    if subject.engine.tokenizer().is_some_and(|own| own.fingerprint() != fingerprint) {
        let why =
            "the model's tokenizer is another than that of the shards, so their ids mean nothing to it".to_owned();
        return Err(EvalError::Setting { why });
    }
    let (own, wanted) = (subject.engine.spec().vocab, shards.tokenizer().vocab_size());
    if own < wanted {
        let why = format!("the model has {own} ids, and the shards' tokenizer {wanted}: it is not the model's");
        return Err(EvalError::Setting { why });
    }
    let (drawn, windows) = draw(shards, plan, watch)?;
    let duplicates = occurrences(shards, plan, &drawn, watch)?;
    let matched = matched(subject, plan, &drawn, watch)?;
    MemorisationReport::new(shards, plan, windows, &drawn, &duplicates, &matched)
}

/// Of each sequence and prefix, in this order, how many tokens of the continuation the model writes before the first other one.
fn matched(
    subject: &mut Subject<'_>,
    plan: &MemorisationPlan,
    drawn: &[Drawn],
    watch: &mut dyn Watch,
) -> Result<Vec<usize>, EvalError> {
    let total = drawn.len() * plan.prefixes.len();
    let (longest, adapter) = (plan.window() - plan.continuation, subject.adapter.clone());
    let request = |drawn: &Drawn, prefix: usize| Request {
        max_tokens: Some(plan.continuation),
        adapter: adapter.clone(),
        ..Request::new(Prompt::Tokens(drawn.tokens[longest - prefix..longest].to_vec()))
    };
    let requests = drawn.iter().flat_map(|one| plan.prefixes.iter().map(move |&prefix| (one, prefix)));
    let mut matched = vec![0; total];
    let mut done = 0;
    let mut failed = Ok(());
    watch.answered(0, total);
    subject.engine.generate_many(requests.map(|(one, prefix)| request(one, prefix)), &mut |place, outcome| {
        match outcome {
            Ok(found) if found.first().is_some_and(|one| !matches!(one.cause, Cause::Cancelled)) => {
                let wanted = &drawn[place / plan.prefixes.len()].tokens[longest..];
                matched[place] =
                    found[0].ids().iter().zip(wanted).take_while(|(found, wanted)| found == wanted).count();
                done += 1;
                watch.answered(done, total);
            }
            Ok(_) => failed = Err(EvalError::Stopped),
            Err(error) => failed = Err(error.into()),
        }
        if failed.is_ok() && watch.stopped() {
            failed = Err(EvalError::Stopped);
        }
        if failed.is_ok() { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    })?;
    failed.map(|()| matched)
}
