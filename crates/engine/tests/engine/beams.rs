//! Beam search against an enumeration of everything, and against a plain transcription of its definition.

use gptneo_engine::{BeamSettings, EarlyStopping, Request, Sampling};

use crate::toy::{Dice, EOS, Law, Toy, engine, hashed, markov, run};

const ALL: [EarlyStopping; 3] = [EarlyStopping::Yes, EarlyStopping::Heuristic, EarlyStopping::Never];

fn log_probabilities(law: &Law, tokens: &[u32]) -> Vec<f64> {
    let row: Vec<f64> = law(tokens).into_iter().map(f64::from).collect();
    let sum = row.iter().map(|l| l.exp()).sum::<f64>().ln();
    row.iter().map(|l| f64::from((l - sum) as f32)).collect()
}

/// The engine's hypotheses: tokens without the end, and scores.
fn search(law: &Law, vocab: usize, prompt: &[u32], settings: BeamSettings, longest: usize) -> Vec<(Vec<u32>, f64)> {
    let request = Request {
        beams: Some(settings),
        n: settings.width,
        max_tokens: Some(longest),
        ..Request::new(prompt.to_vec())
    };
    let done = run(&mut engine(Toy::new(vocab, law.clone())), request);
    done.into_iter().map(|generation| (generation.ids(), generation.beam_score.unwrap())).collect()
}

/// Scores of all sequences of up to `longest` tokens, best first.
fn enumerate(law: &Law, prompt: &[u32], longest: usize, penalty: f64) -> Vec<(Vec<u32>, f64)> {
    let mut done = Vec::new();
    let mut open = vec![(prompt.to_vec(), 0.0)];
    while let Some((tokens, score)) = open.pop() {
        for (id, gain) in (0..).zip(log_probabilities(law, &tokens)) {
            let length = tokens.len() - prompt.len() + 1;
            let total = score + gain;
            let mut next = tokens.clone();
            if id != EOS {
                next.push(id);
            }
            if id == EOS || length == longest {
                done.push((next[prompt.len()..].to_vec(), total / (length as f64).powf(penalty)));
            } else {
                open.push((next, total));
            }
        }
    }
    done.sort_by(|a, b| b.1.total_cmp(&a.1));
    done
}

/// The definition again, in the shape of its source: fixed arrays, impossible scores in place of absent beams.
fn transcript(law: &Law, vocab: usize, prompt: &[u32], s: BeamSettings, longest: usize) -> Vec<(Vec<u32>, f64)> {
    const NEVER: f64 = -1e9;
    let width = s.width;
    let penalty = f64::from(s.length_penalty);
    let mut running = vec![(prompt.to_vec(), NEVER); width];
    running[0].1 = 0.0;
    let mut finished: Vec<(Vec<u32>, f64, bool)> = vec![(Vec::new(), NEVER, false); width];
    let mut generated = 0;
    loop {
        let mut all = Vec::new();
        for (beam, (tokens, score)) in running.iter().enumerate() {
            all.extend(
                log_probabilities(law, tokens).into_iter().enumerate().map(|(id, gain)| (score + gain, beam, id)),
            );
        }
        assert_eq!(all.len(), width * vocab);
        all.sort_by(|a, b| b.0.total_cmp(&a.0).then((a.1, a.2).cmp(&(b.1, b.2))));
        all.truncate(2 * width);
        let top: Vec<(Vec<u32>, f64, bool)> = all
            .into_iter()
            .map(|(score, beam, id)| {
                let mut tokens = running[beam].0.clone();
                tokens.push(id as u32);
                let stops = id as u32 == EOS || generated + 1 == longest;
                (tokens, score, stops)
            })
            .collect();
        let mut next: Vec<(Vec<u32>, f64)> = top
            .iter()
            .map(|(tokens, score, stops)| (tokens.clone(), score + if *stops { NEVER } else { 0.0 }))
            .collect();
        next.sort_by(|a, b| b.1.total_cmp(&a.1));
        next.truncate(width);
        running = next;
        let full = finished.iter().all(|f| f.2) && s.early_stopping == EarlyStopping::Yes;
        for (rank, (tokens, score, stops)) in top.iter().enumerate() {
            let just = *stops && rank < width && !full;
            let score = score / ((generated + 1) as f64).powf(penalty) + if just { 0.0 } else { NEVER };
            finished.push((tokens.clone(), score, just));
        }
        finished.sort_by(|a, b| b.1.total_cmp(&a.1));
        finished.truncate(width);
        generated += 1;
        let hopeful = match s.early_stopping {
            EarlyStopping::Never if penalty > 0.0 => longest,
            _ => generated,
        };
        let best = running[0].1 / (hopeful as f64).powf(penalty);
        let worst = finished.iter().map(|f| f.1).fold(f64::INFINITY, f64::min);
        let improvable = finished.iter().any(|f| best > if f.2 { worst } else { NEVER });
        let open = !(finished.iter().all(|f| f.2) && s.early_stopping == EarlyStopping::Yes);
        if !(improvable && open && top.iter().any(|t| !t.2)) {
            break;
        }
    }
    let strip = |tokens: Vec<u32>| {
        let mut tokens = tokens[prompt.len()..].to_vec();
        tokens.retain(|&id| id != EOS);
        tokens
    };
    finished.into_iter().filter(|f| f.2).map(|(tokens, score, _)| (strip(tokens), score)).collect()
}

