//! From tokens to text that is certain.
//!
//! Bytes of tokens become characters as soon as they are whole; bytes that can never be (and those left over at the
//! end) become U+FFFD, as a lossy decoding of the whole would have it. Text is held back while it may be the beginning
//! of a stop string, or while a rail holds it. A token goes out when all its text has: a reader of ids learns nothing
//! that a reader of text does not.

use std::collections::VecDeque;
use std::sync::Arc;

use gptneo_text::{Special, TextStream, Tokenizer};

use crate::generation::{Cause, Piece, Token};
use crate::rail::{Passage, Rail, TextVerdict};

/// What one request's samples have in common.
#[derive(Clone)]
pub(crate) struct Outlet {
    pub(crate) tokenizer: Option<Tokenizer>,
    pub(crate) rails: Arc<[Arc<dyn Rail>]>,
    pub(crate) stops: Arc<[String]>,
    pub(crate) echo: bool,
}

/// A token whose text is not wholly out.
struct Held {
    token: Token,
    begin: usize,
    /// `None` while its last character is incomplete.
    end: Option<usize>,
}

/// The text of one sample on its way out.
pub(crate) struct Emitter {
    outlet: Outlet,
    /// The prompt's text and all that was generated.
    text: String,
    /// Where the generated text begins.
    prompt: usize,
    /// Where the text that goes out begins: 0 with echo.
    start: usize,
    released: usize,
    /// `None`: tokens go out as ids alone.
    stream: Option<TextStream>,
    held: VecDeque<Held>,
    /// Stop strings that end at or before this byte do not stop.
    stop_floor: usize,
}

impl Emitter {
    /// Starts after `prompt`.
    pub(crate) fn new(outlet: Outlet, prompt: &[u32]) -> Self {
        let mut emitter = Self {
            text: String::new(),
            prompt: 0,
            start: 0,
            released: 0,
            stream: outlet.tokenizer.as_ref().map(|tokenizer| tokenizer.stream(Special::Skip)),
            held: VecDeque::new(),
            stop_floor: 0,
            outlet,
        };
        for &id in prompt {
            emitter.append(id);
        }
        emitter.prompt = emitter.text.len();
        emitter.stop_floor = emitter.prompt;
        if !emitter.outlet.echo {
            emitter.start = emitter.prompt;
            emitter.released = emitter.prompt;
        }
        emitter
    }

    /// Lets go what is certain of the echoed prompt.
    pub(crate) fn echo(&mut self) -> (Piece, Option<Cause>) {
        self.release(false)
    }

    /// Takes the next token; `may_stop`: whether stop strings that end in it count.
    pub(crate) fn push(&mut self, mut token: Token, may_stop: bool) -> (Piece, Option<Cause>) {
        if self.stream.is_none() {
            return (Piece { tokens: vec![token], ..Piece::default() }, None);
        }
        let begin = self.text.len();
        token.offset = begin - self.start;
        let whole = self.append(token.id);
        if self.text.len() > begin || whole {
            // The characters that earlier tokens began are whole now.
            self.settle();
        }
        let end = whole.then_some(self.text.len());
        self.held.push_back(Held { token, begin, end });
        if !may_stop {
            self.stop_floor = self.text.len();
        }
        self.release(false)
    }

    /// Nothing follows: lets go what was held back, unless a rail or stop string ends it before.
    pub(crate) fn finish(&mut self) -> (Piece, Option<Cause>) {
        if let Some(stream) = &mut self.stream {
            self.text.push_str(stream.finish());
        }
        self.settle();
        self.release(true)
    }

    fn settle(&mut self) {
        let end = self.text.len();
        self.held.iter_mut().filter(|h| h.end.is_none()).for_each(|h| h.end = Some(end));
    }

    /// Adds the characters that `id` makes whole; returns whether none is left incomplete. Control tokens, and ids
    /// that the tokenizer does not know (a model's output may have more rows), have no text.
    fn append(&mut self, id: u32) -> bool {
        let Some(stream) = &mut self.stream else { return true };
        if let Ok(text) = stream.push(id) {
            self.text.push_str(text);
        }
        stream.held_bytes() == 0
    }

    fn release(&mut self, last: bool) -> (Piece, Option<Cause>) {
        let (limit, cause) = self.rule(last);
        let mut piece = Piece { text: self.text[self.released..limit].to_owned(), ..Piece::default() };
        self.released = limit;
        // A token that a stop string cuts in two did come out; one that a rail cuts would tell what was cut.
        let halves = !matches!(cause, None | Some(Cause::Rail { .. }));
        while let Some(held) = self.held.front() {
            let whole = held.end.is_some_and(|end| end <= limit);
            if !(whole || halves && held.begin < limit) {
                break;
            }
            piece.tokens.extend(self.held.pop_front().map(|held| held.token));
        }
        (piece, cause)
    }

    /// Up to which byte text may go out, and why it ends there, if it does.
    fn rule(&self, mut last: bool) -> (usize, Option<Cause>) {
        let mut end = self.text.len();
        let mut cause = None;
        loop {
            let mut limit = end;
            let mut cut = self.stop(end);
            if !last {
                limit = limit.min(self.stop_may_begin(end));
            }
            for rail in self.outlet.rails.iter() {
                let passage = Passage { text: &self.text[..end], prompt: self.prompt, released: self.released, last };
                match rail.inspect_text(passage) {
                    TextVerdict::Emit => {}
                    TextVerdict::Hold { .. } if last => {}
                    TextVerdict::Hold { from } => limit = limit.min(self.boundary(from)),
                    TextVerdict::Cut { at, reason } => {
                        let at = self.boundary(at);
                        if cut.as_ref().is_none_or(|(earlier, _)| at <= *earlier) {
                            cut = Some((at, Cause::Rail { rail: rail.name().to_owned(), reason }));
                        }
                    }
                }
            }
            match cut {
                // What lies before the cut is looked at again as a text that ends there.
                Some((at, why)) if at < end || cause.is_none() => {
                    end = at.min(end);
                    cause = Some(why);
                    last = true;
                }
                _ => return (limit, cause),
            }
        }
    }

    /// `at`, kept inside the held text and moved back to a character boundary.
    fn boundary(&self, at: usize) -> usize {
        self.text.floor_char_boundary(at.clamp(self.released, self.text.len()))
    }

    /// The earliest stop string in the held text before `end`.
    fn stop(&self, end: usize) -> Option<(usize, Cause)> {
        let begins = |stop: &String| {
            let counts = (self.stop_floor + 1).saturating_sub(stop.len());
            let from = self.text.ceil_char_boundary(counts.max(self.released).max(self.prompt));
            self.text.get(from..end)?.find(stop.as_str()).map(|at| from + at)
        };
        let found = self.outlet.stops.iter().filter_map(|stop| begins(stop).map(|at| (at, stop)));
        found.min_by_key(|(at, _)| *at).map(|(at, stop)| (at, Cause::StopString(stop.clone())))
    }

    /// The first byte from which the held text before `end` may become a stop string.
    fn stop_may_begin(&self, end: usize) -> usize {
        let from = self.released.max(self.prompt).min(end);
        let text = &self.text.as_bytes()[from..end];
        let begins = |stop: &String| {
            let longest = text.len().min(stop.len() - 1);
            (1..=longest).rev().find(|&len| text.ends_with(&stop.as_bytes()[..len])).map(|len| end - len)
        };
        self.outlet.stops.iter().filter_map(begins).min().unwrap_or(end)
    }
}
