//! Dropout without stored masks.

/// One place of dropout in one step. Whether an element is dropped depends on the key, its row and its column alone, so that
/// the backward pass, a recomputed layer and a resumed run see the same mask.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Dropout {
    /// Share of elements that become 0, at least 0 and below 1; the others are divided by `1 - probability`.
    pub probability: f32,
    /// Different for every seed, step, layer and place.
    pub key: u64,
}

impl Dropout {
    /// What multiplies the elements that stay.
    pub fn factor(self) -> f32 {
        1.0 / (1.0 - self.probability)
    }

    /// The key of one row: mixed in 64 bits once, so that the mixing of each element can do with 32.
    #[inline]
    pub fn row_key(self, row: u64) -> [u32; 2] {
        // The finaliser of SplitMix64 (Steele, Lea and Flood, 2014).
        let mut x = self.key ^ row.wrapping_add(1).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        x = (x ^ x >> 30).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        x = (x ^ x >> 27).wrapping_mul(0x94D0_49BB_1331_11EB);
        x ^= x >> 31;
        [x as u32, (x >> 32) as u32]
    }

    /// Elements whose [`mixed`](Self::mixed) number is below this are dropped.
    #[inline]
    pub fn threshold(self) -> u32 {
        (f64::from(self.probability) * 4_294_967_296.0) as u32
    }

    /// A uniform number for column `column` of the row with this key.
    #[inline(always)]
    pub fn mixed(row_key: [u32; 2], column: u32) -> u32 {
        // The finaliser of MurmurHash3 (Appleby), keyed before and within.
        let mut x = column.wrapping_mul(0x9E37_79B1) ^ row_key[0];
        x = (x ^ x >> 16).wrapping_mul(0x85EB_CA6B).wrapping_add(row_key[1]);
        x = (x ^ x >> 13).wrapping_mul(0xC2B2_AE35);
        x ^ x >> 16
    }

    /// Whether an element is kept.
    pub fn keeps(self, row: u64, column: u32) -> bool {
        Self::mixed(self.row_key(row), column) >= self.threshold()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn drops_the_share_asked_for_in_rows_and_in_columns() {
        for probability in [0.1f32, 0.5] {
            let dropout = Dropout { probability, key: 77 };
            let dropped =
                |cells: &mut dyn Iterator<Item = (u64, u32)>| cells.filter(|&(r, c)| !dropout.keeps(r, c)).count();
            let share = dropped(&mut (0..300).flat_map(|r| (0..300).map(move |c| (r, c)))) as f32 / 90_000.0;
            assert!((share - probability).abs() < 0.005, "{share}, not {probability}");
            for i in 0..5 {
                let row = dropped(&mut (0..10_000).map(|c| (i, c))) as f32 / 10_000.0;
                let column = dropped(&mut (0..10_000).map(|r| (r, i as u32))) as f32 / 10_000.0;
                assert!((row - probability).abs() < 0.025 && (column - probability).abs() < 0.025, "{row} {column}");
            }
        }
    }

    #[test]
    fn neighbours_in_rows_columns_and_keys_are_independent() {
        let keeps = |key, row, column| Dropout { probability: 0.5, key }.keeps(row, column);
        let agree = |f: &dyn Fn(u64, u32) -> bool| {
            let count = (0..200u64).flat_map(|r| (0..200u32).map(move |c| (r, c))).filter(|&(r, c)| f(r, c)).count();
            count as f64 / 40_000.0
        };
        for share in [
            agree(&|r, c| keeps(1, r, c) == keeps(1, r + 1, c)),
            agree(&|r, c| keeps(1, r, c) == keeps(1, r, c + 1)),
            agree(&|r, c| keeps(1, r, c) == keeps(2, r, c)),
        ] {
            assert!((share - 0.5).abs() < 0.015, "{share}");
        }
    }
}
