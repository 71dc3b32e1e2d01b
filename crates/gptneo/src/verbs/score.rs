//! `gptneo score`: how likely a text is, token by token; or what a classifier says of it.

mod labels;

use gptneo_engine::{Engine, Score, ScoreError};
use serde::Serialize;

use crate::args::ScoreArgs;
use crate::failure::Failure;
use crate::generator::{Flags, engine};
use crate::input;
use crate::load::cpu;
use crate::lora;
use crate::open::open;
use crate::terminal;
use crate::verbs::World;

/// Rows of the table that is printed for people; `--json` has all of them.
const SHOWN: usize = 200;

/// What `--json` prints.
#[derive(Serialize)]
struct Report<'a> {
    model: &'a str,
    tokens: &'a [u32],
    logprobs: &'a [f64],
    nll_per_token: Option<f64>,
    perplexity: Option<f64>,
    bits_per_byte: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    positions: Option<Vec<Position<'a>>>,
}

/// The distribution after one input token.
#[derive(Serialize)]
struct Position<'a> {
    logsumexp: f64,
    top: &'a [(u32, f32)],
}

enum Input {
    Text(String),
    Tokens(Vec<u32>),
}

pub(crate) fn run(args: &ScoreArgs, world: &World) -> Result<(), Failure> {
    let opened = open(args.model.model.as_deref(), &args.hub, world.environment, &world.interrupt)?;
    let input = input(args)?;
    let tokenizer = opened.tokenizer()?;
    if opened.config().classifier.is_some() || args.model.lora.lora.is_some() {
        let cpu = cpu(&args.machine, world.environment)?;
        let adapter = lora::adapter(&args.model.lora, &cpu, opened.config())?;
        if labels::has_labels(opened.config(), adapter.as_ref()) {
            let subject = labels::Subject { opened: &opened, cpu, adapter: adapter.as_ref() };
            return labels::run(args, subject, &input, tokenizer, world);
        }
    }
    let count = match (&input, &tokenizer) {
        (Input::Tokens(ids), _) => ids.len(),
        (Input::Text(_), None) => return Err(ScoreError::NoTokenizer.into()),
        (Input::Text(text), Some(tokenizer)) => tokenizer.encode(text)?.len() + 1,
    };
    if count == 1 && matches!(input, Input::Text(_)) {
        return Err(Failure::usage("the text is empty: there is nothing to score"));
    }
    let flags = Flags { model: &args.model, machine: &args.machine, hub: &args.hub, draft: None };
    let mut engine = engine(&opened, tokenizer, flags, world, |context| count.min(context) + gptneo_device::PAGE)?;
    let mut scorer = engine.scorer(lora::name(&args.model.lora))?;
    let score = match &input {
        Input::Text(text) => scorer.text(text, args.top)?,
        Input::Tokens(ids) => scorer.tokens(ids, args.top)?,
    };
    if args.json { terminal::json(&report(&opened.name, &score, args.top)) } else { table(&engine, &score) }
}

fn input(args: &ScoreArgs) -> Result<Input, Failure> {
    if let Some(ids) = &args.tokens {
        if ids.0.is_empty() {
            return Err(Failure::usage("--tokens names no token ids").hint("give some, such as --tokens 1,2,3"));
        }
        return Ok(Input::Tokens(ids.0.clone()));
    }
    if let Some(text) = &args.text {
        return Ok(Input::Text(text.clone()));
    }
    if let Some(path) = &args.file {
        return input::file(path).map(Input::Text);
    }
    match input::standard()? {
        Some(text) => Ok(Input::Text(text)),
        None => Err(Failure::usage("there is nothing to score")
            .hint("--text \"...\", --file FILE, --tokens 1,2,3, or text on standard input")),
    }
}

/// The means exist where something was scored: one token id alone has a distribution after it, and no probability.
fn report<'a>(model: &'a str, score: &'a Score, top: Option<usize>) -> Report<'a> {
    let any = !score.logprobs.is_empty();
    let positions = || score.positions.iter().map(|p| Position { logsumexp: p.logsumexp, top: &p.top }).collect();
    Report {
        model,
        tokens: &score.tokens,
        logprobs: &score.logprobs,
        nll_per_token: any.then(|| score.nll_per_token()),
        perplexity: any.then(|| score.perplexity()),
        bits_per_byte: score.bits_per_byte().filter(|_| any),
        positions: top.map(|_| positions()),
    }
}

fn table(engine: &Engine, score: &Score) -> Result<(), Failure> {
    let piece = |id: u32| match engine.tokenizer().and_then(|t| t.token_bytes(id)) {
        Some(bytes) => format!("{:?}", String::from_utf8_lossy(bytes)),
        None => String::new(),
    };
    let unscored = score.tokens.len() - score.logprobs.len();
    let mut rows =
        vec![vec!["token".to_owned(), "id".to_owned(), "logprob".to_owned(), "likeliest after it".to_owned()]];
    for (index, &id) in score.tokens.iter().enumerate().take(SHOWN) {
        let logprob =
            index.checked_sub(unscored).map_or_else(|| "-".to_owned(), |i| format!("{:.4}", score.logprobs[i]));
        let after = score.positions.get(index).map_or_else(String::new, |position| {
            let best = position.top.iter().take(3);
            best.map(|&(id, logit)| format!("{} {id} ({logit:.3})", piece(id))).collect::<Vec<_>>().join(", ")
        });
        rows.push(vec![piece(id), id.to_string(), logprob, after.trim().to_owned()]);
    }
    let columns = if score.positions.is_empty() { 3 } else { 4 };
    rows.iter_mut().for_each(|row| row.truncate(columns));
    terminal::line(&terminal::columns(&rows, &[false, true, true, false][..columns]))?;
    if score.tokens.len() > SHOWN {
        terminal::line(&format!("... {} more; --json has them all", score.tokens.len() - SHOWN))?;
    }
    if score.logprobs.is_empty() {
        return Ok(());
    }
    let bits = score.bits_per_byte().map_or_else(String::new, |bits| format!(", {bits:.4} bits per byte"));
    terminal::line(&format!(
        "{} tokens scored: {:.6} nats per token, perplexity {:.4}{bits}",
        score.logprobs.len(),
        score.nll_per_token(),
        score.perplexity(),
    ))
}
