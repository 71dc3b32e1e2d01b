//! Text to ids to text, on everything that text can be; streams; and how the time grows.

use std::time::{Duration, Instant};

use gptneo_text::{Special, Tokenizer};
use proptest::prelude::*;
use unicode_normalization::UnicodeNormalization;

use crate::{data, small};

fn small() -> Tokenizer {
    Tokenizer::from_json(&serde_json::to_vec(&small::json_value()).unwrap()).unwrap()
}

fn gpt2() -> Option<Tokenizer> {
    Some(Tokenizer::open(&data::path("tokenizer/gpt2")?).unwrap())
}

fn neox() -> Option<Tokenizer> {
    Some(Tokenizer::open(&data::path("tokenizer/neox")?).unwrap())
}

fn again(tokenizer: &Tokenizer, text: &str) -> String {
    tokenizer.decode(&tokenizer.encode(text).unwrap(), Special::Keep).unwrap()
}

fn scalars() -> impl Iterator<Item = char> {
    (0..=u32::from(char::MAX)).filter_map(char::from_u32)
}

#[test]
fn every_character_comes_back() {
    let tokenizer = gpt2().unwrap_or_else(small_without_normalisation);
    for c in scalars() {
        let text = c.to_string();
        assert_eq!(again(&tokenizer, &text), text, "{c:?}");
    }
    let all: Vec<char> = scalars().collect();
    for chunk in all.chunks(1000) {
        let between: String = chunk.iter().flat_map(|&c| ['a', c, ' ', c]).collect();
        assert_eq!(again(&tokenizer, &between), between);
    }
}

fn small_without_normalisation() -> Tokenizer {
    let mut json = small::json_value();
    json["normalizer"] = serde_json::Value::Null;
    Tokenizer::from_json(json.to_string().as_bytes()).unwrap()
}

#[test]
fn text_in_nfc_comes_back_from_neox() {
    let Some(tokenizer) = neox() else { return };
    let all: Vec<char> = scalars().collect();
    for chunk in all.chunks(1000) {
        let text: String = chunk.iter().flat_map(|&c| ['a', c, ' ', 'b', c]).collect();
        assert_eq!(again(&tokenizer, &text), text.nfc().collect::<String>());
    }
}

#[test]
fn long_runs_take_time_in_proportion() {
    let units =
        ["A", "'s", " ", "\n", "a ", "é", "a\u{301}", "漢", "🦙", "<|endoftext|>", "<|", "0", "ab", "\u{a0}", "=-"];
    for (tokenizer, composes) in [(gpt2(), false), (neox(), true)] {
        let Some(tokenizer) = tokenizer else { continue };
        for unit in units {
            let text = unit.repeat(1_000_000 / unit.len());
            let started = Instant::now();
            let back = again(&tokenizer, &text);
            assert!(started.elapsed() < Duration::from_secs(3), "{unit:?}: {:?}", started.elapsed());
            let wanted = if composes { text.nfc().collect() } else { text };
            assert!(back == wanted, "{unit:?} does not come back");
        }
    }
}

#[test]
fn threads_share_a_tokenizer() {
    let tokenizer = small();
    let text = "hello world's é 🦙      <|endoftext|>\n\n".repeat(500);
    let wanted = tokenizer.encode(&text).unwrap();
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| (0..5).for_each(|_| assert_eq!(tokenizer.encode(&text).unwrap(), wanted)));
        }
    });
}

#[test]
fn a_stream_holds_back_unfinished_characters() {
    let tokenizer = small();
    let mut stream = tokenizer.stream(Special::Keep);
    let llama: Vec<u32> = "🦙".bytes().map(u32::from).collect();
    for &id in &llama[..3] {
        assert_eq!(stream.push(id).unwrap(), "");
    }
    assert_eq!(stream.held_bytes(), 3);
    assert_eq!(stream.push(llama[3]).unwrap(), "🦙");
    // A character that is broken off by another: one replacement, and what follows is not swallowed.
    assert_eq!(stream.push(llama[0]).unwrap(), "");
    assert_eq!(stream.push(u32::from(b'x')).unwrap(), "\u{fffd}x");
    assert_eq!(stream.push(llama[0]).unwrap(), "");
    assert_eq!(stream.finish(), "\u{fffd}");
    assert_eq!(stream.finish(), "");
}

#[test]
fn control_tokens_are_kept_or_skipped() {
    let tokenizer = small();
    let ids = tokenizer.encode("é<|endoftext|>hello").unwrap();
    assert_eq!(ids, [263, 270, 259]);
    assert_eq!(tokenizer.decode(&ids, Special::Keep).unwrap(), "é<|endoftext|>hello");
    assert_eq!(tokenizer.decode(&ids, Special::Skip).unwrap(), "éhello");
    assert_eq!(tokenizer.encode_plain("<|endoftext|>").unwrap().len(), 13);
    assert_eq!((tokenizer.bos(), tokenizer.eos(), tokenizer.unk()), (Some(270), Some(270), Some(270)));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 4000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_stream_adds_up_to_decode(ids in prop::collection::vec(0u32..267, 0..40), skip in any::<bool>()) {
        let tokenizer = small();
        let special = if skip { Special::Skip } else { Special::Keep };
        let mut stream = tokenizer.stream(special);
        let mut sum = String::new();
        for &id in &ids {
            sum.push_str(stream.push(id).unwrap());
        }
        sum.push_str(stream.finish());
        prop_assert_eq!(sum, tokenizer.decode(&ids, special).unwrap());
    }

    #[test]
    fn any_string_comes_back_in_nfc(bytes in prop::collection::vec(any::<u8>(), 0..200), any_text in ".{0,60}") {
        let tokenizer = small();
        for text in [String::from_utf8_lossy(&bytes).into_owned(), any_text] {
            prop_assert_eq!(again(&tokenizer, &text), text.nfc().collect::<String>());
        }
    }
}

#[test]
fn many_random_strings_come_back() {
    let Some(tokenizer) = gpt2() else { return };
    // Random bytes, with long and short characters and white space made likely.
    let mut state = 0x2545_f491_4f6c_dd1d_u64;
    let mut random = move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    };
    for _ in 0..20_000 {
        let bytes: Vec<u8> = (0..random() % 120)
            .flat_map(|_| match random() % 8 {
                0 => vec![b' '; (random() % 5) as usize],
                1 => char::from_u32((random() % 0x11_0000) as u32).map_or(vec![], |c| c.to_string().into_bytes()),
                2 => vec![random() as u8],
                3 => b"\r\n".to_vec(),
                _ => vec![b' ' + (random() % 95) as u8],
            })
            .collect();
        let text = String::from_utf8_lossy(&bytes);
        assert_eq!(again(&tokenizer, &text), text);
    }
}
