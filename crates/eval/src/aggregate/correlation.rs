//! Correlations of values: Pearson's, and Spearman's as Pearson's of ranks, as SciPy has them.

/// Pearson's correlation; 0 where it is undefined, which is where one of the two does not vary.
pub(super) fn pearson(a: &[f64], b: &[f64]) -> f64 {
    let varies = |values: &[f64]| values.iter().any(|value| *value != values[0]);
    if !varies(a) || !varies(b) {
        return 0.0;
    }
    let mean = |values: &[f64]| values.iter().sum::<f64>() / values.len() as f64;
    let (mean_a, mean_b) = (mean(a), mean(b));
    let (mut both, mut square_a, mut square_b) = (0.0, 0.0, 0.0);
    for (a, b) in a.iter().zip(b) {
        let (a, b) = (a - mean_a, b - mean_b);
        both += a * b;
        square_a += a * a;
        square_b += b * b;
    }
    let spread = (square_a * square_b).sqrt();
    if spread > 0.0 { (both / spread).clamp(-1.0, 1.0) } else { 0.0 }
}

/// The rank of each value, from 1; equal ones share the mean of theirs.
pub(super) fn ranks(values: &[f64]) -> Vec<f64> {
    let mut order: Vec<usize> = (0..values.len()).collect();
    order.sort_by(|&a, &b| values[a].total_cmp(&values[b]));
    let mut ranks = vec![0.0; values.len()];
    let mut first = 0;
    while first < order.len() {
        let same = order[first..].iter().take_while(|&&at| values[at] == values[order[first]]).count().max(1);
        // The mean of first + 1 to first + same.
        let rank = first as f64 + (same + 1) as f64 / 2.0;
        for &at in &order[first..first + same] {
            ranks[at] = rank;
        }
        first += same;
    }
    ranks
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Against `scipy.stats.pearsonr` and `spearmanr` (1.17.1) of
    /// `a = [(i*37 % m) / 3 for i in range(n)]`, `b = [(i*i*13 % 101) / 7 - (i*37 % m) / k for i in range(n)]`.
    #[test]
    fn correlations_are_scipys() {
        for (n, m, k, wanted_pearson, wanted_spearman) in [
            (3, 5, 2.0, 0.9300623497598937, 1.0),
            (7, 11, 4.0, -0.0014873371128212853, 0.07142857142857144),
            (23, 6, 3.0, -0.12284486064517774, -0.1412247261140408),
            (512, 17, 50.0, -0.009358366596867038, -0.01845590478391001),
            (1500, 101, 9.0, -0.5819769642055876, -0.5586357278997965),
        ] {
            let a: Vec<f64> = (0..n).map(|i| f64::from(i * 37 % m) / 3.0).collect();
            let b: Vec<f64> =
                (0..n).map(|i: i32| f64::from(i * i * 13 % 101) / 7.0 - f64::from(i * 37 % m) / k).collect();
            let found = (pearson(&a, &b), pearson(&ranks(&a), &ranks(&b)));
            assert!((found.0 - wanted_pearson).abs() < 1e-13, "{n}: {found:?}");
            assert!((found.1 - wanted_spearman).abs() < 1e-13, "{n}: {found:?}");
        }
    }

    #[test]
    fn what_does_not_vary_has_none() {
        // The mean of three tenths is not a tenth, in floats.
        assert_eq!(pearson(&[0.1, 0.1, 0.1], &[1.0, 2.0, 3.0]), 0.0);
        assert_eq!(pearson(&[], &[]), 0.0);
        assert_eq!(ranks(&[3.0, -0.0, 0.0, 3.0, 9.0]), [3.5, 1.5, 1.5, 3.5, 5.0]);
    }
}
