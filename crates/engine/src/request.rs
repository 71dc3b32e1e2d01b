//! What is asked of the engine: a prompt, how to choose tokens, and when to stop.
//!
//! Every field has a stated range; [`Request::check`] refuses the first one that lies outside it, by name.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::error::RequestError;
use crate::form::{CompiledForm, Form};
use crate::rail::Rail;

/// Most samples, or beams, of one request.
pub const MAX_SAMPLES: usize = 256;
/// Most alternatives reported beside a token.
pub const MAX_TOP_LOGPROBS: usize = 256;
/// Most stop strings of one request, and most bytes in each.
pub const MAX_STOPS: usize = 256;
/// Most bytes in a stop string.
pub const MAX_STOP_BYTES: usize = 4096;
/// Most tokens proposed at once by speculation: as many as a model can always take back.
pub const MAX_PROPOSED: usize = gptneo_device::PAGE - 1;

/// What is continued.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Prompt {
    /// Text, encoded by the model's tokenizer. Nothing is put before it; an empty text becomes the model's BOS (else
    /// EOS) token.
    Text(String),
    /// Token ids.
    Tokens(Vec<u32>),
}

impl From<&str> for Prompt {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<String> for Prompt {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl From<Vec<u32>> for Prompt {
    fn from(tokens: Vec<u32>) -> Self {
        Self::Tokens(tokens)
    }
}

/// How a token is chosen from logits; the order of application and the exact definitions are those of
/// [`crate::sampler`].
#[derive(Clone, Debug, PartialEq)]
pub struct Sampling {
    /// Divides the logits; 0 is greedy (ties go to the lowest id). Range `0..`.
    pub temperature: f32,
    /// Keeps the `k` largest logits; 0 keeps all.
    pub top_k: usize,
    /// Keeps the smallest set of most probable tokens whose mass reaches this. Range `(0, 1]`; 1 keeps all.
    pub top_p: f32,
    /// Keeps tokens at least this times as probable as the most probable. Range `[0, 1]`; 0 keeps all.
    pub min_p: f32,
    /// Keeps the smallest set of most typical tokens whose mass reaches this. Range `(0, 1]`; 1 keeps all.
    pub typical: f32,
    /// Divides positive and multiplies negative logits of recent tokens. Range `(0, ..)`; 1 changes nothing.
    pub repeat_penalty: f32,
    /// How many tokens back, prompt included, `repeat_penalty` looks; `None` is all of them.
    pub repeat_last_n: Option<usize>,
    /// Subtracted from the logits of tokens that were generated before. Finite.
    pub presence_penalty: f32,
    /// Subtracted from the logits once for each time the token was generated before. Finite.
    pub frequency_penalty: f32,
    /// Added to the logits of these ids. Not NaN, not plus infinity; minus infinity forbids a token.
    pub logit_bias: Vec<(u32, f32)>,
    /// The same seed gives the same tokens, alone or in a batch.
    pub seed: u64,
}

impl Default for Sampling {
    /// Greedy, and nothing else changed.
    fn default() -> Self {
        Self {
            temperature: 0.0,
            top_k: 0,
            top_p: 1.0,
            min_p: 0.0,
            typical: 1.0,
            repeat_penalty: 1.0,
            repeat_last_n: Some(64),
            presence_penalty: 0.0,
            frequency_penalty: 0.0,
            logit_bias: Vec::new(),
            seed: 0,
        }
    }
}

impl Sampling {
    /// Whether the choice is the largest logit.
    pub fn greedy(&self) -> bool {
        self.temperature == 0.0
    }

