//! tercom's search for moves of words: again and again the one that saves most, until none saves anything.
//!
//! Limits and order of preference are those of `sacrebleu` 2.6; where they are odd, they are kept.

use std::cmp::Reverse;

use super::table::{Scratch, Step, Table};

/// The most words that move together.
const LONGEST_RUN: usize = 10;

/// How far apart a run may stand in the two texts.
const FARTHEST: usize = 50;

/// Moves that are tried for a pair of texts.
const MOST_TRIED: usize = 1000;

/// A run of words that moves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Shift {
    start: usize,
    len: usize,
    /// The word before which it lands; within the run or right after it, that many words further on.
    target: usize,
}

/// What the table says of a hypothesis against its reference.
struct Alignment {
    /// For each word of the reference: how many words of the hypothesis stand up to its place.
    up_to: Vec<usize>,
    /// Words of the reference that the hypothesis has not where they belong.
    reference_wrong: Vec<bool>,
    /// Words of the hypothesis that are wrong where they stand.
    hypothesis_wrong: Vec<bool>,
}

/// The edits from `hypothesis` to `reference`, moves included.
pub(super) fn edits(hypothesis: &[u32], reference: &[u32]) -> u64 {
    if reference.is_empty() {
        return hypothesis.len() as u64;
    }
    let mut words = hypothesis.to_vec();
    let mut table = Table::new(&words, reference);
    let mut search = Search::default();
    let mut moves = 0;
    // Once too many were tried, even the best of them is not made.
    while let Some(shift) = search.best(&words, reference, &table).filter(|_| search.tried < MOST_TRIED) {
        let mut moved = Vec::with_capacity(words.len());
        shift.apply(&words, &mut moved);
        table.refill(&moved, shift.unmoved());
        words = moved;
        moves += 1;
    }
    moves + u64::from(table.distance())
}

#[derive(Default)]
struct Search {
    tried: usize,
    moved: Vec<u32>,
    rows: Scratch,
}

impl Search {
    /// The move that saves most, if one saves anything. Of equals the longest, then the earliest run, then the earliest target.
    fn best(&mut self, words: &[u32], reference: &[u32], table: &Table) -> Option<Shift> {
        let alignment = Alignment::new(&table.steps());
        let before = i64::from(table.distance());
        let mut best = None;
        for (start, place, len) in runs(words, reference) {
            if !alignment.may_move(start, place, len) {
                continue;
            }
            let mut last = None;
            let targets = std::iter::once(if place == 0 { 0 } else { alignment.up_to[place - 1] });
            for target in targets.chain(alignment.up_to[place..place + len].iter().copied()) {
                if last.replace(target) == Some(target) {
                    continue;
                }
                let shift = Shift { start, len, target };
                shift.apply(words, &mut self.moved);
                let after = table.distance_of(&self.moved, shift.unmoved(), &mut self.rows);
                let rank = (before - i64::from(after), len, Reverse(start), Reverse(target));
                self.tried += 1;
                if best.is_none_or(|(other, _)| rank > other) {
                    best = Some((rank, shift));
                }
            }
            if self.tried >= MOST_TRIED {
                break;
            }
        }
        best.filter(|((saved, ..), _)| *saved > 0).map(|(_, shift)| shift)
    }
}

impl Shift {
    /// How many words at the beginning stay.
    fn unmoved(self) -> usize {
        self.start.min(self.target)
    }

    /// Writes the moved words.
    fn apply(self, words: &[u32], moved: &mut Vec<u32>) {
        let Self { start, len, target } = self;
        let end = start + len;
        let (before, run, after) = (&words[..start], &words[start..end], &words[end..]);
        moved.clear();
        if target < start {
            moved.extend(before[..target].iter().chain(run).chain(&before[target..]).chain(after));
        } else {
            // Right after the run, or within it, tercom counts the target from the run's end.
            let passed = if target > end { target - end } else { (target - start).min(after.len()) };
            moved.extend(before.iter().chain(&after[..passed]).chain(run).chain(&after[passed..]));
        }
    }
}

impl Alignment {
    fn new(steps: &[Step]) -> Self {
        let mut alignment = Self { up_to: Vec::new(), reference_wrong: Vec::new(), hypothesis_wrong: Vec::new() };
        for step in steps {
            let wrong = *step != Step::Both { same: true };
            if *step != Step::Insertion {
                alignment.hypothesis_wrong.push(wrong);
            }
            if *step != Step::Deletion {
                alignment.reference_wrong.push(wrong);
                alignment.up_to.push(alignment.hypothesis_wrong.len());
            }
        }
        alignment
    }

    /// Whether a run is wrong where it stands, missing where it belongs, and does not stand there already.
    fn may_move(&self, start: usize, place: usize, len: usize) -> bool {
        let any = |wrong: &[bool]| wrong.iter().any(|wrong| *wrong);
        any(&self.hypothesis_wrong[start..start + len])
            && any(&self.reference_wrong[place..place + len])
            && !(start + 1..=start + len).contains(&self.up_to[place])
    }
}

/// Runs of words that both texts have: where in the one, where in the other, how many. Each beginning of a run too.
fn runs(words: &[u32], reference: &[u32]) -> impl Iterator<Item = (usize, usize, usize)> {
    (0..words.len()).flat_map(move |start| {
        let end = reference.len().min(start + FARTHEST + 1);
        let places = start.saturating_sub(FARTHEST).min(end)..end;
        places.flat_map(move |place| {
            let both = words[start..].iter().zip(&reference[place..]);
            let len = both.take(LONGEST_RUN).take_while(|(a, b)| a == b).count();
            (1..=len).map(move |len| (start, place, len))
        })
    })
}
