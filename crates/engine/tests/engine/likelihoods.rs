//! Many likelihoods at once against the plain definition, each alone.

use std::ops::ControlFlow;

use gptneo_engine::{Engine, EngineError, Likelihood, Pair, ScoreError};
use gptneo_model::ModelError;
use proptest::prelude::*;

use crate::toy::{Law, Toy, VOCAB, engine, hashed};

type Tokens = Vec<u32>;

/// The definition: the last tokens that fit, and the probability of each of the continuation's given all before it.
fn plain(law: &Law, positions: usize, context: &[u32], continuation: &[u32]) -> Likelihood {
    let mut all = [context, continuation].concat();
    all.drain(..all.len().saturating_sub(positions + 1));
    let mut found = Likelihood { logprob: 0.0, greedy: true };
    for at in all.len().saturating_sub(continuation.len()).max(1)..all.len() {
        let row = law(&all[..at]);
        let sum = row.iter().map(|&l| f64::from(l).exp()).sum::<f64>().ln();
        let best = (0..).zip(&row).max_by(|a, b| a.1.total_cmp(b.1).then(b.0.cmp(&a.0))).unwrap().0;
        found.logprob += f64::from(row[all[at] as usize]) - sum;
        found.greedy &= best == all[at];
    }
    found
}

fn ask(engine: &mut Engine, asked: &[(Tokens, Tokens)]) -> Result<Vec<Likelihood>, EngineError> {
    let pairs: Vec<Pair<'_>> = asked.iter().map(|(context, continuation)| Pair { context, continuation }).collect();
    let mut found = vec![None; pairs.len()];
    engine.scorer(None)?.likelihoods(&pairs, &mut |index, likelihood| {
        assert!(found[index].replace(likelihood).is_none(), "{index} is answered twice");
        ControlFlow::Continue(())
    })?;
    Ok(found.into_iter().map(Option::unwrap).collect())
}

fn check(toy: Toy, law: &Law, positions: usize, asked: &[(Tokens, Tokens)]) {
    let watch = toy.watch();
    let found = ask(&mut engine(toy.positions(positions)), asked).unwrap();
    for ((context, continuation), found) in asked.iter().zip(found) {
        let wanted = plain(law, positions, context, continuation);
        assert!((found.logprob - wanted.logprob).abs() < 1e-9, "{found:?} {wanted:?}");
        assert_eq!(found.greedy, wanted.greedy);
    }
    let watch = watch.lock().unwrap();
    assert_eq!((watch.open, watch.pages_free), (0, watch.pages), "everything is closed");
}

/// Few ids, so that many begin alike.
fn asked() -> impl Strategy<Value = Vec<(Tokens, Tokens)>> {
    let tokens = |longest| prop::collection::vec(1u32..3, 1..longest);
    prop::collection::vec((tokens(12), tokens(6)), 1..40)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn together_as_alone(asked in asked(), positions in 1usize..20, pages in 16usize..64, window in any::<bool>()) {
        let law = hashed(VOCAB, 4.0);
        let toy = Toy::new(VOCAB, law.clone()).pages(pages);
        check(if window { toy.window(3) } else { toy }, &law, positions, &asked);
    }
}

#[test]
fn long_ones_and_more_than_a_batch() {
    let law = hashed(VOCAB, 4.0);
    let tokens = |from: u32, len: u32| (from..from + len).map(|t| 1 + t * 13 % 39).collect::<Tokens>();
    // Continuations longer than the rows of logits of one pass; 4,000 tokens that nothing else begins with.
    let mut asked: Vec<_> = (0..20).map(|at| (tokens(at, 60), tokens(at + 7, 140))).collect();
    asked.extend((0..900).map(|at| (tokens(3, 50), tokens(at, 1 + at % 3))));
    check(Toy::new(VOCAB, law.clone()), &law, 256, &asked);
}

#[test]
fn choices_share_their_context() {
    let law = hashed(VOCAB, 4.0);
    let toy = Toy::new(VOCAB, law.clone());
    let watch = toy.watch();
    let context: Tokens = (0..100).map(|t| 1 + t * 7 % 39).collect();
    let asked: Vec<_> = (1..5).map(|choice| (context.clone(), vec![choice, choice + 1])).collect();
    ask(&mut engine(toy), &asked).unwrap();
    let watch = watch.lock().unwrap();
    assert_eq!(watch.steps, [100, 4], "the context once, then the first token of each choice");
}

#[test]
fn a_caller_can_stop() {
    let law = hashed(VOCAB, 4.0);
    let toy = Toy::new(VOCAB, law);
    let watch = toy.watch();
    let mut engine = engine(toy);
    let pair = Pair { context: &[1, 2], continuation: &[3] };
    let mut answers = 0;
    let mut stop = |_, _| {
        answers += 1;
        ControlFlow::Break(())
    };
    engine.scorer(None).unwrap().likelihoods(&[pair; 9], &mut stop).unwrap();
    assert_eq!(answers, 1);
    assert_eq!(watch.lock().unwrap().open, 0);
}

#[test]
fn what_fails_leaves_nothing_open() {
    let law = hashed(VOCAB, 4.0);
    let toy = Toy::new(VOCAB, law).pages(3);
    let watch = toy.watch();
    let mut engine = engine(toy);
    let (short, long): (Tokens, Tokens) = (vec![1; 4], vec![2; 40]);
    let failed = ask(&mut engine, &[(short.clone(), vec![1]), (long, vec![1])]);
    match failed {
        Err(EngineError::Model(error)) => assert!(matches!(*error, ModelError::CacheFull { .. }), "{error}"),
        other => panic!("{other:?}"),
    }
    assert_eq!(watch.lock().unwrap().open, 0);
    for (wrong, wanted) in [
        ((short.clone(), vec![]), ScoreError::TooShort { least: 1, found: 0 }),
        ((vec![], short.clone()), ScoreError::TooShort { least: 1, found: 0 }),
        ((short.clone(), vec![99]), ScoreError::UnknownToken { id: 99, vocab: VOCAB }),
    ] {
        match ask(&mut engine, &[(short.clone(), vec![1]), wrong]) {
            Err(EngineError::Score(found)) => assert_eq!(found, wanted),
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(ask(&mut engine, &[]).unwrap(), []);
}
