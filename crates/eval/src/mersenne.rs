//! The generator of Python's `random.Random`: the reference harness draws examples and bootstraps with it, so whoever wants its
//! numbers must draw as it does.
//!
//! MT19937 (Matsumoto and Nishimura, 1998) seeded by an integer as CPython seeds it; the derived draws (`random`, `shuffle`,
//! `sample`, `choices`) follow the documented algorithms of CPython 3. Held by the tests below against numbers printed by Python 3.11.

const N: usize = 624;
const M: usize = 397;

/// The state of a generator.
#[derive(Clone, Debug)]
pub struct Mersenne {
    state: [u32; N],
    at: usize,
}

impl Mersenne {
    /// `random.Random(seed)`.
    pub fn new(seed: u64) -> Self {
        let mut state = [0u32; N];
        state[0] = 19_650_218;
        for i in 1..N {
            state[i] = 1_812_433_253u32.wrapping_mul(state[i - 1] ^ (state[i - 1] >> 30)).wrapping_add(i as u32);
        }
        let words = [seed as u32, (seed >> 32) as u32];
        let key = if words[1] == 0 { &words[..1] } else { &words[..] };
        let (mut i, mut j) = (1, 0);
        for _ in 0..N {
            let mixed = (state[i - 1] ^ (state[i - 1] >> 30)).wrapping_mul(1_664_525);
            state[i] = (state[i] ^ mixed).wrapping_add(key[j]).wrapping_add(j as u32);
            j = (j + 1) % key.len();
            step(&mut state, &mut i);
        }
        for _ in 0..N - 1 {
            let mixed = (state[i - 1] ^ (state[i - 1] >> 30)).wrapping_mul(1_566_083_941);
            state[i] = (state[i] ^ mixed).wrapping_sub(i as u32);
            step(&mut state, &mut i);
        }
        state[0] = 0x8000_0000;
        Self { state, at: N }
    }

    fn word(&mut self) -> u32 {
        if self.at == N {
            for i in 0..N {
                let y = (self.state[i] & 0x8000_0000) | (self.state[(i + 1) % N] & 0x7fff_ffff);
                let twisted = if y & 1 == 1 { 0x9908_b0df } else { 0 };
                self.state[i] = self.state[(i + M) % N] ^ (y >> 1) ^ twisted;
            }
            self.at = 0;
        }
        let mut y = self.state[self.at];
        self.at += 1;
        y ^= y >> 11;
        y ^= (y << 7) & 0x9d2c_5680;
        y ^= (y << 15) & 0xefc6_0000;
        y ^ (y >> 18)
    }

    /// A number in `[0, 1)` with 53 bits: `random()`.
    pub fn unit(&mut self) -> f64 {
        let (high, low) = (self.word() >> 5, self.word() >> 6);
        (f64::from(high) * 67_108_864.0 + f64::from(low)) / 9_007_199_254_740_992.0
    }

    /// A number below `bound`, which is neither 0 nor above 2^32: `randrange(bound)`.
    pub fn below(&mut self, bound: usize) -> usize {
        let bits = usize::BITS - bound.leading_zeros();
        debug_assert!((1..=32).contains(&bits), "documents are counted in 32 bits");
        loop {
            let drawn = (self.word() >> (32 - bits)) as usize;
            if drawn < bound {
                return drawn;
            }
        }
    }

    /// `shuffle(items)`.
    pub fn shuffle<T>(&mut self, items: &mut [T]) {
        for i in (1..items.len()).rev() {
            let j = self.below(i + 1);
            items.swap(i, j);
        }
    }

    /// `sample(range(len), count)`: distinct places, in the order drawn. `None` where there are fewer than `count`.
    pub fn sample(&mut self, len: usize, count: usize) -> Option<Vec<usize>> {
        if count > len {
            return None;
        }
        // Two ways, by which takes less memory in Python; they draw different places.
        let mut set_size = 21usize;
        if count > 5 {
            set_size += 4usize.pow((count as f64 * 3.0).log(4.0).ceil() as u32);
        }
        if len <= set_size {
            let mut pool: Vec<usize> = (0..len).collect();
            return Some(
                (0..count)
                    .map(|i| {
                        let j = self.below(len - i);
                        let drawn = pool[j];
                        pool[j] = pool[len - i - 1];
                        drawn
                    })
                    .collect(),
            );
        }
        let mut seen = std::collections::HashSet::new();
        let mut drawn = Vec::with_capacity(count);
        while drawn.len() < count {
            let j = self.below(len);
            if seen.insert(j) {
                drawn.push(j);
            }
        }
        Some(drawn)
    }

