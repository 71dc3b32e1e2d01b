//! Sequences drawn from shards: each stretch of a document that is long enough is as likely as any other, and none comes twice.

use gptneo_text::shards::Permutation;

use super::MemorisationPlan;
use crate::asking::Watch;
use crate::error::EvalError;
use crate::shards::{Place, Shards};

/// Documents between two looks at whether to stop.
const PATIENCE: u64 = 4096;

/// A stretch of a document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Drawn {
    pub(super) place: Place,
    /// Where it begins, in tokens from the start of the document.
    pub(super) offset: u64,
    /// The longest prefix, then the continuation.
    pub(super) tokens: Vec<u32>,
}

/// Draws sequences, in the order of the shards; also how many there were to draw from.
pub(super) fn draw(
    shards: &Shards,
    plan: &MemorisationPlan,
    watch: &mut dyn Watch,
) -> Result<(Vec<Drawn>, u64), EvalError> {
    let len = plan.window() as u64;
    let mut windows = 0u64;
    walk(shards, watch, &mut |_, tokens| {
        windows += (tokens.end - tokens.start + 1).saturating_sub(len);
        Ok(true)
    })?;
    if windows == 0 {
        let why = format!("no document of the shards has {len} tokens: ask for a shorter prefix or continuation");
        return Err(EvalError::Setting { why });
    }
    let permutation = Permutation::new(windows, plan.seed);
    let mut wanted: Vec<u64> = (0..windows.min(plan.sample as u64)).map(|at| permutation.at(at)).collect();
    wanted.sort_unstable();
    let mut drawn = Vec::with_capacity(wanted.len());
    let mut first = 0;
    walk(shards, watch, &mut |place, tokens| {
        let own = (tokens.end - tokens.start + 1).saturating_sub(len);
        while let Some(number) = wanted.get(drawn.len()).filter(|&&number| number < first + own) {
            let offset = number - first;
            let mut ids = vec![0; len as usize];
            shards.part(place).read(tokens.start + offset, &mut ids)?;
            drawn.push(Drawn { place, offset, tokens: ids });
        }
        first += own;
        Ok(drawn.len() < wanted.len())
    })?;
    Ok((drawn, windows))
}

type Visit<'a> = dyn FnMut(Place, std::ops::Range<u64>) -> Result<bool, EvalError> + 'a;

/// Tells where every document lies, until `visit` has enough.
fn walk(shards: &Shards, watch: &mut dyn Watch, visit: &mut Visit<'_>) -> Result<(), EvalError> {
    for (part, (_, dataset)) in shards.parts().enumerate() {
        for document in 0..dataset.documents() {
            if document % PATIENCE == 0 && watch.stopped() {
                return Err(EvalError::Stopped);
            }
            let place = Place { part, document };
            if !visit(place, shards.tokens_of(place)?)? {
                return Ok(());
            }
        }
    }
    Ok(())
}
