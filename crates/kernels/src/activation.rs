//! The non-linearities of the MLP, and the exponential that they and the softmax share.
//!
//! [`reference()`] is the definition, in f64. The wide versions are polynomials in f32: `exp` is within 2 units in the last
//! place, `erf` (inside GELU) within 2e-7, and every activation within `2e-7 + 4e-7 |y|` of the definition. NaN stays NaN.
//!
//! The polynomials are minimax fits made for this file (Remez exchange in 40 digits): `(e^r - 1 - r) / r^2` on
//! `|r| <= ln 2 / 2`, degree 4, error 3e-9 of `e^r`; and `erfc(z) e^(z^2) / t`, `t = 1 / (1 + 0.4 z)`, degree 7, error 7e-10
//! of `erfc`.

use gptneo_device::Activation;

use crate::isa::{Body, Isa};
use crate::simd::{LANES, Simd};

/// The specification, in f64.
#[cfg(test)]
fn reference(activation: Activation, x: f64) -> f64 {
    let sigmoid = |x: f64| 1.0 / (1.0 + (-x).exp());
    match activation {
        Activation::GeluErf => 0.5 * x * tests::erfc(-x / std::f64::consts::SQRT_2),
        Activation::GeluTanh => {
            let inner = (2.0 / std::f64::consts::PI).sqrt() * (x + 0.044715 * x * x * x);
            x * sigmoid(2.0 * inner)
        }
        Activation::GeluQuick => x * sigmoid(1.702 * x),
        Activation::Relu => x.max(0.0),
        Activation::Silu => x * sigmoid(x),
    }
}

/// Applies `activation` to every value.
pub(crate) fn activate(isa: Isa, activation: Activation, values: &mut [f32]) {
    isa.run(Activate { activation, values });
}

struct Activate<'a> {
    activation: Activation,
    values: &'a mut [f32],
}

impl Body for Activate<'_> {
    type Out = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let (whole, rest) = self.values.as_chunks_mut::<LANES>();
        for lanes in whole {
            *lanes = s.to_array(activated(s, self.activation, s.vector(*lanes)));
        }
        let mut lanes = [0.0; LANES];
        lanes[..rest.len()].copy_from_slice(rest);
        let lanes = s.to_array(activated(s, self.activation, s.vector(lanes)));
        rest.copy_from_slice(&lanes[..rest.len()]);
    }
}

/// The activation of eight values.
#[inline(always)]
pub(crate) fn activated<S: Simd>(s: S, activation: Activation, x: S::F) -> S::F {
    match activation {
        Activation::GeluErf => gelu_erf(s, x),
        Activation::GeluTanh => {
            // x * sigmoid(2 u), u = sqrt(2 / pi) (x + 0.044715 x^3).
            let square = s.mul(x, x);
            let inner = s.fma(s.splat(2.0 * 0.797_884_6 * 0.044_715), square, s.splat(2.0 * 0.797_884_6));
            gated(s, x, s.mul(x, inner))
        }
        Activation::GeluQuick => gated(s, x, s.mul(x, s.splat(1.702))),
        // max keeps its second operand where one is NaN.
        Activation::Relu => s.max(s.splat(0.0), x),
        Activation::Silu => gated(s, x, x),
    }
}

/// `x * sigmoid(u)`.
#[inline(always)]
fn gated<S: Simd>(s: S, x: S::F, u: S::F) -> S::F {
    let one = s.splat(1.0);
    s.div(x, s.add(one, exp(s, s.sub(s.splat(0.0), u))))
}

/// `x Phi(x)`: the upper tail is computed, so that both ends keep their relative precision.
#[inline(always)]
fn gelu_erf<S: Simd>(s: S, x: S::F) -> S::F {
    let (tail, _) = normal_tail(s, x);
    let lower = s.mul(x, tail);
    s.select_less(x, s.splat(0.0), lower, s.sub(x, lower))
}

/// `erfc(|x| / sqrt 2) / 2`, the normal distribution's tail beyond `|x|`, and `e^(-x^2 / 2)`.
#[inline(always)]
pub(crate) fn normal_tail<S: Simd>(s: S, x: S::F) -> (S::F, S::F) {
    let one = s.splat(1.0);
    let magnitude = s.max(s.sub(s.splat(0.0), x), x);
    let z = s.mul(magnitude, s.splat(std::f32::consts::FRAC_1_SQRT_2));
    let t = s.div(one, s.fma(z, s.splat(0.4), one));
    let mut poly = s.splat(0.078_130_82);
    for c in [-0.411_980_6, 0.717_253_4, -0.407_064, 0.427_784_32, 0.133_574_42, 0.237_403_36, 0.224_898_32] {
        poly = s.fma(poly, t, s.splat(c));
    }
    // z^2 = x^2 / 2 from x itself, rounded once.
    let decay = exp(s, s.mul(s.mul(x, x), s.splat(-0.5)));
    (s.mul(s.mul(s.mul(poly, t), decay), s.splat(0.5)), decay)
}

