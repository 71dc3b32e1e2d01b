//! No door goes round the rails.

use std::ops::ControlFlow;
use std::sync::Arc;

use gptneo_engine::{
    BeamSettings, BlockedWords, Cause, Engine, EngineError, Event, FinishReason, History, Rail, Request, RequestError,
    Sampling, Scheduler, SchedulerOptions, Speculation,
};

use crate::toy::{Toy, VOCAB, engine, hashed, id, run, sampled, script, tokenizer};

fn blocked() -> Arc<dyn Rail> {
    Arc::new(BlockedWords::new(["bad", "day"]).unwrap())
}

/// An engine that wants to say these words, behind the rail.
fn guarded(prompt: usize, words: &[&str]) -> Engine {
    let toy = Toy::new(VOCAB, script(prompt, words));
    Engine::with_rails(Box::new(toy), Some(tokenizer()), vec![blocked()], SchedulerOptions::default())
}

/// Every way to ask for something.
fn doors() -> Vec<(&'static str, Request)> {
    let plain = || Request { max_tokens: Some(12), ..Request::new(vec![id("a")]) };
    let beams = BeamSettings { width: 3, ..BeamSettings::default() };
    vec![
        ("greedy", plain()),
        ("sampled", Request { sampling: Sampling { temperature: 0.1, ..sampled(1) }, ..plain() }),
        ("n samples", Request { n: 3, ..plain() }),
        ("beams", Request { beams: Some(beams), n: 2, ..plain() }),
        ("prompt lookup", Request { speculation: Speculation::PromptLookup { ngram: 2, tokens: 4 }, ..plain() }),
        ("draft", Request { speculation: Speculation::Draft { tokens: 4 }, ..plain() }),
        ("echo", Request { echo: true, ..plain() }),
        ("log-probabilities", Request { logprobs: Some(3), ..plain() }),
        ("minimum length", Request { min_tokens: 3, ..plain() }),
        ("stop string", Request { stop_strings: vec!["!".into(), "bad d".into()], ..plain() }),
    ]
}

fn assert_clean(door: &str, text: &str, ids: &[u32]) {
    let clean = |text: &str| !text.split(|c: char| !c.is_alphanumeric()).any(|word| word == "bad" || word == "day");
    assert!(clean(text), "{door} let out {text:?}");
    let told = tokenizer().decode(ids, gptneo_text::Special::Skip).unwrap();
    assert!(clean(&told), "{door} let out the ids of {told:?}");
}

#[test]
fn no_door_lets_a_blocked_word_out() {
    let spelled: [&[&str]; 4] = [
        &["Ġ", "the", "Ġ", "bad", "Ġ", "day", "!"],
        &["Ġ", "the", "Ġb", "a", "d", "Ġda", "y", "!"],
        &["Ġ", "the", "Ġ", "ba", "d", "!"],
        &["Ġ", "the", "Ġbad"],
    ];
    for words in spelled {
        for (door, request) in doors() {
            let draft = Toy::new(VOCAB, script(1, words));
            let mut engine = guarded(1, words).with_draft(Box::new(draft)).unwrap();
            let mut pieces = String::new();
            let done = engine.generate(request.clone(), &mut |piece| {
                let ids: Vec<u32> = piece.tokens.iter().map(|token| token.id).collect();
                assert_clean(door, &piece.text, &ids);
                pieces.push_str(&piece.text);
                ControlFlow::Continue(())
            });
            let done = done.unwrap();
            assert_eq!(done.len(), request.n);
            for generation in &done {
                assert_clean(door, &generation.text, &generation.ids());
                assert!(generation.text.starts_with(if request.echo { "a the" } else { " the" }), "{door}");
            }
            let reason = done[0].finish_reason();
            assert_eq!(reason, FinishReason::ContentFilter, "{door}");
            assert_eq!(done[0].text.trim_start_matches('a'), " the ", "{door}: {words:?}");
        }
    }
}

#[test]
fn the_scheduler_is_no_way_round() {
    let toy = Toy::new(VOCAB, script(1, &["Ġ", "ba", "d"]));
    let options = SchedulerOptions::default();
    let mut scheduler = Scheduler::new(Box::new(toy), Some(tokenizer()), vec![blocked()], options);
    for _ in 0..4 {
        scheduler.submit(Request::new(vec![id("a")])).unwrap();
    }
    let mut reasons = Vec::new();
    while !scheduler.idle() {
        for (_, event) in scheduler.step() {
            match event {
                Event::Piece(piece) => assert_clean("scheduler", &piece.text, &[]),
                Event::Finished(generation) => reasons.push(generation.finish_reason()),
                _ => {}
            }
        }
    }
    assert_eq!(reasons, [FinishReason::ContentFilter; 4]);
}

#[test]
fn calling_it_off_lets_nothing_out() {
    let mut engine = guarded(1, &["Ġ", "ba", "d", "ba", "d"]);
    let mut seen = 0;
    let done = engine.generate(Request::new(vec![id("a")]), &mut |piece| {
        seen += 1;
        assert_clean("cancelled", &piece.text, &[]);
        ControlFlow::Break(())
    });
    assert_eq!((done.unwrap()[0].text.as_str(), seen), (" ", 1));
}

