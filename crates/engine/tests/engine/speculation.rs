//! Guessing ahead changes no token, and takes fewer steps.

use std::sync::Arc;

use gptneo_engine::{Request, Sampling, Speculation};

use crate::toy::{Dice, Law, Toy, VOCAB, engine, hashed, markov, run, sampled, tokenizer};

const LOOKUP: Speculation = Speculation::PromptLookup { ngram: 3, tokens: 8 };
const DRAFT: Speculation = Speculation::Draft { tokens: 5 };

/// Ids with and without speculation, and the steps each took.
fn both(law: &Law, draft: &Law, request: &Request, speculation: Speculation) -> [(Vec<u32>, usize); 2] {
    [Speculation::None, speculation].map(|speculation| {
        let toy = Toy::new(VOCAB, law.clone());
        let watch = toy.watch();
        let mut engine = engine(toy).with_draft(Box::new(Toy::new(VOCAB, draft.clone()))).unwrap();
        let done = run(&mut engine, Request { speculation, ..request.clone() });
        let ids = done.iter().flat_map(|generation| generation.ids()).collect();
        let steps = watch.lock().unwrap().steps.len();
        (ids, steps)
    })
}

/// As `law`, with other noise on top: a draft that nearly agrees.
fn near(law: &Law, noise: f32) -> Law {
    let (law, other) = (law.clone(), markov(VOCAB, noise, 3));
    Arc::new(move |tokens| law(tokens).iter().zip(other(tokens)).map(|(a, b)| a + b).collect())
}

#[test]
fn changes_no_token() {
    let mut dice = Dice(5);
    for round in 0..300 {
        let law = markov(VOCAB, 6.0, dice.from(1, 3));
        let draft = near(&law, dice.below(4) as f32);
        let sampling = match dice.below(3) {
            0 => Sampling::default(),
            1 => sampled(round),
            _ => Sampling { top_p: 0.7, repeat_penalty: 1.1, presence_penalty: 0.2, ..sampled(round) },
        };
        let request = Request {
            sampling,
            n: dice.from(1, 3),
            max_tokens: Some(dice.from(1, 40)),
            ignore_eos: dice.once_in(2),
            ..Request::new(vec![1, 2, 3, 1, 2])
        };
        for speculation in [LOOKUP, DRAFT] {
            let [(plain, _), (fast, _)] = both(&law, &draft, &request, speculation);
            assert_eq!(plain, fast, "{request:?}");
        }
    }
}

#[test]
fn prompt_lookup_takes_fewer_steps_where_text_repeats() {
    let law = markov(VOCAB, 6.0, 1);
    let request = Request { max_tokens: Some(100), ignore_eos: true, ..Request::new(vec![1]) };
    let [(_, plain), (_, fast)] = both(&law, &law, &request, LOOKUP);
    assert_eq!(plain, 100);
    assert!(fast < 60, "{fast} steps");
}

#[test]
fn a_draft_that_agrees_is_always_taken() {
    let law = hashed(VOCAB, 4.0);
    let request = Request { sampling: sampled(3), max_tokens: Some(61), ignore_eos: true, ..Request::new(vec![1, 2]) };
    let [(_, plain), (_, fast)] = both(&law, &law, &request, DRAFT);
    // One step for the prompt and its first token, then six tokens a step.
    assert_eq!((plain, fast), (61, 11));
}

#[test]
fn a_draft_that_nearly_agrees_is_mostly_taken() {
    let law = hashed(VOCAB, 4.0);
    let draft = near(&law, 0.3);
    let total: usize = (0..20)
        .map(|seed| {
            let sampling = sampled(seed);
            let request = Request { sampling, max_tokens: Some(100), ignore_eos: true, ..Request::new(vec![1, 2]) };
            both(&law, &draft, &request, DRAFT)[1].1
        })
        .sum();
    // With an acceptance of 0.85 five proposals give 4.2 tokens a step; two thousand tokens take about 480 steps.
    assert!(total < 600, "{total} steps");
}

#[test]
fn sampled_tokens_have_the_models_distribution() {
    const V: usize = 4;
    const ROUNDS: usize = 20_000;
    let law = hashed(V, 1.5);
    let wild: Law = Arc::new(|tokens| (0..V).map(|id| ((tokens.len() * 3 + id * 5) % 7) as f32 / 2.0).collect());
    let mut engine =
        engine(Toy::new(V, law.clone()).no_eos()).with_draft(Box::new(Toy::new(V, wild).no_eos())).unwrap();
    let mut counts = vec![0usize; V * V * V];
    for seed in 0..ROUNDS {
        let request = Request {
            sampling: sampled(seed as u64),
            max_tokens: Some(3),
            ignore_eos: true,
            speculation: DRAFT,
            ..Request::new(vec![1])
        };
        let ids = run(&mut engine, request)[0].ids();
        counts[ids.iter().fold(0, |cell, &id| cell * V + id as usize)] += 1;
    }
    let probability = |tokens: &[u32], id: usize| {
        let row: Vec<f64> = law(tokens).iter().map(|&l| f64::from(l).exp()).collect();
        row[id] / row.iter().sum::<f64>()
    };
    let mut chi_square = 0.0;
    for (cell, &count) in counts.iter().enumerate() {
        let ids = [cell / (V * V), cell / V % V, cell % V];
        let tokens = [1, ids[0] as u32, ids[1] as u32];
        let p: f64 = (0..3).map(|at| probability(&tokens[..=at], ids[at])).product();
        let expected = p * ROUNDS as f64;
        chi_square += (count as f64 - expected).powi(2) / expected;
    }
    // 63 degrees of freedom: 0.999 of all samples lie below 103.4, and a wrong acceptance rule lies in the thousands.
    assert!(chi_square < 103.4, "chi square {chi_square}");
}

#[test]
fn refuses_a_draft_of_another_vocabulary() {
    let engine = engine(Toy::new(VOCAB, hashed(VOCAB, 1.0)));
    let outcome = engine.with_draft(Box::new(Toy::new(7, hashed(7, 1.0))));
    let message = outcome.err().expect("is refused").to_string();
    assert!(message.contains("7 tokens") && message.contains("40"), "{message}");
    assert_eq!(tokenizer().vocab_size(), VOCAB);
}
