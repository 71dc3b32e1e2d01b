//! One request at a time.

use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use gptneo_engine::sampler::{Choice, Sampler};
use gptneo_engine::{
    Cause, EngineError, FinishReason, History, Prompt, Request, RequestError, Sampling, SamplingError,
};

use crate::toy::{EOS, Toy, VOCAB, engine, hashed, id, run, sampled, script};

/// What a script says after the prompt `a`, given the request.
fn say(words: &[&str], change: impl Fn(&mut Request)) -> (String, Cause) {
    let mut request = Request::new(vec![id("a")]);
    change(&mut request);
    let done = run(&mut engine(Toy::new(VOCAB, script(1, words))), request).remove(0);
    (done.text, done.cause)
}

fn check(words: &[&str], change: impl Fn(&mut Request), text: &str, cause: Cause) {
    assert_eq!(say(words, change), (text.to_owned(), cause));
}

fn refused(toy: Toy, request: Request) -> String {
    let outcome = engine(toy).generate(request, &mut |_| ControlFlow::Continue(()));
    outcome.expect_err("is refused").to_string()
}

#[test]
fn stops_before_the_end_of_sequence() {
    check(&["the", "Ġ", "day"], |_| {}, "the day", Cause::EndOfSequence);
}

#[test]
fn goes_on_past_the_end_of_sequence_if_told_to() {
    let request = Request { ignore_eos: true, max_tokens: Some(4), ..Request::new(vec![id("a")]) };
    let done = run(&mut engine(Toy::new(VOCAB, script(1, &["b"]))), request).remove(0);
    assert_eq!((done.ids(), done.text.as_str()), (vec![id("b"), EOS, EOS, EOS], "b"));
    assert_eq!(done.finish_reason(), FinishReason::Length);
}

#[test]
fn stops_before_the_stop_token() {
    check(&["b", "c", "d"], |r| r.stop_ids = vec![id("c")], "b", Cause::StopId(id("c")));
}

#[test]
fn stops_before_a_stop_string_that_spans_tokens() {
    let stop = |stops: &[&str]| {
        let stops: Vec<String> = stops.iter().map(|s| (*s).to_owned()).collect();
        move |r: &mut Request| r.stop_strings.clone_from(&stops)
    };
    check(&["the", "Ġ", "day", "!"], stop(&["e d"]), "th", Cause::StopString("e d".into()));
    check(&["the", "Ġ", "day", "!"], stop(&["y.", "y!"]), "the da", Cause::StopString("y!".into()));
    check(&["the", "Ġ", "day", "!"], stop(&["day?", "e day."]), "the day!", Cause::EndOfSequence);
    check(&["the", "day"], stop(&["the"]), "", Cause::StopString("the".into()));
}

#[test]
fn holds_back_what_may_begin_a_stop_string() {
    let mut engine = engine(Toy::new(VOCAB, script(1, &["a", "b", "c", "a", "b", "d", "e"])));
    let request = Request { stop_strings: vec!["abd".into()], ..Request::new(vec![id("a")]) };
    let mut pieces = Vec::new();
    let done = engine.generate(request, &mut |piece| {
        pieces.push(piece.text.clone());
        ControlFlow::Continue(())
    });
    assert_eq!((pieces, done.unwrap()[0].text.as_str()), (vec!["abc".to_owned()], "abc"));
}

#[test]
fn never_lets_half_a_character_out() {
    let mut engine = engine(Toy::new(VOCAB, script(1, &["a", "Ã", "©", "Ã", "a", "Ã"])));
    let mut pieces = Vec::new();
    let done = engine.generate(Request::new(vec![id("a")]), &mut |piece| {
        pieces.push((piece.text.clone(), piece.tokens.len()));
        ControlFlow::Continue(())
    });
    let piece = |text: &str, tokens| (text.to_owned(), tokens);
    assert_eq!(pieces, [piece("a", 1), piece("é", 2), piece("\u{FFFD}a", 2), piece("\u{FFFD}", 1)]);
    let offsets: Vec<usize> = done.unwrap()[0].tokens.iter().map(|token| token.offset).collect();
    assert_eq!(offsets, [0, 1, 1, 3, 3, 7]);
}

#[test]
fn ends_at_the_length_asked_for() {
    check(&["b", "c", "d"], |r| r.max_tokens = Some(2), "bc", Cause::MaxTokens);
    check(&["b", "c", "d"], |r| r.max_tokens = Some(0), "", Cause::MaxTokens);
}

#[test]
fn forbids_the_end_before_the_minimum() {
    let request = Request { min_tokens: 3, max_tokens: Some(8), ..Request::new(vec![id("a")]) };
    let done = run(&mut engine(Toy::new(VOCAB, script(1, &["b"]))), request).remove(0);
    // The script wants to end after `b`; the next best is `a`.
    assert_eq!((done.text.as_str(), done.cause), ("baa", Cause::EndOfSequence));
    let stop = |r: &mut Request| {
        r.min_tokens = 3;
        r.stop_strings = vec!["c".into()];
    };
    check(&["c", "c", "b", "c", "d"], stop, "ccb", Cause::StopString("c".into()));
}

