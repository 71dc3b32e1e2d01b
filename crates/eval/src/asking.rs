//! Requests put to the engine, and its answers kept. A request that stands twice is asked once.

mod encoding;

use std::collections::HashMap;
use std::ops::ControlFlow;

use gptneo_engine::{Cause, Engine, Pair, Prompt, Sampling, windows};

pub(crate) use encoding::{Encoded, encoded, is_cut};

use crate::answer::{Answer, Request, number};
use crate::cache::Cache;
use crate::error::EvalError;

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

/// Nobody watches.
impl Watch for () {
    fn answered(&mut self, _: usize, _: usize) {}
}

/// Who is asked.
pub struct Subject<'a> {
    /// A model with its tokenizer.
    pub engine: &'a mut Engine,
    /// An adapter of it.
    pub adapter: Option<String>,
}

/// A request with its tokens.
pub(crate) struct Question<'a> {
    pub(crate) request: &'a Request,
    pub(crate) encoded: Encoded,
}

/// Tokens of a likelihood, and which question they are of.
struct Asked<'a> {
    question: usize,
    pair: Pair<'a>,
}

/// The sum of a request that is asked in parts.
struct Sum {
    logprob: f64,
    /// Parts that are not answered yet.
    out: usize,
    /// How many tokens, of a sentence.
    tokens: Option<usize>,
}

/// Answers to questions, in their order. What the cache has is not asked again.
pub(crate) fn ask(
    subject: &mut Subject<'_>,
    questions: &[Question<'_>],
    seed: u64,
    cache: &mut Cache,
    watch: &mut dyn Watch,
) -> Result<Vec<Answer>, EvalError> {
    let keys: Vec<String> = questions.iter().map(|question| question.request.key()).collect();
    let mut first: HashMap<&str, usize> = HashMap::new();
    let wanted: Vec<usize> = (0..questions.len())
        .filter(|&at| cache.find(&keys[at]).is_none() && first.insert(&keys[at], at).is_none())
        .collect();
    let total = questions.len();
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
    let going = if subject.engine.spec().classifier.is_some() {
        classifications(subject, questions, &wanted, cache, &mut answered)?
    } else {
        likelihoods(subject, questions, &wanted, cache, &mut answered)?
    };
    if going.is_continue() {
        let seeds = |at: usize| seed ^ number(&keys[at]);
        generations(subject, questions, &wanted, &seeds, cache, &mut answered)?;
    }
    failed?;
    let found = |key: &String| cache.find(key).cloned().expect("every request was asked or stood in the cache");
    Ok(keys.iter().map(found).collect())
}

type Answered<'a> = dyn FnMut(usize, Answer, &mut Cache) -> ControlFlow<()> + 'a;

fn likelihoods(
    subject: &mut Subject<'_>,
    questions: &[Question<'_>],
    wanted: &[usize],
    cache: &mut Cache,
    answered: &mut Answered<'_>,
) -> Result<ControlFlow<()>, EvalError> {
    let positions = subject.engine.spec().positions;
    let mut asked = Vec::new();
    let mut sums: HashMap<usize, Sum> = HashMap::new();
    for &at in wanted {
        match &questions[at].encoded {
            Encoded::Likelihood { context, continuation } => {
                asked.push(Asked { question: at, pair: Pair { context, continuation } });
            }
            Encoded::Rolling(tokens) => {
                let windows = windows(tokens.len() - 1, positions);
                if windows.is_empty() {
                    // An empty text is certain.
                    if answered(at, Answer::Rolling(0.0), cache).is_break() {
                        return Ok(ControlFlow::Break(()));
                    }
                }
                sums.insert(at, Sum { logprob: 0.0, out: windows.len(), tokens: None });
                asked.extend(windows.into_iter().map(|window| Asked {
                    question: at,
                    pair: Pair { context: &tokens[window.context()], continuation: &tokens[window.continuation()] },
                }));
            }
            Encoded::Sentence(parts) => {
                let tokens = parts.iter().map(|(_, continuation)| continuation.len()).sum();
                sums.insert(at, Sum { logprob: 0.0, out: parts.len(), tokens: Some(tokens) });
                let asked_of = |(context, continuation)| Asked { question: at, pair: Pair { context, continuation } };
                asked.extend(parts.iter().map(|(a, b)| (a.as_slice(), b.as_slice())).map(asked_of));
            }
            Encoded::Generate(_) | Encoded::Classify(_) => {}
        }
    }
    let mut going = ControlFlow::Continue(());
    let pairs: Vec<Pair<'_>> = asked.iter().map(|asked| asked.pair).collect();
    subject.engine.scorer(subject.adapter.as_deref())?.likelihoods(&pairs, &mut |place, found| {
        let at = asked[place].question;
        let answer = match sums.get_mut(&at) {
            None => Answer::Likelihood { logprob: found.logprob, greedy: found.greedy },
            Some(sum) => {
                sum.logprob += found.logprob;
                sum.out -= 1;
                match (sum.out, sum.tokens) {
                    (0, None) => Answer::Rolling(sum.logprob),
                    (0, Some(tokens)) => Answer::Sentence { logprob: sum.logprob, tokens },
                    _ => return ControlFlow::Continue(()),
                }
            }
        };
        going = answered(at, answer, cache);
        going
    })?;
    Ok(going)
}

/// What a head says of texts, one after the other; what its context cannot hold is cut off at the end.
fn classifications(
    subject: &mut Subject<'_>,
    questions: &[Question<'_>],
    wanted: &[usize],
    cache: &mut Cache,
    answered: &mut Answered<'_>,
) -> Result<ControlFlow<()>, EvalError> {
    let positions = subject.engine.spec().positions;
    let mut scorer = subject.engine.scorer(subject.adapter.as_deref())?;
    for &at in wanted {
        let Encoded::Classify(tokens) = &questions[at].encoded else { continue };
        let found = scorer.classify_tokens(&tokens[..tokens.len().min(positions)])?;
        if answered(at, Answer::Logits(found.logits), cache).is_break() {
            return Ok(ControlFlow::Break(()));
        }
    }
    Ok(ControlFlow::Continue(()))
}

fn generations(
    subject: &mut Subject<'_>,
    questions: &[Question<'_>],
    wanted: &[usize],
    seeds: &dyn Fn(usize) -> u64,
    cache: &mut Cache,
    answered: &mut Answered<'_>,
) -> Result<(), EvalError> {
    let positions = subject.engine.spec().positions;
    let mut places = Vec::new();
    let mut all = Vec::new();
    for &at in wanted {
        let Question { request: Request::Generate { generating, .. }, encoded: Encoded::Generate(prompt) } =
            &questions[at]
        else {
            continue;
        };
        let room = positions.saturating_sub(generating.max_tokens);
        if room == 0 {
            return Err(EvalError::NoRoom { wanted: generating.max_tokens, positions });
        }
        let mut prompt = prompt.clone();
        if prompt.is_empty() {
            prompt.push(subject.engine.beginning().ok_or(EvalError::NoBeginning)?);
        }
        prompt.drain(..prompt.len().saturating_sub(room));
        let sampling = Sampling {
            temperature: generating.temperature as f32,
            top_p: generating.top_p as f32,
            top_k: generating.top_k,
            // Each prompt and each sample of it draws its own numbers, whatever else is asked.
            seed: seeds(at),
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
    if all.is_empty() {
        return Ok(());
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
