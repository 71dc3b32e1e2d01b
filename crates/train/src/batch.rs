//! How many sequences a step takes, and in which pieces they are computed.

use std::ops::Range;

/// A batch that grows in a straight line over the first steps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ramp {
    /// Sequences of the first step.
    pub from: u64,
    /// The step from which the batch is whole.
    pub steps: u64,
}

/// Sequences of step `step` (the first is 0), over all ranks.
pub fn sequences(whole: u64, ramp: Option<Ramp>, step: u64) -> u64 {
    match ramp {
        Some(Ramp { from, steps }) if step < steps => {
            let grown = u128::from(whole - from) * u128::from(step) / u128::from(steps);
            // At most `whole`, which is a u64.
            from + grown as u64
        }
        _ => whole,
    }
}

/// Cuts sequences into pieces of at most `micro` that are computed at once.
pub fn pieces(sequences: Range<u64>, micro: u64) -> impl Iterator<Item = Range<u64>> {
    let Range { start, end } = sequences;
    (start..end)
        .step_by(usize::try_from(micro).unwrap_or(usize::MAX))
        .map(move |at| at..end.min(at.saturating_add(micro)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ramps_from_first_to_whole() {
        let ramp = Some(Ramp { from: 2, steps: 4 });
        let taken: Vec<u64> = (0..6).map(|step| sequences(10, ramp, step)).collect();
        assert_eq!(taken, [2, 4, 6, 8, 10, 10]);
        assert_eq!(sequences(10, None, 0), 10);
    }

    #[test]
    fn pieces_cover_the_part() {
        let cut: Vec<_> = pieces(3..10, 3).collect();
        assert_eq!(cut, [3..6, 6..9, 9..10]);
        assert_eq!(pieces(3..3, 3).count(), 0);
    }
}