#[test]
fn ends_where_the_context_ends() {
    let toy = Toy::new(VOCAB, hashed(VOCAB, 3.0)).positions(10).no_eos();
    let request = Request { ignore_eos: true, ..Request::new(vec![1, 2, 3]) };
    let done = run(&mut engine(toy), request).remove(0);
    assert_eq!((done.tokens.len(), done.cause.clone()), (7, Cause::ContextFull(10)));
    assert_eq!(done.finish_reason(), FinishReason::Length);
}

#[test]
fn refuses_a_prompt_that_leaves_no_room() {
    let toy = || Toy::new(VOCAB, hashed(VOCAB, 3.0)).positions(10);
    let message = refused(toy(), Request::new(vec![1; 12]));
    assert!(message.contains("12 tokens") && message.contains("ends at 10") && message.contains("by 3"), "{message}");
    refused(toy(), Request::new(vec![1; 10]));
    let judged = Request { max_tokens: Some(0), ..Request::new(vec![1; 10]) };
    assert!(run(&mut engine(toy()), judged)[0].tokens.is_empty());
}

#[test]
fn refuses_an_unknown_token() {
    let message = refused(Toy::new(VOCAB, hashed(VOCAB, 3.0)), Request::new(vec![40]));
    assert!(message.contains("`prompt` names token id 40"), "{message}");
}

#[test]
fn begins_an_empty_text_with_the_beginning_of_sequence() {
    let done = run(&mut engine(Toy::new(VOCAB, script(1, &["b"]))), Request::new("")).remove(0);
    assert_eq!((done.text.as_str(), done.prompt_tokens), ("b", 1));
}

#[test]
fn works_on_ids_without_a_tokenizer() {
    let toy = || Box::new(Toy::new(VOCAB, script(1, &["b", "c"])));
    let mut bare = gptneo_engine::Engine::new(toy(), None);
    let done = run(&mut bare, Request::new(vec![id("a")])).remove(0);
    assert_eq!((done.ids(), done.text.as_str()), (vec![id("b"), id("c")], ""));
    let outcome = bare.generate(Request::new("a"), &mut |_| ControlFlow::Continue(()));
    assert!(matches!(outcome, Err(EngineError::Request(RequestError::NoTokenizer { .. }))));
    let stops = Request { stop_strings: vec!["b".into()], ..Request::new(vec![1]) };
    assert!(bare.generate(stops, &mut |_| ControlFlow::Continue(())).is_err());
}

#[test]
fn a_broken_model_is_an_error() {
    for value in [f32::NAN, f32::INFINITY] {
        let toy = Toy::new(VOCAB, Arc::new(move |_| vec![value; VOCAB]));
        let outcome = engine(toy).generate(Request::new(vec![1]), &mut |_| ControlFlow::Continue(()));
        assert!(matches!(outcome, Err(EngineError::Sampling(SamplingError::NotFinite { id: 0, .. }))));
    }
    let bias = (0..VOCAB as u32).map(|id| (id, f32::NEG_INFINITY)).collect();
    let sampling = Sampling { logit_bias: bias, ..Sampling::default() };
    let request = Request { sampling, ..Request::new(vec![1]) };
    assert!(refused(Toy::new(VOCAB, hashed(VOCAB, 3.0)), request).starts_with("no token is left"));
}

#[test]
fn goes_on_working_after_an_error() {
    let law = hashed(VOCAB, 3.0);
    let broken = Arc::new(move |tokens: &[u32]| if tokens[0] == 2 { vec![f32::NAN; VOCAB] } else { law(tokens) });
    let toy = Toy::new(VOCAB, broken);
    let watch = toy.watch();
    let mut engine = engine(toy);
    assert!(engine.generate(Request::new(vec![2]), &mut |_| ControlFlow::Continue(())).is_err());
    assert_eq!(watch.lock().unwrap().open, 0);
    let request = Request { max_tokens: Some(3), ..Request::new(vec![1]) };
    assert!(!run(&mut engine, request)[0].tokens.is_empty());
}

#[test]
fn the_callback_calls_it_off() {
    let mut engine = engine(Toy::new(VOCAB, script(1, &["b", "c", "d", "e"])));
    let mut seen = 0;
    let done = engine.generate(Request::new(vec![id("a")]), &mut |_| {
        seen += 1;
        if seen == 2 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    });
    let done = done.unwrap().remove(0);
    assert_eq!((done.text.as_str(), done.cause, seen), ("bc", Cause::Cancelled, 2));
}

#[test]
fn another_thread_calls_it_off() {
    let flag = Arc::new(AtomicBool::new(true));
    let request = Request { cancel: Some(flag), ..Request::new(vec![id("a")]) };
    let done = run(&mut engine(Toy::new(VOCAB, script(1, &["b"]))), request).remove(0);
    assert_eq!((done.text.as_str(), done.finish_reason()), ("", FinishReason::Cancelled));
}

