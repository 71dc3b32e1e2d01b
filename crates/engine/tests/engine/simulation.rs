//! A deterministic simulation: random requests arrive, are called off, and run short of memory. No request is lost,
//! nothing comes out twice, the queue is bounded and first come is first served, memory is conserved, and every token
//! is the one that comes out when the request is alone.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use gptneo_engine::{
    BeamSettings, BlockedWords, Cause, EarlyStopping, EngineError, Event, Generation, Rail, Request, RequestError,
    Sampling, Scheduler, SchedulerOptions, Speculation, Ticket,
};

use crate::toy::{Dice, Law, Toy, VOCAB, hashed, markov, tokenizer, turning};

const PAGE: usize = 4;
const POSITIONS: usize = 48;
/// Names, and what they do.
const ADAPTERS: [(&str, usize); 2] = [("one", 1), ("five", 5)];

struct World {
    scheduler: Scheduler,
    options: SchedulerOptions,
    pages: usize,
    law: Law,
    rails: Vec<Arc<dyn Rail>>,
    asked: BTreeMap<Ticket, Asked>,
    seen: Seen,
}

/// How often what the simulation is for came to pass.
#[derive(Debug, Default)]
struct Seen {
    parked: usize,
    refused: usize,
    failed: usize,
    called_off: usize,
    cut_by_rails: usize,
    shared: usize,
}

struct Asked {
    request: Request,
    /// Text and ids of each sample, as streamed.
    streamed: Vec<(String, Vec<u32>)>,
    finished: Vec<Option<Generation>>,
    over: bool,
    called_off: bool,
    failed: bool,
}

impl World {
    fn new(dice: &mut Dice) -> Self {
        let law = if dice.once_in(2) { hashed(VOCAB, 4.0) } else { markov(VOCAB, 6.0, dice.from(1, 2)) };
        let pages = if dice.once_in(4) { 4096 } else { dice.from(6, 40) };
        let mut toy = Toy::new(VOCAB, law.clone()).positions(POSITIONS).pages(pages);
        if dice.once_in(3) {
            toy = toy.window(dice.from(1, 8));
        }
        let options = SchedulerOptions {
            max_sequences: dice.from(1, 8),
            max_queue: dice.from(1, 6),
            prefill_tokens: dice.from(1, 40),
            shared_prefill_tokens: dice.from(1, 16),
            step_time: dice.once_in(2).then(|| Duration::from_micros(dice.from(1, 200) as u64)),
            retained_prefixes: dice.from(0, 4),
        };
        let rails: Vec<Arc<dyn Rail>> = match dice.once_in(3) {
            true => vec![Arc::new(BlockedWords::new(["bad", "ab", "the!"]).unwrap())],
            false => Vec::new(),
        };
        let draft = Toy::new(VOCAB, markov(VOCAB, 6.0, 1)).positions(dice.from(10, POSITIONS)).pages(dice.from(4, 40));
        let scheduler = Scheduler::new(Box::new(toy), Some(tokenizer()), rails.clone(), options);
        let mut scheduler = scheduler.with_draft(Box::new(draft)).unwrap();
        ADAPTERS.iter().for_each(|&(name, places)| scheduler.add_adapter(name, &turning(places)).unwrap());
        Self { scheduler, options, pages, law, rails, asked: BTreeMap::new(), seen: Seen::default() }
    }

    fn submit(&mut self, dice: &mut Dice) {
        let request = request(dice);
        let waiting = self.scheduler.load().waiting;
        match self.scheduler.submit(request.clone()) {
            Ok(ticket) => {
                assert!(waiting < self.options.max_queue, "the queue is bounded");
                let samples = request.n;
                let asked = Asked {
                    request,
                    streamed: vec![Default::default(); samples],
                    finished: vec![None; samples],
                    over: false,
                    called_off: false,
                    failed: false,
                };
                assert!(self.asked.insert(ticket, asked).is_none(), "tickets are new");
            }
            Err(RequestError::QueueFull { waiting: told }) => {
                assert!(waiting >= self.options.max_queue && told == waiting, "refused for no reason");
                self.seen.refused += 1;
            }
            Err(error) => panic!("{error}"),
        }
    }