    fn check(&self, vocab: usize) -> Result<(), RequestError> {
        let range = |field, value: f32, allowed, ok| match ok {
            true => Ok(()),
            false => Err(RequestError::OutOfRange { field, value: value.to_string(), allowed }),
        };
        let share = |v: f32| v > 0.0 && v <= 1.0;
        range(
            "temperature",
            self.temperature,
            "0 or more, and finite",
            self.temperature >= 0.0 && self.temperature.is_finite(),
        )?;
        range("top_p", self.top_p, "more than 0, at most 1", share(self.top_p))?;
        range("min_p", self.min_p, "0 to 1", (0.0..=1.0).contains(&self.min_p))?;
        range("typical", self.typical, "more than 0, at most 1", share(self.typical))?;
        range(
            "repeat_penalty",
            self.repeat_penalty,
            "more than 0, and finite",
            self.repeat_penalty > 0.0 && self.repeat_penalty.is_finite(),
        )?;
        range("presence_penalty", self.presence_penalty, "any finite number", self.presence_penalty.is_finite())?;
        range("frequency_penalty", self.frequency_penalty, "any finite number", self.frequency_penalty.is_finite())?;
        for &(id, bias) in &self.logit_bias {
            range("logit_bias", bias, "any number but NaN and plus infinity", bias < f32::INFINITY)?;
            known("logit_bias", id, vocab)?;
        }
        Ok(())
    }
}

/// Beam search, as transformers defines it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct BeamSettings {
    /// Beams kept at every step, 1 to [`MAX_SAMPLES`]; the request's `n` best finished ones are returned.
    pub width: usize,
    /// A hypothesis scores its summed log-probability over its generated length to this power. Finite.
    pub length_penalty: f32,
    /// When to stop looking for better ones.
    pub early_stopping: EarlyStopping,
}

impl Default for BeamSettings {
    fn default() -> Self {
        Self { width: 4, length_penalty: 1.0, early_stopping: EarlyStopping::Heuristic }
    }
}

/// When a beam search has found enough.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EarlyStopping {
    /// As soon as there are `width` finished hypotheses (`early_stopping=True`).
    Yes,
    /// When the best running beam, scored at its present length, is no better than the worst finished one
    /// (`early_stopping=False`).
    Heuristic,
    /// When no running beam can become better: with a positive length penalty it is scored at the longest length
    /// allowed (`early_stopping="never"`).
    Never,
}

/// Guessing tokens ahead, to check several in one step. It never changes which tokens come out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Speculation {
    /// One token a step.
    #[default]
    None,
    /// Proposes what followed the last tokens when they occurred before.
    PromptLookup {
        /// Longest run of last tokens that is looked for, at least 1.
        ngram: usize,
        /// Most tokens proposed, 1 to [`MAX_PROPOSED`].
        tokens: usize,
    },
    /// Proposes what the engine's draft model would say.
    Draft {
        /// Most tokens proposed, 1 to [`MAX_PROPOSED`].
        tokens: usize,
    },
}

/// One request.
#[derive(Clone, Debug)]
pub struct Request {
    /// What is continued.
    pub prompt: Prompt,
    /// Most tokens generated; `None`: until the model stops or its context is full.
    pub max_tokens: Option<usize>,
    /// Before so many tokens the end-of-sequence token and stop ids are forbidden and stop strings do not stop.
    pub min_tokens: usize,
    /// How tokens are chosen (by beams: penalties and bias alone).
    pub sampling: Sampling,
    /// Texts that end the generation; they are not part of what comes out. Not empty.
    pub stop_strings: Vec<String>,
    /// Tokens that end the generation beside the model's own EOS; they are not part of what comes out.
    pub stop_ids: Vec<u32>,
    /// Treats the end-of-sequence token as any other.
    pub ignore_eos: bool,
    /// Continuations wanted, 1 to [`MAX_SAMPLES`]; they share one prefill, and each draws its own numbers.
    pub n: usize,
    /// Reports each token's log-probability and so many most probable tokens, of the model's own distribution (before
    /// penalties, temperature and rails).
    pub logprobs: Option<usize>,
    /// Beam search in place of sampling.
    pub beams: Option<BeamSettings>,
    /// The adapter that every token passes, by the name it was added under; a draft model proposes without it.
    pub adapter: Option<String>,
    /// What the generated text must be. It may end sooner by `max_tokens`, a stop string or a rail; where nothing may
    /// follow it ends, be it before `min_tokens`.
    pub form: Option<Form>,
    /// The same form, compiled ahead by the [`Forms`](crate::Forms) of the scheduler that serves the request; else it is compiled when the request is
    /// submitted.
    pub compiled: Option<CompiledForm>,
    /// Guessing ahead.
    pub speculation: Speculation,
    /// The prompt's text comes out before what is generated (and its log-probabilities, if those are asked for).
    pub echo: bool,
    /// Rails of this request, beside the engine's own.
    pub rails: Vec<Arc<dyn Rail>>,
    /// Stops the request when another thread sets it; looked at in every step.
    pub cancel: Option<Arc<AtomicBool>>,
}

