//! A vocabulary learned from sources.

use gptneo_corpus::{CorpusError, Learning, find, learn};
use gptneo_text::WordCounts;

use super::world::{World, jsonl, texts};

fn learning(world: &World, workers: usize) -> Learning {
    let sources = find(&world.names, None, None).unwrap().sources;
    Learning { sources, field: "text".into(), vocab_size: 600, least: 2, workers, cancel: None }
}

#[test]
fn it_is_the_vocabulary_of_the_documents_on_any_number_of_workers() {
    let (a, b) = (texts(4000, 1), texts(500, 2));
    let world = World::new().with("a.jsonl", jsonl(&a)).with("b.txt", b.join("<|endoftext|>"));
    let mut counts = WordCounts::new();
    a.iter().chain(&b).for_each(|text| counts.add(text).unwrap());
    let wanted = counts.learn(600, 2).unwrap().json();
    for workers in [1, 2, 5] {
        let learned = learn(&learning(&world, workers), &()).unwrap();
        assert!(learned.tokenizer.json() == wanted, "{workers}");
        assert_eq!(learned.documents, 4500);
        assert_eq!(learned.words, counts.words());
    }
}

#[test]
fn nothing_to_learn_from_is_an_error() {
    let world = World::new().with("a.jsonl", "{}\n{}\n");
    assert!(matches!(learn(&learning(&world, 2), &()), Err(CorpusError::NoDocuments { .. })));
    let job = Learning { vocab_size: 10, ..learning(&world, 2) };
    assert!(matches!(learn(&job, &()), Err(CorpusError::Text(_))));
}
