//! A learned vocabulary: as defined, whatever the order of counting, and readable again.

use std::collections::BTreeMap;

use gptneo_text::{Special, TextError, Tokenizer, WordCounts};
use proptest::prelude::*;

fn learned(texts: &[&str], vocab_size: u32, least: u64) -> Tokenizer {
    let mut counts = WordCounts::new();
    texts.iter().for_each(|text| counts.add(text).unwrap());
    counts.learn(vocab_size, least).unwrap()
}

/// The merged tokens in order, as bytes.
fn tokens(tokenizer: &Tokenizer) -> Vec<Vec<u8>> {
    (256..tokenizer.vocab_size() as u32 - 1).map(|id| tokenizer.token_bytes(id).unwrap().to_vec()).collect()
}

/// The definition, read literally: all pairs counted anew for every merge. Words are given, not text.
fn specification(words: &[(Vec<u8>, u64)], merges: usize, least: u64) -> Vec<Vec<u8>> {
    let bytes = Tokenizer::from_bpe(&byte_vocabulary(), b"").unwrap();
    let mut tokens: Vec<Vec<u8>> = (0..256).map(|id| bytes.token_bytes(id).unwrap().to_vec()).collect();
    let id_of = |tokens: &[Vec<u8>], token: &[u8]| tokens.iter().position(|known| known == token);
    let mut words: Vec<(Vec<usize>, u64)> = words
        .iter()
        .map(|(word, count)| (word.iter().map(|byte| id_of(&tokens, &[*byte]).unwrap()).collect(), *count))
        .collect();
    while tokens.len() < 256 + merges {
        let mut counts: BTreeMap<(usize, usize), u64> = BTreeMap::new();
        for (word, count) in &words {
            word.windows(2).for_each(|pair| *counts.entry((pair[0], pair[1])).or_default() += count);
        }
        let Some((pair, count)) = counts.into_iter().rev().max_by_key(|(_, count)| *count) else { break };
        if count < least {
            break;
        }
        let token = [tokens[pair.0].clone(), tokens[pair.1].clone()].concat();
        let id = id_of(&tokens, &token).unwrap_or(tokens.len());
        if id == tokens.len() {
            tokens.push(token);
        }
        for (word, _) in &mut words {
            let mut at = 0;
            while at + 1 < word.len() {
                if (word[at], word[at + 1]) == pair {
                    word.splice(at..at + 2, [id]);
                }
                at += 1;
            }
        }
    }
    tokens.split_off(256)
}

/// `vocab.json` with the bytes alone, in GPT-2's order.
fn byte_vocabulary() -> Vec<u8> {
    let prints = |byte: &u32| matches!(byte, 0x21..=0x7e | 0xa1..=0xac | 0xae..=0xff);
    let mut chars: Vec<char> = (0..256).filter(prints).filter_map(char::from_u32).collect();
    chars.extend((256..256 + 68).filter_map(char::from_u32));
    let entries: serde_json::Map<_, _> = chars.iter().enumerate().map(|(id, c)| (c.to_string(), id.into())).collect();
    serde_json::to_vec(&entries).unwrap()
}

#[test]
fn learns_the_textbook_example() {
    // Sennrich, Haddow and Birch (2016): low, lower, newest, widest.
    let texts = ["low"; 5].into_iter().chain(["lower"; 2]).chain(["newest"; 6]).chain(["widest"; 3]);
    let tokenizer = learned(&texts.collect::<Vec<_>>(), 257 + 4, 1);
    assert_eq!(tokens(&tokenizer), [&b"es"[..], b"est", b"lo", b"low"]);
    assert_eq!(tokenizer.eos(), Some(260));
    assert_eq!(tokenizer.encode("lowest<|endoftext|>").unwrap(), [259, 257, 260]);
}

#[test]
fn stops_where_pairs_are_rare() {
    let tokenizer = learned(&["abab", "abab", "xy"], 1000, 2);
    assert_eq!(tokens(&tokenizer), [&b"ab"[..], b"abab"]);
}

#[test]
fn nothing_to_learn_from_leaves_the_bytes() {
    let tokenizer = learned(&[""], 300, 1);
    assert_eq!(tokenizer.vocab_size(), 257);
    let text = "any \u{1f999} text\0";
    assert_eq!(tokenizer.decode(&tokenizer.encode(text).unwrap(), Special::Keep).unwrap(), text);
}

#[test]
fn refuses_sizes_that_hold_no_bytes() {
    for size in [0, 1, 256, u32::MAX] {
        assert!(matches!(WordCounts::new().learn(size, 1), Err(TextError::VocabSize { found, .. }) if found == size));
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    // Few letters and much repetition: overlapping pairs, ties, and different merges that spell the same token.
    #[test]
    fn agrees_with_the_definition(
        words in prop::collection::vec(("[abc]{1,9}", 1u64..5), 1..12),
        merges in 1usize..30,
        least in 1u64..4,
    ) {
        let mut counts = WordCounts::new();
        let mut known: BTreeMap<Vec<u8>, u64> = BTreeMap::new();
        for (word, count) in &words {
            (0..*count).for_each(|_| counts.add(word).unwrap());
            *known.entry(word.clone().into_bytes()).or_default() += count;
        }
        let known: Vec<_> = known.into_iter().collect();
        let wanted = specification(&known, merges, least);
        let tokenizer = counts.learn(257 + merges as u32, least).unwrap();
        prop_assert_eq!(tokens(&tokenizer), wanted);
    }

    #[test]
    fn the_order_of_counting_changes_nothing(texts in prop::collection::vec("[a-d ']{0,30}", 1..20), cut in 0usize..20) {
        let mut all = WordCounts::new();
        texts.iter().for_each(|text| all.add(text).unwrap());
        let (first, second) = texts.split_at(cut.min(texts.len()));
        let count = |texts: &[String]| {
            let mut counts = WordCounts::new();
            texts.iter().rev().for_each(|text| counts.add(text).unwrap());
            counts
        };
        let mut parts = count(second);
        parts.absorb(count(first)).unwrap();
        let (one, other) = (all.learn(300, 1).unwrap(), parts.learn(300, 1).unwrap());
        prop_assert_eq!(one.json(), other.json());
        // What is written is read, with the same meaning.
        let read = Tokenizer::from_json(one.json().as_bytes()).unwrap();
        prop_assert_eq!(read.fingerprint(), one.fingerprint());
        for text in &texts {
            prop_assert_eq!(read.encode(text).unwrap(), one.encode(text).unwrap());
        }
    }
}
