//! Log-probabilities of logits.

use crate::error::SamplingError;
use crate::race::largest;

/// `ln(sum(exp(logits)))`, summed in f64.
///
/// # Errors
/// Logits that are NaN or plus infinity, or all minus infinity.
pub fn log_sum_exp(logits: &[f32]) -> Result<f64, SamplingError> {
    let (_, max) = largest(logits)?;
    if max == f32::NEG_INFINITY {
        return Err(SamplingError::AllForbidden);
    }
    let max = f64::from(max);
    Ok(max + logits.iter().map(|&l| (f64::from(l) - max).exp()).sum::<f64>().ln())
}

/// The `count` largest logits, largest first, of equal ones the lower id first.
pub fn top(logits: &[f32], count: usize) -> Vec<(u32, f32)> {
    let order = |a: &(u32, f32), b: &(u32, f32)| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0));
    let count = count.min(logits.len());
    if count == 0 {
        return Vec::new();
    }
    let mut found = Vec::with_capacity(2 * count);
    let mut floor = None;
    for (id, &logit) in (0..).zip(logits) {
        // Adding zero makes one zero of the two.
        let logit = logit + 0.0;
        if floor.is_none_or(|floor| logit > floor) {
            found.push((id, logit));
            if found.len() == 2 * count {
                found.select_nth_unstable_by(count - 1, order);
                found.truncate(count);
                floor = Some(found[count - 1].1);
            }
        }
    }
    found.sort_unstable_by(order);
    found.truncate(count);
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_far_from_zero() {
        for offset in [-1000.0f32, 0.0, 1000.0] {
            let sum = log_sum_exp(&[offset, offset + 1.0]).unwrap();
            assert!((sum - f64::from(offset) - (1.0 + 1.0f64.exp()).ln()).abs() < 1e-12, "{sum}");
        }
    }

    #[test]
    fn ignores_what_is_forbidden_and_refuses_what_is_broken() {
        assert_eq!(log_sum_exp(&[f32::NEG_INFINITY, 3.0]).unwrap(), 3.0);
        assert_eq!(log_sum_exp(&[f32::NEG_INFINITY]), Err(SamplingError::AllForbidden));
        assert!(matches!(log_sum_exp(&[0.0, f32::NAN]), Err(SamplingError::NotFinite { id: 1, .. })));
        assert!(matches!(log_sum_exp(&[f32::INFINITY, 0.0]), Err(SamplingError::NotFinite { id: 0, .. })));
    }

    #[test]
    fn takes_the_largest_in_order() {
        let logits: Vec<f32> = (0..1000u32).map(|i| ((i * 7919) % 500) as f32).collect();
        let mut wanted: Vec<(u32, f32)> = (0..).zip(logits.iter().copied()).collect();
        wanted.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
        for count in [0, 1, 2, 7, 499, 1000, 2000] {
            assert_eq!(top(&logits, count), wanted[..count.min(1000)], "{count}");
        }
    }
}
