//! Attention in training against its definition in f64, and its gradients against finite differences of that.

use gptneo_device::train::{Dropout, Segments};
use gptneo_device::{Heads, Reach};

use super::attention::{Attention, Given, backward, forward, scratch_len};
use crate::isa::Isa;
use crate::memory::{Memory, Shared};
use crate::team::Team;

struct Case {
    heads: Heads,
    reach: Reach,
    scale: f32,
    segments: Vec<usize>,
    dropout: Option<Dropout>,
}

impl Case {
    fn rows(&self) -> usize {
        self.segments.iter().sum()
    }

    fn width(&self) -> usize {
        self.heads.count * self.heads.size
    }

    /// The definition: out and log_sums.
    fn reference(&self, qkv: &[f64]) -> (Vec<f64>, Vec<f64>) {
        let (width, size) = (self.width(), self.heads.size);
        let mut out = vec![0.0; self.rows() * width];
        let mut log_sums = vec![0.0; self.rows() * self.heads.count];
        let mut start = 0;
        for &len in &self.segments {
            for i in 0..len {
                for head in 0..self.heads.count {
                    let part = |row: usize, part: usize| {
                        &qkv[(start + row) * 3 * width + part * width + head * size..][..size]
                    };
                    let keys = self.reach.first_key(i)..i + 1;
                    let score = |j: usize| {
                        let dot: f64 = part(i, 0).iter().zip(part(j, 1)).map(|(q, k)| q * k).sum();
                        dot * f64::from(self.scale)
                    };
                    let scores: Vec<f64> = keys.clone().map(score).collect();
                    let largest = scores.iter().copied().fold(f64::MIN, f64::max);
                    let sum: f64 = scores.iter().map(|s| (s - largest).exp()).sum();
                    let row = (start + i) * self.heads.count + head;
                    log_sums[row] = largest + sum.ln();
                    for (j, score) in keys.zip(scores) {
                        let kept = self
                            .dropout
                            .map_or(1.0, |d| if d.keeps(row as u64, j as u32) { f64::from(d.factor()) } else { 0.0 });
                        let weight = (score - largest).exp() / sum * kept;
                        for d in 0..size {
                            out[(start + i) * width + head * size + d] += weight * part(j, 2)[d];
                        }
                    }
                }
            }
            start += len;
        }
        (out, log_sums)
    }

    /// `out`, `log_sums` and `d_qkv`.
    fn compute(&self, isa: Isa, threads: usize, qkv: &[f32], d_out: &[f32]) -> [Vec<f32>; 3] {
        let team = Team::new(threads).unwrap();
        let args = Attention {
            isa,
            qkv,
            heads: self.heads,
            reach: self.reach,
            scale: self.scale,
            segments: Segments(&self.segments),
            dropout: self.dropout,
        };
        let len = scratch_len(args.segments.longest(), self.heads.size) * threads;
        let mut scratch = Memory::zeroed(len, "a test").unwrap();
        scratch.fill(f32::NAN);
        let (mut out, mut log_sums) = (vec![f32::NAN; d_out.len()], vec![f32::NAN; self.rows() * self.heads.count]);
        forward(&team, &args, Shared::new(&mut out), Shared::new(&mut log_sums), scratch.shared());
        let mut d_qkv = vec![f32::NAN; qkv.len()];
        let given = Given { out: &out, log_sums: &log_sums, d_out };
        backward(&team, &args, given, Shared::new(&mut d_qkv), scratch.shared());
        [out, log_sums, d_qkv]
    }

    fn check(&self) {
        let qkv: Vec<f32> = (0..self.rows() * 3 * self.width()).map(|i| ((i * i % 1013) as f32 * 0.7).sin()).collect();
        let d_out: Vec<f32> = (0..self.rows() * self.width()).map(|i| ((i * 7 % 419) as f32 * 0.3).cos()).collect();
        let wide: Vec<f64> = qkv.iter().map(|&x| f64::from(x)).collect();
        let (out, log_sums) = self.reference(&wide);
        let value =
            |qkv: &[f64]| -> f64 { self.reference(qkv).0.iter().zip(&d_out).map(|(out, d)| out * f64::from(*d)).sum() };
        // Some of the derivatives: all would take long.
        let step = (qkv.len() / 40).max(1);
        let slopes: Vec<(usize, f64)> = (0..qkv.len())
            .step_by(step)
            .map(|i| {
                let (mut up, mut down) = (wide.clone(), wide.clone());
                (up[i], down[i]) = (up[i] + 1e-5, down[i] - 1e-5);
                (i, (value(&up) - value(&down)) / 2e-5)
            })
            .collect();
        for isa in Isa::available() {
            let found = self.compute(isa, 2, &qkv, &d_out);
            assert_eq!(found, self.compute(isa, 1, &qkv, &d_out), "{isa}: the same bits on one thread");
            let close = |found: f32, wanted: f64, what: &str| {
                let error = (f64::from(found) - wanted).abs();
                assert!(error < 2e-5 * (1.0 + wanted.abs()), "{isa} {what}: {found}, not {wanted}");
            };
            found[0].iter().zip(&out).for_each(|(&f, &w)| close(f, w, "out"));
            found[1].iter().zip(&log_sums).for_each(|(&f, &w)| close(f, w, "log sum"));
            slopes.iter().for_each(|&(i, wanted)| close(found[2][i], wanted, &format!("gradient {i}")));
            assert!(found[2].iter().all(|d| d.is_finite()));
        }
    }
}

#[test]
fn agrees_with_the_definition_and_its_slopes_in_every_reach_and_shape() {
    let local = |window| Reach::Local { window };
    for (count, size, reach, segments) in [
        (1, 1, Reach::Global, vec![1]),
        (2, 6, Reach::Global, vec![3, 1, 4]),
        (1, 16, local(1), vec![7]),
        (3, 10, local(5), vec![23, 9]),
        (2, 8, Reach::Global, vec![65, 49]),
        (1, 20, local(70), vec![131]),
        (1, 64, local(48), vec![97]),
    ] {
        let heads = Heads { count, size };
        for scale in [1.0, 0.3] {
            Case { heads, reach, scale, segments: segments.clone(), dropout: None }.check();
        }
        let dropout = Some(Dropout { probability: 0.4, key: 99 });
        Case { heads, reach, scale: 0.5, segments, dropout }.check();
    }
}

#[test]
fn large_scores_stay_finite() {
    let heads = Heads { count: 1, size: 4 };
    let case = Case { heads, reach: Reach::Global, scale: 1.0, segments: vec![80], dropout: None };
    let qkv: Vec<f32> = (0..80 * 12).map(|i| (i as f32 * 0.9).sin() * 12.0).collect();
    let d_out = vec![1.0; 80 * 4];
    for isa in Isa::available() {
        let [out, _, d_qkv] = case.compute(isa, 1, &qkv, &d_out);
        assert!(out.iter().chain(&d_qkv).all(|x| x.is_finite()), "{isa}");
    }
}