fn assert_same(found: &[(Vec<u32>, f64)], wanted: &[(Vec<u32>, f64)], what: &str) {
    assert_eq!(found.len(), wanted.len(), "{what}: {found:?} {wanted:?}");
    for (found, wanted) in found.iter().zip(wanted) {
        assert_eq!(found.0, wanted.0, "{what}");
        assert!((found.1 - wanted.1).abs() < 1e-9, "{what}: {} {}", found.1, wanted.1);
    }
}

#[test]
fn a_wide_search_finds_what_an_enumeration_finds() {
    for seed in 0..20 {
        let law = hashed(4, 1.0 + seed as f32 / 4.0);
        let prompt = [1, seed % 4];
        for length_penalty in [0.0, 1.0, 2.0] {
            let settings = BeamSettings { width: 128, length_penalty, early_stopping: EarlyStopping::Never };
            let wanted = enumerate(&law, &prompt, 4, f64::from(length_penalty));
            let found = search(&law, 4, &prompt, settings, 4);
            assert_same(&found[..20], &wanted[..20], &format!("seed {seed}, length penalty {length_penalty}"));
        }
    }
}

#[test]
fn a_narrow_search_is_that_of_the_definition() {
    let mut dice = Dice(11);
    for round in 0..600 {
        let vocab = dice.from(3, 12);
        let law = if dice.once_in(2) { hashed(vocab, 3.0) } else { markov(vocab, 3.0, 2) };
        let settings = BeamSettings {
            width: dice.from(1, 5),
            length_penalty: [-1.0, 0.0, 0.5, 1.0, 2.0][dice.below(5)],
            early_stopping: ALL[dice.below(3)],
        };
        let prompt: Vec<u32> = (0..dice.from(1, 6)).map(|_| 1 + dice.below(vocab - 1) as u32).collect();
        let longest = dice.from(1, 12);
        if settings.width * 2 > vocab {
            continue;
        }
        let found = search(&law, vocab, &prompt, settings, longest);
        let wanted = transcript(&law, vocab, &prompt, settings, longest);
        assert_same(&found, &wanted, &format!("round {round}: {settings:?}, {longest} tokens of {vocab}"));
    }
}

#[test]
fn one_beam_is_greedy() {
    for seed in 1..30 {
        let law = hashed(20, 3.0);
        let request = Request { max_tokens: Some(10), ..Request::new(vec![seed % 19 + 1, 3]) };
        let settings = BeamSettings { width: 1, ..BeamSettings::default() };
        let greedy = run(&mut engine(Toy::new(20, law.clone())), request.clone()).remove(0);
        let beam = run(&mut engine(Toy::new(20, law)), Request { beams: Some(settings), ..request }).remove(0);
        assert_eq!((beam.ids(), beam.cause), (greedy.ids(), greedy.cause));
    }
}

#[test]
fn penalties_apply_to_beams() {
    let law = markov(12, 3.0, 1);
    let sampling = Sampling { repeat_penalty: 5.0, repeat_last_n: None, ..Sampling::default() };
    let settings = BeamSettings { width: 3, ..BeamSettings::default() };
    let request = |sampling| Request {
        sampling,
        beams: Some(settings),
        max_tokens: Some(8),
        ignore_eos: true,
        ..Request::new(vec![1])
    };
    let ids = |sampling| run(&mut engine(Toy::new(12, law.clone())), request(sampling)).remove(0).ids();
    let distinct = |ids: Vec<u32>| ids.into_iter().collect::<std::collections::HashSet<_>>().len();
    assert!(distinct(ids(sampling)) > distinct(ids(Sampling::default())));
}

#[test]
fn beams_share_the_prompt_and_free_their_memory() {
    let toy = Toy::new(20, hashed(20, 3.0));
    let watch = toy.watch();
    let settings = BeamSettings { width: 4, ..BeamSettings::default() };
    let request = Request { beams: Some(settings), max_tokens: Some(6), ..Request::new(vec![1; 30]) };
    run(&mut engine(toy), request);
    let watch = watch.lock().unwrap();
    assert_eq!((watch.steps[0], watch.open, watch.pages_free), (30, 0, watch.pages));
    assert!(watch.widths[1..].iter().all(|&width| width <= 4));
}
