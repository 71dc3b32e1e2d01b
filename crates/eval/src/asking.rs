//! Requests put to the engine, and its answers kept.
//!
//! Texts become tokens as the reference harness makes them: white space at the end of a context belongs to the continuation, whose
//! tokens are what the whole has beyond those of the context alone; an empty context is the model's beginning token. A request
//! that stands twice is asked once.

use std::collections::HashMap;
use std::ops::ControlFlow;

use gptneo_engine::{Cause, Engine, Pair, Prompt, Sampling, windows};

use crate::answer::{Answer, Request};
use crate::cache::Cache;
use crate::error::EvalError;
use crate::python::is_space;

/// Is told how far it is.
pub trait Watch {
    /// So many of the requests are answered.
    fn answered(&mut self, done: usize, total: usize);

    /// So many bytes of token shards are looked through.
    fn scanned(&mut self, _bytes: u64, _total: u64) {}

    /// Whether to stop; what is answered stays in the cache.
    fn stopped(&self) -> bool {
        false
    }
}

/// Who is asked.
pub struct Subject<'a> {
    /// A language model with its tokenizer.
    pub engine: &'a mut Engine,
    /// An adapter of it.
    pub adapter: Option<String>,
}

/// Tokens of a likelihood, and which request they are of.
struct Asked {
    request: usize,
    context: Vec<u32>,
    continuation: Vec<u32>,
}