/// `e^x`: 0 below -87.33, `e^88` above 88.
#[inline(always)]
pub(crate) fn exp<S: Simd>(s: S, x: S::F) -> S::F {
    const MAGIC: f32 = 12_582_912.0; // 1.5 * 2^23: adding it rounds to an integer
    const LOWEST: f32 = -87.33;
    let clamped = s.min(s.splat(88.0), s.max(s.splat(LOWEST), x));
    let magic = s.fma(clamped, s.splat(std::f32::consts::LOG2_E), s.splat(MAGIC));
    let n = s.sub(magic, s.splat(MAGIC));
    // ln 2 in two parts; the first has few enough bits that its products with n are exact.
    let r = s.fma(n, s.splat(-0.693_359_4), clamped);
    let r = s.fma(n, s.splat(2.121_944_4e-4), r);
    let mut poly = s.splat(0.001_381_446_8);
    for c in [0.008_368_78, 0.041_668_395, 0.166_665_2, 0.499_999_93] {
        poly = s.fma(poly, r, s.splat(c));
    }
    let tail = s.fma(s.mul(r, r), poly, r);
    let power = s.scale_by_power(s.add(tail, s.splat(1.0)), magic);
    s.select_less(x, s.splat(LOWEST), s.splat(0.0), power)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Complementary error function by its continued fraction (far) and series (near), to about 1e-14.
    pub(super) fn erfc(x: f64) -> f64 {
        if x < 0.0 {
            return 2.0 - erfc(-x);
        }
        if x < 2.5 {
            let (mut term, mut sum) = (x, x);
            for n in 1..200 {
                let n = f64::from(n);
                term *= -x * x / n;
                sum += term / (2.0 * n + 1.0);
            }
            return 1.0 - sum * 2.0 / std::f64::consts::PI.sqrt();
        }
        let mut fraction = 0.0;
        for n in (1..200).rev() {
            fraction = f64::from(n) / 2.0 / (x + fraction);
        }
        (-x * x).exp() / std::f64::consts::PI.sqrt() / (x + fraction)
    }

    const ALL: [Activation; 5] =
        [Activation::GeluErf, Activation::GeluTanh, Activation::GeluQuick, Activation::Relu, Activation::Silu];

    #[test]
    fn every_activation_is_within_its_bound_of_the_definition() {
        for isa in Isa::available() {
            for activation in ALL {
                let xs: Vec<f32> =
                    (-240_000..240_000).map(|i| i as f32 * 1e-4).chain([0.0, -0.0, 1e-30, 80.0]).collect();
                let mut ys = xs.clone();
                activate(isa, activation, &mut ys);
                for (x, y) in xs.iter().zip(&ys) {
                    let wanted = reference(activation, f64::from(*x));
                    let error = (f64::from(*y) - wanted).abs();
                    assert!(error <= 2e-7 + 4e-7 * wanted.abs(), "{isa} {activation:?}({x}) = {y}, not {wanted}");
                }
            }
        }
    }

    #[test]
    fn a_ragged_tail_is_the_same_as_a_whole_vector() {
        for isa in Isa::available() {
            for len in [1, 3, 4, 7, 23, 512] {
                let xs: Vec<f32> = (0..len).map(|i| (i as f32 * 0.7).sin() * 4.0).collect();
                let mut together = xs.clone();
                activate(isa, Activation::GeluErf, &mut together);
                for (x, y) in xs.iter().zip(&together) {
                    let mut alone = [*x];
                    activate(isa, Activation::GeluErf, &mut alone);
                    assert_eq!(alone[0].to_bits(), y.to_bits());
                }
            }
        }
    }

    struct Exp([f32; LANES]);
    impl Body for Exp {
        type Out = [f32; LANES];
        #[inline(always)]
        fn run<S: Simd>(self, s: S) -> Self::Out {
            s.to_array(exp(s, s.vector(self.0)))
        }
    }

    #[test]
    fn exp_is_within_two_units_in_the_last_place() {
        for isa in Isa::available() {
            let xs: Vec<f32> = (-87_320..88_000).map(|i| i as f32 * 1e-3).collect();
            for lanes in xs.as_chunks::<LANES>().0 {
                for (x, y) in lanes.iter().zip(isa.run(Exp(*lanes))) {
                    let wanted = f64::from(*x).exp();
                    let unit = f64::from((wanted as f32).next_up() - wanted as f32);
                    assert!((f64::from(y) - wanted).abs() <= 2.0 * unit, "{isa} exp({x}) = {y}, not {wanted}");
                }
            }
        }
    }

    #[test]
    fn exp_of_zero_is_one_of_nothing_is_zero_and_nan_stays() {
        for isa in Isa::available() {
            let y = isa.run(Exp([0.0, -0.0, f32::NEG_INFINITY, -1e9, f32::NAN, -88.0, 88.0, 1e9]));
            assert_eq!(y[..4], [1.0, 1.0, 0.0, 0.0], "{isa}");
            assert!(y[4].is_nan() && y[5] == 0.0 && y[6].is_finite() && y[6] == y[7]);
            for activation in ALL {
                let mut nan = [f32::NAN];
                activate(isa, activation, &mut nan);
                assert!(nan[0].is_nan(), "{isa} {activation:?}");
            }
        }
    }
}
