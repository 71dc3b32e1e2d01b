//! A set of sequences of numbers, and where they occur in a stream of numbers.
//!
//! A rolling hash proposes and a comparison decides, so two sequences with one hash are never taken for one another. Memory is that of the
//! set; the stream may be of any length.

use std::collections::HashMap;

/// Odd, so that no power of it is 0 modulo 2^64.
const BASE: u64 = 0x9e37_79b9_7f4a_7c15;

/// Symbols that a stream keeps beyond the longest sequence before it moves the last ones to the front.
const SLACK: usize = 1024;

/// No further sequence of this hash.
const NONE: u32 = u32::MAX;

/// Distinct sequences, each with a number in the order in which it came.
#[derive(Debug)]
pub(crate) struct Sequences {
    /// Symbols of all that was added.
    text: Vec<u32>,
    entries: Vec<Entry>,
    /// The last sequence of a hash; those before it hang on it.
    by_hash: HashMap<u64, u32>,
    /// Bits by hash: most of what is not in the set is told by one look.
    filter: Vec<u64>,
    /// Lengths there are, each with the power of the base that belongs to it.
    lengths: Vec<(usize, u64)>,
    /// Which bits of a hash are looked at: all of them, but where a test wants collisions.
    mask: u64,
}

#[derive(Clone, Copy, Debug)]
struct Entry {
    at: usize,
    len: usize,
    before: u32,
}

impl Sequences {
    pub(crate) fn new() -> Self {
        Self {
            text: Vec::new(),
            entries: Vec::new(),
            by_hash: HashMap::new(),
            filter: vec![0; 16],
            lengths: Vec::new(),
            mask: u64::MAX,
        }
    }

    #[cfg(test)]
    fn with_mask(mask: u64) -> Self {
        Self { mask, ..Self::new() }
    }

    /// Adds every stretch of `len` symbols (at least one), and returns their numbers in the order of the stretches.
    pub(crate) fn add(&mut self, symbols: &[u32], len: usize) -> Vec<u32> {
        let start = self.text.len();
        let known = self.entries.len();
        self.text.extend_from_slice(symbols);
        let numbers = (0..(symbols.len() + 1).saturating_sub(len)).map(|at| self.place(start + at, len)).collect();
        if self.entries.len() == known {
            self.text.truncate(start);
        }
        numbers
    }

    /// How many there are.
    pub(crate) fn count(&self) -> usize {
        self.entries.len()
    }

    /// The symbols of a sequence.
    pub(crate) fn symbols(&self, number: u32) -> &[u32] {
        let Entry { at, len, .. } = self.entries[number as usize];
        &self.text[at..at + len]
    }

    fn place(&mut self, at: usize, len: usize) -> u32 {
        let window = &self.text[at..at + len];
        let hash = window.iter().fold(0u64, |sum, &symbol| next(sum, symbol));
        let key = self.key(hash, len);
        if let Some(number) = self.find(key, window) {
            return number;
        }
        let number = u32::try_from(self.entries.len()).expect("fewer sequences than 2^32 fit in memory");
        let before = self.by_hash.insert(key, number).unwrap_or(NONE);
        self.entries.push(Entry { at, len, before });
        if !self.lengths.iter().any(|(known, _)| *known == len) {
            self.lengths.push((len, (0..len).fold(1u64, |power, _| power.wrapping_mul(BASE))));
        }
        if self.entries.len() * 16 > self.filter.len() * 64 {
            self.filter = vec![0; self.filter.len() * 2];
            let keys: Vec<u64> = self.by_hash.keys().copied().collect();
            keys.into_iter().for_each(|key| self.mark(key));
        }
        self.mark(key);
        number
    }

    fn key(&self, hash: u64, len: usize) -> u64 {
        (hash ^ mix(len as u64)) & self.mask
    }

    /// The bit of a hash in the filter, whose length is a power of two.
    fn bit(&self, key: u64) -> usize {
        mix(key) as usize & (self.filter.len() * 64 - 1)
    }

    fn mark(&mut self, key: u64) {
        let bit = self.bit(key);
        self.filter[bit / 64] |= 1 << (bit % 64);
    }

    fn find(&self, key: u64, window: &[u32]) -> Option<u32> {
        let bit = self.bit(key);
        if self.filter[bit / 64] & (1 << (bit % 64)) == 0 {
            return None;
        }
        let mut at = *self.by_hash.get(&key)?;
        while at != NONE {
            if self.symbols(at) == window {
                return Some(at);
            }
            at = self.entries[at as usize].before;
        }
        None
    }
}

/// A stream of symbols in which the sequences of a set are looked for.
#[derive(Debug)]
pub(crate) struct Stream<'a> {
    set: &'a Sequences,
    longest: usize,
    /// The last symbols since the last cut.
    symbols: Vec<u32>,
    /// Hashes of what the stream was before each of them, and after the last.
    sums: Vec<u64>,
}

