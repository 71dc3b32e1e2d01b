//! The three orders against f64 and the crate `gemm`, and one order of summation.

use std::sync::atomic::AtomicUsize;

use super::{Gemm, SCRATCH, Summation, View, panels_len};
use crate::finish::Finish;
use crate::isa::Isa;
use crate::memory::{Memory, Shared};
use crate::team::Team;

/// Sizes that fill no register, panel, block or cut, and one that does.
const ODD: [usize; 6] = [1, 3, 4, 7, 23, 512];

fn noise(seed: u32, len: usize) -> Vec<f32> {
    let mut state = seed.wrapping_mul(0x9e37_79b9) | 1;
    (0..len)
        .map(|_| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 8) as f32 / (1 << 23) as f32 - 1.0
        })
        .collect()
}

/// `out (+)= left right`.
fn product(isa: Isa, team: &Team, left: View<'_>, right: View<'_>, add: bool, out: &mut [f32]) {
    let mut panels = Memory::zeroed(panels_len(isa, left.rows, left.cols, right.cols), "a test").unwrap();
    let mut scratch = Memory::zeroed(SCRATCH * team.threads(), "a test").unwrap();
    let scratch = scratch.shared();
    let finish = Finish { bias: None, activation: None, add, out: Shared::new(out), stride: right.cols };
    let next = AtomicUsize::new(0);
    let gemm = Gemm { isa, left, right, finish, panels: panels.shared(), next: &next };
    team.run(|worker| {
        // SAFETY: each worker has its own.
        gemm.work(worker, unsafe { scratch.part(worker.index() * SCRATCH, SCRATCH) });
    });
}

/// A matrix by its rows, as it is and stored in columns.
struct Stored {
    rows: usize,
    cols: usize,
    by_rows: Vec<f32>,
    by_cols: Vec<f32>,
}

impl Stored {
    fn new(seed: u32, rows: usize, cols: usize) -> Self {
        let by_rows = noise(seed, rows * cols);
        let by_cols = (0..rows * cols).map(|i| by_rows[i % rows * cols + i / rows]).collect();
        Self { rows, cols, by_rows, by_cols }
    }

    fn views(&self) -> [View<'_>; 2] {
        [View::new(&self.by_rows, self.rows, self.cols), View::new(&self.by_cols, self.cols, self.rows).transposed()]
    }
}

fn bits(x: &[f32]) -> Vec<u32> {
    x.iter().map(|x| x.to_bits()).collect()
}

/// Every order and number of threads gives the same bits, within the bound stated in `mod.rs`.
fn check(isa: Isa, teams: &[Team], m: usize, k: usize, n: usize) {
    let (a, b) = (Stored::new(1, m, k), Stored::new(2, k, n));
    let before = noise(3, m * n);
    let mut first: Option<Vec<u32>> = None;
    for left in a.views() {
        for right in b.views() {
            for team in teams {
                let mut out = before.clone();
                product(isa, team, left, right, false, &mut out);
                let found = bits(&out);
                let same = *first.get_or_insert_with(|| found.clone()) == found;
                assert!(same, "{isa} {m} x {k} x {n}, {} threads: other bits", team.threads());
                let mut added = before.clone();
                product(isa, team, left, right, true, &mut added);
                assert!(added.iter().zip(&before).zip(&out).all(|((sum, x), y)| *sum == x + y), "{isa}: adds");
            }
        }
    }
    let found = first.unwrap();
    for i in 0..m {
        for j in 0..n {
            let terms = || (0..k).map(|l| f64::from(a.by_rows[i * k + l]) * f64::from(b.by_cols[j * k + l]));
            let (wanted, magnitude): (f64, f64) = (terms().sum(), terms().map(f64::abs).sum());
            let chains = Summation::TRAINING.chains;
            let roundings = k.min(super::KC).div_ceil(chains) + chains * k.div_ceil(super::KC) + 1;
            let error = (f64::from(f32::from_bits(found[i * n + j])) - wanted).abs();
            let bound = roundings as f64 * 0.5f64.powi(24) * magnitude;
            assert!(error <= bound, "{isa} {m} x {k} x {n}: {error} at {i}, {j}, bound {bound}");
        }
    }
}

fn teams(threads: &[usize]) -> Vec<Team> {
    threads.iter().map(|&threads| Team::new(threads).unwrap()).collect()
}

#[test]
fn agrees_with_f64_in_every_order_at_odd_sizes() {
    let teams = teams(&[1, 2]);
    for isa in Isa::available() {
        for m in ODD {
            for k in ODD {
                for n in [1, 3, 7, 23] {
                    if m < 512 || k < 512 {
                        check(isa, &teams, m, k, n);
                    }
                }
            }
        }
        check(isa, &teams, 23, 7, 512);
        check(isa, &teams, 5, 1600, 9);
    }
}

#[test]
fn blocks_that_several_claims_share_are_the_same_bits_on_any_threads() {
    let teams = teams(&[1, 2, 4]);
    for isa in Isa::available() {
        check(isa, &teams, 205, 771, 130);
        check(isa, &teams[..2], 97, 9, 1250);
        check(isa, &teams[..2], 1250, 9, 97);
    }
}

#[test]
fn a_sum_of_nothing_is_zero_and_nothing_by_nothing_is_nothing() {
    for isa in Isa::available() {
        for team in teams(&[1, 2]) {
            let mut out = noise(4, 5 * 7);
            product(isa, &team, View::new(&[], 5, 0), View::new(&[], 0, 7), false, &mut out);
            assert!(out.iter().all(|&x| x == 0.0));
            product(isa, &team, View::new(&[], 0, 3), View::new(&noise(5, 6), 3, 2), false, &mut []);
        }
    }
}

#[test]
fn a_view_of_some_columns_reads_no_others() {
    let (m, k, n, stride) = (19, 41, 30, 77);
    let (wide, b) = (noise(6, m * stride), noise(7, k * n));
    let (at, narrow): (usize, Vec<f32>) = (11, wide.chunks(stride).flat_map(|row| row[11..11 + k].to_vec()).collect());
    for isa in Isa::available() {
        let team = Team::new(2).unwrap();
        let (mut some, mut all) = (vec![0.0; m * n], vec![0.0; m * n]);
        let right = View::new(&b, k, n);
        product(isa, &team, View::strided(&wide[at..], m, k, stride), right, false, &mut some);
        product(isa, &team, View::new(&narrow, m, k), right, false, &mut all);
        assert_eq!(bits(&some), bits(&all), "{isa}");
    }
}

#[test]
fn agrees_with_the_crate_gemm() {
    let (m, k, n) = (150, 900, 113);
    let (a, b) = (noise(8, m * k), noise(9, k * n));
    let mut theirs = vec![0.0f32; m * n];
    // SAFETY: the strides describe the three slices.
    unsafe {
        let (rows, cols, depth) = (n as isize, 1, k as isize);
        let (c, a, b) = (theirs.as_mut_ptr(), a.as_ptr(), b.as_ptr());
        let none = ::gemm::Parallelism::None;
        ::gemm::gemm(m, n, k, c, cols, rows, false, a, 1, depth, b, 1, rows, 0.0, 1.0, false, false, false, none);
    }
    for isa in Isa::available() {
        let mut ours = vec![0.0; m * n];
        product(isa, &Team::new(2).unwrap(), View::new(&a, m, k), View::new(&b, k, n), false, &mut ours);
        for (ours, theirs) in ours.iter().zip(&theirs) {
            assert!((ours - theirs).abs() <= 1e-4, "{isa}: {ours}, gemm says {theirs}");
        }
    }
}
