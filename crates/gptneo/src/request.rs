//! Arguments to the engine's [`Request`]: where the command line's own defaults live.
//!
//! `run` and `chat` sample by default (temperature 0.8, top-k 40, top-p 0.95, a new seed each time), because greedy
//! text of small models repeats itself. Beams take temperature 0 unless one is given.

use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hasher};
use std::path::Path;

use gptneo_engine::{EngineError, Form, Prompt, Request, Sampling, Speculation};

use crate::args::values::Length;
use crate::args::{FormArgs, GenerationArgs, PromptArgs};
use crate::failure::Failure;
use crate::{input, rails};

/// Tokens generated where nothing else is said.
pub(crate) const DEFAULT_LENGTH: usize = 256;

/// Tokens guessed ahead by a draft model, and by lookup: few enough that a wrong guess costs little.
const DRAFT_TOKENS: usize = 4;
const LOOKUP_TOKENS: usize = 8;
const LOOKUP_NGRAM: usize = 3;

/// What is to be continued: from the argument, a file, ids, or standard input.
pub(crate) fn prompt(args: &PromptArgs) -> Result<Prompt, Failure> {
    if let Some(ids) = &args.tokens {
        if ids.0.is_empty() {
            return Err(Failure::usage("--tokens names no token ids").hint("give some, such as --tokens 1,2,3"));
        }
        return Ok(Prompt::Tokens(ids.0.clone()));
    }
    if let Some(text) = given(args)? {
        return Ok(Prompt::Text(text));
    }
    match input::standard()? {
        Some(text) => Ok(Prompt::Text(without_last_break(text))),
        None => Err(Failure::usage("there is no prompt")
            .hint("gptneo run -m MODEL \"Once upon a time\"\nor -f FILE, or text on standard input")),
    }
}

/// The text that an argument or a file gives.
pub(crate) fn given(args: &PromptArgs) -> Result<Option<String>, Failure> {
    if let Some(text) = args.prompt.as_ref().or(args.prompt_flag.as_ref()) {
        return Ok(Some(text.clone()));
    }
    args.file.as_deref().map(|path| input::file(path).map(without_last_break)).transpose()
}

/// Editors and `echo` end a text with a line break that nobody means as a part of the prompt.
pub(crate) fn without_last_break(mut text: String) -> String {
    if text.ends_with('\n') {
        text.pop();
        if text.ends_with('\r') {
            text.pop();
        }
    }
    text
}

/// A request for continuations of `prompt`.
pub(crate) fn request(prompt: Prompt, args: &GenerationArgs, beams: bool) -> Result<Request, Failure> {
    let mut request = Request::new(prompt);
    request.max_tokens = match args.length.n_predict {
        None => Some(DEFAULT_LENGTH.max(args.length.min_tokens)),
        Some(Length::Tokens(n)) => Some(n),
        Some(Length::Unlimited) => None,
    };
    request.min_tokens = args.length.min_tokens;
    request.stop_strings = args.length.stop.clone();
    request.ignore_eos = args.length.ignore_eos;
    request.sampling = sampling(args, beams);
    request.form = form(&args.form)?;
    request.speculation = match (&args.speed.draft_model, args.speed.lookup) {
        (Some(_), _) => Speculation::Draft { tokens: DRAFT_TOKENS },
        (None, true) => Speculation::PromptLookup { ngram: LOOKUP_NGRAM, tokens: LOOKUP_TOKENS },
        (None, false) => Speculation::None,
    };
    if let Some(path) = &args.rails.blocked_words {
        request.rails.push(rails::blocked_words(path)?);
    }
    Ok(request)
}

/// The form that was asked for, checked before a model is loaded for it.
fn form(args: &FormArgs) -> Result<Option<Form>, Failure> {
    let schema_file = args.json_schema.as_ref().and_then(|text| text.strip_prefix('@')).map(Path::new);
    let form = if let Some(path) = schema_file.or(args.json_schema_file.as_deref()) {
        Form::JsonSchema(input::file(path)?)
    } else if let Some(path) = &args.grammar_file {
        Form::Grammar(input::file(path)?)
    } else if let Some(schema) = &args.json_schema {
        Form::JsonSchema(schema.clone())
    } else if let Some(grammar) = &args.grammar {
        Form::Grammar(grammar.clone())
    } else {
        return Ok(None);
    };
    form.check().map_err(EngineError::from)?;
    Ok(Some(form))
}

fn sampling(args: &GenerationArgs, beams: bool) -> Sampling {
    let given = &args.sampling;
    let neutral = Sampling::default();
    Sampling {
        temperature: given.temp.unwrap_or(if beams { 0.0 } else { 0.8 }),
        top_k: given.top_k.unwrap_or(40),
        top_p: given.top_p.unwrap_or(0.95),
        min_p: given.min_p.unwrap_or(neutral.min_p),
        typical: given.typical.unwrap_or(neutral.typical),
        repeat_penalty: given.repeat_penalty.unwrap_or(neutral.repeat_penalty),
        repeat_last_n: given.repeat_last_n.map_or(neutral.repeat_last_n, |n| n.0),
        presence_penalty: given.presence_penalty.unwrap_or(neutral.presence_penalty),
        frequency_penalty: given.frequency_penalty.unwrap_or(neutral.frequency_penalty),
        logit_bias: given.logit_bias.iter().map(|bias| (bias.id, bias.bias)).collect(),
        seed: given.seed.unwrap_or_else(new_seed),
    }
}

/// A seed that differs from run to run, small enough to be typed again and to survive JSON readers that know only f64.
fn new_seed() -> u64 {
    RandomState::new().build_hasher().finish() >> 32
}
