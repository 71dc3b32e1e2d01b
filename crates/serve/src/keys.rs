//! Who may ask, and how much.
//!
//! Of a key only its SHA-256 is kept, and digests are compared in constant time, all of them for each request, so that neither memory
//! nor the time of an answer tells a key. A key file has one key a line, with limits of its own after it:
//!
//! ```text
//! # the shop's assistant: 60 requests and 20,000 tokens a minute
//! sk-3f… name=shop requests=60 tokens=20000 blocked-words=shop.txt
//! sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08 name=desk
//! ```
//!
//! `blocked-words` names a file; whoever reads the keys reads it too, and makes [`Key::with_rails`] of it.

use std::fmt;
use std::sync::Arc;

use gptneo_engine::Rail;
use sha2::{Digest, Sha256};
use subtle::{Choice, ConstantTimeEq};

/// Shortest key that is taken: anything shorter can be tried out.
const SHORTEST: usize = 8;
/// Longest, in bytes.
const LONGEST: usize = 512;
/// Most keys.
const MOST: usize = 10_000;

/// What a client may use up in a minute.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Allowance {
    /// Requests; no limit where `None`.
    pub requests: Option<u32>,
    /// Tokens of prompts and answers; no limit where `None`.
    pub tokens: Option<u32>,
}

/// One client's key.
#[derive(Clone)]
pub struct Key {
    /// What logs and metrics call it.
    name: String,
    digest: [u8; 32],
    /// What it may use up; where it says nothing, what everybody may.
    allowance: Allowance,
    rails: Arc<[Arc<dyn Rail>]>,
    /// Files of words, as they were named.
    blocked_words: Vec<String>,
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Key").field("name", &self.name).field("allowance", &self.allowance).finish_non_exhaustive()
    }
}

/// A key, or a file of keys, that cannot be used. It never repeats the key.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// Its length.
    #[error("a key must have {SHORTEST} to {LONGEST} characters, printable ASCII without spaces; this one has {0}")]
    Length(usize),
    /// Its characters.
    #[error("a key must be of printable ASCII without spaces")]
    Characters,
    /// A digest that is none.
    #[error("`sha256:` wants 64 hexadecimal digits after it")]
    Digest,
    /// A setting after the key.
    #[error(
        "`{0}` is not a setting of a key: there are name=WORD, requests=N and tokens=N (a minute), and blocked-words=FILE"
    )]
    Setting(String),
    /// Two keys of one name, or one key twice.
    #[error("{0} is there twice")]
    Twice(String),
    /// Too many.
    #[error("there are more than {MOST} keys")]
    TooMany,
    /// A line of a file.
    #[error("line {line}: {error}")]
    Line {
        /// From 1.
        line: usize,
        /// What is wrong with it.
        error: Box<KeyError>,
    },
}

impl Key {
    /// A key as a client sends it, or `sha256:` and its digest.
    ///
    /// # Errors
    /// If it is too short, too long, or could not be sent in a header.
    pub fn new(name: &str, text: &str) -> Result<Self, KeyError> {
        let digest = match text.strip_prefix("sha256:") {
            Some(hex) => digest_of(hex).ok_or(KeyError::Digest)?,
            None => {
                if !text.bytes().all(|byte| byte.is_ascii_graphic()) {
                    return Err(KeyError::Characters);
                }
                if !(SHORTEST..=LONGEST).contains(&text.len()) {
                    return Err(KeyError::Length(text.len()));
                }
                Sha256::digest(text.as_bytes()).into()
            }
        };
        Ok(Self {
            name: name.to_owned(),
            digest,
            allowance: Allowance::default(),
            rails: Arc::default(),
            blocked_words: Vec::new(),
        })
    }

    /// What logs and metrics call it.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What it may use up in a minute.
    pub(crate) fn allowance(&self) -> Allowance {
        self.allowance
    }

    /// Files of words that its requests and their answers must not contain, as its line names them. They are not read here.
    pub fn blocked_words(&self) -> &[String] {
        &self.blocked_words
    }

    /// The same key, with rails that each of its requests passes beside the model's.
    #[must_use]
    pub fn with_rails(self, rails: Vec<Arc<dyn Rail>>) -> Self {
        Self { rails: rails.into(), ..self }
    }

