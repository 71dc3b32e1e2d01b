//! Byte pair encoding of one word: from the ids of its bytes to the ids of its tokens.
//!
//! Repeatedly the adjacent pair of lowest rank is replaced by its product, the leftmost one where ranks tie, until no
//! pair has a rank. Short words scan for the minimum; long ones keep a heap of pairs, so that a word of `n` bytes costs
//! `n log n`. Both agree with `tests::specification` on random words and merge lists.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};

/// The rank of a pair that does not merge.
const NEVER: u32 = u32::MAX;

/// Words of at most this many bytes are merged by scanning: below it the scan beats the heap.
const SCAN: usize = 32;

/// The merge list: which pairs of ids merge, in what order, into what.
pub(crate) struct Merges {
    rank_of: HashMap<u64, u32, foldhash::fast::RandomState>,
    product_of: Vec<u32>,
}

impl Merges {
    /// From `(left, right, product)` in order of rank. A pair listed twice keeps its last rank, as the reference does.
    pub(crate) fn new(list: &[(u32, u32, u32)]) -> Self {
        let mut rank_of = HashMap::with_capacity_and_hasher(list.len(), foldhash::fast::RandomState::default());
        for (rank, &(left, right, _)) in list.iter().enumerate() {
            rank_of.insert(pair(left, right), rank as u32);
        }
        Self { rank_of, product_of: list.iter().map(|&(_, _, product)| product).collect() }
    }

    fn rank(&self, left: u32, right: u32) -> u32 {
        self.rank_of.get(&pair(left, right)).copied().unwrap_or(NEVER)
    }

    /// Merges `symbols` in place.
    pub(crate) fn apply(&self, symbols: &mut Vec<u32>, scratch: &mut MergeScratch) {
        if symbols.len() <= SCAN {
            self.scan(symbols, &mut scratch.ranks);
        } else {
            self.heap(symbols, scratch);
        }
    }

    fn scan(&self, symbols: &mut Vec<u32>, ranks: &mut Vec<u32>) {
        ranks.clear();
        ranks.extend(symbols.windows(2).map(|two| self.rank(two[0], two[1])));
        loop {
            let mut best = NEVER;
            let mut at = 0;
            for (i, &rank) in ranks.iter().enumerate() {
                if rank < best {
                    best = rank;
                    at = i;
                }
            }
            if best == NEVER {
                return;
            }
            symbols[at] = self.product_of[best as usize];
            symbols.remove(at + 1);
            ranks.remove(at);
            if at > 0 {
                ranks[at - 1] = self.rank(symbols[at - 1], symbols[at]);
            }
            if at < ranks.len() {
                ranks[at] = self.rank(symbols[at], symbols[at + 1]);
            }
        }
    }

    fn heap(&self, symbols: &mut Vec<u32>, scratch: &mut MergeScratch) {
        let MergeScratch { ranks, next, previous, queue } = scratch;
        let n = symbols.len();
        // `ranks[i]` is the rank of the pair that starts at symbol `i`; a queued pair whose rank has changed is stale.
        ranks.clear();
        ranks.extend(symbols.windows(2).map(|two| self.rank(two[0], two[1])));
        ranks.push(NEVER);
        next.clear();
        next.extend(1..=n as u32);
        previous.clear();
        previous.extend((0..n as u32).map(|i| i.wrapping_sub(1)));
        let queued = ranks.iter().enumerate().filter(|&(_, &rank)| rank != NEVER);
        let mut keys = std::mem::take(queue).into_vec();
        keys.clear();
        keys.extend(queued.map(|(i, &rank)| Reverse(key(rank, i as u32))));
        *queue = BinaryHeap::from(keys);
        while let Some(Reverse(found)) = queue.pop() {
            let (rank, at) = ((found >> 32) as u32, found as u32);
            let i = at as usize;
            if ranks[i] != rank {
                continue;
            }
            let gone = next[i] as usize;
            let after = next[gone];
            symbols[i] = self.product_of[rank as usize];
            next[i] = after;
            ranks[gone] = NEVER;
            ranks[i] = NEVER;
            if let Some(&right) = symbols.get(after as usize) {
                previous[after as usize] = at;
                ranks[i] = self.rank(symbols[i], right);
                if ranks[i] != NEVER {
                    queue.push(Reverse(key(ranks[i], at)));
                }
            }
            let before = previous[i];
            if let Some(&left) = symbols.get(before as usize) {
                let rank = self.rank(left, symbols[i]);
                ranks[before as usize] = rank;
                if rank != NEVER {
                    queue.push(Reverse(key(rank, before)));
                }
            }
        }
        let (mut from, mut to) = (0, 0);
        while from < n {
            symbols[to] = symbols[from];
            from = next[from] as usize;
            to += 1;
        }
        symbols.truncate(to);
    }
}

fn pair(left: u32, right: u32) -> u64 {
    u64::from(left) << 32 | u64::from(right)
}

fn key(rank: u32, at: u32) -> u64 {
    u64::from(rank) << 32 | u64::from(at)
}

/// Buffers that one word after another is merged in.
#[derive(Default)]
pub(crate) struct MergeScratch {
    ranks: Vec<u32>,
    next: Vec<u32>,
    previous: Vec<u32>,
    queue: BinaryHeap<Reverse<u64>>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The definition, read literally.
    fn specification(list: &[(u32, u32, u32)], symbols: &mut Vec<u32>) {
        let rank = |l: u32, r: u32| list.iter().rposition(|&(a, b, _)| (a, b) == (l, r));
        while let Some((rank, at)) =
            (1..symbols.len()).filter_map(|i| rank(symbols[i - 1], symbols[i]).map(|rank| (rank, i - 1))).min()
        {
            symbols.splice(at..at + 2, [list[rank].2]);
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

        // Few symbols and arbitrary products: merges that feed, block and pre-empt one another, cycles included.
        #[test]
        fn both_ways_agree_with_the_definition(
            list in prop::collection::vec((0u32..6, 0u32..6, 0u32..6), 0..20),
            word in prop::collection::vec(0u32..6, 0..48),
        ) {
            let merges = Merges::new(&list);
            let mut wanted = word.clone();
            specification(&list, &mut wanted);
            let mut scratch = MergeScratch::default();
            let mut scanned = word.clone();
            merges.scan(&mut scanned, &mut scratch.ranks);
            prop_assert_eq!(&scanned, &wanted);
            let mut queued = word;
            merges.heap(&mut queued, &mut scratch);
            prop_assert_eq!(&queued, &wanted);
        }
    }
}