#[test]
fn a_word_begun_in_the_prompt_is_not_finished() {
    let mut engine = guarded(2, &["d", "Ġ", "a"]);
    let done = run(&mut engine, Request::new(vec![id("Ġ"), id("ba")])).remove(0);
    assert_eq!((done.text.as_str(), done.finish_reason()), ("", FinishReason::ContentFilter));
}

#[test]
fn echo_does_not_repeat_a_blocked_prompt() {
    let request = Request { echo: true, ..Request::new(vec![id("the"), id("Ġbad"), id("Ġ")]) };
    let done = run(&mut guarded(3, &["a"]), request).remove(0);
    assert_eq!((done.text.as_str(), done.ids()), ("the ", vec![]));
    let Cause::Rail { rail, reason } = done.cause else { panic!("{:?}", done.cause) };
    assert_eq!((rail.as_str(), reason.as_str()), ("blocked words", "a blocked word"));
}

#[test]
fn prompts_are_refused_if_asked_to() {
    let rail = Arc::new(BlockedWords::new(["bad"]).unwrap().refusing_prompts());
    for prompt in [gptneo_engine::Prompt::from("so BAD"), vec![id("Ġ"), id("ba"), id("d")].into()] {
        // By the engine, and by the request.
        let toy = || Box::new(Toy::new(VOCAB, script(3, &["a"])));
        let options = SchedulerOptions::default();
        let mut strict = Engine::with_rails(toy(), Some(tokenizer()), vec![rail.clone()], options);
        let mut lax = engine(*toy());
        let asked = Request { rails: vec![rail.clone()], ..Request::new(prompt.clone()) };
        for (engine, request) in [(&mut strict, Request::new(prompt)), (&mut lax, asked)] {
            let outcome = engine.generate(request, &mut |_| ControlFlow::Continue(()));
            match outcome {
                Err(EngineError::Request(RequestError::Refused { rail, .. })) => assert_eq!(rail, "blocked words"),
                Err(EngineError::Request(RequestError::Encoding(_))) => {}
                other => panic!("{other:?}"),
            }
        }
    }
}

#[test]
fn a_rail_that_needs_text_refuses_a_model_without_a_tokenizer() {
    let toy = Toy::new(VOCAB, script(1, &["bad"]));
    let mut bare = Engine::with_rails(Box::new(toy), None, vec![blocked()], SchedulerOptions::default());
    let outcome = bare.generate(Request::new(vec![id("a")]), &mut |_| ControlFlow::Continue(()));
    assert!(matches!(outcome, Err(EngineError::Request(RequestError::NoTokenizer { .. }))));
}

#[test]
fn the_earlier_of_stop_string_and_blocked_word_ends_it() {
    let done = |words: &[&str]| {
        let request = Request { stop_strings: vec!["!".into()], ..Request::new(vec![id("a")]) };
        run(&mut guarded(1, words), request).remove(0)
    };
    let stopped = done(&["Ġ", "the", "!", "bad"]);
    assert_eq!((stopped.text.as_str(), stopped.finish_reason()), (" the", FinishReason::Stop));
    // The stop string settles that the word has ended.
    let cut = done(&["Ġ", "the", "Ġ", "bad", "!"]);
    assert_eq!((cut.text.as_str(), cut.finish_reason()), (" the ", FinishReason::ContentFilter));
}

/// Forbids one token, and checks that it sees the tokens before.
#[derive(Debug)]
struct Forbid(u32);

impl Rail for Forbid {
    fn name(&self) -> &str {
        "forbid"
    }

    fn needs_text(&self) -> bool {
        false
    }

    fn alter_logits(&self, history: History<'_>, logits: &mut [f32]) {
        assert!(history.prompt <= history.tokens.len() && !history.generated().contains(&self.0));
        logits[self.0 as usize] = f32::NEG_INFINITY;
    }
}

#[test]
fn every_door_lets_rails_alter_logits() {
    let law = hashed(VOCAB, 4.0);
    // Forbid what would come first, at every door.
    let plain = run(&mut engine(Toy::new(VOCAB, law.clone())), Request::new(vec![id("a")])).remove(0);
    let first = plain.ids()[0];
    for (door, request) in doors() {
        let draft = Toy::new(VOCAB, law.clone());
        let toy = Toy::new(VOCAB, law.clone());
        let rails: Vec<Arc<dyn Rail>> = vec![Arc::new(Forbid(first))];
        let engine = Engine::with_rails(Box::new(toy), Some(tokenizer()), rails, SchedulerOptions::default());
        let mut engine = engine.with_draft(Box::new(draft)).unwrap();
        // A bias does not override a rail.
        let sampling = Sampling { logit_bias: vec![(first, 50.0)], ..request.sampling.clone() };
        for generation in run(&mut engine, Request { sampling, ..request }) {
            assert!(!generation.ids().contains(&first), "{door}");
        }
    }
}
