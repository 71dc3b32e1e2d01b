//! Labels of sequences, and a classifier that is taken for nothing else.

use std::sync::Arc;

use gptneo_engine::{Engine, EngineError, Request, RequestError, ScoreError};
use gptneo_model::Classifier;

use crate::golden::model;
use crate::toy::{Law, Toy, VOCAB, engine, hashed, tokenizer};

/// Says of a sequence how often it has each of the ids 5, 6 and 7.
fn counting(labels: usize) -> Law {
    let count = |tokens: &[u32], id: u32| tokens.iter().filter(|&&token| token == id).count() as f32;
    Arc::new(move |tokens| (5..5 + labels as u32).map(|id| count(tokens, id)).collect())
}

fn classifier(labels: usize) -> Engine {
    let told = Classifier::unnamed(labels).unwrap().with_pad(Some(1));
    engine(Toy::new(VOCAB, counting(labels)).positions(16).classifier(told))
}

#[test]
fn tells_the_likeliest_label_and_probabilities_that_sum_to_one() {
    let mut engine = classifier(3);
    let found = engine.scorer(None).unwrap().classify_tokens(&[6, 5, 6, 4]).unwrap();
    assert_eq!((found.logits.as_slice(), found.label()), (&[1.0, 2.0, 0.0][..], Some(1)));
    let probabilities = found.probabilities.unwrap();
    let sum = 1f64.exp() + 2f64.exp() + 1.0;
    for (found, wanted) in probabilities.iter().zip([1f64.exp(), 2f64.exp(), 1.0]) {
        assert!((found - wanted / sum).abs() < 1e-9, "{probabilities:?}");
    }
    // Of equal ones the first, of padding nothing, and nothing is left open.
    let padded = engine.scorer(None).unwrap().classify_tokens(&[7, 1, 1]).unwrap();
    assert_eq!((padded.logits.as_slice(), padded.tokens.len()), (&[0.0, 0.0, 1.0][..], 3));
    let even = engine.scorer(None).unwrap().classify_tokens(&[4]).unwrap();
    assert_eq!(even.label(), Some(0));
}

#[test]
fn a_value_has_no_label_and_no_probability() {
    let found = classifier(1).scorer(None).unwrap().classify_tokens(&[5, 5]).unwrap();
    assert_eq!((found.logits.as_slice(), found.label(), found.probabilities), (&[2.0][..], None, None));
}

#[test]
fn text_is_classified_as_its_tokens_alone() {
    let mut engine = classifier(3);
    let text = engine.scorer(None).unwrap().classify_text("the day").unwrap();
    assert_eq!(text.tokens, tokenizer().encode("the day").unwrap());
    let tokens = engine.scorer(None).unwrap().classify_tokens(&text.tokens).unwrap();
    assert_eq!(text, tokens);
}

#[test]
fn refuses_what_it_cannot_classify() {
    let refused = |engine: &mut Engine, ids: &[u32]| match engine.scorer(None).unwrap().classify_tokens(ids) {
        Err(EngineError::Score(error)) => error,
        other => panic!("{other:?}"),
    };
    let mut labels = classifier(3);
    assert!(matches!(refused(&mut labels, &[]), ScoreError::TooShort { .. }));
    assert!(matches!(refused(&mut labels, &[4; 17]), ScoreError::TooLongToClassify { tokens: 17, positions: 16 }));
    assert!(labels.scorer(None).unwrap().classify_tokens(&[4; 16]).is_ok());
    assert!(labels.scorer(None).unwrap().classify_tokens(&[VOCAB as u32]).is_err());
    let mut language = engine(Toy::new(VOCAB, hashed(VOCAB, 4.0)));
    assert!(matches!(refused(&mut language, &[4]), ScoreError::NoClassifier));
}

#[test]
fn no_door_takes_a_classifier_for_a_language_model() {
    // Of the real decoder too, whose rows are shorter than its vocabulary.
    for mut engine in [classifier(3), Engine::new(model("../classifiers/gpt_neo", 1, 64), None)] {
        let refused = engine.generate(Request::new(vec![4]), &mut |_| std::ops::ControlFlow::Continue(()));
        assert!(matches!(refused, Err(EngineError::Request(RequestError::Classifier))));
        let mut scorer = engine.scorer(None).unwrap();
        let scored = scorer.tokens(&[4, 5], Some(2)).map(drop);
        let likely = scorer.likelihood(&[4], &[5]).map(drop);
        for refused in [scored, likely] {
            assert!(matches!(refused, Err(EngineError::Score(ScoreError::Classifier))));
        }
        assert!(scorer.classify_tokens(&[4, 5]).is_ok());
    }
    assert!(classifier(3).score_text("the day", None).is_err());
    let language = engine(Toy::new(VOCAB, hashed(VOCAB, 4.0)));
    let draft = Toy::new(VOCAB, counting(3)).classifier(Classifier::unnamed(3).unwrap());
    assert!(matches!(language.with_draft(Box::new(draft)), Err(EngineError::Draft(_))));
}
