//! Scores of labels: F1 and Matthews' correlation, as scikit-learn has them.

/// How often each label was found for each.
pub(super) struct Confusion {
    labels: Vec<i64>,
    /// Of each document, `gold * labels + predicted`, as places in `labels`.
    cells: Vec<u32>,
    /// `[gold, predicted]`.
    counts: Vec<f64>,
}

impl Confusion {
    /// Of the right label and the one found, of each document.
    pub(super) fn of(pairs: &[(i64, i64)]) -> Self {
        let mut labels: Vec<i64> = pairs.iter().flat_map(|&(gold, predicted)| [gold, predicted]).collect();
        labels.sort_unstable();
        labels.dedup();
        let place = |label| labels.binary_search(&label).expect("it is among them");
        let cell = |&(gold, predicted): &(i64, i64)| (place(gold) * labels.len() + place(predicted)) as u32;
        let cells: Vec<u32> = pairs.iter().map(cell).collect();
        let mut counts = vec![0.0; labels.len() * labels.len()];
        for &cell in &cells {
            counts[cell as usize] += 1.0;
        }
        Self { labels, cells, counts }
    }

    /// Of these documents.
    pub(super) fn resampled(&self, places: &[u32]) -> Self {
        let mut counts = vec![0.0; self.counts.len()];
        for &at in places {
            counts[self.cells[at as usize] as usize] += 1.0;
        }
        Self { labels: self.labels.clone(), cells: Vec::new(), counts }
    }

    fn row(&self, at: usize) -> f64 {
        self.counts[at * self.labels.len()..][..self.labels.len()].iter().sum()
    }

    fn column(&self, at: usize) -> f64 {
        self.counts.iter().skip(at).step_by(self.labels.len()).sum()
    }
}

/// `2 TP / (2 TP + FP + FN)` of one label against all others; 0 where there is nothing.
pub(super) fn f1(all: &Confusion, label: i64) -> f64 {
    let Ok(at) = all.labels.binary_search(&label) else { return 0.0 };
    let both = all.row(at) + all.column(at);
    if both == 0.0 { 0.0 } else { 2.0 * all.counts[at * all.labels.len() + at] / both }
}

/// The mean over labels 0, 1 and 2.
pub(super) fn macro_f1(all: &Confusion) -> f64 {
    (0..3).map(|label| f1(all, label)).sum::<f64>() / 3.0
}

/// Matthews' correlation for any number of labels (Gorodkin, 2004); 0 where it is undefined.
pub(super) fn matthews(all: &Confusion) -> f64 {
    let count = all.labels.len();
    let total: f64 = all.counts.iter().sum();
    let right: f64 = (0..count).map(|at| all.counts[at * count + at]).sum();
    let (mut both, mut gold, mut found) = (0.0, 0.0, 0.0);
    for at in 0..count {
        let (row, column) = (all.row(at), all.column(at));
        both += row * column;
        gold += row * row;
        found += column * column;
    }
    let spread = (total * total - gold) * (total * total - found);
    if spread == 0.0 { 0.0 } else { (right * total - both) / spread.sqrt() }
}
