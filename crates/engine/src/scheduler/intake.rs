//! From a request to definite terms: checked, encoded, inspected by rails.

use std::sync::Arc;
use std::time::Instant;

use gptneo_text::{Special, Tokenizer};

use super::Scheduler;
use crate::emitter::Outlet;
use crate::error::RequestError;
use crate::rail::{PromptVerdict, PromptView, Rail};
use crate::request::{Prompt, Request, Speculation};
use crate::task::{Clock, Terms};

impl Scheduler {
    /// Checks a request and makes it definite.
    pub(super) fn terms(&self, request: Request) -> Result<Terms, RequestError> {
        let spec = self.model.spec();
        if spec.classifier.is_some() {
            return Err(RequestError::Classifier);
        }
        request.check(spec.vocab)?;
        let adapter = request.adapter.as_deref().map(|name| self.adapter(name)).transpose()?;
        let prompt = self.encode(&request.prompt)?;
        let generates = request.max_tokens != Some(0);
        if prompt.len() + usize::from(generates) > spec.positions {
            return Err(RequestError::PromptTooLong { prompt: prompt.len(), positions: spec.positions });
        }
        if matches!(request.speculation, Speculation::Draft { .. }) && self.drafter.is_none() {
            return Err(RequestError::NoDraftModel);
        }
        let rails: Arc<[Arc<dyn Rail>]> = self.rails.iter().chain(&request.rails).cloned().collect();
        if self.tokenizer.is_none() {
            let no = |what| Err(RequestError::NoTokenizer { what });
            if !request.stop_strings.is_empty() {
                return no("a stop string");
            }
            if rails.iter().any(|rail| rail.needs_text()) {
                return no("a rail that inspects text");
            }
        }
        self.inspect(&request, &prompt, &rails)?;
        let eos = self.eos().filter(|_| !request.ignore_eos);
        let mut ends: Vec<u32> = eos.into_iter().chain(request.stop_ids.iter().copied()).collect();
        ends.sort_unstable();
        ends.dedup();
        let compiled = request.compiled.as_ref();
        let guide = request.form.as_ref().map(|form| self.forms.guide(form, compiled, &ends)).transpose()?;
        let stops = request.stop_strings.as_slice().into();
        let clock = Clock { submitted: Instant::now(), started: None, computed: 0 };
        Ok(Terms {
            outlet: Outlet { tokenizer: self.tokenizer.clone(), rails, stops, echo: request.echo },
            prompt,
            prompt_tokens: Vec::new(),
            adapter,
            eos,
            ends,
            guide,
            vocab: spec.vocab,
            positions: spec.positions,
            clock,
            request: Arc::new(request),
        })
    }

    /// The model's end-of-sequence token.
    pub fn eos(&self) -> Option<u32> {
        let vocab = self.model.spec().vocab;
        self.model.spec().eos.or(self.tokenizer.as_ref().and_then(Tokenizer::eos)).filter(|&id| (id as usize) < vocab)
    }

    /// The token that stands before everything: the model's BOS, else its EOS.
    pub fn beginning(&self) -> Option<u32> {
        let vocab = self.model.spec().vocab;
        let bos = self.model.spec().bos.or(self.tokenizer.as_ref().and_then(Tokenizer::bos));
        bos.filter(|&id| (id as usize) < vocab).or(self.eos())
    }

    fn encode(&self, prompt: &Prompt) -> Result<Vec<u32>, RequestError> {
        let tokens = match (prompt, &self.tokenizer) {
            (Prompt::Tokens(tokens), _) => tokens.clone(),
            (Prompt::Text(_), None) => return Err(RequestError::NoTokenizer { what: "a prompt of text" }),
            (Prompt::Text(text), Some(tokenizer)) => {
                tokenizer.encode(text).map_err(|error| RequestError::Encoding(error.to_string()))?
            }
        };
        let vocab = self.model.spec().vocab;
        if let Some(&id) = tokens.iter().find(|&&id| id as usize >= vocab) {
            return Err(RequestError::UnknownToken { field: "prompt", id, vocab });
        }
        if tokens.is_empty() {
            return self.beginning().map(|id| vec![id]).ok_or(RequestError::EmptyPrompt);
        }
        Ok(tokens)
    }

    fn inspect(&self, request: &Request, tokens: &[u32], rails: &[Arc<dyn Rail>]) -> Result<(), RequestError> {
        if rails.is_empty() {
            return Ok(());
        }
        let text = match (&request.prompt, &self.tokenizer) {
            (Prompt::Text(text), _) => Some(text.clone()),
            (Prompt::Tokens(tokens), Some(tokenizer)) => {
                let mut stream = tokenizer.stream(Special::Skip);
                let mut text: String =
                    tokens.iter().filter_map(|&id| stream.push(id).ok().map(str::to_owned)).collect();
                text.push_str(stream.finish());
                Some(text)
            }
            (Prompt::Tokens(_), None) => None,
        };
        for rail in rails {
            let view = PromptView { tokens, text: text.as_deref() };
            if let PromptVerdict::Refuse { reason } = rail.inspect_prompt(view) {
                return Err(RequestError::Refused { rail: rail.name().to_owned(), reason });
            }
        }
        Ok(())
    }
}