    /// Rails that each of its requests passes.
    pub(crate) fn rails(&self) -> Arc<[Arc<dyn Rail>]> {
        Arc::clone(&self.rails)
    }

    fn line(text: &str, number: usize) -> Result<Self, KeyError> {
        let mut words = text.split_whitespace();
        let mut key = Self::new(&format!("key-{number}"), words.next().unwrap_or_default())?;
        for word in words {
            let bad = || KeyError::Setting(word.chars().take(60).collect());
            let (name, value) = word.split_once('=').ok_or_else(bad)?;
            let count = || value.parse::<u32>().ok().filter(|&count| count > 0).ok_or_else(bad);
            match name {
                "name" if is_name(value) => value.clone_into(&mut key.name),
                "requests" => key.allowance.requests = Some(count()?),
                "tokens" => key.allowance.tokens = Some(count()?),
                "blocked-words" if !value.is_empty() => key.blocked_words.push(value.to_owned()),
                _ => return Err(bad()),
            }
        }
        Ok(key)
    }
}

/// All keys; without any, everybody may ask.
#[derive(Clone, Debug, Default)]
pub struct Keys(Vec<Key>);

impl Keys {
    /// These keys.
    ///
    /// # Errors
    /// If a name or a key is there twice.
    pub fn new(keys: Vec<Key>) -> Result<Self, KeyError> {
        if keys.len() > MOST {
            return Err(KeyError::TooMany);
        }
        let mut names: Vec<&str> = keys.iter().map(Key::name).collect();
        names.sort_unstable();
        if let Some(pair) = names.windows(2).find(|pair| pair[0] == pair[1]) {
            return Err(KeyError::Twice(format!("the name `{}`", pair[0])));
        }
        let mut digests: Vec<&[u8; 32]> = keys.iter().map(|key| &key.digest).collect();
        digests.sort_unstable();
        if digests.windows(2).any(|pair| pair[0] == pair[1]) {
            return Err(KeyError::Twice("a key".to_owned()));
        }
        Ok(Self(keys))
    }

    /// The keys of a file, one a line; empty lines and those that begin with `#` are not read.
    ///
    /// # Errors
    /// Names the first line that cannot be read.
    pub fn read(text: &str) -> Result<Vec<Key>, KeyError> {
        let lines = text.lines().enumerate().map(|(at, line)| (at + 1, line.trim()));
        lines
            .filter(|(_, line)| !line.is_empty() && !line.starts_with('#'))
            .map(|(number, line)| {
                Key::line(line, number).map_err(|error| KeyError::Line { line: number, error: Box::new(error) })
            })
            .collect()
    }

    /// Whether anybody may ask.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whose key it is. Takes as long whichever it is, and if it is none.
    pub(crate) fn find(&self, sent: &[u8]) -> Option<&Key> {
        let digest: [u8; 32] = Sha256::digest(sent).into();
        let mut found = 0u64;
        for (place, key) in (1u64..).zip(&self.0) {
            let same: Choice = key.digest.ct_eq(&digest);
            // No branch on what was found: `found` becomes `place`, or stays.
            let mask = u64::from(same.unwrap_u8()).wrapping_neg();
            found = (place & mask) | (found & !mask);
        }
        found.checked_sub(1).and_then(|at| self.0.get(at as usize))
    }
}

fn digest_of(hex: &str) -> Option<[u8; 32]> {
    let mut digest = [0; 32];
    if hex.len() != 64 || !hex.is_ascii() {
        return None;
    }
    for (byte, digits) in digest.iter_mut().zip(hex.as_bytes().chunks_exact(2)) {
        *byte = u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()?;
    }
    Some(digest)
}

