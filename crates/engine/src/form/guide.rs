//! Where one sample stands in its form, and what may follow.
//!
//! A guide follows the tokens of its sample alone and belongs to it, so nothing else that happens (other samples, batches,
//! proposals, shortages of memory) changes what it says. It is cloned where a sequence is forked.

use std::fmt;
use std::sync::Arc;

use llguidance::Matcher;
use llguidance::toktrie::SimpleVob;

use super::compile;
use crate::error::SamplingError;

/// What llguidance says where no token may follow.
const NOTHING_FOLLOWS: &str = "NoExtensionBias";

/// A place in a form.
#[derive(Clone)]
pub(crate) struct Guide {
    matcher: Matcher,
    ends: Arc<[u32]>,
    /// What may follow, as last told.
    mask: SimpleVob,
}

impl fmt::Debug for Guide {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Guide({})", self.matcher.stop_reason())
    }
}

impl Guide {
    /// At the beginning; `ends` are the tokens that end a generation.
    pub(super) fn new(matcher: Matcher, ends: &[u32]) -> Self {
        Self { matcher, ends: ends.into(), mask: SimpleVob::new() }
    }

    /// The tokens that may follow, as bits: id `i` is bit `i % 32` of word `i / 32`. `None`: the text is a whole one of the
    /// form, and nothing may follow it.
    ///
    /// # Errors
    /// If the text is not whole and no token goes on with it, or the form is too intricate to tell.
    pub(crate) fn next(&mut self) -> Result<Option<&[u32]>, SamplingError> {
        if self.matcher.is_stopped() && !self.matcher.is_error() {
            return Ok(None);
        }
        let whole = self.matcher.is_accepting().map_err(fault)?;
        match self.matcher.compute_mask() {
            Ok(mask) => self.mask = mask,
            Err(error) if error.to_string().starts_with(NOTHING_FOLLOWS) => {
                return if whole { Ok(None) } else { Err(SamplingError::NoWayOn) };
            }
            Err(error) => return Err(fault(error)),
        }
        for &id in self.ends.iter() {
            self.mask.set(id as usize, whole);
        }
        Ok(Some(self.mask.as_slice()))
    }

    /// Goes on by a token that may follow; returns whether nothing may follow it.
    ///
    /// # Errors
    /// If it may not follow, or the form is too intricate to tell.
    pub(crate) fn take(&mut self, id: u32) -> Result<bool, SamplingError> {
        self.matcher.consume_token(id).map_err(fault)?;
        Ok(self.matcher.is_stopped())
    }

    /// How many of `tokens` may follow, one after the other.
    pub(crate) fn agrees(&self, tokens: &[u32]) -> usize {
        // A copy: the original must not remember a fault.
        if tokens.is_empty() { 0 } else { self.matcher.clone().validate_tokens(tokens).unwrap_or(0) }
    }
}

fn fault(error: impl fmt::Display) -> SamplingError {
    SamplingError::Form { why: compile::words(&error.to_string()) }
}