impl Request {
    /// A greedy request for one continuation of `prompt`, up to the end of the model's context.
    pub fn new(prompt: impl Into<Prompt>) -> Self {
        Self {
            prompt: prompt.into(),
            max_tokens: None,
            min_tokens: 0,
            sampling: Sampling::default(),
            stop_strings: Vec::new(),
            stop_ids: Vec::new(),
            ignore_eos: false,
            n: 1,
            logprobs: None,
            beams: None,
            adapter: None,
            form: None,
            compiled: None,
            speculation: Speculation::None,
            echo: false,
            rails: Vec::new(),
            cancel: None,
        }
    }

    /// Whether another thread asked to stop.
    pub fn cancelled(&self) -> bool {
        self.cancel.as_ref().is_some_and(|flag| flag.load(Ordering::Relaxed))
    }

    /// Refuses the first field that lies outside its range; `vocab` is the model's.
    pub fn check(&self, vocab: usize) -> Result<(), RequestError> {
        self.sampling.check(vocab)?;
        self.stop_ids.iter().try_for_each(|&id| known("stop_ids", id, vocab))?;
        if let Prompt::Tokens(ids) = &self.prompt {
            ids.iter().try_for_each(|&id| known("prompt", id, vocab))?;
        }
        count("n", self.n, 1, MAX_SAMPLES, "1 to 256")?;
        count("logprobs", self.logprobs.unwrap_or(0), 0, MAX_TOP_LOGPROBS, "0 to 256")?;
        count("stop_strings", self.stop_strings.len(), 0, MAX_STOPS, "at most 256 of them")?;
        for stop in &self.stop_strings {
            count("stop_strings", stop.len(), 1, MAX_STOP_BYTES, "each 1 to 4096 bytes long")?;
        }
        if let Some(max) = self.max_tokens
            && self.min_tokens > max
        {
            return Err(RequestError::OutOfRange {
                field: "min_tokens",
                value: format!("{} with max_tokens {max}", self.min_tokens),
                allowed: "at most max_tokens",
            });
        }
        match self.speculation {
            Speculation::None => {}
            Speculation::PromptLookup { ngram, tokens } => {
                count("speculation.ngram", ngram, 1, usize::MAX, "1 or more")?;
                count("speculation.tokens", tokens, 1, MAX_PROPOSED, "1 to 63")?;
            }
            Speculation::Draft { tokens } => count("speculation.tokens", tokens, 1, MAX_PROPOSED, "1 to 63")?,
        }
        self.check_beams()
    }

    fn check_beams(&self) -> Result<(), RequestError> {
        let Some(beams) = self.beams else { return Ok(()) };
        count("beams.width", beams.width, 1, MAX_SAMPLES, "1 to 256")?;
        count("n", self.n, 1, beams.width, "at most the width of the beam search")?;
        if !beams.length_penalty.is_finite() {
            let value = beams.length_penalty.to_string();
            return Err(RequestError::OutOfRange {
                field: "beams.length_penalty",
                value,
                allowed: "any finite number",
            });
        }
        let conflict = |with, why| Err(RequestError::Conflict { field: "beams", with, why });
        if !self.sampling.greedy() {
            return conflict("temperature", "beam search draws no random numbers: leave the temperature at 0");
        }
        if self.logprobs.is_some() {
            return conflict("logprobs", "a beam's score is reported with it, its tokens' log-probabilities are not");
        }
        if self.speculation != Speculation::None {
            return conflict("speculation", "beams are already checked together: leave speculation off");
        }
        if self.form.is_some() {
            return conflict("form", "beams are not kept to a form: sample instead, or leave the form out");
        }
        Ok(())
    }
}

fn known(field: &'static str, id: u32, vocab: usize) -> Result<(), RequestError> {
    if (id as usize) < vocab { Ok(()) } else { Err(RequestError::UnknownToken { field, id, vocab }) }
}

