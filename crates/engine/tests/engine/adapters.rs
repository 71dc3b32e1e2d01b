//! Adapters belong to requests: mixed in a batch, apart in kept beginnings, added and removed by name.

use std::path::{Path, PathBuf};

use gptneo_engine::{Engine, EngineError, Event, Request, RequestError, Scheduler, SchedulerOptions};
use gptneo_model::{Adapter, TensorSource, open};

use crate::golden::{cpu, folder, model};
use crate::toy::{Toy, VOCAB, engine, hashed, id, run, tokenizer, turning};

fn with(adapter: Option<&str>, prompt: &[u32]) -> Request {
    let adapter = adapter.map(str::to_owned);
    Request { adapter, max_tokens: Some(5), ignore_eos: true, ..Request::new(prompt.to_vec()) }
}

fn prompt() -> Vec<u32> {
    (1..31).collect()
}

/// How many tokens of the prompt were computed, and what came out.
fn computed(engine: &mut Engine, adapter: Option<&str>) -> (usize, Vec<u32>) {
    let done = run(engine, with(adapter, &prompt())).remove(0);
    (done.timings.prefill_tokens, done.ids())
}

#[test]
fn a_kept_beginning_serves_its_own_adapter_alone() {
    let mut engine = engine(Toy::new(VOCAB, hashed(VOCAB, 4.0)));
    engine.add_adapter("one", &turning(1)).unwrap();
    engine.add_adapter("two", &turning(2)).unwrap();
    let first: Vec<_> = [None, Some("one"), Some("two")].map(|adapter| computed(&mut engine, adapter)).into();
    assert!(first.iter().all(|(tokens, _)| *tokens == 30), "nothing is shared between them: {first:?}");
    assert!(first[0].1 != first[1].1 && first[1].1 != first[2].1);
    for (adapter, (_, ids)) in [None, Some("one"), Some("two")].into_iter().zip(first) {
        assert_eq!(computed(&mut engine, adapter), (1, ids), "{adapter:?} finds its own");
    }
}

#[test]
fn a_running_request_shares_its_beginning_with_its_own_adapter_alone() {
    let toy = Toy::new(VOCAB, hashed(VOCAB, 4.0));
    let watch = toy.watch();
    let mut scheduler = Scheduler::new(Box::new(toy), Some(tokenizer()), Vec::new(), SchedulerOptions::default());
    scheduler.add_adapter("one", &turning(1)).unwrap();
    for adapter in [Some("one"), None, Some("one")] {
        scheduler.submit(with(adapter, &prompt())).unwrap();
        scheduler.step();
    }
    assert_eq!(watch.lock().unwrap().steps, [30, 31, 3], "the third shares with the first");
}

#[test]
fn a_removed_adapter_takes_its_beginnings_along() {
    let toy = Toy::new(VOCAB, hashed(VOCAB, 4.0));
    let watch = toy.watch();
    let mut engine = engine(toy);
    engine.add_adapter("a", &turning(1)).unwrap();
    let one = computed(&mut engine, Some("a")).1;
    computed(&mut engine, None);
    assert_eq!(watch.lock().unwrap().open, 2);
    engine.remove_adapter("a").unwrap();
    assert_eq!(watch.lock().unwrap().open, 1, "that of the model itself stays");
    engine.add_adapter("a", &turning(3)).unwrap();
    let (tokens, three) = computed(&mut engine, Some("a"));
    assert!(tokens == 30 && three != one, "another adapter of the same name begins anew");
}

#[test]
fn names_are_known_once_and_kept_while_in_use() {
    let toy = Toy::new(VOCAB, hashed(VOCAB, 4.0));
    let mut scheduler = Scheduler::new(Box::new(toy), Some(tokenizer()), Vec::new(), SchedulerOptions::default());
    let unknown = scheduler.submit(with(Some("a"), &[1])).unwrap_err();
    assert_eq!(unknown.to_string(), "there is no adapter `a`; there are: none");
    scheduler.add_adapter("b", &turning(1)).unwrap();
    scheduler.add_adapter("c", &turning(2)).unwrap();
    assert_eq!(scheduler.adapters().collect::<Vec<_>>(), ["b", "c"]);
    let unknown = scheduler.submit(with(Some("a"), &[1])).unwrap_err();
    assert_eq!(unknown, RequestError::UnknownAdapter { name: "a".into(), known: "b, c".into() });
    assert!(matches!(scheduler.add_adapter("b", &turning(1)), Err(EngineError::AdapterNameTaken(name)) if name == "b"));
    assert!(scheduler.remove_adapter("a").is_err());
    scheduler.submit(with(Some("b"), &[1])).unwrap();
    for _ in 0..2 {
        assert!(matches!(scheduler.remove_adapter("b"), Err(EngineError::AdapterBusy { requests: 1, .. })));
        scheduler.step();
    }
    while !scheduler.idle() {
        scheduler.step();
    }
    scheduler.remove_adapter("b").unwrap();
    assert_eq!(scheduler.adapters().collect::<Vec<_>>(), ["c"]);
}

#[test]
fn scores_are_of_the_adapter_that_is_named() {
    let mut engine = engine(Toy::new(VOCAB, hashed(VOCAB, 4.0)));
    engine.add_adapter("one", &turning(1)).unwrap();
    let tokens = [id("a"), id("b"), id("c")];
    let plain = engine.score_tokens(&tokens, Some(VOCAB)).unwrap();
    let turned = engine.scorer(Some("one")).unwrap().tokens(&tokens, Some(VOCAB)).unwrap();
    for (plain, turned) in plain.positions.iter().zip(&turned.positions) {
        let moved: Vec<_> = plain.top.iter().map(|&(id, logit)| ((id + 1) % VOCAB as u32, logit)).collect();
        assert_eq!(moved, turned.top);
    }
    assert!(engine.scorer(Some("none")).is_err());
}

fn adapter(name: &str, base: &str) -> Adapter {
    let made: PathBuf = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/adapters").join(name);
    Adapter::open(&cpu(1), &made, open(&folder(base)).unwrap().config()).unwrap()
}

#[test]
fn the_real_decoder_serves_mixed_requests_as_if_each_were_alone() {
    let fresh = || {
        let mut engine = Engine::new(model("gpt_neo", 2, 1024), None);
        engine.add_adapter("all", &adapter("gpt_neo", "gpt_neo")).unwrap();
        engine.add_adapter("some", &adapter("gpt_neo_patterns", "gpt_neo")).unwrap();
        engine
    };
    let requests: Vec<Request> = (0..9)
        .map(|i| {
            let prompt: Vec<u32> = (0..4 + i).map(|t| (t * 7) % 50).collect();
            Request { max_tokens: Some(12), ..with([None, Some("all"), Some("some")][i as usize % 3], &prompt) }
        })
        .collect();
    let alone: Vec<Vec<u32>> = requests.iter().map(|r| run(&mut fresh(), r.clone()).remove(0).ids()).collect();
    let mut scheduler = fresh().into_scheduler();
    let tickets: Vec<_> = requests.into_iter().map(|request| scheduler.submit(request).unwrap()).collect();
    let mut together = vec![Vec::new(); tickets.len()];
    while !scheduler.idle() {
        for (ticket, event) in scheduler.step() {
            let Event::Finished(generation) = event else { continue };
            together[tickets.iter().position(|t| *t == ticket).unwrap()] = generation.ids();
        }
    }
    assert_eq!(together, alone);
}
