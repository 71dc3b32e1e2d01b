//! What comes out: pieces while it runs, and the whole at its end.

use std::fmt;
use std::time::Duration;

/// Why a generation ended, in the words of the usual interfaces.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FinishReason {
    /// The model ended it, a stop string or id was met, or it is complete in the form asked for.
    Stop,
    /// `max_tokens`, or the last position of the context.
    Length,
    /// A rail cut it.
    ContentFilter,
    /// It was called off.
    Cancelled,
}

impl FinishReason {
    /// `stop`, `length`, `content_filter` or `cancelled`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Stop => "stop",
            Self::Length => "length",
            Self::ContentFilter => "content_filter",
            Self::Cancelled => "cancelled",
        }
    }
}

impl fmt::Display for FinishReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Why a generation ended, exactly.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Cause {
    /// The model's end-of-sequence token.
    EndOfSequence,
    /// This stop id.
    StopId(u32),
    /// This stop string.
    StopString(String),
    /// It is whole in the form asked for, and nothing may follow.
    FormComplete,
    /// `max_tokens` were generated.
    MaxTokens,
    /// Prompt and generation fill the model's context of so many positions.
    ContextFull(usize),
    /// A rail cut the text.
    Rail {
        /// Which.
        rail: String,
        /// Why.
        reason: String,
    },
    /// It was called off.
    Cancelled,
}

impl Cause {
    /// The same in the words of the usual interfaces.
    pub fn finish_reason(&self) -> FinishReason {
        match self {
            Self::EndOfSequence | Self::StopId(_) | Self::StopString(_) | Self::FormComplete => FinishReason::Stop,
            Self::MaxTokens | Self::ContextFull(_) => FinishReason::Length,
            Self::Rail { .. } => FinishReason::ContentFilter,
            Self::Cancelled => FinishReason::Cancelled,
        }
    }
}

/// One token that came out.
#[derive(Clone, Debug, PartialEq)]
pub struct Token {
    /// Its id.
    pub id: u32,
    /// Where its text begins in the generation's text, in bytes (the echoed prompt included); 0 without a tokenizer.
    pub offset: usize,
    /// Log-probability under the model, if asked for; of an echoed prompt the first token has none.
    pub logprob: Option<f64>,
    /// The most probable tokens here and their log-probabilities, largest first.
    pub top: Vec<(u32, f64)>,
}

/// Text that has become certain: whole characters, nothing that may yet become part of a stop string, nothing that a
/// rail still holds.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Piece {
    /// Which sample of the request, from 0.
    pub sample: usize,
    /// The text; may be empty (a model without a tokenizer, a token without text).
    pub text: String,
    /// The tokens whose text is now wholly out.
    pub tokens: Vec<Token>,
}

/// How long it took.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Timings {
    /// From the request to its first step.
    pub queued: Duration,
    /// From the request to its first token.
    pub first_token: Duration,
    /// From the request to its end.
    pub total: Duration,
    /// Prompt tokens that were computed (the rest were shared with another sequence).
    pub prefill_tokens: usize,
    /// From the first step to the first token.
    pub prefill: Duration,
    /// Tokens generated after the first.
    pub decode_tokens: usize,
    /// From the first token to the last.
    pub decode: Duration,
}

impl Timings {
    /// Prompt tokens computed a second, `None` where there is nothing to divide.
    pub fn prefill_tokens_per_s(&self) -> Option<f64> {
        rate(self.prefill_tokens, self.prefill)
    }

    /// Tokens after the first a second, `None` where there is nothing to divide.
    pub fn decode_tokens_per_s(&self) -> Option<f64> {
        rate(self.decode_tokens, self.decode)
    }
}

fn rate(tokens: usize, time: Duration) -> Option<f64> {
    (tokens > 0 && !time.is_zero()).then(|| tokens as f64 / time.as_secs_f64())
}

/// One continuation.
#[derive(Clone, Debug, PartialEq)]
pub struct Generation {
    /// Which sample of the request, from 0; of a beam search 0 is the best.
    pub sample: usize,
    /// Its text, the echoed prompt first if that was asked for. Empty without a tokenizer.
    pub text: String,
    /// The generated tokens; of a text that was cut by a rail those whose text is wholly out.
    pub tokens: Vec<Token>,
    /// The echoed prompt's tokens, if echo and log-probabilities were asked for.
    pub prompt: Vec<Token>,
    /// Why it ended.
    pub cause: Cause,
    /// Tokens in the prompt.
    pub prompt_tokens: usize,
    /// Summed log-probability over length to the length penalty, of a beam.
    pub beam_score: Option<f64>,
    /// How long it took.
    pub timings: Timings,
}

impl Generation {
    /// Why it ended, in the words of the usual interfaces.
    pub fn finish_reason(&self) -> FinishReason {
        self.cause.finish_reason()
    }

    /// The generated ids.
    pub fn ids(&self) -> Vec<u32> {
        self.tokens.iter().map(|token| token.id).collect()
    }

    /// Tokens generated.
    pub fn completion_tokens(&self) -> usize {
        self.tokens.len()
    }
}
