//! Scores against the plain definition.

use gptneo_engine::{Engine, EngineError, ScoreError};

use crate::toy::{EOS, Law, Toy, VOCAB, engine, hashed, id, tokenizer};

fn log_probabilities(law: &Law, tokens: &[u32]) -> Vec<f64> {
    let row: Vec<f64> = law(tokens).into_iter().map(f64::from).collect();
    let sum = row.iter().map(|l| l.exp()).sum::<f64>().ln();
    row.iter().map(|l| l - sum).collect()
}

fn assert_close(found: &[f64], wanted: &[f64]) {
    assert_eq!(found.len(), wanted.len());
    for (at, (found, wanted)) in found.iter().zip(wanted).enumerate() {
        assert!((found - wanted).abs() < 1e-9, "{at}: {found} {wanted}");
    }
}

fn setting() -> (Law, Engine) {
    let law = hashed(VOCAB, 4.0);
    (law.clone(), engine(Toy::new(VOCAB, law)))
}

#[test]
fn each_token_given_those_before() {
    let (law, mut engine) = setting();
    // Longer than one chunk of rows.
    let tokens: Vec<u32> = (0..200).map(|t| 1 + t * 13 % 39).collect();
    let score = engine.score_tokens(&tokens, None).unwrap();
    let wanted: Vec<f64> =
        (1..tokens.len()).map(|at| log_probabilities(&law, &tokens[..at])[tokens[at] as usize]).collect();
    assert_close(&score.logprobs, &wanted);
    let mean = -wanted.iter().sum::<f64>() / 199.0;
    assert!((score.nll_per_token() - mean).abs() < 1e-9 && (score.perplexity() - mean.exp()).abs() < 1e-6);
    assert!(score.positions.is_empty());
}

#[test]
fn text_follows_the_beginning_of_sequence() {
    let (law, mut engine) = setting();
    let score = engine.score_text("the day é", None).unwrap();
    let mut tokens = vec![EOS];
    tokens.extend(tokenizer().encode("the day é").unwrap());
    assert_eq!(score.tokens, tokens[1..]);
    let wanted: Vec<f64> =
        (1..tokens.len()).map(|at| log_probabilities(&law, &tokens[..at])[tokens[at] as usize]).collect();
    assert_close(&score.logprobs, &wanted);
    let bits = -wanted.iter().sum::<f64>() / 2f64.ln() / 10.0;
    assert_eq!(score.bytes, Some(10), "bytes of UTF-8, not characters");
    assert!((score.bits_per_byte().unwrap() - bits).abs() < 1e-9);
}

#[test]
fn long_text_rolls_in_disjoint_windows() {
    let law = hashed(VOCAB, 4.0);
    for (len, positions) in [(5, 8), (8, 8), (9, 8), (16, 8), (21, 8), (300, 7), (2, 1)] {
        let mut engine = engine(Toy::new(VOCAB, law.clone()).positions(positions));
        let text: String = (0..len).map(|t| (b'e' + (t * 7 % 20) as u8) as char).collect();
        let tokens = tokenizer().encode(&text).unwrap();
        assert_eq!(tokens.len(), len);
        let mut all = vec![EOS];
        all.extend(&tokens);
        let mut wanted = Vec::new();
        while wanted.len() < len {
            let count = positions.min(len - wanted.len());
            let end = wanted.len() + count;
            let start = if wanted.is_empty() { 0 } else { end - positions };
            for at in wanted.len() + 1..=end {
                wanted.push(log_probabilities(&law, &all[start..at])[all[at] as usize]);
            }
        }
        assert_close(&engine.score_text(&text, None).unwrap().logprobs, &wanted);
        let with_top = engine.score_text(&text, Some(3)).unwrap();
        assert_close(&with_top.logprobs, &wanted);
        assert_eq!(with_top.positions.len(), len, "{len} tokens, {positions} positions");
        let last = &all[all.len().saturating_sub(positions)..];
        let (best, _) = with_top.positions[len - 1].top[0];
        let row = log_probabilities(&law, last);
        assert!(row.iter().all(|&l| l <= row[best as usize]));
    }
}