/// Answers to `requests`, in their order. What the cache has is not asked again.
pub(crate) fn ask(
    subject: &mut Subject<'_>,
    requests: &[&Request],
    seed: u64,
    cache: &mut Cache,
    watch: &mut dyn Watch,
) -> Result<Vec<Answer>, EvalError> {
    let keys: Vec<String> = requests.iter().map(|request| request.key()).collect();
    let mut first: HashMap<&str, usize> = HashMap::new();
    let wanted: Vec<usize> = (0..requests.len())
        .filter(|&at| cache.find(&keys[at]).is_none() && first.insert(&keys[at], at).is_none())
        .collect();
    let total = requests.len();
    let mut open: HashMap<&str, usize> = HashMap::new();
    for key in &keys {
        *open.entry(key).or_default() += 1;
    }
    let mut done = keys.iter().filter(|key| cache.find(key).is_some()).count();
    watch.answered(done, total);
    let mut failed = Ok(());
    let mut answered = |at: usize, answer: Answer, cache: &mut Cache| {
        done += open[keys[at].as_str()];
        watch.answered(done, total);
        failed = cache.keep(&keys[at], answer);
        if failed.is_ok() && watch.stopped() {
            failed = Err(EvalError::Interrupted);
        }
        if failed.is_ok() { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    };
    if likelihoods(subject, requests, &wanted, cache, &mut answered)?.is_continue() {
        generations(subject, requests, &wanted, seed, cache, &mut answered)?;
    }
    failed?;
    let found = |key: &String| cache.find(key).cloned().expect("every request was asked or stood in the cache");
    Ok(keys.iter().map(found).collect())
}

/// Whether the model's context cannot hold a request, so that its beginning is left out, as the harness does. A text that is scored as a
/// whole goes through windows, and loses nothing.
pub(crate) fn loses_its_beginning(subject: &Subject<'_>, request: &Request) -> Result<bool, EvalError> {
    let positions = subject.engine.spec().positions;
    Ok(match request {
        Request::Rolling { .. } => false,
        Request::Likelihood { context, continuation } => {
            let (context, continuation) = pair(subject.engine, context, continuation, subject.engine.beginning())?;
            context.len() + continuation.len() > positions + 1
        }
        Request::Generate { context, generating, .. } => {
            encode(subject.engine, context)?.len() > positions.saturating_sub(generating.max_tokens)
        }
    })
}

type Answered<'a> = dyn FnMut(usize, Answer, &mut Cache) -> ControlFlow<()> + 'a;

fn likelihoods(
    subject: &mut Subject<'_>,
    requests: &[&Request],
    wanted: &[usize],
    cache: &mut Cache,
    answered: &mut Answered<'_>,
) -> Result<ControlFlow<()>, EvalError> {
    let positions = subject.engine.spec().positions;
    let beginning = subject.engine.beginning();
    let mut asked = Vec::new();
    // Sums of requests that are asked in several windows, and how many are out.
    let mut sums: HashMap<usize, (f64, usize)> = HashMap::new();
    for &at in wanted {
        match requests[at] {
            Request::Likelihood { context, continuation } => {
                let (context, continuation) = pair(subject.engine, context, continuation, beginning)?;
                asked.push(Asked { request: at, context, continuation });
            }
            Request::Rolling { text } => {
                let beginning = beginning.ok_or(EvalError::NoBeginning)?;
                let mut tokens = vec![beginning];
                tokens.extend(encode(subject.engine, text)?);
                let windows = windows(tokens.len() - 1, positions);
                if windows.is_empty() {
                    // An empty text is certain.
                    if answered(at, Answer::Rolling(0.0), cache).is_break() {
                        return Ok(ControlFlow::Break(()));
                    }
                }
                sums.insert(at, (0.0, windows.len()));
                asked.extend(windows.into_iter().map(|window| Asked {
                    request: at,
                    context: tokens[window.context()].to_vec(),
                    continuation: tokens[window.continuation()].to_vec(),
                }));
            }
            Request::Generate { .. } => {}
        }
    }
    let mut going = ControlFlow::Continue(());
    let pairs: Vec<Pair<'_>> =
        asked.iter().map(|asked| Pair { context: &asked.context, continuation: &asked.continuation }).collect();
    subject.engine.scorer(subject.adapter.as_deref())?.likelihoods(&pairs, &mut |place, found| {
        let at = asked[place].request;
        let answer = match sums.get_mut(&at) {
            None => Answer::Likelihood { logprob: found.logprob, greedy: found.greedy },
            Some((sum, out)) => {
                *sum += found.logprob;
                *out -= 1;
                if *out > 0 {
                    return ControlFlow::Continue(());
                }
                Answer::Rolling(*sum)
            }
        };
        going = answered(at, answer, cache);
        going
    })?;
    Ok(going)
}

/// The tokens of a context and of what follows it.
fn pair(
    engine: &Engine,
    context: &str,
    continuation: &str,
    beginning: Option<u32>,
) -> Result<(Vec<u32>, Vec<u32>), EvalError> {
    let kept = context.trim_end_matches(is_space);
    if kept.is_empty() {
        let beginning = beginning.ok_or(EvalError::NoBeginning)?;
        let mut tokens = encode(engine, &format!("{context}{continuation}"))?;
        // A text that brings its own beginning is not given another.
        if tokens.first() == Some(&beginning) && tokens.len() > 1 {
            let rest = tokens.split_off(1);
            return Ok((tokens, rest));
        }
        return nothing(tokens, continuation).map(|tokens| (vec![beginning], tokens));
    }
    let mut whole = encode(engine, &format!("{context}{continuation}"))?;
    let before = encode(engine, kept)?;
    let tokens = whole.split_off(before.len().min(whole.len()));
    nothing(tokens, continuation).map(|tokens| (before, tokens))
}

fn nothing(tokens: Vec<u32>, continuation: &str) -> Result<Vec<u32>, EvalError> {
    if tokens.is_empty() { Err(EvalError::NoTokens { text: continuation.to_owned() }) } else { Ok(tokens) }
}

fn encode(engine: &Engine, text: &str) -> Result<Vec<u32>, EvalError> {
    let tokenizer = engine.tokenizer().ok_or(EvalError::NoTokenizer)?;
    tokenizer.encode(text).map_err(|error| EvalError::Encoding(error.to_string()))
}

fn generations(
    subject: &mut Subject<'_>,
    requests: &[&Request],
    wanted: &[usize],
    seed: u64,
    cache: &mut Cache,
    answered: &mut Answered<'_>,
) -> Result<(), EvalError> {
    let positions = subject.engine.spec().positions;
    let mut places = Vec::new();
    let mut all = Vec::new();
    for &at in wanted {
        let Request::Generate { context, generating, .. } = requests[at] else { continue };
        let room = positions.saturating_sub(generating.max_tokens);
        if room == 0 {
            return Err(EvalError::NoRoom { wanted: generating.max_tokens, positions });
        }
        let mut prompt = encode(subject.engine, context)?;
        if prompt.is_empty() {
            prompt.push(subject.engine.beginning().ok_or(EvalError::NoBeginning)?);
        }
        prompt.drain(..prompt.len().saturating_sub(room));
        let sampling = Sampling {
            temperature: generating.temperature as f32,
            top_p: generating.top_p as f32,
            top_k: generating.top_k,
            // Each prompt and each sample of it draws its own numbers, whatever else is asked.
            seed: seed ^ requests[at].number(),
            ..Sampling::default()
        };
        places.push(at);
        all.push(gptneo_engine::Request {
            max_tokens: Some(generating.max_tokens),
            sampling,
            stop_strings: generating.until.iter().filter(|stop| !stop.is_empty()).cloned().collect(),
            adapter: subject.adapter.clone(),
            ..gptneo_engine::Request::new(Prompt::Tokens(prompt))
        });
    }
    let mut failed = None;
    subject.engine.generate_many(all, &mut |place, outcome| match outcome {
        Ok(mut found) if found.first().is_some_and(|one| !matches!(one.cause, Cause::Cancelled)) => {
            answered(places[place], Answer::Text(found.remove(0).text), cache)
        }
        Ok(_) => ControlFlow::Break(()),
        Err(error) => {
            failed = Some(error);
            ControlFlow::Break(())
        }
    })?;
    failed.map_or(Ok(()), |error| Err(error.into()))
}
