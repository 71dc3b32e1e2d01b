//! Fast, counter-based, nearly normal random numbers for models without a checkpoint.

use std::thread;

use gptneo_device::Bytes;

use crate::error::LoadError;
use crate::family::Role;
use crate::layout::zeroed;

/// A stream of random numbers; value `i` depends on the seed, the stream and `i` alone.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: u64, stream: u64) -> Self {
        Self(mix(seed ^ mix(stream)))
    }

    /// The stream of one tensor of a model.
    pub(crate) fn of(seed: u64, role: Role, layer: Option<usize>) -> Self {
        Self::new(seed, (role as u64) << 32 | layer.map_or(0, |layer| layer as u64 + 1))
    }

    /// A value of mean 0 and deviation 1: the sum of four uniform 16-bit numbers, which ends at 3.46 deviations.
    fn normal(self, index: u64) -> f32 {
        let bits = mix(self.0.wrapping_add(index.wrapping_mul(0x9E37_79B9_7F4A_7C15)));
        let sum = (bits & 0xFFFF) + (bits >> 16 & 0xFFFF) + (bits >> 32 & 0xFFFF) + (bits >> 48);
        // Four uniforms on [0, 65535]: mean 131070, variance 4 (65536^2 - 1) / 12.
        (sum as f32 - 131_070.0) * (1.0 / 37_837.2)
    }

    /// A value on [0, 1), from the same counter.
    pub(crate) fn uniform(self, index: u64) -> f64 {
        (mix(self.0.wrapping_add(index.wrapping_mul(0x9E37_79B9_7F4A_7C15))) >> 11) as f64 / (1u64 << 53) as f64
    }

    /// A value of the normal distribution (Box and Muller, 1958), from the same counter.
    pub(crate) fn gaussian(self, index: u64) -> f64 {
        let first = mix(self.0.wrapping_add(index.wrapping_mul(0x9E37_79B9_7F4A_7C15)));
        let second = mix(first ^ 0xD1B5_4A32_D192_ED03);
        // Uniform on (0, 1] and [0, 1): the logarithm is finite.
        let uniform = |bits: u64, above: f64| ((bits >> 11) as f64 + above) / (1u64 << 53) as f64;
        let (radius, angle) = (uniform(first, 1.0), uniform(second, 0.0));
        (-2.0 * radius.ln()).sqrt() * (std::f64::consts::TAU * angle).cos()
    }

    /// `len` f32 values of the given deviation, made by all processors.
    pub(crate) fn normal_bytes(self, len: usize, deviation: f32) -> Result<Bytes, LoadError> {
        let mut bytes = zeroed(len * 4)?;
        let share = len.div_ceil(thread::available_parallelism().map_or(1, usize::from)).max(1 << 12);
        thread::scope(|scope| {
            for (i, part) in bytes.chunks_mut(share * 4).enumerate() {
                scope.spawn(move || {
                    for (j, value) in part.as_chunks_mut::<4>().0.iter_mut().enumerate() {
                        *value = (self.normal((i * share + j) as u64) * deviation).to_le_bytes();
                    }
                });
            }
        });
        Ok(bytes.into())
    }
}

/// The finaliser of SplitMix64 (Steele, Lea and Flood, 2014).
pub(crate) fn mix(mut x: u64) -> u64 {
    x = (x ^ x >> 30).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    x = (x ^ x >> 27).wrapping_mul(0x94D0_49BB_1331_11EB);
    x ^ x >> 31
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gaussian_values_have_the_moments_and_tails_of_the_normal_distribution() {
        let random = Random::new(3, 4);
        let values: Vec<f64> = (0..200_000).map(|i| random.gaussian(i)).collect();
        let moment = |power: i32| values.iter().map(|v| v.powi(power)).sum::<f64>() / values.len() as f64;
        assert!(moment(1).abs() < 0.01 && (moment(2) - 1.0).abs() < 0.01, "{} {}", moment(1), moment(2));
        assert!(moment(3).abs() < 0.03 && (moment(4) - 3.0).abs() < 0.1, "{} {}", moment(3), moment(4));
        assert!(values.iter().any(|v| v.abs() > 3.8), "tails go beyond a sum of four uniforms");
        let neighbours = values.windows(2).map(|w| w[0] * w[1]).sum::<f64>() / values.len() as f64;
        assert!(neighbours.abs() < 0.01, "{neighbours}");
    }

    #[test]
    fn has_the_deviation_asked_for() {
        let bytes = Random::new(1, 2).normal_bytes(100_003, 0.02).unwrap();
        let values: Vec<f64> = bytes.as_chunks::<4>().0.iter().map(|b| f64::from(f32::from_le_bytes(*b))).collect();
        let mean = values.iter().sum::<f64>() / values.len() as f64;
        let variance = values.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / values.len() as f64;
        assert!(mean.abs() < 3e-4, "mean {mean}");
        assert!((variance.sqrt() - 0.02).abs() < 2e-4, "deviation {}", variance.sqrt());
    }
}
