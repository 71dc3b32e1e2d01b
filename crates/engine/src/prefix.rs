//! Beginnings that are kept: sequences of requests that are done, for prompts that begin like them and have the same adapter.

use std::collections::VecDeque;

use gptneo_model::{AdapterId, LanguageModel, SequenceId};

use crate::track::Track;

/// Sequences kept after their requests, least recently used first.
#[derive(Debug)]
pub(crate) struct Retained {
    kept: VecDeque<Kept>,
    most: usize,
}

#[derive(Debug)]
struct Kept {
    tokens: Vec<u32>,
    adapter: Option<AdapterId>,
    sequence: SequenceId,
}

/// Length of the common beginning.
pub(crate) fn common(a: &[u32], b: &[u32]) -> usize {
    a.iter().zip(b).take_while(|(a, b)| a == b).count()
}

impl Retained {
    /// Keeps at most so many.
    pub(crate) fn new(most: usize) -> Self {
        Self { kept: VecDeque::new(), most }
    }

    pub(crate) fn len(&self) -> usize {
        self.kept.len()
    }

    /// Takes over what the model holds of `track`.
    pub(crate) fn keep(&mut self, model: &mut dyn LanguageModel, mut track: Track) {
        track.unpropose();
        track.tokens.truncate(track.held);
        let Some(sequence) = track.sequence.filter(|_| self.most > 0 && track.held > 0) else {
            return track.close(model);
        };
        let adapter = track.adapter;
        if self.kept.iter().any(|kept| kept.adapter == adapter && kept.tokens.starts_with(&track.tokens)) {
            return track.close(model);
        }
        // What it continues is held by it.
        self.kept.retain(|kept| {
            let within = kept.adapter == adapter && track.tokens.starts_with(&kept.tokens);
            if within {
                model.close(kept.sequence);
            }
            !within
        });
        self.kept.push_back(Kept { tokens: track.tokens, adapter, sequence });
        while self.kept.len() > self.most {
            self.drop_oldest(model);
        }
    }

    /// Frees the least recently used; returns whether there was one.
    pub(crate) fn drop_oldest(&mut self, model: &mut dyn LanguageModel) -> bool {
        let oldest = self.kept.pop_front();
        if let Some(kept) = &oldest {
            model.close(kept.sequence);
        }
        oldest.is_some()
    }

    /// Frees all that were made with this adapter.
    pub(crate) fn drop_adapter(&mut self, model: &mut dyn LanguageModel, adapter: AdapterId) {
        self.kept.retain(|kept| {
            let other = kept.adapter != Some(adapter);
            if !other {
                model.close(kept.sequence);
            }
            other
        });
    }

    /// The longest beginning of `prompt`, shorter than all of it and made with the same adapter, that can be forked from
    /// here, as its sequence and length.
    pub(crate) fn longest(
        &self,
        model: &dyn LanguageModel,
        prompt: &[u32],
        adapter: Option<AdapterId>,
    ) -> Option<(SequenceId, usize)> {
        let shared = |kept: &Kept| {
            let len = common(&kept.tokens, prompt).min(prompt.len() - 1);
            (len > 0 && model.can_cut(kept.sequence, len)).then_some((kept.sequence, len))
        };
        self.kept.iter().filter(|kept| kept.adapter == adapter).filter_map(shared).max_by_key(|(_, len)| *len)
    }

    /// Marks the sequence as just used.
    pub(crate) fn touch(&mut self, sequence: SequenceId) {
        if let Some(at) = self.kept.iter().position(|kept| kept.sequence == sequence)
            && let Some(kept) = self.kept.remove(at)
        {
            self.kept.push_back(kept);
        }
    }
}
