//! Guessing tokens ahead, so that one pass through the model checks several.
//!
//! A proposed token stays if the choice at its position falls on it; the choice is made exactly as without proposals,
//! from the model's own logits and the same noise (see [`crate::sampler`]). So speculation changes no token, greedy or
//! sampled; it is only faster. A draft model draws its proposals with the same noise as the model will: the exponential
//! race makes both draw the same token with a probability near the best possible, `1 - TV(p, q)`.
//!
//! Held by `tests/engine/speculation.rs`.

use gptneo_model::{LanguageModel, Run, Spec, Want};

use crate::error::EngineError;
use crate::form::Guide;
use crate::sample::Sample;
use crate::sampler::Sampler;
use crate::task::Terms;
use crate::track::Track;

/// What followed the last tokens when they occurred before: of runs of `ngram` last tokens or fewer the longest that
/// occurred, of its occurrences the latest; at most `most` tokens.
pub(crate) fn lookup(tokens: &[u32], ngram: usize, most: usize) -> Vec<u32> {
    if most == 0 {
        return Vec::new();
    }
    for len in (1..=ngram.min(tokens.len().saturating_sub(1))).rev() {
        let last = &tokens[tokens.len() - len..];
        let before = &tokens[..tokens.len() - 1];
        if let Some(at) = before.windows(len).rposition(|run| run == last) {
            let follows = &tokens[at + len..];
            return follows[..follows.len().min(most)].to_vec();
        }
    }
    Vec::new()
}

/// A smaller model that proposes.
pub(crate) struct Drafter {
    model: Box<dyn LanguageModel>,
    logits: Vec<f32>,
}

/// A sample that wants proposals.
pub(crate) struct Wish<'a> {
    terms: &'a Terms,
    sample: &'a mut Sample,
    /// How many; 0 once it gets no more.
    wanted: usize,
    /// Where the proposals stand in the sample's form.
    guide: Option<Guide>,
}

impl<'a> Wish<'a> {
    pub(crate) fn new(terms: &'a Terms, sample: &'a mut Sample, wanted: usize) -> Self {
        let guide = sample.guide.clone();
        Self { terms, sample, wanted, guide }
    }

    fn draft(&mut self) -> Option<&mut Track> {
        if self.wanted == 0 { None } else { self.sample.draft.as_mut() }
    }

    /// Adds the token that the draft model chooses after `row`; wants no more where there is none.
    fn add(&mut self, row: &mut [f32], sampler: &mut Sampler) {
        match self.choose(row, sampler) {
            Some(id) => {
                self.sample.track.tokens.push(id);
                self.sample.track.proposed += 1;
            }
            None => self.wanted = 0,
        }
    }

    /// A draft that cannot choose proposes nothing: only the model's own failures count.
    fn choose(&mut self, row: &mut [f32], sampler: &mut Sampler) -> Option<u32> {
        let draft = self.sample.draft.as_mut()?;
        let allowed = match &mut self.guide {
            Some(guide) => Some(guide.next().ok()??),
            None => None,
        };
        let id = sampler.choose(&self.terms.choice(&draft.tokens, self.sample.index, allowed), row).ok()?;
        draft.tokens.push(id);
        // Behind what ends the sample nothing is proposed.
        if self.guide.as_mut().is_some_and(|guide| guide.take(id).unwrap_or(true)) {
            self.wanted = self.sample.track.proposed + 1;
        }
        Some(id)
    }
}

impl Drafter {
    /// A drafter for a model of this kind.
    pub(crate) fn new(model: Box<dyn LanguageModel>, target: &Spec) -> Result<Self, EngineError> {
        if model.spec().classifier.is_some() {
            return Err(EngineError::Draft("it is a classifier, which proposes no tokens".into()));
        }
        let (draft, wanted) = (model.spec().vocab, target.vocab);
        if draft != wanted {
            let why = format!("its vocabulary has {draft} tokens, the model's {wanted}: they need the same tokenizer");
            return Err(EngineError::Draft(why));
        }
        Ok(Self { model, logits: Vec::new() })
    }

    pub(crate) fn close(&mut self, mut track: Track) {
        track.close(self.model.as_mut());
    }

    /// Proposes tokens to all samples, one more to each in every round. Where the draft model has no room, or its
    /// context ends, there are fewer, or none.
    pub(crate) fn propose(&mut self, wishes: &mut [Wish<'_>], sampler: &mut Sampler) {
        for wish in wishes.iter_mut() {
            self.follow(wish.sample);
        }
        while self.round(wishes, sampler) {}
    }

    /// Makes the draft's own track follow what became certain.
    fn follow(&mut self, sample: &mut Sample) {
        let draft = sample.draft.get_or_insert_with(|| Track::new(Vec::new()));
        let same = crate::prefix::common(&draft.tokens[..draft.held], &sample.track.tokens);
        // One token at least is appended, for its logits.
        draft.hold_only(self.model.as_mut(), same.min(sample.track.tokens.len() - 1));
        draft.tokens.clone_from(&sample.track.tokens);
    }

    /// One more token for every sample that still wants one; returns whether there is any.
    fn round(&mut self, wishes: &mut [Wish<'_>], sampler: &mut Sampler) -> bool {
        let positions = self.model.spec().positions;
        let vocab = self.model.spec().vocab;
        for wish in wishes.iter_mut() {
            let len = wish.sample.draft.as_ref().map_or(0, |draft| draft.tokens.len());
            if wish.sample.track.proposed >= wish.wanted || len > positions {
                wish.wanted = 0;
            }
        }
        let mut growth = Vec::new();
        for wish in wishes.iter_mut() {
            let Some(draft) = wish.draft() else { continue };
            growth.push((draft.sequence, draft.pending()));
            // The youngest go without.
            if !self.model.fits(&growth) {
                growth.pop();
                draft.close(self.model.as_mut());
                wish.wanted = 0;
            }
        }
        let mut runs = Vec::new();
        for draft in wishes.iter_mut().filter_map(Wish::draft) {
            let sequence = *draft.sequence.get_or_insert_with(|| self.model.open());
            runs.push(Run::tokens(sequence, &draft.tokens[draft.held..], Want::Last));
        }
        if runs.is_empty() {
            return false;
        }
        self.logits.clear();
        let ran = self.model.forward(&runs, &mut self.logits);
        let mut rows = self.logits.chunks_exact_mut(vocab);
        for wish in wishes.iter_mut() {
            let Some(draft) = wish.draft() else { continue };
            let Some(row) = rows.next().filter(|_| ran.is_ok()) else {
                draft.close(self.model.as_mut());
                wish.wanted = 0;
                continue;
            };
            draft.held = draft.tokens.len();
            wish.add(row, sampler);
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn looks_up_the_latest_longest_run() {
        assert_eq!(lookup(&[1, 2, 3, 9, 1, 2, 4, 8, 1, 2], 2, 2), [4, 8]);
        assert_eq!(lookup(&[5, 1, 2, 3, 9, 2, 7, 5, 1, 2], 3, 10), [3, 9, 2, 7, 5, 1, 2]);
        assert_eq!(lookup(&[7, 7, 7], 3, 2), [7]);
    }

    #[test]
    fn proposes_nothing_where_nothing_recurs() {
        assert!(lookup(&[1, 2, 3], 3, 5).is_empty());
        assert!(lookup(&[1], 3, 5).is_empty());
        assert!(lookup(&[], 3, 5).is_empty());
        assert!(lookup(&[1, 1], 3, 0).is_empty());
    }
}
