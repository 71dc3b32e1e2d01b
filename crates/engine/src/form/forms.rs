//! Compiles forms for one model, wherever there is a thread for it.

use std::fmt;
use std::sync::{Arc, OnceLock};

use gptneo_text::Tokenizer;
use llguidance::Matcher;

use super::{Form, Guide, Vocabulary};
use crate::error::RequestError;

/// Compiles forms for one model. Clones share the tree of its vocabulary, which is made when the first form is compiled.
///
/// Where a scheduler's thread must not wait for a form, another compiles it, and sends the result along
/// ([`Request::compiled`](crate::Request::compiled)).
#[derive(Clone, Debug)]
pub struct Forms(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    tokenizer: Option<Tokenizer>,
    vocab: usize,
    vocabulary: OnceLock<Result<Vocabulary, String>>,
}

/// A form that [`Forms`] compiled.
#[derive(Clone)]
pub struct CompiledForm {
    by: Forms,
    matcher: Matcher,
}

impl fmt::Debug for CompiledForm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CompiledForm").finish_non_exhaustive()
    }
}

impl Forms {
    pub(crate) fn new(tokenizer: Option<Tokenizer>, vocab: usize) -> Self {
        Self(Arc::new(Shared { tokenizer, vocab, vocabulary: OnceLock::new() }))
    }

    /// Compiles a form.
    ///
    /// # Errors
    /// What is wrong with it, or that the model has no tokenizer.
    pub fn compile(&self, form: &Form) -> Result<CompiledForm, RequestError> {
        let Shared { tokenizer, vocab, vocabulary } = &*self.0;
        let Some(tokenizer) = tokenizer else {
            return Err(RequestError::NoTokenizer { what: "a form for what is generated" });
        };
        let matcher = match vocabulary.get_or_init(|| Vocabulary::new(tokenizer, *vocab)) {
            Ok(vocabulary) => vocabulary.matcher(form),
            Err(why) => Err(why.clone()),
        };
        let matcher = matcher.map_err(|why| RequestError::Form { form: form.name(), why })?;
        Ok(CompiledForm { by: self.clone(), matcher })
    }

    /// The beginning of a form, from what was compiled for the same model if there is such; `ends` are the tokens that end a generation.
    pub(crate) fn guide(
        &self,
        form: &Form,
        compiled: Option<&CompiledForm>,
        ends: &[u32],
    ) -> Result<Guide, RequestError> {
        let compiled = match compiled {
            Some(compiled) if Arc::ptr_eq(&compiled.by.0, &self.0) => compiled.clone(),
            _ => self.compile(form)?,
        };
        Ok(Guide::new(compiled.matcher, ends))
    }
}