#[test]
fn positions_tell_what_may_follow_each_token() {
    let (law, mut engine) = setting();
    let tokens = [1, 2, 3];
    let score = engine.score_tokens(&tokens, Some(4)).unwrap();
    assert_eq!((score.logprobs.len(), score.positions.len()), (2, 3));
    for (at, position) in score.positions.iter().enumerate() {
        let row = law(&tokens[..=at]);
        let sum = row.iter().map(|&l| f64::from(l).exp()).sum::<f64>().ln();
        assert!((position.logsumexp - sum).abs() < 1e-9);
        assert_eq!(position.top.len(), 4);
        assert!(position.top.is_sorted_by(|a, b| a.1 >= b.1));
        assert!(position.top.iter().all(|&(id, logit)| row[id as usize] == logit));
        assert_eq!(position.top[0].1, row.iter().copied().fold(f32::MIN, f32::max));
    }
    assert_eq!(engine.score_tokens(&[7], Some(1)).unwrap().positions.len(), 1);
}

#[test]
fn a_continuation_is_cut_from_the_left_as_the_harness_does() {
    let law = hashed(VOCAB, 4.0);
    let mut engine = engine(Toy::new(VOCAB, law.clone()).positions(8));
    let context: Vec<u32> = (1..20).collect();
    let found = engine.likelihood(&context, &[5, 6, 7]).unwrap();
    let mut all = context;
    all.extend([5, 6, 7]);
    let kept = &all[all.len() - 9..];
    let wanted: f64 = (6..9).map(|at| log_probabilities(&law, &kept[..at])[kept[at] as usize]).sum();
    assert!((found.logprob - wanted).abs() < 1e-9);
    assert!(!found.greedy);
    let best = (0..).zip(law(&[1])).max_by(|a: &(u32, f32), b| a.1.total_cmp(&b.1)).unwrap().0;
    assert!(engine.likelihood(&[1], &[best]).unwrap().greedy);
}

#[test]
fn refuses_what_cannot_be_scored() {
    let (_, mut engine) = setting();
    let refused = |outcome: Result<_, EngineError>, wanted: ScoreError| match outcome {
        Err(EngineError::Score(error)) => assert_eq!(error, wanted),
        Err(other) => panic!("{other}"),
        Ok(()) => panic!("was scored"),
    };
    let mut tokens = |ids: &[u32], top| engine.score_tokens(ids, top).map(|_| ());
    refused(tokens(&[1], None), ScoreError::TooShort { least: 2, found: 1 });
    refused(tokens(&[], Some(3)), ScoreError::TooShort { least: 1, found: 0 });
    refused(tokens(&[1; 257], None), ScoreError::TooLong { tokens: 257, positions: 256 });
    refused(tokens(&[1, 40], None), ScoreError::UnknownToken { id: 40, vocab: 40 });
    refused(engine.score_text("", None).map(|_| ()), ScoreError::TooShort { least: 1, found: 0 });
    let mut bare = Engine::new(Box::new(Toy::new(VOCAB, hashed(VOCAB, 1.0))), None);
    refused(bare.score_text("a", None).map(|_| ()), ScoreError::NoTokenizer);
}

#[test]
fn frees_its_memory_and_makes_room() {
    let toy = Toy::new(VOCAB, hashed(VOCAB, 4.0)).pages(6);
    let watch = toy.watch();
    let mut engine = engine(toy);
    let request = gptneo_engine::Request { max_tokens: Some(4), ..gptneo_engine::Request::new(vec![id("a"); 14]) };
    crate::toy::run(&mut engine, request);
    assert_eq!(engine.score_tokens(&[1; 24], None).unwrap().logprobs.len(), 23);
    assert!(engine.score_tokens(&[1; 25 + 1], None).is_err(), "seven pages are one too many");
    let watch = watch.lock().unwrap();
    assert_eq!((watch.open, watch.pages_free), (0, 6));
}
