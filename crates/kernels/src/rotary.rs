//! Rotary position embedding: a pair of channels is turned by an angle that grows with the position.
//!
//! For pair `i` with cosine `c` and sine `s` of the row's position: `(a, b)` becomes `(a c - b s, b c + a s)`. Channels past `dims`
//! stay. Every value is two products and one sum, each rounded, in this order on every instruction set.

use gptneo_device::Pairing;

/// Turns the first `angles.len()` channels of one head; `angles` holds the cosines, then the sines.
///
/// # Panics
/// If the head is narrower than that.
pub(crate) fn rotate(head: &mut [f32], angles: &[f32], pairing: Pairing) {
    turn_pairs(head, angles, pairing, |a, b, c, s| (a * c - b * s, b * c + a * s));
}

/// Turns back: the inverse of [`rotate`], and the gradient through it.
pub(crate) fn rotate_back(head: &mut [f32], angles: &[f32], pairing: Pairing) {
    turn_pairs(head, angles, pairing, |a, b, c, s| (a * c + b * s, b * c - a * s));
}

#[inline(always)]
fn turn_pairs(head: &mut [f32], angles: &[f32], pairing: Pairing, f: impl Fn(f32, f32, f32, f32) -> (f32, f32)) {
    let dims = angles.len();
    let (cosines, sines) = angles.split_at(dims / 2);
    let turn = |a: &mut f32, b: &mut f32, c: f32, s: f32| (*a, *b) = f(*a, *b, c, s);
    match pairing {
        Pairing::Adjacent => {
            for ((pair, &c), &s) in head[..dims].as_chunks_mut::<2>().0.iter_mut().zip(cosines).zip(sines) {
                let [a, b] = pair;
                turn(a, b, c, s);
            }
        }
        Pairing::Halves => {
            let (first, second) = head[..dims].split_at_mut(dims / 2);
            for (((a, b), &c), &s) in first.iter_mut().zip(second).zip(cosines).zip(sines) {
                turn(a, b, c, s);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The definition as a complex multiplication in f64.
    fn check(size: usize, dims: usize, pairing: Pairing) {
        let head: Vec<f32> = (0..size).map(|i| (i as f32 * 0.9).sin() * 3.0).collect();
        let angle = |i: usize| 17.0 * 10_000f64.powf(-2.0 * i as f64 / dims as f64);
        let cosines = (0..dims / 2).map(|i| angle(i).cos() as f32);
        let angles: Vec<f32> = cosines.chain((0..dims / 2).map(|i| angle(i).sin() as f32)).collect();
        let mut turned = head.clone();
        rotate(&mut turned, &angles, pairing);
        for i in 0..dims / 2 {
            let (a, b) = match pairing {
                Pairing::Adjacent => (2 * i, 2 * i + 1),
                Pairing::Halves => (i, i + dims / 2),
            };
            let (x, y) = (f64::from(head[a]), f64::from(head[b]));
            let (sine, cosine) = angle(i).sin_cos();
            assert!((f64::from(turned[a]) - (x * cosine - y * sine)).abs() < 1e-6, "{pairing:?} {dims} of {size}");
            assert!((f64::from(turned[b]) - (x * sine + y * cosine)).abs() < 1e-6, "{pairing:?} {dims} of {size}");
        }
        assert_eq!(turned[dims..], head[dims..]);
        rotate_back(&mut turned, &angles, pairing);
        for (back, value) in turned.iter().zip(&head) {
            assert!((back - value).abs() < 1e-6, "{pairing:?} {dims} of {size}, turned back");
        }
    }

    #[test]
    fn turns_pairs_and_leaves_the_rest() {
        for pairing in [Pairing::Adjacent, Pairing::Halves] {
            for (size, dims) in [(2, 2), (6, 4), (64, 16), (80, 20), (256, 64), (64, 64)] {
                check(size, dims, pairing);
            }
        }
    }
}
