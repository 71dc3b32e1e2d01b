//! Derivatives of the non-linearities, `d = d activation'(x)`.
//!
//! Each is within `1e-6 + 1e-6 |d|` of the definition in f64, `0.5 (f(x + h) - f(x - h)) / h` with `h = 1e-5`, tested on every
//! instruction set; the functions themselves are [`crate::activation`]'s.

use gptneo_device::Activation;

use crate::activation::{activated, exp, normal_tail};
use crate::isa::{Body, Isa};
use crate::simd::{LANES, Simd};

/// `out = activation(x)`.
pub(super) fn forward(isa: Isa, activation: Activation, x: &[f32], out: &mut [f32]) {
    isa.run(Forward { activation, x, out });
}

/// `d *= activation'(x)`.
pub(super) fn backward(isa: Isa, activation: Activation, x: &[f32], d: &mut [f32]) {
    isa.run(Backward { activation, x, d });
}

struct Forward<'a> {
    activation: Activation,
    x: &'a [f32],
    out: &'a mut [f32],
}

impl Body for Forward<'_> {
    type Out = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let (xs, x_rest) = self.x.as_chunks::<LANES>();
        let (outs, out_rest) = self.out.as_chunks_mut::<LANES>();
        for (x, out) in xs.iter().zip(outs) {
            *out = s.to_array(activated(s, self.activation, s.vector(*x)));
        }
        let last = s.to_array(activated(s, self.activation, s.vector(padded(x_rest))));
        out_rest.copy_from_slice(&last[..out_rest.len()]);
    }
}

struct Backward<'a> {
    activation: Activation,
    x: &'a [f32],
    d: &'a mut [f32],
}

impl Body for Backward<'_> {
    type Out = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let (xs, x_rest) = self.x.as_chunks::<LANES>();
        let (ds, d_rest) = self.d.as_chunks_mut::<LANES>();
        for (x, d) in xs.iter().zip(ds) {
            *d = s.to_array(s.mul(s.vector(*d), slope(s, self.activation, s.vector(*x))));
        }
        let slopes = slope(s, self.activation, s.vector(padded(x_rest)));
        let last = s.to_array(s.mul(s.vector(padded(d_rest)), slopes));
        d_rest.copy_from_slice(&last[..d_rest.len()]);
    }
}

/// Fewer than eight values, zeros behind them.
#[inline(always)]
fn padded(few: &[f32]) -> [f32; LANES] {
    let mut lanes = [0.0; LANES];
    lanes[..few.len()].copy_from_slice(few);
    lanes
}

/// The derivative at eight values.
#[inline(always)]
fn slope<S: Simd>(s: S, activation: Activation, x: S::F) -> S::F {
    let (zero, one) = (s.splat(0.0), s.splat(1.0));
    match activation {
        Activation::GeluErf => {
            // Phi(x) + x e^(-x^2 / 2) / sqrt(2 pi).
            let (tail, decay) = normal_tail(s, x);
            let below = s.select_less(x, zero, tail, s.sub(one, tail));
            s.fma(s.mul(x, decay), s.splat(0.398_942_3), below)
        }
        Activation::GeluTanh => {
            // x sigmoid(u), u = a x + b x^3.
            let (a, b) = (2.0 * 0.797_884_6, 2.0 * 0.797_884_6 * 0.044_715);
            let square = s.mul(x, x);
            let u = s.mul(x, s.fma(s.splat(b), square, s.splat(a)));
            gated_slope(s, x, u, s.fma(s.splat(3.0 * b), square, s.splat(a)))
        }
        Activation::GeluQuick => gated_slope(s, x, s.mul(x, s.splat(1.702)), s.splat(1.702)),
        Activation::Relu => s.select_less(zero, x, one, zero),
        Activation::Silu => gated_slope(s, x, x, one),
    }
}

/// Derivative of `x sigmoid(u)` where `u' = du`.
#[inline(always)]
fn gated_slope<S: Simd>(s: S, x: S::F, u: S::F, du: S::F) -> S::F {
    let one = s.splat(1.0);
    let decay = exp(s, s.sub(s.splat(0.0), u));
    let gate = s.div(one, s.add(one, decay));
    // 1 - gate without cancellation.
    let closed = s.mul(decay, gate);
    s.fma(s.mul(s.mul(x, gate), closed), du, gate)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The definitions, in f64; `erf` by its series.
    fn reference(activation: Activation, x: f64) -> f64 {
        let sigmoid = |u: f64| 1.0 / (1.0 + (-u).exp());
        match activation {
            Activation::GeluErf => {
                let z = x / std::f64::consts::SQRT_2;
                let (mut term, mut sum) = (z, z);
                for n in 1..400 {
                    let n = f64::from(n);
                    term *= -z * z / n;
                    sum += term / (2.0 * n + 1.0);
                }
                0.5 * x * (1.0 + sum * 2.0 / std::f64::consts::PI.sqrt())
            }
            Activation::GeluTanh => x * sigmoid(2.0 * (2.0 / std::f64::consts::PI).sqrt() * (x + 0.044715 * x * x * x)),
            Activation::GeluQuick => x * sigmoid(1.702 * x),
            Activation::Relu => x.max(0.0),
            Activation::Silu => x * sigmoid(x),
        }
    }

    #[test]
    fn every_slope_is_that_of_finite_differences() {
        let all =
            [Activation::GeluErf, Activation::GeluTanh, Activation::GeluQuick, Activation::Relu, Activation::Silu];
        for isa in Isa::available() {
            for activation in all {
                for len in [1, 3, 7, 8, 23, 1001] {
                    let x: Vec<f32> = (0..len).map(|i| (i as f32 + 0.3) * 9.0 / len as f32 - 4.5).collect();
                    let mut d = vec![-1.5; len];
                    backward(isa, activation, &x, &mut d);
                    for (x, d) in x.iter().zip(d) {
                        let (at, h) = (f64::from(*x), 1e-5);
                        let slope = (reference(activation, at + h) - reference(activation, at - h)) / (2.0 * h);
                        let error = (f64::from(d) + 1.5 * slope).abs();
                        assert!(error < 2e-6, "{isa} {activation:?}'({x}) = {}, not {slope}", d / -1.5);
                    }
                }
            }
        }
    }

    #[test]
    fn far_values_have_slopes_of_zero_and_one() {
        for isa in Isa::available() {
            for activation in [Activation::GeluErf, Activation::GeluTanh, Activation::Silu] {
                let mut d = [1.0, 1.0];
                backward(isa, activation, &[-300.0, 300.0], &mut d);
                assert!(d[0].abs() < 1e-30 && d[1] == 1.0, "{isa} {activation:?} {d:?}");
            }
        }
    }
}
