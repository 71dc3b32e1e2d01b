//! Texts as vectors, read between the steps of generations.

use gptneo_engine::{EngineError, Event, Request, RequestError, Scheduler, SchedulerOptions};

use crate::toy::{Toy, VOCAB, hashed};

/// With a page of four positions.
fn scheduler(pages: usize) -> Scheduler {
    let toy = Toy::new(VOCAB, hashed(VOCAB, 4.0)).positions(200).pages(pages);
    Scheduler::new(Box::new(toy), None, Vec::new(), SchedulerOptions::default())
}

/// A text, and the mean of its tokens.
fn text(len: u32) -> (Vec<u32>, f32) {
    let tokens: Vec<u32> = (0..len).map(|i| 1 + i * 7 % 39).collect();
    let mean = tokens.iter().map(|&token| f64::from(token)).sum::<f64>() / f64::from(len);
    (tokens, mean as f32)
}

#[test]
fn a_text_is_read_in_pieces_and_its_vector_is_their_mean() {
    let mut scheduler = scheduler(60);
    let (tokens, mean) = text(180);
    scheduler.begin_embedding(tokens.clone(), None).unwrap();
    assert_eq!(scheduler.continue_embedding().unwrap(), None);
    assert!(scheduler.cache_pages().0 > 0);
    assert_eq!(scheduler.continue_embedding().unwrap(), Some(vec![mean]));
    assert_eq!(scheduler.cache_pages().0, 0);
    // One that nobody wants any more, and one that takes the place of another.
    for given_up in [true, false] {
        scheduler.begin_embedding(tokens.clone(), None).unwrap();
        scheduler.continue_embedding().unwrap();
        if given_up {
            scheduler.abandon_embedding();
            assert!(scheduler.continue_embedding().is_err());
            assert_eq!(scheduler.cache_pages().0, 0);
        }
    }
    scheduler.begin_embedding(vec![5], None).unwrap();
    assert_eq!(scheduler.continue_embedding().unwrap(), Some(vec![5.0]));
    assert_eq!(scheduler.cache_pages().0, 0);
    for wrong in [vec![], vec![1; 201], vec![VOCAB as u32]] {
        assert!(scheduler.begin_embedding(wrong, None).is_err());
    }
}

#[test]
fn where_memory_is_short_generations_go_on_and_the_text_begins_anew() {
    let mut scheduler = scheduler(60);
    let (tokens, mean) = text(180);
    scheduler.begin_embedding(tokens, None).unwrap();
    scheduler.continue_embedding().unwrap();
    let (prompt, _) = text(150);
    let request = Request { max_tokens: Some(40), ignore_eos: true, ..Request::new(prompt) };
    scheduler.submit(request).unwrap();
    let mut done = false;
    while !scheduler.idle() {
        for (_, event) in scheduler.step() {
            assert!(!matches!(event, Event::Failed(_)), "{event:?}");
            done |= matches!(event, Event::Done);
        }
    }
    assert!(done);
    assert_eq!(scheduler.continue_embedding().unwrap(), None, "from the beginning");
    assert_eq!(scheduler.continue_embedding().unwrap(), Some(vec![mean]));
    // Beside a generation that fills the memory there is no room, which is said; the generation does not notice.
    let (prompt, _) = text(150);
    scheduler.submit(Request { max_tokens: Some(40), ignore_eos: true, ..Request::new(prompt) }).unwrap();
    scheduler.step();
    scheduler.begin_embedding(text(180).0, None).unwrap();
    assert!(matches!(
        scheduler.continue_embedding(),
        Err(EngineError::Model(_) | EngineError::Request(RequestError::TooLargeForCache { .. }))
    ));
    while !scheduler.idle() {
        assert!(scheduler.step().iter().all(|(_, event)| !matches!(event, Event::Failed(_))));
    }
}