impl<'a> Stream<'a> {
    pub(crate) fn new(set: &'a Sequences) -> Self {
        let longest = set.lengths.iter().map(|(len, _)| *len).max().unwrap_or(0);
        Self { set, longest, symbols: Vec::new(), sums: vec![0] }
    }

    /// No sequence reaches across this place.
    pub(crate) fn cut(&mut self) {
        self.symbols.clear();
        self.sums.truncate(1);
    }

    /// Takes the next symbol, and tells the number of every sequence that ends with it.
    pub(crate) fn push(&mut self, symbol: u32, mut found: impl FnMut(u32)) {
        self.symbols.push(symbol);
        let sum = next(self.sums[self.sums.len() - 1], symbol);
        self.sums.push(sum);
        let count = self.symbols.len();
        for &(len, power) in &self.set.lengths {
            if len > count {
                continue;
            }
            let hash = sum.wrapping_sub(self.sums[count - len].wrapping_mul(power));
            if let Some(number) = self.set.find(self.set.key(hash, len), &self.symbols[count - len..]) {
                found(number);
            }
        }
        if count == self.longest + SLACK {
            self.symbols.drain(..SLACK);
            self.sums.drain(..SLACK);
        }
    }
}

fn next(sum: u64, symbol: u32) -> u64 {
    sum.wrapping_mul(BASE).wrapping_add(mix(u64::from(symbol) + 1))
}

fn mix(mut number: u64) -> u64 {
    number = (number ^ (number >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    number = (number ^ (number >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    number ^ (number >> 31)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// What ends at each place of a stream in pieces, by comparing everything with everything.
    fn plainly(set: &Sequences, pieces: &[Vec<u32>]) -> Vec<(usize, usize, Vec<u32>)> {
        let mut found = Vec::new();
        for (piece, symbols) in pieces.iter().enumerate() {
            for end in 0..=symbols.len() {
                for number in 0..set.entries.len() as u32 {
                    if symbols[..end].ends_with(set.symbols(number)) {
                        found.push((piece, end, set.symbols(number).to_vec()));
                    }
                }
            }
        }
        found.sort();
        found
    }

    fn rolling(set: &Sequences, pieces: &[Vec<u32>]) -> Vec<(usize, usize, Vec<u32>)> {
        let mut found = Vec::new();
        let mut stream = Stream::new(set);
        for (piece, symbols) in pieces.iter().enumerate() {
            stream.cut();
            for (at, &symbol) in symbols.iter().enumerate() {
                stream.push(symbol, |number| found.push((piece, at + 1, set.symbols(number).to_vec())));
            }
        }
        found.sort();
        found
    }

    proptest! {
        #[test]
        fn finds_what_comparing_everything_finds(
            added in prop::collection::vec((prop::collection::vec(0u32..3, 1..9), 1usize..5), 1..12),
            pieces in prop::collection::vec(prop::collection::vec(0u32..3, 0..40), 1..6),
            bits in 0u32..65,
        ) {
            // With few bits nearly every hash collides, and the answer must be the same.
            let mask = if bits == 64 { u64::MAX } else { (1 << bits) - 1 };
            let mut set = Sequences::with_mask(mask);
            for (symbols, len) in &added {
                let numbers = set.add(symbols, *len);
                let windows: Vec<&[u32]> = symbols.windows(*len).collect();
                prop_assert_eq!(numbers.iter().map(|&number| set.symbols(number)).collect::<Vec<_>>(), windows);
            }
            prop_assert_eq!(rolling(&set, &pieces), plainly(&set, &pieces));
        }
    }

    #[test]
    fn a_long_stream_forgets_nothing_it_needs() {
        let mut set = Sequences::new();
        let wanted: Vec<u32> = (0..100).collect();
        let number = set.add(&wanted, 100)[0];
        let mut stream = Stream::new(&set);
        let mut ends = Vec::new();
        for at in 0..10_000u32 {
            let symbol = if at >= 1500 { at % 777 } else { 1_000_000 + at };
            stream.push(symbol, |found| ends.push((at, found)));
        }
        // `at % 777` begins anew at 1554, 2331, ...
        assert_eq!(ends[..2], [(1554 + 99, number), (2331 + 99, number)]);
        assert_eq!(ends.len(), 11);
    }

    #[test]
    fn the_same_sequence_has_one_number() {
        let mut set = Sequences::new();
        assert_eq!(set.add(&[1, 2, 1, 2, 1], 2), [0, 1, 0, 1]);
        assert_eq!(set.add(&[2, 1], 2), [1]);
        assert_eq!(set.add(&[2, 1], 3), [0; 0]);
        assert_eq!(set.text.len(), 5);
    }
}
