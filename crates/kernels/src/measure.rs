//! What this machine can do at best: the limits that speeds are compared with.

use std::hint::black_box;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use gptneo_device::DeviceError;

use crate::cpu::Cpu;
use crate::gemm::bench::{Case, Order};
use crate::isa::Body;
use crate::lanes::{Lanes, WideBody};
use crate::memory::Memory;
use crate::simd::{LANES, Simd};

/// Bytes of the buffer that is read: several times any cache.
const BYTES: usize = 512 << 20;

/// Gigabytes (10^9) per second that the whole team reads from memory, the median of several passes: what a
/// shared machine gives now, not at its best moment.
///
/// # Errors
/// If there is no room for the half gigabyte that is read.
pub fn read_gb_per_s(cpu: &Cpu) -> Result<f64, DeviceError> {
    let mut memory = Memory::<f32>::zeroed(BYTES / 4, "a buffer to read")?;
    let values = memory.shared();
    cpu.team.run(|worker| {
        let share = worker.share(values.len());
        // SAFETY: shares do not meet. Written, so that pages exist.
        unsafe { values.part(share.start, share.len()) }.fill(1.0);
    });
    let memory = &*memory;
    let usual = median_of(9, || {
        cpu.team.run(|worker| {
            let values = &memory[worker.share(memory.len())];
            black_box(cpu.isa().run(Sum(values)));
        });
    });
    Ok(BYTES as f64 / usual.as_secs_f64() / 1e9)
}

/// Billions of f32 operations per second of the whole team, multiplications and additions from the widest
/// registers, the median of several passes.
pub fn f32_gflop_per_s(cpu: &Cpu) -> f64 {
    const ROUNDS: usize = 1 << 20;
    let mut operations = 0;
    let usual = median_of(9, || {
        let done = AtomicUsize::new(0);
        cpu.team.run(|_| {
            done.fetch_add(cpu.isa().run_wide(Chains(ROUNDS)), Ordering::Relaxed);
        });
        operations = done.into_inner();
    });
    operations as f64 / usual.as_secs_f64() / 1e9
}

/// Billions of f32 operations per second of one large product on the whole team, as training multiplies: the median of
/// several of a layer of 125M, `[1024, 768] [768, 3072]`.
///
/// # Errors
/// If there is no room for its operands.
pub fn gemm_gflop_per_s(cpu: &Cpu) -> Result<f64, DeviceError> {
    let [m, k, n] = [1024, 768, 3072];
    let mut case = Case::new(cpu, Order::Nt, m, k, n)?;
    Ok(2.0 * (m * k * n) as f64 / median_of(15, || case.run(cpu)).as_secs_f64() / 1e9)
}

/// Runs `times` empty jobs on the team, each with so many barriers: for timing the fixed cost of an operation.
pub fn forks(cpu: &Cpu, times: usize, barriers: usize) {
    for _ in 0..times {
        cpu.team.run(|worker| (0..barriers).for_each(|_| worker.barrier()));
    }
}

fn median_of(times: usize, mut run: impl FnMut()) -> Duration {
    run();
    let mut took: Vec<Duration> = (0..times)
        .map(|_| {
            let started = Instant::now();
            run();
            started.elapsed()
        })
        .collect();
    took.sort();
    took[times / 2]
}

struct Sum<'a>(&'a [f32]);

impl Body for Sum<'_> {
    type Out = f32;

    #[inline(always)]
    fn run<S: Simd>(self, s: S) -> f32 {
        let mut sums = [s.splat(0.0); 4];
        for line in self.0.as_chunks::<{ 4 * LANES }>().0 {
            for i in 0..4 {
                // SAFETY: a chunk has four vectors.
                sums[i] = s.add(sums[i], unsafe { s.load(line.as_ptr().add(i * LANES)) });
            }
        }
        s.sum(s.add(s.add(sums[0], sums[1]), s.add(sums[2], sums[3])))
    }
}

/// Independent chains of multiply-adds: enough to hide their latency.
const CHAINS: usize = 10;

/// So many rounds; gives how many operations they were.
struct Chains(usize);

impl WideBody for Chains {
    type Out = usize;

    #[inline(always)]
    fn run<L: Lanes>(self, l: L) -> usize {
        let (a, b) = (l.splat(black_box(0.999_9)), l.splat(black_box(1e-4)));
        let mut chains = [l.splat(1.0); CHAINS];
        for _ in 0..self.0 {
            for chain in &mut chains {
                *chain = l.fma(*chain, a, b);
            }
        }
        black_box(chains.into_iter().reduce(|x, y| l.add(x, y)));
        2 * L::WIDTH * CHAINS * self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::CpuOptions;

    #[test]
    fn limits_are_those_of_a_computer() {
        let cpu = Cpu::new(CpuOptions { threads: Some(1), isa: None }).unwrap();
        let read = read_gb_per_s(&cpu).unwrap();
        assert!((0.5..5000.0).contains(&read), "{read} GB/s");
        let compute = f32_gflop_per_s(&cpu);
        assert!((0.5..5000.0).contains(&compute), "{compute} GFLOP/s");
        let product = gemm_gflop_per_s(&cpu).unwrap();
        assert!((0.1..5000.0).contains(&product), "{product} GFLOP/s");
    }
}
