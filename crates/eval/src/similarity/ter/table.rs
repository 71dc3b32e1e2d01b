//! The table of an edit distance, near its diagonal only.
//!
//! Row `i` stands for the first `i` words of the hypothesis, column `j` for the first `j` of the reference. Row 0 is whole; of
//! the others only 25 columns on either side of the diagonal are filled (more where the lengths differ a lot), and the last
//! goes on to the end. So the distance may be more than the least. The band is `sacrebleu`'s.

/// Columns on either side of the diagonal.
const BEAM: usize = 25;

/// More than any cell costs, with room to add to it.
const NEVER: u32 = u32::MAX / 2;

/// How a cell was reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    /// The words are the same, or one replaces the other.
    Both {
        /// Which of the two.
        same: bool,
    },
    /// A word of the hypothesis is deleted.
    Deletion,
    /// A word of the reference is inserted.
    Insertion,
}

#[derive(Debug, Clone, Copy)]
struct Cell {
    cost: u32,
    step: Step,
}

const OUTSIDE: Cell = Cell { cost: NEVER, step: Step::Insertion };

/// The filled part of a row.
#[derive(Debug, Clone, Default)]
struct Row {
    from: usize,
    cells: Vec<Cell>,
}

/// A table for hypotheses of one length.
pub(super) struct Table<'a> {
    reference: &'a [u32],
    rows: Vec<Row>,
}

impl Row {
    /// A column that may be outside.
    fn cell(&self, column: usize) -> Cell {
        column.checked_sub(self.from).and_then(|at| self.cells.get(at)).copied().unwrap_or(OUTSIDE)
    }
}

impl<'a> Table<'a> {
    /// Fills a table.
    pub(super) fn new(hypothesis: &[u32], reference: &'a [u32]) -> Self {
        let first = (0..).take(reference.len() + 1).map(|cost| Cell { cost, step: Step::Insertion }).collect();
        let mut rows = vec![Row { from: 0, cells: first }];
        rows.resize(hypothesis.len() + 1, Row::default());
        let mut table = Self { reference, rows };
        table.refill(hypothesis, 0);
        table
    }

    /// Fills the rows again after the first `same` words of a hypothesis of the same length.
    pub(super) fn refill(&mut self, hypothesis: &[u32], same: usize) {
        for row in same + 1..=hypothesis.len() {
            let (above, below) = self.rows.split_at_mut(row);
            fill(
                &above[row - 1],
                band(row, hypothesis.len(), self.reference.len()),
                (hypothesis[row - 1], self.reference),
                &mut below[0],
            );
        }
    }

    /// The distance of another hypothesis of this length whose first `same` words are those of this one.
    pub(super) fn distance_of(&self, other: &[u32], same: usize, rows: &mut Scratch) -> u32 {
        let mut filled = false;
        for row in same + 1..=other.len() {
            let above = if filled { &rows.above } else { &self.rows[row - 1] };
            fill(
                above,
                band(row, other.len(), self.reference.len()),
                (other[row - 1], self.reference),
                &mut rows.below,
            );
            std::mem::swap(&mut rows.above, &mut rows.below);
            filled = true;
        }
        let last = if filled { &rows.above } else { &self.rows[other.len()] };
        last.cell(self.reference.len()).cost
    }

    /// The distance.
    pub(super) fn distance(&self) -> u32 {
        self.rows[self.rows.len() - 1].cell(self.reference.len()).cost
    }

    /// The steps from the beginning to the end.
    pub(super) fn steps(&self) -> Vec<Step> {
        let (mut row, mut column) = (self.rows.len() - 1, self.reference.len());
        let mut steps = Vec::with_capacity(row + column);
        while row > 0 || column > 0 {
            let step = self.rows[row].cell(column).step;
            steps.push(step);
            if step != Step::Insertion {
                row -= 1;
            }
            if step != Step::Deletion {
                column -= 1;
            }
        }
        steps.reverse();
        steps
    }
}

/// Two rows for a distance that leaves no table behind.
#[derive(Default)]
pub(super) struct Scratch {
    above: Row,
    below: Row,
}

/// The columns of a row that are filled.
fn band(row: usize, rows: usize, columns: usize) -> std::ops::Range<usize> {
    let ratio = columns as f64 / rows as f64;
    // Where the reference is much longer, a row would not touch the one above.
    let beam = if (BEAM as f64) < ratio / 2.0 { (ratio / 2.0 + BEAM as f64).ceil() as usize } else { BEAM };
    let diagonal = (row as f64 * ratio).floor() as usize;
    let end = if row == rows { columns + 1 } else { (diagonal + beam).min(columns + 1) };
    diagonal.saturating_sub(beam)..end
}

/// Fills a row below another. Of equal costs a replacement comes first, then a deletion, then an insertion.
fn fill(above: &Row, band: std::ops::Range<usize>, (word, reference): (u32, &[u32]), row: &mut Row) {
    row.from = band.start;
    row.cells.clear();
    let mut left = NEVER;
    let mut diagonal = if band.start == 0 { NEVER } else { above.cell(band.start - 1).cost };
    for column in band {
        let up = above.cell(column).cost;
        let mut best = OUTSIDE;
        if column > 0 {
            let same = reference[column - 1] == word;
            let cost = diagonal + u32::from(!same);
            if cost < best.cost {
                best = Cell { cost, step: Step::Both { same } };
            }
        }
        if up + 1 < best.cost {
            best = Cell { cost: up + 1, step: Step::Deletion };
        }
        if left + 1 < best.cost {
            best = Cell { cost: left + 1, step: Step::Insertion };
        }
        row.cells.push(best);
        left = best.cost;
        diagonal = up;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_is_reached_whatever_the_lengths() {
        let check = |rows: usize, columns: usize| {
            let hypothesis = vec![1; rows];
            let reference = vec![2; columns];
            let table = Table::new(&hypothesis, &reference);
            let wrong = table.steps().iter().filter(|step| **step != Step::Both { same: true }).count();
            assert_eq!((wrong, table.distance() as usize), (rows.max(columns), rows.max(columns)), "{rows} {columns}");
        };
        for rows in [0, 1, 2, 3, 5, 7, 11, 60, 700] {
            for columns in (1..160).chain([199, 255, 256, 349, 357, 499, 500, 501, 1000, 3001]) {
                check(rows, columns);
            }
        }
    }
}