    /// `choices(range(len), k=len)` into `places`: with replacement.
    pub fn choices(&mut self, len: usize, places: &mut Vec<u32>) {
        places.clear();
        places.extend((0..len).map(|_| (self.unit() * len as f64) as u32));
    }
}

fn step(state: &mut [u32; N], i: &mut usize) {
    *i += 1;
    if *i >= N {
        state[0] = state[N - 1];
        *i = 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(seed: u64, units: &[f64], below: &[usize], order: &[usize], samples: [&[usize]; 3], drawn: &[u32]) {
        let mut random = Mersenne::new(seed);
        for unit in units {
            assert_eq!(random.unit(), *unit);
        }
        for (bound, wanted) in [1, 2, 7, 1000, 5153].into_iter().zip(below) {
            assert_eq!(random.below(bound), *wanted);
        }
        let mut items: Vec<usize> = (0..10).collect();
        random.shuffle(&mut items);
        assert_eq!(items, order);
        for ((len, count), wanted) in [(30, 4), (12, 3), (5000, 8)].into_iter().zip(samples) {
            assert_eq!(random.sample(len, count).unwrap(), wanted);
        }
        let mut places = Vec::new();
        random.choices(9, &mut places);
        assert_eq!(places, drawn);
        assert_eq!(random.sample(3, 4), None);
    }

    #[test]
    fn draws_what_python_draws() {
        check(
            0,
            &[0.8444218515250481, 0.7579544029403025, 0.420571580830845],
            &[0, 1, 3, 940, 2484],
            &[6, 9, 0, 8, 2, 1, 4, 3, 5, 7],
            [&[29, 17, 22, 25], &[9, 2, 4], &[809, 604, 2704, 3867, 4585, 824, 2898, 3556]],
            &[2, 5, 1, 4, 3, 4, 0, 8, 8],
        );
        check(
            1,
            &[0.13436424411240122, 0.8474337369372327, 0.763774618976614],
            &[0, 0, 3, 779, 3682],
            &[2, 4, 1, 5, 8, 9, 0, 3, 6, 7],
            [&[22, 14, 8, 23], &[3, 9, 1], &[2600, 250, 182, 208, 4435, 75, 3122, 1774]],
            &[8, 6, 4, 6, 8, 4, 3, 6, 6],
        );
        check(
            42,
            &[0.6394267984578837, 0.025010755222666936, 0.27502931836911926],
            &[0, 0, 5, 104, 4467],
            &[3, 5, 2, 4, 9, 8, 7, 0, 6, 1],
            [&[17, 6, 22, 20], &[11, 8, 6], &[1805, 3679, 4827, 2278, 53, 1307, 3462, 2787]],
            &[2, 1, 6, 0, 3, 3, 3, 2, 0],
        );
        check(
            1234,
            &[0.9664535356921388, 0.4407325991753527, 0.007491470058587191],
            &[0, 0, 0, 784, 2905],
            &[5, 1, 4, 9, 2, 7, 6, 8, 0, 3],
            [&[4, 2, 5, 22], &[1, 0, 8], &[3987, 2046, 528, 4432, 3816, 561, 4927, 728]],
            &[4, 0, 7, 0, 2, 7, 2, 5, 1],
        );
        check(
            4294967301,
            &[0.15727238718789782, 0.2824866316461999, 0.6044540318498407],
            &[0, 1, 5, 175, 4061],
            &[0, 2, 8, 4, 1, 6, 7, 9, 3, 5],
            [&[26, 24, 19, 28], &[2, 6, 8], &[140, 931, 3039, 1550, 2351, 4698, 2477, 3520]],
            &[4, 4, 0, 2, 1, 8, 4, 4, 2],
        );
    }
}
