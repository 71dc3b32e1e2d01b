//! The Mann-Whitney U test: whether one of two samples tends to be larger.
//!
//! `U` is the number of pairs in which the first is larger, equal ones counting half. By the normal approximation, with the
//! correction of the variance for ties and that of continuity (Lehmann, 1975). Held by the tests below against scipy 1.17's
//! `mannwhitneyu(x, y, method="asymptotic")`.

/// The two-sided probability of samples that differ at least as much, if both are of one distribution. 1 where there is nothing to compare.
pub(super) fn two_sided(x: &[f64], y: &[f64]) -> f64 {
    let mut all: Vec<(f64, bool)> =
        x.iter().map(|&value| (value, true)).chain(y.iter().map(|&value| (value, false))).collect();
    all.sort_by(|a, b| a.0.total_cmp(&b.0));
    // Ranks from 1; equal values share the mean of theirs.
    let (mut ranks, mut ties, mut at) = (0.0, 0.0, 0);
    while at < all.len() {
        let same = all[at..].iter().take_while(|other| other.0 == all[at].0).count();
        let of_first = all[at..at + same].iter().filter(|(_, first)| *first).count();
        ranks += of_first as f64 * (at as f64 + (same as f64 + 1.0) / 2.0);
        ties += (same as f64).powi(3) - same as f64;
        at += same;
    }
    let (n, m) = (x.len() as f64, y.len() as f64);
    let u = ranks - n * (n + 1.0) / 2.0;
    let both = n + m;
    let variance = n * m / 12.0 * (both + 1.0 - ties / (both * (both - 1.0)));
    if variance.is_nan() || variance <= 0.0 {
        return 1.0;
    }
    let distance = u.max(n * m - u) - n * m / 2.0 - 0.5;
    complement(distance / variance.sqrt() / std::f64::consts::SQRT_2).min(1.0)
}

/// The complementary error function: twice the probability of a normal deviate above `x * sqrt(2)`.
fn complement(x: f64) -> f64 {
    if x < 2.0 {
        return 1.0 - error(x);
    }
    // Laplace's continued fraction, from its far end: exp(-x^2) / sqrt(pi) / (x + (1/2) / (x + (2/2) / (x + ...))).
    let fraction = (1..=120).rev().fold(x, |below, k| x + f64::from(k) / 2.0 / below);
    (-x * x).exp() / std::f64::consts::PI.sqrt() / fraction
}

/// The error function, by the series `2 / sqrt(pi) * exp(-x^2) * sum of 2^k x^(2k+1) / (1 * 3 * ... * (2k+1))`, whose terms have one sign.
fn error(x: f64) -> f64 {
    let (mut term, mut sum, mut odd) = (x, x, 1.0);
    while f64::abs(term) > 1e-17 * f64::abs(sum) && odd < 1000.0 {
        odd += 2.0;
        term *= 2.0 * x * x / odd;
        sum += term;
    }
    2.0 / std::f64::consts::PI.sqrt() * (-x * x).exp() * sum
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(x: &[f64], y: &[f64], wanted: f64) {
        for (found, way) in [(two_sided(x, y), "forth"), (two_sided(y, x), "back")] {
            assert!(
                (found - wanted).abs() < 1e-9 && (found / wanted - 1.0).abs() < 1e-9,
                "{way}: {found} for {wanted}"
            );
        }
    }

    #[test]
    fn samples_without_ties() {
        check(&[1.5, 2.25, 3.0], &[2.5, 4.0, 5.5, 7.0], 0.111_611_768_298_292_24);
        check(&[1.0], &[2.0], 1.0);
        let x = [12.5, 80.0, 33.25, 41.0, 5.75, 18.5, 22.0, 19.25];
        let y = [95.0, 101.5, 60.25, 77.0, 88.5, 120.0, 64.0, 99.75];
        check(&x, &y, 0.002_761_604_417_827_473);
        let row = |from: u32, step: f64, offset: f64| -> Vec<f64> {
            (from..from + 24).map(|at| f64::from(at) * step + offset).collect()
        };
        check(&row(1, 1.0, 0.0), &row(1, 1.0, 5.5), 0.016_297_262_912_258_043);
    }

    #[test]
    fn samples_with_ties() {
        check(&[1.0, 2.0, 2.0, 3.0, 5.0], &[2.0, 3.0, 3.0, 4.0, 4.0, 5.0, 9.0], 0.159_967_407_657_800_82);
        let (x, y) = ([3.0, 1.0, 4.0, 1.0, 5.0, 9.0, 2.0, 6.0], [2.0, 7.0, 1.0, 8.0, 2.0, 8.0, 1.0, 8.0, 2.0, 8.0]);
        check(&x, &y, 0.718_067_934_255_609_1);
        check(&[7.0; 4], &[7.0; 3], 1.0);
        assert_eq!(two_sided(&[], &[1.0]), 1.0);
    }

    #[test]
    fn far_tails() {
        let row = |from: u32| -> Vec<f64> { (from..from + 60).map(f64::from).collect() };
        check(&row(0), &row(40), 4.639_580_007_157_043e-17);
    }

    #[test]
    fn the_error_function_is_that_of_tables() {
        // Abramowitz and Stegun, table 7.1, and scipy's erfc(5).
        for (x, wanted) in [(0.0, 0.0), (0.5, 0.520_499_877_8), (1.0, 0.842_700_792_9), (1.9, 0.992_790_429_2)] {
            assert!((error(x) - wanted).abs() < 1e-10, "{x}");
        }
        let [below, above] = [2.0 - 1e-12, 2.0].map(complement);
        assert!((below / above - 1.0).abs() < 1e-10, "the two ways meet: {below} {above}");
        assert!((complement(5.0) / 1.537_459_794_428_035e-12 - 1.0).abs() < 1e-12);
        assert!((complement(-0.5) - 1.520_499_877_8).abs() < 1e-10);
    }
}
