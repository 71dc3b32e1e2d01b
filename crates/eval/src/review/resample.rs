//! Numbers with their uncertainty: the bootstrap over prompts, and the binomial interval.
//!
//! Prompts are what a sheet is a sample of, so prompts are resampled: all items of a prompt and all answers to them stay
//! together. With two sources an item is a prompt. A resample draws as many prompts as there are, with replacement; the
//! interval goes from the 2.5th to the 97.5th percentile of the statistic over all resamples, interpolated linearly.
//!
//! Efron, "Bootstrap methods: another look at the jackknife", Annals of Statistics 7, 1979. Wilson, "Probable inference, the
//! law of succession, and statistical inference", JASA 22, 1927.

use serde::Serialize;

use super::draw::Draws;
use super::error::{Result, setting};

/// How intervals are found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bootstrap {
    /// How many resamples: 20 to 100,000.
    pub resamples: usize,
    /// Of the resamples, and of the orders of the online Elo.
    pub seed: u64,
}

impl Default for Bootstrap {
    fn default() -> Self {
        Self { resamples: 1000, seed: 0 }
    }
}

/// A number, how sure it is, and of how many observations.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Estimate {
    /// The number itself.
    pub value: f64,
    /// Of 95 %; `None` where there is only one prompt, or where most resamples have no such number.
    pub interval: Option<Interval>,
    /// How many observations it is made of.
    pub n: usize,
}

/// Where a number may lie, with 95 % confidence.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Interval {
    /// The lower end.
    pub low: f64,
    /// The upper end.
    pub high: f64,
    /// Resamples in which the number could not be found, and which do not count.
    pub left_out: usize,
}

impl Bootstrap {
    pub(crate) fn check(self) -> Result<()> {
        if !(20..=100_000).contains(&self.resamples) {
            return Err(setting(format!("{} resamples were asked for; 20 to 100000 are allowed", self.resamples)));
        }
        Ok(())
    }

    /// The intervals of several statistics at once.
    ///
    /// `statistics` is given how often each of the prompts was drawn and returns one number for each statistic, `None` where
    /// there is none; the number of the resample comes first.
    pub(crate) fn intervals(
        self,
        prompts: usize,
        mut statistics: impl FnMut(usize, &[u32]) -> Vec<Option<f64>>,
    ) -> Vec<Option<Interval>> {
        let mut weights = vec![0_u32; prompts];
        let mut found: Vec<Vec<f64>> = Vec::new();
        for resample in 0..self.resamples {
            weights.fill(0);
            let mut draws = Draws::new(&["bootstrap", &self.seed.to_string(), &resample.to_string()]);
            (0..prompts).for_each(|_| weights[draws.below(prompts)] += 1);
            let numbers = statistics(resample, &weights);
            found.resize(numbers.len(), Vec::new());
            for (list, number) in found.iter_mut().zip(numbers) {
                list.extend(number.filter(|number| number.is_finite()));
            }
        }
        let enough = |list: &Vec<f64>| prompts > 1 && list.len() * 2 >= self.resamples;
        found.into_iter().map(|list| enough(&list).then(|| self.percentiles(list))).collect()
    }

    fn percentiles(self, mut list: Vec<f64>) -> Interval {
        list.sort_unstable_by(f64::total_cmp);
        Interval { low: quantile(&list, 0.025), high: quantile(&list, 0.975), left_out: self.resamples - list.len() }
    }
}

/// The quantile of a sorted list that is not empty, interpolated linearly.
pub(crate) fn quantile(sorted: &[f64], q: f64) -> f64 {
    let at = q * (sorted.len() - 1) as f64;
    let (below, part) = (at.floor() as usize, at.fract());
    let above = sorted[(below + 1).min(sorted.len() - 1)];
    sorted[below] + part * (above - sorted[below])
}

/// A share of independent trials with Wilson's interval; `None` without trials.
pub(crate) fn binomial(hits: usize, trials: usize) -> Option<Estimate> {
    if trials == 0 {
        return None;
    }
    const Z: f64 = 1.959_963_984_540_054;
    let (n, share) = (trials as f64, hits as f64 / trials as f64);
    let middle = (share + Z * Z / (2.0 * n)) / (1.0 + Z * Z / n);
    let half = Z / (1.0 + Z * Z / n) * (share * (1.0 - share) / n + Z * Z / (4.0 * n * n)).sqrt();
    let interval = Interval { low: (middle - half).max(0.0), high: (middle + half).min(1.0), left_out: 0 };
    Some(Estimate { value: share, interval: Some(interval), n: trials })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_binomial_interval_is_wilsons() {
        // scipy.stats.binomtest(15, 50).proportion_ci(method="wilson")
        let Estimate { value, interval: Some(found), n: 50 } = binomial(15, 50).unwrap() else { panic!() };
        assert!((value - 0.3).abs() < 1e-12);
        assert!((found.low - 0.1910355350088095).abs() < 1e-12 && (found.high - 0.4375035046445341).abs() < 1e-12);
        assert_eq!(binomial(0, 0), None);
        assert!(binomial(0, 9).unwrap().interval.unwrap().low.abs() < 1e-12);
    }

    #[test]
    fn the_bootstrap_of_a_mean_is_as_wide_as_theory_says() {
        let values: Vec<f64> = (0..400).map(|at| f64::from(at % 2)).collect();
        let boot = Bootstrap { resamples: 2000, seed: 3 };
        let mean = |_: usize, weights: &[u32]| {
            let sum: f64 = values.iter().zip(weights).map(|(value, &weight)| value * f64::from(weight)).sum();
            vec![Some(sum / 400.0), None]
        };
        let found = boot.intervals(400, mean);
        let Interval { low, high, left_out: 0 } = found[0].unwrap() else { panic!() };
        // The standard error of the mean is 0.5 / 20.
        assert!((low - 0.451).abs() < 0.005 && (high - 0.549).abs() < 0.005, "{low} {high}");
        assert_eq!(found[1], None);
        assert_eq!(boot.intervals(1, |_, _| vec![Some(1.0)]), [None]);
    }

    #[test]
    fn quantiles_are_interpolated() {
        assert_eq!([0.0, 0.1, 0.5, 1.0].map(|q| quantile(&[1.0, 2.0, 4.0], q)), [1.0, 1.2, 2.0, 4.0]);
        assert_eq!(quantile(&[7.0], 0.975), 7.0);
    }
}