    fn call_off(&mut self, dice: &mut Dice) {
        let going: Vec<Ticket> = self.asked.iter().filter(|(_, a)| !a.over).map(|(t, _)| *t).collect();
        if going.is_empty() {
            return;
        }
        let ticket = going[dice.below(going.len())];
        self.scheduler.cancel(ticket);
        self.asked.get_mut(&ticket).unwrap().called_off = true;
        self.seen.called_off += 1;
    }

    fn step(&mut self) {
        for (ticket, event) in self.scheduler.step() {
            let asked = self.asked.get_mut(&ticket).expect("a ticket that was given out");
            assert!(!asked.over, "nothing comes after the end");
            match event {
                Event::Piece(piece) => {
                    assert!(asked.finished[piece.sample].is_none(), "nothing comes after the end of a sample");
                    let streamed = &mut asked.streamed[piece.sample];
                    streamed.0.push_str(&piece.text);
                    streamed.1.extend(piece.tokens.iter().map(|token| token.id));
                }
                Event::Finished(generation) => {
                    let sample = generation.sample;
                    self.seen.cut_by_rails += usize::from(matches!(generation.cause, Cause::Rail { .. }));
                    self.seen.shared += usize::from(generation.timings.prefill_tokens < generation.prompt_tokens);
                    assert_eq!((generation.text.clone(), generation.ids()), asked.streamed[sample]);
                    assert!(asked.finished[sample].replace(generation).is_none(), "a sample ends once");
                }
                Event::Done => {
                    asked.over = true;
                    assert!(asked.finished.iter().all(Option::is_some), "a sample was lost");
                }
                Event::Failed(EngineError::Request(RequestError::TooLargeForCache { .. })) => {
                    (asked.over, asked.failed) = (true, true);
                    self.seen.failed += 1;
                }
                other => panic!("{other:?} for {:?}", asked.request),
            }
        }
        self.seen.parked += usize::from(self.scheduler.load().parked > 0);
        let waiting: Vec<Ticket> = self.scheduler.waiting().collect();
        assert!(waiting.is_sorted() && waiting.len() <= self.options.max_queue);
        if let Some(first) = waiting.first() {
            let begun = |(ticket, asked): (&Ticket, &Asked)| ticket < first || asked.over || waiting.contains(ticket);
            assert!(self.asked.iter().all(begun), "first come, first served");
        }
    }

    /// Every request, alone and with all the memory it could want, without speculation.
    fn compare(&self) {
        for (ticket, asked) in &self.asked {
            assert!(asked.over, "{ticket:?} was lost");
            let toy = Toy::new(VOCAB, self.law.clone()).positions(POSITIONS);
            let options = SchedulerOptions::default();
            let mut alone =
                gptneo_engine::Engine::with_rails(Box::new(toy), Some(tokenizer()), self.rails.clone(), options);
            ADAPTERS.iter().for_each(|&(name, places)| alone.add_adapter(name, &turning(places)).unwrap());
            let request = Request { speculation: Speculation::None, ..asked.request.clone() };
            let alone = crate::toy::run(&mut alone, request);
            if asked.failed {
                self.excuse(asked);
            }
            for (wanted, found) in alone.iter().zip(&asked.finished) {
                let Some(found) = found else { continue };
                let (wanted, found) = (told(wanted), told(found));
                if found.cause == Cause::Cancelled {
                    assert!(asked.called_off);
                    // What may have become a stop string or a blocked word is let out when there is no more to come.
                    let blocked = matches!(wanted.cause, Cause::Rail { .. }) && found.text.starts_with(&wanted.text);
                    let begun = wanted.ids.starts_with(&found.ids) || !asked.request.stop_strings.is_empty() || blocked;
                    assert!(begun, "{wanted:?} {found:?}");
                } else {
                    assert_eq!(wanted, found, "{:?}", asked.request);
                }
            }
        }
    }

