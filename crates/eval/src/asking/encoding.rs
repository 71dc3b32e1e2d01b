//! Requests as tokens.
//!
//! Texts become tokens as the reference harness makes them: white space at the end of a context belongs to the continuation, whose
//! tokens are what the whole has beyond those of the context alone; an empty context is the model's beginning token. What is
//! classified is encoded as `gptneo finetune` encodes it.

use gptneo_engine::Engine;
use gptneo_text::text_pair;

use crate::answer::Request;
use crate::error::EvalError;
use crate::python::is_space;

/// What tokens follow, and the tokens.
pub(crate) type Part = (Vec<u32>, Vec<u32>);

/// A request as the model reads it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Encoded {
    Likelihood {
        context: Vec<u32>,
        continuation: Vec<u32>,
    },
    /// With the token that it begins with.
    Rolling(Vec<u32>),
    /// A sentence in parts.
    Sentence(Vec<Part>),
    /// A prompt, whole.
    Generate(Vec<u32>),
    /// A text, whole.
    Classify(Vec<u32>),
}

/// The tokens of a request.
pub(crate) fn encoded(engine: &Engine, request: &Request) -> Result<Encoded, EvalError> {
    Ok(match request {
        Request::Likelihood { context, continuation } => {
            let (context, continuation) = likelihood(engine, context, continuation)?;
            Encoded::Likelihood { context, continuation }
        }
        Request::Rolling { text } => {
            let mut tokens = vec![engine.beginning().ok_or(EvalError::NoBeginning)?];
            tokens.extend(encode(engine, text)?);
            Encoded::Rolling(tokens)
        }
        Request::Sentence { context, sentence } => Encoded::Sentence(parts(engine, context, sentence)?),
        Request::Generate { context, .. } => Encoded::Generate(encode(engine, context)?),
        Request::Classify { text, pair } => {
            let text = pair.as_deref().map_or_else(|| text.clone(), |pair| text_pair(text, pair));
            let tokens = encode(engine, &text)?;
            Encoded::Classify(some(tokens, &text)?)
        }
    })
}

/// Whether the model's context cannot hold a request, so that a part of it is left out: its beginning, as the harness does, of a text to
/// be classified its end, as fine-tuning does. A text that is scored as a whole goes through windows, and loses nothing.
pub(crate) fn is_cut(request: &Request, encoded: &Encoded, positions: usize) -> bool {
    match (encoded, request) {
        (Encoded::Likelihood { context, continuation }, _) => context.len() + continuation.len() > positions + 1,
        (Encoded::Generate(prompt), Request::Generate { generating, .. }) => {
            prompt.len() > positions.saturating_sub(generating.max_tokens)
        }
        (Encoded::Classify(tokens), _) => tokens.len() > positions,
        // A sentence that is too long is refused.
        (Encoded::Rolling(_) | Encoded::Sentence(_) | Encoded::Generate(_), _) => false,
    }
}

/// The tokens of a context and of what follows it.
fn likelihood(engine: &Engine, context: &str, continuation: &str) -> Result<(Vec<u32>, Vec<u32>), EvalError> {
    let kept = context.trim_end_matches(is_space);
    let mut whole = encode(engine, &format!("{context}{continuation}"))?;
    if kept.is_empty() {
        let beginning = engine.beginning().ok_or(EvalError::NoBeginning)?;
        // A text that brings its own beginning is not given another.
        if whole.first() == Some(&beginning) && whole.len() > 1 {
            let rest = whole.split_off(1);
            return Ok((whole, rest));
        }
        return some(whole, continuation).map(|tokens| (vec![beginning], tokens));
    }
    let before = encode(engine, kept)?;
    let tokens = whole.split_off(before.len().min(whole.len()));
    some(tokens, continuation).map(|tokens| (before, tokens))
}

/// The tokens of a sentence in parts.
fn parts(engine: &Engine, context: &str, sentence: &str) -> Result<Vec<Part>, EvalError> {
    let parts = if context.trim_matches(is_space).is_empty() {
        let beginning = engine.beginning().ok_or(EvalError::NoBeginning)?;
        let mut first = some(encode(engine, &format!("{context}{sentence}"))?, sentence)?;
        let others = first.split_off(1);
        let mut parts = vec![(vec![beginning], first.clone())];
        if !others.is_empty() {
            parts.push((first, others));
        }
        parts
    } else {
        vec![likelihood(engine, context, sentence)?]
    };
    let longest = parts.iter().map(|(a, b)| a.len() + b.len()).max().unwrap_or(0);
    let most = engine.spec().positions + 1;
    if longest > most {
        return Err(EvalError::TooLong { text: sentence.chars().take(80).collect(), tokens: longest, most });
    }
    Ok(parts)
}

fn some(tokens: Vec<u32>, text: &str) -> Result<Vec<u32>, EvalError> {
    if tokens.is_empty() { Err(EvalError::NoTokens { text: text.to_owned() }) } else { Ok(tokens) }
}

fn encode(engine: &Engine, text: &str) -> Result<Vec<u32>, EvalError> {
    let tokenizer = engine.tokenizer().ok_or(EvalError::NoTokenizer)?;
    tokenizer.encode(text).map_err(|error| EvalError::Encoding(error.to_string()))
}
