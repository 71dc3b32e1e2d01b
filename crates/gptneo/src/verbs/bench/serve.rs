//! `gptneo bench serve`: a load, and what became of it.

use std::sync::atomic::Ordering;
use std::time::Duration;

use gptneo_serve::load::{Arrival, Figures, Level, Load, Prompt, Spread, ids, send, words};

use crate::args::BenchServeArgs;
use crate::failure::{Failure, Kind};
use crate::files;
use crate::input;
use crate::progress::{Progress, Unit};
use crate::terminal;
use crate::verbs::World;

/// Clients of a closed loop where nothing is said.
const CLIENTS: usize = 16;

pub(super) fn run(args: &BenchServeArgs, world: &World) -> Result<(), Failure> {
    let count = args.requests.min(10_000);
    let prompts = match (&args.prompts, args.ids) {
        (None, None) => words(count, args.prompt, args.seed),
        (None, Some(vocab)) => ids(count, args.prompt, vocab, args.seed),
        (Some(path), _) => {
            let text = input::file(path)?;
            let lines = text.lines().filter(|line| !line.trim().is_empty());
            let lines: Vec<Prompt> = lines.map(|line| Prompt::Text(line.to_owned())).collect();
            if lines.is_empty() {
                return Err(Failure::bad_file(format!("{} has no prompts", path.display())).hint("write one a line"));
            }
            lines
        }
    };
    let arrival = match (args.concurrency, args.rate, args.burst) {
        (_, Some(rate), _) => Arrival::Poisson { rate },
        (_, _, Some(size)) => Arrival::Burst { size, every: Duration::from_secs_f64(args.every) },
        (clients, None, None) => Arrival::Closed { clients: clients.unwrap_or(CLIENTS) },
    };
    let load = Load {
        address: args.url.clone(),
        model: args.model.clone(),
        key: args.api_key.clone(),
        prompts,
        requests: args.requests,
        max_tokens: args.generate,
        ignore_eos: args.ignore_eos,
        arrival,
        seed: args.seed,
        patience: Duration::from_secs_f64(args.timeout),
    };
    // What does not fit fails, and is counted so.
    files::room(args.requests);
    let stop = world.interrupt.flag();
    let _heeded = world.interrupt.heed();
    let mut bar = Progress::new("asking", args.requests as u64, Unit::Requests);
    let observed = send(&load, &stop, &mut |done| bar.at(done as u64));
    drop(bar);
    let observed = observed.map_err(|error| Failure::because(Kind::Io, &error))?;
    let (first_token_ms, per_token_ms) = args.goodput;
    let figures = Figures::of(&observed, Level { first_token_ms, per_token_ms });
    if figures.completed == 0 && !stop.load(Ordering::SeqCst) {
        let why = figures.failures.first().map_or("the server refused them all", String::as_str);
        return Err(Failure::new(Kind::Io, format!("no request was answered: {why}")));
    }
    if args.json {
        terminal::json(&figures)?;
    } else {
        tell(&figures)?;
    }
    world.interrupt.check()
}

fn tell(figures: &Figures) -> Result<(), Failure> {
    let Figures { completed, refused, failed, seconds, .. } = figures;
    terminal::line(&format!("{completed} answered, {refused} refused, {failed} failed, in {seconds:.1} s"))?;
    for failure in &figures.failures {
        terminal::warn(&terminal::harmless(failure));
    }
    let Figures { requests_per_s, tokens_per_s, prompt_tokens_per_s, .. } = figures;
    terminal::line(&format!(
        "{requests_per_s:.2} requests, {tokens_per_s:.1} generated tokens and {prompt_tokens_per_s:.1} prompt tokens a second"
    ))?;
    let Level { first_token_ms, per_token_ms } = figures.level;
    terminal::line(&format!(
        "goodput {:.2} requests a second: {:.1} % had their first token within {first_token_ms} ms and {per_token_ms} ms a token after it",
        figures.goodput_per_s,
        100.0 * figures.good_share
    ))?;
    let mut rows = vec![["ms", "mean", "p50", "p90", "p99", "max"].map(str::to_owned).to_vec()];
    for (name, spread) in [
        ("to the first token", figures.time_to_first_token),
        ("a token after it", figures.time_per_output_token),
        ("between two parts", figures.inter_token_latency),
        ("to the end", figures.end_to_end),
        ("to a refusal", figures.refusal),
    ] {
        let Some(Spread { mean, p50, p90, p99, max, .. }) = spread else { continue };
        let numbers = [mean, p50, p90, p99, max].map(|value| format!("{value:.1}"));
        rows.push(std::iter::once(name.to_owned()).chain(numbers).collect());
    }
    terminal::line(terminal::columns(&rows, &[false, true, true, true, true, true]).trim_end())
}