/// Greedy or sampled, by the plainest loop there is.
fn plain(law: &crate::toy::Law, prompt: &[u32], sampling: &Sampling, sample: usize, count: usize) -> Vec<u32> {
    let mut tokens = prompt.to_vec();
    while tokens.len() < prompt.len() + count {
        let history = History { tokens: &tokens, prompt: prompt.len() };
        let choice = Choice { sampling, history, forbidden: &[], rails: &[], allowed: None, sample };
        let next = Sampler::default().choose(&choice, &mut law(&tokens)).unwrap();
        tokens.push(next);
    }
    tokens.split_off(prompt.len())
}

#[test]
fn samples_share_one_prefill_and_are_those_of_the_plain_loop() {
    let law = hashed(VOCAB, 3.0);
    let toy = Toy::new(VOCAB, law.clone());
    let watch = toy.watch();
    let sampling = Sampling { top_k: 20, repeat_penalty: 1.2, presence_penalty: 0.3, ..sampled(9) };
    let prompt: Vec<u32> = (1..30).collect();
    let request = Request {
        sampling: sampling.clone(),
        n: 5,
        max_tokens: Some(12),
        ignore_eos: true,
        ..Request::new(prompt.clone())
    };
    let done = run(&mut engine(toy), request);
    for (sample, generation) in done.iter().enumerate() {
        assert_eq!(generation.ids(), plain(&law, &prompt, &sampling, sample, 12), "sample {sample}");
    }
    assert_eq!(watch.lock().unwrap().steps[..3], [29, 5, 5]);
    let distinct: std::collections::HashSet<_> = done.iter().map(|g| g.ids()).collect();
    assert!(distinct.len() > 1, "samples draw their own numbers");
}

#[test]
fn echoes_the_prompt_with_its_log_probabilities() {
    let law = hashed(VOCAB, 3.0);
    let prompt = vec![id("the"), id("Ġ"), id("day")];
    let request = Request { echo: true, logprobs: Some(2), max_tokens: Some(1), ..Request::new(prompt.clone()) };
    let done = run(&mut engine(Toy::new(VOCAB, law.clone())), request).remove(0);
    assert!(done.text.starts_with("the day") && done.tokens.len() == 1, "{done:?}");
    assert_eq!(done.prompt.iter().map(|t| t.offset).collect::<Vec<_>>(), [0, 3, 4]);
    assert_eq!(done.prompt[0].logprob, None);
    for (at, token) in done.prompt.iter().chain(&done.tokens).enumerate().skip(1) {
        let row = law(&prompt[..at]);
        let sum: f64 = row.iter().map(|&l| f64::from(l).exp()).sum::<f64>().ln();
        let wanted = f64::from(row[token.id as usize]) - sum;
        assert!((token.logprob.unwrap() - wanted).abs() < 1e-9, "token {at}");
        assert_eq!(token.top.len(), 2);
        assert!(token.top[0].1 >= token.top[1].1 && token.top[0].1 >= wanted);
    }
}

#[test]
fn log_probabilities_are_the_models_own() {
    let law = hashed(VOCAB, 3.0);
    let bias = Sampling { logit_bias: vec![(5, 100.0)], ..Sampling::default() };
    let request = Request { sampling: bias, logprobs: Some(1), max_tokens: Some(1), ..Request::new(vec![1]) };
    let token = run(&mut engine(Toy::new(VOCAB, law.clone())), request).remove(0).tokens.remove(0);
    assert_eq!(token.id, 5);
    assert!(token.logprob.unwrap() < token.top[0].1, "the bias does not count");
}

#[test]
fn frees_everything_and_keeps_the_prefix() {
    let toy = Toy::new(VOCAB, hashed(VOCAB, 3.0));
    let watch = toy.watch();
    let mut engine = engine(toy);
    let request = || Request { max_tokens: Some(5), ignore_eos: true, ..Request::new((1..21).collect::<Vec<u32>>()) };
    let first = run(&mut engine, request()).remove(0);
    assert_eq!(watch.lock().unwrap().open, 1, "one beginning is kept");
    let again = run(&mut engine, request()).remove(0);
    assert_eq!(first.ids(), again.ids());
    assert_eq!((first.timings.prefill_tokens, again.timings.prefill_tokens), (20, 1));
    assert_eq!(watch.lock().unwrap().steps.iter().sum::<usize>(), 20 + 4 + 1 + 4);
}

#[test]
fn text_and_ids_make_the_same_prompt() {
    let law = hashed(VOCAB, 3.0);
    let short = |prompt: Prompt| Request { max_tokens: Some(4), ..Request::new(prompt) };
    let text = run(&mut engine(Toy::new(VOCAB, law.clone())), short("bad a".into())).remove(0);
    let ids = vec![id("bad"), id("Ġ"), id("a")];
    let tokens = run(&mut engine(Toy::new(VOCAB, law)), short(ids.into())).remove(0);
    assert_eq!((text.ids(), text.prompt_tokens), (tokens.ids(), 3));
}

#[test]
fn engines_move_between_threads() {
    fn movable<T: Send>() {}
    movable::<gptneo_engine::Engine>();
    movable::<gptneo_engine::Scheduler>();
    movable::<Request>();
    movable::<gptneo_engine::Event>();
}
