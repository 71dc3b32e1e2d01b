//! N-grams of all orders of a sequence, from one sort.
//!
//! Each place of a sequence becomes a key: its next symbols side by side in 128 bits, the first one highest, zeros after the
//! end. Sorted, the keys that share an n-gram stand together for every n, so that counting is a walk. No hashing: text that
//! was made to collide gains nothing. 16 bytes a symbol.

/// Symbols of a width in bits, so many of them in a key.
#[derive(Debug, Clone, Copy)]
struct Shape {
    width: u32,
    longest: u32,
}

/// The n-grams of one sequence.
pub(crate) struct Grams {
    keys: Vec<u128>,
    shape: Shape,
}

impl Grams {
    /// Up to 4 numbers of words; none of them is 0.
    pub(crate) fn of_words(words: &[u32]) -> Self {
        Self::new(words.iter().copied(), Shape { width: 32, longest: 4 })
    }

    /// Up to 6 characters.
    pub(crate) fn of_characters(text: impl DoubleEndedIterator<Item = char>) -> Self {
        // 21 bits hold the last code point plus one.
        Self::new(text.map(|c| u32::from(c) + 1), Shape { width: 21, longest: 6 })
    }

    fn new(symbols: impl DoubleEndedIterator<Item = u32>, shape: Shape) -> Self {
        let first = shape.width * (shape.longest - 1);
        let mut key = 0;
        let backwards = symbols.rev().map(|symbol| {
            key = (u128::from(symbol) << first) | (key >> shape.width);
            key
        });
        let mut keys: Vec<u128> = backwards.collect();
        keys.sort_unstable();
        Self { keys, shape }
    }

    /// How many n-grams there are, repeated ones counted each time.
    pub(crate) fn count(&self, order: usize) -> u64 {
        (self.keys.len() + 1).saturating_sub(order) as u64
    }

    /// How many n-grams are in one of the others too. One that is repeated counts as often as it is repeated in that other
    /// which has it most often.
    pub(crate) fn clipped(&self, others: &[&Self], order: usize) -> u64 {
        let Shape { width, longest } = self.shape;
        let shift = width * (longest - order as u32);
        let last = (1_u128 << width) - 1;
        let mut rests: Vec<&[u128]> = others.iter().map(|other| other.keys.as_slice()).collect();
        let mut sum = 0;
        for same in self.keys.chunk_by(|a, b| a >> shift == b >> shift) {
            let gram = same[0] >> shift;
            if gram & last == 0 {
                // The sequence ends within it.
                continue;
            }
            let mut most = 0;
            for rest in &mut rests {
                let before = rest.iter().take_while(|key| **key >> shift < gram).count();
                let equal = rest[before..].iter().take_while(|key| **key >> shift == gram).count();
                *rest = &rest[before + equal..];
                most = most.max(equal);
            }
            sum += same.len().min(most) as u64;
        }
        sum
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_repeated_gram_counts_as_often_as_one_other_has_it() {
        let [a, b, c] = [[1, 1, 1].as_slice(), &[1, 1, 2], &[1, 2, 1]].map(Grams::of_words);
        assert_eq!(a.clipped(&[&b, &c], 1), 2);
        assert_eq!(a.clipped(&[&b, &c], 2), 1);
        assert_eq!(a.clipped(&[&b, &c], 3), 0);
    }

    #[test]
    fn a_sequence_shorter_than_the_order_has_no_gram() {
        let [short, long] = ["ab", "abcabc"].map(|text| Grams::of_characters(text.chars()));
        assert_eq!([short.count(2), short.count(3), short.count(6)], [1, 0, 0]);
        assert_eq!([short.clipped(&[&short], 2), short.clipped(&[&short], 3)], [1, 0]);
        assert_eq!(long.clipped(&[&long], 6), 1);
    }

    #[test]
    fn the_last_code_point_and_the_last_number_fit() {
        let text = "\u{10ffff}\u{10ffff}\u{0}\u{10ffff}\u{10ffff}\u{10ffff}";
        let grams = Grams::of_characters(text.chars());
        assert_eq!((1..=6).map(|order| grams.clipped(&[&grams], order)).collect::<Vec<_>>(), [6, 5, 4, 3, 2, 1]);
        let grams = Grams::of_words(&[u32::MAX; 4]);
        assert_eq!((1..=4).map(|order| grams.clipped(&[&grams], order)).collect::<Vec<_>>(), [4, 3, 2, 1]);
    }
}