fn count(
    field: &'static str,
    value: usize,
    least: usize,
    most: usize,
    allowed: &'static str,
) -> Result<(), RequestError> {
    match (least..=most).contains(&value) {
        true => Ok(()),
        false => Err(RequestError::OutOfRange { field, value: value.to_string(), allowed }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(change: impl Fn(&mut Request), wanted: &str) {
        let mut request = Request::new(vec![1]);
        assert!(request.check(10).is_ok());
        change(&mut request);
        match request.check(10) {
            Ok(()) => assert_eq!(wanted, "", "was accepted"),
            Err(error) => assert!(
                !wanted.is_empty() && error.to_string().starts_with(wanted),
                "wanted `{wanted}…`, found `{error}`"
            ),
        }
    }

    #[test]
    fn refuses_sampling_outside_its_range() {
        check(|r| r.sampling.temperature = f32::NAN, "`temperature` is NaN, but must be 0 or more");
        check(|r| r.sampling.temperature = -0.5, "`temperature` is -0.5");
        check(|r| r.sampling.temperature = f32::INFINITY, "`temperature` is inf");
        check(|r| r.sampling.top_p = 0.0, "`top_p` is 0");
        check(|r| r.sampling.top_p = 2.0, "`top_p` is 2");
        check(|r| r.sampling.top_p = f32::NAN, "`top_p` is NaN");
        check(|r| r.sampling.min_p = -0.1, "`min_p` is -0.1");
        check(|r| r.sampling.min_p = 1.5, "`min_p` is 1.5");
        check(|r| r.sampling.typical = 0.0, "`typical` is 0");
        check(|r| r.sampling.repeat_penalty = 0.0, "`repeat_penalty` is 0");
        check(|r| r.sampling.presence_penalty = f32::NEG_INFINITY, "`presence_penalty` is -inf");
        check(|r| r.sampling.frequency_penalty = f32::NAN, "`frequency_penalty` is NaN");
        check(|r| r.sampling.logit_bias = vec![(1, f32::NAN)], "`logit_bias` is NaN");
        check(|r| r.sampling.logit_bias = vec![(10, 1.0)], "`logit_bias` names token id 10");
        check(|r| r.sampling.logit_bias = vec![(9, f32::NEG_INFINITY)], "");
    }

    #[test]
    fn refuses_counts_outside_their_range() {
        check(|r| r.n = 0, "`n` is 0");
        check(|r| r.n = 257, "`n` is 257");
        check(|r| r.logprobs = Some(1000), "`logprobs` is 1000");
        check(|r| r.stop_strings = vec![String::new()], "`stop_strings` is 0, but must be each 1 to 4096 bytes");
        check(|r| r.stop_ids = vec![11], "`stop_ids` names token id 11");
        check(|r| r.prompt = vec![3, 99].into(), "`prompt` names token id 99");
        check(
            |r| {
                r.min_tokens = 5;
                r.max_tokens = Some(4);
            },
            "`min_tokens` is 5 with max_tokens 4",
        );
        check(|r| r.speculation = Speculation::Draft { tokens: 64 }, "`speculation.tokens` is 64");
        check(|r| r.speculation = Speculation::PromptLookup { ngram: 0, tokens: 4 }, "`speculation.ngram` is 0");
    }

    #[test]
    fn refuses_beams_that_cannot_be() {
        let beams = |width| Some(BeamSettings { width, ..BeamSettings::default() });
        check(|r| r.beams = beams(0), "`beams.width` is 0");
        check(|r| r.beams = beams(4), "");
        check(
            |r| {
                r.beams = beams(2);
                r.n = 3;
            },
            "`n` is 3, but must be at most the width",
        );
        check(
            |r| {
                r.beams = beams(2);
                r.sampling.temperature = 1.0;
            },
            "`beams` does not go with `temperature`",
        );
        check(
            |r| {
                r.beams = beams(2);
                r.speculation = Speculation::Draft { tokens: 2 };
            },
            "`beams` does not go with `speculation`",
        );
        check(
            |r| {
                r.beams = beams(2);
                r.form = Some(Form::JsonObject);
            },
            "`beams` does not go with `form`",
        );
    }
}