fn is_name(text: &str) -> bool {
    (1..=64).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.@".contains(&b))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys() -> Keys {
        let text = "# of the shop\nsk-0123456789 name=shop requests=60 tokens=1000\n\n\
                    sha256:ef797c8118f02dfb649607dd5d3f8c7623048c9c063d532cc95c5ed7a898a64f\n";
        Keys::new(Keys::read(text).unwrap()).unwrap()
    }

    #[test]
    fn a_key_is_found_exactly_as_it_is_written() {
        let keys = keys();
        assert_eq!(keys.find(b"sk-0123456789").map(Key::name), Some("shop"));
        assert_eq!(keys.find(b"12345678").map(Key::name), Some("key-4"));
        for wrong in ["SK-0123456789", "sk-012345678", "sk-01234567890", "sk-0123456789 ", "", "shop"] {
            assert!(keys.find(wrong.as_bytes()).is_none(), "{wrong}");
        }
    }

    #[test]
    fn a_line_names_files_of_words() {
        let read = Keys::read("sk-0123456789 blocked-words=a.txt blocked-words=sub/b=c.txt name=x").unwrap();
        assert_eq!(
            (read[0].blocked_words(), read[0].name()),
            (&["a.txt".to_owned(), "sub/b=c.txt".to_owned()][..], "x")
        );
        assert!(Keys::read("sk-0123456789 blocked-words=").is_err());
    }

    #[test]
    fn a_bad_line_is_named_and_its_key_is_not() {
        for (line, words) in [
            ("short", "8 to 512"),
            ("sk-0123456789 admin=yes", "`admin=yes` is not a setting"),
            ("sk-0123456789 requests=0", "`requests=0`"),
            ("sk-0123456789 name=a/b", "`name=a/b`"),
            ("sha256:12", "64 hexadecimal"),
            ("sk-0123456789ä", "printable ASCII"),
        ] {
            let error = Keys::read(&format!("# keys\n{line}")).unwrap_err().to_string();
            assert!(error.starts_with("line 2: ") && error.contains(words), "{error}");
            assert!(!error.contains("sk-0123456789"), "{error}");
        }
        let twice = Keys::read("sk-0123456789\nsk-0123456789").unwrap();
        assert_eq!(Keys::new(twice).unwrap_err().to_string(), "a key is there twice");
    }

    #[test]
    fn nothing_shows_a_key() {
        let shown = format!("{:?}", keys());
        assert!(!shown.contains("0123456789") && !shown.contains("digest"), "{shown}");
    }
    /// Welch's t between two classes of times, as dudect has it (Reparaz, Balasch and Verbauwhede, 2017): the slowest hundredth, where the
    /// system did something else, is left out.
    fn welch(mut times: Vec<(bool, f64)>) -> f64 {
        times.sort_by(|a, b| a.1.total_cmp(&b.1));
        times.truncate(times.len() / 100 * 99);
        let moments = |class: bool| {
            let times: Vec<f64> = times.iter().filter(|(of, _)| *of == class).map(|(_, time)| *time).collect();
            let mean = times.iter().sum::<f64>() / times.len() as f64;
            let variance = times.iter().map(|time| (time - mean).powi(2)).sum::<f64>() / (times.len() - 1) as f64;
            (mean, variance / times.len() as f64)
        };
        let ((near, near_error), (far, far_error)) = (moments(true), moments(false));
        (near - far) / (near_error + far_error).sqrt()
    }

    #[test]
    #[ignore = "a million measurements: `cargo test --release -p gptneo-serve time -- --ignored --nocapture`"]
    fn how_near_a_wrong_key_is_does_not_show_in_its_time() {
        let keys =
            Keys::new((0..50).map(|i| Key::new(&i.to_string(), &format!("sk-{i:060}")).unwrap()).collect()).unwrap();
        let mut seed = 1u64;
        let mut draw = || {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            seed >> 33
        };
        // Near: a key but for its last character. Far: another word of the same length.
        let words: Vec<(bool, String)> = (0..4096)
            .map(|_| match draw() % 2 == 0 {
                true => (true, format!("sk-{:059}x", draw() % 5)),
                false => (false, format!("xy{:061}", draw())),
            })
            .collect();
        let mut times = Vec::with_capacity(1_000_000);
        for i in 0..1_000_000 {
            let (near, word) = &words[i % words.len()];
            let begun = std::time::Instant::now();
            let found = std::hint::black_box(keys.find(std::hint::black_box(word.as_bytes())).is_some());
            times.push((*near, begun.elapsed().as_nanos() as f64));
            assert!(!found);
        }
        // The measure sees a difference of one part in a hundred where there is one.
        let slower = times.iter().map(|&(near, time)| (near, if near { time * 1.01 } else { time })).collect();
        let (t, seen) = (welch(times), welch(slower));
        println!("t = {t:.2}; with one class slower by a hundredth {seen:.1}");
        assert!(seen > 4.5 && t.abs() < 4.5, "{t} {seen}");
    }
}
