//! Prompt text to streamed text: the only generation loop.
//!
//! An [`Engine`] holds a model ([`gptneo_model::LanguageModel`]), its tokenizer and the [`Rail`]s that every request
//! passes. A [`Request`] says what is continued, how tokens are chosen ([`Sampling`], or [`BeamSettings`]) and when to
//! stop; [`Engine::generate`] streams [`Piece`]s of certain text and returns [`Generation`]s. Underneath is the
//! [`Scheduler`], which serves many requests at once: `generate` submits one and steps until it is done.
//!
//! A [`Form`] (a JSON schema, a grammar, a regular expression) decides what may be said at all.
//!
//! Of a classifier ([`gptneo_model::Classifier`]) no text is asked: [`Engine::scorer`] tells what it says of a sequence.
//!
//! What comes out depends on the model, the prompt and the request alone: not on what else is being served, on how
//! prompts are cut into steps, on speculation, or on shortages of memory.
//!
//! ```no_run
//! use std::ops::ControlFlow;
//! use gptneo_engine::{Engine, Request, Sampling};
//! # fn example(mut engine: Engine) -> Result<(), gptneo_engine::EngineError> {
//! let sampling = Sampling { temperature: 0.8, top_p: 0.95, seed: 42, ..Sampling::default() };
//! let request = Request { max_tokens: Some(64), sampling, ..Request::new("Once upon a time") };
//! let mut text = String::new();
//! let done = engine.generate(request, &mut |piece| {
//!     text.push_str(&piece.text);
//!     ControlFlow::Continue(())
//! })?;
//! assert_eq!(done[0].text, text);
//! # Ok(())
//! # }
//! ```
#![forbid(unsafe_code)]

mod beam;
mod blocked_words;
mod classify;
mod emitter;
mod engine;
mod error;
mod form;
mod generation;
mod likelihoods;
pub mod logits;
mod prefix;
mod race;
mod rail;
pub mod request;
mod sample;
pub mod sampler;
mod scheduler;
mod score;
mod scorer;
mod source;
mod speculation;
mod task;
mod track;

pub use blocked_words::{BlockedWords, EmptyWord};
pub use classify::Classification;
pub use engine::Engine;
pub use error::{EngineError, RequestError, SamplingError};
pub use form::{CompiledForm, Form, Forms};
pub use generation::{Cause, FinishReason, Generation, Piece, Timings, Token};
pub use gptneo_model::Spec;
pub use likelihoods::{Likelihood, Pair};
pub use race::Draw;
pub use rail::{History, Passage, PromptVerdict, PromptView, Rail, TextVerdict};
pub use request::{BeamSettings, EarlyStopping, Prompt, Request, Sampling, Speculation};
pub use scheduler::{Event, Load, Scheduler, SchedulerOptions, Ticket};
pub use score::{Position, Score, ScoreError, Window, windows};
pub use scorer::Scorer;
pub use source::{ModelName, Opened, Opening, SourceError, gguf_tokenizer, open};