    /// A request may fail only if one of its sequences, alone, could outgrow the memory.
    fn excuse(&self, asked: &Asked) {
        let gptneo_engine::Prompt::Tokens(prompt) = &asked.request.prompt else { unreachable!() };
        let longest = (prompt.len() + asked.request.max_tokens.unwrap_or(POSITIONS)).min(POSITIONS);
        assert!(longest.div_ceil(PAGE) + 1 > self.pages, "{} pages are enough for {:?}", self.pages, asked.request);
    }
}

/// What of a generation may not depend on company.
#[derive(Debug, PartialEq)]
struct Told {
    text: String,
    ids: Vec<u32>,
    cause: Cause,
    logprobs: Vec<Option<f64>>,
    prompt: Vec<Option<f64>>,
    beam_score: Option<f64>,
}

fn told(generation: &Generation) -> Told {
    Told {
        text: generation.text.clone(),
        ids: generation.ids(),
        cause: generation.cause.clone(),
        logprobs: generation.tokens.iter().map(|token| token.logprob).collect(),
        prompt: generation.prompt.iter().map(|token| token.logprob).collect(),
        beam_score: generation.beam_score,
    }
}

fn request(dice: &mut Dice) -> Request {
    let mut prompt: Vec<u32> = (1..=dice.from(1, 20) as u32).map(|i| 1 + i * 7 % 39).collect();
    prompt.extend((0..dice.below(6)).map(|_| 1 + dice.below(VOCAB - 1) as u32));
    let mut request = Request {
        max_tokens: if dice.once_in(12) { None } else { Some(dice.below(16)) },
        ignore_eos: dice.once_in(2),
        echo: dice.once_in(5),
        adapter: dice.once_in(3).then(|| ADAPTERS[dice.below(2)].0.to_owned()),
        ..Request::new(prompt)
    };
    if dice.once_in(2) {
        let temperature = [0.5, 1.0, 1.5][dice.below(3)];
        let top_k = [0, 3, 20][dice.below(3)];
        let top_p = [1.0, 0.8][dice.below(2)];
        request.sampling = Sampling { temperature, top_k, top_p, seed: dice.below(100) as u64, ..Sampling::default() };
    }
    if dice.once_in(4) {
        request.sampling.repeat_penalty = 1.3;
        request.sampling.frequency_penalty = 0.4;
    }
    if dice.once_in(4) {
        request.stop_strings = vec!["ea".into(), "z.".into(), "b".into()];
    }
    if dice.once_in(5) {
        request.min_tokens = dice.below(4).min(request.max_tokens.unwrap_or(4));
        request.stop_ids = vec![5, 6];
    }
    if dice.once_in(4) {
        let width = dice.from(1, 4);
        request.sampling.temperature = 0.0;
        request.n = dice.from(1, width);
        let early_stopping = [EarlyStopping::Yes, EarlyStopping::Heuristic, EarlyStopping::Never][dice.below(3)];
        request.beams = Some(BeamSettings { width, length_penalty: dice.from(0, 3) as f32 - 1.0, early_stopping });
        return Request { max_tokens: Some(dice.from(1, 8)), min_tokens: 0, ..request };
    }
    if dice.once_in(4) {
        request.logprobs = Some(dice.below(3));
    }
    request.n = if dice.once_in(3) { dice.from(2, 4) } else { 1 };
    request.speculation = match dice.below(3) {
        0 => Speculation::None,
        1 => Speculation::PromptLookup { ngram: dice.from(1, 3), tokens: dice.from(1, 6) },
        _ => Speculation::Draft { tokens: dice.from(1, 5) },
    };
    request
}

