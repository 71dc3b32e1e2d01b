//! A shuffled order of `0..n` that needs no memory: a keyed Feistel network, walked until it lands inside.

/// Rounds of the network; four already make a pseudo-random permutation of a good round function.
const ROUNDS: usize = 6;

/// A permutation of `0..len`, the same for the same key everywhere.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Permutation {
    len: u64,
    /// Bits of each half: the network permutes `0..1 << (2 * half)`, less than four times `len`.
    half: u32,
    keys: [u64; ROUNDS],
}

impl Permutation {
    /// The permutation of `0..len` that belongs to `key`.
    ///
    /// # Panics
    /// If `len` is 0, or above 2^62.
    pub fn new(len: u64, key: u64) -> Self {
        assert!((1..=1 << 62).contains(&len), "a permutation of {len}");
        let bits = 64 - (len - 1).leading_zeros();
        let mut keys = [0; ROUNDS];
        let mut state = key;
        for key in &mut keys {
            state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
            *key = mix(state);
        }
        Self { len, half: bits.div_ceil(2).max(1), keys }
    }

    /// How many are permuted.
    pub fn count(&self) -> u64 {
        self.len
    }

    /// Where `index` goes.
    ///
    /// # Panics
    /// If `index` is not below the count.
    pub fn at(&self, index: u64) -> u64 {
        assert!(index < self.len, "{index} of {}", self.len);
        // Each step is a bijection of the larger range, so the walk comes back inside: after four steps on average at most.
        let mut at = self.step(index);
        while at >= self.len {
            at = self.step(at);
        }
        at
    }

    fn step(&self, index: u64) -> u64 {
        let mask = (1 << self.half) - 1;
        let (mut left, mut right) = (index >> self.half, index & mask);
        for key in self.keys {
            (left, right) = (right, left ^ (mix(right ^ key) & mask));
        }
        left << self.half | right
    }
}

/// The finaliser of splitmix64.
pub(super) fn mix(mut x: u64) -> u64 {
    x = (x ^ x >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x = (x ^ x >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ x >> 31
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_a_bijection() {
        for len in (1..70).chain([127, 128, 129, 1000, 4096, 65_537]) {
            for key in 0..4 {
                let order = Permutation::new(len, key);
                let mut seen = vec![false; len as usize];
                for index in 0..len {
                    let at = order.at(index) as usize;
                    assert!(!std::mem::replace(&mut seen[at], true), "{at} twice of {len}, key {key}");
                }
            }
        }
    }

    #[test]
    fn stays_inside_where_it_cannot_be_counted_out() {
        for len in [(1 << 40) + 1, (1 << 61) + 12_345, 1 << 62] {
            let order = Permutation::new(len, 7);
            let mut images: Vec<u64> = (0..1000).map(|i| order.at(i)).collect();
            assert!(images.iter().all(|&at| at < len));
            images.sort_unstable();
            images.dedup();
            assert_eq!(images.len(), 1000);
        }
    }

    #[test]
    fn looks_shuffled() {
        // Of 10,000 uniform images, each tenth gets 1000 on average with a deviation of 30; neighbours do not stay so.
        let order = Permutation::new(10_000, 3);
        let mut tenths = [0; 10];
        for index in 0..1000 {
            tenths[order.at(index) as usize / 1000] += 1;
        }
        assert!(tenths.iter().all(|&count| (50..150).contains(&count)), "{tenths:?}");
        let close = (1..10_000).filter(|&i| order.at(i).abs_diff(order.at(i - 1)) == 1).count();
        assert!(close < 15, "{close} neighbours stayed neighbours");
        assert!((0..10_000).filter(|&i| order.at(i) == Permutation::new(10_000, 4).at(i)).count() < 15);
    }
}
