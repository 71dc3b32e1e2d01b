//! Chance, drawn so that anyone can draw it again.
//!
//! The generator is counter-based. Its key is the 64-bit FNV-1a hash of the UTF-8 bytes of some labels joined by newlines,
//! passed through the finaliser of SplitMix64 (`mix`); its word `i` is `mix(key + (i + 1) * 0x9E3779B97F4A7C15)`, all
//! modulo 2^64. The page draws the same words in its own script, and `.ci/review_page.py` in a third way.
//!
//! FNV-1a: <http://www.isthe.com/chongo/tech/comp/fnv/>. SplitMix64: Steele, Lea, Flood, "Fast splittable pseudorandom number
//! generators", OOPSLA 2014.

const GOLDEN: u64 = 0x9E37_79B9_7F4A_7C15;

/// A stream of words.
pub(crate) struct Draws {
    key: u64,
    next: u64,
}

impl Draws {
    /// The stream that these labels name. None of them holds a newline.
    pub(crate) fn new(labels: &[&str]) -> Self {
        let mut hash: u64 = 0xcbf2_9ce4_8422_2325;
        for byte in labels.join("\n").bytes() {
            hash = (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
        }
        Self { key: mix(hash), next: 0 }
    }

    /// Uniform over all words.
    pub(crate) fn word(&mut self) -> u64 {
        self.next += 1;
        mix(self.key.wrapping_add(self.next.wrapping_mul(GOLDEN)))
    }

    /// Heads or tails: the highest bit of a word.
    pub(crate) fn coin(&mut self) -> bool {
        self.word() >> 63 == 1
    }

    /// Uniform over `0..n`: the high half of `word * n`, words that would favour some numbers thrown away.
    pub(crate) fn below(&mut self, n: usize) -> usize {
        let n = n as u64;
        let unfair = n.wrapping_neg() % n;
        loop {
            let product = u128::from(self.word()) * u128::from(n);
            if product as u64 >= unfair {
                return (product >> 64) as usize;
            }
        }
    }

    /// Every order equally likely (Fisher and Yates).
    pub(crate) fn shuffle<T>(&mut self, list: &mut [T]) {
        for end in (1..list.len()).rev() {
            list.swap(end, self.below(end + 1));
        }
    }
}

fn mix(mut z: u64) -> u64 {
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn draws_the_words_of_the_definition() {
        // FNV-1a of "a" is a published test vector; the rest was computed with Python integers.
        let mut draws = Draws::new(&["a"]);
        assert_eq!(draws.key, mix(0xaf63_dc4c_8601_ec8c));
        assert_eq!([draws.word(), draws.word()], FIRST_WORDS);
        assert_eq!(mix(GOLDEN), 0xe220_a839_7b1d_cdaf, "the first word of SplitMix64 seeded with 0");
    }

    const FIRST_WORDS: [u64; 2] = [0x538a_21ec_5e49_5b1a, 0x6082_e4fa_4c45_e2c7];

    #[test]
    fn is_fair() {
        let mut counts = [0_u32; 7];
        let mut draws = Draws::new(&["fair", "7"]);
        (0..70_000).for_each(|_| counts[draws.below(7)] += 1);
        assert!(counts.iter().all(|&count| count.abs_diff(10_000) < 400), "{counts:?}");
        let heads = (0..10_000).filter(|_| draws.coin()).count();
        assert!(heads.abs_diff(5000) < 200, "{heads}");
        assert_eq!(draws.below(1), 0);
        let mut orders = std::collections::BTreeMap::new();
        for _ in 0..6000 {
            let mut list = [0, 1, 2];
            draws.shuffle(&mut list);
            *orders.entry(list).or_insert(0_u32) += 1;
        }
        assert!(orders.len() == 6 && orders.values().all(|&count| count.abs_diff(1000) < 150), "{orders:?}");
    }

    #[test]
    fn neighbouring_labels_share_nothing() {
        let heads = (0..10_000).filter(|item| Draws::new(&["sheet", "ann", "sides", &item.to_string()]).coin()).count();
        assert!(heads.abs_diff(5000) < 200, "{heads}");
        assert_ne!(Draws::new(&["a", "bc"]).word(), Draws::new(&["ab", "c"]).word());
    }
}