fn simulate(seed: u64) -> Seen {
    let mut dice = Dice(seed);
    let mut world = World::new(&mut dice);
    for _ in 0..dice.from(5, 60) {
        match dice.below(10) {
            0..3 => world.submit(&mut dice),
            3 => {
                if dice.once_in(3) {
                    world.call_off(&mut dice);
                }
            }
            _ => world.step(),
        }
    }
    let mut steps = 0;
    while !world.scheduler.idle() {
        world.step();
        steps += 1;
        assert!(steps < 20_000, "the queue always moves: {:?}", world.scheduler.load());
    }
    world.compare();
    world.seen
}

/// As [`simulate`], and all the memory comes back.
fn simulate_and_count(seed: u64) -> Seen {
    let seen = simulate(seed);
    let mut dice = Dice(seed);
    let toy = Toy::new(VOCAB, hashed(VOCAB, 4.0)).positions(POSITIONS).pages(20);
    let draft = Toy::new(VOCAB, markov(VOCAB, 6.0, 1)).positions(POSITIONS).pages(20);
    let watches = [toy.watch(), draft.watch()];
    let options = SchedulerOptions { max_sequences: 6, ..SchedulerOptions::default() };
    let mut scheduler = Scheduler::new(Box::new(toy), Some(tokenizer()), Vec::new(), options);
    scheduler = scheduler.with_draft(Box::new(draft)).unwrap();
    ADAPTERS.iter().for_each(|&(name, places)| scheduler.add_adapter(name, &turning(places)).unwrap());
    let tickets: Vec<Ticket> = (0..6).filter_map(|_| scheduler.submit(request(&mut dice)).ok()).collect();
    for _ in 0..dice.below(30) {
        scheduler.step();
    }
    tickets.into_iter().filter(|_| dice.once_in(2)).for_each(|ticket| scheduler.cancel(ticket));
    while !scheduler.idle() {
        scheduler.step();
    }
    scheduler.forget_prefixes();
    ADAPTERS.iter().for_each(|(name, _)| scheduler.remove_adapter(name).unwrap());
    for watch in watches {
        let watch = watch.lock().unwrap();
        assert_eq!((watch.open, watch.pages_free), (0, watch.pages), "seed {seed}");
    }
    seen
}

#[test]
fn holds_for_thousands_of_seeds() {
    let mut all = Seen::default();
    for seed in 0..2500 {
        let outcome = std::panic::catch_unwind(|| simulate_and_count(seed));
        let seen = outcome.unwrap_or_else(|panic| {
            let words = panic.downcast_ref::<String>().cloned();
            panic!("seed {seed}: {}", words.unwrap_or_else(|| "see above".to_owned()));
        });
        all.parked += seen.parked;
        all.refused += seen.refused;
        all.failed += seen.failed;
        all.called_off += seen.called_off;
        all.cut_by_rails += seen.cut_by_rails;
        all.shared += seen.shared;
    }
    let Seen { parked, refused, failed, called_off, cut_by_rails, shared } = &all;
    let all_of_it = [parked, refused, failed, called_off, cut_by_rails, shared];
    for times in all_of_it {
        assert!(*times > 50, "what is simulated hardly ever happens: {all:?}");
    }
}

#[test]
fn the_same_tokens_alone_and_in_a_batch_of_64() {
    let law = hashed(VOCAB, 4.0);
    let toy = Toy::new(VOCAB, law.clone());
    let watch = toy.watch();
    let mut scheduler = Scheduler::new(Box::new(toy), Some(tokenizer()), Vec::new(), SchedulerOptions::default());
    let request = |i: usize| Request {
        sampling: Sampling { top_k: 12, ..crate::toy::sampled(i as u64) },
        max_tokens: Some(40),
        ignore_eos: true,
        ..Request::new((0..1 + i as u32).map(|t| 1 + (t + i as u32) % 39).collect::<Vec<u32>>())
    };
    let tickets: Vec<Ticket> = (0..64).map(|i| scheduler.submit(request(i)).unwrap()).collect();
    let mut found = BTreeMap::new();
    while !scheduler.idle() {
        for (ticket, event) in scheduler.step() {
            if let Event::Finished(generation) = event {
                found.insert(ticket, generation.ids());
            }
        }
    }
    assert_eq!(watch.lock().unwrap().widths.iter().max(), Some(&64));
    for (i, ticket) in tickets.into_iter().enumerate() {
        let mut alone = crate::toy::engine(Toy::new(VOCAB, law.clone()));
        assert_eq!(crate::toy::run(&mut alone, request(i))[0].ids(), found[&ticket], "request {i}");
    }
}

