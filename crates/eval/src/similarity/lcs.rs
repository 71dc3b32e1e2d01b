//! Longest common subsequences in little memory.
//!
//! A row of the usual table is held as bits: bit `j` of row `i` is 0 where the length of row `i` rises from column `j` to
//! `j + 1`. A row follows from the one before it by one long addition (Crochemore et al., 2001), 64 columns at a time.
//! [`Columns::length`] holds one row. [`Columns::mark`] finds the subsequence that `rouge-score` finds: it keeps every
//! `sqrt(rows)`-th row and makes the others again from behind.

/// Blocks of 64 columns that a segment of rows may have in any case: 64 KiB.
const MANY_BLOCKS: usize = 8192;

/// The words along the columns of the table.
pub(crate) struct Columns<'a> {
    words: &'a [u32],
    /// Each word with its column, in order.
    places: Vec<(u32, u32)>,
}

impl<'a> Columns<'a> {
    /// The table of fewer than 2^32 words.
    pub(crate) fn new(words: &'a [u32]) -> Self {
        let mut places: Vec<(u32, u32)> = words.iter().copied().zip(0..).collect();
        places.sort_unstable();
        Self { words, places }
    }

    /// How many 64-bit additions a row takes.
    pub(crate) fn blocks(&self) -> usize {
        self.words.len().div_ceil(64)
    }

    /// The length of the longest common subsequence.
    pub(crate) fn length(&self, rows: &[u32]) -> usize {
        let mut row = vec![u64::MAX; self.blocks()];
        for word in rows {
            self.next_row(*word, &mut row);
        }
        rises(&row, self.words.len())
    }

    /// Marks the words of `rows` that are in a longest common subsequence. Of several it is that which comes of walking from
    /// the end, taking every match, and else going one row up unless only going one column left keeps the length.
    ///
    /// # Panics
    /// If `marked` has fewer places than there are rows.
    pub(crate) fn mark(&self, rows: &[u32], marked: &mut [bool]) {
        let blocks = self.blocks();
        let stride = rows.len().isqrt().max(MANY_BLOCKS / blocks.max(1)).max(1);
        let mut kept = vec![vec![u64::MAX; blocks]];
        for segment in rows.chunks(stride).take(rows.len().div_ceil(stride).saturating_sub(1)) {
            let mut row = kept[kept.len() - 1].clone();
            for word in segment {
                self.next_row(*word, &mut row);
            }
            kept.push(row);
        }
        let mut column = self.words.len();
        for (at, (segment, first)) in rows.chunks(stride).zip(kept).enumerate().rev() {
            column = self.mark_segment(segment, first, column, &mut marked[at * stride..]);
        }
    }

    /// Walks back through consecutive rows from a column; gives the column in which it leaves them.
    fn mark_segment(&self, words: &[u32], first: Vec<u64>, mut column: usize, marked: &mut [bool]) -> usize {
        let blocks = first.len();
        let mut table = first;
        for (at, word) in words.iter().enumerate() {
            table.extend_from_within(at * blocks..);
            self.next_row(*word, &mut table[(at + 1) * blocks..]);
        }
        let row = |at: usize| &table[at * blocks..(at + 1) * blocks];
        for (at, word) in words.iter().enumerate().rev() {
            let places = self.places_of(*word);
            let before = places.partition_point(|(_, place)| (*place as usize) < column);
            let Some((_, nearest)) = places[..before].last() else { continue };
            let nearest = *nearest as usize;
            // Where one row up loses length, no column down to the nearest match does.
            if nearest + 1 == column || rises(row(at + 1), column) > rises(row(at), column) {
                column = nearest;
                marked[at] = true;
            }
        }
        column
    }

    fn places_of(&self, word: u32) -> &[(u32, u32)] {
        let from = self.places.partition_point(|(other, _)| *other < word);
        let len = self.places[from..].partition_point(|(other, _)| *other == word);
        &self.places[from..from + len]
    }

    /// Makes a row of the one above it.
    fn next_row(&self, word: u32, row: &mut [u64]) {
        let mut places = self.places_of(word);
        if places.is_empty() {
            return;
        }
        let mut carry = false;
        for (block, bits) in row.iter_mut().enumerate() {
            let mut matches = 0;
            while let Some(((_, column), rest)) = places.split_first()
                && *column as usize / 64 == block
            {
                matches |= 1 << (column % 64);
                places = rest;
            }
            let (sum, over) = bits.overflowing_add(*bits & matches);
            let (sum, over_again) = sum.overflowing_add(u64::from(carry));
            *bits = sum | (*bits & !matches);
            carry = over || over_again;
        }
    }
}

/// The length in a row before a column: how many bits are 0.
fn rises(row: &[u64], column: usize) -> usize {
    let whole: u32 = row[..column / 64].iter().map(|bits| bits.count_zeros()).sum();
    let rest = match column % 64 {
        0 => 0,
        rest => (!row[column / 64] & ((1 << rest) - 1)).count_ones(),
    };
    (whole + rest) as usize
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The definition: the whole table, and the walk from its end.
    fn reference(rows: &[u32], columns: &[u32]) -> (usize, Vec<bool>) {
        let mut table = vec![vec![0; columns.len() + 1]; rows.len() + 1];
        for i in 1..=rows.len() {
            for j in 1..=columns.len() {
                table[i][j] = if rows[i - 1] == columns[j - 1] {
                    table[i - 1][j - 1] + 1
                } else {
                    table[i - 1][j].max(table[i][j - 1])
                };
            }
        }
        let mut marked = vec![false; rows.len()];
        let (mut i, mut j) = (rows.len(), columns.len());
        while i > 0 && j > 0 {
            if rows[i - 1] == columns[j - 1] {
                marked[i - 1] = true;
                i -= 1;
                j -= 1;
            } else if table[i][j - 1] > table[i - 1][j] {
                j -= 1;
            } else {
                i -= 1;
            }
        }
        (table[rows.len()][columns.len()], marked)
    }

    fn check(rows: &[u32], columns: &[u32]) {
        let (length, marked) = reference(rows, columns);
        let table = Columns::new(columns);
        assert_eq!(table.length(rows), length);
        let mut ours = vec![false; rows.len()];
        table.mark(rows, &mut ours);
        assert_eq!(ours, marked, "{rows:?} {columns:?}");
    }

    proptest! {
        #[test]
        fn agrees_with_the_whole_table(
            kinds in 1_u32..30,
            rows in prop::collection::vec(any::<u32>(), 0..90),
            columns in prop::collection::vec(any::<u32>(), 0..300),
        ) {
            let few = |words: Vec<u32>| words.into_iter().map(|word| word % kinds).collect::<Vec<_>>();
            check(&few(rows), &few(columns));
        }
    }

    #[test]
    fn agrees_where_rows_are_made_again() {
        // 33 blocks a row: a stride of 248 rows for 2,000.
        let words = |seed: u32, len: usize| {
            let mut state = seed;
            let next = move || {
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                (state >> 16) % 40
            };
            std::iter::repeat_with(next).take(len).collect::<Vec<_>>()
        };
        check(&words(1, 2000), &words(2, 2100));
        check(&words(3, 700), &words(3, 700));
    }
}
