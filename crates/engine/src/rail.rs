//! Rails: values that the one generation loop consults, so that no door goes round them.
//!
//! A rail sees the prompt before anything is computed and may refuse it, sees the logits of every step and may change
//! them (after penalties and bias, before the choice, so that nothing overrides it), and sees text before it goes out
//! and may hold it back or cut it. Rails keep no state between calls: everything they need is in the arguments, so a
//! sequence can be forked, rolled back or computed again at any time.
//!
//! Held by `tests/engine/rails.rs`: samples, streams, beams, speculation, batches and echo all pass through here.

use std::fmt;

/// What a rail says of a prompt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PromptVerdict {
    /// It may be continued.
    Pass,
    /// It may not.
    Refuse {
        /// Why.
        reason: String,
    },
}

/// What a rail says of text that has not gone out yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TextVerdict {
    /// All of it may go out.
    Emit,
    /// What lies before byte `from` of the passage may go out; the rest waits for more text. With
    /// [`Passage::last`] there is no more: the rest goes out.
    Hold {
        /// A character boundary of the passage.
        from: usize,
    },
    /// What lies before byte `at` of the passage may go out, and there the generation ends.
    Cut {
        /// A character boundary of the passage.
        at: usize,
        /// Why.
        reason: String,
    },
}

/// The prompt, as a rail sees it.
#[derive(Clone, Copy, Debug)]
pub struct PromptView<'a> {
    /// Ids.
    pub tokens: &'a [u32],
    /// Their text; `None` if the model has no tokenizer.
    pub text: Option<&'a str>,
}

/// What was said so far, as a rail sees it before a token is chosen.
#[derive(Clone, Copy, Debug)]
pub struct History<'a> {
    /// Prompt and generated tokens.
    pub tokens: &'a [u32],
    /// How many of them are the prompt.
    pub prompt: usize,
}

impl<'a> History<'a> {
    /// The generated tokens.
    pub fn generated(&self) -> &'a [u32] {
        &self.tokens[self.prompt..]
    }
}

/// Text on its way out, as a rail sees it.
#[derive(Clone, Copy, Debug)]
pub struct Passage<'a> {
    /// The prompt's text and all that was generated so far.
    pub text: &'a str,
    /// Bytes of it that are the prompt.
    pub prompt: usize,
    /// Bytes of it that have gone out, or never will (the prompt without echo): the verdict is about the rest.
    pub released: usize,
    /// Nothing follows.
    pub last: bool,
}

impl<'a> Passage<'a> {
    /// The text that the verdict is about.
    pub fn held(&self) -> &'a str {
        &self.text[self.released..]
    }
}

/// Inspects prompts, alters logits, holds and cuts text.
pub trait Rail: Send + Sync + fmt::Debug {
    /// What to call it where it intervenes.
    fn name(&self) -> &str;

    /// Whether it inspects text, and so cannot protect a model without a tokenizer: such requests are refused.
    fn needs_text(&self) -> bool;

    /// Sees the prompt before anything is computed.
    fn inspect_prompt(&self, prompt: PromptView<'_>) -> PromptVerdict {
        let _ = prompt;
        PromptVerdict::Pass
    }

    /// Changes `logits: [V]` of the next token.
    fn alter_logits(&self, history: History<'_>, logits: &mut [f32]) {
        let _ = (history, logits);
    }

    /// Sees text before it goes out.
    fn inspect_text(&self, passage: Passage<'_>) -> TextVerdict {
        let _ = passage;
        TextVerdict::Emit
    }
}