#[test]
fn a_running_stream_is_not_held_up_by_a_long_prompt() {
    let toy = Toy::new(VOCAB, hashed(VOCAB, 4.0));
    let watch = toy.watch();
    let options = SchedulerOptions { shared_prefill_tokens: 10, ..SchedulerOptions::default() };
    let mut scheduler = Scheduler::new(Box::new(toy), None, Vec::new(), options);
    let request = |len: u32| Request {
        max_tokens: Some(30),
        ignore_eos: true,
        ..Request::new((0..len).map(|t| 1 + (t + len) % 39).collect::<Vec<u32>>())
    };
    let running = scheduler.submit(request(3)).unwrap();
    scheduler.step();
    scheduler.submit(request(100)).unwrap();
    for _ in 0..10 {
        let events = scheduler.step();
        assert!(events.iter().any(|(ticket, _)| *ticket == running), "the stream goes on in every step");
    }
    assert_eq!(watch.lock().unwrap().steps, [3, 11, 11, 11, 11, 11, 11, 11, 11, 11, 11]);
}

#[test]
fn a_short_prompt_does_not_wait_for_the_end_of_a_long_one() {
    let toy = Toy::new(VOCAB, hashed(VOCAB, 4.0));
    let watch = toy.watch();
    let options = SchedulerOptions { prefill_tokens: 20, shared_prefill_tokens: 20, ..SchedulerOptions::default() };
    let mut scheduler = Scheduler::new(Box::new(toy), None, Vec::new(), options);
    let request = |len: u32| Request {
        max_tokens: Some(1),
        ignore_eos: true,
        ..Request::new((0..len).map(|t| 1 + (t * len) % 39).collect::<Vec<u32>>())
    };
    let done = |events: Vec<(Ticket, Event)>| {
        events.into_iter().filter(|(_, event)| matches!(event, Event::Done)).map(|(ticket, _)| ticket)
    };
    let long = scheduler.submit(request(200)).unwrap();
    scheduler.step();
    let mut ended = Vec::new();
    for round in 0..5 {
        // There is always another short one.
        let short = scheduler.submit(request(11 + round)).unwrap();
        for _ in 0..2 {
            ended.extend(done(scheduler.step()));
        }
        assert!(ended.contains(&short) && !ended.contains(&long), "round {round}");
    }
    while !scheduler.idle() {
        ended.extend(done(scheduler.step()));
    }
    assert_eq!((ended.len(), ended.last()), (6, Some(&long)));
    assert!(watch.lock().unwrap().steps.iter().all(|&tokens| tokens <= 21));
}

#[test]
fn a_prompt_joins_one_that_is_still_running() {
    let toy = Toy::new(VOCAB, hashed(VOCAB, 4.0));
    let watch = toy.watch();
    let mut scheduler = Scheduler::new(Box::new(toy), Some(tokenizer()), Vec::new(), SchedulerOptions::default());
    let request = |tail: u32| {
        let mut prompt: Vec<u32> = (0..50).map(|t| 1 + t % 39).collect();
        prompt.push(tail);
        Request { max_tokens: Some(5), ignore_eos: true, ..Request::new(prompt) }
    };
    scheduler.submit(request(1)).unwrap();
    scheduler.step();
    scheduler.submit(request(2)).unwrap();
    scheduler.step();
    assert_eq!(watch.lock().unwrap().steps, [51, 2], "fifty tokens are shared");
}
